"""Numbers of statements and lines, booked rows, and what a comparison with the ledger finds."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeback.events import MachineEvent
from chargeback.late import Known, rated
from chargeback.ledger import (
    LEDGER_COLUMNS,
    SCHEMA,
    Check,
    Sum,
    booked,
    checked,
    disagreements,
    exact_number,
    misnumbered,
    statement_number,
    sums_text,
    to_table,
)
from chargeback.metering import intervals
from chargeback.money import exact_text
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.statements import Statement, corrections, with_corrections
from chargeback.usage import to_table as usage_table

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
TENANTS = ("bank", "shop", "zoo")


@pytest.fixture
def made(acme: RateCard, event: Callable[..., MachineEvent]) -> list[Statement]:
    """The statements of November of three tenants, one of whom also gets a correction of October."""
    facts = [
        event(
            n,
            kind,
            OCTOBER.t_from + 77 * n,
            machine=f"m-{tenant}",
            **({"tenant": tenant} if n == 0 else {}),
        )
        for tenant in TENANTS
        for n, kind in enumerate(("created", "powered_on"))
    ]
    usage = usage_table(intervals(facts, OCTOBER.next.t_to))
    known = Known(acme, 2**40)
    october, november = (rated(usage, known, period) for period in (OCTOBER, OCTOBER.next))
    late = [c for c in corrections([], october) if c.tenant == "bank"]
    return with_corrections(november, late, OCTOBER.next, acme)


@pytest.fixture
def book(made: list[Statement]) -> tuple[Any, Any]:
    return booked(made, {"m-shop": "shop-01"}, {})


def test_statements_are_numbered_by_tenant_and_lines_from_one_without_a_gap(book: Any) -> None:
    issued, rows = book
    assert [(s.number, s.tenant, s.lines) for s in issued] == [
        ("ST-2026-11-0001", "bank", 8), ("ST-2026-11-0002", "shop", 4), ("ST-2026-11-0003", "zoo", 4),
    ]  # fmt: skip
    numbers = [(row["statement"], row["number"]) for row in rows]
    assert numbers == [(s.number, n) for s in issued for n in range(1, s.lines + 1)]
    assert [row["charge_class"] for row in rows[:8]] == [""] * 4 + ["Correction"] * 4


def test_sums_are_told_with_their_thousands_apart_and_each_currency_s_decimals() -> None:
    found = [Sum("total", *each) for each in (("EUR", 2, 444074), ("JPY", 0, -12345), ("USD", 2, -50))]
    assert sums_text(found) == "EUR 4,440.74 and JPY -12,345 and USD -0.50"


def test_a_ten_thousandth_statement_has_five_digits() -> None:
    assert statement_number(OCTOBER, 31) == "ST-2026-10-0031"
    assert statement_number(OCTOBER, 10_000) == "ST-2026-10-10000"


def test_statements_out_of_order_or_twice_are_not_numbered(made: list[Statement]) -> None:
    for wrong in (made[::-1], [made[0], made[0]], [made[0], replace(made[1], period=OCTOBER)]):
        with pytest.raises(ValueError, match="must come by tenant, one each"):
            booked(wrong, {}, {})


def test_booked_lines_have_all_columns_and_come_back_from_their_table(book: Any) -> None:
    _, rows = book
    table = to_table(rows)
    assert tuple(rows[0]) == LEDGER_COLUMNS == tuple(SCHEMA.names)
    assert table.to_pylist() == rows
    assert {row["machine_name"] for row in rows} == {"shop-01", ""}


def test_a_correction_names_the_statement_that_had_the_line(made: list[Statement]) -> None:
    wrong = made[0].corrections[0].corrects
    _, rows = booked(made, {}, {wrong: "ST-2026-10-0001"})
    pointing = [row for row in rows if row["corrects_statement"]]
    assert [(row["corrects"], row["corrects_statement"]) for row in pointing] == [
        (wrong, "ST-2026-10-0001")
    ]


def test_lines_statements_and_ledger_are_one_sum_and_a_lost_line_is_a_difference(book: Any) -> None:
    issued, rows = book
    assert checked(rows, issued, to_table(rows)).difference_minor == 0
    lost = checked(rows, issued, to_table(rows[1:]))
    assert lost.difference_minor == rows[0]["amount_minor"] > 0
    assert Check(5, 5, 7).difference_minor == Check(7, 5, 5).difference_minor == 2


def test_each_planted_difference_is_told_with_its_line_and_column(book: Any) -> None:
    issued, rows = book
    assert list(disagreements(rows, rows)) == []
    assert list(misnumbered(issued, rows, OCTOBER.next)) == []
    for column in LEDGER_COLUMNS:
        if column == "line":
            continue
        other = 7 if isinstance(rows[3][column], int) else "another"
        planted = [*rows[:3], {**rows[3], column: other}, *rows[4:]]
        (found,) = disagreements(planted, rows)
        assert f": {column} is booked as '{other}'" in found
    (gone,) = disagreements(rows, rows[1:])
    assert gone.endswith("booked, and not charged now")
    (new,) = disagreements(rows[1:], rows)
    assert new.endswith("and not booked")


def test_gaps_and_sums_that_are_not_those_of_the_lines_are_told(book: Any) -> None:
    issued, rows = book
    november = OCTOBER.next
    assert any("has the number 2" in text for text in misnumbered(issued, rows[1:], november))
    skipped = [*issued[:1], *issued[2:]]
    told = list(misnumbered(skipped, rows, november))
    assert "ST-2026-11-0003 stands where ST-2026-11-0002 belongs" in told
    assert "ST-2026-11-0002: there are lines, and no such statement" in told
    dearer = [replace(issued[0], total_minor=issued[0].total_minor + 1), *issued[1:]]
    (told_of_sum,) = misnumbered(dearer, rows, november)
    assert "its lines do not add up" in told_of_sum


@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
def test_a_number_that_was_written_exactly_is_read_back(value: Fraction) -> None:
    assert exact_number(exact_text(value)) == value
