"""Growth as a plan: by hand, against a plan of one period, and against what no plan costs less than."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.growing import Asked, GrowthPlan, plan_growth
from tierwise.planner.growing_report import growth_report, purchases, rows, told
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run
from tierwise.reports import SUFFIXES, render
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS

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
    assert [one.why[-1].partition(";")[0] for one in found.periods[:2]] == 2 * [
        "no host can be bought before month 5: orders take 4 months"
    ]
    assert found.periods[2].why == found.periods[3].why == ()
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


LARGE = """\
  large:
    match: {model: large}
    purchase_price: {value: 10800, source: quote}
    depreciation_months: {value: 60, source: policy}
    maintenance_per_year: {value: 2400, source: contract}
  any:
    purchase"""


def test_a_large_host_is_bought_at_once_where_small_ones_would_follow_one_another(
    ask_large: Prepared,
) -> None:
    # Needed are 368, 448, 528 and 640 GiB. Two hosts of 128 GiB are there, at 100 a month; small ones of 128 GiB cost
    # 200 and large ones of 384 GiB 380. With a large one at once 580 a month are enough for all year. The first quarter by
    # itself takes a small one, for 400; what then fits the others, takes 680 a month or more in two of them.
    found = plan_growth(ask_large, ask_large.scenario("leave"), Asked(Decimal(6), 3), Limits())
    assert [dict(one.bought) for one in found.periods] == [{"Beta: large (new)": 1}, {}, {}, {}]
    disk_gib = sum(one.room["disk_gib"][0] for one in found.periods)
    moves_micros = 8 * (40 * 10**6 + -(-50 * 100 * 10**6 // 1024))
    assert found.cost_micros == 12 * 580 * 10**6 + disk_gib * 150_000 + moves_micros
    assert found.apart_micros is not None
    assert found.apart_micros >= found.cost_micros + 60 * 10**6
    assert found.bound_micros is not None
    assert 0 <= found.cost_micros - found.bound_micros < 100, (
        "but for fractions of shared moves it is proven"
    )
    notes = growth_report(found, "What to buy when").notes
    assert any("knowing all periods: that saves EUR " in text for text in notes)


@pytest.fixture
def ask_large(asked: Ask) -> Prepared:
    document = MANY + "      large: {most: 12, sockets: 2, cores: 64, memory_mib: 393216}\n"
    scenario = "  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}, {kind: reserve, losses: 0}]}\n"
    return asked(
        f"scenarios:\n{scenario}",
        document=document,
        economics=ECONOMICS.replace("  any:\n    purchase", LARGE, 1),
    )


def test_moves_that_pay_off_over_a_year_are_made_in_the_first_of_its_quarters(asked: Ask) -> None:
    # Alpha costs 1,260 a month, its machines' room on Beta far less; moving them costs more than that in one quarter.
    dear = ECONOMICS.replace("per_machine: {value: 40", "per_machine: {value: 500")
    prepared = asked("scenarios:\n  open: {changes: []}\n", document=MANY, economics=dear)
    year, quarters = (
        plan_growth(prepared, prepared.scenario("open"), Asked(Decimal(0), every), Limits())
        for every in (12, 3)
    )
    assert quarters.cost_micros == year.cost_micros
    assert quarters.apart_micros is not None
    assert quarters.apart_micros > quarters.cost_micros + 10**9
    assert [one.hosts["Alpha"] for one in quarters.periods] == [0, 0, 0, 0]


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


@pytest.mark.parametrize(("start", "changes"), [("2026-12-31", "2027-03-30"), ("2027-01-31", "2027-10-31")])
def test_months_of_a_period_that_begins_at_the_end_of_a_short_one_begin_as_late_as_they_can(
    asked: Ask, start: str, changes: str
) -> None:
    # Every two months from 31 December: 28 February, and then 31 March, which pays the price of the 30th.
    dearer = (
        f"per_gib_per_month: {{value: 0.05, source: contract, changes: [{{value: 5, from: {changes}}}]}}"
    )
    prepared = asked(
        "scenarios:\n  one: {changes: [{kind: fixed}]}\n",
        document=DOCUMENT.replace("2027-01-01", start),
        economics=ECONOMICS.replace("per_gib_per_month: {value: 0.05, source: contract}", dearer),
    )
    found = plan_growth(prepared, prepared.scenario("one"), Asked(Decimal(0), 2, 1), Limits())
    (whole,) = run(prepared, ["one"], limits=Limits()).scenarios
    assert found.cost_micros == whole.cost_micros
    ends = [date(2026, 11, 30), date(2027, 1, 31), date(2027, 3, 31)]
    if start == "2026-12-31":
        assert [one.begin for one in found.periods[:3]] == [
            date(2026, 12, 31),
            date(2027, 2, 28),
            date(2027, 4, 30),
        ]
        assert [one.order_by for one in found.periods[:3]] == ends, "a month before, by the first day's day"


def test_a_host_that_is_bought_for_a_lost_one_is_one_host(asked: Ask) -> None:
    lost = (
        "{kind: host_loss, pool: Alpha, hosts: 1}, {kind: hosts_bought, pool: Alpha, type: hosts, hosts: 1}"
    )
    prepared = asked(f"scenarios:\n  one: {{changes: [{lost}, {{kind: fixed}}]}}\n")
    found = plan_growth(prepared, prepared.scenario("one"), Asked(Decimal(0), 6), Limits())
    # 256 GiB run on Alpha, of which one host may fail: three hosts of 128, of which two are left and one is bought.
    assert [one.hosts["Alpha"] for one in found.periods] == [3, 3]
    assert [sum(one.bought.values()) for one in found.periods] == [1, 0]
    assert all(one.given_up == {} for one in found.periods)
    (whole,) = run(prepared, ["one"], limits=Limits()).scenarios
    assert found.cost_micros == whole.cost_micros == found.bound_micros


def test_hosts_are_bought_beside_those_that_are_bought_for_certain(asked: Ask) -> None:
    certain = "{kind: hosts_bought, pool: Beta, type: small, hosts: 1, certain: true}"
    retired = "{kind: hypervisor_retired, hypervisor: vsphere}"
    prepared = asked(f"scenarios:\n  one: {{changes: [{certain}, {retired}]}}\n")
    found = plan_growth(prepared, prepared.scenario("one"), Asked(Decimal(0), 6), Limits())
    # 320 GiB need four hosts of 128 of which one may fail: two are there, one is bought for certain, one by the plan.
    assert [one.hosts["Beta"] for one in found.periods] == [4, 4]
    assert [one.bought.get(SMALL, 0) for one in found.periods] == [1, 0]


def test_hosts_and_what_a_pool_opens_with_are_priced_from_the_month_in_which_they_are_bought(
    asked: Ask,
) -> None:
    # Beta buys 2, 1 and 1 hosts in January, April and July; they cost 6,000, 4,800 and 3,600 there, over ten months.
    # 10 % a year is for maintenance of the price that was paid: 50, 40 and 30 a month.
    cheaper = "changes: [{value: 4800, from: 2027-04-01}, {value: 3600, from: 2027-07-01}]"
    text = ECONOMICS.replace(
        "  any:\n    purchase",
        f"""\
  small:
    match: {{model: small}}
    purchase_price: {{value: 6000, source: quote, {cheaper}}}
    depreciation_months: {{value: 10, source: policy}}
    maintenance_percent_per_year: {{value: 10, source: contract}}
  any:
    purchase""",
        1,
    )
    array = "{match: {name: Beta}, purchase_price: {value: 4000, changes: [{value: 9999, from: 2027-02-01}]}, depreciation_months: 8}"
    prepared = asked(SCENARIOS, document=MANY, economics=f"{text}opening:\n  array: {array}\n")
    found = plan_growth(prepared, prepared.scenario("leave"), Asked(Decimal(6), 3), Limits())
    assert [one.bought.get(SMALL, 0) for one in found.periods] == [2, 1, 1, 0]
    disk = [one.room["disk_gib"][0] * 3 for one in found.periods]
    moves = 8 * (40 * 10**6 + -(-50 * 100 * 10**6 // 1024))
    january, april, july = 600 + 50, 480 + 40, 360 + 30
    hosts = [
        2 * 300 + 3 * (2 * january),
        2 * 300 + 3 * (2 * january + april),
        2 * 300 + 3 * (2 * january + april + july),
        2 * 300 + 2 * (600 + 3 * 50) + 3 * (april + july),  # The first two have one month left.
    ]
    opened = [1500, 1500, 1000, 0]
    costs = [(a + b) * 10**6 + c * 50_000 for a, b, c in zip(hosts, opened, disk, strict=True)]
    assert [one.cost_micros for one in found.periods] == [costs[0] + moves, *costs[1:]]
    # By itself no period costs less than with hosts that were bought when that is cheapest for it.
    fewer = [
        0,
        3 * 2 * (january - april),
        3 * (2 * (january - july) + april - july),
        2 * (600 + 3 * 50) + 3 * (april + july) - 4 * (600 + 3 * 30),
    ]
    assert [one.bound_micros for one in found.periods[1:]] == [
        cost - less * 10**6 for cost, less in zip(costs[1:], fewer[1:], strict=True)
    ]
    assert found.bound_micros is not None
    assert found.bound_micros <= found.cost_micros


def test_hosts_that_get_dearer_are_bought_before_they_run(asked: Ask) -> None:
    # Two run from January on, one from April and one from July. Until December one costs 12 x 100 if it is bought in January,
    # 9 x 200 in April and 6 x 200 in July: the third is bought in January, the fourth when it runs.
    dearer = "purchase_price: {value: 6000, source: quote, changes: [{value: 12000, from: 2027-02-01}]}"
    text = ECONOMICS.replace("purchase_price: {value: 6000, source: quote}", dearer)
    prepared = asked(SCENARIOS, document=MANY, economics=text)
    found = plan_growth(prepared, prepared.scenario("leave"), Asked(Decimal(6), 3), Limits())
    assert [one.bought.get(SMALL, 0) for one in found.periods] == [3, 0, 1, 0]
    assert [one.hosts["Beta"] for one in found.periods] == [5, 5, 6, 6]
    assert [one.early for one in found.periods] == [1, 0, 0, 0]
    assert found.apart_micros == found.cost_micros + 600 * 10**6
    assert any("2027-01-01: 1 host is bought before it runs" in note for note in told(found))


def test_growth_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"--percent: -1 percent a month must be from 0 to 100"):
        Asked(Decimal(-1))
    with pytest.raises(InvalidInput, match="must be from 0 to 100"):
        Asked(Decimal("nan"))


def test_growth_without_end_is_refused_before_any_machine_is_counted(asked: Ask) -> None:
    # Doubled each month, 12 machines would be 49,152 after a year: 409,500 % more.
    with pytest.raises(InvalidInput, match=r"come to 409,500 percent in 12 months, more than 10,000"):
        planned(asked, "leave", "100", 12)
