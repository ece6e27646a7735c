"""Other currencies: each line on its exact amount, by the rate of a stated day."""

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from chargeback.charges import Charge
from chargeback.fx import Billing, MissingFxRate
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.statements import corrections, statements, with_corrections
from chargeback.terms import Terms

OCTOBER = BillingPeriod.parse("2026-10", "UTC")
Make = Callable[..., Any]


def fx_rate(day: str, rate: str, recorded_at: int = 0) -> dict[str, Any]:
    return {"day": date.fromisoformat(day), "rate": rate, "source": "ECB", "recorded_at": recorded_at}


def billing(*rates: dict[str, Any], **more: Any) -> Billing:
    body = {
        "name": "usd", "from_currency": "EUR", "to_currency": "USD", "minor_digits": 2,
        "tenants": ("shop",), "rates": rates or (fx_rate("2026-10-31", "1.0842"),),
    }  # fmt: skip
    return Billing.model_validate(body | more)


def exact_charge(charge: Make, price_nanos: int, hours: int, machine: str = "m-1") -> Charge:
    rate = Rate.model_validate(
        {
            "id": "odd", "tier": "tier-1", "metric": "machine", "unit": "machine-hour",
            "rate_nanos": price_nanos, "valid_from": 0, "recorded_at": 0,
        }
    )  # fmt: skip
    made: Charge = charge(hours, machine, rate=rate)
    return made


def test_a_line_is_converted_on_its_exact_amount_and_rounded_once(bill: Make, charge: Make) -> None:
    # 31 hours x 0.0128 = EUR 0.3968; x 1.0842 = USD 0.43021. From EUR 0.40 it would be 0.43368.
    statement = bill([exact_charge(charge, 12_800_000, 31)], fx=(billing(fx_rate("2026-10-31", "1.0848")),))
    (row,) = statement.rows()
    exact = Fraction("0.3968") * Fraction("1.0848") * 100
    assert abs(row["amount_minor"] - exact) <= Fraction(1, 2)
    assert (row["currency"], row["amount"], row["rate"]) == ("USD", "0.43", "0.0128")
    assert row["note"] == "EUR 0.3968 x 1.0848 USD of 2026-10-31 (ECB)"
    assert statement.total == "USD 0.43"


def test_rounding_before_converting_would_give_another_amount(bill: Make, charge: Make) -> None:
    # EUR 0.345 rounds to 0.35, which is USD 3.50 at 10; the exact amount is 3.45.
    statement = bill([exact_charge(charge, 345_000_000, 1)], fx=(billing(fx_rate("2026-10-31", "10")),))
    assert statement.total == "USD 3.45"


def test_other_tenants_stay_in_the_cards_currency(card: RateCard, charge: Make) -> None:
    found = statements([charge(100), charge(100, tenant="bank")], card, Terms(fx=(billing(),)))
    assert {s.tenant: s.total for s in found} == {"shop": "USD 1.08", "bank": "EUR 1.00"}


def test_adjustments_are_in_the_billed_currency(bill: Make, charge: Make, term: Make) -> None:
    cap = term("maximum", amount="1.00", currency="USD", applies_to={"tenants": ["shop"]})
    assert bill([charge(100)], cap, fx=(billing(),)).total == "USD 1.00"
    with pytest.raises(ValueError, match="'t' is in EUR, but tenant shop is billed in USD"):
        bill([charge(100)], term("maximum", amount=1, currency="EUR"), fx=(billing(),))


def test_a_currency_without_decimals_is_rounded_to_whole_units(bill: Make, charge: Make) -> None:
    yen = billing(fx_rate("2026-10-31", "163.45"), to_currency="JPY", minor_digits=0)
    statement = bill([charge(100), charge(150, "m-2")], fx=(yen,))
    assert [line.amount for line in statement.lines] == ["163", "245"]
    assert statement.total == "JPY 408"


def test_a_missing_day_is_an_error_that_names_it_and_an_old_rate_is_only_used_where_allowed(
    bill: Make, charge: Make
) -> None:
    friday = fx_rate("2026-10-30", "2")
    with pytest.raises(
        MissingFxRate, match=r"'usd' has no known rate from EUR to USD of 2026-10-31; add it"
    ):
        bill([charge(100)], fx=(billing(friday),))
    statement = bill([charge(100)], fx=(billing(friday, max_age_days=1),))
    assert statement.rows()[0]["note"] == "EUR 1 x 2 USD of 2026-10-30 (ECB)"
    with pytest.raises(MissingFxRate, match="of 2026-10-31 or at most 1 day before"):
        bill([charge(100)], fx=(billing(fx_rate("2026-10-29", "2"), max_age_days=1),))


def test_the_day_is_the_first_or_the_last_of_the_month(bill: Make, charge: Make) -> None:
    rates = (fx_rate("2026-10-01", "2"), fx_rate("2026-10-31", "3"), fx_rate("2026-11-01", "4"))
    for use, total in (("period-start", "USD 2.00"), ("period-end", "USD 3.00")):
        assert bill([charge(100)], fx=(billing(*rates, use_rate_of=use),)).total == total


def test_before_the_month_is_over_the_last_rate_so_far_counts(bill: Make, charge: Make) -> None:
    rates = (fx_rate("2026-10-08", "2"), fx_rate("2026-10-20", "3"), fx_rate("2026-10-31", "4"))
    tenth = OCTOBER.t_from + 9 * 86400
    assert bill([charge(100)], fx=(billing(*rates),), known_at=tenth).total == "USD 2.00"
    assert bill([charge(100)], fx=(billing(*rates),), known_at=OCTOBER.t_to).total == "USD 4.00"


def test_a_corrected_rate_of_a_day_counts_once_it_is_recorded(card: RateCard, charge: Make) -> None:
    after = OCTOBER.t_to
    terms = Terms(fx=(billing(fx_rate("2026-10-31", "2"), fx_rate("2026-10-31", "3", after + 9)),))
    closed, now = (statements([charge(100)], card, terms, known_at=k) for k in (after, after + 9))
    (late,) = corrections(closed, now)
    assert (late.amount_minor, late.card.currency) == (100, "USD")
    (booked,) = with_corrections([], [late], OCTOBER.next, card, terms)
    assert booked.total == "USD 1.00"
    with pytest.raises(ValueError, match="correction in USD on a statement in EUR"):
        with_corrections([], [late], OCTOBER.next, card)


def test_a_currency_that_changed_for_a_closed_month_is_refused(card: RateCard, charge: Make) -> None:
    euros = statements([charge(100)], card)
    dollars = statements([charge(100)], card, Terms(fx=(billing(),)))
    with pytest.raises(ValueError, match="was stated in EUR and would now be in USD"):
        corrections(euros, dollars)


def test_a_card_in_another_currency_than_fx_converts_is_refused(card: RateCard, charge: Make) -> None:
    with pytest.raises(ValueError, match="converts CHF, but rate card test v1 is in EUR"):
        statements([charge(1)], card, Terms(fx=(billing(from_currency="CHF"),)))


def test_a_tenant_has_one_currency_in_each_month() -> None:
    first = billing(valid_to="2026-11")
    Terms(fx=(first, billing(name="later", valid_from="2026-11")))
    with pytest.raises(ValidationError, match="tenant shop has fx 'usd' already"):
        Terms(fx=(first, billing(name="later", valid_from="2026-10")))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"to_currency": "EUR"}, "are both EUR"),
        ({"to_currency": "UDS"}, "there is no currency .UDS. in ISO 4217"),
        ({"valid_from": "2026-10", "valid_to": "2026-10"}, "must be after"),
        ({"rates": (fx_rate("2026-10-31", "1"),) * 2}, "two rates of 2026-10-31"),
        ({"rates": (fx_rate("2026-10-31", "0"),)}, "above 0"),
        ({"tenants": ()}, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_no_billing(body: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        billing(**body)
