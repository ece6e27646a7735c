"""``tierwise whatif waves``: moves in waves, with times, ways back and the commands that make them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import Fields
from tierwise.cli.output import Format, document, emit, note

if TYPE_CHECKING:
    from tierwise.planner.waves import Planned

WAVES = Fields(
    {
        "wave": "its number",
        "begin": "when its first move begins",
        "end": "when its last move ends, and it is confirmed or rolled back",
        "moves": "its moves",
        "gib": "GiB that are copied",
        "longest_down_s": "the longest that any of its machines is down, in seconds",
        "applications": "whose machines move",
        "frees": "what becomes empty by it",
    },
    ("wave", "begin", "end", "moves", "gib", "longest_down_s", "frees"),
)

_SHOWN = 20
"""Rows that a table of what is not moved has; programs get all."""


def register(group: typer.Typer) -> None:
    """Add the command ``waves`` to a group."""
    group.command(name="waves")(waves)


def waves(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A document of moves (tierwise-moves/1) in JSON.")],
    windows: Annotated[
        list[str] | None,
        typer.Option(
            "--windows", help="When moves may be, beside the document's: FROM/TO in ISO 8601; repeatable."
        ),
    ] = None,
    result: Annotated[
        Path | None,
        typer.Option("--result", "-o", help="Write a workbook (.xlsx) with waves, moves and roll-back."),
    ] = None,
    scripts: Annotated[
        Path | None,
        typer.Option("--scripts", help="Write each wave's commands into this folder: move, confirm, undo."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Ask the hypervisors first; what they block is left out and named."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance starts.")] = 0,
    form: Annotated[
        Format, typer.Option("--output", help="How to print: table, json, yaml or csv.")
    ] = Format.TABLE,
) -> None:
    """Put moves into waves that are feasible at every step, with times and ways back.

    Nothing is moved. A machine that cannot be moved is no error: the answer says what stands in its way.
    """
    from tierwise.planner import waves as planner
    from tierwise.planner.waves_document import load

    if result is not None and result.suffix.lower() != ".xlsx":
        msg = f"{result}: a workbook's name ends in .xlsx; to print in another form say --output json"
        raise typer.BadParameter(msg, param_hint="'--result' / '-o'")
    asked = load(file)
    if check:
        context: Context = ctx.obj
        with context.app() as app_:
            planned = planner.plan(asked, windows or (), app_, seed)
    else:
        planned = planner.plan(asked, windows or (), seed=seed)
    _write(planned, result, scripts)
    _show(planned, form)


def _show(planned: "Planned", form: Format) -> None:
    from tierwise.planner.waves import texts

    rows = list(texts(planned.wave_rows()))
    left = planned.left_rows()
    if form is Format.CSV:
        emit(list(texts(planned.move_rows())), form)
        return
    if form is not Format.TABLE:
        said = {
            **planned.totals(),
            "wave_list": rows,
            "move_list": list(texts(planned.move_rows())),
            "undo_list": planned.undo_rows(),
            "freed_list": list(texts(planned.freed_rows())),
            "not_moved_list": left,
            "torn_list": planned.torn_rows(),
        }
        document(said, form)
        return
    short = [
        {**row, "begin": row["begin"][:16], "end": row["end"][:16], "frees": len(row["frees"])}
        for row in rows
    ]
    emit(short, form, fields=WAVES)
    document(planned.totals(), form)
    if left:
        emit(left[:_SHOWN], form, title="not moved")
    if len(left) > _SHOWN:
        note(f"{len(left) - _SHOWN} more are not shown; --output json has all of them")


def _write(planned: "Planned", result: Path | None, scripts: Path | None) -> None:
    if result is not None:
        from tierwise.planner.waves_xlsx import workbook

        _put(result, workbook(planned))
    if scripts is not None:
        from tierwise.planner.waves_handover import scripts as made
        from tierwise.planner.waves_handover import tables

        files = [*made(planned), *tables(planned)]
        _no_others(scripts, {script.name for script in files})
        for script in files:
            _put(scripts / script.name, script.text.encode())
        note(
            f"{len(planned.plan.waves) * 3} scripts are in {scripts}, with their commands as CSV; nothing was run"
        )


def _no_others(folder: Path, mine: set[str]) -> None:
    """Scripts of another plan beside these would be run as if they belonged to this one."""
    from tierwise.errors import InvalidInput

    others = sorted({path.name for path in folder.glob("wave-*.sh")} - mine)
    if others:
        msg = f"{folder} holds scripts of another plan: {', '.join(others[:5])}; remove them, or name another folder"
        raise InvalidInput(msg)


def _put(path: Path, content: bytes) -> None:
    from tierwise.errors import InvalidInput
    from tierwise.reports.files import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{path.parent}: cannot be made: {error.strerror}; choose another folder, or make room"
        raise InvalidInput(msg) from error
    write_whole(path, content)
