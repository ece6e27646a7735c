"""A kernel that only remembers what `admit` tells it, and judges finished plans by that in plain Python.

It has every primitive of `placement.kernel.Kernel`. What the online kernel keeps as requests come and go is counted
here from nothing, so the two can share no mistake.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from types import MappingProxyType

import numpy as np

from placement.arrays import Bool, Int64
from placement.classes import Classes, classes_of
from placement.problem import PlacementProblem
from placement.seats import Seats


@dataclass(frozen=True)
class _Plan:
    """A plan by classes."""

    pairs: list[tuple[int, int]]
    """(class, provider) of each placed request."""
    choices: Mapping[str, list[int]]
    """What each of these chose."""


@dataclass
class Recorded:
    """The primitives as functions of finished plans."""

    problem: PlacementProblem
    classes: Classes = field(init=False)
    rules: list[Callable[[_Plan], bool]] = field(default_factory=list)
    """Each says whether the plan keeps it."""
    prices: list[tuple[str, Callable[[_Plan], int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Classes are the problem's."""
        self.classes = classes_of(self.problem)

    def holds(self, seats: Seats) -> bool:
        """Whether a plan keeps every rule, with the choices ``numa`` and ``datastores`` as the kernel counts them."""
        plan = self._plan(seats)
        return all(rule(plan) for rule in self.rules)

    def cost(self, seats: Seats) -> dict[str, int]:
        """What it adds to each term; terms that nothing is added to are left out."""
        plan, total = self._plan(seats), dict[str, int]()
        for term, price in self.prices:
            total[term] = total.get(term, 0) + price(plan)
        return {term: amount for term, amount in total.items() if amount}

    def _plan(self, seats: Seats) -> _Plan:
        placed = np.flatnonzero(seats.provider_of >= 0)
        both = zip(self.classes.of[placed].tolist(), seats.provider_of[placed].tolist(), strict=True)
        choices = {name: chosen[placed].tolist() for name, chosen in seats.choices.items()}
        return _Plan(list(both), MappingProxyType(choices))

    def forbid(self, cells: Bool) -> None:
        """See `placement.kernel.Kernel`, as for all below."""
        self._shaped(cells)
        no = cells.tolist()
        self.rules.append(lambda plan: not any(no[g][v] for g, v in plan.pairs))

    def price(self, term: str, cells: Int64) -> None:
        """A price for each request in a cell."""
        self._shaped(cells)
        each = cells.tolist()
        self.prices.append((term, lambda plan: sum(each[g][v] for g, v in plan.pairs)))

    def at_most(self, weight: Int64, domain_of: Int64, limit: Int64) -> None:
        """Sums of weights, in each domain within its limit."""
        sums, most = self._sums(weight, domain_of, len(limit)), limit.tolist()
        assert min(most, default=0) >= 0, f"a limit below zero: {most}"
        self.rules.append(lambda plan: all(n <= m for n, m in zip(sums(plan), most, strict=True)))

    def together(self, members: Bool, domain_of: Int64) -> None:
        """One domain in use at most."""
        sums = self._sums(members.astype(np.int64), domain_of, int(domain_of.max(initial=-1)) + 1)
        self.rules.append(lambda plan: sum(n > 0 for n in sums(plan)) <= 1)

    def apart(self, kind: Int64, domain_of: Int64) -> None:
        """One kind in each domain at most."""
        kinds, of = kind.tolist(), domain_of.tolist()

        def keeps(plan: _Plan) -> bool:
            there = {(of[v], kinds[g]) for g, v in plan.pairs if of[v] >= 0 and kinds[g] >= 0}
            return len(there) == len({domain for domain, _ in there})

        self.rules.append(keeps)

    def even(
        self, members: Bool, domain_of: Int64, eligible: Bool, max_skew: int, min_domains: int
    ) -> None:
        """The most less the least, which is 0 where too few domains are eligible."""
        sums = self._sums(members.astype(np.int64), domain_of, len(eligible))

        def keeps(plan: _Plan) -> bool:
            in_each = [n for n, counts in zip(sums(plan), eligible.tolist(), strict=True) if counts]
            least = 0 if len(in_each) < min_domains else min(in_each)
            return max(in_each, default=0) - least <= max_skew

        self.rules.append(keeps)

    def per_excess(
        self, term: str, weight: Int64, domain_of: Int64, free_of_charge: Int64, cost: Int64
    ) -> None:
        """A price for each unit above what is free of charge."""
        free, each = free_of_charge.tolist(), cost.tolist()
        self._pay(term, weight, domain_of, len(each), lambda d, n: max(0, n - free[d]) * each[d])

    def opening(self, term: str, members: Bool, domain_of: Int64, cost: Int64) -> None:
        """A price for each domain in use."""
        each = cost.tolist()
        self._pay(term, members.astype(np.int64), domain_of, len(each), lambda d, n: each[d] if n else 0)

    def packs(
        self, term: str, weight: Int64, domain_of: Int64, size: Int64, cost: Int64, most: Int64
    ) -> None:
        """A price for each pack that is begun, up to the most."""
        sizes, each, mosts = size.tolist(), cost.tolist(), most.tolist()
        self._pay(
            term, weight, domain_of, len(each), lambda d, n: min(mosts[d], -(-n // sizes[d]) * each[d])
        )

    def numa(self, need: Int64, nodes: Int64, free: Int64) -> None:
        """Every request on as many nodes as it asks for, and no node with more than it has."""

        def keeps(plan: _Plan) -> bool:
            left = free.tolist()
            for (g, v), mask in zip(plan.pairs, self._chosen(plan, "numa"), strict=True):
                chosen = [n for n in range(mask.bit_length()) if mask > 0 and mask >> n & 1]
                if len(chosen) != nodes[g] or max(chosen, default=0) >= free.shape[1]:
                    return False
                for n in chosen:
                    left[v][n] = _less(left[v][n], need[g].tolist())
            return all(has >= 0 for host in left for node in host for has in node)

        self.rules.append(keeps)

    def storage(
        self, name: str, need: Int64, reach: Bool, allowed: Bool, free: Int64, choice_of: Int64
    ) -> None:
        """Every request that needs any is on one store that it reaches and that suits, and no store gives more than it has."""
        stands_for = choice_of.tolist()

        def keeps(plan: _Plan) -> bool:
            left = free.tolist()
            for (g, v), choice in zip(plan.pairs, self._chosen(plan, name), strict=True):
                if need[g].any() != (choice >= 0):
                    return False
                if choice < 0:
                    continue
                stores = [s for s, c in enumerate(stands_for) if c == choice and reach[v, s]]
                if len(stores) != 1 or not allowed[g, choice]:
                    return False
                left[stores[0]] = _less(left[stores[0]], need[g].tolist())
            return all(has >= 0 for store in left for has in store)

        self.rules.append(keeps)

    def failover(self, pool: int, losses: int, weight: Int64) -> None:
        """For each set of hosts that may fail, some way of all ways to restart fits, beside the most that others ever take."""
        hosts = np.flatnonzero(self.problem.providers.pool_of == pool).tolist()
        sets = list(combinations(hosts, min(losses, len(hosts))))
        self.rules.append(lambda plan: all(self._survives(plan, hosts, lost, weight) for lost in sets))

    def _survives(self, plan: _Plan, hosts: list[int], lost: tuple[int, ...], weight: Int64) -> bool:
        """Whether those of the lost hosts fit somehow on the others; who is overfull without them is not looked at."""
        moving = [g for g, v in plan.pairs if v in lost and weight[g]]
        rest = [v for v in hosts if v not in lost]
        staying = [(g, v) for g, v in plan.pairs if v in rest]
        return any(
            self._fits(staying, list(zip(moving, to, strict=True)))
            for to in product(rest, repeat=len(moving))
        )

    def _fits(self, staying: list[tuple[int, int]], coming: list[tuple[int, int]]) -> bool:
        providers, demand, periods = self.problem.providers, self.classes.demand, self.problem.periods
        own = np.flatnonzero(providers.own)
        free = providers.free if periods is None else providers.free - periods.taken.max(axis=0)
        if not all(
            self.classes.allowed[g, v] and (demand[g] <= providers.largest[v]).all() for g, v in coming
        ):
            return False
        for v in {v for _, v in coming}:
            used = sum(demand[g] for g, at in (*staying, *coming) if at == v)
            if (used > free[v])[own].any():
                return False
        return True

    @staticmethod
    def _chosen(plan: _Plan, name: str) -> list[int]:
        return plan.choices.get(name, [-1] * len(plan.pairs))

    def _pay(
        self, term: str, weight: Int64, domain_of: Int64, count: int, price: Callable[[int, int], int]
    ) -> None:
        """What `price` asks of each domain for the sum of weights there."""
        sums = self._sums(weight, domain_of, count)
        self.prices.append((term, lambda plan: sum(price(d, n) for d, n in enumerate(sums(plan)))))

    def _sums(self, weight: Int64, domain_of: Int64, count: int) -> Callable[[_Plan], list[int]]:
        g, v = len(self.classes.count), len(self.problem.providers.ids)
        assert (weight.shape, domain_of.shape) == ((g,), (v,)), (
            f"{weight.shape}, {domain_of.shape}: not {g}, {v}"
        )
        weights, of = weight.tolist(), domain_of.tolist()
        assert max(of, default=-1) < count, f"a domain beyond {count}: {of}"

        def sums(plan: _Plan) -> list[int]:
            total = [0] * count
            for one, at in plan.pairs:
                if of[at] >= 0:
                    total[of[at]] += weights[one]
            return total

        return sums

    def _shaped(self, cells: Bool | Int64) -> None:
        shape = len(self.classes.count), len(self.problem.providers.ids)
        assert cells.shape == shape, f"{cells.shape} is not {shape}"


def _less(has: list[int], takes: list[int]) -> list[int]:
    return [a - b for a, b in zip(has, takes, strict=True)]
