"""The best of all plans, for problems that are too large to look at every plan's every choice one by one.

`tierwise.testing.placement.best_by_trying` asks the checkers about each plan. Here all plans are columns of one table,
in the order of the least that they can come to, and what the checkers refuse once is struck from it: of a refused
plan, the fewest requests that are refused by themselves, and with them every plan that has these where they are.
That is sound for constraints of which a plan keeps all that it kept when a request leaves it, and only those are
treated so. Nothing of solvers, of `post` and `admit` is used; `check` and `cost` are, which tests compare with facts.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from placement import constraints
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.explain import name_of
from placement.problem import PlacementProblem
from placement.seats import Seats
from tierwise.testing.placement import Value, value

_Plans = NDArray[np.int8]
"""[R, N] the provider of each request in each plan, -1 for none: a plan is a column, so that a request's are together."""

WHOLE = frozenset({"preemption", "spread"})
"""Kinds that a plan may break by one request less: they are asked about whole plans alone."""
BY_HOST = frozenset({"numa", "devices"})
"""Kinds by which what is chosen on one host says nothing about another."""


def best_of_all(problem: PlacementProblem) -> Value | None:
    """The value of the best plan; None where no plan keeps every constraint."""
    judges = [_Judge(problem, one) for one in constraints.of(problem)]
    plans, least = _plans(problem)
    alive = np.ones(plans.shape[1], dtype=np.bool_)
    best: Value | None = None
    for n, bound in enumerate(map(tuple, least.tolist())):
        if best is not None and bound >= best:
            break
        if not alive[n]:
            continue
        plan = plans[:, n].astype(np.int64)
        refused = _refused(judges, plan)
        if refused is None:
            found = value(problem, Seats(plan))
            assert found >= bound, f"{plan} costs {found}, less than its prices"
            best = found if best is None else min(best, found)
        else:
            alive[n:] &= ~_with(plans[:, n:], plan, refused)
    return best


def keeps(problem: PlacementProblem, one: Constraint, provider_of: Int64) -> bool:
    """Whether these seats keep one constraint, with some choice where it asks for any."""
    return _Judge(problem, one).keeps(provider_of)


class _Judge:
    """One constraint, asked by its `check` alone; for its choices, whether there are any that keep it."""

    def __init__(self, problem: PlacementProblem, one: Constraint) -> None:
        self.problem, self.one, self.name = problem, one, name_of(one)
        self.count = one.choice_count(problem)
        self.whole = self.name in WHOLE
        self.known: dict[tuple[int, ...], bool] = {}

    def keeps(self, provider_of: Int64) -> bool:
        """Whether the plan keeps it, with some choice."""
        if self.name not in BY_HOST:
            return self._remembered(provider_of)
        hosts = np.unique(provider_of[provider_of >= 0]).tolist()
        return all(self._remembered(np.where(provider_of == v, v, -1)) for v in hosts)

    def _remembered(self, provider_of: Int64) -> bool:
        key = tuple(provider_of.tolist())
        if key not in self.known:
            chosen = np.full(len(provider_of), -1, dtype=np.int64)
            placed = np.flatnonzero(provider_of >= 0).tolist()
            self.known[key] = self._can_be_chosen(provider_of, chosen, placed, 0)
        return self.known[key]

    def _can_be_chosen(self, provider_of: Int64, chosen: Int64, placed: list[int], n: int) -> bool:
        """Whether the first `n` of the placed, as chosen, break nothing, and the others find a choice beside them."""
        choices = {self.name: chosen} if self.count else {}
        there = np.full(len(provider_of), -1, dtype=np.int64)
        seen = placed[:n] if self.count else placed
        there[seen] = provider_of[seen]
        if next(iter(self.one.check(self.problem, Seats(there, choices))), None) is not None:
            return False
        if not self.count or n == len(placed):
            return True
        for choice in range(-1, self.count):
            chosen[placed[n]] = choice
            if self._can_be_chosen(provider_of, chosen, placed, n + 1):
                return True
        chosen[placed[n]] = -1
        return False


def _refused(judges: list[_Judge], plan: Int64) -> list[int] | None:
    """The requests, as few as can be, because of which the plan is refused; None where every constraint is kept."""
    for n, judge in enumerate(judges):
        if judge.keeps(plan):
            continue
        judges.insert(0, judges.pop(n))  # Who refused last is asked first.
        if judge.whole:
            return list(range(len(plan)))
        left = plan.copy()
        for i in np.flatnonzero(plan >= 0).tolist():
            left[i] = -1
            if judge.keeps(left):
                left[i] = plan[i]
        return np.flatnonzero(left >= 0).tolist()
    return None


def _with(plans: _Plans, plan: Int64, requests: list[int]) -> Bool:
    """[N] which plans have these requests where this one has them."""
    same = np.ones(plans.shape[1], dtype=np.bool_)
    for i in requests:
        same &= plans[i] == plan[i]
    return same


def _plans(problem: PlacementProblem) -> tuple[_Plans, Int64]:
    """All plans, and [N, levels] the least that each comes to, since no term is below 0; the least first."""
    r, v = len(problem.request_ids), len(problem.providers.ids)
    plans = np.indices((v + 1,) * r, dtype=np.int8).reshape(r, -1) - np.int8(1)
    least = np.column_stack(list(_least(problem, plans)))
    order = np.lexsort(least.T[::-1])
    return np.ascontiguousarray(plans[:, order]), least[order]


def _least(problem: PlacementProblem, plans: _Plans) -> Iterator[Int64]:
    """Who is out, by priority; then each level by prices and moves alone."""
    r = len(problem.request_ids)
    priority = np.zeros(r, dtype=np.int64) if problem.priority is None else problem.priority
    out = plans < 0
    for p in sorted(set(priority.tolist()), reverse=True) or [0]:
        yield out[priority == p].sum(axis=0)
    cost = np.column_stack([problem.cost_micros[:, problem.providers.pool_of], np.zeros(r, dtype=np.int64)])
    price = sum((cost[i, plans[i]] for i in range(r)), np.zeros(plans.shape[1], dtype=np.int64))
    moves = np.zeros(plans.shape[1], dtype=np.int64)
    if problem.current is not None:
        moves = ((problem.current >= 0)[:, None] & (plans != problem.current[:, None])).sum(axis=0)
    for level in problem.objective:
        yield level.get("price", 0) * price + level.get("moves", 0) * moves
