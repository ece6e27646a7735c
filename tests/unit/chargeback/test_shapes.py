"""Each shape against a counting of single units, which shares nothing with its formula."""

import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from catalog.discovery import BadKind
from catalog.resources import Resources
from chargeback import quotes, rate_card_form, shapes
from chargeback.money import exact_text
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import load_rate_cards
from chargeback.shape import Shape
from chargeback.shapes import kinds, shape_of

TIERS = [
    {"above": 0, "to": 3, "price": "0.5"},
    {"above": 3, "to": 7, "price": "0.3"},
    {"above": 7, "price": "0.1"},
]
UNIT = {"kind": "unit", "price": "0.5"}
PRICE_OF_UNIT = [Fraction(1, 2)] * 3 + [Fraction(3, 10)] * 4 + [Fraction(1, 10)] * 90
"""What the 1st, 2nd, ... unit costs by TIERS."""


def price(body: dict[str, Any], quantity: object) -> Fraction:
    return shape_of(body).price(Fraction(str(quantity))) * Fraction(1, 10**9)


def prices(body: dict[str, Any], *quantities: object) -> list[str]:
    return [exact_text(price(body, quantity)) for quantity in quantities]


def test_every_file_of_the_folder_is_a_shape_by_its_name() -> None:
    files = {file.stem for file in Path(shapes.__file__).parent.glob("[a-z]*.py")}
    assert set(kinds()) == files
    assert all(shape.__doc__ for shape in kinds().values())


def test_graduated_tiers_price_each_unit_by_the_tier_that_it_falls_into() -> None:
    for count in range(12):
        assert price({"kind": "graduated", "tiers": TIERS}, count) == sum(PRICE_OF_UNIT[:count])
    assert prices({"kind": "graduated", "tiers": TIERS}, "3.5", "-3.5") == ["1.65", "-1.65"]


def test_the_flat_amount_of_a_graduated_tier_is_paid_once_it_is_entered() -> None:
    tiers = [{"to": 5, "flat": 100}, {"to": 10, "flat": 50}, {"price": 1}]
    assert prices({"kind": "graduated", "tiers": tiers}, 0, 5, "5.1", 10, 15) == [
        "100",
        "100",
        "150",
        "150",
        "155",
    ]


def test_whole_quantity_prices_all_units_by_the_tier_of_the_last() -> None:
    body = {"kind": "whole_quantity", "tiers": TIERS}
    for count in range(1, 12):
        assert price(body, count) == count * PRICE_OF_UNIT[count - 1]
    assert price(body, 0) == 0


def test_volume_is_another_name_for_whole_quantity() -> None:
    for quantity in (0, 3, "3.01", 50):
        assert price({"kind": "volume", "tiers": TIERS}, quantity) == price(
            {"kind": "whole_quantity", "tiers": TIERS}, quantity
        )


def test_a_price_that_falls_past_a_bound_is_warned_of_with_both_amounts() -> None:
    found = shape_of({"kind": "volume", "tiers": TIERS}).warnings()
    assert [warning.partition(",")[0] for warning in found] == [
        "just above 3 costs 0.9",
        "just above 7 costs 0.7",
    ]
    assert "less than 1.5 for 3" in found[0]
    assert shape_of({"kind": "graduated", "tiers": TIERS}).warnings() == []
    nested = {
        "kind": "maximum",
        "amount": 9,
        "of": {"kind": "allowance", "free": 2, "of": {"kind": "volume", "tiers": TIERS}},
    }
    found = [warning.partition(" costs")[0] for warning in shape_of(nested).warnings()]
    assert found == ["above 2 free: just above 3", "above 2 free: just above 7"]


def test_every_warned_bound_is_an_inversion_and_no_other_is() -> None:
    tiers = [
        {"to": 3, "price": "0.5", "flat": 1},
        {"to": 7, "price": "0.4", "flat": "1.3"},
        {"price": "0.1", "flat": 4},
    ]
    for kind in ("volume", "graduated"):
        shape = shape_of({"kind": kind, "tiers": tiers})
        tiny = Fraction(1, 10**9)
        falls = [bound for bound in (3, 7) if shape.price(bound + tiny) < shape.price(Fraction(bound))]
        assert len(shape.warnings()) == len(falls)


def test_a_started_pack_is_paid_in_full_and_none_is_started_by_nothing() -> None:
    pack = {"kind": "package", "size": 10, "price": 5}
    assert prices(pack, 0, "0.1", 10, "10.01", 30) == ["0", "5", "5", "10", "15"]


def test_a_block_has_one_amount_however_far_it_is_reached_into() -> None:
    tiers = [{"to": 10, "flat": 5}, {"to": 20, "flat": 8}, {"flat": 12}]
    assert prices({"kind": "block", "tiers": tiers}, 0, 10, 11, 20, 21) == ["5", "5", "8", "8", "12"]
    each = {"kind": "block", "charged": "each", "tiers": tiers}
    assert prices(each, 0, 10, 11, 20, 21) == ["5", "5", "13", "13", "25"]


def test_a_fixed_amount_stands_beside_the_price_of_each_unit() -> None:
    assert prices({"kind": "fixed_variable", "fixed": 10, "price": 1}, 0, 1, "2.5") == ["10", "11", "12.5"]


def test_minimum_and_maximum_bound_what_they_hold_from_below_and_above() -> None:
    least = {"kind": "minimum", "amount": 2, "of": UNIT}
    most = {"kind": "maximum", "amount": 3, "of": UNIT}
    both = {"kind": "maximum", "amount": 3, "of": least}
    for quantity in range(10):
        plain = Fraction(quantity, 2)
        assert price(least, quantity) == max(Fraction(2), plain)
        assert price(most, quantity) == min(Fraction(3), plain)
        assert price(both, quantity) == min(Fraction(3), max(Fraction(2), plain))


def test_an_allowance_shifts_what_it_holds() -> None:
    body = {"kind": "allowance", "free": 2, "of": {"kind": "graduated", "tiers": TIERS}}
    for count in range(12):
        assert price(body, count) == sum(PRICE_OF_UNIT[: max(0, count - 2)])


def test_a_commitment_is_paid_in_full_and_only_what_is_above_it_is_overage() -> None:
    body = {
        "kind": "commitment",
        "committed": 100,
        "amount": 40,
        "overage": {"kind": "fixed_variable", "fixed": 7, "price": "0.6"},
    }
    assert prices(body, 0, 99, 100, 101) == ["40", "40", "40", "47.6"]


@pytest.mark.parametrize(
    ("rule", "quantity", "billed"),
    [("ceiling", 1400, "2"), ("floor", 1900, "1"), ("half-up", 1500, "2"), ("half-up", 1400, "1"), ("none", 1400, "1.4"),
     ("ceiling", 2000, "2"), ("half-up", 2499, "2"), ("floor", 999, "0")],
)  # fmt: skip
def test_quantities_are_converted_and_made_whole_before_they_are_priced(
    rule: str, quantity: int, billed: str
) -> None:
    body = {"kind": "rounded", "rule": rule, "divide_by": 1000, "of": {"kind": "unit", "price": 1}}
    assert prices(body, quantity) == [billed]


EXAMPLES: list[dict[str, Any]] = [
    UNIT,
    {"kind": "graduated", "tiers": TIERS},
    {"kind": "volume", "tiers": TIERS},
    {"kind": "package", "size": "2.5", "price": 5},
    {"kind": "block", "tiers": [{"to": 4, "flat": 1}, {"flat": 2}]},
    {"kind": "fixed_variable", "fixed": 1, "price": 2},
    {"kind": "minimum", "amount": 4, "of": {"kind": "maximum", "amount": 5, "of": UNIT}},
    {"kind": "allowance", "free": 1, "of": UNIT},
    {"kind": "commitment", "committed": 3, "amount": 1, "overage": UNIT},
    {"kind": "rounded", "rule": "ceiling", "of": UNIT},
]


@pytest.mark.parametrize("body", EXAMPLES, ids=lambda body: body["kind"])
def test_the_steps_of_a_price_add_up_to_it_and_taking_back_costs_the_same(body: dict[str, Any]) -> None:
    shape: Shape = shape_of(body)
    for quantity in (Fraction(n, 3) for n in range(40)):
        assert sum(step.nanos for step in shape.steps(quantity)) == shape.price(quantity)
        assert shape.price(-quantity) == -shape.price(quantity) or quantity == 0
    assert shape == shape_of(body)
    assert hash(shape) == hash(shape_of(body))
    assert shape.text()


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ([(0, 5)], "there is no price above 5"),
        ([(0, 5), (6, None)], "tier 2 starts at 6, and 5 to there has no price"),
        ([(1, 10), (10, None)], "the first tier starts at 1"),
        ([(0, 1), (0, None)], "tier 2 starts at 0, inside the tier before it"),
        ([(0, 5), (5, 5), (5, None)], "tier 2 can never be reached"),
        ([(0, None), (5, None)], "tier 2 can never be reached: the tier before it has no end"),
    ],
)
def test_tiers_that_leave_a_quantity_without_one_price_are_refused(tiers: Any, message: str) -> None:
    body = {"kind": "graduated", "tiers": [{"above": a, "to": b, "price": 1} for a, b in tiers]}
    with pytest.raises(ValidationError, match=message):
        shape_of(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "graduate"}, "did you mean 'graduated'"),
        ({"kind": "unit", "price": "-1"}, "must not be negative"),
        ({"kind": "unit", "price": "1e3"}, "plain decimal"),
        ({"kind": "unit", "price": "1000001"}, "must not exceed 1000000"),
        ({"kind": "package", "size": 0, "price": 1}, "size must be above zero"),
        ({"kind": "package", "size": "NaN", "price": 1}, "plain number"),
        ({"kind": "rounded", "rule": "floor", "divide_by": 0, "of": UNIT}, "divide_by must be above zero"),
        ({"kind": "block", "tiers": [{"price": 1}]}, "no price per unit"),
        (
            {"kind": "minimum", "amount": 6, "of": {"kind": "maximum", "amount": 5, "of": UNIT}},
            "can never be kept",
        ),
        (
            {"kind": "maximum", "amount": 5, "of": {"kind": "minimum", "amount": 6, "of": UNIT}},
            "below the 6",
        ),
    ],
)
def test_what_is_no_shape_is_refused_in_words(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shape_of(body)


GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-price-model.md"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's shape in a distribution of somebody else, installed as pip leaves it."""
    (tmp_path / "acme_rising.py").write_text(guided("python"))
    info = tmp_path / "acme_shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-shapes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tierwise.shapes]\nrising = acme_rising\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield info / "entry_points.txt"
    monkeypatch.undo()
    forget()
    sys.modules.pop("acme_rising", None)


def forget() -> None:
    kinds.cache_clear()
    shapes.names.cache_clear()


def guided(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_guides_shape_of_somebody_else_prices_a_bill_and_is_in_the_schema(outside: Path) -> None:
    (card,) = load_rate_cards({"card.yaml": guided("yaml")}, ("tier-1",))
    quote = quotes.price(
        Resources(vcpu=4), "tier-1", card, period=BillingPeriod.parse("2026-10", card.time_zone)
    )
    assert quote.total == "EUR 43.00"
    assert quote.lines[0].rate == "10, rising by 0.5"
    assert "Rising" in rate_card_form.schema()["$defs"]
    for count in range(6):
        by_unit = sum(10 + Fraction(n, 2) for n in range(count))
        assert price({"kind": "rising", "price": 10, "more": "0.5"}, count) == by_unit


def test_an_entry_point_cannot_take_the_name_of_a_shape_that_there_is_or_that_it_does_not_define(
    outside: Path,
) -> None:
    for name, message in (
        ("unit", "two modules define the shape 'unit'"),
        ("fall", "must define one shape with the field kind"),
    ):
        outside.write_text(f"[tierwise.shapes]\n{name} = acme_rising\n")
        forget()
        with pytest.raises(BadKind, match=message):
            kinds()
