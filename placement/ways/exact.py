"""Every constraint in one CP-SAT model, solved stage by stage to the proven optimum: for small problems."""

from dataclasses import replace

from placement import stages
from placement.budget import Budget
from placement.model import Model
from placement.outcome import Clock, Listener, Outcome, Proven
from placement.plan import Limits
from placement.solvers import exact

RANK = 2
_CELLS = 400
"""Classes x providers up to which CP-SAT is asked for the whole; the search way is better sooner above."""
_NO_TIME = 1e-6


def fits(model: Model) -> bool:
    """Small models of any kind."""
    g, v = model.shape
    return g * v <= _CELLS


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The whole model. Raises Infeasible where requests that must be placed cannot all be.

    Where the limits were over before it was proven who can be placed, the kernel's plan is taken if it is better.
    """
    matrix = model.matrix()
    every = (*stages.unplaced_stages(model), *stages.level_stages(model, matrix))
    try:
        answer = exact.solve(matrix, every, Budget.of(limits, clock), tell)
    except exact.OutOfTime:
        quick = _quick(model, limits)
        if quick is None:
            raise
        return quick
    priorities = len(stages.priorities(model))
    g, v = model.shape
    found = Outcome(
        counts=answer.values[: g * v].reshape(g, v),
        unplaced=answer.proven[:priorities],
        levels=answer.proven[priorities:],
        solver="cp-sat",
        choices=model.chosen(answer.values),
    )
    if any(one.value > one.bound for one in found.unplaced):
        quick = _quick(model, limits)
        return found if quick is None else _better(found, quick)
    return found


def _quick(model: Model, limits: Limits) -> Outcome | None:
    """What the search way begins with, which no limit keeps it from; None where that keeps not every constraint."""
    from placement.large.search import solve as begun  # noqa: PLC0415 - only where time was too short

    nothing_left = limits.model_copy(update={"deterministic_time": _NO_TIME, "time_limit_s": _NO_TIME})
    try:
        return begun(model, nothing_left)
    except (exact.Infeasible, exact.OutOfTime):
        return None


def _better(found: Outcome, quick: Outcome) -> Outcome:
    """The one that is better in the first stage where they differ; what is proven of any plan holds for both."""
    ours, theirs = (*found.unplaced, *found.levels), (*quick.unplaced, *quick.levels)
    pairs = [(one.value, other.value) for one, other in zip(ours, theirs, strict=True)]
    at = next((n for n, (mine, other) in enumerate(pairs) if mine != other), len(pairs))
    if at == len(pairs) or pairs[at][0] < pairs[at][1]:
        return found
    # A bound supposes the values of the stages before it: those after the first that differs say nothing here.
    best = [
        Proven(other.value, max(one.bound, other.bound) if n <= at else other.bound)
        for n, (one, other) in enumerate(zip(ours, theirs, strict=True))
    ]
    priorities = len(found.unplaced)
    return replace(quick, unplaced=tuple(best[:priorities]), levels=tuple(best[priorities:]))
