"""A tenant's machines take no more together than its quota has left: of each resource, and in number."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from catalog.base import SAFE_INTEGER
from catalog.frozen import FrozenMapping
from catalog.units import amount_more, amount_of, format_amount
from catalog.wording import counted
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import Names, called, in_words, is_member, pool_name
from placement.headcount import placed_members
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed, presence
from placement.problem import PlacementProblem
from placement.references import members, unknown_requests
from placement.seats import Seats
from policies.decisions import Rejection

Amount = Annotated[int, Field(strict=True, ge=0, le=SAFE_INTEGER)]

MACHINES = "machines"
"""What limits and `used` call the number of machines."""


class Quotas(Constraint):
    """In each slot of time, placed members and what others have `used` stay within the limits, on whatever provider.

    Members that run today are members like the others: `used` does not count them. Where others have used up
    more than a limit, members that need nothing of it still go.
    """

    kind: Literal["quotas"] = "quotas"
    requests: Names
    """The tenant's."""
    limits: Annotated[FrozenMapping[str, Amount], Field(min_length=1)]
    """By resource class, in its unit; ``machines`` limits how many there are."""
    used: FrozenMapping[str, Amount] = Field(default_factory=dict)
    """What machines of the tenant take that are not in this problem; 0 where it is not said."""

    @model_validator(mode="after")
    def _used_is_limited(self) -> Self:
        for name in self.used:
            if name not in self.limits:
                msg = f"used.{name}: limits has no {name}; add it, or leave this out"
                raise ValueError(msg)
        return self

    def fact(self, problem: PlacementProblem) -> str:
        """Who has how much of what."""
        parts = [
            amount_of(name, limit) + (f" ({self.used[name]:,} in use)" if self.used.get(name) else "")
            for name, limit in self.limits.items()
        ]
        return f"quota: {called(self.requests)} has at most {in_words(parts)}"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown requests and resource classes."""
        yield from unknown_requests(problem, "requests", self.requests)
        known = (*problem.resource_classes, MACHINES)
        for name in self.limits:
            if name not in known:
                yield f"limits.{name}: there is no such resource class; there are {', '.join(known)}"

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """Members are told from the others."""
        return members(problem, self.requests).astype(np.int64)

    def post(self, model: Model) -> None:
        """One packing row for each limit and slot of time."""
        cells, v = model.cells(), model.shape[1]
        for weight, left in self._sums(model.problem, model.classes.one):
            inside = np.flatnonzero(weight)
            model.at_most(cells[inside].reshape(-1), np.repeat(weight[inside], v), left)

    def admit(self, kernel: Kernel) -> None:
        """The same; all providers are one domain."""
        everywhere = np.zeros(len(kernel.problem.providers.ids), dtype=np.int64)
        for weight, left in self._sums(kernel.problem, kernel.classes.one):
            kernel.at_most(weight, everywhere, np.array([left], dtype=np.int64))

    def _sums(self, problem: PlacementProblem, one: Int64) -> Iterator[tuple[Int64, int]]:
        """For each limit and slot: [G] what a request of each class takes of it, and what there is for them."""
        group = members(problem, self.requests)[one]
        for name, limit in self.limits.items():
            for there in presence(problem):
                yield (
                    _need(problem, name)[one] * (group & there[one]),
                    max(0, limit - self.used.get(name, 0)),
                )

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each limit that members exceed, in any slot of time."""
        placed = placed_members(problem, seats, self.requests)
        for when, there in _members_by_slot(problem, placed):
            for name, limit in self.limits.items():
                taken = len(there)
                if name != MACHINES:
                    k = problem.resource_classes.index(name)
                    taken = sum(int(problem.demand[i, k]) for i in there)
                total = taken + self.used.get(name, 0)
                if taken and total > limit:
                    yield f"{called(self.requests)}: {name} {total} is more than the quota of {limit}{when}"

    def concerns(self, problem: PlacementProblem) -> Bool | None:
        """Members alone."""
        return members(problem, self.requests)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider, where a limit would be exceeded."""
        if not is_member(after.problem, self.requests, request):
            return None
        over = any(True for _ in self._exceeded(after, request))
        return np.ones(len(after.problem.providers.ids), dtype=np.bool_) if over else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """Each limit that would be exceeded: what it is, what is used, what is needed."""
        group = called(self.requests)
        for name, taken, need in self._exceeded(after, request):
            limit = self.limits[name]
            missing = taken + need - limit
            whole = counted(limit, "machine") if name == MACHINES else amount_of(name, limit)
            more = counted(missing, "more machine") if name == MACHINES else amount_more(name, missing)
            yield Rejection(
                rule_id="quotas",
                pool=pool_name(after.problem, provider),
                dimension=name,
                limit=_amount(name, limit),
                need=_amount(name, need),
                why=f"the quota of {group} is {whole}, {_amount(name, taken)} of it in use: {more} would be needed",
                remedy=f"raise the quota by {_amount(name, missing)}, {_other_ways(name, group)}",
            )

    def _exceeded(self, after: Placed, request: int) -> Iterator[tuple[str, int, int]]:
        """Name, taken without the request in the fullest slot, and need, of each limit that would be exceeded."""
        problem, group = after.problem, members(after.problem, self.requests)
        sums, here = after.taken_by(group).tolist(), _slots_of(problem, request)
        seated = bool(after.provider_of[request] >= 0 and group[request])
        for name, limit in self.limits.items():
            machines = name == MACHINES
            column = -1 if machines else problem.resource_classes.index(name)
            need, used = 1 if machines else int(problem.demand[request, column]), self.used.get(name, 0)
            taken = [row[column] - need * (seated and there) for row, there in zip(sums, here, strict=True)]
            total = [amount + need * there for amount, there in zip(taken, here, strict=True)]
            fullest = total.index(max(total))
            if total[fullest] > 0 and used + total[fullest] > limit:
                yield name, used + taken[fullest], need


def _amount(name: str, amount: int) -> str:
    return counted(amount, "machine") if name == MACHINES else format_amount(name, amount)


def _other_ways(name: str, group: str) -> str:
    delete = f"delete machines of {group} on any host"
    return f"or {delete}" if name == MACHINES else f"{delete}, or order a smaller size"


def _need(problem: PlacementProblem, name: str) -> Int64:
    """[R] what each request takes of a limit."""
    if name == MACHINES:
        return np.ones(len(problem.request_ids), dtype=np.int64)
    column: Int64 = problem.demand[:, problem.resource_classes.index(name)]
    return column


def _slots_of(problem: PlacementProblem, request: int) -> list[bool]:
    """[T] whether a request is there in each slot of time."""
    periods = problem.periods
    if periods is None:
        return [True]
    first, end = int(periods.first[request]), int(periods.end[request])
    return [first <= slot < end for slot in range(len(periods.names))]


def _members_by_slot(
    problem: PlacementProblem, placed: Mapping[str, int]
) -> Iterator[tuple[str, list[int]]]:
    """For the checker: words for each slot of time, and the positions of those that are there then."""
    positions = [i for i, name in enumerate(problem.request_ids) if name in placed]
    if problem.periods is None:
        yield "", positions
        return
    first, end = problem.periods.first.tolist(), problem.periods.end.tolist()
    for slot, name in enumerate(problem.periods.names):
        yield f" {name}", [i for i in positions if first[i] <= slot < end[i]]
