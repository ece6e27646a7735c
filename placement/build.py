"""Requests, pools and prices -> the placement problem."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from catalog.orders import Request
from catalog.pools import Pool
from catalog.resources import Inventory, ResourceClass, Resources
from placement.arrays import Int64
from placement.problem import InvalidProblem, Pair, PlacementProblem
from placement.providers import Hosts
from policies.decisions import Rejection

_SHARED = frozenset({ResourceClass.DISK_GIB})
"""What a machine can take from anywhere in its pool, since storage is shared between the hosts."""


def build(
    requests: Sequence[Request],
    pools: Sequence[Pool],
    allocated: Mapping[str, Resources],
    rejections: Mapping[Pair, tuple[Rejection, ...]],
    cost_micros: Int64,
    currency: str,
    horizon_hours: int,
    on_hosts: Mapping[str, Mapping[str, Resources]] | None = None,
) -> PlacementProblem:
    """The problem of placing `requests` on `pools`, of which `allocated` is taken already by pool name.

    A pool that gave away more than it has is full. A pool that reports hosts takes no machine larger
    than its largest usable host, resource by resource; one that reports none is taken as one host.
    With `on_hosts` (pool -> host -> what its machines hold) requests are placed on hosts: room that is
    scattered over the hosts of a pool is then no room. What is allocated but on no known host counts for
    the pool alone. `rejections` and `cost_micros` [R, P] go in the order given. Raises InvalidProblem.
    """
    unknown = sorted(set(allocated) - {pool.name for pool in pools})
    if unknown:
        msg = f"allocated: there is no pool '{unknown[0]}'; known are {', '.join(p.name for p in pools)}"
        raise InvalidProblem(msg)
    none = Resources()
    capacity = [pool_capacity(pool) for pool in pools]
    taken = [_amounts(allocated.get(pool.name, none)) for pool in pools]
    free = [
        [max(0, c - t) for c, t in zip(has, takes, strict=True)]
        for has, takes in zip(capacity, taken, strict=True)
    ]
    return PlacementProblem(
        resource_classes=tuple(rc.value for rc in ResourceClass),
        request_ids=tuple(str(request.order_id) for request in requests),
        demand=_matrix("demand", [_amounts(request.resources) for request in requests]),
        pool_ids=tuple(pool.name for pool in pools),
        tier_of=tuple(pool.tier for pool in pools),
        free=_matrix("free", free),
        largest=_matrix("largest", [_largest(p, has) for p, has in zip(pools, capacity, strict=True)]),
        cost_micros=cost_micros,
        rejections=rejections,
        currency=currency,
        horizon_hours=horizon_hours,
        hosts=None if on_hosts is None else _hosts(pools, capacity, on_hosts),
        labels={"site": tuple(p.site for p in pools), "hypervisor": tuple(p.hypervisor for p in pools)},
    )


def _hosts(
    pools: Sequence[Pool], capacity: Sequence[list[int]], on_hosts: Mapping[str, Mapping[str, Resources]]
) -> Hosts:
    """Every usable host as a provider; a pool that reports none, or none that is usable, as one host."""
    ids, pool_of, free, largest = [], [], [], []
    for p, pool in enumerate(pools):
        taken = on_hosts.get(pool.name, {})
        usable = [host for host in pool.hosts if host.usable]
        for host in usable:
            used = taken.get(host.name, Resources())
            ids.append(f"{pool.name}/{host.name}")
            pool_of.append(p)
            free.append(
                [_host_free(pool, rc, host.resources.amount(rc), used.amount(rc)) for rc in ResourceClass]
            )
            largest.append([0 if rc in _SHARED else host.resources.amount(rc) for rc in ResourceClass])
        if not usable:
            room = [0 if rc in _SHARED else n for rc, n in zip(ResourceClass, capacity[p], strict=True)]
            ids.append(pool.name)
            pool_of.append(p)
            free.append([0] * len(room) if pool.hosts else room)
            largest.append(room)
    return Hosts(
        ids=tuple(ids),
        pool_of=np.array(pool_of, dtype=np.int64),
        free=_matrix("hosts.free", free),
        largest=_matrix("hosts.largest", largest),
        shared=frozenset(rc.value for rc in _SHARED),
    )


def _host_free(pool: Pool, resource_class: ResourceClass, total: int, used: int) -> int:
    """What a host may still give: overcommitted as its pool, without the pool's reserve, which is kept for the whole."""
    if resource_class in _SHARED:
        return 0
    inventory = pool.inventories.get(resource_class)
    if inventory is None:
        return 0
    capacity = Inventory(total=total, allocation_ratio=inventory.allocation_ratio).capacity
    return max(0, capacity - used)


def pool_capacity(pool: Pool) -> list[int]:
    """What may be allocated in a pool, in the order of `ResourceClass`."""
    return [pool.capacity(rc) for rc in ResourceClass]


def _largest(pool: Pool, capacity: list[int]) -> list[int]:
    """The most one machine can have: overcommit shares a host between machines, not within one."""
    if not pool.hosts:
        return capacity
    hosts = [host.resources for host in pool.hosts if host.usable]
    return [
        total if rc in _SHARED else max((host.amount(rc) for host in hosts), default=0)
        for rc, total in zip(ResourceClass, capacity, strict=True)
    ]


def _amounts(resources: Resources) -> list[int]:
    return list(resources.as_mapping().values())


def _matrix(name: str, rows: Iterable[list[int]]) -> Int64:
    """[n, K]. Raises InvalidProblem where an amount does not fit into int64."""
    try:
        return np.array(list(rows), dtype=np.int64).reshape(-1, len(ResourceClass))
    except OverflowError:
        msg = f"{name}: an amount does not fit into 63 bits"
        raise InvalidProblem(msg) from None
