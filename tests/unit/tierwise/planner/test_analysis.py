"""Sensitivity, break-even and the first moves, against what can be worked out by hand for the small estate.

Today: 5 hosts at 1,200, disk for 600, 48 cores at 18 x 12 = 10,368. To leave: 4 hosts at 1,200, two of which
are bought for 1,200 more each, disk for 600, and eight moves.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pytest

from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.analysis import (
    Sensitivity,
    break_even,
    growth,
    licence_of,
    pareto,
    price_of,
    sensitivity,
)
from tierwise.planner.asking import Workers
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run

Asked = Callable[..., Prepared]
MICROS = 10**6
SCENARIOS = """\
scenarios:
  rearranged: {changes: []}
  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}
"""
LICENCES = 10_368
MOVES = 8 * -(-int((40 + 50 * 100 / 1024) * MICROS * 1024) // 1024)
SAVING = (5 * 1200 + LICENCES - 4 * 1200 - 2 * 1200) * MICROS - MOVES
LEAVING_PAYS = -100 + Decimal((4800 + 2400 - 6000) * MICROS + MOVES) / (LICENCES * MICROS) * 100
"""Percent of the price of the licences at which leaving costs the same as today."""


@pytest.fixture
def leave(asked: Asked) -> Sensitivity:
    prepared = asked(SCENARIOS)
    return sensitivity(prepared, prepared.scenario("leave"), Limits())


def test_the_widest_swing_stands_first_and_each_is_what_it_comes_to(leave: Sensitivity) -> None:
    assert leave.saving_micros == SAVING
    swings = {one.knob: one for one in leave.swings}
    assert leave.swings[0].knob == "licence suite"
    for knob, fifth in (
        ("licence suite", LICENCES // 5 * MICROS + 600_000),  # 2,073.6
        ("maintenance", (6000 - 4800) // 5 * MICROS),
        ("hardware", -2400 // 5 * MICROS),
        ("storage", 0),
        ("power", 0),
    ):
        assert (swings[knob].less_micros, swings[knob].more_micros) == (SAVING - fifth, SAVING + fifth), (
            knob
        )
    # Each of the eight moves costs 44.882813, as rounded up; a fifth less and more is rounded to the micro-unit.
    fifth_less, fifth_more = 8 * 35_906_250, 8 * 53_859_376
    moves = swings["migration"]
    assert (moves.less_micros, moves.more_micros) == (
        SAVING + MOVES - fifth_less,
        SAVING + MOVES - fifth_more,
    )
    assert all(a.width_micros >= b.width_micros for a, b in pairwise(leave.swings))
    assert all(one.errors == () for one in leave.swings)


def test_break_even_is_where_the_licences_cost_what_leaving_does(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    found = break_even(
        prepared,
        prepared.scenario("leave"),
        None,
        ("licence suite", licence_of("suite")),
        (Decimal(-100), Decimal(0)),
        Limits(),
    )
    ((before, after),) = found.crossings
    assert before.percent <= LEAVING_PAYS <= after.percent
    assert after.percent - before.percent <= 1
    assert (found.first, found.second, before.machines, before.vcpus) == ("leave", "today", 12, 40)
    for point in found.points:
        licences = round(LICENCES * MICROS * (100 + point.percent) / 100)
        assert point.second_micros == pytest.approx(6600 * MICROS + licences, abs=48)
        assert point.better_micros == point.second_micros - point.first_micros


@pytest.mark.parametrize(
    ("low", "high"), [("nan", "0"), ("-100.5", "0"), ("-Infinity", "0"), ("0", "10001"), ("0", "nan")]
)
def test_what_prices_cannot_change_by_is_refused(asked: Asked, low: str, high: str) -> None:
    prepared = asked(SCENARIOS)
    power, between = ("power", price_of("power")), (Decimal(low), Decimal(high))
    with pytest.raises(InvalidInput, match="must lie within -100% and 10000%"):
        break_even(prepared, prepared.scenario("leave"), None, power, between, Limits())


def test_a_range_of_many_digits_is_narrowed_like_any_other(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    found = break_even(
        prepared,
        prepared.scenario("leave"),
        None,
        ("licence suite", licence_of("suite")),
        (Decimal("-99.87654321"), Decimal("9876.54321")),
        Limits(),
        steps=2,
    )
    assert found.errors == ()
    ((before, after),) = found.crossings
    assert 0 < after.percent - before.percent <= 1


def test_where_one_is_always_cheaper_there_is_no_crossing(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    found = break_even(
        prepared,
        prepared.scenario("leave"),
        None,
        ("power", price_of("power")),
        (Decimal(0), Decimal(50)),
        Limits(),
        steps=2,
    )
    assert found.crossings == ()
    assert [one.percent for one in found.points] == [0, 25, 50]


@pytest.mark.parametrize("swapped", [False, True])
def test_where_both_begin_to_cost_the_same_is_a_crossing_too(asked: Asked, swapped: bool) -> None:
    """With cheap licences the cheapest plan is today's, whichever of the two is asked about first."""
    prepared = asked(SCENARIOS)
    pair = (prepared.scenario("rearranged"), None)
    found = break_even(
        prepared,
        *(reversed(pair) if swapped else pair),
        ("licence suite", licence_of("suite")),
        (Decimal(-100), Decimal(0)),
        Limits(),
    )
    ((before, after),) = found.crossings
    assert before.percent <= LEAVING_PAYS <= after.percent
    assert (before.better_micros, after.better_micros > 0) == (0, not swapped)


def test_what_machines_without_a_place_cost_is_told_to_be_missing(asked: Asked) -> None:
    stuck = "  stuck: {changes: [{kind: fixed}, {kind: hypervisor_retired, hypervisor: vsphere}]}\n"
    prepared = asked(SCENARIOS + stuck)
    power = ("power", price_of("power"))
    found = break_even(
        prepared, prepared.scenario("stuck"), None, power, (Decimal(0), Decimal(50)), Limits(), steps=1
    )
    assert found.errors == ("stuck leaves machines without a place: what they cost is missing, not saved",)


def test_growth_is_told_in_machines_and_cores(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    found = break_even(
        prepared,
        prepared.scenario("rearranged"),
        prepared.scenario("leave"),
        ("machines", growth),
        (Decimal(0), Decimal(50)),
        Limits(),
        steps=1,
    )
    first, *_, last = found.points
    assert (first.machines, first.vcpus) == (12, 40)
    assert last.machines == 18
    leave = prepared.scenario("leave")
    for first_of_two, low, high, message in (
        (leave, "-10", "10", "cannot grow by -10"),
        (leave, "50", "50", "is empty"),
        (None, "0", "50", "today has no room for machines to come"),
    ):
        with pytest.raises(InvalidInput, match=message):
            break_even(
                prepared,
                first_of_two,
                leave,
                ("machines", growth),
                (Decimal(low), Decimal(high)),
                Limits(),
            )


def test_more_moves_never_save_less_and_none_save_nothing_here(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    scenario = prepared.scenario("rearranged")
    found = pareto(prepared, scenario, Limits(), most=[3], workers=Workers(jobs=2))
    assert found.steps[0].moves == 0
    assert found.steps[0].saving_micros == 0  # Three and two hosts are needed where machines are.
    assert all(a.saving_micros <= b.saving_micros for a, b in pairwise(found.steps))
    assert all(one.moves <= one.limit for one in found.steps)
    assert 3 in {one.limit for one in found.steps}
    (whole,) = run(prepared, ["rearranged"], Limits()).scenarios
    assert found.steps[-1].moves == len(whole.moves)
    assert found.steps[-1].saving_micros == SAVING == 16_968 * MICROS - whole.cost_micros
