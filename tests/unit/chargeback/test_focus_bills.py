"""A provider's bill becomes rows that add up to it, whatever is mapped to whom; or nothing at all."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.documents import DocumentError
from chargeback.focus.bills import (
    REQUIRED,
    UNALLOCATED,
    BadBill,
    Cost,
    ProviderBill,
    Terms,
    by_tenant,
    fingerprint,
    read_bill,
    rounded_parts,
)
from chargeback.focus.columns import Version
from chargeback.focus.export import Context, cost_and_usage
from chargeback.focus.mapping import Known, Owner, ResourceMap, load_resource_map
from chargeback.focus.rules.checking import check
from chargeback.money import Rounding
from chargeback.periods import BillingPeriod
from chargeback.statements import COLUMNS

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
TERMS = Terms(OCTOBER, "EUR", 2)
SHOP = Owner("shop", "cc-1", "tier-3", "hosted", "m-1")
BANK = Owner("bank", "cc-2", "tier-3", "hosted", "m-2")
MAP = ResourceMap({"i-1": SHOP, "i-2": BANK, "disk-1": SHOP}, {"acct-bank": BANK})

LINE: dict[str, Any] = {
    "BilledCost": "1.25", "EffectiveCost": "1.25", "BillingCurrency": "EUR",
    "BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargePeriodStart": "2026-10-03T00:00:00Z", "ChargeCategory": "Usage", "ResourceId": "i-1",
    "SubAccountId": "acct-1", "ServiceName": "EC2", "ProviderName": "AWS", "ChargeClass": "",
    "ChargeFrequency": "Usage-Based",
}  # fmt: skip


def bill_of(*lines: dict[str, Any], without: tuple[str, ...] = ()) -> Any:
    rows = [{**LINE, **line} for line in lines]
    return pa.table({name: [row[name] for row in rows] for name in rows[0] if name not in without})


def read(*lines: dict[str, Any], terms: Terms = TERMS, mapping: ResourceMap = MAP) -> ProviderBill:
    return read_bill(bill_of(*lines), mapping, terms)


def problems(table: Any, terms: Terms = TERMS) -> str:
    with pytest.raises(BadBill) as caught:
        read_bill(table, MAP, terms)
    return "\n".join([str(caught.value), *caught.value.details])


def test_each_machine_gets_what_its_resources_cost() -> None:
    found = read(
        {}, {"ResourceId": "disk-1", "ServiceName": "EBS"}, {"ResourceId": "i-2", "BilledCost": "7"}
    )
    shown = [(row["tenant"], row["machine"], row["note"], row["amount"]) for row in found.rows]
    assert shown == [
        ("bank", "m-2", "EC2 by AWS: 7", "7.00"),
        ("shop", "m-1", "EBS by AWS: 1.25", "1.25"),
        ("shop", "m-1", "EC2 by AWS: 1.25", "1.25"),
    ]
    assert all(tuple(row) == COLUMNS for row in found.rows)
    assert (found.total, found.unallocated_minor, found.gaps) == ("EUR 9.50", 0, ())


def test_a_row_without_a_known_resource_goes_by_its_account() -> None:
    found = read(
        {"ResourceId": "NULL", "SubAccountId": "acct-bank"},
        {"ResourceId": "i-1", "SubAccountId": "acct-bank"},
    )
    assert by_tenant(found.rows) == {"bank": 125, "shop": 125}


def test_what_is_mapped_to_nobody_is_unallocated_and_named_the_dearest_first() -> None:
    found = read(
        {}, {"ResourceId": "i-9", "BilledCost": "3"}, {"ResourceId": "i-8", "BilledCost": "9"},
        {"ResourceId": "i-9", "BilledCost": "1"}, {"ResourceId": ""},
    )  # fmt: skip
    assert [(gap.what, gap.rows, gap.cost) for gap in found.gaps] == [
        ("resource i-8", 1, 9), ("resource i-9", 2, 4), ("account acct-1, no resource", 1, Fraction(5, 4)),
    ]  # fmt: skip
    assert by_tenant(found.rows) == {"shop": 125, UNALLOCATED: 1425}
    assert found.unallocated_minor == 1425


def test_costs_below_a_cent_are_rounded_once_for_the_whole_bill() -> None:
    found = read(*[{"ResourceId": name, "BilledCost": "0.0033333"} for name in ("i-1", "i-2", "i-7")])
    assert found.exact == Fraction(99999, 10_000_000)
    assert sorted(int(row["amount_minor"]) for row in found.rows) == [0, 0, 1]
    assert found.total_minor == 1


def test_credits_taxes_and_corrections_keep_their_category() -> None:
    found = read(
        {}, {"ChargeCategory": "Credit", "BilledCost": "-0.25", "ChargeFrequency": "One-Time"},
        {"ChargeClass": "Correction", "BilledCost": "-1"},
    )  # fmt: skip
    shown = {(row["charge_category"], row["charge_class"], row["amount_minor"]) for row in found.rows}
    assert shown == {("Usage", "", 125), ("Credit", "", -25), ("Usage", "Correction", -100)}


def test_the_effective_cost_is_passed_on_where_that_is_asked_for() -> None:
    terms = Terms(OCTOBER, "EUR", 2, Rounding.HALF_UP, Cost.EFFECTIVE)
    assert read({"EffectiveCost": "0.50"}, terms=terms).total_minor == 50


@pytest.mark.parametrize(
    "start", ["2026-10-01 00:00:00", "2026-10-01", "2026-10-01T00:00:00+00:00", "2026-10-01T00:00:00.000Z"]
)
def test_dates_are_read_as_versions_and_exports_write_them(start: str) -> None:
    assert read({"BillingPeriodStart": start}).total_minor == 125


def test_the_provider_is_found_under_its_new_name_of_1_3() -> None:
    table = bill_of({}).rename_columns({"ProviderName": "ServiceProviderName"})
    assert read_bill(table, MAP, TERMS).providers == ("AWS",)


@pytest.mark.parametrize(
    "absent", ["ChargeClass", "ChargeFrequency", "ServiceName", "SubAccountId", "ProviderName"]
)
def test_columns_that_some_versions_lack_are_not_needed(absent: str) -> None:
    assert read_bill(bill_of({}, without=(absent,)), MAP, TERMS).total_minor == 125


@pytest.mark.parametrize("absent", [*REQUIRED, "BilledCost"])
def test_a_bill_without_a_column_that_all_versions_have_is_refused(absent: str) -> None:
    assert f"there is no column {absent}" in problems(bill_of({}, without=(absent,)))


@pytest.mark.parametrize(
    "cost", ["", "NULL", "1,25", "$1", "1/3", "NaN", "inf", "1e999", "0x10", "1_000", "٣"]
)
def test_a_cost_that_is_no_exact_number_refuses_the_whole_bill(cost: str) -> None:
    said = problems(bill_of({}, {"BilledCost": cost}))
    assert "row 2: BilledCost" in said
    assert "nothing was imported" in said


def test_binary_costs_are_refused_and_decimal_ones_taken() -> None:
    table = bill_of({})
    place = table.column_names.index("BilledCost")
    binary = table.set_column(place, "BilledCost", pa.array([1.25]))
    assert "BilledCost is a binary number" in problems(binary)
    exact = table.set_column(place, "BilledCost", pa.array([Decimal("1.25")], pa.decimal128(20, 6)))
    assert read_bill(exact, MAP, TERMS).total_minor == 125


def test_mixed_currencies_another_currency_and_another_month_are_refused() -> None:
    assert "it mixes currencies: EUR (row 1), USD (row 2)" in problems(
        bill_of({}, {"BillingCurrency": "USD"})
    )
    assert "it is in USD, and statements are in EUR" in problems(bill_of({"BillingCurrency": "USD"}))
    assert "'Euro' is no ISO 4217 code" in problems(bill_of({"BillingCurrency": "Euro"}))
    september = bill_of({}, {"BillingPeriodStart": "2026-09-01"})
    assert "row 2: it is of 2026-09, not of 2026-10" in problems(september)
    assert "'soon' is no date" in problems(bill_of({"BillingPeriodStart": "soon"}))
    assert "it has no rows" in problems(bill_of({}).slice(0, 0))


def test_all_problems_are_told_at_once_up_to_twenty() -> None:
    said = problems(bill_of({"BillingCurrency": "USD"}, *[{"BilledCost": "x"}] * 30))
    assert "mixes currencies" in said
    assert "row 20: BilledCost 'x'" in said
    assert "... and 11 more" in said


@given(
    st.lists(
        st.tuples(
            st.decimals(-1000, 1000, places=7, allow_nan=False, allow_infinity=False),
            st.sampled_from(["i-1", "i-2", "disk-1", "i-7", ""]),
            st.sampled_from(["acct-bank", "acct-1", ""]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 4),
    st.sampled_from(Rounding),
)
def test_rows_add_up_to_the_bill_and_no_row_is_off_by_a_whole_coin(
    lines: list[tuple[Decimal, str, str]], digits: int, rounding: Rounding
) -> None:
    table = [{"BilledCost": f"{cost:f}", "ResourceId": r, "SubAccountId": a} for cost, r, a in lines]
    found = read(*table, terms=Terms(OCTOBER, "EUR", digits, rounding))
    exact = sum((Fraction(cost) for cost, _, _ in lines), Fraction(0))
    assert found.exact == exact
    assert abs(exact * 10**digits - found.total_minor) <= Fraction(1, 2)
    assert sum(int(row["amount_minor"]) for row in found.rows) == found.total_minor
    by_owner: dict[str, Fraction] = {}
    for cost, resource, account in lines:
        tenant = {"i-1": "shop", "disk-1": "shop", "i-2": "bank"}.get(resource)
        tenant = tenant or ("bank" if account == "acct-bank" else UNALLOCATED)
        by_owner[tenant] = by_owner.get(tenant, Fraction(0)) + Fraction(cost) * 10**digits
    assert by_owner.keys() == by_tenant(found.rows).keys()
    for tenant, minor in by_tenant(found.rows).items():
        rows = sum(1 for row in found.rows if row["tenant"] == tenant)
        assert abs(by_owner[tenant] - minor) < rows
    gaps = sum((gap.cost for gap in found.gaps), Fraction(0)) * 10**digits
    assert gaps == by_owner.get(UNALLOCATED, 0)


@given(st.lists(st.fractions(-100, 100), max_size=12))
def test_parts_are_their_exact_values_cut_or_rounded_up_and_reach_the_total(values: list[Fraction]) -> None:
    exact = sum(values, Fraction(0))
    for total in {exact.__floor__(), exact.__ceil__()}:
        parts = rounded_parts(values, total)
        assert sum(parts) == total
        assert all(
            abs(part - value) < 1 for part, value in zip(parts, values, strict=True) if value != part
        )


def test_a_total_that_parts_cannot_reach_is_a_bug_and_said() -> None:
    with pytest.raises(ValueError, match="7 is not the rounded sum"):
        rounded_parts([Fraction(1, 2)], 7)


def test_a_copy_in_another_order_and_spelling_has_the_same_fingerprint() -> None:
    lines = ({"BilledCost": "1.250"}, {"ResourceId": "i-2", "ChargePeriodStart": "2026-10-04 00:00:00"})
    copy = ({"ResourceId": "i-2", "ChargePeriodStart": "2026-10-04T00:00:00Z"}, {"BilledCost": "1.25"})
    assert fingerprint(bill_of(*lines)) == fingerprint(bill_of(*copy))
    assert fingerprint(bill_of(*lines)) != fingerprint(bill_of(*lines, {}))
    assert fingerprint(bill_of(*lines)) != fingerprint(bill_of(lines[0], {"ResourceId": "i-1"}))


def test_an_imported_bill_can_be_exported_as_focus_again_and_breaks_no_rule() -> None:
    found = read(
        {}, {"ResourceId": "i-9"}, {"ChargeCategory": "Credit", "BilledCost": "-0.25"},
        {"ChargeCategory": "Tax", "BilledCost": "0.19", "ResourceId": ""},
    )  # fmt: skip
    table = cost_and_usage(found.rows, OCTOBER, Context("ACME IT"), Version.V1_2)
    assert check(table, typed=True).errors == ()
    assert sum(table["BilledCost"].to_pylist()) == Decimal("2.44")


KNOWN = Known(["shop"], ["cc-1"], ["tier-3"], ["hosted"])


def test_a_map_gives_resources_and_accounts_their_owner() -> None:
    text = """
provider_resources:
  web:
    tenant: shop
    cost_centre: cc-1
    tier: tier-3
    pool: hosted
    machine: m-1
    resources: [i-1, "arn:aws:ec2:eu:1:instance/i-2"]
  rest: {tenant: shop, cost_centre: cc-1, tier: tier-3, accounts: ["123456789012"]}
"""
    found = load_resource_map({"map.yaml": text}, KNOWN)
    assert found.owner("i-1", None) == SHOP
    assert found.owner("arn:aws:ec2:eu:1:instance/i-2", "other") == SHOP
    assert found.owner("i-9", "123456789012") == Owner("shop", "cc-1", "tier-3")
    assert found.owner(None, None) is None
    assert found.owner("i-9", "other") is None


def test_every_mistake_of_a_map_is_told_with_its_place() -> None:
    text = """provider_resources:
  a: {tenant: shopp, cost_centre: cc-1, tier: tier-3, resources: [i-1]}
  b: {tenant: shop, cost_centre: cc-1, tier: tier-9, pool: nowhere, resources: [i-1, i-2, i-2]}
  c: {tenant: shop, cost_centre: cc-1, tier: tier-3}
  d: {tenant: shop, tier: tier-3, resources: [i-3]}
others: {}
"""
    with pytest.raises(DocumentError) as caught:
        load_resource_map({"map.yaml": text}, KNOWN)
    said = sorted(str(problem) for problem in set(caught.value.problems))
    for part in (
        "there is no tenant 'shopp'; known are shop", "there is no tier 'tier-9'", "there is no pool 'nowhere'",
        "'i-1' is of 'a' already", "'i-2' is of 'b' already", "must name 'resources' or 'accounts'",
        "cost_centre", "unknown section",
    ):  # fmt: skip
        assert any(part in line for line in said), (part, said)
    assert all(line.startswith("map.yaml:") for line in said)
