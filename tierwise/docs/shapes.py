"""The page of the shapes of prices: a worked rate card for each, its figures computed by the product.

``make docs`` writes it, and the JSON Schema of rate cards beside it, anew.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from catalog.discovery import declared
from chargeback.money import exact_text, format_minor, round_to_minor
from chargeback.rate_card_form import schema
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import Rate, RateCard
from chargeback.shapes import kinds

_INTRODUCTION = """\
# Shapes of prices

A rate of a [rate card](rate-cards.md) has either a `price`, which each unit costs, or a `shape`. A shape
prices the quantity that is added up over the rate's `window`, in the rate's unit; `maximum`, `minimum`,
`allowance`, `commitment` and `rounded` hold another shape. Tiers are `(above, to]`: a bound belongs to the tier
below it, and 0 to the first. `above` may be left out, `to` is left out of the last tier only, and a set of tiers
with a gap, an overlap, an end or a tier that nothing reaches is refused.

Each example is a whole card, and its figures are what the product charges for a machine whose quantity in the
window is that of the first column. [rate-card.schema.json](rate-card.schema.json) is the JSON Schema of rate
cards, for editors. To add a shape is to add a file to `chargeback/shapes`; a distribution of somebody else adds
one by an entry point of the group `tierwise.shapes`.
"""


class Example(NamedTuple):
    """A rate of one shape, and the quantities that are worked out; `why` says what to look at."""

    rate: str
    quantities: tuple[str, ...]
    why: str


EXAMPLES: Mapping[str, Example] = {
    "unit": Example(
        "unit: GiB-month, shape: {kind: unit, price: 0.05}",
        ("0", "1", "250", "0.5"),
        "`price: 0.05` alone says the same.",
    ),
    "fixed_variable": Example(
        "unit: GiB-month, shape: {kind: fixed_variable, fixed: 3, price: 0.05}",
        ("1", "10", "250"),
        "The fixed amount is paid once for each window that has any usage.",
    ),
    "whole_quantity": Example(
        "unit: GiB-month, shape: {kind: whole_quantity, tiers: [{to: 10, price: 0.3, flat: 3}, "
        "{to: 50, price: 0.2, flat: 2}, {price: 0.1, flat: 1}]}",
        ("0", "10", "20", "50", "51"),
        "51 cost less than 50: the card is taken, and warned of.",
    ),
    "graduated": Example(
        "unit: GiB-month, shape: {kind: graduated, tiers: [{to: 100, price: 0.05}, {to: 1000, price: 0.04}, {price: 0.03}]}",
        ("100", "101", "1500"),
        "Nothing gets cheaper by passing a bound but what lies above it.",
    ),
    "package": Example(
        "unit: GiB-month, shape: {kind: package, size: 100, price: 4}",
        ("0", "0.1", "100", "101"),
        "A pack that is begun is paid in full.",
    ),
    "block": Example(
        "unit: GiB-month, shape: {kind: block, tiers: [{to: 100, flat: 5}, {to: 500, flat: 20}, {flat: 35}]}",
        ("1", "100", "101", "9000"),
        "With `charged: each` the blocks below are paid too: 101 would cost 25.",
    ),
    "minimum": Example(
        "unit: GiB-month, shape: {kind: minimum, amount: 5, of: {kind: unit, price: 0.05}}",
        ("1", "100", "101"),
        "A window without any usage costs nothing.",
    ),
    "maximum": Example(
        "unit: GiB-month, shape: {kind: maximum, amount: 50, of: {kind: unit, price: 0.05}}",
        ("999", "1000", "5000"),
        "A cap.",
    ),
    "allowance": Example(
        "unit: GiB-month, shape: {kind: allowance, free: 10, of: {kind: unit, price: 0.05}}",
        ("5", "10", "30"),
        "The shape inside counts from the allowance on.",
    ),
    "commitment": Example(
        "unit: GiB-month, shape: {kind: commitment, committed: 500, amount: 20, overage: {kind: unit, price: 0.06}}",
        ("0.5", "500", "600"),
        "What is committed is paid, used or not.",
    ),
    "rounded": Example(
        "unit: GiB-month, shape: {kind: rounded, rule: ceiling, divide_by: 1000, of: {kind: unit, price: 30}}",
        ("1", "1000", "1400"),
        "`rule` is `none`, `ceiling`, `floor` or `half-up`; conversion comes first.",
    ),
}
"""One of each kind."""


def text_of(kind: str) -> str:
    """The worked card as a document."""
    return (
        f"rate_cards:\n  {kind.replace('_', '-')}:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        "    time_zone: Europe/Berlin\n    recorded_at: 2026-01-01\n    rates:\n"
        "      - id: disk\n        tier: tier-1\n        metric: disk_gib\n        valid_from: 2026-01-01\n"
        + "".join(f"        {part}\n" for part in _parts(EXAMPLES[kind].rate))
    )


def _parts(rate: str) -> list[str]:
    unit, _, shape = rate.partition(", shape: ")
    return [unit, f"shape: {shape}"]


def card_of(kind: str) -> RateCard:
    """The worked card."""
    (card,) = load_rate_cards({f"{kind}.yaml": text_of(kind)}, ("tier-1",))
    return card


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *("\n".join(_section(kind)) for kind in kinds() if kind in EXAMPLES)])


def schema_text() -> str:
    """The JSON Schema of rate cards as a file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _section(kind: str) -> Iterator[str]:
    shape, example = kinds()[kind], EXAMPLES[kind]
    others = declared(shape)[1:]
    yield f"## {kind}\n"
    also = f" Also written `{'`, `'.join(others)}`." if others else ""
    yield f"{(sys.modules[shape.__module__].__doc__ or '').strip().splitlines()[0]} {' '.join((shape.__doc__ or '').split())}{also}\n"
    yield f"```yaml\n{text_of(kind)}```\n"
    card = card_of(kind)
    (rate,) = card.rates
    yield f"On the bill: `{rate.price_text}`. {example.why}\n"
    yield "| quantity | amount | because |\n| ---: | ---: | --- |"
    yield from (_row(rate, card, quantity) for quantity in example.quantities)
    yield from (f"\nWarning: {warning}." for warning in card.warnings)
    yield ""


def _row(rate: Rate, card: RateCard, text: str) -> str:
    quantity = Fraction(text)
    because = " + ".join(step.text for step in rate.shape.steps(quantity))
    minor = round_to_minor(rate.shape.price(quantity), card.minor_digits, card.rounding)
    return f"| {exact_text(quantity)} | {format_minor(minor, card.minor_digits)} | {because} |"


def rows_of(kind: str) -> list[Any]:
    """(quantity, amount) of the worked figures, as they are printed."""
    (rate,) = card_of(kind).rates
    rows = (_row(rate, card_of(kind), quantity) for quantity in EXAMPLES[kind].quantities)
    return [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows]
