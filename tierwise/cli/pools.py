"""``tierwise pool``: what machines can be placed on, and what each pool can do."""

from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import CAPABILITIES, EVERYTHING, POOLS, TEMPLATES, Columns, Sort, view
from tierwise.cli.output import Format, Output, emit, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from catalog.pools import Pool

app = typer.Typer(help="Show pools, their room and their capabilities.", no_args_is_help=True)

OnePool = Annotated[str | None, typer.Argument(help="One pool; all of them without it.")]
Refresh = Annotated[bool, typer.Option("--refresh/--no-refresh", help="Ask the endpoints first.")]


@app.command(name="list")
def list_(
    ctx: typer.Context,
    refresh: Refresh = True,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List pools with their room and state."""
    from catalog.resources import ResourceClass, Resources
    from tierwise.usecases.observe import observe
    from tierwise.usecases.place import estate

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
                    "traits": ", ".join(sorted(pool.traits if pool else entry.traits)),
                    "state": "unusable" if name in on.unusable else "ready",
                    "why": on.unusable.get(name, ""),
                }
            )
    emit(rows, output, fields=POOLS, view=view(columns, sort))
    _tell(on.unusable)


@app.command()
def capabilities(
    ctx: typer.Context,
    pool: OnePool = None,
    refresh: Refresh = True,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """Show what each pool can do, and why not where it cannot."""
    pools, unusable = _seen(ctx.obj, pool, refresh=refresh)
    rows = [row for each in pools for row in _capability_rows(each)]
    wanted = view(columns, sort)
    if pool is None and output is Format.TABLE and wanted == EVERYTHING:
        emit(_matrix(rows), output)
        note("why not: `tierwise pool capabilities POOL`")
    else:
        emit(rows, output, fields=CAPABILITIES, view=wanted)
    _tell(unusable)


@app.command()
def templates(
    ctx: typer.Context,
    pool: OnePool = None,
    refresh: Refresh = True,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List the templates that each pool makes machines of."""
    pools, unusable = _seen(ctx.obj, pool, refresh=refresh)
    rows = [row for each in pools for row in _template_rows(each)]
    emit(rows, output, fields=TEMPLATES, view=view(columns, sort))
    _tell(unusable)


def _tell(unusable: "Mapping[str, str]") -> None:
    for name, why in unusable.items():
        note(f"{name}: {why}")


def _seen(context: Context, pool: str | None, *, refresh: bool) -> "tuple[list[Pool], Mapping[str, str]]":
    """One pool or all of them as last seen, and why those are unusable that are."""
    from tierwise.cli.words import must_be_known
    from tierwise.usecases.observe import join, observe, views

    with context.app() as app_:
        must_be_known("pool", pool, app_.documents.catalog.pools)
        found = observe(app_) if refresh else views(app_)
        seen = join(app_.documents.catalog, found, app_.clock.now())
    wanted = [each for each in seen.pools if pool in {None, each.name}]
    return wanted, {name: why for name, why in seen.unusable.items() if pool in {None, name}}


def _template_rows(pool: "Pool") -> "Iterator[dict[str, object]]":
    for template in sorted(pool.templates, key=lambda one: one.trait):
        yield {
            "pool": pool.name,
            "template": template.trait,
            "minimum_disk_gib": template.minimum_disk_gib,
            "firmware": template.firmware.value if template.firmware else "",
            "size_bytes": template.size_bytes,
        }


def _capability_rows(pool: "Pool") -> "Iterator[dict[str, str]]":
    from catalog.capabilities import Capability

    for capability in Capability:
        gap = pool.capabilities.gap(capability)
        yield {
            "pool": pool.name,
            "hypervisor": pool.hypervisor.label,
            "capability": capability.value,
            "available": "yes" if gap is None else "no",
            "reason": gap.reason.value if gap else "",
            "detail": gap.detail if gap else "",
        }


def _matrix(rows: "Iterable[Mapping[str, str]]") -> list[dict[str, str]]:
    """One row a capability, one column a pool; a cell is ``yes`` or the reason."""
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        line = table.setdefault(row["capability"], {"capability": row["capability"]})
        line[row["pool"]] = row["reason"] or row["available"]
    return list(table.values())
