"""``tierwise pool``: what machines can be placed on, and what each pool can do."""

from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, emit, stderr

app = typer.Typer(help="Show pools, their room and their capabilities.", no_args_is_help=True)

Refresh = Annotated[bool, typer.Option("--refresh/--no-refresh", help="Ask the endpoints first.")]


@app.command(name="list")
def list_(ctx: typer.Context, refresh: Refresh = True, output: Output = Format.TABLE) -> None:
    """List pools with their room and state."""
    from catalog.resources import ResourceClass, Resources  # noqa: PLC0415 - keeps --help quick
    from tierwise.usecases.observe import observe  # noqa: PLC0415 - as above
    from tierwise.usecases.place import estate  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        if refresh:
            observe(app_)
        on = estate(app_)
        entries = app_.documents.catalog.pools
        seen = {pool.name: pool for pool in on.pools}
        rows = []
        for name, entry in entries.items():
            pool = seen.get(name)
            used = on.allocated.get(name, Resources())
            room = {
                f"{rc.value}_free": pool.capacity(rc) - used.amount(rc) if pool else None
                for rc in ResourceClass
            }
            rows.append(
                {
                    "pool": name,
                    "tier": entry.tier,
                    "hypervisor": pool.hypervisor.label if pool else "?",
                    "site": entry.site,
                    "endpoint": entry.endpoint,
                    "hosts": len(pool.hosts) if pool else None,
                    **room,
                    "state": on.unusable.get(name, "ready"),
                }
            )
    emit(rows, output)


@app.command()
def capabilities(
    ctx: typer.Context,
    pool: Annotated[str | None, typer.Argument(help="One pool; all of them without it.")] = None,
    refresh: Refresh = True,
    output: Output = Format.TABLE,
) -> None:
    """Show what each pool can do, and why not where it cannot."""
    from catalog.capabilities import Capability  # noqa: PLC0415 - keeps --help quick
    from tierwise.errors import InvalidInput  # noqa: PLC0415 - as above
    from tierwise.usecases.observe import join, observe, views  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        if pool is not None and pool not in app_.documents.catalog.pools:
            msg = f"there is no pool '{pool}'; known are {', '.join(app_.documents.catalog.pools)}"
            raise InvalidInput(msg)
        found = observe(app_) if refresh else views(app_)
        seen = join(app_.documents.catalog, found, app_.clock.now())
        chosen = [p for p in seen.pools if pool in {None, p.name}]
        for name, why in seen.unusable.items():
            if pool in {None, name}:
                stderr().print(f"pool {name}: {why}", markup=False)
        rows = []
        for each in chosen:
            for capability in Capability:
                gap = each.capabilities.gap(capability)
                rows.append(
                    {
                        "pool": each.name,
                        "hypervisor": each.hypervisor.label,
                        "capability": capability.value,
                        "available": "yes" if gap is None else "no",
                        "reason": gap.reason.value if gap else "",
                        "detail": gap.detail if gap else "",
                    }
                )
    emit(rows, output)
