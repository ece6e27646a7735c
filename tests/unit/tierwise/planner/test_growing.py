"""Growth as a plan: by hand, against a plan of one period, and against what no plan costs less than."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.growing import Asked, GrowthPlan, after, plan_growth
from tierwise.planner.growing_report import growth_report, purchases, rows
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run
from tierwise.reports import SUFFIXES, render
from tierwise.testing.two_pools import DOCUMENT

Ask = Callable[..., Prepared]
SCENARIOS = """\
scenarios:
  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}
  stay: {changes: [{kind: most_moves, machines: 0}]}
"""
MANY = DOCUMENT.replace("most: 2", "most: 12")
SMALL = "Beta: small (new)"


def planned(
    asked: Ask, scenario: str, percent: str, every: int, lead: int = 0, document: str = MANY
) -> GrowthPlan:
    prepared = asked(SCENARIOS, document=document)
    wishes = Asked(Decimal(percent), every, lead)
    return plan_growth(prepared, prepared.scenario(scenario), wishes, Limits())


def test_without_growth_one_period_is_the_scenario_itself(asked: Ask) -> None:
    found = planned(asked, "leave", "0", 12)
    (leave,) = run(asked(SCENARIOS, document=MANY), ["leave"], limits=Limits()).scenarios
    (period,) = found.periods
    assert (period.cost_micros, period.bound_micros) == (leave.cost_micros, leave.bound_micros)
    assert period.machines == leave.machines
    assert sum(period.bought.values()) == sum(one.bought for one in leave.hosts)


def test_hosts_are_bought_when_machines_need_them_and_then_stay(asked: Ask) -> None:
    # 12 machines grow by 6 % a month: 14.3, 17.0, 20.3 and 24.1 at the ends of quarters. Of every three two are of
    # 32 GiB and one of 16, on hosts of 128 GiB of which one may fail: 368, 448, 528 and 640 GiB.
    found = planned(asked, "leave", "6", 3)
    assert [one.machines for one in found.periods] == [14, 17, 20, 24]
    needs = [one.room["memory_mib"][0] // 1024 for one in found.periods]
    assert needs == [368, 448, 528, 640]
    assert [one.hosts["Beta"] for one in found.periods] == [-(-gib // 128) + 1 for gib in needs]
    assert [one.bought.get(SMALL, 0) for one in found.periods] == [2, 1, 1, 0]
    assert all(one.hosts["Alpha"] == 0 for one in found.periods)
    assert [sum(one.given_up.values()) for one in found.periods] == [3, 0, 0, 0]
    # Of 300 for a quarter a host of Beta costs, bought 600; a GiB 0.15: of the last quarter 2 x 300 + 4 x 600 + 2000 x 0.15.
    assert found.periods[3].cost_micros == (600 + 2400 + 300) * 10**6


def test_nothing_is_bought_before_an_order_can_have_come(asked: Ask) -> None:
    found = planned(asked, "leave", "6", 3, lead=4)
    assert [sum(one.bought.values()) for one in found.periods] == [0, 0, 4, 0]
    assert [one.unplaced for one in found.periods] == [8, 10, 0, 0]
    assert all("machines without a place: " in one.why[0] for one in found.periods[:2])
    (order,) = purchases(found)
    assert order == {"order_by": "2027-03-01", "needed_from": "2027-07-01", "hosts": SMALL, "count": 4}
    # All are placed in the third quarter, where moves cost what they did not in the bound.
    third = found.periods[2]
    assert third.bound_micros is not None
    assert third.cost_micros - third.bound_micros == 8 * (40 * 10**6 + -(-50 * 100 * 10**6 // 1024))


@pytest.mark.parametrize(
    ("scenario", "percent", "every"), [("leave", "4", 2), ("stay", "5", 4), ("leave", "6", 5)]
)
def test_no_period_costs_less_than_its_bound_and_each_has_room_after_a_failure(
    asked: Ask, scenario: str, percent: str, every: int
) -> None:
    found = planned(asked, scenario, percent, every)
    assert sum(one.months for one in found.periods) == 12
    there: Counter[str] = Counter()
    for one in found.periods:
        assert one.bound_micros is None or one.bound_micros <= one.cost_micros
        assert one.unplaced == 0
        assert all(needs <= has for needs, has in one.room.values())
        there.update(one.bought)
        bought = sum(count for block, count in there.items() if block.startswith("Beta"))
        assert one.hosts["Beta"] >= bought, "what was bought stays"
    assert found.bound_micros is None or found.bound_micros <= found.cost_micros


def test_machines_stay_where_they_are_once_they_have_a_place(asked: Ask) -> None:
    # Nobody may move, so Alpha's machines stay on it and its hosts are kept, however cheap Beta were.
    found = planned(asked, "stay", "6", 3)
    assert [one.hosts["Alpha"] for one in found.periods] == [3, 3, 3, 3]
    assert [one.given_up for one in found.periods] == [{}, {}, {}, {}]


def test_a_lost_host_is_lost_once(asked: Ask) -> None:
    more = "  lost: {changes: [{kind: most_moves, machines: 0}, {kind: host_loss, pool: Alpha, hosts: 1}, {kind: reserve, losses: 0}]}\n"
    prepared = asked(SCENARIOS + more, document=MANY)
    found = plan_growth(prepared, prepared.scenario("lost"), Asked(Decimal(1), 4), Limits())
    assert [one.hosts["Alpha"] for one in found.periods] == [2, 2, 2]
    assert [one.unplaced for one in found.periods] == [0, 0, 0]


def test_more_growth_never_costs_less(asked: Ask) -> None:
    costs = [planned(asked, "leave", percent, 6).cost_micros for percent in ("0", "2", "4", "8")]
    assert costs == sorted(costs)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_its_report_adds_up_in_every_kind_of_file(asked: Ask, suffix: str) -> None:
    found = planned(asked, "leave", "6", 3)
    made = growth_report(found, "What to buy when")
    assert made.main.total("cost") == made.total_minor == round(found.cost_micros / 10**6)
    assert made.main.total("buy") == made.tables[1].total("count") == 4
    hosts = made.charts[0]
    assert dict(hosts.series)["Beta"] == (4, 5, 6, 6)
    assert render(made, suffix) == render(made, suffix)
    assert [row["order_by"] for row in rows(found)] == ["2027-01-01", "2027-04-01", "2027-07-01", ""]


def test_days_of_months_that_are_shorter_are_their_last() -> None:
    assert after(date(2027, 1, 31), 1) == date(2027, 2, 28)
    assert after(date(2027, 1, 31), -2) == date(2026, 11, 30)
    assert after(date(2027, 12, 1), 1) == date(2028, 1, 1)


def test_growth_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"--percent: -1 percent a month must be from 0 to 100"):
        Asked(Decimal(-1))
