"""Migration waves for people: a document of moves planned, checked, and told in rows and sentences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from catalog.wording import first_few
from placement.waves.order import Order
from placement.waves.problem import NOWHERE, Calendar
from placement.waves.reasons import Reason, Short, reasons
from placement.waves.result import Timed, Unscheduled, Wave, WavePlan
from placement.waves.state import Step
from placement.waves.verify import breaches
from placement.waves.waves import waves
from tierwise.app import App
from tierwise.errors import TierwiseError
from tierwise.planner.waves_calendar import windows_of
from tierwise.planner.waves_document import Asked

Row = dict[str, Any]


@dataclass(frozen=True)
class Planned:
    """A document's waves, replayed by the checker before anyone sees them."""

    asked: Asked
    calendar: Calendar
    plan: WavePlan
    blocked: Mapping[str, str]
    """Machine -> why its move cannot be made today, as the two hypervisors say."""
    why_left_out: tuple[Reason, ...]

    @property
    def zone(self) -> ZoneInfo:
        """The clocks that times are told by."""
        weekly = self.asked.form.weekly
        return ZoneInfo("UTC" if weekly is None else weekly.time_zone)

    def at(self, instant: int) -> datetime:
        """An instant by these clocks."""
        return datetime.fromtimestamp(instant, self.zone)

    def wave_rows(self) -> list[Row]:
        """One row a wave."""
        return [self._wave_row(n, wave) for n, wave in enumerate(self.plan.waves, 1)]

    def move_rows(self) -> list[Row]:
        """One row a move, in the order in which they begin."""
        return [
            self._move_row(n, i, move)
            for n, wave in enumerate(self.plan.waves, 1)
            for i, move in enumerate(wave.moves, 1)
        ]

    def undo_rows(self) -> list[Row]:
        """One row a move back, wave by wave, in the order in which they are feasible."""
        return [
            {"wave": n, "step": i, "machine": self.machine(step), "from": self.place(step.source), "to": self.place(step.target)}
            for n, wave in enumerate(self.plan.waves, 1)
            for i, step in enumerate(wave.undo, 1)
        ]  # fmt: skip

    def freed_rows(self) -> list[Row]:
        """Providers that become empty, by when."""
        return [
            {"provider": self.place(v), "pool": self.pool(v), "wave": n, "empty_from": self.at(at)}
            for n, wave in enumerate(self.plan.waves, 1)
            for v, at in wave.freed
        ]

    def left_rows(self) -> list[Row]:
        """Machines that are in no wave, and why; steps of one machine are one row."""
        found = [
            {"machine": self.asked.machines[one.machine], "why": self._why(one), "needs": self._needs(one)}
            for one in self.why_left_out
        ]
        seen: set[int] = set()
        for late in self.plan.unscheduled:
            if late.step.machine not in seen:
                seen.add(late.step.machine)
                found.append({"machine": self.machine(late.step), "why": _late(late), "needs": ""})
        return found

    def torn_rows(self) -> list[Row]:
        """Applications that are not moved within one wave."""
        why = {
            "moves": f"more moves depend on each other than the {self.calendar.most_moves} of a wave",
            "window": "its moves take longer than any later window",
            "downtime": "it would be down for longer than it may be in one window",
            "copies": "a move needs room that a kept copy takes until its wave is confirmed",
        }
        return [
            {
                "application": self.asked.applications[one.app],
                "waves": [n + 1 for n in one.waves],
                "why": why[one.why],
            }
            for one in self.plan.torn
        ]

    def totals(self) -> Row:
        """What all comes to."""
        moves = self.plan.moves
        return {
            "waves": len(self.plan.waves),
            "machines_moved": len({move.step.machine for move in moves if not move.stop}),
            "moves": len(moves),
            "stops": sum(move.stop for move in moves),
            "fewest_stops_proven": self.plan.proven,
            "not_moved": len(self.left_rows()),
            "copied_tib": _decimal(Fraction(sum(move.copy_gib for move in moves), 1024)),
            "weeks": _decimal(Fraction(self.plan.elapsed_s, 7 * 86_400)),
            "dual_running_host_hours": _decimal(Fraction(self.plan.dual_s, 3_600)),
            "freed": sum(len(wave.freed) for wave in self.plan.waves),
            "torn_applications": len(self.plan.torn),
        }

    def machine(self, step: Step) -> str:
        """Its name."""
        return self.asked.machines[step.machine]

    def place(self, v: int) -> str:
        """A provider's name; empty for nowhere."""
        return "" if v == NOWHERE else self.asked.providers[v]

    def pool(self, v: int) -> str:
        """Its pool's name, which commands know."""
        return "" if v == NOWHERE else self.asked.pools[int(self.asked.problem.pool_of[v])]

    def outside(self, step: Step) -> bool:
        """Whether a step begins where nobody knows, so that a person has to carry the machine."""
        return step.source != NOWHERE and self.asked.form.providers[step.source].outside

    def crosses(self, step: Step) -> bool:
        """Whether a step goes from one endpoint to another, which `tierwise vm move` carries."""
        if NOWHERE in {step.source, step.target} or self.outside(step):
            return False
        of = self.asked.carriage.endpoint_of
        return bool(of[step.source] != of[step.target])

    def _wave_row(self, n: int, wave: Wave) -> Row:
        apps = {a for move in wave.moves if (a := int(self.asked.problem.app_of[move.step.machine])) >= 0}
        return {
            "wave": n,
            "begin": self.at(wave.begin_s),
            "end": self.at(wave.end_s),
            "moves": len(wave.moves),
            "gib": wave.copy_gib,
            "longest_down_s": max(move.down_s for move in wave.moves),
            "applications": sorted(self.asked.applications[a] for a in apps),
            "frees": [self.place(v) for v, _ in wave.freed],
        }

    def _move_row(self, n: int, i: int, move: Timed) -> Row:
        step, app = move.step, int(self.asked.problem.app_of[move.step.machine])
        kind = (
            "new"
            if step.source == NOWHERE
            else "retired"
            if step.target == NOWHERE
            else "stop"
            if move.stop
            else "move"
        )
        return {
            "wave": n, "move": i, "machine": self.machine(step),
            "application": self.asked.applications[app] if app >= 0 else "",
            "from": self.place(step.source), "to": self.place(step.target), "kind": kind,
            "begin": self.at(move.begin_s), "end": self.at(move.end_s), "seconds": move.end_s - move.begin_s,
            "gib": move.copy_gib, "mib_s": move.mib_s, "down_s": move.down_s,
        }  # fmt: skip

    def _why(self, one: Reason) -> str:
        name, to = self.asked.machines[one.machine], self.place(int(self.asked.problem.after[one.machine]))
        others = first_few([self.asked.machines[m] for m in one.waits_for])
        short = " and ".join(self._short(short) for short in one.short)
        return {
            "barred": self.blocked.get(name, "it must not move"),
            "large": f"one machine on {to} may not be as large: {short} less would do",
            "apart": f"it must not meet {others} on {to}",
            "end": f"in the end there is not enough room for all that shall be there: {short}",
            "circle": f"{to} lacks {short} while {others} cannot leave it, which wait for room in turn",
            "wait": f"{to} lacks {short}" + (f" until {others} have left" if others else ""),
        }[one.kind]

    def _needs(self, one: Reason) -> str:
        """What would help, where it was tried."""
        return " and ".join(self._short(short) for short in one.enough)

    def _short(self, short: Short) -> str:
        names = self.asked.pools if short.where == "pool" else self.asked.providers
        reserve = " beyond its reserve" if short.where == "pool" else ""
        return f"{short.amount:,} {self.asked.form.resource_classes[short.resource]} on {names[short.position]}{reserve}"


def plan(asked: Asked, more: Sequence[str] = (), app: App | None = None, seed: int = 0) -> Planned:
    """Plan a document; `more` are windows beside its own. With an `app`, moves that are blocked today are left out.

    Raises InvalidInput for windows that cannot be read.
    """
    windows = windows_of(asked.form.windows, asked.form.weekly, asked.form.freezes, more)
    calendar = Calendar(windows, asked.form.most_moves, asked.downtime_s)
    blocked = {} if app is None else blocked_moves(app, asked)
    barred = frozenset(asked.machines.index(name) for name in blocked)
    found = waves(asked.problem, asked.carriage, calendar, barred, seed)
    wrong = breaches(asked.problem, asked.carriage, calendar, found)
    if wrong:
        msg = f"the plan of waves does not hold: {'; '.join(wrong[:20])}"
        raise AssertionError(msg)
    made = Order(
        tuple(move.step for move in found.moves),
        found.left_out,
        sum(m.stop for m in found.moves),
        found.proven,
    )
    late = frozenset(one.step.machine for one in found.unscheduled)
    told = reasons(asked.problem, made, barred | late) if found.left_out else ()
    return Planned(asked, calendar, found, blocked, told)


def blocked_moves(app: App, asked: Asked) -> dict[str, str]:
    """Machine -> why it cannot move between endpoints today, for those that shall."""
    from tierwise.usecases.move import preflight  # noqa: PLC0415 - the durable engine loads for seconds

    found = {}
    problem, endpoint_of = asked.problem, asked.carriage.endpoint_of
    carried = problem.moving & (problem.before != NOWHERE) & (problem.after != NOWHERE)
    for m in np.flatnonzero(carried).tolist():
        here, there = int(problem.before[m]), int(problem.after[m])
        if endpoint_of[here] == endpoint_of[there] or asked.form.providers[here].outside:
            continue
        name = asked.machines[m]
        try:
            said = preflight(app, name, asked.pools[int(problem.pool_of[there])]).blocked
        except TierwiseError as error:
            said = (str(error),)
        if said:
            found[name] = "; ".join(said)
    return found


def _late(late: Unscheduled) -> str:
    return {
        "window": f"its move takes {late.seconds:,} s, longer than any window; give a longer one",
        "downtime": f"its move keeps it down for {late.seconds:,} s, longer than its application may be",
        "calendar": f"no window is left for its move of {late.seconds:,} s; give more windows",
        "before": "it needs room of machines that have no window themselves",
    }[late.why]


def _decimal(number: Fraction) -> str:
    """With two digits, half up; for people."""
    hundredths = (200 * number.numerator + number.denominator) // (2 * number.denominator)
    return f"{hundredths // 100:,}.{hundredths % 100:02}"


def texts(rows: Sequence[Row]) -> Iterator[Row]:
    """Rows for tables and programs: instants as text with their offset."""
    for row in rows:
        yield {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()
        }
