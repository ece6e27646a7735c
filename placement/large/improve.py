"""CP-SAT makes parts of a plan better: a few hosts and all that is on them, everything else as it is."""

import numpy as np

from placement.arrays import Int64
from placement.large.incumbent import Incumbent
from placement.large.neighbours import Neighbours
from placement.large.part import Part, beyond, part_of
from placement.matrix import NO_LIMIT, Expression
from placement.relaxation import with_row
from placement.solvers import exact
from placement.stages import Stage

_PART_TIME, _LEANING_TIME = 0.25, 0.05
"""Deterministic seconds for one part, and for leaning it when it cannot be made better."""
_OVERHEAD = 0.02
"""Deterministic time of building a model: what presolve refutes takes none, and loops must end."""
_TRULY = 3.0
"""Measured: CP-SAT takes about so many seconds for a unit of deterministic time of small models, beyond the first."""
_MOST_BEYOND = 3_000
_SAFE = 2.0**52
_WEIGHTS = 64
_CHECK_EVERY = 40
"""Parts taken between two looks of the checker, which counts the whole plan."""


def improve(plan: Incumbent, seed: int, deterministic_time: float) -> None:
    """Part after part, until so much is spent or every stage is proven."""
    chance = np.random.default_rng([seed, 7])
    neighbours = Neighbours(plan.model, chance)
    end = max(0.0, plan.budget.deterministic_time - deterministic_time)
    taken = 0
    while not plan.done and not plan.budget.spent and plan.budget.deterministic_time > end:
        before = plan.budget.deterministic_time
        better = _improved(plan, neighbours)
        plan.budget.spend(_TRULY * (before - plan.budget.deterministic_time), 0.0)
        if better:
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
    better = _solved(plan, part, stages, neighbours)
    if better is not None and plan.take(part, better, "cp-sat parts"):
        return True
    leaning = _leaning(plan, part, hosts, neighbours.fill(counts))
    lent = _leant(plan, part, stages, leaning)
    return lent is not None and plan.take(part, lent, "cp-sat parts")


def _leaning(plan: Incumbent, part: Part, hosts: Int64, fill: np.ndarray) -> Stage:
    """Among equals, the emptier a host the less is left on it: some day it can be done without."""
    rank = np.zeros(len(fill), dtype=np.int64)
    rank[hosts[np.argsort(-fill[hosts], kind="stable")]] = np.arange(len(hosts))
    cells = np.flatnonzero(part.columns < plan.cells)
    g, v = np.divmod(part.columns[cells], plan.model.shape[1])
    demand = plan.model.classes.demand[g]
    largest = np.maximum(plan.model.classes.demand.max(axis=0, initial=1), 1)
    weight = 1 + (demand * _WEIGHTS // largest).max(axis=1, initial=0)
    costs = weight * rank[v]
    some = np.flatnonzero(costs)
    return Stage("leaning", Expression(cells[some], costs[some]))


def _solved(plan: Incumbent, part: Part, stages: list[Stage], neighbours: Neighbours) -> Int64 | None:
    """The best values of the part that its time allows."""
    assert plan.state is not None, "there is no plan yet"
    wanted = [one for one in stages if len(one.expression.column)]
    if not wanted:
        return None
    together = joined(wanted, part)
    queue = [together] if together else wanted
    model = exact.CpSat(part.matrix, plan.budget)
    model.hint(plan.state.values[part.columns])
    ended = True
    for stage in queue:
        if plan.budget.spent:
            break
        found = model.least(stage, _share(plan, _PART_TIME / len(queue)))
        if found is None:
            return model.values
        ended = ended and found.value == found.bound
    neighbours.learn(ended=ended)
    return model.values


def _leant(plan: Incumbent, part: Part, stages: list[Stage], leaning: Stage) -> Int64 | None:
    """Values as good as those at hand that leave less on what is nearly empty."""
    assert plan.state is not None, "there is no plan yet"
    if plan.budget.spent or not len(leaning.expression.column):
        return None
    now = plan.state.values[part.columns]
    matrix = part.matrix
    for stage in stages:
        if len(stage.expression.column):
            matrix = with_row(matrix, stage.expression, -NO_LIMIT, stage.expression.of(now))
    model = exact.CpSat(matrix, plan.budget)
    model.hint(now)
    model.least(leaning, _share(plan, _LEANING_TIME))
    return model.values


def _share(plan: Incumbent, deterministic_time: float) -> float:
    return min(1.0, deterministic_time / plan.budget.deterministic_time)


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
