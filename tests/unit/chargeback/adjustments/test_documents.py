"""Documents of adjustments, currencies and stacks: read whole, or every mistake with its place."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from catalog.documents import DocumentError
from chargeback.adjustment_documents import References, load_terms
from chargeback.instants import instant, zone
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import RateCard
from chargeback.stacks import StackMode
from chargeback.terms import NO_TERMS, Terms

CARD = """
  {name}:
    version: 1
    currency: {currency}
    minor_digits: 2
    time_zone: Europe/Berlin
    recorded_at: 2025-12-01T09:00:00
    rates: [{{id: {name}-machine, tier: tier-1, metric: machine, unit: machine-hour, price: 0.5, valid_from: 2026-01-01}}]
"""


def cards_of(**currencies: str) -> tuple[RateCard, ...]:
    text = "rate_cards:" + "".join(CARD.format(name=n, currency=c) for n, c in currencies.items())
    return load_rate_cards({"cards.yaml": text}, ("tier-1",))


def known(cards: tuple[RateCard, ...] | None = None, **more: Any) -> References:
    names = {"tenants": ("shop", "bank"), "cost_centres": ("cc-1",), "tiers": ("tier-1",)} | more
    return References(**names, cards=cards_of(base="EUR", special="EUR") if cards is None else cards)


def problems_of(text: str, references: References | None = None) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_terms({"terms.yaml": text}, references or known())
    return [str(problem) for problem in caught.value.problems]


WHOLE = """
adjustments:
  frame-2026:
    kind: percentage_discount
    currency: EUR
    steps: [{from_amount: 0, percent: 2.5}, {from_amount: 10000, percent: 5}]
    applies_to: {tenants: [shop], tiers: [tier-1], metrics: [machine], rates: [base-machine], labels: {os: windows}}
    valid_from: 2026-01
    valid_to: 2027-01
    recorded_at: 2025-12-20T12:00:00
  at-least:
    {kind: minimum, amount: 100.50, currency: USD, applies_to: {tenants: [bank]}, cost_centre: cc-1,
     valid_from: 2026-01, recorded_at: 2025-12-20T12:00:00Z, show: tenant, order: 3}
fx:
  dollars:
    from_currency: EUR
    to_currency: USD
    minor_digits: 2
    tenants: [bank]
    use_rate_of: period-start
    max_age_days: 3
    recorded_at: 2026-09-01T00:00:00Z
    rates:
      - {day: 2026-10-01, rate: 1.0842, source: ECB}
      - {day: 2026-11-02, rate: 1.09, source: ECB, recorded_at: 2026-11-02T16:00:00}
stack:
  base: base
  tenants: {shop: {card: special, mode: override}}
"""


def test_a_document_says_terms_currencies_and_the_stack() -> None:
    terms = load_terms({"terms.yaml": WHOLE}, known())
    frame, least = terms.adjustments
    assert (frame.name, frame.applies_to.tenants, dict(frame.applies_to.labels)) == (
        "frame-2026", ("shop",), {"os": "windows"},
    )  # fmt: skip
    assert frame.recorded_at == instant("2025-12-20T12:00:00", zone("Europe/Berlin"))
    assert least.recorded_at == frame.recorded_at + 3600
    assert list(least.amounts()) == [100_500_000_000]
    (dollars,) = terms.fx
    assert [(rate.day, rate.rate) for rate in dollars.rates] == [
        (date(2026, 10, 1), 1_084_200_000),
        (date(2026, 11, 2), 1_090_000_000),
    ]
    assert dollars.rates[0].recorded_at < dollars.rates[1].recorded_at
    assert terms.stack is not None
    assert [(layer.card.name, layer.mode) for layer in terms.stack.layers] == [
        ("special", StackMode.OVERRIDE)
    ]


def test_documents_without_terms_say_none() -> None:
    assert load_terms({"a.yaml": "tiers: {}\n", "b.yaml": "adjustments:\n"}, known()) == NO_TERMS


def test_what_is_read_can_be_dumped_and_read_again() -> None:
    terms = load_terms({"terms.yaml": WHOLE}, known()).model_copy(update={"stack": None})
    again = Terms.model_validate_json(terms.model_dump_json())
    assert again == terms
    assert [type(term) for term in again.adjustments] == [type(term) for term in terms.adjustments]
    with pytest.raises(ValidationError, match="no adjustment of the kind 'gift'"):
        Terms.model_validate({"adjustments": [{"kind": "gift"}]})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("5", "terms.yaml:2:6: adjustments.x: must be a mapping (found 5)"),
        ("{kind: discount}", "there is no such adjustment; did you mean 'fixed_discount'?"),
        ("{amount: 1}", "is required and missing; known are allowance, commitment, credit"),
        ("{name: y, kind: maximum}", "the name of an entry is its key, here 'x'"),
        ("{kind: maximum, amount: -1, currency: EUR}", "above 0"),
        ("{kind: maximum, amount: 1e3, currency: EUR}", "plain decimal"),
        ("{kind: maximum, amount: 1.005, currency: EUR}", "1.005 has more than the 2 decimals of EUR"),
        ("{kind: maximum, amount: 1, currency: CHF}", "nobody that it applies to is billed in CHF; known are EUR"),
        ("{kind: maximum, amount: 1, currency: Euro}", "currency"),
        ("{kind: maximum, amount: 1, currency: EUR, valid_to: 2026}", "valid_to"),
        ("{kind: maximum, amount: 1, currency: EUR, valid_from: 2026-10-01}", "adjustments apply to whole months"),
        ("{kind: maximum, amount: 1, currency: EUR, recorded_at: soon}", "must be a date like 2026-10-01"),
        ("{kind: maximum, amount: 1, currency: EUR, recorded_at: 2025}", "must be a date like 2026-10-01"),
        ("{kind: [], amount: 1, currency: EUR}", "there is no such adjustment"),
        ("{kind: maximum, amount: 1, currency: EUR, color: red}", "color"),
        ("{kind: maximum, amount: 1, currency: EUR, replaces: [y]}", "there is no adjustment of that name"),
        ("{kind: percentage_discount, percent: 200}", "must be from 0 to 100 %, not 200"),
        ("{kind: percentage_discount, percent: 1, applies_to: {tenants: [shp]}}", "there is no tenant 'shp'; did you mean 'shop'?"),
        ("{kind: percentage_discount, percent: 1, applies_to: {tiers: [tier-9]}}", "applies_to.tiers.0: there is no tier 'tier-9'"),
        ("{kind: percentage_discount, percent: 1, applies_to: {cost_centres: [cc]}}", "there is no cost centre 'cc'"),
        ("{kind: percentage_discount, percent: 1, applies_to: {rates: [r]}}", "there is no rate 'r'"),
        ("{kind: percentage_discount, percent: 1, applies_to: {metrics: [cpu]}}", "metrics"),
        ("{kind: percentage_discount, percent: 1, applies_to: {labels: {OS: x}}}", "cannot be a label's key"),
        ("{kind: minimum, amount: 1, currency: EUR, applies_to: {tenants: [shop]}, cost_centre: cc-7}", "cost_centre: there is no cost centre 'cc-7'"),
    ],
)  # fmt: skip
def test_each_mistake_of_an_adjustment_is_told_with_its_place(entry: str, expected: str) -> None:
    body = entry.removesuffix("}")
    for name, value in (("valid_from", "2026-01"), ("recorded_at", "2025-12-01T00:00:00Z")):
        if body.startswith("{") and f"{name}:" not in body:
            body += f", {name}: {value}"
    text = f"adjustments:\n  x: {body}{'}' if body.startswith('{') else ''}\n"
    found = problems_of(text)
    assert any(expected in problem for problem in found), found
    assert all(problem.startswith("terms.yaml:2:") for problem in found)


def test_all_mistakes_of_all_sections_are_told_at_once() -> None:
    text = """
adjustments:
  a: {kind: maximum, amount: 0, currency: EUR, valid_from: 2026-01, recorded_at: 2026-01-01}
  b: {kind: credit, amount: 5, currency: EUR, valid_from: soon, recorded_at: 2026-01-01}
fx:
  usd: {from_currency: CHF, to_currency: USD, minor_digits: 2, tenants: [nobody], recorded_at: 2026-01-01,
        rates: [{day: 2026-02-30, rate: 1, source: ECB}, {day: 2026-02-28, rate: x, source: ECB}]}
  chf: {from_currency: GBP, to_currency: CHF, minor_digits: 2, tenants: [nobody], recorded_at: 2026-01-01,
        rates: [{day: 2026-02-28, rate: 1, source: ECB}]}
stack:
  base: basic
  tenants: {shop: {card: specials, mode: override}, moon: {card: special, mode: add}}
"""
    found = "\n".join(problems_of(text))
    for expected in (
        "adjustments.a.amount", "adjustments.b.valid_from", "fx.usd.rates.0.day", "fx.usd.rates.1.rate",
        "fx.chf.from_currency: no rate card is in GBP; known are EUR", "fx.chf.tenants.0: there is no tenant",
        "stack.tenants.moon.mode",
    ):  # fmt: skip
        assert expected in found


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("{base: basic, tenants: {shop: {card: special, mode: override}}}", "there is no rate card 'basic'; did you mean 'base'?"),
        ("{base: base}", "has no card above the base"),
        ("{base: base, tenants: {moon: {card: special, mode: override}}}", "there is no tenant 'moon'"),
        ("{base: base, cost_centres: {cc-1: {card: dollars, mode: cumulative}}}", "has currency USD, and the base card base v1 EUR"),
        ("{base: base, tenants: {shop: {card: base, mode: override}, bank: {card: none, mode: override}}}", "there is no rate card 'none'"),
    ],
)  # fmt: skip
def test_each_mistake_of_a_stack_is_told(stack: str, expected: str) -> None:
    cards = cards_of(base="EUR", special="EUR", dollars="USD")
    found = problems_of(f"stack: {stack}\n", known(cards))
    assert any(expected in problem for problem in found), found


def test_a_second_stack_in_another_file_is_told() -> None:
    text = "stack: {base: base, tenants: {shop: {card: special, mode: override}}}\n"
    with pytest.raises(DocumentError) as caught:
        load_terms({"a.yaml": text, "b.yaml": text}, known())
    assert [str(p) for p in caught.value.problems] == [
        "b.yaml:1:1: stack: there is a stack already, in a.yaml; write one"
    ]


def test_a_name_in_two_files_is_told() -> None:
    text = "adjustments: {x: {kind: percentage_discount, percent: 1, valid_from: 2026-01, recorded_at: 2026-01-01}}\n"
    with pytest.raises(DocumentError, match="'x' stands twice"):
        load_terms({"a.yaml": text, "b.yaml": text}, known())


def test_without_readable_cards_the_rest_is_checked_all_the_same() -> None:
    references = References(("shop",), ("cc-1",), ("tier-1",), None)
    assert (
        load_terms({"t.yaml": "stack: {base: b, tenants: {shop: {card: c, mode: override}}}\n"}, references)
        == Terms()
    )
    found = problems_of("stack: {base: b, tenants: {moon: {card: c, mode: override}}}\n", references)
    assert len(found) == 1
    assert "there is no tenant 'moon'" in found[0]
