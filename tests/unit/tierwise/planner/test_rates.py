"""What tiers charge beside what they cost, by rates that can be multiplied by hand."""

from decimal import Decimal
from pathlib import Path

import pytest

from catalog.documents import DocumentError
from catalog.estates.model import PowerState
from chargeback.economics.document import load_economics
from chargeback.rate_cards import load_rate_cards
from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.estates.document import text as estate_text
from tierwise.planner.diff import difference, rows, table
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import Prepared, prepare
from tierwise.planner.reading import load
from tierwise.planner.report import report
from tierwise.planner.result import ScenarioResult, WhatIfResult
from tierwise.planner.run import run
from tierwise.planner.sources import prepared
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, two_pools
from tierwise.usecases.economics import Money

MICROS = 10**6
TIERS = ("tier-1", "tier-2", "tier-3")
EACH = {"tier-1": (100, 20, 1, 200), "tier-2": (50, 10, Decimal("0.5"), 100), "tier-3": (1, 1, 1, 1)}
"""Of a vCPU, a GiB of memory, a GiB of disk and a machine, in units of 0.0001 an hour."""
METRICS = (
    ("vcpu", "vcpu-hour"),
    ("memory_mib", "GiB-hour"),
    ("disk_gib", "GiB-hour"),
    ("machine", "machine-hour"),
)
HOURS = 365 * 24


def card(more: str = "", tiers: tuple[str, ...] = TIERS, currency: str = "EUR") -> str:
    lines = [
        f"      - {{id: {metric.split('_')[0]}-{tier}, tier: {tier}, metric: {metric}, unit: {unit}, "
        f"price: {Decimal(price) / 10_000}, valid_from: 2026-01-01}}\n"
        for tier in tiers
        for (metric, unit), price in zip(METRICS, EACH[tier], strict=True)
    ]
    head = f"version: 1\n    currency: {currency}\n    minor_digits: 2\n    time_zone: Europe/Berlin\n    rounding: half-up\n    recorded_at: 2026-01-01T00:00:00"
    return f"rate_cards:\n  ours:\n    {head}\n    rates:\n{''.join(lines)}{more}"


def asked(scenarios: str = "", cards: str | None = None, document: str = DOCUMENT) -> Prepared:
    (rates,) = load_rate_cards({"rates.yaml": cards or card()}, TIERS)
    text = document.replace("economics: unused", "economics: unused\nrates: unused") + scenarios
    inputs = Inputs(two_pools(), load_economics(ECONOMICS, "economics.yaml"), rates=rates)
    return prepare(load(text, "whatif.yaml"), inputs)


def solved(*changes: str) -> WhatIfResult:
    return run(asked(f"scenarios:\n  one: {{changes: [{', '.join(changes)}]}}\n"), limits=Limits())


def hourly(tier: str, vcpu: int, gib: int, disk_gib: int) -> Decimal:
    amounts = zip((vcpu, gib, disk_gib, 1), EACH[tier], strict=True)
    return sum((amount * Decimal(price) for amount, price in amounts), Decimal(0)) / 10_000


def charges(one: ScenarioResult) -> dict[str, int | None]:
    return {tier.tier: tier.recovered_micros for tier in one.tiers}


LARGE, SMALL = (4, 32, 100), (2, 16, 50)


def test_today_is_charged_hour_by_hour_and_the_rest_is_not_recovered() -> None:
    today = solved().today
    wanted = {
        "tier-1": 8 * HOURS * hourly("tier-1", *LARGE) * MICROS,
        "tier-2": 4 * HOURS * hourly("tier-2", *SMALL) * MICROS,
    }
    assert charges(today) == wanted
    assert today.recovered_micros == sum(wanted.values())
    assert today.unrecovered_micros == today.cost_micros - today.recovered_micros


def test_machines_are_charged_by_the_tier_that_they_come_to() -> None:
    result = solved("{kind: hypervisor_retired, hypervisor: vsphere}")
    (leave,) = result.scenarios
    hour = 8 * hourly("tier-2", *LARGE) + 4 * hourly("tier-2", *SMALL)
    assert charges(leave) == {"tier-1": 0, "tier-2": hour * HOURS * MICROS}


def test_a_machine_that_is_off_is_charged_for_itself_and_its_disk_alone() -> None:
    (rates,) = load_rate_cards({"rates.yaml": card()}, TIERS)
    estate = two_pools()
    machines = (
        estate.machines[0].model_copy(update={"power": PowerState.OFF}),
        *estate.machines[1:],
    )
    text = DOCUMENT.replace("economics: unused", "economics: unused\nrates: unused")
    inputs = Inputs(
        estate.model_copy(update={"machines": machines}),
        load_economics(ECONOMICS, "economics.yaml"),
        rates=rates,
    )
    today = run(prepare(load(text, "whatif.yaml"), inputs), limits=Limits()).today
    hour = 7 * hourly("tier-1", *LARGE) + hourly("tier-1", 0, 0, 100)
    assert charges(today)["tier-1"] == hour * HOURS * MICROS


def test_rates_change_what_is_charged_and_not_where_machines_run() -> None:
    plain, dearer = (solved(*some) for some in ((), ("{kind: rate, tiers: [tier-1], percent: 25}",)))
    before, after = plain.scenarios[0], dearer.scenarios[0]
    assert (after.cost_micros, after.moves, after.hosts) == (before.cost_micros, before.moves, before.hosts)
    was, now = charges(before), charges(after)
    assert now == {**was, "tier-1": (was["tier-1"] or 0) * 5 // 4}
    both = solved("{kind: rate, percent: -50}").scenarios[0]
    assert charges(both) == {tier: (micros or 0) // 2 for tier, micros in was.items()}
    assert after.changes == ("rates of tier-1 +25%",)


def test_a_price_that_changes_within_the_horizon_counts_from_then_on() -> None:
    replacing = (
        "      - {id: later, tier: tier-1, metric: machine, unit: machine-hour, price: 0.04, "
        "valid_from: 2027-07-01, recorded_at: 2026-06-01T00:00:00, replaces: [machine-tier-1]}\n"
    )
    today = run(asked(cards=card(replacing)), limits=Limits()).today
    first = 181 * 24 - 1  # Clocks in Berlin skip an hour in March.
    more = 8 * (HOURS - first) * Decimal("0.02") * MICROS
    assert charges(today)["tier-1"] == 8 * HOURS * hourly("tier-1", *LARGE) * MICROS + more


def test_what_is_paid_once_is_left_out() -> None:
    once = "      - {id: set-up, tier: tier-1, metric: machine, unit: machine, price: 99, component: setup, frequency: one-time, valid_from: 2026-01-01}\n"
    assert (
        run(asked(cards=card(once)), limits=Limits()).today.recovered_micros
        == solved().today.recovered_micros
    )


def test_without_rates_nothing_is_said() -> None:
    inputs = Inputs(two_pools(), load_economics(ECONOMICS, "economics.yaml"))
    result = run(prepare(load(DOCUMENT, "whatif.yaml"), inputs), limits=Limits())
    assert (result.today.recovered_micros, result.today.unrecovered_micros) == (None, None)
    assert not any("What tiers cost and recover" in one.title for one in report(result).tables)
    same = difference(result.today, result.today)
    assert (same.recovered, same.unrecovered) == ((), ())


def test_the_table_and_the_report_have_it() -> None:
    result = solved("{kind: rate, tiers: [tier-2], percent: 100}")
    money = Money("EUR").micros
    shown_rows = {row[""]: row for row in table(result, money)}
    for name, one in (("today", result.today), ("one", result.scenarios[0])):
        assert one.recovered_micros is not None
        assert one.unrecovered_micros is not None
        assert shown_rows["recovered per year"][name] == money(one.recovered_micros)
        assert shown_rows["unrecovered per year"][name] == money(one.unrecovered_micros)
    (shown,) = (one for one in report(result).tables if one.title.startswith("What tiers cost and recover"))
    for scenario in (result.today, *result.scenarios):
        of = [row for row in shown.rows if row[0] == scenario.name]
        cost, charge, rest = (sum(int(str(row[i])) for row in of) for i in (3, 4, 5))
        assert scenario.recovered_micros is not None
        assert cost == round(scenario.cost_micros / MICROS)
        assert charge == round(scenario.recovered_micros / MICROS)
        assert rest == cost - charge


def test_a_comparison_has_what_each_tier_recovers_and_what_nobody_is_charged_for() -> None:
    result = solved("{kind: hypervisor_retired, hypervisor: vsphere}")
    found = difference(result.today, result.scenarios[0])
    hour = {"large": hourly("tier-2", *LARGE), "small": hourly("tier-2", *SMALL)}
    charged = {
        "tier-1": (8 * HOURS * hourly("tier-1", *LARGE) * MICROS, 0),
        "tier-2": (
            4 * HOURS * hour["small"] * MICROS,
            (8 * hour["large"] + 4 * hour["small"]) * HOURS * MICROS,
        ),
    }
    costs = {one.term: (one.before_micros, one.after_micros) for one in found.tiers}
    for one, sign in ((found.recovered, 0), (found.unrecovered, 1)):
        told = {change.term: (change.before_micros, change.after_micros) for change in one}
        assert told == {
            tier: tuple(
                sign * cost + (1 - 2 * sign) * charge
                for cost, charge in zip(costs[tier], both, strict=True)
            )
            for tier, both in charged.items()
        }


def test_sunk_cost_is_recovered_by_no_tier_in_a_comparison() -> None:
    economics = ECONOMICS.replace("depreciation_months", "bought_on: 2026-01-01\n    depreciation_months")
    (rates,) = load_rate_cards({"rates.yaml": card()}, TIERS)
    text = (
        DOCUMENT.replace("economics: unused", "economics: unused\nrates: unused") + "scenarios: {one: {}}\n"
    )
    inputs = Inputs(two_pools(), load_economics(economics, "economics.yaml"), rates=rates)
    result = run(prepare(load(text, "whatif.yaml"), inputs), limits=Limits())
    found = {one.term: one for one in difference(result.today, result.scenarios[0]).unrecovered}
    assert found["sunk"].before_micros == found["sunk"].after_micros == 5 * 100 * 12 * MICROS
    assert sum(one.before_micros for one in found.values()) == result.today.unrecovered_micros
    assert sum(one.after_micros for one in found.values()) == result.scenarios[0].unrecovered_micros


def test_a_spreadsheet_of_results_has_it_too() -> None:
    result = solved()
    (today, _) = rows((result.today, *result.scenarios))
    assert today["recovered_micros"] == result.today.recovered_micros
    assert today["unrecovered_micros"] == result.today.unrecovered_micros


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("{kind: rate, tiers: [tier-9], percent: 5}", "tier-9"),
        ("{kind: rate, percent: 5}, {kind: rate, tiers: [tier-1], percent: 6}", "changes the rates of tier-1 already"),
        ("{kind: pool_closed, of: {tiers: [tier-2]}}, {kind: rate, tiers: [tier-2], percent: 6}", "nothing is left of Beta"),
    ],
)  # fmt: skip
def test_a_change_of_rates_that_makes_no_sense_is_refused(changes: str, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        asked(f"scenarios:\n  one: {{changes: [{changes}]}}\n")
    assert said in str(caught.value.problems)


def test_a_change_of_rates_needs_rates() -> None:
    inputs = Inputs(two_pools(), load_economics(ECONOMICS, "economics.yaml"))
    text = DOCUMENT + "scenarios:\n  one: {changes: [{kind: rate, percent: 5}]}\n"
    with pytest.raises(DocumentError, match="needs the document's 'rates'"):
        prepare(load(text, "whatif.yaml"), inputs)


def test_a_tier_without_rates_is_told_before_anything_is_planned() -> None:
    with pytest.raises(DocumentError) as caught:
        asked(cards=card(tiers=("tier-1",)))
    (problem,) = caught.value.problems
    assert "rates: rate card ours v1 has no rate for vcpu of tier-2" in str(problem)
    assert "whatif.yaml:7:8" in str(problem)


CATALOG = "tiers:\n" + "".join(
    f"  {tier}: {{rank: {n}, title: {tier}, purpose: test}}\n" for n, tier in enumerate(TIERS, 1)
)


def files(folder: Path, rates: str) -> Path:
    (folder / "economics.yaml").write_text(ECONOMICS)
    (folder / "rates.yaml").write_text(rates)
    (folder / "estate.json").write_text(estate_text(two_pools()))
    document = DOCUMENT.replace("estate: unused", "estate: estate.json")
    document = document.replace("economics: unused", "economics: economics.yaml\nrates: rates.yaml")
    (folder / "whatif.yaml").write_text(document)
    return folder / "whatif.yaml"


def test_rates_are_read_from_a_catalogs_file(tmp_path: Path) -> None:
    file = files(tmp_path, CATALOG + card())
    assert run(prepared(file), limits=Limits()).today.recovered_micros == solved().today.recovered_micros


def test_rates_can_be_a_card_by_itself_as_it_is_printed(tmp_path: Path) -> None:
    file = files(tmp_path, card(tiers=("tier-1", "tier-2")))
    assert run(prepared(file), limits=Limits()).today.recovered_micros == solved().today.recovered_micros


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        (CATALOG + card(currency="USD"), "is in USD, and costs are in EUR; use one currency"),
        (CATALOG, "must hold exactly one rate card"),
        (card(), "there is no tier 'tier-3'; known are tier-1, tier-2"),
        ("other: 1\n", "must hold exactly one rate card under 'rate_cards:'; it holds none"),
    ],
)
def test_rates_that_cannot_be_used_are_told_with_their_place(tmp_path: Path, rates: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        prepared(files(tmp_path, rates))
    assert said in str(caught.value.details)
