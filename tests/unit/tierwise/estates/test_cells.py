"""Numbers as people of several languages type them, and as spreadsheets keep them."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.estates.cells import Numbers, text, truth

WHOLE = st.integers(min_value=0, max_value=10**12)
CENTS = st.integers(min_value=0, max_value=99)
GROUPS = st.sampled_from([",", ".", "\u00a0", "\u202f", "'", " "])


def grouped(number: int, mark: str) -> str:
    return f"{number:,}".replace(",", mark)


@given(WHOLE, GROUPS)
def test_whole_numbers_are_read_whatever_groups_their_thousands(number: int, mark: str) -> None:
    assert Numbers().read(grouped(number, mark)) == number


@given(WHOLE, CENTS, GROUPS, st.sampled_from([".", ","]))
def test_two_decimals_are_read_with_either_mark(number: int, cents: int, group: str, decimal: str) -> None:
    if group == decimal:
        return
    said = f"{grouped(number, group)}{decimal}{cents:02d}"
    assert Numbers().read(said) == Decimal(number) + Decimal(cents) / 100


@given(st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15))
def test_numbers_of_a_spreadsheet_are_taken_as_they_are(number: float) -> None:
    assert Numbers().read(number) == Decimal(repr(number))


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_refused_and_nothing_else_happens(said: str) -> None:
    value: Decimal | None = None
    with contextlib.suppress(ValueError):
        value = Numbers().read(said, units=True)
    assert value is None or value.is_finite()


@pytest.mark.parametrize(
    ("said", "mib"),
    [
        ("8 GB", 8192), ("8 GiB", 8192), ("1,5 GB", 1536), ("512MB", 512), ("1.5 TiB", 1536 * 1024), ("2048 KB", 2),
        ("1048576 bytes", 1), ("35 %", 35), ("1 234,5", Decimal("1234.5")), ("1.234.567", 1234567), ("-1", -1),
        ("1,234,567.8", Decimal("1234567.8")), ("0,5", Decimal("0.5")), ("4096.0", 4096), ("+7", 7),
    ],
)  # fmt: skip
def test_units_and_marks(said: str, mib: Decimal) -> None:
    assert Numbers().read(said, units=True) == mib


@pytest.mark.parametrize(
    "said", ["two", "1.2.3", "1,23,4.5", "1.234,56,7", "8 XB", "--1", "1e400", "inf", "NaN5", "1-2"]
)
def test_what_is_no_number_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        Numbers().read(said, units=True)


def test_three_digits_after_a_mark_are_thousands_in_whole_columns_and_else_what_the_file_proves() -> None:
    numbers = Numbers()
    assert numbers.read("1.234") == numbers.read("1,234") == 1234
    assert numbers.ambiguous == "1.234"
    assert numbers.read("1.234", whole=False) == Decimal("1.234")
    numbers.read("7,5")
    assert numbers.seen == {","}
    assert Numbers(decimal=".").read("1.234") == Decimal("1.234")
    assert Numbers(decimal=".").read("1,234") == 1234


@pytest.mark.parametrize(
    ("cell", "said"), [(" x ", "x"), (3.0, "3"), (2.5, "2.5"), (None, ""), ("N/A", ""), (True, "True")]
)
def test_texts(cell: object, said: str) -> None:
    assert text(cell) == said


@pytest.mark.parametrize(
    ("cell", "said"),
    [("True", True), ("Wahr", True), (1.0, True), ("no", False), ("", None), (False, False)],
)
def test_truths(cell: object, said: bool | None) -> None:
    assert truth(cell) is said
