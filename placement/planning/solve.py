"""The door: a planning problem in, a verified plan with a proven bound out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catalog.frozen import FrozenDict
from placement.budget import Budget
from placement.outcome import Clock
from placement.plan import Limits
from placement.planning import mip
from placement.planning.bound import proven_by
from placement.planning.counted import cost_terms, licences_of
from placement.planning.crowds import Fine, crowds_of, fine
from placement.planning.diving import dive
from placement.planning.explain import impossible_of
from placement.planning.facts import Facts
from placement.planning.headroom import headroom_of
from placement.planning.improving import enough_hosts, fewer_pools, more_hosts
from placement.planning.linear import Linear
from placement.planning.model import Model, build
from placement.planning.plan import PlanningPlan
from placement.planning.problem import PlanningProblem
from placement.planning.rounding import (
    decided_of,
    largest_first,
    seat,
    seat_in_parts,
    unseat_what_breaks,
    whole_part,
)
from placement.planning.seating import Seating
from placement.planning.tidying import chosen, tidy
from placement.planning.verify import verified
from placement.solvers import exact
from placement.stages import Stage

DEFAULT_LIMITS = Limits()
Listener = Callable[[str, int, int], None]
"""Takes what is told of, the cost so far, and what no plan costs less than."""
_SMALL = 120
"""Cells up to which all columns are whole in one exact solve."""
_MOST_CELLS = 3000
"""Of crowds."""
_FEW_CELLS = 5000
"""Cells of groups up to which closing pools is tried."""
_ROUNDS = 4
_TRIES = 3
"""Pools that closing is tried of, for each second of deterministic time."""


@dataclass(frozen=True, eq=False)
class _Answer:
    seating: Seating
    bound: int
    unplaced_bound: int
    solver: str


def solve(
    problem: PlanningProblem,
    limits: Limits = DEFAULT_LIMITS,
    *,
    tell: Listener | None = None,
    clock: Clock | None = None,
) -> PlanningPlan:
    """Place as many machines as possible, then pay the least, then move the fewest.

    The same problem and limits give the same plan, as long as `time_limit_s` is not what stopped it. Raises
    AssertionError where a plan was made that does not hold: that is a bug.
    """
    facts, budget = Facts(problem), Budget.of(limits, clock)
    small = int(facts.possible.sum()) <= _SMALL
    answer = _exactly(build(facts), budget) if small else _in_parts(fine(facts), facts, budget)
    plan = verified(problem, _plan(problem, answer))
    if tell is not None:
        tell(plan.solver, plan.cost_micros, plan.bound_micros)
    return plan


def _exactly(model: Model, budget: Budget) -> _Answer:
    """All columns whole, in CP-SAT."""
    stages = [
        Stage("unplaced", model.out),
        Stage("cost", model.matrix.terms["cost"]),
        Stage("moves", model.moves),
    ]
    found = exact.solve(model.matrix, stages, budget)
    seating = Seating(
        model.facts, model.scopes, decided_of(model, found.values), whole_part(model, found.values)
    )
    tidy(seating)
    out, cost = found.proven[:2]
    return _Answer(seating, cost.bound, out.bound, "cp-sat")


def _in_parts(whole: Fine, facts: Facts, budget: Budget) -> _Answer:
    """Crowds say what to open, to keep and to license; prices prove a bound; machines are then seated group by group."""
    crowd = crowds_of(whole, _MOST_CELLS)
    crowds = build(crowd)
    linear, out = _relaxed(crowds, budget)
    prices = linear.prices, linear.added_prices
    decided = decided_of(crowds, dive(crowds, linear, budget.time_limit_s))
    seating = Seating(facts, crowds.scopes, decided, np.zeros(facts.possible.shape, dtype=np.int64))
    enough_hosts(seating, decided)
    seating.decide(decided)
    seat_in_parts(seating, budget.time_limit_s)
    unseat_what_breaks(seating)
    seat(seating, largest_first(seating))
    more_hosts(seating, out)
    tidy(seating)
    if facts.possible.sum() <= _FEW_CELLS:
        seating = fewer_pools(seating, out, max(1, int(budget.deterministic_time * _TRIES)))
    left_out = int(seating.waiting().sum())
    bound = proven_by(build(whole), crowds, crowd, linear.at(*prices), left_out) or 0
    nowhere = int(facts.problem.groups.count[~facts.possible.any(axis=1)].sum())
    return _Answer(seating, bound, nowhere, "crowds")


def _relaxed(crowds: Model, budget: Budget) -> tuple[Linear, int]:
    """The linear program at its optimum, with the rows that parts break; and how many it leaves out."""
    linear = Linear(crowds, crowds.matrix.terms["cost"], budget.seed)
    for column in crowds.unplaced.tolist():
        linear.hold(column, 0, 0)
    try:
        linear.solve(budget.time_limit_s)
    except mip.Infeasible:
        sizes = np.abs(crowds.matrix.terms["cost"].coefficient)
        linear.price(crowds.unplaced, 10.0 * float(sizes.max(initial=1)))
        linear.solve(budget.time_limit_s)
    for _ in range(_ROUNDS):
        if not linear.tighten() or not linear.solve(budget.time_limit_s):
            break
    return linear, int(np.ceil(linear.values[crowds.unplaced].sum() - 1e-6))


def _plan(problem: PlanningProblem, answer: _Answer) -> PlanningPlan:
    seating = answer.seating
    counts, hosts = seating.counts, seating.decided.hosts
    licences = licences_of(problem, counts, list(chosen(seating)))
    terms = cost_terms(problem, counts, hosts, licences)
    cost, sunk = sum(terms.values()), sum(problem.sunk.values())
    return PlanningPlan(
        counts=counts,
        hosts=hosts,
        unplaced=seating.waiting(),
        terms=FrozenDict(terms),
        cost_micros=cost,
        bound_micros=min(cost, answer.bound + sunk),
        unplaced_bound=answer.unplaced_bound,
        moves=_moves(seating),
        licences=licences,
        headroom=headroom_of(problem, counts, hosts),
        impossible=impossible_of(seating),
        solver=answer.solver,
    )


def _moves(seating: Seating) -> int:
    return int(seating.counts[seating.facts.moved].sum())
