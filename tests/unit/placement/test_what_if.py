"""A what-if compares the estate as it runs with what would be best once something changed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from placement.diff import diff
from placement.problem import InvalidProblem, PlacementProblem
from placement.providers import Hosts
from placement.scenario import parse
from placement.solve import solve
from placement.what_if import WhatIf, what_if


def asked(problem: PlacementProblem, before: list[int], *changes: str) -> WhatIf:
    return what_if(problem, np.array(before, dtype=np.int64), parse(changes))


@pytest.fixture
def estate(problem_of: Callable[..., PlacementProblem]) -> PlacementProblem:
    """Six machines of two sizes; a is tier-1, b and c are tier-2 and cost half."""
    return problem_of([[2]] * 4 + [[4]] * 2, [[16], [8], [8]], [[20, 10, 10]] * 4 + [[40, 20, 20]] * 2)


def test_an_estate_that_is_best_already_stays_where_it_is(estate: PlacementProblem) -> None:
    answer = asked(estate, [1, 2, 2, 1, 2, 1])
    assert answer.diff.moves == ()
    assert answer.diff.change_micros == 0
    assert answer.changed.assignments == answer.base.assignments
    assert answer.already_broken == ()


def test_a_lost_pool_moves_what_was_on_it_and_nothing_else(estate: PlacementProblem) -> None:
    answer = asked(estate, [1, 2, 2, 1, 2, 1], "pool:c=lost")
    moved = {move.request_id: (move.from_pool, move.to_pool) for move in answer.diff.moves}
    assert moved == {"r1": ("c", "a"), "r2": ("c", "a"), "r4": ("c", "a")}
    # 8 of 16 vCPU now cost 10 instead of 5 each.
    assert (answer.base.cost_micros, answer.changed.cost_micros) == (80, 120)
    tiers = {t.tier: (t.machines_before, t.machines_after) for t in answer.diff.by_tier}
    assert tiers == {"tier-1": (0, 3), "tier-2": (6, 3)}


def test_what_no_longer_fits_is_told_with_every_reason(estate: PlacementProblem) -> None:
    answer = asked(estate, [1, 2, 2, 1, 2, 1], "tier:tier-1=closed", "capacity:b=-50%")
    lost = answer.diff.newly_unplaced
    assert [(d.request_id, d.before_micros) for d in lost] == [(lost[0].request_id, 20)]
    assert {r.rule_id for r in lost[0].reasons} == {"what-if", "capacity"}
    assert "1 no longer placed" in answer.diff.sentences()


def test_a_dearer_tier_is_left_as_far_as_there_is_room(estate: PlacementProblem) -> None:
    answer = asked(estate, [0, 0, 0, 0, 1, 2], "price:tier-1=+50%")
    assert answer.base.cost_micros == 4 * 20 + 2 * 20
    assert answer.changed.cost_micros == 80
    # Moving alone would have saved as much: the price itself costs nothing once tier-1 is empty.
    assert answer.rearranged.cost_micros == 80
    assert len(answer.diff.moves) == 4
    assert answer.diff.sentences()[0] == "cost over 720 h: EUR 0.00 -> 0.00 (-33.3%)"


def test_growth_places_new_machines_without_moving_the_old(estate: PlacementProblem) -> None:
    answer = asked(estate, [1, 2, 2, 1, 2, 1], "grow=+50%")
    assert answer.diff.moves == ()
    assert [p.to_pool for p in answer.diff.newly_placed] == ["a"] * 3


def test_who_ran_nowhere_before_is_newly_placed(estate: PlacementProblem) -> None:
    answer = asked(estate, [-1, 2, 2, 1, 2, 1])
    assert [(p.request_id, p.to_pool) for p in answer.diff.newly_placed] == [("r0", "b")]


def test_an_estate_that_breaks_its_rules_today_is_told_so(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[4], [4]], [[4], [9]], [[1, 2], [1, 2]], refused=[(1, 0)])
    answer = asked(problem, [0, 0])
    assert answer.already_broken == (
        "r1: a is refused: confidential data must stay in DE",
        "a: vcpu 8 is more than the 4 that is free",
    )
    assert [(m.request_id, m.from_pool, m.to_pool) for m in answer.diff.moves] == [("r1", "a", "b")]


def test_the_parts_of_a_diff_add_up_to_the_whole(estate: PlacementProblem) -> None:
    answer = asked(estate, [0, 0, 1, 1, 2, -1], "price:tier-2=+10%", "capacity:c=-50%", "grow=+50%")
    d = answer.diff
    parts = (
        sum(m.after_micros - m.before_micros for m in d.moves)
        + sum(p.after_micros for p in d.newly_placed)
        - sum(u.before_micros for u in d.newly_unplaced)
        + d.stayed_micros
    )
    assert parts == d.change_micros
    assert sum(t.after_micros - t.before_micros for t in d.by_tier) == d.change_micros


def test_plans_in_different_currencies_are_not_compared(estate: PlacementProblem) -> None:
    plan = solve(estate)
    with pytest.raises(AssertionError, match="not comparable: EUR/720 h, USD/720 h"):
        diff(plan, plan.model_copy(update={"currency": "USD"}))


def test_a_problem_that_looks_inside_pools_is_refused(problem_of: Callable[..., PlacementProblem]) -> None:
    problem = problem_of([[1]], [[4]], [[1]])
    inside = replace(
        problem,
        hosts=Hosts(("h",), np.zeros(1, dtype=np.int64), problem.free, problem.largest),
    )
    with pytest.raises(InvalidProblem, match="changes are of pools alone"):
        what_if(inside, np.zeros(1, dtype=np.int64), [])
