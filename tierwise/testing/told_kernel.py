"""What a constraint tells the online kernel, read back by recounting a whole plan in plain Python.

Knows the primitives in which costs and limits are told; a constraint that uses another one fails here by name.
"""

from collections import defaultdict
from collections.abc import Callable

from placement.arrays import Bool, Int64
from placement.classes import classes_of
from placement.constraint import Constraint
from placement.problem import PlacementProblem
from placement.seats import Seats

Pairs = list[tuple[int, int]]
"""(class, provider) of each placed request."""


class ToldKernel:
    """Remembers each primitive as a function of a plan."""

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        self.classes = classes_of(problem)
        self._rules: list[Callable[[Pairs], bool]] = []
        self._costs: list[tuple[str, Callable[[Pairs], int]]] = []

    def keeps(self, seats: Seats) -> bool:
        """Whether a plan keeps everything that was told."""
        return all(rule(self._pairs(seats)) for rule in self._rules)

    def costs(self, seats: Seats) -> dict[str, int]:
        """What the plan costs by term."""
        total: dict[str, int] = defaultdict(int)
        for term, count in self._costs:
            total[term] += count(self._pairs(seats))
        return dict(total)

    def forbid(self, cells: Bool) -> None:
        """See `placement.kernel.Kernel`, as for all below."""
        refused = cells.tolist()
        self._rules.append(lambda pairs: not any(refused[g][v] for g, v in pairs))

    def price(self, term: str, cells: Int64) -> None:
        """The sum over requests."""
        prices = cells.tolist()
        self._costs.append((term, lambda pairs: sum(prices[g][v] for g, v in pairs)))

    def at_most(self, weight: Int64, domain_of: Int64, limit: Int64) -> None:
        """The sum over each domain's requests is within its limit."""
        limits = limit.tolist()
        self._rules.append(
            lambda pairs: all(n <= limits[d] for d, n in _sums(pairs, weight, domain_of).items())
        )

    def opening(self, term: str, members: Bool, domain_of: Int64, cost: Int64) -> None:
        """The cost of each domain with a member."""
        costs, count = cost.tolist(), members.astype("int64")
        self._costs.append(
            (term, lambda pairs: sum(costs[d] for d, n in _sums(pairs, count, domain_of).items() if n))
        )

    def packs(
        self, term: str, weight: Int64, domain_of: Int64, size: Int64, cost: Int64, most: Int64
    ) -> None:
        """The packs of each domain, up to the most."""
        sizes, costs, mosts = size.tolist(), cost.tolist(), most.tolist()
        self._costs.append(
            (
                term,
                lambda pairs: sum(
                    min(mosts[d], -(-n // sizes[d]) * costs[d])
                    for d, n in _sums(pairs, weight, domain_of).items()
                ),
            )
        )

    def _pairs(self, seats: Seats) -> Pairs:
        both = zip(self.classes.of.tolist(), seats.provider_of.tolist(), strict=True)
        return [(g, v) for g, v in both if v >= 0]


def told(problem: PlacementProblem, constraint: Constraint) -> ToldKernel:
    """What one constraint tells; `problem` has it among its own, since classes depend on that."""
    kernel = ToldKernel(problem)
    constraint.admit(kernel)  # type: ignore[arg-type]  # it has the primitives in which costs and limits are told, no others
    return kernel


def _sums(pairs: Pairs, weight: Int64, domain_of: Int64) -> dict[int, int]:
    weights, domains = weight.tolist(), domain_of.tolist()
    sums: dict[int, int] = defaultdict(int)
    for g, v in pairs:
        if domains[v] >= 0:
            sums[domains[v]] += weights[g]
    return sums
