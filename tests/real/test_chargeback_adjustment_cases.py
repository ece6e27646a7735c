"""Published cases of other billing engines that are about what happens after pricing, and the same with other numbers.

Sources: OpenMeter, ManageIQ and CloudKitty, as `source` in ../shared/data/chargeback-cases.json says for each.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from chargeback.adjustment import Term
from chargeback.adjustments import kinds
from chargeback.bills import bill
from chargeback.money import nanos_from_text
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.stacks import Layer, Stack, StackMode
from chargeback.statements import Statement, corrections
from chargeback.terms import Terms
from chargeback.usage import UsageInterval, to_table

FILE = Path(__file__).parents[2] / ".." / "shared" / "data" / "chargeback-cases.json"
HOUR = 3600
OCTOBER = BillingPeriod.parse("2026-10", "UTC")
SHOP = {"tenants": ["shop"]}
UNITS = {"machine": "machine-hour", "vcpu": "vcpu-hour", "memory_mib": "MiB-hour"}


@pytest.fixture(scope="session")
def cases() -> dict[str, Any]:
    if not FILE.exists():
        pytest.skip("the published cases are not here (../shared/data/chargeback-cases.json)")
    return {case["id"]: case for case in json.loads(FILE.read_text())["cases"]}


def card_of(name: str = "base", minor_digits: int = 2, **prices: str) -> RateCard:
    """A card with one rate a metric, of all time."""
    rates = tuple(
        Rate.model_validate(
            {
                "id": f"{name}-{metric.replace('_', '-')}", "tier": "tier-1", "metric": metric,
                "unit": UNITS[metric], "rate_nanos": nanos_from_text(price), "valid_from": 0, "recorded_at": 0,
            }
        )
        for metric, price in prices.items()
    )  # fmt: skip
    return RateCard.model_validate(
        {
            "name": name, "version": 1, "currency": "EUR", "minor_digits": minor_digits, "time_zone": "UTC",
            "rounding": "half-up", "rates": rates,
        }
    )  # fmt: skip


def used(
    quantity: int, hours: int, period: BillingPeriod = OCTOBER, metric: str = "machine", machine: str = "m"
) -> UsageInterval:
    return UsageInterval.model_validate(
        {
            "machine": machine, "tenant": "shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p",
            "metric": metric, "quantity": quantity, "power": "on", "t_from": period.t_from,
            "t_to": period.t_from + hours * HOUR, "recorded_at": 0, "source": "case", "sequence": 0,
        }
    )  # fmt: skip


def term(kind: str, **body: Any) -> Term:
    head = {"name": "t", "kind": kind, "valid_from": "2000-01", "recorded_at": 0}
    return kinds()[kind].model_validate(head | body)


Run = Callable[..., list[Statement]]


def run_of(price: str, *terms: Term) -> Run:
    """A run: the statements for so many units (machine-hours) used so far."""

    def run(units: int, known_at: int = OCTOBER.t_to) -> list[Statement]:
        rows = [used(units, 1)] if units else []
        return bill(to_table(rows), card_of(machine=price), OCTOBER, known_at, Terms(adjustments=terms))

    return run


def cents(statements: list[Statement]) -> int:
    return sum(statement.total_minor for statement in statements)


def delta(before: list[Statement], after: list[Statement]) -> int:
    """What is billed in addition, from corrections alone."""
    return sum(correction.amount_minor for correction in corrections(before, after))


def in_cents(text: str) -> int:
    exact = Fraction(text) * 100
    assert exact.denominator == 1
    return int(exact)


def check_delta(price: str, before: int, after: int, expected: int) -> None:
    run = run_of(price)
    assert delta(run(before), run(after)) == expected


def test_openmeter_what_is_billed_again_is_the_difference(cases: Any) -> None:
    case = cases["om-01-delta-unit"]
    check_delta("10", 5, case["given"]["now_cumulative"], in_cents(case["expect"]["delta"]))


@pytest.mark.parametrize(
    ("price", "before", "after", "expected"), [("0.335", 3, 4, 33), ("2.5", 9, 4, -1250)]
)
def test_what_is_billed_again_is_the_difference_of_rounded_amounts(
    price: str, before: int, after: int, expected: int
) -> None:
    # 3 x 0.335 = 1.005 -> 1.01; 4 x 0.335 = 1.34.
    check_delta(price, before, after, expected)


def check_minimum(minimum: str, units: int, mid: int, final: int) -> None:
    run = run_of("10", term("minimum", amount=minimum, currency="EUR", applies_to=SHOP, cost_centre="cc"))
    assert cents(run(units, OCTOBER.t_to - 1)) == mid
    assert cents(run(units, OCTOBER.t_to)) == final


def test_openmeter_a_minimum_is_charged_in_the_final_run_only(cases: Any) -> None:
    given, expect = (cases["om-03-minimum-commitment"][part] for part in ("given", "expect"))
    check_minimum(
        given["minimum"], given["usage"], in_cents(expect["mid_period_run"]), in_cents(expect["final_run"])
    )


@pytest.mark.parametrize(
    ("minimum", "units", "mid", "final"), [("55.55", 3, 3000, 5555), ("20", 3, 3000, 3000)]
)
def test_a_minimum_lifts_what_was_used(minimum: str, units: int, mid: int, final: int) -> None:
    check_minimum(minimum, units, mid, final)


def check_maximum(maximum: str, already: int, now: int, gross: int, discount: int, due: int) -> None:
    run = run_of("10", term("maximum", amount=maximum, currency="EUR"))
    before, after = run(already), run(already + now)
    found = corrections(before, after)
    usage = [c.amount_minor for c in found if c.row("x")["charge_category"] == "Usage"]
    assert (sum(usage), sum(usage) - delta(before, after), delta(before, after)) == (gross, discount, due)


def test_openmeter_a_maximum_leaves_what_is_due_up_to_it(cases: Any) -> None:
    given, expect = (cases["om-04-maximum-spend"][part] for part in ("given", "expect"))
    gross, discount, due = (in_cents(expect[part]) for part in ("gross", "discount", "due"))
    check_maximum(given["maximum"], 7, 5, gross, discount, due)


@pytest.mark.parametrize(
    ("maximum", "already", "now", "gross", "discount", "due"),
    [("100", 12, 5, 5000, 5000, 0), ("100", 1, 2, 2000, 0, 2000), ("95", 0, 10, 10000, 500, 9500)],
)
def test_a_maximum_that_was_reached_before_leaves_nothing_due(
    maximum: str, already: int, now: int, gross: int, discount: int, due: int
) -> None:
    check_maximum(maximum, already, now, gross, discount, due)


def test_openmeter_a_credit_pays_what_it_can_of_each_run(cases: Any) -> None:
    """The case's graduated prices give its gross amounts; they are what is billed here, a unit for 1.00."""
    given, expect = (cases["om-05-credits"][part] for part in ("given", "expect"))
    run = run_of("1", term("credit", amount=given["credit"], currency="EUR"))
    for gross, due in zip(expect["gross"], expect["due"], strict=True):
        assert cents(run(int(gross))) == in_cents(due)


def test_a_credit_goes_on_in_the_next_months_of_usage() -> None:
    """As the case, but in two months: 150, then 155, with a credit of 200."""
    november = OCTOBER.next
    table = to_table([used(150, 1), used(155, 1, november)])
    terms = Terms(adjustments=(term("credit", amount=200, currency="EUR", valid_from="2026-10"),))
    found = [bill(table, card_of(machine="1"), p, november.t_to, terms) for p in (OCTOBER, november)]
    assert [cents(statements) for statements in found] == [0, 10_500]


def check_allowance(free: int, before: int, now: int, billable: int) -> None:
    allowance = term("allowance", quantity=free, unit="machine-hour", applies_to={"metrics": ["machine"]})
    run = run_of("1", allowance)
    assert delta(run(before), run(before + now)) == billable * 100


def test_openmeter_free_units_span_runs(cases: Any) -> None:
    given, expect = (cases["om-07-free-allowance-spans-runs"][part] for part in ("given", "expect"))
    for run, billable in zip(given["runs"], expect["billable_now"], strict=True):
        check_allowance(given["free_units"], run["before"], run["now"], int(billable))


@pytest.mark.parametrize(
    ("free", "before", "now", "billable"), [(7, 0, 7, 0), (7, 3, 3, 0), (7, 6, 2, 1), (7, 0, 8, 1)]
)
def test_free_units_are_free_once(free: int, before: int, now: int, billable: int) -> None:
    check_allowance(free, before, now, billable)


def stacked(
    base: RateCard, other: RateCard, rows: list[UsageInterval], period: BillingPeriod
) -> dict[str, int]:
    """Minor units by metric, with both cards charged."""
    layer = Layer(card=other, mode=StackMode.CUMULATIVE, tenant="shop")
    terms = Terms(stack=Stack(base=base, layers=(layer,)))
    found: dict[str, int] = {}
    for row in bill(to_table(rows), base, period, period.t_to, terms)[0].rows():
        found[str(row["metric"])] = found.get(str(row["metric"]), 0) + int(row["amount_minor"])
    return found


def test_manageiq_two_cumulative_cards_are_both_charged(cases: Any) -> None:
    """Allocated and fixed amounts of the case; its used ones need metrics of measured use."""
    given, expect = (cases["miq-14-two-cards-cumulative"][part] for part in ("given", "expect"))
    period = BillingPeriod.parse("2012-09", given["timezone"])
    rows = [
        used(quantity, 720, period, metric)
        for metric, quantity in (
            ("machine", 1), ("vcpu", given["values"]["vcpu"]), ("memory_mib", given["values"]["mem_alloc_mib"]),
        )
    ]  # fmt: skip
    base, other = (
        card_of(
            f"card-{i}",
            machine=card["fixed_per_hour"],
            vcpu=card["cpu_alloc"],
            memory_mib=card["mem_alloc"],
        )
        for i, card in enumerate(given["cards"])
    )
    assert stacked(base, other, rows, period) == {
        "machine": in_cents(expect["fixed"]),
        "vcpu": in_cents(expect["cpu_alloc"]),
        "memory_mib": in_cents(expect["mem_alloc"]),
    }


def test_cloudkitty_prices_of_two_groups_add_up(cases: Any) -> None:
    given, expect = (cases["ck-01-two-service-prices-sum"][part] for part in ("given", "expect"))
    base, other = card_of("g", 3, machine="1.337"), card_of("default", 3, machine="1.42")
    for point, price in zip(given["points"], expect["price"], strict=True):
        found = stacked(base, other, [used(point["qty"], 1)], OCTOBER)
        assert found == {"machine": Fraction(price) * 1000}


def test_two_cards_at_other_prices_add_up() -> None:
    found = stacked(
        card_of("a", 4, machine="0.0007"), card_of("b", 4, machine="0.0005"), [used(3, 7)], OCTOBER
    )
    assert found == {"machine": 147 + 105}
