"""The estate that tierwise sees itself: the machines and pools of every endpoint as last seen."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from catalog.estates import (
    DroppedRow,
    Estate,
    EstateDatastore,
    EstateHost,
    EstateMachine,
    EstatePool,
    PowerState,
)
from chargeback.events import in_order
from connectors.contract import PoolSnapshot
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.estates.rvtools.machines import unlike
from tierwise.store import events as event_store
from tierwise.store.views import EndpointView
from tierwise.usecases.inventory import Drift, Inventory, Machine, inventory
from tierwise.usecases.metering import fact
from tierwise.usecases.observe import views

_NOT_HERE = frozenset({Drift.GONE, Drift.KEPT, Drift.COMING, Drift.STUCK})
"""What is not a machine of the estate, or is one that stands elsewhere in it already."""
_MIB_PER_GIB = 1024


def live(app: App, seen: Mapping[str, EndpointView] | None = None) -> Estate:
    """What runs at the endpoints of the catalog, by whoever it was made.

    `seen` is what `observe` just gave; without it the last views are read. Raises InvalidInput where no endpoint was
    ever seen.
    """
    seen = views(app) if seen is None else seen
    found = inventory(app, seen)
    if not found.machines and not any(view.snapshot for view in seen.values()):
        msg = "no endpoint was ever seen; `tierwise pool list --refresh` asks them, or name a file with --from"
        raise InvalidInput(msg)
    pools = dict(_pools(app, seen))
    here = [one for one in found.machines if one.drift not in _NOT_HERE]
    return Estate(
        name="live",
        source="the live inventory",
        taken_at=min((view.seen_at for view in seen.values() if view.seen_at is not None), default=None),
        machines=tuple(_machines(app, here, pools)),
        hosts=tuple(_hosts(pools)),
        pools=tuple(pool for pool, _ in pools.values()),
        datastores=tuple(_disks(pools)),
        dropped=tuple(
            DroppedRow(where=f"endpoint {one.endpoint}", name=one.name, reason=str(one.drift))
            for one in found.machines
            if one.drift in _NOT_HERE
        ),
        notes=tuple(_notes(found)),
    )


Pools = Mapping[str, tuple[EstatePool, PoolSnapshot]]


def _pools(
    app: App, seen: Mapping[str, EndpointView]
) -> Iterator[tuple[str, tuple[EstatePool, PoolSnapshot]]]:
    """By the name that the inventory gives a machine's pool: the catalog's, or the provider's own."""
    catalog = app.documents.catalog
    entries = {(one.endpoint, one.provider): one for one in catalog.pools.values()}
    for view in seen.values():
        for snapshot in view.snapshot.pools if view.snapshot else ():
            entry = entries.get((view.endpoint, snapshot.provider))
            name = entry.name if entry else snapshot.provider
            labels = {"endpoint": view.endpoint, "provider": snapshot.provider}
            labels |= {"tier": entry.tier} if entry else {}
            pool = EstatePool(
                name=name, hypervisor=snapshot.hypervisor, site=entry.site if entry else "", labels=labels
            )
            yield name, (pool, snapshot)


def _hosts(pools: Pools) -> Iterator[EstateHost]:
    taken: set[str] = set()
    for pool, snapshot in pools.values():
        for host in snapshot.hosts:
            name = unlike(host.name, taken, [f"({pool.name})"])
            taken.add(name)
            yield EstateHost(
                name=name,
                pool=pool.name,
                site=pool.site,
                sockets=host.sockets,
                cores=host.cores or host.resources.vcpu,
                cores_are_threads=not host.cores and host.resources.vcpu > 0,
                memory_mib=host.resources.memory_mib,
                in_maintenance=not host.usable,
            )


def _disks(pools: Pools) -> Iterator[EstateDatastore]:
    """A pool's disk as one datastore, as endpoints report it."""
    for pool, snapshot in pools.values():
        if snapshot.total.disk_gib:
            yield EstateDatastore(
                name=pool.name,
                capacity_mib=snapshot.total.disk_gib * _MIB_PER_GIB,
                in_use_mib=snapshot.used.disk_gib * _MIB_PER_GIB,
                kind="pool",
                hosts=tuple(host.name for host in snapshot.hosts),
            )


def _machines(app: App, machines: Iterable[Machine], pools: Pools) -> Iterator[EstateMachine]:
    labels = _labels(app)
    taken: set[str] = set()
    for one in machines:
        identity = unlike(one.identity, taken, [one.endpoint])
        taken.add(identity)
        tier = {"tier": one.tier} if one.tier else {}
        yield EstateMachine(
            id=identity,
            name=one.name,
            power=PowerState(one.power.value),
            vcpus=one.resources.vcpu,
            memory_mib=one.resources.memory_mib,
            provisioned_mib=one.resources.disk_gib * _MIB_PER_GIB,
            host=one.host,
            pool=one.pool,
            site=pools[one.pool][0].site if one.pool in pools else "",
            tenant=one.tenant,
            application=labels.get(one.identity, {}).get("application", ""),
            labels={"endpoint": one.endpoint, **tier, **labels.get(one.identity, {})},
        )


def _labels(app: App) -> dict[str, Mapping[str, str]]:
    """Machine -> its labels today: what was ordered, and its tags."""
    with app.session() as session:
        rows = event_store.known_at(session, app.clock.now())
    found: dict[str, Mapping[str, str]] = {}
    for machine, events in groupby(rows, key=lambda row: row.machine):
        said = [one.labels for one in in_order(map(fact, events))[0] if one.labels is not None]
        found[machine] = said[-1] if said else {}
    return found


def _notes(found: Inventory) -> Iterator[str]:
    yield "disk in use and utilization of live machines are not known here, and count as 0"
    yield "cores of hosts are the vCPUs that their hypervisors report: logical processors, where these are counted"
    for name, why in found.stale.items():
        yield f"endpoint '{name}': {why}"
