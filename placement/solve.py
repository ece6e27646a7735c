"""The door of the engine: a problem in, a verified plan out."""

from collections.abc import Mapping

import numpy as np

from placement import constraints, ways
from placement.arrays import Int64
from placement.classes import Classes, spread
from placement.explain import assignments
from placement.model import Model
from placement.outcome import NOTHING_PROVEN, Clock, Listener, Outcome, Proven
from placement.placed import Placed, placed
from placement.plan import Level, Limits, Plan, PlanStatus
from placement.problem import COSTS, DEFAULT_OBJECTIVE, PlacementProblem
from placement.verify import terms_of, verified

DEFAULT_LIMITS = Limits()


def solve(
    problem: PlacementProblem,
    limits: Limits = DEFAULT_LIMITS,
    *,
    way: str | None = None,
    tell: Listener | None = None,
    clock: Clock | None = None,
) -> Plan:
    """Place as many requests as possible, as well as the objective says.

    Whatever stops the search, there is a plan, its bounds are proven, and every part of it has been
    checked without the solver. The same problem and limits give the same plan; permuting requests
    permutes it, up to which of several identical requests has which of their places.

    `way` is one of `placement.ways.names()` and overrides the choice by size and kind; `tell` is called with
    every better answer and every higher bound; `clock` (seconds) lets `time_limit_s` count what is not spent
    in solvers. Raises placement.solvers.exact.Infeasible where machines that must stay cannot all stay.
    """
    model = posted(problem)
    name = way or ways.chosen(model)
    outcome = ways.way(name).solve(model, limits, tell, clock)
    return verified(problem, plan_of(problem, model, outcome))


def posted(problem: PlacementProblem) -> Model:
    """The model of a problem with every constraint in it."""
    model = Model(problem)
    for constraint in constraints.of(problem):
        constraint.post(model)
    return model


def plan_of(problem: PlacementProblem, model: Model, outcome: Outcome) -> Plan:
    """The plan that counts stand for, with its explanations."""
    provider_of = spread(problem, model.classes, outcome.counts)
    choices = {name: dealt(model.classes, provider_of, n) for name, n in outcome.choices.items()}
    after = placed(problem, provider_of, choices)
    return plan_after(after, outcome, model.classes)


def plan_after(after: Placed, outcome: Outcome, classes: Classes) -> Plan:
    """The plan of decisions, with what is proven of them."""
    problem = after.problem
    terms = terms_of(problem, after.seats)
    levels = _counted(problem.objective, terms, outcome.levels)
    first = levels[0] if levels else Proven(0, 0)
    every = (*outcome.unplaced, first)
    usual = problem.objective == DEFAULT_OBJECTIVE
    cost = sum(terms.get(name, 0) for name in COSTS)
    bound = first.bound if usual and first.bound != NOTHING_PROVEN else 0
    return Plan(
        status=PlanStatus.OPTIMAL if all(one.value == one.bound for one in every) else PlanStatus.FEASIBLE,
        assignments=assignments(after, classes),
        cost_micros=cost,
        bound_micros=max(0, min(bound, cost)),
        solver=outcome.solver,
        currency=problem.currency,
        horizon_hours=problem.horizon_hours,
        unplaced_bound=sum(max(0, one.bound) for one in outcome.unplaced),
        terms=terms,
        levels=() if usual else _levels(problem.objective, levels),
        preempted=_preempted(after),
    )


def dealt(classes: Classes, provider_of: Int64, counts: Int64) -> Int64:
    """[R] the choice of each request, from `counts` [G, V, C] of each cell; -1 where there is none."""
    left = counts.copy()
    choice = np.full(len(provider_of), -1, dtype=np.int64)
    for i in np.flatnonzero(provider_of >= 0).tolist():
        row = left[classes.of[i], provider_of[i]]
        if row.any():
            c = int(np.argmax(row > 0))
            row[c] -= 1
            choice[i] = c
    return choice


def _counted(
    objective: tuple[Mapping[str, int], ...], terms: Mapping[str, int], levels: tuple[Proven, ...]
) -> tuple[Proven, ...]:
    """Levels as they are counted: a model that was stopped early may say more, since its own columns may be above need."""
    values = [sum(n * terms.get(name, 0) for name, n in weights.items()) for weights in objective]
    return tuple(Proven(n, min(n, one.bound)) for n, one in zip(values, levels, strict=False))


def _levels(objective: tuple[Mapping[str, int], ...], levels: tuple[Proven, ...]) -> tuple[Level, ...]:
    return tuple(
        Level(terms=dict(weights), value=one.value, bound=one.bound)
        for weights, one in zip(objective, levels, strict=False)
    )


def _preempted(after: Placed) -> tuple[str, ...]:
    problem = after.problem
    if problem.current is None or problem.priority is None:
        return ()
    gone = np.flatnonzero((problem.current >= 0) & (after.provider_of < 0))
    return tuple(problem.request_ids[i] for i in gone.tolist())
