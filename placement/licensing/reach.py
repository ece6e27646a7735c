"""A product among classes and providers, as arrays: what `post` and `admit` are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from catalog.resources import ResourceClass
from placement.arrays import Bool, Int64
from placement.classes import Classes
from placement.licensing.products import Alternative, Processors, Product
from placement.problem import PlacementProblem
from placement.references import members, of_classes, seats_named


@dataclass(frozen=True, eq=False)
class Way:
    """An alternative among classes and scopes; S scopes, F core factors."""

    weight: Int64
    """[G] the units of a machine; 1 where hosts are counted."""
    parts: Int64
    """[S, F] the parts of units of all hosts of a scope, at one cover; 0 where machines are counted."""
    steps: tuple[tuple[Int64, Int64], ...]
    """By scope, where one unit covers so many machines of a host: units that hosts need anyway, and how many need so many."""
    amount: Int64
    """[S] what the hosts have of what the add-on is for."""


@dataclass(frozen=True, eq=False)
class Reach:
    """A product among classes and providers; S scopes."""

    classes: Int64
    """The classes whose requests need it."""
    scope_of: Int64
    """[V] -1 for none."""
    scopes: int
    """S."""
    hours: int
    """Of the horizon."""
    ways: tuple[Way, ...]
    """By alternative."""


def reach_of(
    problem: PlacementProblem, classes: Classes, product: Product, processors: Mapping[str, Processors]
) -> Reach:
    """Who needs a product, and what its scopes count."""
    scope_of, count = _scopes(problem, product)
    hosts = _Hosts(problem, product, processors)
    return Reach(
        classes=np.flatnonzero(of_classes(members(problem, product.requests), classes.one)),
        scope_of=scope_of,
        scopes=count,
        hours=problem.horizon_hours,
        ways=tuple(
            Way(
                weight=_weight(problem, classes, way),
                parts=_summed(hosts.parts(way), scope_of, count),
                steps=_steps(hosts, way, scope_of, count),
                amount=_summed(hosts.needs(way)[:, None], scope_of, count)[:, 0],
            )
            for way in product.alternatives
        ),
    )


class _Hosts:
    """[V] each: what a host of each provider has, one core where nobody said, and how many hosts there are."""

    def __init__(
        self, problem: PlacementProblem, product: Product, processors: Mapping[str, Processors]
    ) -> None:
        v = len(problem.providers.ids)
        self.sockets, self.cores_each, self.number = np.ones((3, v), dtype=np.int64)
        self.most_cores = np.full(v, np.iinfo(np.int64).max, dtype=np.int64)
        self.family = np.full(v, "", dtype=object)
        self.said: list[Processors | None] = [None] * v
        pools_first = sorted(processors, key=problem.provider_positions.__contains__)
        for name in pools_first:
            one, at = processors[name], seats_named(problem, (name,))
            self.sockets[at], self.cores_each[at], self.number[at] = (
                one.sockets,
                one.cores_per_socket,
                one.hosts,
            )
            self.family[at] = one.family
            for found in np.flatnonzero(at).tolist():
                self.said[found] = one
        for limit in product.accepted:
            if limit.cores_per_host is not None:
                at = seats_named(problem, limit.hosts)
                self.most_cores[at] = np.minimum(self.most_cores[at], limit.cores_per_host)

    def parts(self, way: Alternative) -> Int64:
        """[V, F] of all hosts together."""
        v, factors = len(self.number), way.factors
        if not way.of_hosts:
            return np.zeros((v, len(factors)), dtype=np.int64)
        each = self._each(way)
        own = [way.core_factor_thousandths.get(family, factors[0]) for family in self.family]
        by_factor = np.array(own, dtype=np.int64)[:, None] == np.array(factors, dtype=np.int64)[None, :]
        found: Int64 = by_factor * np.array(factors, dtype=np.int64) * (each * self.number)[:, None]
        return found

    def _each(self, way: Alternative) -> Int64:
        if way.metric == "per_host":
            return np.ones_like(self.sockets)
        if way.metric == "per_socket":
            return self.sockets
        if way.metric == "per_amount":
            return self.amount(str(way.amount))
        if way.metric == "per_coverage_unit":
            return self.covered(way)
        return self.cores(way.per_socket_minimum, way.per_host_minimum)

    def covered(self, way: Alternative) -> Int64:
        """Coverage units of a host, by what does not depend on machines."""
        found = np.zeros(len(self.number), dtype=np.int64)
        for name, size in way.unit_covers.items():
            if name != "machines":
                has = {"sockets": self.sockets, "cores": self.cores(0, 0)}.get(name)
                found = np.maximum(found, -(-(self.amount(name) if has is None else has) // size))
        return found

    def cores(self, per_socket: int, per_host: int) -> Int64:
        """Cores of a host as they count."""
        most = np.maximum(self.sockets * np.maximum(self.cores_each, per_socket), per_host)
        return np.minimum(most, self.most_cores).astype(np.int64)

    def amount(self, name: str) -> Int64:
        """What a host has of something."""
        return np.array(
            [0 if one is None else one.amounts.get(name, 0) for one in self.said], dtype=np.int64
        )

    def needs(self, way: Alternative) -> Int64:
        """What all hosts have that an add-on is for."""
        name = None if way.add_on is None else way.add_on.amount
        return (self.amount(name) if name else np.zeros_like(self.number)) * self.number


def inside_of(problem: PlacementProblem, product: Product) -> Bool:
    """[V] the providers that are in any scope."""
    if product.boundary is None and not product.accepted:  # The usual case is asked for with each request.
        return seats_named(problem, (name for names in product.scopes.values() for name in names))
    inside: Bool = _scopes(problem, product)[0] >= 0
    return inside


def _scopes(problem: PlacementProblem, product: Product) -> tuple[Int64, int]:
    """[V] the scope of each provider, as accepted limits leave it, and how many scopes there are."""
    count = len(problem.providers.ids)
    scope_of = np.full(count, -1, dtype=np.int64)
    number = len(product.scopes)
    if product.boundary == "estate":
        scope_of, number = np.zeros(count, dtype=np.int64), 1
    elif product.boundary is not None:
        divided = problem.domains(product.boundary)
        assert divided is not None, f"label '{product.boundary}' was checked before"
        scope_of, number = divided.of.copy(), len(divided.names)
    for s, names in enumerate(product.scopes.values()):
        scope_of[seats_named(problem, names)] = s
    for limit in product.accepted:
        held = seats_named(problem, limit.hosts)
        touched = np.isin(scope_of, scope_of[held])
        scope_of[touched & ~held] = -1
    return scope_of, number


def _weight(problem: PlacementProblem, classes: Classes, way: Alternative) -> Int64:
    if way.metric != "per_vcpu":
        return np.ones(len(classes.one), dtype=np.int64)
    vcpu = classes.demand[:, problem.resource_classes.index(ResourceClass.VCPU)]
    return np.maximum(vcpu, way.per_machine_minimum)


def _summed(values: Int64, scope_of: Int64, count: int) -> Int64:
    """[S, F] from [V, F]."""
    total = np.zeros((count, values.shape[1]), dtype=np.int64)
    inside = scope_of >= 0
    np.add.at(total, scope_of[inside], values[inside])
    return total


def _steps(hosts: _Hosts, way: Alternative, scope_of: Int64, count: int) -> tuple[tuple[Int64, Int64], ...]:
    if "machines" not in way.unit_covers:
        return ()
    anyway, found = hosts.covered(way), []
    for s in range(count):
        inside = scope_of == s
        units, at = np.unique(anyway[inside], return_inverse=True)
        number = np.bincount(at.reshape(-1), weights=hosts.number[inside], minlength=len(units))
        found.append((units, number.astype(np.int64)))
    return tuple(found)
