"""CP-SAT makes parts of a plan better: a few hosts and all that is on them, everything else as it is."""

import numpy as np

from placement.arrays import Int64
from placement.large.incumbent import Incumbent
from placement.large.neighbours import Neighbours
from placement.large.part import Part, beyond, part_of
from placement.matrix import Expression
from placement.solvers import exact
from placement.stages import Stage

_PART_TIME = 0.25
"""Deterministic seconds for one part."""
_OVERHEAD = 0.01
"""Deterministic time of building a model: what presolve refutes takes none, and loops must end."""
_MOST_BEYOND = 3_000
_SAFE = 2.0**52
_LEANING = 64
_CHECK_EVERY = 40
"""Parts taken between two looks of the checker, which counts the whole plan."""


def improve(plan: Incumbent, seed: int, deterministic_time: float) -> None:
    """Part after part, until so much is spent or every stage is proven."""
    chance = np.random.default_rng([seed, 7])
    neighbours = Neighbours(plan.model, chance)
    end = max(0.0, plan.budget.deterministic_time - deterministic_time)
    taken = 0
    while not plan.done and not plan.budget.spent and plan.budget.deterministic_time > end:
        if _improved(plan, neighbours):
            taken += 1
            if taken % _CHECK_EVERY == 0 and not plan.check():
                return
    if taken % _CHECK_EVERY:
        plan.check()


def _improved(plan: Incumbent, neighbours: Neighbours) -> bool:
    assert plan.state is not None, "there is no plan yet"
    counts = plan.counts
    hosts, cells = neighbours.draw(counts)
    plan.budget.spend(_OVERHEAD, 0.0)
    if len(cells) == 0:
        return False
    more = beyond(plan.state, cells, plan.cells, _MOST_BEYOND)
    part = part_of(plan.state, np.concatenate([cells, more]))
    stages = [part.stage(s.name, c) for s, c in zip(plan.stages, plan.costs, strict=True)]
    leaning = _leaning(plan, part, hosts, neighbours.fill(counts))
    values = _solved(plan, part, stages, leaning)
    return values is not None and plan.take(part, values, "cp-sat parts")


def _leaning(plan: Incumbent, part: Part, hosts: Int64, fill: np.ndarray) -> Stage:
    """Among equals, the emptier a host the less is left on it: some day it can be done without."""
    rank = np.zeros(len(fill), dtype=np.int64)
    rank[hosts[np.argsort(-fill[hosts], kind="stable")]] = np.arange(len(hosts))
    cells = np.flatnonzero(part.columns < plan.cells)
    g, v = np.divmod(part.columns[cells], plan.model.shape[1])
    demand = plan.model.classes.demand[g]
    largest = np.maximum(plan.model.classes.demand.max(axis=0, initial=1), 1)
    weight = 1 + (demand * _LEANING // largest).max(axis=1, initial=0)
    costs = weight * rank[v]
    some = np.flatnonzero(costs)
    return Stage("leaning", Expression(cells[some], costs[some]))


def _solved(plan: Incumbent, part: Part, stages: list[Stage], leaning: Stage) -> Int64 | None:
    assert plan.state is not None, "there is no plan yet"
    wanted = [one for one in stages if len(one.expression.column)]
    together = joined([*wanted, leaning], part) or joined(wanted, part)
    queue = [together] if together else wanted
    model = exact.CpSat(part.matrix, plan.budget)
    model.hint(plan.state.values[part.columns])
    for stage in queue:
        if plan.budget.spent:
            break
        share = min(1.0, _PART_TIME / len(queue) / plan.budget.deterministic_time)
        if model.least(stage, share) is None:
            break
    return model.values


def joined(stages: list[Stage], part: Part) -> Stage | None:
    """One expression in which each stage counts more than all later ones can; None where that leaves 52 bits."""
    size = len(part.columns)
    total, reach = np.zeros(size, dtype=np.int64), 1.0
    width = (part.matrix.upper - part.matrix.lower).astype(np.float64)
    for stage in reversed(stages):
        if not len(stage.expression.column):
            continue
        coefficient = stage.expression.coefficient
        step = int(np.gcd.reduce(coefficient))
        range_of = float(np.abs(coefficient / step) @ width[stage.expression.column])
        if reach * (range_of + 1.0) >= _SAFE:
            return None
        total[stage.expression.column] += coefficient // step * int(reach)
        reach *= range_of + 1.0
    some = np.flatnonzero(total)
    return Stage("part", Expression(some, total[some]))
