"""``tierwise vm``: one inventory over all hypervisors, and what can be done to a machine."""

import sys
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli import disks, moves, snapshots
from tierwise.cli.context import Context, progress
from tierwise.cli.fields import MACHINES, Columns, Sort, view
from tierwise.cli.moments import METAVAR, moment
from tierwise.cli.output import Format, Output, document, emit, note, visible
from tierwise.cli.pools import Refresh
from tierwise.cli.sure import ask

if TYPE_CHECKING:
    from tierwise.app import App

app = typer.Typer(help="List machines, change and move them.", no_args_is_help=True)
app.command()(moves.move)
app.command(name="moves")(moves.moves)
app.command(name="disks")(disks.disks)
app.command(name="add-disk")(disks.add_disk)
app.command(name="grow-disk")(disks.grow_disk)
app.command(name="remove-disk")(disks.remove_disk)
app.command(name="snapshots")(snapshots.snapshots)
app.command(name="snapshot")(snapshots.snapshot)
app.command(name="revert")(snapshots.revert)
app.command(name="delete-snapshot")(snapshots.delete_snapshot)

Name = Annotated[str, typer.Argument(help="The machine's name, or the start of its id.")]


@app.command(name="list")
def list_(
    ctx: typer.Context,
    refresh: Refresh = True,
    tier: Annotated[str | None, typer.Option(help="Only machines on this tier.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only machines of this tenant.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also machines that tierwise did not make.")] = False,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List the machines of every endpoint together."""
    from catalog.wording import counted
    from tierwise.cli.words import must_be_known
    from tierwise.usecases.inventory import Drift, inventory
    from tierwise.usecases.observe import observe

    context: Context = ctx.obj
    with context.app() as app_:
        found = inventory(app_, observe(app_) if refresh else None)
        catalog = app_.documents.catalog
    must_be_known("tier", tier, [*catalog.tiers, *(machine.tier for machine in found.machines)])
    must_be_known("tenant", tenant, [*catalog.tenants, *(machine.tenant for machine in found.machines)])
    fitting = [m for m in found.machines if tier in {None, m.tier} and tenant in {None, m.tenant}]
    chosen = [m for m in fitting if all_ or m.drift is not Drift.UNKNOWN]
    emit([_row(machine) for machine in chosen], output, fields=MACHINES, view=view(columns, sort))
    left_out = len(fitting) - len(chosen)
    hidden = f"; {left_out:,} more not made by tierwise (--all shows them)" if left_out else ""
    endpoints = counted(found.endpoints, "endpoint")
    note(f"{counted(len(chosen), 'machine')} over {endpoints}{hidden}")
    for name, why in found.stale.items():
        note(f"{name}: {why}")


def _row(machine: Any) -> dict[str, Any]:
    return {
        "machine": machine.name,
        "tenant": machine.tenant,
        "tier": machine.tier,
        "pool": machine.pool,
        "power": machine.power.value,
        "vcpu": machine.resources.vcpu,
        "memory_mib": machine.resources.memory_mib,
        "disk_gib": machine.resources.disk_gib,
        "host": machine.host,
        "drift": machine.drift.value,
        "endpoint": machine.endpoint,
        "identity": machine.identity,
        "seen_at": machine.seen_at.isoformat() if machine.seen_at else None,
    }


@app.command()
def watch(
    ctx: typer.Context,
    poll_s: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds between two looks at a change feed.")
    ] = 2,
    list_s: Annotated[
        float,
        typer.Option(
            min=0.1, max=86_400, help="The same for endpoints that have no feed, or do not answer."
        ),
    ] = 30,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Follow every endpoint until Ctrl-C, and tell each change of a machine as it happens."""
    import dataclasses
    import json
    import threading

    from tierwise.usecases.watch import Told, follow

    context: Context = ctx.obj
    stop = threading.Event()
    with context.app() as app_:

        def tell(told: Told) -> None:
            at = app_.clock.now().isoformat(timespec="seconds")
            if json_:
                line = json.dumps({"at": at, **dataclasses.asdict(told)}, ensure_ascii=False)
            else:
                parts = (at, told.endpoint, told.what.value, told.machine, told.text)
                line = "  ".join(part for part in parts if part)
            typer.echo(visible(line))
            sys.stdout.flush()

        try:
            follow(app_, tell, stop, poll_s=poll_s, list_s=list_s)
        except KeyboardInterrupt:
            stop.set()
            note("stopped")


@app.command()
def show(ctx: typer.Context, name: Name, refresh: Refresh = True, output: Output = Format.YAML) -> None:
    """Show one machine, what can be done with it, and what cannot and why."""
    from catalog.capabilities import Capability
    from tierwise.store.orders import find_machine
    from tierwise.usecases.inventory import gap_of, inventory
    from tierwise.usecases.metering import history
    from tierwise.usecases.observe import observe

    context: Context = ctx.obj
    with context.app() as app_:
        with app_.session() as session:
            row = find_machine(session, name)
        seen = observe(app_, row.endpoint) if refresh else None
        machine = next(m for m in inventory(app_, seen).machines if m.identity == row.id)
        gaps = {c.value: str(gap) for c in Capability if (gap := gap_of(app_, row, c)) is not None}
        value = {
            **_row(machine),
            "differs": list(machine.differs),
            "annotations": dict(machine.annotations),
            "not_available": gaps,
            "events": history(app_, row.id),
        }
    document(value, output)


class Action(StrEnum):
    """What can be done to a machine's power."""

    ON = "on"
    OFF = "off"
    SHUTDOWN = "shutdown"
    SUSPEND = "suspend"


@app.command()
def power(
    ctx: typer.Context,
    name: Name,
    action: Annotated[
        Action, typer.Argument(help="on, off (at once), shutdown (asks the guest) or suspend.")
    ],
) -> None:
    """Switch a machine on or off, ask its guest to shut down, or suspend it."""
    from uuid import uuid4

    from connectors.contract import PowerAction
    from tierwise.usecases import change

    context: Context = ctx.obj
    with context.working() as app_:
        with progress(f"{action.value} {name}"):
            change.power(app_, uuid4(), name, PowerAction[action.name])
        _say_what_it_is(app_, name)


@app.command()
def resize(
    ctx: typer.Context,
    name: Name,
    vcpu: Annotated[int, typer.Option(min=0, max=2**53, help="Virtual processors; 0: as it is.")] = 0,
    memory_mib: Annotated[int, typer.Option(min=0, max=2**53, help="Memory in MiB; 0: as it is.")] = 0,
    disk_gib: Annotated[
        int, typer.Option(min=0, max=2**53, help="Disk in GiB; 0: as it is. It can only grow.")
    ] = 0,
) -> None:
    """Give a machine other resources."""
    from uuid import uuid4

    from catalog.resources import Resources
    from tierwise.usecases import change

    if not (vcpu or memory_mib or disk_gib):
        msg = "say what it shall have: --vcpu, --memory-mib or --disk-gib"
        raise typer.BadParameter(msg)
    context: Context = ctx.obj
    with context.working() as app_:
        wanted = Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib)
        with progress(f"resizing {name}"):
            change.resize(app_, uuid4(), name, wanted)
        _say_what_it_is(app_, name)


@app.command()
def migrate(
    ctx: typer.Context,
    name: Name,
    host: Annotated[str, typer.Argument(help="A host of the machine's own pool.")],
) -> None:
    """Bring a machine to another host of its pool, without stopping it."""
    from uuid import uuid4

    from tierwise.usecases import change

    context: Context = ctx.obj
    with context.working() as app_:
        with progress(f"migrating {name}"):
            change.migrate(app_, uuid4(), name, host)
        note(f"{name} is on host {host}")


@app.command("migrate-storage")
def migrate_storage(
    ctx: typer.Context,
    name: Name,
    storage: Annotated[
        str,
        typer.Argument(
            help="A datastore, storage repository, folder or storage pool, as its hypervisor names it."
        ),
    ],
) -> None:
    """Bring a machine's disk to another storage of its pool, without stopping it."""
    from uuid import uuid4

    from tierwise.usecases import change

    context: Context = ctx.obj
    with context.working() as app_:
        with progress(f"moving the disk of {name}"):
            change.migrate_storage(app_, uuid4(), name, storage)
        note(f"{name} has its disk on {storage}")


def _say_what_it_is(app_: "App", name: str) -> None:
    from catalog.resources import ResourceClass, Resources
    from tierwise.cli.words import amounts
    from tierwise.store.orders import find_machine

    with app_.session() as session:
        row = find_machine(session, name)
    size = Resources(**{rc.value: getattr(row, rc.value) for rc in ResourceClass})
    note(f"{row.name} is {row.power} in pool {row.pool}: {amounts(size)}")


@app.command()
def delete(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a machine and its disks."""
    from uuid import uuid4

    from tierwise.usecases import change

    ask(f"Remove machine {name} and its disks?", "this removes the machine and its disks", yes=yes)
    context: Context = ctx.obj
    with context.working() as app_, progress(f"removing {name}"):
        change.delete(app_, uuid4(), name)
    note(f"{name} is removed; its statement charges it until now")


@app.command()
def owner(
    ctx: typer.Context,
    name: Name,
    tenant: Annotated[str, typer.Option("--tenant", help="Who owns it from then on.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            help="From this moment on (UTC); now without it. A past moment corrects issued statements.",
            parser=moment,
            metavar=METAVAR,
        ),
    ] = None,
) -> None:
    """Give a machine to another tenant, also from a moment in the past."""
    from uuid import uuid4

    from tierwise.usecases.owner import change_owner

    context: Context = ctx.obj
    with context.app() as app_:
        change_owner(app_, uuid4(), name, tenant, since)
    note(f"{name} belongs to {tenant}")


@app.command()
def tag(
    ctx: typer.Context,
    name: Name,
    tags: Annotated[
        list[str] | None,
        typer.Argument(help="env=prod sets a tag, env= takes it away; without any, those there are shown."),
    ] = None,
    output: Output = Format.YAML,
) -> None:
    """Tag a machine at its hypervisor, or show the tags that it has there."""
    from uuid import uuid4

    from tierwise.usecases import tagging

    changes = _pairs(tags or [], "tag")
    context: Context = ctx.obj
    with context.working() as app_:
        if changes:
            with progress(f"tagging {name}"):
                tagging.tag(app_, uuid4(), name, changes)
        found = dict(sorted(tagging.tags(app_, name).items()))
    document(found, output)


def _pairs(texts: list[str], what: str) -> dict[str, str]:
    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            msg = f"'{text}' is no {what}; write it like env=prod"
            raise typer.BadParameter(msg)
        changes[key] = value
    return changes


@app.command()
def label(
    ctx: typer.Context,
    name: Name,
    labels: Annotated[list[str], typer.Argument(help="env=prod sets a label, env= takes it away.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            help="From this moment on (UTC); now without it. A past moment corrects issued statements.",
            parser=moment,
            metavar=METAVAR,
        ),
    ] = None,
) -> None:
    """Label a machine, so that bills are grouped and priced by it; also for the past."""
    from uuid import uuid4

    from tierwise.usecases.label import change_labels

    changes = _pairs(labels, "label")
    context: Context = ctx.obj
    with context.app() as app_:
        found = change_labels(app_, uuid4(), name, changes, since)
    note(f"{name} has {', '.join(f'{key}={value}' for key, value in sorted(found.items())) or 'no labels'}")
