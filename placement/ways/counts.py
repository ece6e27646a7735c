"""Requests that only compete for room and price: greedy, the linear program rounded, CP-SAT, until counting proves it."""

from placement.model import Model
from placement.outcome import Clock, Listener, Outcome, Proven
from placement.plan import Limits
from placement.problem import DEFAULT_OBJECTIVE
from placement.search import search

RANK = 1
_CELLS, _CELLS_OF_HOSTS = 200_000, 400
"""Above this a fill of cell after cell takes longer than the ways that work on arrays; where requests must be packed
onto hosts, rounding a linear program comes less near, and the search way is better sooner."""


def fits(model: Model) -> bool:
    """Cells and packing rows only, one priority, and the usual objective."""
    most = _CELLS_OF_HOSTS if model.problem.providers.are_hosts else _CELLS
    one = (
        len(model.classes.count) <= 1
    )  # Then the cheapest hosts with room are the answer, and counting proves it.
    return _counts_alone(model) and (one or model.shape[0] * model.shape[1] <= most)


def _counts_alone(model: Model) -> bool:
    usual = model.problem.objective == DEFAULT_OBJECTIVE
    return usual and len(set(model.classes.priority.tolist())) <= 1 and model.plain


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The most placed, then the least paid, then the fewest moved; the moves are not proven."""
    assert _counts_alone(model), "only problems that fit are solved this way"
    found = search(model, limits, clock, tell)
    count = len(model.problem.request_ids)
    without = count - int(found.counts.sum())
    cost = int((found.counts * model.classes.cost).sum())
    return Outcome(
        counts=found.counts,
        unplaced=(Proven(without, count - found.most_placed),),
        levels=(Proven(cost, found.least_cost_micros),),
        solver=found.solver,
    )
