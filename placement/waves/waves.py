"""An order of moves into waves: which moves together, in which window, and when each begins.

A wave is filled with parts (`needs.parts`) that still fit into its window, its number of moves and its applications'
downtime; a part that does not waits for the next wave, while others that do not depend on it go before. Within a wave
each move begins at the first instant at which what it needs has been done and its links, providers and endpoints have
enough left. A part is torn only where it would fit into no later window either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from placement.waves.needs import Needs, needs, parts
from placement.waves.order import Order, order
from placement.waves.problem import NOWHERE, Calendar, Carriage, MoveProblem, fits_together
from placement.waves.result import Timed, Torn, Unscheduled, Wave, WavePlan
from placement.waves.shorter import shorter
from placement.waves.state import Step
from placement.waves.timing import Bookings, Run, run_of, union_s

Part = tuple[int, ...]
"""Positions in the order."""

FEW = 300
"""Moves up to which several orders are put into waves, of which the best plan is kept."""
TRIES = 8
"""Of these orders."""
MOST_MISSES = 300
"""Parts that are tried in vain before a wave is closed."""


def waves(
    problem: MoveProblem,
    carriage: Carriage,
    calendar: Calendar,
    barred: frozenset[int] = frozenset(),
    seed: int = 0,
) -> WavePlan:
    """Order the moves and put them into waves; `barred` machines stay. Raises InvalidProblem for columns that do not fit.

    The same arguments give the same plan.
    """
    fits_together(problem, carriage, calendar)
    never = _hopeless(problem, carriage, calendar)
    barred |= frozenset(one.step.machine for one in never)
    first = order(problem, carriage, barred, seed)
    plan = in_waves(problem, carriage, calendar, first)
    for n in range(1, TRIES if int(problem.moving.sum()) <= FEW else 1):
        found = order(problem, carriage, barred, seed + n * 1_000, shuffled=True)
        same = (len(found.left_out), found.stops) == (len(first.left_out), first.stops)
        other = in_waves(problem, carriage, calendar, replace(found, proven=first.proven and same))
        if _worth(other) > _worth(plan):
            plan = other
    known = {one.step.machine for one in never}
    return replace(
        plan,
        left_out=tuple(m for m in plan.left_out if m not in known),
        unscheduled=(*never, *plan.unscheduled),
    )


def _worth(plan: WavePlan) -> tuple[int, ...]:
    """Fewer machines left out, stops, steps without a time, torn applications, seconds and waves: the greater the better."""
    stops = sum(move.stop for move in plan.moves)
    missing, late = len(plan.left_out), len(plan.unscheduled)
    return -missing, -stops, -late, -len(plan.torn), -plan.elapsed_s, -len(plan.waves)


def _hopeless(problem: MoveProblem, carriage: Carriage, calendar: Calendar) -> tuple[Unscheduled, ...]:
    """Machines whose move alone takes longer than any window, or keeps its application down for too long."""
    longest = max((end - begin for begin, end in calendar.windows), default=0)
    found = []
    for m in np.flatnonzero(problem.moving).tolist():
        step = Step(m, int(problem.before[m]), int(problem.after[m]))
        run, app = run_of(carriage, step), int(problem.app_of[m])
        if calendar.windows and run.duration_s > longest:
            found.append(Unscheduled(step, run.duration_s, "window"))
        elif calendar.downtime_s is not None and app >= 0 and 0 <= calendar.downtime_s[app] < run.down_s:
            found.append(Unscheduled(step, run.down_s, "downtime"))
    return tuple(found)


def in_waves(problem: MoveProblem, carriage: Carriage, calendar: Calendar, found: Order) -> WavePlan:
    """The waves of an order."""
    packing = _Packing(problem, carriage, calendar, found.steps)
    packing.run()
    return WavePlan(
        waves=tuple(_waves(problem, packing)),
        left_out=found.left_out,
        unscheduled=tuple(packing.unscheduled()),
        torn=tuple(_torn(packing)),
        proven=found.proven,
    )


@dataclass
class _Open:
    """A wave while it is filled."""

    number: int
    window: int
    begin: int
    end: int
    """Of the window."""
    bookings: Bookings = field(default_factory=Bookings)
    times: dict[int, int] = field(default_factory=dict)
    """Step -> when it begins."""
    why: str = ""
    """What the last part that was not taken did not fit into."""


class _Packing:
    """The whole order, and what of it is in waves so far."""

    def __init__(
        self, problem: MoveProblem, carriage: Carriage, calendar: Calendar, steps: Sequence[Step]
    ) -> None:
        self.calendar, self.steps = calendar, steps
        self.keeps: list[bool] = [carriage.keeps(*step) for step in steps]
        self.app: list[int] = [int(problem.app_of[s.machine]) for s in steps]
        self.runs: list[Run] = [run_of(carriage, step) for step in steps]
        self.needs: Needs = needs(problem, steps)
        found = parts(problem, steps, self.needs, self.keeps)
        self.parts: list[Part] = sorted(
            found, key=lambda part: (-len(part), part)
        )  # What is large is hard to fit in.
        self.wave_of: dict[int, int] = {}
        self.filled: list[_Open] = []
        self.why_torn: dict[int, str] = {}
        self.why_not: dict[int, str] = {}
        for app in {app for app in self.app if app >= 0}:
            if len({n for n, part in enumerate(self.parts) if any(self.app[i] == app for i in part)}) > 1:
                self.why_torn[app] = "copies"

    def run(self) -> None:
        """Window after window, wave after wave."""
        window, at = 0, None
        while self.parts and window < len(self.calendar.windows):
            begin, end = self.calendar.windows[window]
            wave = _Open(len(self.filled), window, begin if at is None else at, end)
            self._fill(wave)
            if not wave.times:
                self._tear(wave, fresh=at is None)
            if wave.times:
                self._shorten(wave)
                self.filled.append(wave)
                at = max(wave.times[i] + self.runs[i].duration_s for i in wave.times)
            else:
                window, at = window + 1, None

    def unscheduled(self) -> Iterator[Unscheduled]:
        """Steps of no wave."""
        for i in sorted(i for part in self.parts for i in part):
            yield Unscheduled(self.steps[i], self.runs[i].duration_s, self.why_not.get(i) or self._why(i))

    def _fill(self, wave: _Open) -> None:
        """Part after part, again from the first while any is taken that others may have waited for."""
        more, misses = True, 0
        while more and self.parts and misses < MOST_MISSES:
            rest: list[Part] = []
            for n, part in enumerate(self.parts):
                if len(wave.times) == self.calendar.most_moves or misses == MOST_MISSES:
                    rest += self.parts[n:]
                    break
                ready = self._is_ready(part, wave)
                if not ready or self._add(part, wave) < len(part):
                    misses += ready
                    rest.append(part)
            more, self.parts = len(rest) < len(self.parts), rest

    def _shorten(self, wave: _Open) -> None:
        """Put its moves into a better sequence; what became free at its end is left to the next wave."""

        def holds(times: dict[int, int]) -> bool:
            apps = {self.app[i] for i in times}
            return not any(self._down_too_long(app, times, wave.window) for app in apps)

        wave.times = shorter(wave.times, self.runs, self.needs, wave.begin, holds, wave.number)

    def _is_ready(self, part: Part, wave: _Open) -> bool:
        """Whether all that must be before is in an earlier wave, or in this one; places of kept copies: in an earlier one."""
        inside = set(part)
        for i in part:
            for j in self.needs[i]:
                before = self.wave_of.get(j, wave.number if j in inside else wave.number + 1)
                if before + self.keeps[j] > wave.number:
                    return False
        return True

    def _add(self, part: Part, wave: _Open, *, some: bool = False) -> int:
        """Put a part into a wave, or with `some` as many of its first steps as fit; says how many are in it then."""
        done: list[int] = []
        if not some and len(wave.times) + len(part) > self.calendar.most_moves:
            wave.why = "moves"
            return 0
        for i in part:
            if not self._place(i, wave):
                break
            done.append(i)
        if len(done) < len(part) and not some:
            for i in reversed(done):
                self._take_back(i, wave)
            return 0
        return len(done)

    def _place(self, i: int, wave: _Open) -> bool:
        run = self.runs[i]
        if len(wave.times) >= self.calendar.most_moves:
            wave.why = "moves"
            return False
        ready = [wave.begin]
        ready += [wave.times[j] + self.runs[j].duration_s for j in self.needs[i] if j in wave.times]
        at = wave.bookings.earliest(max(ready), run)
        if at + run.duration_s > wave.end:
            wave.why = "window"
            return False
        wave.times[i] = at
        if self._down_too_long(self.app[i], wave.times, wave.window):
            del wave.times[i]
            wave.why = "downtime"
            return False
        wave.bookings.book(at, run)
        self.wave_of[i] = wave.number
        return True

    def _take_back(self, i: int, wave: _Open) -> None:
        wave.bookings.book(wave.times.pop(i), self.runs[i], -1)
        del self.wave_of[i]

    def _down_too_long(self, app: int, times: dict[int, int], window: int) -> bool:
        """In a window, with its earlier waves."""
        limits = self.calendar.downtime_s
        if app < 0 or limits is None or limits[app] < 0:
            return False
        every = [times, *(wave.times for wave in self.filled if wave.window == window)]
        ends = [
            (at + self.runs[i].duration_s, self.runs[i].down_s)
            for some in every
            for i, at in some.items()
            if self.app[i] == app
        ]
        return union_s([(end - down, end) for end, down in ends if down]) > int(limits[app])

    def _tear(self, wave: _Open, *, fresh: bool) -> None:
        """No part fits as a whole: the first that would not fit into a `fresh` or a longer window either is divided."""
        for n, part in enumerate(self.parts):
            if not self._is_ready(part, wave):
                continue
            if self._add(part, wave) == len(part):  # Not tried before, as so many others were in vain.
                del self.parts[n]
                return
            if wave.why != "moves" and not fresh:
                continue
            if wave.why == "window" and self._has_longer(wave):
                continue
            count = self._add(part, wave, some=True)
            if count:
                self.why_torn |= {self.app[i]: wave.why for i in part if self._is_divided(i, part, count)}
                self.parts[n : n + 1] = [part[count:]]
                return
            self.why_not[part[0]] = wave.why
        return

    def _is_divided(self, i: int, part: Part, count: int) -> bool:
        """Whether an application's steps are on both sides of a division."""
        app = self.app[i]
        sides = [any(self.app[j] == app for j in side) for side in (part[:count], part[count:])]
        return app >= 0 and all(sides) and app not in self.why_torn

    def _has_longer(self, wave: _Open) -> bool:
        length = wave.end - wave.begin
        return any(end - begin > length for begin, end in self.calendar.windows[wave.window + 1 :])

    def _why(self, i: int) -> str:
        rest = {j for part in self.parts for j in part} - {i}
        if any(j in rest for j in self.needs[i]):
            return "before"
        return "calendar"


def _waves(problem: MoveProblem, packing: _Packing) -> Iterator[Wave]:
    position = problem.before.copy()
    empty_at = _empty_at(problem, packing)
    for wave in packing.filled:
        moves = []
        for i, begin in sorted(wave.times.items(), key=lambda one: (one[1], one[0])):
            run, step = packing.runs[i], packing.steps[i]
            stop = step.target != int(problem.after[step.machine])
            end = begin + run.duration_s
            moves.append(Timed(step, begin, end, run.copy_gib, run.mib_s, run.down_s, stop))
            position[step.machine] = step.target
        after = position.copy()
        after.setflags(write=False)
        freed = sorted((at, v) for v, (number, at) in empty_at.items() if number == wave.number)
        yield Wave(wave.window, tuple(moves), after, tuple((v, at) for at, v in freed))


def _empty_at(problem: MoveProblem, packing: _Packing) -> dict[int, tuple[int, int]]:
    """Provider -> the wave and the instant from which on it has no machine; of those only that had one."""
    position = problem.before.copy()
    last: dict[int, tuple[int, int]] = {}
    for wave in packing.filled:
        ends = {i: at + packing.runs[i].duration_s for i, at in wave.times.items()}
        confirmed = max(ends.values())
        for i in sorted(ends, key=lambda i: (wave.times[i], i)):
            step = packing.steps[i]
            position[step.machine] = step.target
            if step.source != NOWHERE:
                at = confirmed if packing.keeps[i] else ends[i]
                last[step.source] = max(last.get(step.source, (0, 0)), (wave.number, at))
    used = set(position.tolist())
    began = set(problem.before.tolist())
    return {v: at for v, at in last.items() if v not in used and v in began}


def _torn(packing: _Packing) -> Iterator[Torn]:
    found: dict[int, set[int]] = {}
    for i, wave in packing.wave_of.items():
        if packing.app[i] >= 0:
            found.setdefault(packing.app[i], set()).add(wave)
    for app in sorted(app for app, numbers in found.items() if len(numbers) > 1):
        yield Torn(app, tuple(sorted(found[app])), packing.why_torn[app])
