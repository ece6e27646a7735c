"""A conflict in the user's words, on facts made by hand."""

from collections.abc import Callable

import pytest

from placement.conflict import conflict
from placement.constraint import Constraint
from placement.constraints.balance import Balance
from placement.constraints.hosts_on import HostsOn
from placement.constraints.preemption import Preemption
from placement.problem import PlacementProblem
from placement.solve import solve


def test_a_conflict_names_who_needs_what_where_and_how_much_is_there(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[4, 8192]] * 4 + [[1, 1024]], [[9, 65536], [99, 1024]], [[1, 1]] * 5)
    found = conflict(problem)
    assert found is not None
    assert found.minimal
    assert sorted(fact.words for fact in found.facts) == [
        "3 of the 4 requests like r0 (4 vCPU, 8 GiB of memory) must be placed",
        "a has 9 vCPU free",
        "b has 1 GiB of memory free",
    ]


def test_a_policy_is_told_as_one_where_it_alone_stands_in_the_way(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[4]], [[9], [2]], [[1, 1]], refused=[(0, 0)])
    found = conflict(problem)
    assert found is not None
    assert {fact.subject for fact in found.facts} == {"r0", "data-residency", "b.vcpu"}


@pytest.mark.parametrize("term", [HostsOn(default_cost_micros=5), Balance()], ids=["hosts_on", "balance"])
def test_what_only_costs_is_no_reason_why_there_is_no_room(
    problem_of: Callable[..., PlacementProblem], term: Constraint
) -> None:
    costly = {"constraints": (term,), "objective": ({"hosts_on": 1, "balance": 1},)}
    found = conflict(problem_of([[4]], [[3], [2]], [[1, 1]], more=costly))
    assert found is not None
    assert {fact.subject for fact in found.facts} == {"r0", "a.vcpu", "b.vcpu"}


def test_who_must_keep_a_place_is_among_those_that_cannot_all_have_one(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    keeping = {"constraints": (Preemption(),)}
    found = conflict(problem_of([[3], [2], [1]], [[5]], [[1]] * 3, current=[0, 0, -1], more=keeping))
    assert found is not None
    assert {fact.subject for fact in found.facts} == {"r0", "r1", "r2", "a.vcpu"}


def test_where_all_can_be_placed_there_is_no_conflict(problem_of: Callable[..., PlacementProblem]) -> None:
    assert conflict(problem_of([[4], [4]], [[4], [4]], [[1, 1]] * 2)) is None


def test_requests_that_fit_in_parts_but_not_whole_are_a_conflict_too(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    found = conflict(problem_of([[3]] * 3, [[4], [5]], [[1, 1]] * 3))
    assert found is not None
    assert {fact.subject for fact in found.facts} == {"r0", "a.vcpu", "b.vcpu"}


def test_the_cheapest_single_change_is_told_and_none_where_two_are_needed(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[8, 4096]], [[6, 9999], [7, 2048]], [[5, 3]])
    help_ = solve(problem).assignments[0].would_help
    assert help_ is not None
    assert (help_.pool, help_.cost_micros, help_.change.remedy) == (
        "a",
        5,
        "free 2 vCPU on a, or order a smaller size",
    )
    both = problem_of([[8, 4096]], [[6, 1024], [7, 2048]], [[5, 3]])
    assert solve(both).assignments[0].would_help is None
