"""``tierwise vm``: one inventory over all hypervisors, and what can be done to a machine."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, document, emit, stderr
from tierwise.cli.pools import Refresh

app = typer.Typer(help="List machines and change them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The machine's name, or the start of its id.")]

_COLUMNS = ("machine", "tenant", "tier", "pool", "power", "vcpu", "memory_mib", "disk_gib", "host", "drift")


@app.command(name="list")
def list_(
    ctx: typer.Context,
    refresh: Refresh = True,
    tier: Annotated[str | None, typer.Option(help="Only machines on this tier.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only machines of this tenant.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also machines that tierwise did not make.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the machines of every endpoint together."""
    from tierwise.usecases.inventory import Drift, inventory  # noqa: PLC0415 - keeps --help quick
    from tierwise.usecases.observe import observe  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        if refresh:
            observe(app_)
        found = inventory(app_)
    chosen = [
        machine
        for machine in found.machines
        if tier in {None, machine.tier}
        and tenant in {None, machine.tenant}
        and (all_ or machine.drift is not Drift.UNKNOWN)
    ]
    unknown = sum(machine.drift is Drift.UNKNOWN for machine in found.machines)
    emit([_row(machine) for machine in chosen], output, columns=_COLUMNS)
    note = "" if all_ or not unknown else f"; {unknown} more were not made by tierwise (--all shows them)"
    stderr().print(f"{len(chosen)} machines over {found.endpoints} endpoints{note}", markup=False)
    for name, why in found.stale.items():
        stderr().print(f"{name}: {why}", markup=False)


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
def show(ctx: typer.Context, name: Name, refresh: Refresh = True, output: Output = Format.YAML) -> None:
    """Show one machine, what can be done with it, and what cannot and why."""
    from catalog.capabilities import Capability  # noqa: PLC0415 - keeps --help quick
    from tierwise.store.orders import find_machine  # noqa: PLC0415 - as above
    from tierwise.usecases.inventory import gap_of, inventory  # noqa: PLC0415 - as above
    from tierwise.usecases.metering import history  # noqa: PLC0415 - as above
    from tierwise.usecases.observe import observe  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        with app_.session() as session:
            row = find_machine(session, name)
        if refresh:
            observe(app_, row.endpoint)
        machine = next(m for m in inventory(app_).machines if m.identity == row.id)
        gaps = {c.value: str(gap) for c in Capability if (gap := gap_of(app_, row, c)) is not None}
        value = {**_row(machine), "not_available": gaps, "events": history(app_, row.id)}
    document(value, output)


@app.command()
def power(
    ctx: typer.Context,
    name: Name,
    action: Annotated[str, typer.Argument(help="on, off, shutdown or suspend.")],
) -> None:
    """Switch a machine on or off, ask its guest to shut down, or suspend it."""
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from connectors.contract import PowerAction  # noqa: PLC0415 - as above
    from tierwise.errors import InvalidInput  # noqa: PLC0415 - as above
    from tierwise.usecases import change  # noqa: PLC0415 - as above

    actions = {
        "on": PowerAction.ON,
        "off": PowerAction.OFF,
        "shutdown": PowerAction.SHUTDOWN,
        "suspend": PowerAction.SUSPEND,
    }
    if action not in actions:
        msg = f"'{action}' is no power action; use {', '.join(actions)}"
        raise InvalidInput(msg)
    context: Context = ctx.obj
    with context.working() as app_:
        change.power(app_, uuid4(), name, actions[action])
    stderr().print(f"{name}: {action} done", markup=False)


@app.command()
def resize(
    ctx: typer.Context,
    name: Name,
    vcpu: Annotated[int, typer.Option(min=0, help="Virtual processors; 0: as it is.")] = 0,
    memory_mib: Annotated[int, typer.Option(min=0, help="Memory in MiB; 0: as it is.")] = 0,
    disk_gib: Annotated[int, typer.Option(min=0, help="Disk in GiB; 0: as it is. It can only grow.")] = 0,
) -> None:
    """Give a machine other resources."""
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from catalog.resources import Resources  # noqa: PLC0415 - as above
    from tierwise.usecases import change  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.working() as app_:
        change.resize(app_, uuid4(), name, Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib))
    stderr().print(f"{name}: resized", markup=False)


@app.command()
def delete(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a machine and its disks."""
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from tierwise.usecases import change  # noqa: PLC0415 - as above

    if not yes:
        typer.confirm(f"Remove machine {name} and its disks?", abort=True, err=True)
    context: Context = ctx.obj
    with context.working() as app_:
        change.delete(app_, uuid4(), name)
    stderr().print(f"{name}: removed", markup=False)


@app.command()
def owner(
    ctx: typer.Context,
    name: Name,
    tenant: Annotated[str, typer.Option("--tenant", help="Who owns it from then on.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            help="From this moment on (UTC); now without it. A past moment corrects issued statements.",
            formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
        ),
    ] = None,
) -> None:
    """Give a machine to another tenant, also from a moment in the past."""
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from tierwise.usecases.owner import change_owner  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        change_owner(app_, uuid4(), name, tenant, since.replace(tzinfo=UTC) if since else None)
    stderr().print(f"{name} belongs to {tenant}", markup=False)
