"""Stacked cards, against a loop over seconds-long pieces that asks each card in turn."""

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from chargeback.bills import bill, priced
from chargeback.fx import Billing
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.rating import Grain, UnpricedUsage
from chargeback.stacks import Layer, Stack, StackMode
from chargeback.terms import Terms
from chargeback.usage import UsageInterval, to_table

HOUR = 3600
OCTOBER = BillingPeriod.parse("2026-10", "UTC")
FOREVER = 2**40


def rate(name: str, price: int, tier: str = "tier-1", metric: str = "machine", **more: Any) -> Rate:
    unit = {"machine": "machine-hour", "vcpu": "vcpu-hour"}[metric]
    body = {"valid_from": 0, "recorded_at": 0} | more
    return Rate.model_validate(
        body | {"id": name, "tier": tier, "metric": metric, "unit": unit, "rate_nanos": price}
    )


def card(name: str, *rates: Rate, **more: Any) -> RateCard:
    body = {
        "name": name, "version": 1, "currency": "EUR", "minor_digits": 2, "time_zone": "UTC",
        "rounding": "half-up", "rates": rates,
    }  # fmt: skip
    return RateCard.model_validate(body | more)


def used(machine: str = "m", t_from: int = 0, t_to: int = 100 * HOUR, **more: Any) -> UsageInterval:
    body = {
        "machine": machine, "tenant": "shop", "cost_centre": "cc-1", "tier": "tier-1", "pool": "p",
        "metric": "machine", "quantity": 1, "power": "on", "recorded_at": 0, "source": "test", "sequence": 0,
        "t_from": OCTOBER.t_from + t_from, "t_to": OCTOBER.t_from + t_to,
    }  # fmt: skip
    return UsageInterval.model_validate(body | more)


EURO = 10**9
BASE = card("base", rate("base-machine", EURO), rate("base-2", 2 * EURO, "tier-2"))


def stack(*layers: Layer) -> Terms:
    return Terms(stack=Stack(base=BASE, layers=layers))


def shown(rows: Any, terms: Terms) -> list[tuple[str, str, int, int]]:
    statements = bill(to_table(rows), BASE, OCTOBER, FOREVER, terms)
    return [
        (row["rate_card"], row["rate_id"], row["amount_minor"], row["list_amount_minor"])
        for statement in statements
        for row in statement.rows()
    ]


def test_an_overriding_card_prices_in_place_of_the_base_whose_amount_is_the_list_price() -> None:
    own = card("shop", rate("shop-machine", EURO * 3 // 4))
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    assert shown([used(), used("n", tenant="bank")], terms) == [
        ("base v1", "base-machine", 10_000, 10_000),
        ("shop v1", "shop-machine", 7_500, 10_000),
    ]


def test_a_cumulative_card_is_charged_beside_the_base() -> None:
    own = card("support", rate("support", EURO * 1 // 4))
    terms = stack(Layer(card=own, mode=StackMode.CUMULATIVE, cost_centre="cc-1"))
    assert sorted(shown([used(), used("n", cost_centre="cc-2")], terms)) == [
        ("base v1", "base-machine", 10_000, 10_000),
        ("base v1", "base-machine", 10_000, 10_000),
        ("support v1", "support", 2_500, 2_500),
    ]


def test_a_tenants_card_goes_before_its_cost_centres() -> None:
    of_centre = Layer(card=card("cc", rate("cc", 5 * EURO)), mode=StackMode.OVERRIDE, cost_centre="cc-1")
    of_tenant = Layer(card=card("shop", rate("own", 3 * EURO)), mode=StackMode.OVERRIDE, tenant="shop")
    rows = [used(), used("n", tenant="bank"), used("o", tenant="bank", cost_centre="cc-2")]
    assert sorted(shown(rows, stack(of_centre, of_tenant))) == [
        ("base v1", "base-machine", 10_000, 10_000),
        ("cc v1", "cc", 50_000, 10_000),
        ("shop v1", "own", 30_000, 10_000),
    ]


def test_a_card_above_prices_only_where_and_when_it_has_a_rate_to_the_second() -> None:
    own = card(
        "shop",
        rate(
            "own",
            2 * EURO,
            valid_from=OCTOBER.t_from + 10 * HOUR,
            valid_to=OCTOBER.t_from + 35 * HOUR + 1800,
        ),
    )
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    assert sorted(shown([used(), used("n", tier="tier-2")], terms)) == [
        ("base v1", "base-2", 20_000, 20_000),
        ("base v1", "base-machine", 7_450, 7_450),
        ("shop v1", "own", 5_100, 2_550),
    ]


def test_a_rate_that_is_not_yet_known_does_not_override() -> None:
    own = card("shop", rate("own", 2 * EURO, recorded_at=OCTOBER.t_to))
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    (known,) = bill(to_table([used()]), BASE, OCTOBER, OCTOBER.t_to, terms)
    (before,) = bill(to_table([used()]), BASE, OCTOBER, OCTOBER.t_to - 1, terms)
    assert (before.total_minor, known.total_minor) == (10_000, 20_000)


def test_what_only_the_upper_card_prices_has_its_own_price_as_list_price() -> None:
    own = card("shop", rate("own", 2 * EURO, "tier-3"))
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    assert shown([used(tier="tier-3")], terms) == [("shop v1", "own", 20_000, 20_000)]
    with pytest.raises(UnpricedUsage, match="rate card base v1 has no rate"):
        shown([used(tier="tier-3", tenant="bank")], terms)


def test_stacked_lines_are_converted_and_adjusted_as_others_are(term: Callable[..., Any]) -> None:
    own = card("shop", rate("own", EURO // 2))
    dollars = Billing.model_validate(
        {
            "name": "usd", "from_currency": "EUR", "to_currency": "USD", "minor_digits": 2,
            "tenants": ["shop"],
            "rates": [{"day": "2026-10-31", "rate": 2, "source": "test", "recorded_at": 0}],
        }
    )  # fmt: skip
    terms = Terms(
        stack=Stack(base=BASE, layers=(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"),)),
        fx=(dollars,),
        adjustments=(term("percentage_discount", percent=10),),
    )
    rows = bill(to_table([used()]), BASE, OCTOBER, FOREVER, terms)[0].rows()
    assert [(row["currency"], row["amount_minor"], row["list_amount_minor"]) for row in rows] == [
        ("USD", 10_000, 20_000),
        ("USD", -1_000, 0),
    ]


def test_cards_that_do_not_go_together_are_refused_with_all_reasons() -> None:
    swiss = card("swiss", rate("base-machine", 1), currency="CHF", time_zone="Europe/Zurich")
    layers = [Layer(card=swiss, mode=StackMode.OVERRIDE, tenant="shop")] * 2
    with pytest.raises(ValidationError) as caught:
        Stack(base=BASE, layers=tuple(layers))
    for part in ("currency CHF", "time_zone Europe/Zurich", "tenant shop has 2 cards", "share the rate ids base-machine"):  # fmt: skip
        assert part in str(caught.value)
    with pytest.raises(ValidationError, match="name one of both"):
        Layer(card=swiss, mode=StackMode.OVERRIDE)


def test_a_stack_is_priced_on_its_own_base_card() -> None:
    own = card("shop", rate("own", 1))
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    with pytest.raises(ValueError, match=r"stands on rate card base v1, not on shop v1"):
        bill(to_table([used()]), own, OCTOBER, FOREVER, terms)


def in_force(of: RateCard, row: UsageInterval, at: int) -> Rate | None:
    fitting = [
        r
        for r in of.rates
        if (r.tier, r.metric) == (row.tier, row.metric) and r.valid_from <= at < (r.valid_to or FOREVER)
    ]
    return fitting[0] if fitting else None


def by_hand(rows: list[UsageInterval], terms: Terms) -> dict[tuple[str, str, str], Fraction]:
    """Hour by hour: ask the tenant's card, then the cost centre's, then the base card."""
    assert terms.stack is not None
    found: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for row in rows:
        for at in range(row.t_from, row.t_to, HOUR):
            asked = [layer for layer in terms.stack.layers if layer.tenant == row.tenant]
            asked += [layer for layer in terms.stack.layers if layer.cost_centre == row.cost_centre]
            for layer in [*asked, None]:
                price = in_force(layer.card if layer else BASE, row, at)
                if price:
                    found[row.tenant, row.machine, price.id] += Fraction(price.rate_nanos * row.quantity)
                    if layer and layer.mode is StackMode.OVERRIDE:
                        break
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.parametrize("seed", range(12))
def test_any_stack_prices_as_asking_card_by_card_hour_by_hour(seed: int) -> None:
    chance = Random(seed)

    def some_card(name: str) -> RateCard:
        cuts = sorted(chance.sample(range(1, 200), 2))
        spans = [(cuts[0], cuts[1])] if chance.random() < 0.5 else [(cuts[0], cuts[1]), (cuts[1], None)]
        return card(
            name,
            *(
                rate(
                    f"{name}-{i}", chance.randrange(0, 10**9),
                    valid_from=OCTOBER.t_from + a * HOUR,
                    valid_to=None if b is None else OCTOBER.t_from + b * HOUR,
                )
                for i, (a, b) in enumerate(spans)
            ),
        )  # fmt: skip

    layers = [
        Layer(card=some_card(f"{field[0]}-{name}"), mode=chance.choice(list(StackMode)), **{field: name})
        for field, names in (("tenant", ("shop", "bank")), ("cost_centre", ("cc-1", "cc-2")))
        for name in names
        if chance.random() < 0.8
    ] or [Layer(card=some_card("only"), mode=StackMode.OVERRIDE, tenant="shop")]
    rows = []
    for i in range(12):
        start = chance.randrange(0, 150)
        rows.append(
            used(
                f"m-{i}", start * HOUR, (start + chance.randrange(1, 60)) * HOUR, sequence=i,
                tenant=chance.choice(["shop", "bank", "lab"]), cost_centre=chance.choice(["cc-1", "cc-2", "cc-3"]),
                quantity=chance.choice([1, 2, 5]), tier=chance.choice(["tier-1", "tier-2"]),
            )
        )  # fmt: skip
    terms = stack(*layers)
    charges = priced(to_table(rows), BASE, [OCTOBER], FOREVER, terms, grain=Grain.MACHINE)
    found: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for charge in charges:
        found[charge.tenant, charge.machine or "", charge.rate.id] += charge.amount_nanos
    assert {key: amount for key, amount in found.items() if amount} == by_hand(rows, terms)


def test_a_month_billed_in_another_zone_is_priced_in_that_zone_by_all_cards_of_the_stack() -> None:
    own = card("shop", rate("own", 2 * EURO))
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    berlin = BillingPeriod.parse("2026-10", "Europe/Berlin")
    moved = BASE.model_copy(update={"time_zone": "Europe/Berlin"})
    rows = to_table(
        [used(t_from=-5 * HOUR, t_to=10 * HOUR), used("n", -5 * HOUR, 10 * HOUR, tenant="bank")]
    )
    found = bill(rows, moved, berlin, FOREVER, terms)
    # October begins at 22:00 UTC in Berlin, so two of the five hours before it are October's.
    assert {s.tenant: s.total_minor for s in found} == {"bank": 1_200, "shop": 2_400}


def test_no_card_of_a_stack_may_have_a_fee_that_is_paid_once() -> None:
    # Usage that a card above prices for a time is cut where it ends: a machine would be born again there.
    fee = Rate(
        id="setup", tier="tier-1", metric="machine", unit="machine", rate_nanos=25 * EURO, component="setup",
        frequency="one-time", valid_from=0, recorded_at=0,
    )  # fmt: skip
    plain, own = rate("own-machine", 2 * EURO), rate("base-machine", EURO)
    for base, above in (
        (card("base", own, fee), card("above", plain)),
        (BASE, card("above", plain, fee)),
    ):
        with pytest.raises(ValidationError, match="rate 'setup' is paid once, which stacked cards cannot"):
            Stack(base=base, layers=(Layer(card=above, mode=StackMode.OVERRIDE, tenant="shop"),))


def test_a_machine_that_ran_under_one_card_of_a_stack_has_run_for_all_of_them() -> None:
    own = card("shop", rate("own", EURO, "tier-2", power="powered-on-at-least-once"))
    terms = stack(Layer(card=own, mode=StackMode.OVERRIDE, tenant="shop"))
    off = used(t_from=10 * HOUR, t_to=30 * HOUR, tier="tier-2", power="off")
    assert shown([used(t_to=10 * HOUR), off], terms) == [
        ("shop v1", "own", 2_000, 4_000),
        ("base v1", "base-machine", 1_000, 1_000),
    ]
    assert shown([off], terms) == []
