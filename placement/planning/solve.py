"""The door: a planning problem in, a verified plan with a proven bound out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catalog.frozen import FrozenDict
from placement.budget import Budget
from placement.outcome import Clock
from placement.plan import Limits
from placement.planning import mip
from placement.planning.counted import cost_terms, licences_of
from placement.planning.headroom import headroom_of
from placement.planning.model import Model, build
from placement.planning.plan import PlanningPlan
from placement.planning.problem import PlanningProblem
from placement.planning.rounding import decided_of, largest_first, seat, unseat_what_breaks, whole_part
from placement.planning.seating import Decided, Seating
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
_GAP = 3e-4


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
    model = build(problem)
    budget = Budget.of(limits, clock)
    small = int((model.cells >= 0).sum()) <= _SMALL
    answer = _exactly(model, budget) if small else _in_parts(model, budget)
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


def _in_parts(model: Model, budget: Budget) -> _Answer:
    """Few columns whole, and machines in parts, for a bound; then whole machines on the hosts that it chose."""
    least_out, found = _relaxed(model, budget)
    seating = _all_hosts(model) if found is None else _as_said(model, found)
    seat(seating, largest_first(seating))
    _more_hosts(seating, least_out)
    tidy(seating)
    proven = found is not None and int(seating.waiting().sum()) <= least_out
    # Solvers keep rows to a millionth or so of their size; what they prove is believed to a ten-millionth less.
    bound = int(found.bound * (1 - 1e-7)) - 1 if found is not None and proven else 0
    return _Answer(seating, max(0, bound), least_out, "highs")


def _as_said(model: Model, found: mip.Found) -> Seating:
    """On the hosts that a solver chose, with the whole part of its machines."""
    decided = decided_of(model, found.values)
    seating = Seating(model.facts, model.scopes, decided, whole_part(model, found.values))
    unseat_what_breaks(seating)
    return seating


def _all_hosts(model: Model) -> Seating:
    """On all hosts that there could be, without any machine."""
    decided = Decided(model.facts.most.copy(), [], [])
    decided.chosen = [0] * len(model.scopes)
    decided.parts = [decided.hosts[scope.blocks].copy() for scope in model.scopes]
    return Seating(model.facts, model.scopes, decided, np.zeros_like(model.cells))


def _relaxed(model: Model, budget: Budget) -> tuple[int, mip.Found | None]:
    """The least that must stay out, and the least cost with no more than that."""
    effort = mip.Effort(budget.time_limit_s, gap=_GAP, seed=budget.seed)
    cost = model.matrix.terms["cost"]
    for out in (0, _least_out(model, effort)):
        try:
            return out, mip.solve(
                with_row(model.matrix, model.out, 0, out), cost, model.whole, effort, solver="HIGHS"
            )
        except mip.Infeasible:
            continue
    return out, None


def _least_out(model: Model, effort: mip.Effort) -> int:
    """With all hosts that there could be."""
    most = model.matrix.upper
    fixed = {int(c): int(most[c]) for c in (*model.hosts.tolist(), *model.opened.tolist())}
    found = mip.solve(model.matrix, model.out, None, effort, fixed=fixed)
    assert found is not None, "a linear program without an answer"
    return int(np.ceil(found.bound - 1e-6))


def _more_hosts(seating: Seating, least_out: int) -> None:
    """Hosts more, one at a time where it is cheapest, for those that found no room."""
    facts = seating.facts
    while int(seating.waiting().sum()) > least_out:
        waiting = seating.waiting()
        best: tuple[float, Decided] | None = None
        for b in range(len(facts.most)):
            p = int(facts.problem.blocks.pool_of[b])
            if seating.decided.hosts[b] >= facts.most[b] or not (waiting * facts.possible[:, p]).any():
                continue
            more = seating.decided.copy()
            more.hosts[b] += max(1, int(facts.least_hosts[p]) - int(more.hosts[facts.blocks_of[p]].sum()))
            more.hosts[b] = min(more.hosts[b], facts.most[b])
            _license_all(seating, more)
            trial = Seating(facts, seating.scopes, more, seating.counts.copy())
            seat(trial, largest_first(trial))
            gained = int(waiting.sum() - trial.waiting().sum())
            if gained > 0:
                worth = float(facts.kept_cost[b] + facts.bought_cost[b] + 1) / gained
                if best is None or worth < best[0]:
                    best = worth, more
        if best is None:
            return
        seating.decide(best[1])
        seat(seating, largest_first(seating))


def _license_all(seating: Seating, decided: Decided) -> None:
    """Where nothing is licensed, it is now; parts are all hosts. What is too much, tidying takes back."""
    for s, scope in enumerate(seating.scopes):
        decided.chosen[s] = max(decided.chosen[s], 0)
        decided.parts[s] = decided.hosts[scope.blocks].copy()


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
        impossible=(),
        solver=answer.solver,
    )


def _moves(seating: Seating) -> int:
    return int(seating.counts[seating.facts.moved].sum())
