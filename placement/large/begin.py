"""First plans: the kernel places one request after another, in several orders, and what comes out is checked."""

from collections.abc import Iterator

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.large.incumbent import Incumbent
from placement.large.rebuild import Rebuilding
from placement.large.seating import orders, seat_in, stay
from placement.online import Online
from placement.problem import PlacementProblem
from placement.seats import Seats

_PLACING_S, _SCANNED_S = 1e-5, 4e-9


def begin(plan: Incumbent) -> None:
    """Offer the best of several orders, and the next best if that breaks a constraint; nobody, if all do."""
    made = sorted(_plans(plan), key=lambda one: _rank(plan.problem, one[0]))
    for seats, placed in made:
        _offer(plan, seats, placed, "in order")
        if plan.state is not None:
            break
    if plan.state is None:
        plan.offer(_nobody(plan.problem), "nothing placed")


def _rank(problem: PlacementProblem, seats: Seats) -> tuple[int, ...]:
    """Unplaced by priority, the highest first; then their prices."""
    out = seats.provider_of < 0
    priority = np.zeros(len(out), dtype=np.int64) if problem.priority is None else problem.priority
    levels = sorted(set(priority.tolist()), reverse=True)
    placed = np.flatnonzero(~out)
    pools = problem.providers.pool_of[seats.provider_of[placed]]
    price = int(problem.cost_micros[placed, pools].sum())
    return (*(int((out & (priority == p)).sum()) for p in levels), price)


def rebuild(plan: Incumbent, seed: int, deterministic_time: float, *, until_placed: bool = False) -> None:
    """Ruin and recreate from the best plan; if that is asked for, only until all are placed."""
    run = Rebuilding(plan.problem, plan.seats(), plan.budget, seed)
    run.run(deterministic_time, until_placed=until_placed)
    plan.offer(run.best_seats, "rebuilt")


def _offer(plan: Incumbent, seats: Seats, placed: list[int], solver: str) -> None:
    """Offer seats, or as many of them as break nothing.

    Not all of what constraints say is known to the kernel; what it does not know (that only so many hosts may be
    on) breaks at some point of the order, which is found by halving.
    """
    if plan.offer(seats, solver) or plan.holds(seats):
        return
    low, high = 0, len(placed)
    while low < high:
        middle = (low + high + 1) // 2
        if plan.holds(_only(seats, placed[:middle])):
            low = middle
        else:
            high = middle - 1
    plan.offer(_only(seats, placed[:low]), solver)


def _plans(plan: Incumbent) -> Iterator[tuple[Seats, list[int]]]:
    problem = plan.problem
    seating = Online(problem)
    for n, order in enumerate(orders(problem, _width(plan))):
        for i in np.flatnonzero(seating.provider_of >= 0).tolist():
            seating.remove(i)
        staying: list[int] = []
        if problem.current is not None and n == 2:
            staying = stay(seating, problem, order.tolist())
        placed = [*staying, *seat_in(seating, order[seating.provider_of[order] < 0])]
        _spend(plan.budget, problem)
        yield seating.seats, placed


def _width(plan: Incumbent) -> Int64:
    """[R] how many providers each request could have alone."""
    width: Int64 = (plan.model.upper > 0).sum(axis=1)[plan.model.classes.of]
    return width


def _spend(budget: Budget, problem: PlacementProblem) -> None:
    each = _PLACING_S + _SCANNED_S * len(problem.providers.ids)
    budget.spend(len(problem.request_ids) * each, 0.0)


def _nobody(problem: PlacementProblem) -> Seats:
    return Seats(np.full(len(problem.request_ids), -1, dtype=np.int64))


def _only(seats: Seats, requests: list[int]) -> Seats:
    keep = np.zeros(len(seats.provider_of), dtype=np.bool_)
    keep[requests] = True
    return Seats(
        np.where(keep, seats.provider_of, -1),
        {name: np.where(keep, one, -1) for name, one in seats.choices.items()},
    )
