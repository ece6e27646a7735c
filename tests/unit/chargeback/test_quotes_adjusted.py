"""A quote shows the adjustments that hang on its machine alone, and names all others."""

from collections.abc import Callable
from typing import Any

import pytest

from catalog.resources import Resources
from chargeback.periods import BillingPeriod
from chargeback.quotes import Held, Whose
from chargeback.quotes_adjusted import AdjustedQuote, for_tenant, statements_of
from chargeback.rate_cards import RateCard
from chargeback.stacks import Layer, Stack, StackMode
from chargeback.terms import Terms

OCTOBER = BillingPeriod.parse("2026-10", "UTC")
RATE = "id: u, tier: tier-1, metric: vcpu, unit: vcpu-hour, price: 0.1, valid_from: 2020-01-01"
ALWAYS = {"valid_from": "2026-01", "recorded_at": 0}


def terms(*bodies: dict[str, Any], **more: Any) -> Terms:
    return Terms.model_validate(
        {"adjustments": [{"name": f"t-{i}", **ALWAYS, **body} for i, body in enumerate(bodies)], **more}
    )


def quoted(card: RateCard, agreed: Terms, **more: Any) -> AdjustedQuote:
    """720 hours of 2 vCPU from 1 October on, at 0.1: 144.00."""
    who = Whose("q", "shop", "cc-1", "tier-1", "", "class=web,offering=web-small")
    given = {"at": OCTOBER.t_from, "hours": 720} | more
    return for_tenant(Resources(vcpu=2, memory_mib=1024, disk_gib=1), card, who, agreed, **given)


def test_a_discount_and_a_factor_are_in_the_quote_with_their_amounts(
    card_of: Callable[..., RateCard],
) -> None:
    """12.5 % more is 162.00, and 10 % off that 145.80."""
    found = quoted(card_of(RATE), terms(
        {"kind": "percentage_discount", "percent": "10"},
        {"kind": "tag_factor", "percent": "12.5", "applies_to": {"labels": {"class": "web"}}},
    ))  # fmt: skip
    assert (found.total, found.left_open) == ("EUR 145.80", ())
    assert found.texts == ("tag factor 't-1' EUR 18.00", "percentage discount 't-0' EUR -16.20")


OTHERS = [
    {"kind": "percentage_discount", "currency": "EUR", "steps": [{"from_amount": "0", "percent": "5"}]},
    {"kind": "fixed_discount", "amount": "5", "currency": "EUR"},
    {"kind": "allowance", "amount": "5", "currency": "EUR"},
    {"kind": "maximum", "amount": "5", "currency": "EUR"},
    {"kind": "credit", "amount": "5", "currency": "EUR"},
    {"kind": "minimum", "amount": "500", "currency": "EUR", "cost_centre": "cc-1", "applies_to": {"tenants": ["shop"]}},
    {"kind": "commitment", "amount": "5", "currency": "EUR", "cost_centre": "cc-1", "applies_to": {"tenants": ["shop"]}},
]  # fmt: skip


@pytest.mark.parametrize("body", OTHERS, ids=lambda body: body["kind"])
def test_what_counts_other_machines_too_is_named_and_not_in_the_price(
    card_of: Callable[..., RateCard], body: dict[str, Any]
) -> None:
    found = quoted(card_of(RATE), terms(body))
    assert (found.total, found.texts) == ("EUR 144.00", ())
    (named,) = found.left_open
    assert (
        str(named)
        == f"{body['kind'].replace('_', ' ')} 't-0': it counts all that the tenant uses in the month"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"applies_to": {"tenants": ["bank"]}}, {"applies_to": {"tiers": ["tier-2"]}}, {"valid_to": "2026-09"},
        {"applies_to": {"cost_centres": ["cc-2"]}}, {"recorded_at": OCTOBER.t_from + 1}, {"valid_from": "2027-01"},
    ],
)  # fmt: skip
def test_what_cannot_apply_is_neither_in_the_price_nor_named(
    card_of: Callable[..., RateCard], more: dict[str, Any]
) -> None:
    for body in (
        {"kind": "fixed_discount", "amount": "5", "currency": "EUR"},
        {"kind": "percentage_discount", "percent": "10"},
    ):
        found = quoted(card_of(RATE), terms(body | more), known_at=OCTOBER.t_from)
        assert (found.total, found.texts, found.left_open) == ("EUR 144.00", (), ())


def test_labels_that_a_machine_gets_later_other_currencies_and_cards_above_are_named(
    card_of: Callable[..., RateCard],
) -> None:
    card = card_of(RATE)
    above = card_of(RATE.replace("id: u", "id: s")).model_copy(update={"name": "special"})
    dollars = {
        "name": "dollars", "from_currency": "EUR", "to_currency": "USD", "minor_digits": 2, "tenants": ["shop"],
        "rates": [{"day": "2026-10-31", "rate": "1.1", "source": "ECB", "recorded_at": 0}],
    }  # fmt: skip
    agreed = terms(
        {"kind": "tag_factor", "percent": "50", "applies_to": {"labels": {"os": "windows"}}}, fx=[dollars],
        stack=Stack(base=card, layers=(Layer(card=above, mode=StackMode.OVERRIDE, tenant="shop"),)),
    )  # fmt: skip
    found = quoted(card, agreed)
    assert found.total == "EUR 144.00"
    assert [str(each) for each in found.left_open] == [
        "tag factor 't-0': it holds once the machine has the labels os=windows",
        "fx 'dollars': shop is billed in USD at a rate of the month's end",
        "rate card 'special': it stands above the base card for tenant shop",
    ]


def test_a_discount_that_is_replaced_by_one_with_steps_is_not_in_the_price(
    card_of: Callable[..., RateCard],
) -> None:
    steps = {"currency": "EUR", "steps": [{"from_amount": "0", "percent": "5"}]}
    found = quoted(card_of(RATE), terms(
        {"kind": "percentage_discount", "percent": "10"},
        {"kind": "percentage_discount", **steps, "replaces": ["t-0"], "recorded_at": 5},
    ))  # fmt: skip
    assert (found.total, found.texts) == ("EUR 144.00", ())
    assert [each.what for each in found.left_open] == ["percentage discount 't-1'"]


def test_a_whole_order_life_is_refused_by_stacked_cards_with_the_way_out(
    card_of: Callable[..., RateCard],
) -> None:
    card = card_of(RATE)
    above = card_of(RATE.replace("id: u", "id: s")).model_copy(update={"name": "special"})
    stack = Stack(base=card, layers=(Layer(card=above, mode=StackMode.OVERRIDE, tenant="shop"),))
    held = [Held("m", "shop", "cc-1", "tier-1", "p", "", "vcpu", 1, "on", OCTOBER.t_from, OCTOBER.t_to)]
    with pytest.raises(ValueError, match=r"bill the imagined usage with chargeback\.bills\.bill"):
        statements_of(held, card, [OCTOBER], Terms(stack=stack))


def test_a_life_with_a_minimum_and_a_credit_is_priced_month_by_month(
    card_of: Callable[..., RateCard],
) -> None:
    """October costs 74.40 and is raised to 100.00; the credit of 120 pays it and 20 of November's 100.00."""
    card, november = card_of(RATE), OCTOBER.next
    agreed = terms(
        {"kind": "minimum", "amount": "100", "currency": "EUR", "cost_centre": "cc-1", "applies_to": {"tenants": ["shop"]}},
        {"kind": "credit", "amount": "120", "currency": "EUR"},
    )  # fmt: skip
    held = [Held("m", "shop", "cc-1", "tier-1", "p", "", "vcpu", 1, "on", OCTOBER.t_from, november.t_to)]
    agreed = agreed.model_copy(
        update={
            "adjustments": tuple(t.model_copy(update={"valid_from": "2026-10"}) for t in agreed.adjustments)
        }
    )
    assert [s.total for s in statements_of(held, card, [OCTOBER, november], agreed)] == [
        "EUR 0.00",
        "EUR 80.00",
    ]
    assert [s.total for s in statements_of(held, card, [november], agreed)] == ["EUR 80.00"]
