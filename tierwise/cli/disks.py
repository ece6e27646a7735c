"""``tierwise vm disks``, ``add-disk``, ``grow-disk`` and ``remove-disk``: the disks of a machine that is there."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context, progress
from tierwise.cli.fields import VM_DISKS, Columns, Sort, view
from tierwise.cli.output import Format, Output, emit, note
from tierwise.cli.sure import ask

if TYPE_CHECKING:
    from connectors.contract import Disk

GIB = 2**30

Name = Annotated[str, typer.Argument(help="The machine's name, or the start of its id.")]
SizeGib = Annotated[int, typer.Option("--size-gib", min=1, help="The disk's size in GiB.")]


def disks(
    ctx: typer.Context,
    name: Name,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List the disks that a machine has at its hypervisor."""
    from catalog.wording import counted
    from tierwise.usecases.disks import listed

    context: Context = ctx.obj
    with context.app() as app_:
        found = listed(app_, name)
    emit([_row(disk) for disk in found], output, fields=VM_DISKS, view=view(columns, sort))
    note(f"{name} has {counted(len(found), 'disk')}")


def add_disk(
    ctx: typer.Context,
    name: Name,
    disk: Annotated[str, typer.Argument(help="What to call it: up to 20 of a-z, 0-9 and dashes.")],
    size_gib: SizeGib,
) -> None:
    """Give a machine one more, empty disk, without stopping it where that can be done."""
    from uuid import uuid4

    from tierwise.usecases.disks import add

    context: Context = ctx.obj
    with context.working() as app_, progress(f"adding disk {disk} to {name}"):
        add(app_, uuid4(), name, disk, size_gib)
    note(f"{name} has disk {disk} of {size_gib} GiB; its guest makes a file system on it")


def grow_disk(
    ctx: typer.Context,
    name: Name,
    disk: Annotated[str, typer.Argument(help="Its name, or its key, as `vm disks` shows them.")],
    size_gib: SizeGib,
) -> None:
    """Let one disk of a machine grow, without stopping it where that can be done."""
    from uuid import uuid4

    from tierwise.usecases.disks import grow

    context: Context = ctx.obj
    with context.working() as app_, progress(f"growing disk {disk} of {name}"):
        grow(app_, uuid4(), name, disk, size_gib)
    note(f"disk {disk} of {name} has {size_gib} GiB; its guest lets the file system grow")


def remove_disk(
    ctx: typer.Context,
    name: Name,
    disk: Annotated[str, typer.Argument(help="Its name, or its key, as `vm disks` shows them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one disk of a machine, which add-disk added, and all that is on it."""
    from uuid import uuid4

    from tierwise.usecases.disks import remove

    consequence = "this removes the disk and all that is on it"
    ask(f"Remove disk {disk} of {name} and all that is on it?", consequence, yes=yes)
    context: Context = ctx.obj
    with context.working() as app_, progress(f"removing disk {disk} of {name}"):
        remove(app_, uuid4(), name, disk)
    note(f"disk {disk} of {name} is removed; its statement charges it until now")


def _row(disk: "Disk") -> dict[str, Any]:
    return {
        "disk": disk.name,
        "key": disk.key,
        "size_gib": -(-disk.size_bytes // GIB),
        "bus": disk.bus,
        "size_bytes": disk.size_bytes,
    }
