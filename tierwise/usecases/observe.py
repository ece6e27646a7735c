"""Looking at every endpoint, and joining what is seen with what administrators wrote."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from catalog.catalog import Catalog
from catalog.pools import Pool, PoolEntry
from catalog.resources import Inventory, ResourceClass
from connectors.contract import Connector, EndpointSnapshot, PoolSnapshot, VmView
from connectors.errors import ConnectorError
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import orders as order_store
from tierwise.store import views as view_store
from tierwise.store.views import EndpointView
from tierwise.usecases.following import Looks


@dataclass(frozen=True)
class SeenPools:
    """The pools that a plan may count on, and why the others are left out."""

    pools: tuple[Pool, ...]
    unusable: Mapping[str, str]
    """Pool name -> why it cannot take machines now (endpoint down, never seen, provider gone)."""


_looks: WeakKeyDictionary[Connector, Looks] = WeakKeyDictionary()
"""A feed's place is known to the connector that asked for it; the looks go when the connector does."""


def observe(app: App, only: str | None = None) -> dict[str, EndpointView]:
    """Probe the endpoints side by side and remember what was seen; failures keep the last view."""
    names = app.endpoints.names if only is None else (app.endpoints.get(only).name,)
    if names:
        with ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="probe") as pool:
            looks = list(pool.map(lambda name: (app.clock.now(), _look(app, name)), names))
        with app.session() as session:
            order_store.lock(session)  # Others may look at the same moment.
            for name, (began_at, result) in zip(names, looks, strict=True):
                if view_store.is_overtaken(session, name, began_at, app.clock.now()):
                    continue
                if isinstance(result, str):
                    view_store.save_failed(session, name, began_at, result)
                else:
                    view_store.save_seen(session, name, began_at, *result)
            session.commit()
    return views(app)


def views(app: App) -> dict[str, EndpointView]:
    """The last view of every endpoint of the catalog, without asking any of them."""
    with app.session() as session:
        ours = order_store.identities(session)
        known = view_store.load_views(session, ours)
    return {name: known[name] for name in app.endpoints.names if name in known}


def _look(app: App, name: str) -> tuple[EndpointSnapshot, tuple[VmView, ...]] | str:
    try:
        with app.endpoints.lease(name) as connector:
            return _looks.setdefault(connector, Looks()).look(connector)
    except (ConnectorError, InvalidInput) as error:
        return str(error)


def join(catalog: Catalog, seen: Mapping[str, EndpointView], now: datetime) -> SeenPools:
    """The catalog's pools with the capacity and capabilities that their endpoints reported."""
    pools: list[Pool] = []
    unusable: dict[str, str] = {}
    for entry in catalog.pools.values():
        view = seen.get(entry.endpoint)
        snapshot = _snapshot_of(entry, view)
        if snapshot is None:
            unusable[entry.name] = _why_absent(entry, view)
        else:
            assert view is not None
            pools.append(_pool(catalog, entry, snapshot, view.generation))
            if view.error is not None:
                unusable[entry.name] = f"endpoint '{entry.endpoint}' {age(view, now)}: {view.error}"
    return SeenPools(tuple(pools), unusable)


def _snapshot_of(entry: PoolEntry, view: EndpointView | None) -> PoolSnapshot | None:
    if view is None or view.snapshot is None:
        return None
    return next((p for p in view.snapshot.pools if p.provider == entry.provider), None)


def _why_absent(entry: PoolEntry, view: EndpointView | None) -> str:
    if view is None:
        return f"endpoint '{entry.endpoint}' was never asked; `tierwise pool list --refresh` asks it"
    if view.snapshot is None:
        return f"endpoint '{entry.endpoint}' was never reached: {view.error}"
    reported = ", ".join(p.provider for p in view.snapshot.pools) or "none"
    return (
        f"endpoint '{entry.endpoint}' has no provider '{entry.provider}'; it reports {reported}; "
        "correct 'provider' in the pool's entry"
    )


def age(view: EndpointView, now: datetime) -> str:
    """How long ago the endpoint was seen, in words."""
    if view.seen_at is None:
        return "never seen"
    minutes = int((now - view.seen_at).total_seconds() // 60)
    if minutes < 1:
        return "last seen less than a minute ago"
    if minutes < 120:
        return f"last seen {minutes} min ago"
    hours = minutes // 60
    return f"last seen {hours} h ago" if hours < 48 else f"last seen {hours // 24:,} days ago"


def _pool(catalog: Catalog, entry: PoolEntry, snapshot: PoolSnapshot, generation: int) -> Pool:
    site = catalog.sites[entry.site]
    return Pool(
        name=entry.name,
        tier=entry.tier,
        hypervisor=snapshot.hypervisor,
        endpoint=entry.endpoint,
        provider=entry.provider,
        site=site.name,
        country=site.country,
        inventories={rc: _inventory(entry, snapshot, rc) for rc in ResourceClass},
        hosts=snapshot.hosts,
        traits=entry.traits | snapshot.traits,
        templates=snapshot.templates,
        capabilities=snapshot.capabilities,
        generation=generation,
    )


def _inventory(entry: PoolEntry, snapshot: PoolSnapshot, resource_class: ResourceClass) -> Inventory:
    total = snapshot.total.amount(resource_class)
    ratio = entry.allocation_ratio.get(resource_class)
    # A pool that shrank below its reserve has nothing to give, which is no mistake in a document.
    reserved = min(entry.reserved.amount(resource_class), total)
    if ratio is None:
        return Inventory(total=total, reserved=reserved)
    return Inventory(total=total, reserved=reserved, allocation_ratio=ratio)
