"""A kernel that only remembers what `admit` tells it, and judges finished plans by that in plain Python.

The primitives that come with a choice (numa, storage) or with a plan of their own (failover) are not here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Bool, Int64
from placement.classes import classes_of
from placement.problem import PlacementProblem
from placement.seats import Seats

Counts = list[list[int]]
"""[G][V] how many of each class are on each provider."""


@dataclass
class Recorded:
    """The primitives as functions of finished counts; those with choices (numa, storage, failover) are not here."""

    problem: PlacementProblem
    rules: list[Callable[[Counts], bool]] = field(default_factory=list)
    """Each says whether the plan keeps it."""
    prices: list[tuple[str, Callable[[Counts], int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.classes = classes_of(self.problem)

    def holds(self, seats: Seats) -> bool:
        """Whether a plan keeps every rule."""
        counts = self._counts(seats)
        return all(rule(counts) for rule in self.rules)

    def cost(self, seats: Seats) -> dict[str, int]:
        """What it adds to each term; terms that nothing is added to are left out."""
        counts, total = self._counts(seats), dict[str, int]()
        for term, price in self.prices:
            total[term] = total.get(term, 0) + price(counts)
        return {term: amount for term, amount in total.items() if amount}

    def _counts(self, seats: Seats) -> Counts:
        counts = [[0] * len(self.problem.providers.ids) for _ in self.classes.count]
        for g, v in zip(self.classes.of.tolist(), seats.provider_of.tolist(), strict=True):
            if v >= 0:
                counts[g][v] += 1
        return counts

    def forbid(self, cells: Bool) -> None:
        """No request of a class on the providers of its forbidden cells."""
        _shaped(cells, len(self.classes.count), len(self.problem.providers.ids))
        no = cells.tolist()
        self.rules.append(
            lambda counts: (
                not any(n and no[g][v] for g, row in enumerate(counts) for v, n in enumerate(row))
            )
        )

    def price(self, term: str, cells: Int64) -> None:
        """A price for each request in a cell."""
        _shaped(cells, len(self.classes.count), len(self.problem.providers.ids))
        each = cells.tolist()
        self.prices.append(
            (
                term,
                lambda counts: sum(
                    n * each[g][v] for g, row in enumerate(counts) for v, n in enumerate(row)
                ),
            )
        )

    def at_most(self, weight: Int64, domain_of: Int64, limit: Int64) -> None:
        """Sums of weights, in each domain below its limit."""
        sums = self._sums(weight, domain_of, len(limit))
        most = limit.tolist()
        assert min(most, default=0) >= 0, f"a limit below zero: {most}"
        self.rules.append(lambda counts: all(n <= m for n, m in zip(sums(counts), most, strict=True)))

    def together(self, members: Bool, domain_of: Int64) -> None:
        """One domain in use at most."""
        sums = self._sums(members.astype(np.int64), domain_of, int(domain_of.max(initial=-1)) + 1)
        self.rules.append(lambda counts: sum(n > 0 for n in sums(counts)) <= 1)

    def even(
        self, members: Bool, domain_of: Int64, eligible: Bool, max_skew: int, min_domains: int
    ) -> None:
        """The most less the least, which is 0 where too few domains are in use."""
        sums = self._sums(members.astype(np.int64), domain_of, len(eligible))

        def keeps(counts: Counts) -> bool:
            in_each = [n for n, counts_here in zip(sums(counts), eligible, strict=True) if counts_here]
            least = 0 if sum(n > 0 for n in in_each) < min_domains else min(in_each, default=0)
            return max(in_each, default=0) - least <= max_skew

        self.rules.append(keeps)

    def per_excess(
        self, term: str, weight: Int64, domain_of: Int64, free_of_charge: Int64, cost: Int64
    ) -> None:
        """A price for each unit above what is free of charge."""
        sums = self._sums(weight, domain_of, len(cost))
        free, each = free_of_charge.tolist(), cost.tolist()
        self.prices.append(
            (
                term,
                lambda counts: sum(
                    max(0, n - f) * c for n, f, c in zip(sums(counts), free, each, strict=True)
                ),
            )
        )

    def opening(self, term: str, members: Bool, domain_of: Int64, cost: Int64) -> None:
        """A price for each domain in use."""
        sums = self._sums(members.astype(np.int64), domain_of, len(cost))
        each = cost.tolist()
        self.prices.append(
            (term, lambda counts: sum(c for n, c in zip(sums(counts), each, strict=True) if n))
        )

    def packs(
        self, term: str, weight: Int64, domain_of: Int64, size: Int64, cost: Int64, most: Int64
    ) -> None:
        """A price for each pack that is begun, up to the most."""
        sums = self._sums(weight, domain_of, len(cost))
        of_domain = list(zip(size.tolist(), cost.tolist(), most.tolist(), strict=True))
        self.prices.append(
            (
                term,
                lambda counts: sum(
                    min(m, -(-n // s) * c) for n, (s, c, m) in zip(sums(counts), of_domain, strict=True)
                ),
            )
        )

    def _sums(self, weight: Int64, domain_of: Int64, count: int) -> Callable[[Counts], list[int]]:
        _shaped(weight, len(self.classes.count))
        _shaped(domain_of, len(self.problem.providers.ids))
        weights, of = weight.tolist(), domain_of.tolist()
        assert max(of, default=-1) < count, f"a domain beyond {count}: {of}"

        def sums(counts: Counts) -> list[int]:
            total = [0] * count
            for g, row in enumerate(counts):
                for v, n in enumerate(row):
                    if of[v] >= 0:
                        total[of[v]] += weights[g] * n
            return total

        return sums


def _shaped(array: Bool | Int64, *shape: int) -> None:
    assert array.shape == shape, f"{array.shape} is not {shape}"
