"""Pools and hosts of a document as columns: what is free, the largest machine, labels, and what is shared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from catalog.wording import known_names
from placement.arrays import Int64
from placement.documents.form import Document, Inventory, Pool
from placement.providers import Hosts

LIMIT = 2**62
"""What all values of a column together must stay below, as in `PlacementProblem`."""

Amounts = list[tuple[int, int]]
"""[K] free, and the most one machine may have."""


@dataclass(frozen=True, eq=False)
class Rooms:
    """The columns of a problem that come from its pools."""

    pool_ids: tuple[str, ...]
    tier_of: tuple[str, ...]
    free: Int64
    largest: Int64
    labels: Mapping[str, tuple[str, ...]]
    hosts: Hosts | None


def problems(form: Document) -> Iterator[str]:
    """Everything that is wrong with pools and hosts once each of them is in form."""
    yield from _twice("resource_classes", form.resource_classes)
    yield from _twice("pools", tuple(pool.id for pool in form.pools), ".id")
    there: dict[str, str] = {}
    on_hosts = _on_hosts(form)
    for p, pool in enumerate(form.pools):
        at = f"pools[{p}]"
        yield from _of_inventories(form, f"{at}.inventories", pool.inventories)
        yield from _unknown_classes(form, f"{at}.unit_prices", pool.unit_prices or {})
        yield from _of_presence(form, at, pool, on_hosts)
        alone = {p} if len(pool.hosts or ()) == 1 else set()  # Then both mean the same host.
        for h, host in enumerate(pool.hosts or ()):
            yield from _of_inventories(form, f"{at}.hosts[{h}].inventories", host.inventories)
            if host.id in there:
                yield f"{at}.hosts[{h}].id: '{host.id}' is {there[host.id]} too; every host has an id of its own"
            elif other := {q for q, one in enumerate(form.pools) if one.id == host.id} - alone:
                yield f"{at}.hosts[{h}].id: '{host.id}' is pools[{min(other)}] too; a name must mean a pool or one host"
            there.setdefault(host.id, f"{at}.hosts[{h}]")
    yield from _overflow(form)


def rooms(form: Document) -> Rooms:
    """The columns of a document without `problems`."""
    on_hosts = _on_hosts(form)
    of_hosts = [[_amounts(form, host.inventories) for host in pool.hosts or ()] for pool in form.pools]
    of_pools = [
        _pool_amounts(form, pool, inside, on_hosts)
        for pool, inside in zip(form.pools, of_hosts, strict=True)
    ]
    free, largest = _columns(of_pools, len(form.resource_classes))
    return Rooms(
        pool_ids=tuple(pool.id for pool in form.pools),
        tier_of=tuple(pool.tier for pool in form.pools),
        free=free,
        largest=largest,
        labels=_labels([pool.labels for pool in form.pools]),
        hosts=_hosts(form, of_hosts) if _with_hosts(form) else None,
    )


def shared(form: Document) -> frozenset[str]:
    """Resource classes that machines take from their pool although pools have hosts."""
    if not _with_hosts(form):
        return frozenset()
    on_pools = {name for pool in form.pools for name in pool.inventories}
    return frozenset(on_pools - set(_on_hosts(form)))


def _hosts(form: Document, of_hosts: list[list[Amounts]]) -> Hosts:
    every = [host for pool in form.pools for host in pool.hosts or ()]
    free, largest = _columns([one for inside in of_hosts for one in inside], len(form.resource_classes))
    sizes = [len(inside) for inside in of_hosts]
    return Hosts(
        ids=tuple(host.id for host in every),
        pool_of=np.repeat(np.arange(len(sizes), dtype=np.int64), sizes),
        free=free,
        largest=largest,
        labels=_labels([host.labels for host in every]),
        shared=shared(form),
    )


def _with_hosts(form: Document) -> bool:
    return any(pool.hosts is not None for pool in form.pools)


def _on_hosts(form: Document) -> dict[str, str]:
    """Resource class -> the first host that has it, as a path."""
    found: dict[str, str] = {}
    for p, pool in enumerate(form.pools):
        for h, host in enumerate(pool.hosts or ()):
            for name in host.inventories:
                found.setdefault(name, f"pools[{p}].hosts[{h}]")
    return found


def _of_presence(form: Document, at: str, pool: Pool, on_hosts: Mapping[str, str]) -> Iterator[str]:
    if not _with_hosts(form):
        if not pool.inventories:
            yield f"{at}.inventories: '{pool.id}' has neither inventories nor hosts; give it some, or leave it out"
    elif not pool.hosts:
        yield f"{at}.hosts: '{pool.id}' has no hosts, other pools do; list its hosts, or leave it out"
    else:
        inside = {name for host in pool.hosts for name in host.inventories}
        for name in pool.inventories:
            if name in on_hosts and name not in inside:
                yield (
                    f"{at}.inventories.{name}: {on_hosts[name]} has its own {name}, so machines take it from their host; "
                    f"state it on the hosts of '{pool.id}' too, or on no host"
                )


def _of_inventories(form: Document, at: str, inventories: Mapping[str, Inventory]) -> Iterator[str]:
    yield from _unknown_classes(form, at, inventories)
    for name, one in inventories.items():
        if one.reserved > one.total:
            yield f"{at}.{name}.reserved: {one.reserved} is more than the total {one.total}"
        elif _room(one)[0] >= LIMIT:
            yield f"{at}.{name}: (total - reserved) x allocation_ratio - used is {_room(one)[0]}, more than 62 bits hold"


def _unknown_classes(form: Document, at: str, named: Mapping[str, object]) -> Iterator[str]:
    for name in named:
        if name not in form.resource_classes:
            yield unknown_class(form, f"{at}.{name}", name)


def unknown_class(form: Document, at: str, name: str) -> str:
    """That a resource class is none of the document's."""
    return f"{at}: there is no resource class '{name}'; {known_names(name, form.resource_classes)}"


def _overflow(form: Document) -> Iterator[str]:
    """Sums that do not fit: of what is free, and of the largest machines."""
    levels: tuple[list[Mapping[str, Inventory]], ...] = (
        [pool.inventories for pool in form.pools],
        [host.inventories for pool in form.pools for host in pool.hosts or ()],
    )
    for what, inventories in zip(("pools", "hosts"), levels, strict=True):
        pairs = [_room(one) for of in inventories for one in of.values()]
        if max((free for free, _ in pairs), default=0) >= LIMIT:
            return  # Told where it stands.
        if max(sum(free for free, _ in pairs), sum(most for _, most in pairs)) >= LIMIT:
            yield f"pools: the inventories of all {what} together are more than 62 bits hold; use a larger unit"


def _twice(path: str, names: tuple[str, ...], more: str = "") -> Iterator[str]:
    first: dict[str, int] = {}
    for n, name in enumerate(names):
        if name in first:
            yield f"{path}[{n}]{more}: '{name}' is {path}[{first[name]}] too; use each name once"
        first.setdefault(name, n)


def _room(one: Inventory) -> tuple[int, int]:
    """What is free, never below 0, and the most one machine may have; exact, whatever the ratio."""
    there = one.total - one.reserved
    given = there if one.allocation_ratio == 1 else int(there * Fraction(one.allocation_ratio))
    return max(0, given - one.used), max(0, there) if one.max_unit is None else one.max_unit


def _amounts(form: Document, inventories: Mapping[str, Inventory]) -> Amounts:
    return [_room(inventories[name]) if name in inventories else (0, 0) for name in form.resource_classes]


def _pool_amounts(
    form: Document, pool: Pool, inside: list[Amounts], on_hosts: Mapping[str, str]
) -> Amounts:
    """What a pool says itself; otherwise what its hosts have together, and the largest of them."""
    found = _amounts(form, pool.inventories)
    for k, name in enumerate(form.resource_classes):
        if name in on_hosts and name not in pool.inventories:
            found[k] = sum(one[k][0] for one in inside), max(one[k][1] for one in inside)
    return found


def _columns(rows: list[Amounts], k: int) -> tuple[Int64, Int64]:
    both = np.array(rows, dtype=np.int64).reshape(-1, k, 2)
    return np.ascontiguousarray(both[:, :, 0]), np.ascontiguousarray(both[:, :, 1])


def _labels(said: list[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys(name for one in said for name in one)
    return {name: tuple(one.get(name, "") for one in said) for name in names}
