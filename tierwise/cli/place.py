"""``tierwise place``: placement instances from files, without an estate."""

from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.output import Format, emit

app = typer.Typer(help="Solve placement instances from files.", no_args_is_help=True)


@app.callback()
def _place() -> None:
    """Keep ``solve`` a word of its own while it is the only one."""


@app.command()
def solve(
    file: Annotated[Path, typer.Argument(help="An instance: a .npz file with a column 'kind'.")],
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=0.1, help="Seconds to search for.")
    ] = 10.0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance starts.")] = 0,
    result: Annotated[
        Path | None,
        typer.Option("--result", "-o", help="Write 'assignment' and 'bound' to this .npz file."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--output", help="How to print: table, json, yaml or csv.")
    ] = Format.TABLE,
) -> None:
    """Solve an instance and say how far from the best possible the answer can be."""
    import time

    from tierwise.instances.contract import Effort, read
    from tierwise.instances.contract import solve as solve_columns

    begin, spent = time.monotonic(), time.process_time()
    kind, solved = solve_columns(read(file), Effort(time_limit, seed, begin), file)
    gap = (solved.objective - solved.bound) / solved.objective if solved.objective else 0.0
    if result is not None:
        _write(result, solved.assignment, solved.bound)
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


def _write(path: Path, assignment: object, bound: int) -> None:
    import numpy as np

    from tierwise.errors import InvalidInput

    try:
        with path.open("wb") as file:  # By name, numpy would add .npz to a name without it.
            np.savez_compressed(file, assignment=np.asarray(assignment), bound=np.int64(bound))
    except OSError as error:
        msg = f"{path}: the result cannot be written: {error.strerror}"
        raise InvalidInput(msg) from error
