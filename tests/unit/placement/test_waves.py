"""Waves calculated by hand: durations, what runs beside what, kept copies, and reasons of what is left out."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.problem import InvalidProblem
from placement.restarts import Load, Machine, Scene
from placement.waves import exact
from placement.waves.order import order
from placement.waves.problem import Calendar, Carriage, Mode, MoveProblem
from placement.waves.reasons import Reason, Short, reasons
from placement.waves.result import Torn, WavePlan
from placement.waves.state import Step
from placement.waves.timing import union_s
from placement.waves.verify import breaches, order_breaches
from placement.waves.waves import waves

DAY = 86_400
CIRCLE = {"demand": [5, 5, 5], "before": [0, 1, 2], "after": [1, 2, 0], "capacity": [9, 9, 9, 5]}
"""Three machines that wait for each other, and a provider where one of them can stop."""


def ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def problem(
    demand: list[int], before: list[int], after: list[int], capacity: list[int], **more: Any
) -> MoveProblem:
    v = len(capacity)
    columns: dict[str, Any] = {
        "demand": ints(demand).reshape(-1, 1), "before": ints(before), "after": ints(after),
        "capacity": ints(capacity).reshape(-1, 1), "largest": ints(capacity).reshape(-1, 1),
        "pool_of": ints([0] * v), "losses": ints([0]), "app_of": ints([-1] * len(demand)),
    }  # fmt: skip
    return MoveProblem(**columns | more)


def carriage(of: MoveProblem, **more: Any) -> Carriage:
    r, v = len(of.demand), len(of.capacity)
    columns: dict[str, Any] = {
        "site_of": ints([0] * v), "endpoint_of": ints([0] * v), "storage_of": ints([-1] * v),
        "copy_gib": ints([10] * r), "mode": ints([Mode.SWITCH] * r), "switch_s": ints([30] * r),
        "keeps_copy": np.zeros(r, dtype=np.bool_), "at_once": ints([0]), "stream_mib_s": 100,
    }  # fmt: skip
    return Carriage(**columns | more)


def planned(of: MoveProblem, how: Carriage, when: Calendar) -> WavePlan:
    plan = waves(of, how, when)
    assert breaches(of, how, when, plan) == ()
    return plan


EMPTYING = problem([1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [4, 4])


@pytest.mark.parametrize(
    ("more", "seconds", "down"),
    [
        ({}, 103 + 30, 30),  # 10 x 1024 / 100 = 102.4
        ({"mode": ints([Mode.COLD] * 4)}, 133, 133),
        ({"mode": ints([Mode.LIVE] * 4)}, 133, 0),
        ({"passes": 4}, 410 + 30, 30),  # 409.6
        ({"provider_mib_s": ints([0, 40])}, 256 + 30, 30),
        ({"link_mib_s": {(0, 0): 7}}, 1463 + 30, 30),  # 1462.86
        ({"storage_of": ints([0, 0])}, 30, 30),
        ({"copy_gib": ints([0] * 4), "switch_s": ints([0] * 4)}, 1, 1),
        ({"copy_gib": ints([25] * 4), "stream_mib_s": 1024}, 25 + 30, 30),
    ],
)
def test_a_move_takes_its_gib_over_its_rate_rounded_up_and_the_switch_over(
    more: dict[str, Any], seconds: int, down: int
) -> None:
    plan = planned(EMPTYING, carriage(EMPTYING, **more), Calendar(((0, DAY),)))
    assert {(move.end_s - move.begin_s, move.down_s) for move in plan.moves} == {(seconds, down)}


@pytest.mark.parametrize(
    ("more", "begins"),
    [
        ({}, [0, 0, 0, 0]),
        ({"at_once": ints([1])}, [0, 133, 266, 399]),
        ({"at_once": ints([3])}, [0, 0, 0, 133]),
        ({"link_mib_s": {(0, 0): 299}}, [0, 0, 133, 133]),  # Two streams of 100 fit, three do not.
        ({"provider_mib_s": ints([300, 0])}, [0, 0, 0, 133]),
    ],
)
def test_as_many_moves_run_beside_each_other_as_links_and_endpoints_allow(
    more: dict[str, Any], begins: list[int]
) -> None:
    plan = planned(EMPTYING, carriage(EMPTYING, **more), Calendar(((0, DAY),)))
    assert [move.begin_s for move in plan.moves] == begins
    assert plan.waves[0].freed == ((0, begins[-1] + 133),)
    assert plan.dual_s == begins[-1] + 133


def test_a_machine_waits_until_the_one_before_it_has_left() -> None:
    of = problem([3, 3], [0, 1], [1, 2], [3, 3, 3])
    plan = planned(of, carriage(of), Calendar(((0, DAY),)))
    assert [(move.step, move.begin_s) for move in plan.moves] == [(Step(1, 1, 2), 0), (Step(0, 0, 1), 133)]
    assert plan.waves[0].undo == (Step(0, 1, 0), Step(1, 2, 1))
    assert plan.waves[0].freed == ((0, 266),)


def test_where_copies_are_kept_their_room_is_free_only_after_the_wave() -> None:
    of = problem([3, 3], [0, 1], [1, 2], [3, 3, 3], app_of=ints([0, 0]))
    how = carriage(of, keeps_copy=np.array([False, True]))
    plan = planned(of, how, Calendar(((0, DAY),)))
    assert [[move.step.machine for move in wave.moves] for wave in plan.waves] == [[1], [0]]
    assert plan.torn == (Torn(0, (0, 1), "copies"),)


def test_a_stop_at_another_endpoint_keeps_the_room_of_its_copy_until_its_wave_is_confirmed() -> None:
    of = problem([4, 4, 1], [0, 1, 2], [1, 0, 2], [4, 4, 5])
    ends = {"endpoint_of": ints([0, 0, 1]), "at_once": ints([0, 0])}
    kept = planned(
        of, carriage(of, **ends, keeps_between=np.ones(3, dtype=np.bool_)), Calendar(((0, DAY),))
    )
    # The copy at 0 is removed before the other machine comes there, and before the first goes on.
    assert [[tuple(move.step) for move in wave.moves] for wave in kept.waves] == [
        [(0, 0, 2)],
        [(1, 1, 0), (0, 2, 1)],
    ]
    assert len(planned(of, carriage(of, **ends), Calendar(((0, DAY),))).waves) == 1


def test_an_application_is_kept_together_and_divided_only_where_it_is_larger_than_a_wave() -> None:
    of = problem([1] * 7, [0] * 7, [1] * 7, [9, 9], app_of=ints([0, 1, 0, 1, 0, 1, 1]))
    plan = planned(of, carriage(of), Calendar(((0, DAY),), most_moves=4))
    assert [sorted(move.step.machine for move in wave.moves) for wave in plan.waves] == [
        [1, 3, 5, 6],
        [0, 2, 4],
    ]
    assert plan.torn == ()
    plan = planned(of, carriage(of), Calendar(((0, DAY),), most_moves=3))
    assert [len(wave.moves) for wave in plan.waves] == [3, 3, 1]
    assert plan.torn == (Torn(1, (1, 2), "moves"),)


def test_an_application_waits_for_a_window_that_it_fits_into() -> None:
    of = problem([1] * 3, [0] * 3, [1] * 3, [9, 9], app_of=ints([0, 0, 0]))
    how = carriage(of, at_once=ints([1]))
    plan = planned(of, how, Calendar(((0, 300), (1_000, 1_399), (2_000, 2_300))))
    assert [wave.window for wave in plan.waves] == [1]
    plan = planned(of, how, Calendar(((0, 300), (1_000, 1_398), (2_000, 2_300))))
    assert [(wave.window, len(wave.moves)) for wave in plan.waves] == [(1, 2), (2, 1)]
    assert plan.torn == (Torn(0, (0, 1), "window"),)


def test_what_no_window_is_long_enough_for_is_named_and_keeps_its_place() -> None:
    of = problem([1, 1, 1], [0, 0, 0], [1, 1, 1], [3, 3])
    how = carriage(of, copy_gib=ints([10, 1_000, 10]))
    plan = planned(of, how, Calendar(((0, 1_000),)))
    assert [(one.step.machine, one.seconds, one.why) for one in plan.unscheduled] == [(1, 10_270, "window")]
    assert plan.waves[0].position.tolist() == [1, 0, 1]


def test_the_downtime_of_an_application_is_the_union_of_its_machines_and_is_kept_in_each_window() -> None:
    of = problem([1] * 4, [0] * 4, [1] * 4, [9, 9], app_of=ints([0] * 4))
    how = carriage(of, mode=ints([Mode.COLD] * 4), at_once=ints([2]))
    plan = planned(of, how, Calendar(((0, DAY),), downtime_s=ints([266])))
    assert len(plan.waves) == 1  # Two at once, 133 s each.
    plan = planned(of, how, Calendar(((0, DAY),), downtime_s=ints([265])))
    assert (len(plan.moves), [one.why for one in plan.unscheduled]) == (2, ["calendar", "calendar"])
    plan = planned(of, how, Calendar(((0, DAY), (2 * DAY, 3 * DAY)), downtime_s=ints([265])))
    assert plan.torn == (Torn(0, (0, 1), "downtime"),)
    assert union_s([(0, 10), (5, 12), (20, 21), (20, 21)]) == 13


def test_a_swap_of_full_hosts_takes_the_stop_that_copies_the_least() -> None:
    of = problem([4, 4, 1], [0, 1, 2], [1, 0, 2], [4, 4, 5])
    found = order(of, carriage(of, copy_gib=ints([300, 20, 1])))
    assert [tuple(step) for step in found.steps] == [(1, 1, 2), (0, 0, 1), (1, 2, 0)]
    assert found.proven


def test_a_circle_says_how_much_room_would_open_it_and_that_is_the_least() -> None:
    of = problem([4, 3, 1], [0, 1, 2], [1, 0, 2], [4, 4, 3])
    found = order(of)
    first, second = reasons(of, found)
    assert first == Reason(0, "circle", (Short("provider", 1, 0, 3),), (1,), (Short("provider", 2, 0, 1),))
    assert (second.kind, second.waits_for, second.enough) == ("circle", (0,), first.enough)
    assert order(replace(of, capacity=ints([[4], [4], [4]]))).left_out == ()
    assert order(replace(of, capacity=ints([[4], [4], [3]]))).left_out == (0, 1)


def test_what_cannot_be_is_told_by_kind_and_all_else_is_still_moved() -> None:
    of = problem(
        [2, 9, 1, 1, 6, 1], [0, 0, 0, 1, 0, 0], [1, 1, 1, 1, 2, 2], [20, 10, 5],
        largest=ints([[20], [8], [9]]), apart=(ints([2, 3]),),
    )  # fmt: skip
    found = order(of)
    assert {step.machine for step in found.steps} == {0, 5}
    told = {one.machine: one for one in reasons(of, found)}
    assert told[1] == Reason(1, "large", (Short("provider", 1, 0, 1),))
    assert told[2] == Reason(2, "apart", waits_for=(3,))
    assert told[4] == Reason(4, "end", (Short("provider", 2, 0, 2),))


def test_a_pool_keeps_what_its_largest_host_would_lose_at_every_step() -> None:
    of = problem([2, 2, 2], [0, 0, 2], [1, 1, 1], [4, 6, 9], pool_of=ints([0, 0, 1]), losses=ints([1, 0]))
    found = order(of)  # Without the host of 6, the pool offers 4, and two of 2 are in it.
    assert (found.left_out, found.stops, found.proven) == (
        (2,),
        1,
        True,
    )  # One waits outside while the other moves.
    assert reasons(of, found) == (Reason(2, "end", (Short("pool", 0, 0, 2),)),)
    out = replace(of, after=ints([1, 2, 2]))
    assert [tuple(step) for step in order(out).steps] == [(1, 0, 2), (0, 0, 1)]
    assert order_breaches(out, [(0, 0, 1)]) == (
        "step 0: pool 0 would not survive its losses: 2 of resource 0 too much",
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(1, 5), max_size=3), min_size=2, max_size=4), st.integers(6, 15))
def test_a_pool_whose_machines_would_restart_one_by_one_keeps_the_reserve(
    hosts: list[list[int]], room: int
) -> None:
    """The reserve is necessary, as a simulation of every loss shows, and not sufficient: it looks at sums."""
    every = frozenset(range(len(hosts)))
    machines = {h: [Machine((n,), every) for n in held] for h, held in enumerate(hosts)}
    left = {h: (room - sum(held),) for h, held in enumerate(hosts)}
    loads = {h: Load(tuple(of), (sum(hosts[h]),), every) if of else Load() for h, of in machines.items()}
    scene = Scene((room * len(hosts),), left, loads)
    flat = [(n, h) for h, held in enumerate(hosts) for n in held]
    if not flat or min(left.values()) < (0,) or any(scene.after([h]) is None for h in every):
        return
    of = problem(
        [n for n, _ in flat],
        [h for _, h in flat],
        [h for _, h in flat],
        [room] * len(hosts),
        losses=ints([1]),
    )
    reserve = of.reserve()
    assert reserve is not None
    assert sum(n for n, _ in flat) <= int(reserve[0, 0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"before": ints([0, 5])}, "before[1]: 5 must be from -1 to 1"),
        ({"demand": ints([[1], [-1]])}, "demand[1][0]: -1 must be at least 0"),
        ({"capacity": ints([1, 1])}, "capacity: must be a numpy array of 2 dimensions"),
        ({"after": ints([0])}, "after: shape (1,) must be (2,)"),
        ({"pool_of": np.zeros(2)}, "pool_of: must be of type int64, not float64"),
        ({"apart": (ints([0, 0]),)}, "apart[0]: a machine stands in it twice"),
    ],
)
def test_columns_that_cannot_be_are_refused_with_their_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidProblem) as refused:
        replace(problem([1, 1], [0, 0], [1, 1], [2, 2]), **change)
    assert said in str(refused.value)


def test_sites_without_a_link_and_windows_that_overlap_are_refused() -> None:
    with pytest.raises(InvalidProblem, match="between sites 0 and 1, which have no link"):
        waves(EMPTYING, carriage(EMPTYING, site_of=ints([0, 1])), Calendar(((0, 9),)))
    with pytest.raises(InvalidProblem, match=r"windows\[1\]: begins at 4, before"):
        Calendar(((0, 5), (4, 9)))
    with pytest.raises(InvalidProblem, match=r"windows\[0\]: ends at 0"):
        Calendar(((0, 0),))


def test_every_order_is_looked_at_once_however_many_orders_are_put_into_waves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = problem(**CIRCLE)
    looked: list[exact.Found] = []
    search = exact.search

    def counted(*args: Any) -> exact.Found:
        looked.append(search(*args))
        return looked[-1]

    monkeypatch.setattr(exact, "search", counted)
    plan = planned(asked, carriage(asked), Calendar(((0, DAY),)))
    assert (len(looked), plan.proven, sum(move.stop for move in plan.moves)) == (1, True, 1)
