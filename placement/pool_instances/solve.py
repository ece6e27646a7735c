"""The door: a pool instance in, a pool for each request and a bound out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.pool_instances.cells import Cells, by_class, by_class_and_app
from placement.pool_instances.check import breaches, cost
from placement.pool_instances.effort import Effort, Run
from placement.pool_instances.filling import promising, start
from placement.pool_instances.incumbent import Incumbent, PoolListener
from placement.pool_instances.instance import PoolInstance
from placement.pool_instances.relaxation import Relaxed, nothing, relax
from placement.pool_instances.search import Search
from placement.pool_instances.seats import seat

_SHARE = {"relaxation": 0.6, "tries": 0.7, "fractions": 0.85, "classes": 0.96}
"""Of the time limit: when the relaxation ends, annealing gives up without counts that fit, and the search over
classes ends."""
_DRAWN, _DRAWN_S = 0.1, 0.3
"""Of the time over classes: the part that exchanges drawn by chance have, or so many seconds. They soon have counts
that fit; all small exchanges of two pools, listed, make of these better ones."""
_SEATING = 20
"""Seating what was found in between takes one part in so many of the time at most."""


@dataclass(frozen=True)
class PoolLimits:
    """What a solve may spend. Same instance, seed and rounds, same answer, unless time was short."""

    time_limit_s: float = 10.0
    seed: int = 0
    rounds: int | None = None
    """Rounds of search; None goes on until the time is over, so that a faster machine goes further."""
    solve_whole_up_to: int = 300
    """Up to so many counts of class, application and pool are solved at once, with the spreading rows."""


@dataclass(frozen=True, eq=False)
class PoolAnswer:
    """A checked assignment, what it costs, and what no assignment costs less than."""

    assignment: Int64
    """[N] the pool of each request, -1 for none."""
    objective: int
    unplaced: int
    bound: int

    @property
    def gap(self) -> float:
        """(objective - bound) / objective; 0.0 is proven optimal."""
        return (self.objective - self.bound) / self.objective if self.objective else 0.0


def solve(
    instance: PoolInstance,
    limits: PoolLimits,
    clock: Callable[[], float],
    run: Run = map,
    tell: PoolListener | None = None,
) -> PoolAnswer:
    """Place requests at the least cost that the limits allow.

    `clock` tells seconds; `run` applies a function to two values, and may do so at the same time; `tell` is
    called with every better assignment and every higher bound.
    """
    begin = clock()
    fine = by_class_and_app(instance)
    small = fine.upper.size <= limits.solve_whole_up_to

    def effort(share: float) -> Effort:
        return Effort(clock, begin + share * limits.time_limit_s, limits.rounds, run)

    best = Incumbent(instance, tell)
    best.prove(_least(fine))
    if small:
        _whole(fine, limits, effort(1.0), best)
    else:
        _in_stages(fine, limits, effort, best)
    return _answer(instance, best)


def _least(cells: Cells) -> int:
    """Nothing costs less than each request by itself where it is cheapest; known however little time there is."""
    out = cells.instance.unplaced_cost
    each = np.where(cells.upper > 0, cells.cost, out).min(axis=1, initial=out)
    return int(cells.count @ each)


def _in_stages(fine: Cells, limits: PoolLimits, effort: Callable[[float], Effort], best: Incumbent) -> None:
    """Classes first, as if no application had to spread; then whoever spreading left without a seat."""
    instance, cells = fine.instance, by_class(fine.instance)

    seated = _now_and_then(lambda counts: best.offer(seat(instance, counts)), effort(1.0).clock)
    seated(start(cells, nothing(cells)))
    relaxed, near = effort(1.0).run(
        _call,
        [
            lambda: relax(cells, _SHARE["relaxation"] * limits.time_limit_s, limits.seed),
            lambda: _loaded(cells),
        ],
    )
    best.prove(relaxed.bound)
    search = Search(cells, start(cells, relaxed), relaxed.bound, limits.seed, seated)
    if _left_out(search, seat(instance, search.counts)) == 0:
        _over_classes(search, relaxed, near, effort)
    assignment = seat(instance, search.counts)
    best.offer(assignment)
    if _left_out(search, assignment):
        again = _search(fine, _counted(fine, assignment), search.bound, limits.seed, best)
        again.run(effort(1.0))


def _now_and_then(offer: Callable[[Int64], None], clock: Callable[[], float]) -> Callable[[Int64], None]:
    """Offers counts where the last offer is long enough ago: with a million requests, each takes most of a second."""
    begun, took = -np.inf, 0.0

    def offered(counts: Int64) -> None:
        nonlocal begun, took
        now = clock()
        if now - begun >= _SEATING * took:
            offer(counts)
            begun, took = now, clock() - now

    return offered


def _search(fine: Cells, counts: Int64, bound: int, seed: int, best: Incumbent) -> Search:
    """Over counts of classes and applications, whose every better one is offered."""
    return Search(fine, counts, bound, seed, lambda found: best.offer(_seated(fine, found)))


def _call(job: Callable[[], Any]) -> Any:
    return job()


def _loaded(cells: Cells) -> Int64:
    """The table of pairs in exchange; and numba is loaded, as long as SCIP does not need the processor."""
    from placement.pool_instances.annealing import near_pairs, warm  # noqa: PLC0415 - while SCIP solves

    warm()
    return near_pairs(cells)


def _whole(fine: Cells, limits: PoolLimits, effort: Effort, best: Incumbent) -> None:
    """A small instance, all at once."""
    relaxed = relax(fine, _SHARE["relaxation"] * limits.time_limit_s, limits.seed)
    best.prove(relaxed.bound)
    search = _search(fine, start(fine, relaxed), relaxed.bound, limits.seed, best)
    search.everything(effort, limits.time_limit_s)
    best.prove(search.bound)
    search.run(effort)


def _over_classes(search: Search, relaxed: Relaxed, near: Int64, effort: Callable[[float], Effort]) -> None:
    """Anneal, by exchanges drawn and then listed; where no run fits, CP-SAT from the filled counts, which do."""
    from placement.pool_instances.annealing import prepare  # noqa: PLC0415 - loaded by now

    if relaxed.counts is not None:
        annealing = prepare(search.cells, relaxed, near)
        until, tries = effort(_SHARE["classes"]), effort(_SHARE["tries"])
        listed_s = until.left_s - max(_DRAWN * until.left_s, _DRAWN_S)
        fits = search.anneal(annealing, tries, replace(until, deadline=until.deadline - max(listed_s, 0.0)))
        if not fits:
            fits = search.exchange(annealing, tries)
        if fits:
            search.exchange(annealing, until)
            search.pairs(until)
            return
    if effort(_SHARE["classes"]).left_s <= 0:
        return
    part = promising(search.cells, relaxed, search.counts)
    search.near(part, effort(_SHARE["fractions"]), 1.0)
    search.run(effort(_SHARE["classes"]))


def _left_out(search: Search, assignment: Int64) -> int:
    """Requests that spreading left without a seat of their class."""
    return int((assignment < 0).sum() - search.cells.unplaced(search.counts).sum())


def _counted(cells: Cells, assignment: Int64) -> Int64:
    counts = np.zeros_like(cells.upper)
    placed = np.flatnonzero(assignment >= 0)
    np.add.at(counts, (cells.of[placed], assignment[placed]), 1)
    return counts


def _seated(cells: Cells, counts: Int64) -> Int64:
    """[N] from counts of classes and applications [G, P]: whoever of a cell sits where."""
    each = np.column_stack([counts, cells.unplaced(counts)])
    pools = np.append(np.arange(cells.pools), -1)
    assignment = np.empty(len(cells.of), dtype=np.int64)
    assignment[np.argsort(cells.of, kind="stable")] = np.repeat(np.tile(pools, len(each)), each.reshape(-1))
    return assignment


def _answer(instance: PoolInstance, best: Incumbent) -> PoolAnswer:
    assignment, bound = best.assignment, best.bound
    wrong = breaches(instance, assignment)
    assert not wrong, f"an assignment that does not hold: {'; '.join(wrong[:20])}"
    objective = cost(instance, assignment)
    assert bound <= objective, f"a bound {bound} above an assignment's cost {objective}"
    return PoolAnswer(assignment, objective, int((assignment < 0).sum()), bound)
