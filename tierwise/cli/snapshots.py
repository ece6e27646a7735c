"""``tierwise vm snapshots``, ``snapshot``, ``revert``, ``delete-snapshot``: what a machine was, and going back to it."""

from typing import Annotated

import typer

from tierwise.cli.context import Context, progress
from tierwise.cli.disks import Name
from tierwise.cli.fields import VM_SNAPSHOTS, Columns, Sort, view
from tierwise.cli.output import Format, Output, emit, note
from tierwise.cli.sure import ask

Snapshot = Annotated[str, typer.Argument(help="Its name, as `vm snapshots` shows it.")]


def snapshots(
    ctx: typer.Context,
    name: Name,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List the snapshots that a machine has at its hypervisor, the oldest first."""
    from datetime import UTC

    from catalog.wording import counted
    from tierwise.usecases.snapshots import listed

    context: Context = ctx.obj
    with context.app() as app_:
        found = listed(app_, name)
    rows = [
        {
            "snapshot": one.name,
            "position": at,
            "taken_at": one.taken_at.astimezone(UTC).isoformat(timespec="seconds"),
            "parent": one.parent,
            "current": "yes" if one.current else "no",
        }
        for at, one in enumerate(found, 1)
    ]
    emit(rows, output, fields=VM_SNAPSHOTS, view=view(columns, sort))
    note(f"{name} has {counted(len(found), 'snapshot')}")


def snapshot(
    ctx: typer.Context,
    name: Name,
    snapshot: Annotated[str, typer.Argument(help="What to call it: up to 80 characters.")],
) -> None:
    """Take a snapshot of a machine as it is now, to go back to."""
    from uuid import uuid4

    from tierwise.usecases.snapshots import take

    context: Context = ctx.obj
    with context.working() as app_, progress(f"taking snapshot {snapshot} of {name}"):
        take(app_, uuid4(), name, snapshot)
    note(f"{name} has snapshot {snapshot}; its storage keeps what changes from now on beside it")


def revert(
    ctx: typer.Context,
    name: Name,
    snapshot: Snapshot,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Bring a machine back to a snapshot; what it wrote since then is lost."""
    from uuid import uuid4

    from catalog.resources import ResourceClass, Resources
    from tierwise.cli.words import amounts
    from tierwise.usecases import snapshots as usecase

    question = f"Bring {name} back to snapshot {snapshot}, and lose what it wrote since?"
    ask(question, "what the machine wrote since the snapshot is lost by this", yes=yes)
    context: Context = ctx.obj
    with context.working() as app_, progress(f"bringing {name} back to snapshot {snapshot}"):
        row = usecase.revert(app_, uuid4(), name, snapshot)
    size = Resources(**{rc.value: getattr(row, rc.value) for rc in ResourceClass})
    note(f"{row.name} is back at snapshot {snapshot}: it is {row.power}, with {amounts(size)}")


def delete_snapshot(
    ctx: typer.Context,
    name: Name,
    snapshot: Snapshot,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete one snapshot of a machine, which stays as it is, and so do its other snapshots."""
    from uuid import uuid4

    from tierwise.usecases.snapshots import delete

    question = f"Delete snapshot {snapshot} of {name}? Nobody can go back to it then."
    ask(question, "this deletes the snapshot, to which nobody can go back then", yes=yes)
    context: Context = ctx.obj
    with context.working() as app_, progress(f"deleting snapshot {snapshot} of {name}"):
        delete(app_, uuid4(), name, snapshot)
    note(f"snapshot {snapshot} of {name} is deleted")
