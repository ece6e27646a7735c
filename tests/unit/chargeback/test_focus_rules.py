"""Every rule of the checker rejects the one error that is planted for it, and nothing is wrong with what is right.

The errors are planted from the words of the rule by `focus_planting`, which shares nothing with the checker.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chargeback.focus.rules.checking import (
    ATTRIBUTE_RULES,
    SUPPORTED,
    Report,
    all_rules,
    check,
    rule_findings,
)
from chargeback.focus.rules.frame import Frame
from chargeback.focus.rules.headers import HEADER_RULES
from chargeback.focus.rules.reading import Rule
from chargeback.focus.rules.reasons import UNCHECKED
from chargeback.focus.vocabulary import SUBCATEGORIES

sys.path.insert(0, str(Path(__file__).parent))
from focus_planting import Planted, planted_for, with_cell
from focus_valid import MOMENTS, NUMBERS, ROWS, typed, untyped

EVERYTHING = SUPPORTED | {
    "CAPACITY_RESERVATION_SUPPORTED", "COMMITMENT_DISCOUNT_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED", "VIRTUAL_CURRENCY_SUPPORTED",
}  # fmt: skip


def report(table: Any, *, is_typed: bool = True) -> Report:
    return check(table, typed=is_typed, supported=EVERYTHING)


def broken(planted: Planted) -> set[tuple[str, str]]:
    table = planted.table() if callable(planted.table) else planted.table
    findings = report(table, is_typed=planted.typed).findings
    return {(finding.rule, finding.column) for finding in findings}


NOTHING_TO_PLANT_IN = {
    # Rows that have one name for all three parties: the condition itself is planted, below.
    "BilledCost-C-005-C",
    "ChargeClass-C-003-C",
    "CapacityReservationStatus-C-003-C",
    "BillingAccountType-C-004-C",
}

CASES = [pytest.param(rule, id=f"{rule.id} {rule.column} {rule.check}"[:90]) for rule in all_rules()]


@pytest.mark.parametrize("as_csv", [False, True])
def test_a_file_that_breaks_no_rule_has_no_finding(as_csv: bool) -> None:
    found = report(untyped(ROWS) if as_csv else typed(ROWS), is_typed=not as_csv)
    assert [str(finding) for finding in found.findings] == []
    assert found.rows == len(ROWS)


@pytest.mark.parametrize("rule", CASES)
def test_the_error_that_is_planted_for_a_rule_is_found_under_its_id(rule: Rule) -> None:
    errors = list(planted_for(ROWS, rule))
    if rule.id in NOTHING_TO_PLANT_IN and not errors:
        pytest.skip("its condition is planted in a test of its own")
    assert errors, "no error was planted"
    assert (rule.id, rule.column) in broken(errors[-1])


def test_more_than_nine_hundred_planted_errors_are_all_rejected_under_their_rules() -> None:
    count, missed = 0, []
    for rule in all_rules():
        for error in planted_for(ROWS, rule):
            table = error.table() if callable(error.table) else error.table
            found = rule_findings(rule, Frame(table, typed=error.typed))
            missed += [] if found else [error]
            count += 1
    assert missed == []
    assert count >= 900


def test_a_cost_of_a_third_party_that_is_billed_is_found() -> None:
    table = typed(with_cell(ROWS, 0, "ProviderName", "Somebody"))
    assert ("BilledCost-C-005-C", "BilledCost") in broken(Planted("", "", table, typed=True))


def test_a_correction_within_its_own_billing_period_is_found() -> None:
    table = typed(with_cell(ROWS, 0, "ChargeClass", "Correction"))
    assert ("ChargeClass-C-003-C", "ChargeClass") in broken(Planted("", "", table, typed=True))


def test_a_type_of_no_billing_account_is_found() -> None:
    table = typed(with_cell(ROWS, 0, "BillingAccountId", None))
    assert ("BillingAccountType-C-004-C", "BillingAccountType") in broken(
        Planted("", "", table, typed=True)
    )


def test_a_status_of_no_reservation_is_found() -> None:
    table = typed(with_cell(ROWS, 0, "CapacityReservationStatus", "Used"))
    assert ("CapacityReservationStatus-C-003-C", "CapacityReservationStatus") in broken(
        Planted("", "", table, typed=True)
    )


FORMATS = [
    ("PricingQuantity", "[3,5]", "NumericFormat-A-002-M"),
    ("PricingQuantity", "4:5", "NumericFormat-A-002-M"),
    ("PricingQuantity", "three", "NumericFormat-A-003-M"),
    ("PricingQuantity", "1 1/2", "NumericFormat-A-004-M"),
    ("PricingQuantity", "35.24 x 10^7", "NumericFormat-A-005-M"),
    ("PricingQuantity", "35e7", "NumericFormat-A-005-M"),
    ("PricingQuantity", "35.2E+7", "NumericFormat-A-006-M"),
    ("PricingQuantity", "2.3^3", "NumericFormat-A-007-M"),
    ("PricingQuantity", "sqrt(2)", "NumericFormat-A-007-M"),
    ("PricingQuantity", "5i + 4", "NumericFormat-A-007-M"),
    ("PricingQuantity", "32 GiB", "NumericFormat-A-008-M"),
    ("PricingQuantity", "$32", "NumericFormat-A-008-M"),
    ("PricingQuantity", "3,432,342", "NumericFormat-A-009-M"),
    ("PricingQuantity", "1.2.3", "NumericFormat-A-009-M"),
    ("PricingQuantity", "+333", "NumericFormat-A-010-M"),
    ("PricingQuantity", "(4)", "NumericFormat-A-011-M"),
    ("PricingQuantity", "4-", "NumericFormat-A-011-M"),
    ("ChargePeriodEnd", "2026-02-10T08:00:00+01:00", "DateTimeFormat-A-001-M"),
    ("ChargePeriodEnd", "2026-02-30T08:00:00Z", "DateTimeFormat-A-002-M"),
    ("ChargePeriodEnd", "10.02.2026 08:00", "DateTimeFormat-A-002-M"),
    ("ChargePeriodEnd", "2026-02-10 08:00:00Z", "DateTimeFormat-A-004-M"),
    ("ChargePeriodEnd", "2026-02-10T8:00:00Z", "DateTimeFormat-A-005-M"),
    ("ChargePeriodEnd", "2026-02-10T08:00Z", "DateTimeFormat-A-005-M"),
    ("ChargePeriodEnd", "2026-02-10T08:00:00+00:00", "DateTimeFormat-A-006-M"),
    ("Tags", "env=prod", "KeyValueFormat-A-001-M"),
    ("Tags", '"env"', "KeyValueFormat-A-001-M"),
    ("Tags", '{"a": NaN}', "KeyValueFormat-A-001-M"),
    ("Tags", '{"a": 1, "a": 2}', "KeyValueFormat-A-002-M"),
    ("Tags", '{"a": [1]}', "KeyValueFormat-A-003-M"),
    ("Tags", '{"a": {"b": 1}}', "KeyValueFormat-A-004-M"),
    ("ResourceName", "pay�roll", "StringHandling-A-001-M"),
    ("ResourceName", "   ", "StringHandling-A-007-M"),
    ("ResourceName", "Not Applicable", "NullHandling-A-002-M"),
    ("InvoiceId", "N/A", "NullHandling-A-002-M"),
    ("BillingCurrency", "Eur", "CurrencyFormat-A-001-C"),
    ("PricingCurrency", " ", "CurrencyFormat-A-002-C"),
    ("PricingUnit", "Hours of Cores per Day", "UnitFormat-A-001-M"),
    ("PricingUnit", "1.5 Hours", "UnitFormat-A-002-O"),
    ("PricingUnit", "gib-hours", "UnitFormat-A-003-M"),
    ("PricingUnit", "GIB-Hours", "UnitFormat-A-003-M"),
    ("PricingUnit", "machine-Hours", "UnitFormat-A-004-C"),
]


@pytest.mark.parametrize(("column", "value", "rule"), FORMATS)
def test_a_value_in_a_wrong_format_is_found_under_the_attributes_rule(
    column: str, value: str, rule: str
) -> None:
    assert (rule, column) in broken(
        Planted(rule, column, untyped(with_cell(ROWS, 0, column, value)), typed=False)
    )


@pytest.mark.parametrize(
    "value",
    ["-100.2", "-3", "4", "35.2E-7", "1.234", "1E9", "0", "-.5", "100000000000000000000000000000.0000001"],
)
def test_numbers_that_the_specification_shows_as_right_are_right(value: str) -> None:
    row = {**ROWS[8], "ListCost": value}
    assert report(untyped([row]), is_typed=False).errors == ()


@pytest.mark.parametrize(
    "value",
    ["GB", "Seconds", "GB-Hours", "MB-Days", "GB/Hour", "PB/Day", "1000 Tokens", "Units/3 Months", "Requests",
     "Requests/Day", "TiB-Months", "Machine-Hours", "b", "KiB"],
)  # fmt: skip
def test_units_that_the_specification_shows_as_right_are_right(value: str) -> None:
    assert report(typed(with_cell(ROWS, 0, "PricingUnit", value))).findings == ()


HEADERS = [
    ("Billed-Cost", "ColumnHandling-A-003-M"),
    ("billedcost", "ColumnHandling-A-001-M"),
    ("Colour", "ColumnHandling-A-010-M"),
    ("x_colour of it", "ColumnHandling-A-011-O"),
    ("x_" + "Long" * 13, "ColumnHandling-A-005-O"),
]


@pytest.mark.parametrize(("name", "rule"), HEADERS)
def test_a_column_with_a_name_that_must_not_be_is_found(name: str, rule: str) -> None:
    table = typed(ROWS).append_column(name, pa.array(["1"] * len(ROWS)))
    assert (rule, name) in broken(Planted(rule, name, table, typed=True))


def test_a_custom_column_among_those_of_focus_is_found() -> None:
    table = typed(ROWS).add_column(0, "x_First", pa.array(["1"] * len(ROWS)))
    rules = {rule for rule, _ in broken(Planted("", "", table, typed=True))}
    assert rules == {"ColumnHandling-A-012-O", "ColumnHandling-A-013-O"}
    right = typed(ROWS).append_column("x_Last", pa.array(["1"] * len(ROWS)))
    assert report(right).findings == ()


def test_every_attribute_and_header_rule_has_a_planted_error() -> None:
    assert {rule for _, _, rule in FORMATS} == ATTRIBUTE_RULES
    planted = {rule for _, rule in HEADERS} | {"ColumnHandling-A-012-O", "ColumnHandling-A-013-O"}
    assert planted == HEADER_RULES


def test_no_rule_is_both_checked_and_excused() -> None:
    checked = {rule.id for rule in all_rules()} | ATTRIBUTE_RULES | HEADER_RULES
    assert checked & UNCHECKED.keys() == set()


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_without_a_zone_are_not_utc(name: str) -> None:
    table = typed(ROWS)
    naive = table[name].cast(pa.timestamp("s"))
    table = table.set_column(table.column_names.index(name), name, naive)
    assert ("DateTimeFormat-A-001-M", name) in broken(Planted("", name, table, typed=True))


@pytest.mark.parametrize("name", NUMBERS)
def test_binary_numbers_are_numbers_and_products_of_them_may_be_off_by_their_noise(name: str) -> None:
    table = typed(ROWS)
    binary = table[name].cast(pa.float64())
    table = table.set_column(table.column_names.index(name), name, binary)
    assert report(table).errors == ()


def test_a_finding_counts_all_rows_and_names_the_first_ones() -> None:
    rows = [{**row, "BillingCurrency": "EURO"} if i % 2 else row for i, row in enumerate(ROWS * 30)]
    (finding,) = [f for f in report(typed(rows)).findings if f.rule == "BillingCurrency-C-006-M"]
    assert (finding.rows, finding.first, finding.value) == (len(rows) // 2, (2, 4, 6), "EURO")
    assert str(finding) == (
        "BillingCurrency: must be national (BillingCurrency-C-006-M), "
        f"broken in {len(rows) // 2} rows, first 2, 4, 6, such as 'EURO'"
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_no_finding_but_the_row_numbers(seed: int) -> None:
    rows = [dict(row) for row in ROWS]
    rows[0]["ChargeCategory"] = "usage"
    rows[3]["ListCost"] = "7"
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = [rows[i] for i in order]

    def found(each: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
        return {(f.rule, f.column, f.rows) for f in report(typed(each)).findings}

    assert found(shuffled) == found(rows)


def test_every_category_has_its_subcategories_and_another_for_the_rest() -> None:
    assert all(f"Other ({category})" in subs for category, subs in SUBCATEGORIES.items())


def test_an_empty_file_breaks_no_rule_of_rows() -> None:
    assert report(typed(ROWS).slice(0, 0)).findings == ()
