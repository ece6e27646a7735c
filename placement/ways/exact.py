"""Every constraint in one CP-SAT model, solved stage by stage to the proven optimum: for small problems."""

from placement import stages
from placement.budget import Budget
from placement.model import Model
from placement.outcome import Clock, Listener, Outcome
from placement.plan import Limits
from placement.solvers import exact

RANK = 2
_CELLS = 400
"""Classes x providers up to which CP-SAT is asked for the whole; the search way is better sooner above."""


def fits(model: Model) -> bool:
    """Small models of any kind."""
    g, v = model.shape
    return g * v <= _CELLS


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The whole model. Raises Infeasible where requests that must be placed cannot all be."""
    matrix = model.matrix()
    every = (*stages.unplaced_stages(model), *stages.level_stages(model, matrix))
    answer = exact.solve(matrix, every, Budget.of(limits, clock), tell)
    priorities = len(stages.priorities(model))
    g, v = model.shape
    return Outcome(
        counts=answer.values[: g * v].reshape(g, v),
        unplaced=answer.proven[:priorities],
        levels=answer.proven[priorities:],
        solver="cp-sat",
        choices=model.chosen(answer.values),
    )
