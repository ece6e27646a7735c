"""``tierwise place``: placement problems from files, without an estate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli import rebalance
from tierwise.cli.output import Format, document, emit, note, stderr, write
from tierwise.cli.targets import check_writable

if TYPE_CHECKING:
    from placement.outcome import Listener
    from placement.plan import Plan
    from placement.problem import PlacementProblem

app = typer.Typer(help="Solve, check and explain placement problems from files.", no_args_is_help=True)
app.command()(rebalance.rebalance)

Form = Annotated[Format, typer.Option("--output", help="How to print: table, json, yaml or csv.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance starts.")]
_SHOWN = 20
"""Rows of unplaced requests and of breaches that a table has; programs get all."""


@app.command()
def solve(
    file: Annotated[
        Path, typer.Argument(help="A problem: a JSON document, or an instance in columns (.npz).")
    ],
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=0.1, max=10_000_000, help="Seconds to search for.")
    ] = 10.0,
    seed: Seed = 0,
    way: Annotated[
        str | None,
        typer.Option("--way", help="Solve in this way instead of the one that suits the problem."),
    ] = None,
    result: Annotated[
        Path | None,
        typer.Option("--result", "-o", help="Write the plan to this file, in the form of the problem."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Write why not elsewhere for placed requests too.")
    ] = False,
    form: Form = Format.TABLE,
) -> None:
    """Solve a placement problem and say how far from the best possible the answer can be.

    A request that finds no place is no error: the answer says what stands against it.
    """
    import time

    begin, spent = time.monotonic(), time.process_time()
    check_writable(result)
    if file.suffix.lower() == ".npz":
        _must_be_plain(way, explain=explain)
        _solve_columns(file, time_limit, seed, result, form, begin, spent)
        return
    from placement.plan import Limits
    from tierwise.usecases import place_file

    problem = place_file.load(file)
    left = max(0.1, begin + time_limit - time.monotonic())
    limits = Limits(deterministic_time=time_limit, time_limit_s=left, seed=seed)
    with _progress(problem) as tell:
        plan = place_file.solve(problem, limits, way=way, tell=tell, clock=time.monotonic)
    took = {
        "seconds": round(time.monotonic() - begin, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
    }
    _show(plan, took, form)
    if result is not None:  # After it was shown: an answer is not lost with the disk that was full.
        place_file.write(result, place_file.written(plan, explain=explain))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The problem: a JSON document.")],
    plan: Annotated[
        Path, typer.Argument(help="The plan: what `place solve -o` wrote, or the same from elsewhere.")
    ],
    form: Form = Format.TABLE,
) -> None:
    """Check a plan against its problem without a solver: every rule, and every sum it states.

    A plan that does not hold ends with 5, and each breach is printed.
    """
    from catalog.wording import counted
    from placement.document import InvalidDocument
    from tierwise.errors import InvalidInput, RefusedByPolicy
    from tierwise.usecases import place_check, place_file

    problem = place_file.load(file)
    try:
        said = place_check.read(place_file.read_bytes(plan))
    except InvalidDocument as error:
        msg = f"{plan}: {counted(len(error.problems), 'problem')}; nothing was checked"
        raise InvalidInput(msg, details=error.problems) from None
    found = place_check.check(problem, said)
    facts = {"placed": found.placed, "unplaced": found.unplaced, "terms": dict(found.terms)}
    if form is not Format.TABLE:
        document({"holds": not found.breaches, **facts, "breaches": list(found.breaches)}, form)
    elif found.breaches:
        _emit_some([{"breach": text} for text in found.breaches], "breaches")
    else:
        document({"holds": True, **facts}, form)
    if found.breaches:
        msg = (
            f"{plan} does not hold: {counted(len(found.breaches), 'breach').replace('breachs', 'breaches')}"
        )
        raise RefusedByPolicy(msg)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="The problem: a JSON document.")],
    requests: Annotated[
        list[str] | None,
        typer.Argument(help="Requests or groups; all that have no place where none are named."),
    ] = None,
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=0.1, max=10_000_000, help="Seconds to search for.")
    ] = 10.0,
    seed: Seed = 0,
    form: Form = Format.TABLE,
) -> None:
    """Say of requests why they are there, why not elsewhere, and what would help.

    Where not all requests have a place, a smallest set of facts that cannot all be true is told too.
    """
    import time

    from placement.conflict import conflict
    from placement.plan import Limits
    from tierwise.errors import NoPlace
    from tierwise.usecases import place_explain, place_file

    problem = place_file.load(file)
    limits = Limits(deterministic_time=time_limit, time_limit_s=time_limit, seed=seed)
    try:
        with _progress(problem) as tell:
            plan = place_file.solve(problem, limits, tell=tell, clock=time.monotonic)
    except NoPlace:
        why = conflict(problem, limits)
        if form is not Format.TABLE:
            document(place_explain.said((), why), form)
        elif why is not None:
            write("\n".join(place_explain.conflict_lines(why)) + "\n")
        raise
    wanted = place_explain.chosen(problem, plan, requests or [])
    why = conflict(problem, limits) if plan.unplaced and not requests else None
    if form is not Format.TABLE:
        document(place_explain.said(wanted, why), form)
        return
    if not wanted:
        note("every request has a place; name one to see why it is there")
    for one in wanted[:_SHOWN]:
        write("\n".join(place_explain.lines(problem, one)) + "\n")
    if len(wanted) > _SHOWN:
        note(f"{len(wanted) - _SHOWN} more requests are not shown; name them, or --output json has all")
    if why is not None:
        write("\n" + "\n".join(place_explain.conflict_lines(why)) + "\n")


@app.command()
def generate(
    result: Annotated[
        Path | None, typer.Option("--result", "-o", help="Write to this file instead of stdout.")
    ] = None,
    requests: Annotated[
        int, typer.Option("--requests", min=1, max=1_000_000, help="How many machines.")
    ] = 200,
    hosts: Annotated[int, typer.Option("--hosts", min=4, max=100_000, help="How many hosts.")] = 20,
    fill: Annotated[
        int,
        typer.Option("--fill", min=1, max=200, help="Percent of the hosts' vCPU that machines ask for."),
    ] = 75,
    seed: Seed = 0,
) -> None:
    """Make up a realistic problem; the same seed makes the same.

    Applications with their components, tenants with quotas, racks, licences, and machines that run today.
    """
    from placement.document import write as document_of
    from placement.generator import estate
    from tierwise.usecases import place_file

    text = place_file.as_text(document_of(estate(seed, requests, hosts, fill_percent=fill)))
    if result is None:
        write(text)
    else:
        place_file.write(result, text)


@app.command()
def schema() -> None:
    """Print the JSON Schema of placement problems, with every installed kind of constraint."""
    import json

    from placement.document import schema as schema_of

    write(json.dumps(schema_of(), indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _progress(problem: "PlacementProblem") -> "Iterator[Listener | None]":
    """The best answer and its bound on stderr while the search lasts; on a pipe there is none."""
    from tierwise.usecases.place_file import progress_in_words

    console = stderr()
    if not console.is_terminal:
        yield None
        return
    with console.status("looking for a plan") as status:
        yield lambda progress: status.update(progress_in_words(problem, progress))


def _show(plan: "Plan", took: dict[str, Any], form: Format) -> None:
    from tierwise.usecases import place_file

    unplaced = place_file.unplaced(plan)
    said = place_file.summary(plan)
    if form is not Format.TABLE:
        document({**said, **place_file.exact_summary(plan), **took, "unplaced_requests": unplaced}, form)
        return
    document({**said, **took}, form)
    if unplaced:
        write("\n")
        _emit_some(unplaced, "unplaced requests")
    if plan.preempted:
        note(
            f"given up, so that others of higher priority have a place: {', '.join(plan.preempted[:_SHOWN])}"
        )


def _emit_some(rows: list[dict[str, Any]], what: str) -> None:
    emit(rows[:_SHOWN], Format.TABLE, title=what)
    if len(rows) > _SHOWN:
        note(f"{len(rows) - _SHOWN} more {what} are not shown; --output json has all of them")


def _must_be_plain(way: str | None, *, explain: bool) -> None:
    given = "--way" if way is not None else "--explain" if explain else ""
    if given:
        msg = f"an instance in columns (.npz) is solved in one way and not explained; leave out {given}"
        raise typer.BadParameter(msg, param_hint=f"'{given}'")


def _solve_columns(
    file: Path, time_limit: float, seed: int, result: Path | None, form: Format, begin: float, spent: float
) -> None:
    import time

    from tierwise.instances.contract import Effort, read
    from tierwise.instances.contract import solve as solve_columns

    kind, solved = solve_columns(read(file), Effort(time_limit, seed, begin), file)
    gap = (solved.objective - solved.bound) / solved.objective if solved.objective else 0.0
    row = {
        "kind": kind,
        "objective": solved.objective,
        "unplaced": solved.unplaced,
        "bound": solved.bound,
        "gap_percent": round(100 * gap, 5),
        "seconds": round(time.monotonic() - begin, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
    }
    emit([row], form)
    if result is not None:
        _write_columns(result, solved.assignment, solved.bound)


def _write_columns(path: Path, assignment: object, bound: int) -> None:
    import numpy as np

    from tierwise.errors import InvalidInput

    try:
        with path.open("wb") as file:  # By name, numpy would add .npz to a name without it.
            np.savez_compressed(file, assignment=np.asarray(assignment), bound=np.int64(bound))
    except OSError as error:
        msg = f"{path}: the result cannot be written: {error.strerror}; check its folder, rights and free space"
        raise InvalidInput(msg) from error
