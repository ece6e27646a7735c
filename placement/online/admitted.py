"""What the constraints of a problem told the kernel, before any of it is laid out for speed."""

from dataclasses import dataclass, field

import numpy as np

from placement import constraints
from placement.arrays import Bool, Int64
from placement.classes import Classes, classes_of
from placement.matrix import NO_LIMIT
from placement.problem import PlacementProblem

AT_MOST, TOGETHER, EVEN, APART, EXCESS, OPENING, PACKS = range(7)
"""Kinds of `Rule`; those from EXCESS on cost something and never forbid anything."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One primitive that counts, in each of D domains, the weight of what is there."""

    kind: int
    weight: Int64
    """[G]; of APART, the kind of a class plus 1."""
    domain_of: Int64
    """[V]."""
    values: Int64
    """[D, 3] what the kind keeps of each domain.

    AT_MOST: limit. EVEN: 1 where eligible. EXCESS: free of charge, cost. OPENING: cost. PACKS: size, cost, most.
    """
    max_skew: int = 0
    min_domains: int = 0


@dataclass(frozen=True, eq=False)
class Numa:
    """NUMA nodes as `Kernel.numa` takes them."""

    need: Int64
    nodes: Int64
    free: Int64


@dataclass(frozen=True, eq=False)
class Storage:
    """A family of stores as `Kernel.storage` takes it."""

    name: str
    need: Int64
    reach: Bool
    allowed: Bool
    free: Int64
    choice_of: Int64


@dataclass(frozen=True, eq=False)
class Failover:
    """The hosts of one pool of which any `losses` may fail at once."""

    hosts: Int64
    losses: int
    weight: Int64


@dataclass(eq=False)
class Admitted:
    """The `Kernel` that constraints talk to: it only listens."""

    problem: PlacementProblem
    classes: Classes = field(init=False)
    forbidden: Bool = field(init=False)
    """[G, V]."""
    prices: Int64 = field(init=False)
    """[G, V] the first level of the objective, as far as it does not depend on who else is there."""
    lanes: list[tuple[Int64, Int64]] = field(default_factory=list)
    """(weight [G], limit [V]) of rules that limit each provider for itself and concern most classes."""
    rules: list[Rule] = field(default_factory=list)
    nodes: Numa | None = None
    families: list[Storage] = field(default_factory=list)
    failovers: list[Failover] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Ask every constraint."""
        self.classes = classes_of(self.problem)
        self.forbidden = np.zeros(self.classes.cost.shape, dtype=np.bool_)
        self.prices = self.classes.cost * self.counts_for("price")
        for constraint in constraints.of(self.problem):
            constraint.admit(self)

    def counts_for(self, term: str) -> int:
        """The weight of a term in the objective's first level."""
        return self.problem.objective[0].get(term, 0) if self.problem.objective else 0

    def forbid(self, cells: Bool) -> None:
        """As `Kernel.forbid`."""
        self.forbidden |= cells

    def price(self, term: str, cells: Int64) -> None:
        """As `Kernel.price`."""
        self.prices += cells * self.counts_for(term)

    def at_most(self, weight: Int64, domain_of: Int64, limit: Int64) -> None:
        """As `Kernel.at_most`; left out where all requests together cannot reach any limit."""
        limits = np.asarray(limit, dtype=np.int64).reshape(-1)
        if not weight.any() or int((weight * self.classes.count).sum()) <= int(limits.min(initial=2**62)):
            return
        each_alone = (domain_of >= 0).all() and len(np.unique(domain_of)) == len(domain_of)
        if each_alone and 2 * np.count_nonzero(weight) > len(weight):
            self.lanes.append((weight, limits[domain_of]))
        else:
            self._rule(AT_MOST, weight, domain_of, limits)

    def together(self, members: Bool, domain_of: Int64) -> None:
        """As `Kernel.together`."""
        if members.any():
            self._rule(TOGETHER, members, domain_of, np.zeros(int(domain_of.max(initial=-1)) + 1, np.int64))

    def apart(self, kind: Int64, domain_of: Int64) -> None:
        """As `Kernel.apart`."""
        assert int(kind.max(initial=0)) < 2**20 - 1, f"kinds are numbered from 0, not {kind.max()}"
        if (kind >= 0).any():
            nothing = np.zeros(int(domain_of.max(initial=-1)) + 1, dtype=np.int64)
            self._rule(APART, np.maximum(kind, -1) + 1, domain_of, nothing)

    def even(
        self, members: Bool, domain_of: Int64, eligible: Bool, max_skew: int, min_domains: int
    ) -> None:
        """As `Kernel.even`."""
        if members.any() and eligible.any():
            self._rule(EVEN, members, domain_of, eligible, max_skew=max_skew, min_domains=min_domains)

    def per_excess(
        self, term: str, weight: Int64, domain_of: Int64, free_of_charge: Int64, cost: Int64
    ) -> None:
        """As `Kernel.per_excess`."""
        self._soft(EXCESS, term, weight, domain_of, free_of_charge, cost, priced=1)

    def opening(self, term: str, members: Bool, domain_of: Int64, cost: Int64) -> None:
        """As `Kernel.opening`."""
        self._soft(OPENING, term, members.astype(np.int64), domain_of, cost, priced=0)

    def packs(
        self, term: str, weight: Int64, domain_of: Int64, size: Int64, cost: Int64, most: Int64
    ) -> None:
        """As `Kernel.packs`."""
        self._soft(PACKS, term, weight, domain_of, size, cost, most, priced=1)

    def numa(self, need: Int64, nodes: Int64, free: Int64) -> None:
        """As `Kernel.numa`; a problem has one."""
        assert self.nodes is None, "a problem says once what its NUMA nodes are"
        assert free.shape[1] <= 62, f"{free.shape[1]} NUMA nodes do not fit into a bit mask"
        self.nodes = Numa(need, nodes, free)

    def storage(
        self, name: str, need: Int64, reach: Bool, allowed: Bool, free: Int64, choice_of: Int64
    ) -> None:
        """As `Kernel.storage`."""
        assert all(one.name != name for one in self.families), f"a problem says once what its {name} are"
        v, s = np.nonzero(reach)
        assert len(v) == len(np.unique(v * allowed.shape[1] + choice_of[s])), (
            f"{name}: a provider reaches two stores that are the same choice"
        )
        self.families.append(Storage(name, need, reach, allowed, free, choice_of))

    def failover(self, pool: int, losses: int, weight: Int64) -> None:
        """As `Kernel.failover`."""
        hosts = np.flatnonzero(self.problem.providers.pool_of == pool).astype(np.int64)
        self.failovers.append(Failover(hosts, min(losses, len(hosts)), (weight != 0).astype(np.int64)))

    def _soft(
        self, kind: int, term: str, weight: Int64, domain_of: Int64, *values: Int64, priced: int
    ) -> None:
        """A cost, weighed as the objective's first level weighs its term; `values[priced:]` are money."""
        times = self.counts_for(term)
        if times and weight.any():
            money = NO_LIMIT // times  # What is no limit stays none.
            weighed = [v if n < priced else np.minimum(v, money) * times for n, v in enumerate(values)]
            if any((v < 0).any() for v in weighed):
                msg = f"{term}: a cost that depends on what is there must not be negative"
                raise AssertionError(msg)
            self._rule(kind, weight, domain_of, *weighed)

    def _rule(
        self,
        kind: int,
        weight: Int64 | Bool,
        domain_of: Int64,
        *values: Int64 | Bool,
        max_skew: int = 0,
        min_domains: int = 0,
    ) -> None:
        table = np.zeros((max(len(one) for one in values), 3), dtype=np.int64)
        for n, one in enumerate(values):
            table[:, n] = one
        assert int(domain_of.max(initial=-1)) < len(table), (
            f"{len(table)} values for domain {domain_of.max()}"
        )
        weights = weight.astype(np.int64)
        assert (weights >= 0).all(), "what is counted must not be negative"
        self.rules.append(Rule(kind, weights, domain_of.astype(np.int64), table, max_skew, min_domains))
