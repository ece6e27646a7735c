"""The door: a planning problem in, a verified plan with a proven bound out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from catalog.frozen import FrozenDict
from placement.budget import Budget
from placement.matrix import NO_LIMIT
from placement.outcome import Clock
from placement.plan import Limits
from placement.planning import mip
from placement.planning.binding import bindings_of
from placement.planning.bound import moves_by, proven_by, unplaced_by
from placement.planning.branching import Branching, Held
from placement.planning.counted import cost_terms, licences_of
from placement.planning.crowds import Crowd, Fine, crowds_of, fine
from placement.planning.diving import dive, price_unplaced
from placement.planning.explain import impossible_of
from placement.planning.facts import Facts
from placement.planning.headroom import headroom_of
from placement.planning.improving import enough_hosts, fewer_pools, more_hosts, paid
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
from placement.planning.seating import Decided, Seating
from placement.planning.shifting import shift
from placement.planning.tidying import chosen, tidy
from placement.planning.verify import verified
from placement.relaxation import with_row
from placement.solvers import exact
from placement.stages import Stage

DEFAULT_LIMITS = Limits()
Listener = Callable[[str, int, int], None]
"""Takes what is told of, the cost so far, and what no plan costs less than."""
_SMALL = 120
"""Cells up to which all columns are whole in one exact solve."""
_MOST_CELLS = 3000
"""Of crowds."""
_FEW_CELLS = 6000
"""Cells of groups up to which closing pools is tried."""
_PROGRAMS, _CELLS = 60, 1000
"""Linear programs for each second of deterministic time where crowds have so many cells or fewer; of more, fewer by the square."""
_ROUNDS = 4
_TIGHTER = 1e-3
"""Rows that parts break are added as long as that makes the linear program so much dearer, as a share."""
_TRIES = 3
"""Pools that closing is tried of, for each second of deterministic time."""


@dataclass(frozen=True, eq=False)
class _Answer:
    seating: Seating
    bound: int
    unplaced_bound: int
    moves_bound: int
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
    TimeoutError where that is too short for any plan, and AssertionError where a plan was made that does not hold: that is a bug.
    """
    facts, budget = Facts(problem), Budget.of(limits, clock)
    small = int(facts.possible.sum()) <= _SMALL
    answer = _exactly(build(facts), budget) if small else _in_parts(fine(facts), facts, budget)
    plan = verified(problem, _plan(problem, answer, budget.time_limit_s))
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
    out, cost, moves = found.proven
    # Tidying may have made it cheaper than the solver's: of fewer plans, which move no fewer.
    return _Answer(seating, cost.bound, out.bound, max(0, moves.bound), "cp-sat")


def _in_parts(whole: Fine, facts: Facts, budget: Budget) -> _Answer:
    """Crowds say what to open, to keep and to license; prices prove a bound; machines are then seated group by group."""
    crowd = crowds_of(whole, _MOST_CELLS)
    crowds = build(crowd)
    linear, out = _relaxed(crowds, budget)
    plans = _Plans(facts, crowds, linear, out, budget)
    model = build(whole)
    share = min(1.0, _CELLS / max(1, int(crowd.possible.sum()))) ** 2 * min(
        1.0, _FEW_CELLS / max(1, int(facts.possible.sum()))
    )
    programs = max(2, int(budget.deterministic_time * _PROGRAMS * share))
    branching = Branching(crowds, linear, budget.time_limit_s, plans.make)
    leaves = branching.search(programs)
    few = facts.possible.sum() <= _FEW_CELLS
    seating = plans.best(max(1, int(budget.deterministic_time * _TRIES)) if few else 0)
    left_out = int(seating.waiting().sum())
    if (
        left_out and not out
    ):  # Where all have a place in parts, leaves end where not all do: in whole numbers none may.
        leaves += branching.full
    bounds = [
        proven_by(model, crowds, crowd, linear.at(one.prices, one.added), left_out, one.held) or 0
        for one in leaves
    ]
    nowhere = int(facts.problem.groups.count[~facts.possible.any(axis=1)].sum())
    if left_out > nowhere:
        nowhere = max(nowhere, _least_left_out(model, crowds, crowd, budget))
    # Where no leaf is left, every other plan was found to be impossible.
    bound = min(bounds, default=paid(seating))
    return _Answer(seating, bound, nowhere, _fewest_moves(model, crowds, crowd, seating, budget), "crowds")


def _fewest_moves(model: Model, crowds: Model, crowd: Crowd, seating: Seating, budget: Budget) -> int:
    """What no plan moves fewer than that costs no more than this one, as prices of a linear program prove."""
    if not _moves(seating):
        return 0
    cost = paid(seating) - sum(seating.facts.problem.sunk.values())
    left_out = int(seating.waiting().sum())
    capped = [
        replace(one, matrix=with_row(one.matrix, one.matrix.terms["cost"], -NO_LIMIT, cost))
        for one in (model, crowds)
    ]
    linear = Linear(capped[1], crowds.moves, budget.seed)
    for column in crowds.unplaced.tolist() if not left_out else ():
        linear.hold(column, 0, 0)
    try:
        if not linear.solve(budget.time_limit_s):
            return 0
        if linear.tighten():
            linear.solve(budget.time_limit_s)
    except (
        mip.Infeasible
    ):  # Averages cost as much as their machines or more: by a rounding they may cost too much.
        return 0
    return moves_by(capped[0], capped[1], crowd, linear, left_out)


def _least_left_out(model: Model, crowds: Model, crowd: Crowd, budget: Budget) -> int:
    """Machines that no plan has a place for, as the prices of a linear program prove that counts these alone."""
    linear = Linear(crowds, crowds.out, budget.seed)
    try:
        solved = linear.solve(budget.time_limit_s)
        for _ in range(_ROUNDS):
            if not solved or not linear.tighten():
                break
            solved = linear.solve(budget.time_limit_s)
    except mip.Infeasible:  # Without any machine everything holds: a solver that says so is wrong.
        return 0
    return unplaced_by(model, crowds, crowd, linear) if len(linear.values) else 0


class _Plans:
    """Plans that are made from leaves; the best one is kept."""

    def __init__(self, facts: Facts, crowds: Model, linear: Linear, out: int, budget: Budget) -> None:
        self.facts, self.crowds, self.linear = facts, crowds, linear
        self.out, self.seconds = out, budget.time_limit_s
        self._made: list[tuple[int, int, int, Seating]] = []
        """Machines without a place, cost, number, plan."""

    def make(self, _held: Held) -> int:
        """One from what the linear program holds now; what the best one of all costs."""
        seating = self._seated(decided_of(self.crowds, dive(self.crowds, self.linear, self.seconds)))
        self._made.append((int(seating.waiting().sum()), paid(seating), len(self._made), seating))
        return min(self._made)[1]

    def best(self, tries: int) -> Seating:
        """The best one, where closing up to so many pools of the first and of the best one is tried."""
        first, best = self._made[0], min(self._made)
        closed = [fewer_pools(one[3], self.out, tries) if tries else one[3] for one in (best, first)]
        return min(closed, key=lambda one: (int(one.waiting().sum()), paid(one)))

    def _seated(self, decided: Decided) -> Seating:
        counts = np.zeros(self.facts.possible.shape, dtype=np.int64)
        seating = Seating(self.facts, self.crowds.scopes, decided, counts)
        enough_hosts(seating, decided)
        seating.decide(decided)
        seat_in_parts(seating, self.seconds)
        unseat_what_breaks(seating)
        seat(seating, largest_first(seating))
        shift(seating)
        more_hosts(seating, self.out)
        tidy(seating)
        return seating


def _relaxed(crowds: Model, budget: Budget) -> tuple[Linear, int]:
    """The linear program at its optimum, with the rows that parts break; and how many it leaves out."""
    linear = Linear(crowds, crowds.matrix.terms["cost"], budget.seed)
    for column in crowds.unplaced.tolist():
        linear.hold(column, 0, 0)
    try:
        linear.solve(budget.time_limit_s)
        price_unplaced(crowds, linear)
        _tightened(linear, budget)
    except mip.Infeasible:
        sizes = np.abs(crowds.matrix.terms["cost"].coefficient)
        linear.price(crowds.unplaced, 10.0 * float(sizes.max(initial=1)))
        linear.solve(budget.time_limit_s)
        _tightened(linear, budget)
    return linear, int(np.ceil(linear.values[crowds.unplaced].sum() - 1e-6))


def _tightened(linear: Linear, budget: Budget) -> None:
    """With the rows that parts break. Raises Infeasible, and TimeoutError where there is no answer yet."""
    if not len(linear.values):
        msg = f"no answer at all within {budget.time_limit_s:g} s; give it more time_limit_s"
        raise TimeoutError(msg)
    for _ in range(_ROUNDS):
        before = linear.objective
        if not linear.tighten() or not linear.solve(budget.time_limit_s):
            break
        if linear.objective < before * (1 + _TIGHTER):
            break


def _plan(problem: PlanningProblem, answer: _Answer, seconds: float) -> PlanningPlan:
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
        moves_bound=answer.moves_bound,
        moves=_moves(seating),
        licences=licences,
        headroom=headroom_of(problem, counts, hosts),
        impossible=impossible_of(seating),
        solver=answer.solver,
        binding=bindings_of(seating, seconds),
    )


def _moves(seating: Seating) -> int:
    return int(seating.counts[seating.facts.moved].sum())
