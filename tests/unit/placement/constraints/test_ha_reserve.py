"""N+k: facts by hand, every plan of small problems by trying, and every restart of small pools by trying."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement import restarts
from placement.constraints import ha_reserve
from placement.constraints.ha_reserve import HaReserve
from placement.placed import placed
from placement.plan import Limits, PlanStatus
from placement.problem import InvalidProblem, PlacementProblem
from placement.providers import Hosts
from placement.seats import Seats
from placement.solve import posted, solve
from placement.verify import seats_of
from tierwise.testing.constraint_samples.ha_reserve import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting, blocked_disagrees, first
from tierwise.testing.constraints.scenes import may_to_june
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan

SOME = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
ONE = HaReserve(pools={"a": 1})
TWO = HaReserve(pools={"a": 2})


def pool_of(
    free: list[int], demand: list[int], reserve: HaReserve | None = None, **more: object
) -> PlacementProblem:
    """Hosts h0, h1, ... of pool a with so many vCPUs free, and requests r0, r1, ...; memory is there in plenty."""
    n, r = len(free), len(demand)
    has = np.column_stack([free, [1000] * n]).astype(np.int64)
    problem = PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(r)),
        demand=np.column_stack([demand, [1] * r]).astype(np.int64).reshape(r, 2),
        pool_ids=("a",),
        tier_of=("tier-1",),
        free=has.sum(axis=0)[None],
        largest=has.max(axis=0)[None],
        cost_micros=np.ones((r, 1), dtype=np.int64),
        hosts=Hosts(tuple(f"h{v}" for v in range(n)), np.zeros(n, dtype=np.int64), has, has.copy()),
        constraints=(reserve,) if reserve else (),
    )
    return replace(problem, **more)


def seats(*provider_of: int) -> Seats:
    return Seats(np.array(provider_of, dtype=np.int64))


def unplaced(problem: PlacementProblem) -> int:
    plan = solve(problem, way="exact")
    assert plan.status is PlanStatus.OPTIMAL
    return sum(a.host is None for a in plan.assignments)


def survives_by_trying(problem: PlacementProblem, provider_of: list[int], losses: int) -> bool:
    """Whether every machine has somewhere to go for every set of lost hosts, by trying every somewhere."""
    hosts = range(len(problem.providers.ids))
    demand, free = problem.demand.tolist(), problem.providers.free.tolist()
    largest = problem.providers.largest.tolist()
    for lost in combinations(hosts, losses):
        stays = [(v, i) for i, v in enumerate(provider_of) if v not in lost]
        moves = [i for i, v in enumerate(provider_of) if v in lost]
        rest = [v for v in hosts if v not in lost]
        for to in product(rest, repeat=len(moves)):
            now = [*stays, *zip(to, moves, strict=True)]
            used = [[sum(demand[i][k] for v, i in now if v == h) for k in (0, 1)] for h in hosts]
            # What is overfull before anyone restarts there, capacity tells.
            fits = all(used[h][k] <= free[h][k] for h in to for k in (0, 1))
            pairs = list(zip(to, moves, strict=True))
            if fits and all(demand[i][k] <= largest[v][k] for v, i in pairs for k in (0, 1)):
                break
        else:
            return False
    return True


def test_of_three_equal_hosts_two_can_be_filled() -> None:
    assert unplaced(pool_of([10, 10, 10], [5] * 6)) == 0
    assert unplaced(pool_of([10, 10, 10], [5] * 6, ONE)) == 2
    assert unplaced(pool_of([10, 10, 10], [5] * 6, TWO)) == 4


def test_room_in_pieces_is_no_room_for_a_large_machine() -> None:
    # 4 + 4 + 4 are free on the others, but an 8 does not restart in pieces.
    problem = pool_of([8, 8, 8, 8], [8, 4, 4, 4])
    assert list(ONE.check(problem, seats(0, 1, 2, 3))) == [
        "if h0 of a failed, the other hosts could not be shown to take their 1 machine"
    ]
    assert list(ONE.check(problem, seats(0, 1, 1, 2))) == []


def test_where_first_fit_fails_a_way_is_searched_and_only_so_long() -> None:
    # 4 goes to h0 first, and then one 3 has no host; 3 and 3 on h0, 4 on h1 is the only way.
    problem = pool_of([6, 4, 10], [4, 3, 3])
    assert list(ONE.check(problem, seats(2, 2, 2))) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restarts, "MOST_STEPS", 3)
        assert list(ONE.check(problem, seats(2, 2, 2))) == [
            "if h2 of a failed, the other hosts could not be shown to take their 3 machines"
        ]


def test_a_host_that_is_too_small_for_one_machine_takes_no_restart_of_it() -> None:
    problem = pool_of([10, 10], [6])
    hosts = replace(problem.hosts, largest=np.array([[10, 9], [5, 9]], dtype=np.int64))
    problem = replace(problem, hosts=hosts)
    assert list(ONE.check(problem, seats(0))) == [
        "if h0 of a failed, the other hosts could not be shown to take their 1 machine"
    ]


def test_a_pool_with_no_more_hosts_than_may_fail_takes_nothing_that_restarts() -> None:
    some = HaReserve(pools={"a": 2}, restart=("r0",))
    plan = solve(pool_of([10, 10], [1, 1], some), way="exact")
    assert [a.host is None for a in plan.assignments] == [True, False]


def test_who_need_not_restart_needs_no_reserve_but_takes_room() -> None:
    some = HaReserve(pools={"a": 1}, restart=("vital",))
    groups = {"vital": ("r0", "r1")}
    assert unplaced(pool_of([10, 10], [5, 5, 5, 5], groups=groups, constraints=(some,))) == 1
    assert unplaced(pool_of([10, 10], [10, 10], groups=groups, constraints=(some,))) == 1
    none = HaReserve(pools={"a": 1}, restart=())
    assert unplaced(pool_of([10, 10], [10, 10], none)) == 0


def test_machines_that_are_never_there_together_share_the_reserve() -> None:
    apart, together = may_to_june((0, 1), (1, 2)), may_to_june((0, 1), (0, 2))
    assert unplaced(pool_of([10, 10], [8, 8], ONE, periods=apart)) == 0
    assert unplaced(pool_of([10, 10], [8, 8], ONE, periods=together)) == 1
    problem = pool_of([10, 10], [8, 8], periods=together)
    assert list(ONE.check(problem, seats(0, 1))) == [
        f"if {host} of a failed in May, the other hosts could not be shown to take their 1 machine"
        for host in ("h0", "h1")
    ]
    for periods, blocked in (apart, False), (together, True):
        after = placed(pool_of([10, 10], [8, 8], periods=periods), np.array([0, -1]))
        told = ONE.blocked(after, 1)
        assert (told is not None and bool(told[1])) == blocked


def test_the_reasons_tell_what_would_have_to_restart_and_what_is_left() -> None:
    after = placed(pool_of([8, 8], [4, 6]), np.array([0, -1]))
    assert [str(r) for r in ONE.why(after, 1, 1)] == [
        (
            "if h0 failed, machines with 4 vCPU would have to restart, and the other hosts of a have 2 vCPU left; "
            "free 2 vCPU on a, or add a host to it"
        )
    ]
    pieces = placed(pool_of([8, 8, 8, 8], [4, 4, 4, 8]), np.array([1, 2, 3, -1]))
    (reason,) = ONE.why(pieces, 3, 0)
    assert reason.why == (
        "if h0 failed, no way was found to fit its 1 machine on the others, each on one, "
        "though a has room for them in all"
    )


@pytest.mark.parametrize(
    ("reserve", "message"),
    [
        (HaReserve(pools={"b": 1}), "pools.b: there is no such pool; there are a"),
        (
            HaReserve(pools={"a": 20}),
            (
                "pools.a: 40 hosts have 137,846,528,820 sets of 20, more than the 20,000 that are looked at; "
                "ask for fewer losses"
            ),
        ),
        (HaReserve(pools={"a": 1}, restart=("r9",)), "restart[0]: there is no request or group 'r9'"),
    ],
)
def test_wrong_data_is_refused_with_its_path(reserve: HaReserve, message: str) -> None:
    with pytest.raises(InvalidProblem) as caught:
        pool_of([10] * 40, [1], reserve)
    assert str(caught.value) == f"constraints[0].{message}"


def test_pools_without_hosts_no_losses_and_a_second_one_are_refused() -> None:
    with pytest.raises(
        InvalidProblem, match=r"this problem places on pools; give it hosts, or keep a reserve"
    ):
        replace(small_problem(1, hosts=False), constraints=(ONE,))
    with pytest.raises(InvalidProblem, match="another constraint of this kind"):
        pool_of([10], [1], constraints=(ONE, TWO))
    with pytest.raises(ValidationError):
        HaReserve(pools={"a": 0})


@SOME
@given(seeds)
def test_the_checker_accepts_just_the_pools_that_some_way_saves(seed: int) -> None:
    chance = np.random.default_rng([seed, 41])
    n, r, losses = int(chance.integers(2, 5)), int(chance.integers(1, 7)), int(chance.integers(1, 3))
    problem = pool_of(chance.integers(4, 14, n).tolist(), chance.integers(1, 7, r).tolist())
    provider_of = chance.integers(0, n, r).tolist()
    said = not list(HaReserve(pools={"a": min(losses, n - 1)}).check(problem, seats(*provider_of)))
    assert said == survives_by_trying(problem, provider_of, min(losses, n - 1))


@SOME
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(hosts=True))


@SOME
@given(seeds)
def test_over_time_the_kernel_is_careful_and_the_rest_is_as_checked(seed: int) -> None:
    keeps_promises(sample, seed, Setting(hosts=True, times=True, told_rules="no less"))


@SOME
@given(seeds)
def test_stated_restarts_lose_nothing_and_spare_hosts_promise_nothing_that_does_not_hold(seed: int) -> None:
    problem = first(small_problem(seed), 4)
    problem = replace(problem, constraints=(sample(problem, np.random.default_rng([seed, 35])),))
    best = best_by_trying(problem)
    one = all(losses == 1 for losses in problem.constraints[0].pools.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restarts, "MOST_STEPS", -1)
        stated = value_of_plan(problem, solve(problem, way="exact"))
        assert stated == best if one else stated >= best
        patch.setattr(ha_reserve, "MOST_CHOICES", -1)
        assert value_of_plan(problem, solve(problem, way="exact")) >= best


def test_each_machine_of_a_larger_pool_is_told_where_it_restarts() -> None:
    problem = pool_of([16] * 8, [1, 2, 3, 4, 5, 6] * 5, ONE)
    assert "ha_reserve" in posted(problem).choices
    plan = solve(problem, Limits(deterministic_time=2.0), way="exact")
    for a in plan.assignments:
        assert a.host is None or a.choices["ha_reserve"] not in {a.host, None}
    assert sum(a.host is not None for a in plan.assignments) >= 29
    assert sum(problem.demand[:, 0]) == 105
    assert list(ONE.check(problem, seats_of(problem, plan))) == []


def test_two_hosts_of_a_larger_pool_may_fail_and_every_host_can_still_be_judged() -> None:
    problem = pool_of([16] * 7, [1, 2, 3, 4, 5, 6] * 3, TWO)
    assert not posted(problem).choices
    plan = solve(problem, Limits(deterministic_time=2.0), way="exact")
    assert sum(a.host is not None for a in plan.assignments) == 18
    assert list(blocked_disagrees(problem, TWO, seats_of(problem, plan))) == []


@SOME
@given(seeds)
def test_with_hosts_to_spare_a_way_is_found_for_whichever_are_lost(seed: int) -> None:
    chance = np.random.default_rng([seed, 42])
    n, r, losses = int(chance.integers(3, 8)), int(chance.integers(2, 20)), int(chance.integers(1, 4))
    problem = pool_of(chance.integers(16, 40, n).tolist(), chance.integers(1, 8, r).tolist())
    used = int(chance.integers(1, n + 1))
    (scene,) = restarts.scenes(problem, seats(*chance.integers(0, used, r).tolist()), 0, [True] * r)
    if scene.spared(losses):
        assert all(scene.after(lost) is not None for lost in combinations(range(n), losses))


def test_hosts_to_spare_are_as_many_empty_ones_as_may_fail_or_twice_as_many_with_room() -> None:
    def spared(losses: int, *provider_of: int) -> bool:
        problem = pool_of([10, 10, 10, 10], [5] * len(provider_of))
        (scene,) = restarts.scenes(problem, seats(*provider_of), 0, [True] * len(provider_of))
        return scene.spared(losses)

    assert [spared(k, 0, 0, 1, 1) for k in (1, 2, 3)] == [True, True, False]
    assert [spared(k, 0, 0, 1, 1, 2) for k in (1, 2)] == [True, False]
    assert [spared(k, 0, 0, 1, 1, 2, 3) for k in (1, 2)] == [False, False]
    assert [spared(k, 0, 1, 2, 3) for k in (1, 2, 3)] == [True, True, False]


@SOME
@given(seeds)
def test_in_larger_pools_too_blocked_is_what_the_checker_says(seed: int) -> None:
    chance = np.random.default_rng([seed, 43])
    n, r = int(chance.integers(4, 7)), int(chance.integers(6, 14))
    reserve = HaReserve(pools={"a": int(chance.integers(1, 3))}, restart=None if seed % 3 else ("r0", "r2"))
    problem = pool_of(chance.integers(10, 16, n).tolist(), chance.integers(1, 6, r).tolist())
    provider_of = chance.integers(0, n, r)
    while list(reserve.check(problem, Seats(provider_of))):
        provider_of = provider_of.copy()
        provider_of[chance.choice(np.flatnonzero(provider_of >= 0))] = -1
    assert list(blocked_disagrees(problem, reserve, Seats(provider_of))) == []


def test_spare_hosts_cost_the_room_of_as_many_whole_hosts_as_may_fail() -> None:
    for losses, filled in (1, 9), (2, 8), (3, 7):
        reserve = HaReserve(pools={"a": losses})
        problem = pool_of([8] * 10, [8] * 4 + [7] * 3 + [6] * 3, reserve)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ha_reserve, "MOST_CHOICES", -1)
            assert unplaced(problem) == 10 - filled
