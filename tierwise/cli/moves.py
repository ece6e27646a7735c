"""``tierwise vm move`` and ``vm moves``: a machine to another hypervisor, and back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context, progress
from tierwise.cli.fields import PREFLIGHT, VM_MOVES, Columns, Sort, view
from tierwise.cli.output import Format, Output, emit, note
from tierwise.cli.sure import ask

if TYPE_CHECKING:
    from tierwise.app import App
    from tierwise.usecases.move import Preflight

Name = Annotated[str, typer.Argument(help="The machine's name, or the start of its id.")]


def move(
    ctx: typer.Context,
    name: Name,
    to: Annotated[str, typer.Option("--to", help="The pool to move to, at another endpoint.")] = "",
    confirm: Annotated[bool, typer.Option("--confirm", help="Remove the copy that a move kept.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to the copy that a move kept.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what the move would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Move a machine to another hypervisor; its copy is kept until you confirm."""
    if sum(map(bool, (to, confirm, undo))) != 1:
        msg = "say one of --to POOL, --confirm or --undo"
        raise typer.BadParameter(msg)
    context: Context = ctx.obj
    with context.working() as app_:
        if to:
            _start(app_, name, to, plan=plan, yes=yes, output=output)
        else:
            _end(app_, name, undo=undo, yes=yes)


def moves(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also moves that are at their end.")] = False,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List the moves that are under way or wait to be confirmed."""
    from catalog.wording import counted
    from tierwise.usecases.move import listed

    context: Context = ctx.obj
    with context.app() as app_:
        rows = listed(app_, everything=all_)
    emit(rows, output, fields=VM_MOVES, view=view(columns, sort))
    note(counted(len(rows), "move"))


def _start(app_: "App", name: str, to: str, *, plan: bool, yes: bool, output: Format) -> None:
    from time import sleep
    from uuid import uuid4

    from dbos import WorkflowStatusString

    from tierwise.jobs.runtime import current
    from tierwise.usecases import move as usecase

    checked = usecase.preflight(app_, name, to)
    emit(_rows(checked), output, fields=PREFLIGHT)
    if plan:
        return
    if not checked.blocked:
        _ask(f"Move {checked.machine.name} from {checked.machine.pool} to {to}?", yes=yes)
    move_id = uuid4()
    handle = usecase.start(move_id, checked)
    with progress(f"moving {name}") as report:
        while handle.get_status().status in {
            WorkflowStatusString.PENDING.value,
            WorkflowStatusString.ENQUEUED.value,
        }:
            _, done, total = current().progress.get(f"move:{move_id}", ("", 0, 0))
            report(done, total)
            sleep(0.1)
    usecase.finish(handle.get_result(), checked.machine)
    note(
        f"{checked.machine.name} is in pool {to} now; its copy in {checked.machine.pool} is kept, switched off: "
        f"`tierwise vm move {checked.machine.name} --confirm` removes it, --undo goes back to it"
    )


def _end(app_: "App", name: str, *, undo: bool, yes: bool) -> None:
    from uuid import uuid4

    from tierwise.usecases import move as usecase

    if undo:
        _ask(f"Go back to the copy that was kept? What {name} wrote since it was moved is lost.", yes=yes)
        with progress(f"undoing the move of {name}"):
            row = usecase.undo(app_, uuid4(), name)
        note(f"{name} is in pool {row.source_pool} again, as it was when the move began")
        return
    _ask(f"Remove the copy of {name} that the move kept?", yes=yes)
    with progress(f"removing the copy of {name}"):
        row = usecase.confirm(app_, uuid4(), name)
    note(f"{name} is in pool {row.target_pool}; its copy in {row.source_pool} is removed")


def _ask(question: str, *, yes: bool) -> None:
    ask(question, "this stops or removes a machine", yes=yes)


def _rows(checked: "Preflight") -> list[dict[str, Any]]:
    return [{"kind": line.kind.value, "subject": line.subject, "text": line.text} for line in checked.lines]
