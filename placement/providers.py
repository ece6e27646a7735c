"""What requests sit on: hosts, or pools where a problem does not look inside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from placement.arrays import Bool, Int64


@dataclass(frozen=True, eq=False)
class Hosts:
    """The hosts of a problem's pools, as columns; H hosts, K resource classes. Every pool has at least one."""

    ids: tuple[str, ...]
    pool_of: Int64
    """[H] the position of each host's pool."""
    free: Int64
    """[H, K] capacity (overcommit and reserve applied) less what is allocated already; >= 0.

    What is `shared` is limited by the pool alone, and 0 here.
    """
    largest: Int64
    """[H, K] the most one machine may have there: overcommit shares a host between machines, not within one."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Label -> its value for each host, ``""`` for none: rack, power domain, any other failure domain."""
    shared: frozenset[str] = frozenset()
    """Resource classes that a machine takes from its pool, not from its host."""


@dataclass(frozen=True, eq=False)
class Providers:
    """Hosts or pools behind one form; V providers."""

    ids: tuple[str, ...]
    pool_of: Int64
    """[V]."""
    free: Int64
    """[V, K]; of `shared` resource classes, what the pool has."""
    largest: Int64
    """[V, K]."""
    are_hosts: bool
    own: Bool
    """[K] whether the provider itself limits the resource class, not only its pool."""

    @cached_property
    def least_largest(self) -> tuple[int, ...]:
        """[K] the most that one machine may have on any of them."""
        return tuple(self.largest.min(axis=0, initial=np.iinfo(np.int64).max).tolist())

    @cached_property
    def by_pool(self) -> "ByPool":
        """The same providers, pool after pool."""
        order = np.argsort(self.pool_of, kind="stable").astype(np.int64)
        pools, start, count = np.unique(self.pool_of[order], return_index=True, return_counts=True)
        return ByPool(order, pools.astype(np.int64), start.astype(np.int64), count.astype(np.int64))


@dataclass(frozen=True, eq=False)
class ByPool:
    """Providers in the order of their pools; Q pools that have any. What is asked for each pool is one pass over them."""

    order: Int64
    """[V] providers; those of a pool by their position."""
    pools: Int64
    """[Q] which pools, in their order."""
    start: Int64
    """[Q] where in `order` each pool begins."""
    count: Int64
    """[Q] how many providers each has."""

    def sizes(self, pools: int) -> list[int]:
        """[P] how many providers each pool has."""
        sizes = [0] * pools
        for pool, count in zip(self.pools.tolist(), self.count.tolist(), strict=True):
            sizes[pool] = count
        return sizes

    def least(self, ordered: Int64) -> Int64:
        """[V] of values in this order, the smallest of each one's pool."""
        return np.repeat(np.minimum.reduceat(ordered, self.start), self.count) if len(ordered) else ordered

    def most(self, ordered: Int64) -> Int64:
        """[V] of values in this order, the largest of each one's pool."""
        return np.repeat(np.maximum.reduceat(ordered, self.start), self.count) if len(ordered) else ordered


@dataclass(frozen=True, eq=False)
class Domains:
    """What a label divides the providers into; D values."""

    of: Int64
    """[V] the domain of each provider, -1 where the label has no value there."""
    names: tuple[str, ...]
    """[D] in alphabetical order."""


def divide(values: tuple[str, ...]) -> Domains:
    """The domains of a label's values, one for each provider."""
    names = tuple(sorted({value for value in values if value}))
    position = {name: d for d, name in enumerate(names)}
    return Domains(np.array([position.get(v, -1) for v in values], dtype=np.int64), names)
