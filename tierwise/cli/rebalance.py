"""``tierwise place rebalance``: a running estate made better by moves that cost something themselves."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.output import Format, document, stderr
from tierwise.cli.targets import check_writable

if TYPE_CHECKING:
    from placement.rebalance.solve import Step


def rebalance(
    model: Annotated[Path, typer.Argument(help="The model: resources, machines, services, processes.")],
    assignment: Annotated[
        Path, typer.Argument(help="The machine of each process today, from 0, between white space.")
    ],
    result: Annotated[
        Path | None, typer.Option("--result", "-o", help="Write the new assignment to this file.")
    ] = None,
    files: Annotated[
        str, typer.Option("--format", help="The files' format; roadef is the ROADEF/EURO challenge 2012's.")
    ] = "roadef",
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            min=0.1,
            max=10_000_000,
            help="Seconds to search for; 60 if neither limit is given.",
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            "--iterations",
            min=1,
            help="Moves that each of two chains tries; the same number gives the same answer.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance starts.")] = 0,
    form: Annotated[
        Format, typer.Option("--output", help="How to print: table, json, yaml or csv.")
    ] = Format.TABLE,
) -> None:
    """Move processes between machines so that load, balance and the moves cost the least.

    Prints what the result costs by term, and the bound that no assignment is below.
    """
    import time

    from tierwise.errors import InvalidInput
    from tierwise.usecases import rebalance as use

    begin, spent = time.monotonic(), time.process_time()
    if files not in set(use.Form):
        msg = f"--format: '{files}' is not known; known is {', '.join(use.Form)}"
        raise InvalidInput(msg)
    check_writable(result)
    problem = use.load(model, assignment)
    limit_s = 60.0 if time_limit is None and iterations is None else time_limit
    console = stderr()
    with console.status("looking for moves") as status:

        def tell(step: "Step") -> None:
            status.update(f"{step.stage}: {step.objective:,}, no less than {step.bound:,}")

        found = use.solve(
            problem, seed=seed, clock=time.monotonic, begin_s=begin, time_limit_s=limit_s, moves=iterations,
            tell=tell if console.is_terminal else None,
        )  # fmt: skip
    took = {
        "seconds": round(time.monotonic() - begin, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
    }
    document({**use.summary(found), **took}, form)
    if result is not None:  # After it was shown: an answer is not lost with the disk that was full.
        use.write(result, found)
