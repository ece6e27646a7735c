from fractions import Fraction

import pytest

from chargeback.money import (
    InvalidMoney,
    Rounding,
    exact_text,
    format_minor,
    nanos_from_text,
    nanos_to_text,
    round_to_minor,
    split,
)

UP, EVEN = Rounding.HALF_UP, Rounding.HALF_EVEN


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0.0042", 4_200_000),
        ("0.000000001", 1),
        ("0.0000000010000", 1),
        ("12", 12_000_000_000),
        ("-0.5", -500_000_000),
        ("+1.25", 1_250_000_000),
        ("0", 0),
    ],
)
def test_a_plain_decimal_is_kept_to_the_last_digit(text: str, nanos: int) -> None:
    assert nanos_from_text(text) == nanos
    assert Fraction(nanos_to_text(nanos)) == Fraction(text)


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "1e-3", "1,5", "0x10", "nan", "inf", " 1", "1_000", "٣", "--1", "1.0\n"]
)
def test_what_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(InvalidMoney, match="plain decimal"):
        nanos_from_text(text)


def test_a_tenth_decimal_is_refused_not_rounded() -> None:
    with pytest.raises(InvalidMoney, match="10 decimals"):
        nanos_from_text("0.0000000001")


@pytest.mark.parametrize(
    ("nanos", "mode", "cents"),
    [
        (5_000_000, UP, 1),
        (5_000_000, EVEN, 0),
        (15_000_000, EVEN, 2),
        (25_000_000, EVEN, 2),
        (25_000_000, UP, 3),
        (-5_000_000, UP, -1),
        (-5_000_000, EVEN, 0),
        (4_999_999, UP, 0),
        (5_000_001, EVEN, 1),
        (-14_999_999, UP, -1),
    ],
)
def test_halves_go_by_the_cards_rule_and_all_else_to_the_nearest(
    nanos: int, mode: Rounding, cents: int
) -> None:
    assert round_to_minor(Fraction(nanos), 2, mode) == cents
    assert round_to_minor((nanos * 7, 7), 2, mode) == cents


def test_a_third_of_a_nano_above_a_half_is_above_it() -> None:
    assert round_to_minor(Fraction(15_000_001, 3), 2, EVEN) == 1
    assert round_to_minor(Fraction(14_999_999, 3), 2, UP) == 0


def test_currencies_without_and_with_three_decimals_round_at_their_own_place() -> None:
    assert round_to_minor(Fraction(1_500_000_000), 0, UP) == 2
    assert round_to_minor(Fraction(1_500_000), 3, UP) == 2


def test_amounts_show_all_decimals_of_their_currency() -> None:
    assert format_minor(6137, 2) == "61.37"
    assert format_minor(-5, 2, "EUR") == "EUR -0.05"
    assert format_minor(0, 2) == "0.00"
    assert format_minor(1200, 0) == "1200"
    assert format_minor(1, 3) == "0.001"


def test_exact_text_is_a_decimal_where_one_exists_and_a_mixed_number_elsewhere() -> None:
    assert exact_text(Fraction(745)) == "745"
    assert exact_text(Fraction(1487, 2)) == "743.5"
    assert exact_text(Fraction(-1, 1024)) == "-0.0009765625"
    assert exact_text(Fraction(1, 3600)) == "0 1/3600"
    assert exact_text(Fraction(-31799, 60)) == "-529 59/60"


def test_the_last_unit_of_a_split_goes_to_the_largest_remainder_and_ties_to_the_first() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(10, [6, 3, 1, 0]) == [6, 3, 1, 0]
    assert split(1, [1, 2]) == [0, 1]
    assert split(-100, [1, 1, 1]) == [-34, -33, -33]
    assert split(0, [0, 0]) == [0, 0]


def test_a_split_without_weights_is_refused_rather_than_lost() -> None:
    with pytest.raises(ValueError, match="no weight is above zero"):
        split(1, [0, 0])
    with pytest.raises(ValueError, match="must not be negative: -1"):
        split(1, [2, -1])
