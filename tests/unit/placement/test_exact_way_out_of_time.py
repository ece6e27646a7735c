"""The exact way with limits that end before CP-SAT has found anything: what the kernel places is handed out."""

from placement.generator import estate
from placement.outcome import Outcome, Proven
from placement.plan import Limits
from placement.solve import posted, solve
from placement.verify import breaches
from placement.ways import exact

NO_TIME = Limits(deterministic_time=1e-6, time_limit_s=1e-6)
PROBLEM = estate(5, 30, 4, fill_percent=75)


def test_requests_that_the_kernel_places_are_placed_however_little_time_there_is() -> None:
    plan = solve(PROBLEM, NO_TIME, way="exact")
    assert plan.unplaced == ()
    assert breaches(PROBLEM, plan) == ()


def test_no_bound_of_a_plan_out_of_time_is_above_the_optimum() -> None:
    optimum = solve(PROBLEM, Limits(deterministic_time=20.0), way="exact")
    assert solve(PROBLEM, NO_TIME, way="exact").bound_micros <= optimum.cost_micros


def outcome(unplaced: Proven, cost: Proven, solver: str) -> Outcome:
    return Outcome(posted(PROBLEM).matrix().start, (unplaced,), (cost,), solver)


def test_the_better_outcome_keeps_what_was_proven_up_to_where_they_differ_and_no_further() -> None:
    ours = outcome(Proven(3, 1), Proven(50, 40), "cp-sat")
    taken = exact._better(ours, outcome(Proven(2, 0), Proven(90, 7), "rebuilt"))
    assert (taken.solver, taken.unplaced, taken.levels) == ("rebuilt", (Proven(2, 1),), (Proven(90, 7),))
    assert exact._better(ours, outcome(Proven(3, 0), Proven(50, 0), "rebuilt")) is ours
    assert exact._better(ours, outcome(Proven(4, 0), Proven(1, 0), "rebuilt")) is ours
