"""The checker finds every planted breach, and lets a sound plan through."""

from collections.abc import Callable

import pytest

from placement.plan import Plan, PlanStatus
from placement.problem import PlacementProblem
from placement.solve import solve
from placement.verify import breaches, verified


@pytest.fixture
def problem(problem_of: Callable[..., PlacementProblem]) -> PlacementProblem:
    """r0 fits only a; r1 is refused on b; r2 is too large for any host of a; r3 finds no room."""
    return problem_of(
        [[4], [4], [3], [9]],
        [[8], [9]],
        [[10, 20], [11, 5], [12, 30], [13, 13]],
        largest=[[9], [3]],
        refused=[(1, 1)],
    )


@pytest.fixture
def plan(problem: PlacementProblem) -> Plan:
    return solve(problem)


def assigned(plan: Plan, i: int, **changes: object) -> Plan:
    rows = list(plan.assignments)
    rows[i] = rows[i].model_copy(update=changes)
    return plan.model_copy(update={"assignments": tuple(rows)})


def told(plan: Plan, i: int, pool: str, **changes: object) -> Plan:
    candidates = tuple(
        c.model_copy(update=changes) if c.pool == pool else c for c in plan.assignments[i].candidates
    )
    return assigned(plan, i, candidates=candidates)


def test_a_sound_plan_passes(problem: PlacementProblem, plan: Plan) -> None:
    assert [a.pool for a in plan.assignments] == ["a", "a", "b", None]
    assert breaches(problem, plan) == ()
    assert verified(problem, plan) is plan


PLANTED: list[tuple[str, Callable[[Plan], Plan], str]] = [
    ("over capacity", lambda p: assigned(p, 2, pool="a"), "a: vcpu 11 is more than the 8"),
    ("refused by a policy", lambda p: assigned(p, 1, pool="b"), "r1: b is refused: confidential"),
    ("too large for a host", lambda p: assigned(p, 0, pool="b"), "r0: vcpu 4 is more than one host of b"),
    ("wrong cost", lambda p: p.model_copy(update={"cost_micros": 50}), "cost 50 is not the sum"),
    ("bound above cost", lambda p: p.model_copy(update={"bound_micros": 52}), "bound 52 must be within 0"),
    ("negative bound", lambda p: p.model_copy(update={"bound_micros": -1}), "bound -1 must be within 0"),
    (
        "gap called optimal",
        lambda p: p.model_copy(update={"bound_micros": 1}),
        "status optimal with cost 51",
    ),
    ("proof unsaid", lambda p: p.model_copy(update={"status": PlanStatus.FEASIBLE}), "status feasible"),
    ("too few placeable", lambda p: p.model_copy(update={"unplaced_bound": 2}), "at least 2 are said"),
    (
        "a row short",
        lambda p: p.model_copy(update={"assignments": p.assignments[:3]}),
        "3 assignments for 4",
    ),
    (
        "rows swapped",
        lambda p: p.model_copy(update={"assignments": p.assignments[::-1]}),
        "assignments are not in the order",
    ),
    ("unknown pool", lambda p: assigned(p, 0, pool="z"), "r0: there is no pool 'z'"),
    ("other currency", lambda p: p.model_copy(update={"currency": "USD"}), "priced in USD over 720 h"),
    ("no candidates", lambda p: assigned(p, 0, candidates=()), "r0: its candidates are not every pool"),
    ("wrong price told", lambda p: told(p, 0, "b", cost_micros=1), "r0 on b: said to cost 1"),
    ("wrong tier told", lambda p: told(p, 0, "b", tier="tier-9"), "r0 on b: said to cost 20 on tier-9"),
    ("refusal untold", lambda p: told(p, 1, "b", rejections=()), "r1 on b: a policy's reason is not told"),
    ("shortage untold", lambda p: told(p, 3, "a", rejections=()), "r3 on a: vcpu 9 of 0 free"),
    ("wasted room", lambda p: assigned(p, 2, pool=None), "r2: unplaced, though b could take it"),
]


@pytest.mark.parametrize(
    ("plant", "message"), [(p, m) for _, p, m in PLANTED], ids=[n for n, _, _ in PLANTED]
)
def test_a_planted_breach_is_found(
    problem: PlacementProblem, plan: Plan, plant: Callable[[Plan], Plan], message: str
) -> None:
    wrong = plant(plan)
    found = breaches(problem, wrong)
    assert any(text.startswith(message) for text in found), found
    with pytest.raises(AssertionError, match="made a plan that does not hold"):
        verified(problem, wrong)


def test_a_cheaper_pool_with_room_is_a_breach_of_a_plan_that_is_said_to_be_the_cheapest(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[1]], [[4], [4]], [[3, 5]])
    dearer = assigned(solve(problem), 0, pool="b").model_copy(
        update={"cost_micros": 5, "bound_micros": 5, "terms": {}}
    )
    assert breaches(problem, dearer) == ("r0: a is cheaper and has room",)
    stopped = dearer.model_copy(update={"bound_micros": 3, "status": PlanStatus.FEASIBLE})
    assert breaches(problem, stopped) == ()


@pytest.mark.parametrize("way", ["exact", "search"])
def test_who_stays_where_it_is_dear_is_no_breach_where_moves_count_more(
    problem_of: Callable[..., PlacementProblem], way: str
) -> None:
    objective = ({"moves": 1}, {"price": 1})
    plan = solve(
        problem_of([[1]], [[4], [4]], [[3, 5]], current=[1], more={"objective": objective}), way=way
    )
    assert [a.pool for a in plan.assignments] == ["b"]
