"""What plans say would make them cheaper is so: the problem with that one limit relaxed has such a plan."""

from dataclasses import replace

import numpy as np
import pytest

from catalog.frozen import FrozenDict
from placement.planning.problem import Blocks, Groups, PlanningProblem, Pools
from placement.planning.solve import solve
from policies.decisions import Rejection
from tierwise.testing.tiny_planning import least, lifted, random_problem, ruled

MICROS = 10**6


def two_pools(*, most_moves: int | None = None, allowed: bool = True, hosts: int = 40) -> PlanningProblem:
    """Sixty machines of one size at 10 each in pool a, where they run; 1 each in pool b, with ten on a host."""
    ints = lambda *values: np.array(values, dtype=np.int64)  # noqa: E731 - one word for all the arrays below
    why = Rejection(
        rule_id="stays",
        pool="b",
        dimension="rule",
        limit="a",
        need="b",
        why="it stays",
        remedy="lift the rule",
    )
    return PlanningProblem(
        resource_classes=("vcpu",),
        groups=Groups(
            ids=("web",),
            count=ints(60),
            demand=ints([1]),
            current=ints(0),
            allowed=np.array([[True, allowed]]),
            rejections=FrozenDict({} if allowed else {(0, 1): (why,)}),
            costs={"labour": ints([10 * MICROS, MICROS])},
        ),
        pools=Pools(ids=("a", "b"), tier_of=("t1", "t2"), losses=ints(0, 0), shared=ints([0], [0])),
        blocks=Blocks(
            ids=("a0", "b0"),
            pool_of=ints(0, 1),
            existing=ints(6, 1),
            most=ints(6, hosts),
            capacity=ints([10], [10]),
            largest=ints([10], [10]),
            kept_costs={"power": ints(2 * MICROS, 2 * MICROS)},
        ),
        most_moves=most_moves,
        horizon_hours=730,
    )


def test_moves_that_are_missing_are_told_with_what_they_would_save() -> None:
    plan = solve(two_pools(most_moves=20))
    (one,) = [one for one in plan.binding if one.kind == "moves"]
    assert str(one) == "10 more machines could move, 30 in all: saves 90 EUR a month or more"
    assert plan.cost_micros - solve(two_pools(most_moves=30)).cost_micros == one.saving_micros


def test_a_host_that_is_missing_is_told() -> None:
    plan = solve(two_pools(hosts=2))
    (one,) = [one for one in plan.binding if one.kind == "hosts"]
    assert one.subject == "b0"
    assert one.saving_micros == 90 * MICROS
    assert plan.cost_micros - solve(two_pools(hosts=3)).cost_micros == one.saving_micros


def test_nothing_is_told_where_nothing_binds() -> None:
    assert solve(two_pools()).binding == ()


@pytest.mark.parametrize("seed", range(30))
def test_no_relaxed_problem_has_a_best_plan_that_saves_less_than_was_told(seed: int) -> None:
    problem = random_problem(seed, products=1)
    assert_saved(problem, {"moves", "hosts", "failures"})


@pytest.mark.parametrize("seed", [0, 68, 181])
def test_a_rule_that_is_lifted_saves_what_was_told_with_the_licences_of_where_machines_then_are(
    seed: int,
) -> None:
    assert_saved(ruled(random_problem(seed, products=2)), {"rule"})


def assert_saved(problem: PlanningProblem, kinds: set[str]) -> None:
    plan = solve(problem)
    if int(plan.unplaced.sum()):
        return  # A relaxed problem may place more, and cost more for that.
    for one in plan.binding:
        if one.kind in kinds:
            relaxed = _relaxed(problem, one.kind, one.subject)
            assert least(relaxed)[1] <= plan.cost_micros - one.saving_micros


def _relaxed(problem: PlanningProblem, kind: str, subject: str) -> PlanningProblem:
    if kind == "rule":
        return lifted(problem, subject)
    if kind == "moves":
        assert problem.most_moves is not None
        return replace(problem, most_moves=problem.most_moves + 10)
    if kind == "hosts":
        more = problem.blocks.most + np.array([name == subject for name in problem.blocks.ids])
        return replace(problem, blocks=replace(problem.blocks, most=more))
    assert kind == "failures"
    fewer = problem.pools.losses - np.array([name == subject for name in problem.pools.ids])
    return replace(problem, pools=replace(problem.pools, losses=fewer))
