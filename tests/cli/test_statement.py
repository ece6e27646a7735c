"""A statement that the command prints is recomputed from its CSV and from the machines' lives, by hand."""

import csv
import io
import re
from datetime import UTC, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.last_month import MONTH, MONTH_BEGIN, THIS_MONTH, live_one_long_and_one_from_the_eleventh
from tierwise.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def lives(settings: Settings) -> None:
    """One machine through the whole of last month, and one from its 11th on."""
    live_one_long_and_one_from_the_eleventh(settings)


def number(text: str) -> Fraction:
    """``19104 14/15`` or ``19104.5``."""
    return sum((Fraction(part) for part in text.split()), Fraction(0))


def cents(amount: Fraction) -> Decimal:
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


def lines(tierwise: Any, *more: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tierwise("charge", "statement", MONTH, "-o", "csv", *more).out)))


def test_every_line_of_the_csv_is_quantity_times_rate_rounded_once(tierwise: Any) -> None:
    found = lines(tierwise)
    assert len(found) == 8
    for row in found:
        assert cents(number(row["quantity"]) * Fraction(row["rate"])) == Decimal(row["amount"]), row
        assert int(row["amount_minor"]) == Decimal(row["amount"]) * 100
        assert row["currency"] == "EUR"


def test_hours_and_quantities_are_those_of_the_machines_lives(tierwise: Any) -> None:
    month_h = Fraction(
        int((THIS_MONTH.astimezone(UTC) - MONTH_BEGIN.astimezone(UTC)).total_seconds()), 3600
    )
    began = (MONTH_BEGIN + timedelta(days=10)).astimezone(UTC)
    web_h = Fraction(int((THIS_MONTH.astimezone(UTC) - began).total_seconds()), 3600)
    expected = {
        ("pay-01", "vcpu"): 8 * month_h, ("pay-01", "memory_mib"): 64 * month_h, ("pay-01", "disk_gib"): 500 * month_h,
        ("pay-01", "machine"): month_h, ("web-01", "vcpu"): 2 * web_h, ("web-01", "memory_mib"): 4 * web_h,
        ("web-01", "disk_gib"): 40 * web_h, ("web-01", "machine"): web_h,
    }  # fmt: skip
    got = {(row["machine_name"], row["metric"]): number(row["quantity"]) for row in lines(tierwise)}
    assert got.keys() == expected.keys()
    for key, quantity in expected.items():
        # The clock of the test stands still, so creation and power-on are one moment.
        assert got[key] == quantity, key


def test_the_table_adds_up_to_the_csv_per_tenant_and_in_all(tierwise: Any) -> None:
    text = tierwise("charge", "statement", MONTH).out
    totals = {tenant: Decimal(0) for tenant in ("payroll", "web-shop")}
    for row in lines(tierwise):
        totals[row["tenant"]] += Decimal(row["amount"])
    for tenant, total in totals.items():
        assert f"{tenant}: EUR {total:,}" in text
    assert f"total: EUR {sum(totals.values()):,}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_one_tenant_alone_is_a_part_of_all(tierwise: Any) -> None:
    assert lines(tierwise, "--tenant", "payroll") == [
        row for row in lines(tierwise) if row["tenant"] == "payroll"
    ]


def test_an_issued_statement_keeps_its_lines_and_says_so(tierwise: Any) -> None:
    tierwise("charge", "close", (MONTH_BEGIN - timedelta(days=1)).strftime("%Y-%m"))
    draft = lines(tierwise)
    ended = tierwise("charge", "statement", MONTH, "--issue", "-o", "csv")
    before = lines(tierwise)
    # Closing gives each statement its number, and changes nothing else.
    assert [{**row, "statement": ""} for row in before] == [{**row, "statement": ""} for row in draft]
    assert {row["statement"] for row in before} == {f"ST-{MONTH}-0001", f"ST-{MONTH}-0002"}
    assert re.match(r"issued, as known at \d{4}-", ended.err)
    tierwise(
        "vm",
        "owner",
        "web-01",
        "--tenant",
        "marketing",
        "--since",
        (THIS_MONTH - timedelta(days=3)).strftime("%Y-%m-%d"),
    )
    assert lines(tierwise) == before
    this_month = tierwise(
        "charge", "statement", THIS_MONTH.strftime("%Y-%m"), "--lines", "--tenant", "web-shop"
    ).out
    assert "Correction" in this_month


def test_a_month_before_the_first_machine_is_empty_and_says_so(tierwise: Any) -> None:
    ended = tierwise("charge", "statement", (MONTH_BEGIN - timedelta(days=40)).strftime("%Y-%m"))
    assert "no machine was charged for" in ended.out
    assert "total: EUR 0.00" in ended.out


def test_samples_are_imported_once_and_contradictions_not_at_all(tierwise: Any, tmp_path: Any) -> None:
    file = tmp_path / "samples.csv"
    file.write_text("machine,metric,at,value,unit\nweb-01,vcpu,2026-10-01T00:00:00Z,4,vcpu\n")
    assert tierwise("usage", "import", file).err.endswith(f"{file}: 1 sample added, 0 known already\n")
    assert tierwise("usage", "import", file).err.endswith(f"{file}: 0 samples added, 1 known already\n")
    file.write_text("machine,metric,at,value,unit\nweb-01,vcpu,2026-10-01T00:00:00Z,5,vcpu\n")
    assert "1 sample contradicts another" in tierwise("usage", "import", file, code=3).err
    file.write_text("machine,metric,at,value,unit\nweb-01,vcpu,yesterday,5,%\n")
    assert f"{file}:2" in tierwise("usage", "import", file, code=3).err
