"""The placement problem as columns: requests, pools and their hosts, in numpy arrays."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.periods import Periods
from placement.providers import Domains, Hosts, Providers, divide
from policies.decisions import Rejection

Pair = tuple[int, int]
"""(request, pool), as positions in the problem."""


class InvalidProblem(ValueError):
    """A problem that cannot be solved as written; the message starts with the offending path."""


COSTS = ("price", "hosts_on", "licences", "moving", "penalties")
"""The terms in micro-units of the currency."""
TERMS = (*COSTS, "balance", "moves")
"""Every term of an objective; those that are no money: balance in parts of a million, moves in machines."""
DEFAULT_OBJECTIVE: tuple[Mapping[str, int], ...] = (
    MappingProxyType(dict.fromkeys(COSTS, 1)),
    MappingProxyType({"moves": 1}),
)
"""Pay the least in all; then move the fewest."""


@dataclass(frozen=True, eq=False)
class PlacementProblem:
    """Requests to place on pools, or on the hosts of pools; R requests, P pools, K resource classes.

    V is the number of providers: of hosts where there are `hosts`, otherwise of pools.

    Shapes are checked when made, and the arrays become read-only. Costs are what placing the request
    there costs over the stated horizon, in micro-units of the currency, so that plans compare like
    with like. Where two pools cost the same, the one that stands first is preferred.
    """

    resource_classes: tuple[str, ...]
    request_ids: tuple[str, ...]
    demand: Int64
    """[R, K] amounts, each in its resource class's unit."""
    pool_ids: tuple[str, ...]
    tier_of: tuple[str, ...]
    """[P] the tier name of each pool."""
    free: Int64
    """[P, K] capacity (overcommit and reserve applied) less what is allocated already; >= 0."""
    largest: Int64
    """[P, K] the most a single machine may have: it must fit on one host."""
    cost_micros: Int64
    """[R, P] >= 0."""
    rejections: Mapping[Pair, tuple[Rejection, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """(request, pool) -> why policies forbid it; a pair that is not here is allowed."""
    currency: str = "EUR"
    horizon_hours: int = 720
    current: Int64 | None = None
    """[R] the provider where each request runs today, -1 for none; None where nothing runs yet.

    Among plans of equal cost the one that moves the fewest is looked for. `free` must then not count
    what these requests take today as allocated.
    """
    hosts: Hosts | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Label -> its value for each pool, ``""`` for none: site, country, hypervisor."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Name -> ids of requests: constraints may name them together."""
    constraints: tuple[Constraint, ...] = ()
    """Beyond those that always hold."""
    priority: Int64 | None = None
    """[R] >= 0; those of higher priority are placed first, whatever that costs the others. None: all alike."""
    periods: Periods | None = None
    """When requests are there; None where all are there at the same time."""
    objective: tuple[Mapping[str, int], ...] = DEFAULT_OBJECTIVE
    """After placing the most requests: levels of weighted terms, each made least before the next is looked at."""

    def __post_init__(self) -> None:
        """Refuse wrong shapes, negative values and sums that would overflow int64."""
        r, p, k = len(self.request_ids), len(self.pool_ids), len(self.resource_classes)
        _check_array("demand", self.demand, (r, k))
        _check_array("free", self.free, (p, k))
        _check_array("largest", self.largest, (p, k))
        _check_array("cost_micros", self.cost_micros, (r, p))
        if len(self.tier_of) != p:
            msg = f"tier_of: {len(self.tier_of)} tiers for {p} pools"
            raise InvalidProblem(msg)
        _check_names("request_ids", self.request_ids)
        _check_names("pool_ids", self.pool_ids)
        _check_names("resource_classes", self.resource_classes)
        for i, j in self.rejections:
            if not (0 <= i < r and 0 <= j < p):
                msg = f"rejections: no such pair ({i}, {j})"
                raise InvalidProblem(msg)
        for problem in self._wrong_parts():
            raise InvalidProblem(problem)

    def _wrong_parts(self) -> Iterator[str]:
        """What is wrong with the optional parts; the first is enough, since later ones build on earlier ones."""
        r, p, k = len(self.request_ids), len(self.pool_ids), len(self.resource_classes)
        yield from _wrong_labels("labels", self.labels, p)
        if self.hosts is not None:
            _check_hosts(self.hosts, p, self.resource_classes)
        v = len(self.providers.ids)
        if self.current is not None:
            _check_positions("current", self.current, r, v, "a provider's")
        if self.priority is not None:
            _check_array("priority", self.priority, (r,))
        if self.periods is not None:
            yield from _wrong_periods(self.periods, r, v, k)
            yield from _overtaken(self, self.periods)
        yield from _wrong_objective(self.objective)
        yield from _wrong_groups(self.groups, self.request_positions)
        for n, constraint in enumerate(self.constraints):
            for problem in constraint.problems(self):
                yield f"constraints[{n}].{problem}"

    @cached_property
    def providers(self) -> Providers:
        """What requests sit on."""
        if self.hosts is None:
            pools = np.arange(len(self.pool_ids), dtype=np.int64)
            own = np.ones(len(self.resource_classes), dtype=np.bool_)
            return Providers(self.pool_ids, pools, self.free, self.largest, are_hosts=False, own=own)
        own = np.array([name not in self.hosts.shared for name in self.resource_classes], dtype=np.bool_)
        pool_of = self.hosts.pool_of
        return Providers(
            ids=self.hosts.ids,
            pool_of=pool_of,
            free=np.where(own, self.hosts.free, self.free[pool_of]),
            largest=np.minimum(
                np.where(own, self.hosts.largest, self.largest[pool_of]), self.largest[pool_of]
            ),
            are_hosts=True,
            own=own,
        )

    @cached_property
    def known_members(self) -> dict[int, tuple[tuple[str, ...], Bool]]:
        """What `placement.references.members` has looked up, by the identity of the names."""
        return {}

    @cached_property
    def request_positions(self) -> Mapping[str, int]:
        """Request id -> its position."""
        return {name: i for i, name in enumerate(self.request_ids)}

    @cached_property
    def provider_positions(self) -> Mapping[str, int]:
        """Provider id -> its position."""
        return {name: v for v, name in enumerate(self.providers.ids)}

    def domains(self, label: str) -> Domains | None:
        """What a label divides the providers into; None where there is no such label.

        ``host``, ``pool`` and ``tier`` are always there; ``host`` is the pool where there are no hosts.
        """
        if label not in self._domains:
            self._domains[label] = self._divided(label)
        return self._domains[label]

    @cached_property
    def _domains(self) -> dict[str, Domains | None]:
        """Those that were asked for: constraints ask again and again."""
        return {}

    def _divided(self, label: str) -> Domains | None:
        pool_of = self.providers.pool_of.tolist()
        if label == "host":
            return divide(self.providers.ids)
        if self.hosts is not None and label in self.hosts.labels:
            return divide(self.hosts.labels[label])
        of_pools = {**self.labels, "pool": self.pool_ids, "tier": self.tier_of}.get(label)
        return None if of_pools is None else divide(tuple(of_pools[p] for p in pool_of))

    def label_names(self) -> tuple[str, ...]:
        """Every label that `domains` knows."""
        of_hosts = tuple(self.hosts.labels) if self.hosts is not None else ()
        return tuple(dict.fromkeys(("host", "pool", "tier", *of_hosts, *self.labels)))

    def provider_costs(self) -> Int64:
        """[R, V] micro-units; of hosts, their pool's."""
        return self.cost_micros[:, self.providers.pool_of] if self.hosts is not None else self.cost_micros

    def allowed(self) -> Bool:
        """[R, P] whether policies allow the pair; capacity is not looked at."""
        mask = np.ones((len(self.request_ids), len(self.pool_ids)), dtype=np.bool_)
        refused = [pair for pair, why in self.rejections.items() if why]
        if refused:
            mask[tuple(np.array(refused, dtype=np.int64).T)] = False
        return mask


def _check_array(name: str, array: Int64, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.int64:
        msg = f"{name}: must be a numpy array of int64"
        raise InvalidProblem(msg)
    if array.shape != shape:
        msg = f"{name}: shape {array.shape} must be {shape}"
        raise InvalidProblem(msg)
    negative = np.argwhere(array < 0)
    if len(negative):
        at = "".join(f"[{i}]" for i in negative[0])
        msg = f"{name}{at}: {array[tuple(negative[0])]} must not be negative"
        raise InvalidProblem(msg)
    if array.size and float(array.sum(dtype=np.float64)) >= 2.0**62:
        msg = f"{name}: the sum of its values does not fit into 62 bits"
        raise InvalidProblem(msg)
    array.setflags(write=False)


def _check_names(name: str, names: tuple[str, ...]) -> None:
    twice = [one for one, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"{name}: '{min(twice)}' stands twice"
        raise InvalidProblem(msg)


def _check_positions(name: str, positions: Int64, count: int, of: int, whose: str) -> None:
    if not isinstance(positions, np.ndarray) or positions.dtype != np.int64 or positions.shape != (count,):
        msg = f"{name}: must be a numpy array of int64 of shape ({count},)"
        raise InvalidProblem(msg)
    wrong = np.argwhere((positions < -1) | (positions >= of))
    if len(wrong):
        at = int(wrong[0][0])
        msg = f"{name}[{at}]: {positions[at]} must be {whose} position, 0 to {of - 1}, or -1"
        raise InvalidProblem(msg)
    positions.setflags(write=False)


def _check_hosts(hosts: Hosts, pools: int, resource_classes: tuple[str, ...]) -> None:
    h, k = len(hosts.ids), len(resource_classes)
    _check_array("hosts.free", hosts.free, (h, k))
    _check_array("hosts.largest", hosts.largest, (h, k))
    _check_names("hosts.ids", hosts.ids)
    _check_positions("hosts.pool_of", hosts.pool_of, h, pools, "a pool's")
    for problem in _wrong_labels("hosts.labels", hosts.labels, h):
        raise InvalidProblem(problem)
    if (hosts.pool_of < 0).any():
        msg = f"hosts.pool_of[{int(np.argmin(hosts.pool_of))}]: every host has a pool"
        raise InvalidProblem(msg)
    unknown = sorted(hosts.shared - set(resource_classes))
    if unknown:
        msg = f"hosts.shared: there is no resource class '{unknown[0]}'; there are {', '.join(resource_classes)}"
        raise InvalidProblem(msg)


def _wrong_labels(name: str, labels: Mapping[str, tuple[str, ...]], count: int) -> Iterator[str]:
    for label, values in labels.items():
        if label in {"host", "pool", "tier"}:
            yield f"{name}.{label}: this name is taken; every problem has it"
        if len(values) != count:
            yield f"{name}.{label}: {len(values)} values for {count}"


def _wrong_groups(groups: Mapping[str, tuple[str, ...]], requests: Mapping[str, int]) -> Iterator[str]:
    for name, ids in groups.items():
        if name in requests and ids != (name,):
            yield f"groups.{name}: a request has this id; call the group something else"
        for n, one in enumerate(ids):
            if one not in requests:
                yield f"groups.{name}[{n}]: there is no request '{one}'"


def _wrong_objective(objective: tuple[Mapping[str, int], ...]) -> Iterator[str]:
    for level, terms in enumerate(objective):
        for term, weight in terms.items():
            if term not in TERMS:
                yield f"objective[{level}].{term}: not a term; there are {', '.join(TERMS)}"
            if weight < 0:
                yield f"objective[{level}].{term}: {weight} must not be negative"


def _overtaken(problem: PlacementProblem, periods: Periods) -> Iterator[str]:
    """Where others hold more than is free of a provider, or of a pool that limits its hosts together."""
    providers = problem.providers
    over = np.argwhere((periods.taken > providers.free) & providers.own)
    if len(over):
        slot, v, k = over[0].tolist()
        held, free = periods.taken[slot, v, k], providers.free[v, k]
        yield f"periods.taken[{slot}][{v}][{k}]: {held} is more than the {free} that is free"
        return
    for slot, taken in enumerate(periods.taken):
        of_pools = np.zeros_like(problem.free)
        np.add.at(of_pools, providers.pool_of, taken)
        for p, k in np.argwhere(of_pools > problem.free)[:1].tolist():
            held, free = of_pools[p, k], problem.free[p, k]
            whose, name = problem.pool_ids[p], problem.resource_classes[k]
            yield f"periods.taken[{slot}]: hosts of '{whose}' hold {held} of {name}, more than the {free} that is free"
            return


def _wrong_periods(periods: Periods, requests: int, providers: int, k: int) -> Iterator[str]:
    slots = len(periods.names)
    _check_array("periods.first", periods.first, (requests,))
    _check_array("periods.end", periods.end, (requests,))
    _check_array("periods.taken", periods.taken, (slots, providers, k))
    wrong = np.flatnonzero((periods.first >= periods.end) | (periods.end > slots))
    if len(wrong):
        i = int(wrong[0])
        yield f"periods.end[{i}]: {periods.end[i]} must be after {periods.first[i]} and at most {slots}"
