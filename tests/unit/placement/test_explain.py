"""Every request knows every pool, its price and its reasons."""

from collections.abc import Callable

from placement.plan import Assignment
from placement.problem import PlacementProblem
from placement.solve import solve


def told(assignment: Assignment) -> list[tuple[str, int, list[str]]]:
    return [(c.pool, c.cost_micros, [r.rule_id for r in c.rejections]) for c in assignment.candidates]


def test_the_possible_come_first_by_cost_and_then_the_refused_by_tier(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of(
        [[4]],
        [[9], [9], [2], [9], [9]],
        [[50, 20, 10, 1, 30]],
        refused=[(0, 3)],
        tiers=["tier-1", "tier-1", "tier-3", "tier-2", "tier-2"],
    )
    (assignment,) = solve(problem).assignments
    assert told(assignment) == [
        ("b", 20, []),
        ("e", 30, []),
        ("a", 50, []),
        ("d", 1, ["data-residency"]),
        ("c", 10, ["capacity"]),
    ]


def test_a_pool_tells_every_reason_and_not_only_the_first(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[8, 8]], [[4, 4], [9, 9]], [[1, 2]], largest=[[9, 6], [9, 9]], refused=[(0, 0)])
    (assignment,) = solve(problem).assignments
    refused = assignment.candidates[1].rejections
    assert [(r.rule_id, r.dimension) for r in refused] == [
        ("data-residency", "country"),
        ("capacity", "vcpu"),
        ("largest-host", "memory_mib"),
    ]


def test_who_lost_to_others_of_the_batch_is_told_so(problem_of: Callable[..., PlacementProblem]) -> None:
    plan = solve(problem_of([[2]] * 4, [[6]], [[1]] * 4))
    (lost,) = plan.unplaced
    (reason,) = lost.candidates[0].rejections
    assert reason.why == (
        "2 more vCPU would have to be free on a: "
        "it would fit alone, but 3 other requests of this batch use the room"
    )


def test_a_request_in_its_second_choice_is_told_what_the_first_lacks(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    plan = solve(problem_of([[4], [4]], [[4], [8]], [[10, 11], [10, 60]]))
    first = plan.assignments[0]
    assert (first.pool, told(first)) == ("b", [("b", 11, []), ("a", 10, ["capacity"])])
    assert "1 other request of this batch uses the room" in first.candidates[1].rejections[0].why
