"""A month's bill in one call, from one table or month by month."""

from collections.abc import Callable
from typing import Any

from chargeback.bills import bill, bill_month_by_month
from chargeback.fx import Billing
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.terms import Terms
from chargeback.usage import UsageInterval, to_table

HOUR = 3600
OCTOBER = BillingPeriod.parse("2026-10", "UTC")
FOREVER = 2**40
Make = Callable[..., Any]


def used(t_from: int, hours: int, **more: Any) -> UsageInterval:
    body = {
        "machine": "m", "tenant": "shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p",
        "metric": "machine", "quantity": 1, "power": "on", "recorded_at": 0, "source": "test", "sequence": 0,
        "t_from": t_from, "t_to": t_from + hours * HOUR,
    }  # fmt: skip
    return UsageInterval.model_validate(body | more)


def overlapping(rows: list[UsageInterval]) -> Callable[[BillingPeriod], Any]:
    return lambda month: to_table(r for r in rows if r.t_from < month.t_to and month.t_from < r.t_to)


def test_a_month_read_by_itself_is_billed_as_from_the_whole_history(card: RateCard, term: Make) -> None:
    # One row over four months, of which a month read by itself sees all: 720 or 744 hours of each at 0.01.
    rows = [used(OCTOBER.t_from - 100 * HOUR, 2500)]
    terms = Terms(adjustments=(term("credit", amount=20, currency="EUR", valid_from="2026-10"),))
    month, totals = OCTOBER, []
    for _ in range(4):
        whole = bill(to_table(rows), card, month, FOREVER, terms)
        assert bill_month_by_month(overlapping(rows), card, month, FOREVER, terms) == whole
        totals.append(whole[0].total_minor)
        month = month.next
    # 7.44, 7.20 and 5.36 of 7.44 are paid; in January 192 of 2500 hours are left.
    assert totals == [0, 0, 208, 192]


def test_history_goes_back_to_the_first_month_of_a_credit_that_still_counts(term: Make) -> None:
    def names(**body: Any) -> list[str]:
        credit = term("credit", amount=1, currency="EUR", **body)
        return [month.name for month in Terms(adjustments=(credit,)).history(OCTOBER)]

    assert names(valid_from="2026-08") == ["2026-08", "2026-09"]
    assert names(valid_from="2026-10") == []
    assert names(valid_from="2026-08", valid_to="2026-10") == []
    assert Terms(adjustments=(term("maximum", amount=1, currency="EUR"),)).history(OCTOBER) == ()


def test_tenants_with_a_minimum_are_billed_for_each_month_though_nobody_used_anything(
    card: RateCard, term: Make
) -> None:
    least = term(
        "minimum", amount=5, currency="EUR", applies_to={"tenants": ["shop", "bank"]}, cost_centre="cc",
        valid_from="2026-10",
    )  # fmt: skip
    terms = Terms(adjustments=(least,))
    found = bill(to_table([]), card, OCTOBER, FOREVER, terms)
    assert [(s.id, s.total_minor) for s in found] == [("2026-10/bank", 500), ("2026-10/shop", 500)]
    earlier = BillingPeriod.parse("2026-09", "UTC")
    assert bill(to_table([]), card, earlier, FOREVER, terms) == []


def test_terms_say_whether_anything_of_them_was_learnt_between_two_moments(term: Make) -> None:
    rates = [{"day": "2026-10-31", "rate": 2, "source": "test", "recorded_at": 20}]
    dollars = Billing.model_validate(
        {"name": "usd", "from_currency": "EUR", "to_currency": "USD", "minor_digits": 2, "tenants": ["shop"],
         "rates": rates}
    )  # fmt: skip
    terms = Terms(adjustments=(term("maximum", amount=1, currency="EUR", recorded_at=10),), fx=(dollars,))
    learnt = [
        terms.learnt(since, until) for since, until in ((0, 9), (9, 10), (10, 19), (19, 20), (20, 99))
    ]
    assert learnt == [False, True, False, True, False]
    assert terms.of_lines == Terms(fx=(dollars,))
