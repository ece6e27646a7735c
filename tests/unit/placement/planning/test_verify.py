"""The checker has teeth: plans that were changed by a little are refused, with what is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from catalog.frozen import FrozenDict
from placement.planning.plan import PlanningPlan
from placement.planning.problem import PlanningProblem
from placement.planning.solve import solve
from placement.planning.verify import breaches
from tierwise.testing.tiny_planning import random_problem

SEED = 20


def solved(seed: int = SEED) -> tuple[PlanningProblem, PlanningPlan]:
    problem = random_problem(seed, products=1)
    return problem, solve(problem)


def changed(array: Any, at: Any, by: int) -> Any:
    copy = array.copy()
    copy[at] += by
    return copy


def test_nothing_is_wrong_with_plans_as_they_come() -> None:
    for seed in range(10):
        assert list(breaches(*solved(seed))) == []


@pytest.mark.parametrize("seed", range(12))
def test_a_host_less_is_noticed(seed: int) -> None:
    problem, plan = solved(seed)
    for b in np.flatnonzero(plan.hosts).tolist():
        assert list(breaches(problem, replace(plan, hosts=changed(plan.hosts, b, -1))))


@pytest.mark.parametrize("seed", range(12))
def test_a_machine_elsewhere_more_or_less_is_noticed(seed: int) -> None:
    problem, plan = solved(seed)
    for g, p in np.argwhere(plan.counts > 0).tolist():
        moved = changed(changed(plan.counts, (g, p), -1), (g, 1 - p), 1)
        told = list(breaches(problem, replace(plan, counts=moved)))
        free = problem.groups.costs["storage"][g, 0] == problem.groups.costs["storage"][g, 1]
        assert told or free
        assert list(breaches(problem, replace(plan, counts=changed(plan.counts, (g, p), 1))))
        assert list(breaches(problem, replace(plan, counts=changed(plan.counts, (g, p), -1))))


def test_money_that_does_not_add_up_is_noticed() -> None:
    problem, plan = solved()
    assert plan.licences
    wrong = [
        replace(plan, cost_micros=plan.cost_micros - 1),
        replace(plan, bound_micros=plan.cost_micros + 1),
        replace(plan, terms=FrozenDict({**plan.terms, "power": plan.terms["power"] + 1})),
        replace(plan, licences=()),
        replace(plan, licences=(*plan.licences, plan.licences[0])),
        replace(plan, licences=(plan.licences[0].model_copy(update={"packs": 0}), *plan.licences[1:])),
        replace(plan, moves=plan.moves + 1),
        replace(plan, unplaced_bound=int(plan.unplaced.sum()) + 1),
    ]
    for one in wrong:
        assert list(breaches(problem, one))


def test_a_licence_that_counts_fewer_hosts_is_noticed() -> None:
    found = 0
    for seed in range(30):
        problem, plan = solved(seed)
        for n, one in enumerate(plan.licences):
            for block, hosts in one.blocks.items():
                fewer = one.model_copy(update={"blocks": FrozenDict({**one.blocks, block: hosts - 1})})
                rest = (*plan.licences[:n], fewer, *plan.licences[n + 1 :])
                assert list(breaches(problem, replace(plan, licences=rest)))
                found += 1
    assert found > 10
