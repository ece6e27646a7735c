"""Waves as commands: one script to move, one to confirm and one to go back, and the same as rows."""

import csv
import io
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from placement.waves.problem import NOWHERE
from placement.waves.state import Step
from tierwise.planner.waves import Planned, Row
from tierwise.reports.words import harmless

HEAD = "#!/bin/sh\n# {title}, wave {n} of {of}: {what}\n# {begin} to {end}; a command that fails ends the script.\nset -eu\n"


@dataclass(frozen=True)
class Script:
    """A file for a shell. `name` has no folder."""

    name: str
    text: str


def command_rows(planned: Planned) -> list[Row]:
    """One row a move: the command that makes it, the one that confirms it, and the one that goes back.

    A command that begins with ``#`` is for a person: tierwise carries machines between endpoints, and what happens
    within one is done by its hypervisor.
    """
    return [
        {
            "wave": n,
            "move": i,
            "machine": planned.machine(move.step),
            "command": _forth(planned, move.step),
            "confirm": _confirm(planned, move.step),
            "undo": _back(planned, move.step),
        }
        for n, wave in enumerate(planned.plan.waves, 1)
        for i, move in enumerate(wave.moves, 1)
    ]


def scripts(planned: Planned) -> Iterator[Script]:
    """Three for each wave; commands one after another, which is feasible too. Going back is in reverse order."""
    rows = command_rows(planned)
    digits = max(2, len(str(len(planned.plan.waves))))
    for n in range(1, len(planned.plan.waves) + 1):
        mine = [row for row in rows if row["wave"] == n]
        name = f"wave-{n:0{digits}}"
        yield Script(f"{name}.sh", _script(planned, n, "move", [row["command"] for row in mine]))
        confirms = [row["confirm"] for row in mine if row["confirm"]]
        yield Script(
            f"{name}-confirm.sh", _script(planned, n, "remove the copies that moves kept", confirms)
        )
        undos = [row["undo"] for row in reversed(mine)]
        yield Script(f"{name}-undo.sh", _script(planned, n, "go back to before it", undos))


def tables(planned: Planned) -> Iterator[Script]:
    """The commands of each wave as CSV, for other programs; no cell is run as a formula by a spreadsheet."""
    rows = command_rows(planned)
    digits = max(2, len(str(len(planned.plan.waves))))
    for n in range(1, len(planned.plan.waves) + 1):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        mine = [row for row in rows if row["wave"] == n]
        writer.writerow(mine[0])
        writer.writerows([harmless(str(cell)) for cell in row.values()] for row in mine)
        yield Script(f"wave-{n:0{digits}}.csv", text.getvalue())


def _script(planned: Planned, n: int, what: str, commands: list[str]) -> str:
    wave = planned.plan.waves[n - 1]
    begin, end = (planned.at(at).isoformat() for at in (wave.begin_s, wave.end_s))
    title = _one_line(planned.asked.form.title)
    head = HEAD.format(title=title, n=n, of=len(planned.plan.waves), what=what, begin=begin, end=end)
    return head + "".join(f"{command}\n" for command in commands or ["# nothing to do"])


def _forth(planned: Planned, step: Step) -> str:
    name, pool = planned.machine(step), planned.pool(step.target)
    if planned.crosses(step):
        return _command(name, f"--to {shlex.quote(pool)} --yes")
    if step.source == NOWHERE:
        return _for_a_person(f"make {name} on {planned.place(step.target)}")
    if step.target == NOWHERE:
        return _for_a_person(
            f"retire {name}, which is on {planned.place(step.source)}: it does not come back"
        )
    return _for_a_person(
        f"migrate {name} from {planned.place(step.source)} to {planned.place(step.target)}"
    )


def _confirm(planned: Planned, step: Step) -> str:
    name = planned.machine(step)
    if planned.outside(step) and step.target != NOWHERE:
        return _for_a_person(f"remove {name} where it ran before: {planned.place(step.source)}")
    return _command(name, "--confirm --yes") if planned.crosses(step) else ""


def _back(planned: Planned, step: Step) -> str:
    if planned.crosses(step):
        return _command(planned.machine(step), "--undo --yes")
    if NOWHERE in {step.source, step.target}:
        what = "remove" if step.source == NOWHERE else "bring back"
        return _for_a_person(f"{what} {planned.machine(step)}")
    return _for_a_person(
        f"migrate {planned.machine(step)} from {planned.place(step.target)} to {planned.place(step.source)}"
    )


def _command(name: str, options: str) -> str:
    """A name that looks like an option stands behind all options."""
    if name.startswith("-"):
        return f"tierwise vm move {options} -- {shlex.quote(name)}"
    return f"tierwise vm move {shlex.quote(name)} {options}"


def _for_a_person(text: str) -> str:
    return f"# by hand: {_one_line(text)}"


def _one_line(text: str) -> str:
    """No name ends a comment and begins a command."""
    return "".join(c if c.isprintable() else " " for c in text)
