"""A bill in FOCUS says the same as the bill: recounted from the exported columns alone."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.focus.columns import COLUMNS, DoesNotFit, Kind, Version, array, arrow_type
from chargeback.focus.export import CannotExport, Context, Place, cost_and_usage
from chargeback.focus.invoices import billing_period, invoice_detail
from chargeback.focus.pricing import Unreadable, number
from chargeback.focus.rules.checking import SUPPORTED, check
from chargeback.focus.rules.releases import Dataset, Release, recognised
from chargeback.focus.rules.unit_format import is_unit
from chargeback.focus.text import csv_lines
from chargeback.focus.units import consumed, held_unit, pricing_unit
from chargeback.metering import intervals
from chargeback.money import exact_text
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import RateCard
from chargeback.rating import Grain, rate
from chargeback.statements import corrections, statements, with_corrections
from chargeback.usage import to_table

sys.path.insert(0, str(Path(__file__).parent))
from focus_valid import PURCHASE_ROW, STATEMENT_ROWS
from focus_valid import statement_row as row

OURS = SUPPORTED | {"DATA_GENERATOR_SPLIT_COST_ALLOCATION_SUPPORTED", "PAYABLE_INVOICES_SUPPORTED"}

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
NOVEMBER = OCTOBER.next
CONTEXT = Context(
    issuer="ACME IT",
    cost_centres={"cc-1": "Sales"},
    tenants={"shop": "Web shop"},
    tiers={"tier-1": "Production", "tier-2": "Test", "tier-3": "Test"},
    pools={"pool-a": Place("fra", "Frankfurt", "vSphere")},
)


def exported(*rows: dict[str, Any], version: Version = Version.V1_4) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cost_and_usage(rows, OCTOBER, CONTEXT, version).to_pylist()
    return found


@pytest.fixture
def bill(acme: RateCard, event: Callable[..., MachineEvent]) -> list[dict[str, Any]]:
    """November of a machine with odd quantities, and corrections of its October."""
    start = OCTOBER.t_from
    life = [
        event(0, "created", start, resources=Resources(vcpu=3, memory_mib=5000, disk_gib=77)),
        event(1, "powered_on", start + 17),
        event(2, "resized", start + 400_001, resources=Resources(vcpu=5, memory_mib=7001, disk_gib=91)),
    ]
    late = event(3, "owner_changed", start + 600_000, tenant="bank", cost_centre="cc-2")

    def known(events: list[MachineEvent], period: BillingPeriod) -> Any:
        usage = to_table(intervals(events, NOVEMBER.t_to))
        return statements(rate(usage, acme, [period], 2**40, grain=Grain.MACHINE), acme)

    changed = corrections(known(life, OCTOBER), known([*life, late], OCTOBER))
    booked = with_corrections(known([*life, late], NOVEMBER), changed, NOVEMBER, acme)
    return [{**each, "machine_name": "web-1"} for statement in booked for each in statement.rows()]


@pytest.mark.parametrize("version", list(Version))
def test_the_sum_of_billed_cost_is_the_sum_of_the_bill(
    bill: list[dict[str, Any]], version: Version
) -> None:
    table = cost_and_usage(bill, NOVEMBER, CONTEXT, version).to_pylist()
    assert len(table) == len(bill) == 12
    assert sum(each["BilledCost"] for each in table) * 100 == sum(each["amount_minor"] for each in bill)


@pytest.mark.parametrize("version", list(Version))
def test_every_cost_is_its_unit_price_times_the_quantity_to_the_last_digit(
    bill: list[dict[str, Any]], version: Version
) -> None:
    for each in cost_and_usage(bill, NOVEMBER, CONTEXT, version).to_pylist():
        for kind in ("List", "Contracted"):
            price, cost = each[f"{kind}UnitPrice"], each[f"{kind}Cost"]
            assert Fraction(price) * Fraction(each["PricingQuantity"]) == Fraction(cost)
            assert abs(Fraction(cost) - Fraction(each["BilledCost"])) <= Fraction(1, 100)


def test_the_billed_cost_can_be_recounted_from_consumed_seconds_and_the_price(
    bill: list[dict[str, Any]],
) -> None:
    per_hour = {"Core-Hours": 3600, "Machine-Hours": 3600}
    seen = set()
    for each in cost_and_usage(bill, NOVEMBER, CONTEXT).to_pylist():
        assert each["ConsumedQuantity"] == int(each["ConsumedQuantity"])
        units = per_hour.get(
            each["PricingUnit"], 3600 * (1024 if each["ConsumedUnit"] == "MiB-Seconds" else 1)
        )
        exact = Fraction(each["ConsumedQuantity"]) * Fraction(each["ListUnitPrice"]) / units
        if each["ChargeClass"] is None:
            assert int(exact * 100 + Fraction(1, 2)) == each["BilledCost"] * 100
        seen.add(each["ConsumedUnit"])
    assert seen == {"Core-Seconds", "MiB-Seconds", "GiB-Seconds", "Machine-Seconds"}


def test_names_of_tenant_tier_pool_and_rate_go_where_finance_looks_for_them() -> None:
    (found,) = exported(row())
    wanted = {
        "BillingAccountId": "cc-1", "BillingAccountName": "Sales", "SubAccountId": "shop",
        "SubAccountName": "Web shop", "ServiceName": "Production", "ServiceCategory": "Compute",
        "SkuId": "tier-1/vcpu", "SkuMeter": "vCPU", "SkuPriceId": "r-1@acme v1", "ResourceId": "m-1",
        "ResourceName": "web-1", "RegionId": "fra", "RegionName": "Frankfurt", "AvailabilityZone": "pool-a",
        "InvoiceId": "2026-10/shop", "x_Hypervisor": "vSphere", "PricingUnit": "Core-Hours",
        "ListUnitPrice": Decimal("0.5"), "PricingQuantity": 10, "BilledCost": 5, "ConsumedQuantity": 36000,
        "PricingCategory": "Standard", "ChargeClass": None, "HostProviderName": "ACME IT",
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert json.loads(found["Tags"]) == {"class": "web", "os": "linux", "tierwise/cost-centre": "cc-1"}
    assert found["BillingPeriodStart"].isoformat() == "2026-09-30T22:00:00+00:00"


def test_two_tiers_of_one_title_are_two_services() -> None:
    two, three = exported(row(tier="tier-2"), row(tier="tier-3"))
    assert (two["ServiceName"], three["ServiceName"]) == ("Test (tier-2)", "Test (tier-3)")


def test_a_correction_keeps_its_own_time_and_the_billing_period_of_its_statement(
    bill: list[dict[str, Any]],
) -> None:
    table = cost_and_usage(bill, NOVEMBER, CONTEXT).to_pylist()
    late = [each for each in table if each["ChargeClass"] == "Correction"]
    assert len(late) == 8
    for each in late:
        assert each["ChargePeriodEnd"] == each["BillingPeriodStart"]
        assert each["x_CorrectsLineId"]


def test_a_correction_of_a_price_alone_is_one_unit_of_the_difference() -> None:
    (found,) = exported(
        row(
            charge_class="Correction",
            quantity="0",
            amount="-1.20",
            amount_minor=-120,
            list_amount_minor=-120,
        )
    )
    shown = (found["PricingQuantity"], found["PricingUnit"], found["ListUnitPrice"], found["ListCost"])
    assert shown == (-1, "Units", Decimal("1.2"), Decimal("-1.2"))


def test_a_price_that_is_no_number_is_one_unit_of_the_amount_and_keeps_what_was_used() -> None:
    (found,) = exported(row(rate="graduated: 0.6 to 5, then 0.4"))
    assert (found["PricingQuantity"], found["ContractedUnitPrice"], found["PricingCategory"]) == (
        1,
        5,
        "Other",
    )
    assert (found["ConsumedQuantity"], found["ConsumedUnit"]) == (36000, "Core-Seconds")


def test_a_list_price_above_the_contracted_one_gives_a_list_cost_above_the_contracted_cost() -> None:
    (found,) = exported(row(list_amount_minor=800))
    assert (found["ListUnitPrice"], found["ListCost"]) == (Decimal("0.8"), 8)
    assert (found["ContractedUnitPrice"], found["ContractedCost"], found["BilledCost"]) == (
        Decimal("0.5"),
        5,
        5,
    )


@pytest.mark.parametrize("category", ["Credit", "Adjustment"])
def test_credits_and_adjustments_have_no_price_quantity_or_sku(category: str) -> None:
    (found,) = exported(
        row(
            charge_category=category, charge_frequency="One-Time", quantity="", unit="", rate="", tier="",
            pool="", machine="", labels="", metric="", amount="-3.00", amount_minor=-300, list_amount_minor=0,
        )
    )  # fmt: skip
    empty = ("PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "ConsumedQuantity",
             "ConsumedUnit", "SkuId", "SkuPriceId", "SkuMeter", "SkuPriceDetails", "PricingCategory",
             "ResourceId", "ResourceName", "ResourceType", "RegionId", "RegionName")  # fmt: skip
    assert {name: found[name] for name in empty} == dict.fromkeys(empty)
    assert (found["BilledCost"], found["ServiceName"]) == (-3, "Account")
    assert found["ListCost"] == (-3 if category == "Credit" else 0)


def test_a_monthly_fee_is_usage_that_recurs() -> None:
    (found,) = exported(
        row(metric="machine", unit="month", quantity="1", rate="12.5", charge_frequency="Recurring",
            amount="12.50", amount_minor=1250, list_amount_minor=1250)
    )  # fmt: skip
    shown = (found["ChargeCategory"], found["ChargeFrequency"], found["PricingUnit"], found["ConsumedUnit"])
    assert shown == ("Usage", "Recurring", "Months", "Months")
    assert (found["ListUnitPrice"], found["PricingQuantity"]) == (Decimal("12.5"), 1)


@pytest.mark.parametrize("version", list(Version))
def test_columns_are_typed_and_those_of_the_other_release_are_missing(version: Version) -> None:
    table = cost_and_usage([row()], OCTOBER, CONTEXT, version)
    kinds = {column.name: column.kind for column in COLUMNS}
    for column in table.schema:
        assert column.type == arrow_type(kinds[column.name])
        assert not pa.types.is_floating(column.type)
    assert ("ProviderName" in table.column_names) == (version is not Version.V1_4)
    assert ("ServiceProviderName" in table.column_names) == (version is not Version.V1_2)
    custom = [name.startswith("x_") for name in table.column_names]
    assert custom == sorted(custom), "custom columns stand after FOCUS's own"


def test_csv_says_what_the_table_says(bill: list[dict[str, Any]]) -> None:
    table = cost_and_usage(bill, NOVEMBER, CONTEXT)
    read = list(csv.DictReader(io.StringIO("".join(csv_lines(table)))))
    assert len(read) == table.num_rows
    for text, typed in zip(read, table.to_pylist(), strict=True):
        for name, value in typed.items():
            if isinstance(value, Decimal):
                assert Decimal(text[name]) == value
                assert not ("." in text[name] and text[name].endswith("0"))
            elif hasattr(value, "isoformat"):
                assert text[name] == value.strftime("%Y-%m-%dT%H:%M:%SZ")
            else:
                assert text[name] == (value or "")


def test_a_row_whose_text_and_minor_units_differ_is_not_exported() -> None:
    with pytest.raises(CannotExport, match=r"a-line: amount 5\.01 is not 500 minor units"):
        exported(row(amount="5.01"))


def test_a_usage_that_pays_out_while_its_list_price_charges_is_refused_by_name() -> None:
    with pytest.raises(CannotExport, match="different signs"):
        exported(row(rate="special", amount="-1.00", amount_minor=-100))


def test_a_number_with_too_many_digits_is_refused_and_never_rounded() -> None:
    with pytest.raises(DoesNotFit, match="more than 8 decimals"):
        array(Kind.QUANTITY, [Fraction(1, 3)])
    with pytest.raises(DoesNotFit, match="more than 30 digits"):
        array(Kind.QUANTITY, [Fraction(10**30)])


@given(st.lists(st.none() | st.integers(-(10**38) + 1, 10**38 - 1), max_size=20))
def test_decimal_columns_hold_every_integer_of_38_digits(scaled: list[int | None]) -> None:
    values = [None if value is None else Fraction(value, 10**17) for value in scaled]
    with localcontext() as context:
        context.prec = 60
        wanted = [None if value is None else Decimal(value).scaleb(-17) for value in scaled]
    assert array(Kind.COST, values).to_pylist() == wanted


@given(st.fractions(max_denominator=3600))
def test_quantities_are_read_back_as_they_were_written(value: Fraction) -> None:
    assert number(exact_text(value)) == value


@pytest.mark.parametrize("text", ["", "1/3", "1 2", "x", "1 1/3/4", "+1", "1,000", "1e3", "--1", "٣"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        number(text)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("vcpu-hour", "Core-Hours"), ("GiB-hour", "GiB-Hours"), ("MiB-day", "MiB-Days"), ("month", "Months"),
        ("machine-hour", "Machine-Hours"), ("machine", "Machines"), ("GiB", "GiB"), ("MHz-hour", "MHz-Hours"),
        ("GiB-month", "GiB-Months"), ("vcpu-week", "7 Core-Days"), ("week", "7 Days"), ("fee", "Fees"),
    ],
)  # fmt: skip
def test_units_are_written_in_focus_unit_format(ours: str, theirs: str) -> None:
    assert pricing_unit(ours) == theirs


def test_consumption_is_whole_base_units_and_seconds_wherever_that_is_exact() -> None:
    assert consumed("memory_mib", "GiB-hour", Fraction(1, 1024)) == (3600, "MiB-Seconds")
    assert consumed("disk_gib", "TiB-hour", Fraction(1, 3)) == (1024 * 1200, "GiB-Seconds")
    assert consumed("vcpu", "vcpu-day", Fraction(529 * 60 + 59, 60)) == (
        86400 // 60 * 31799,
        "Core-Seconds",
    )
    for metric, unit in (("vcpu", "vcpu-month"), ("net_io", "MB-hour"), ("machine", "machine")):
        assert consumed(metric, unit, Fraction(1)) is None
    assert consumed("vcpu", "vcpu-hour", Fraction(1, 7)) is None


def test_what_no_cost_centre_pays_is_in_an_account_of_its_own_and_its_split_is_told_in_1_4() -> None:
    split = {
        "AllocatedMethodId": "idle-by-use",
        "AllocatedMethodDetails": '{"Elements": [{"AllocatedRatio": 0.25, "UsageUnit": "vcpu"}]}',
        "AllocatedResourceId": "shop/cc-1",
    }
    (found,) = exported(row(charge_category="Adjustment", tenant="", cost_centre="", machine="", **split))
    assert (found["BillingAccountId"], found["SubAccountId"], found["SubAccountType"]) == (
        "unassigned",
        None,
        None,
    )
    assert {name: found[name] for name in split} == split
    assert found["AllocatedResourceName"] == "shop/cc-1", "1.3 wants a name wherever there is an id"
    assert "AllocatedMethodId" not in exported(row(**split), version=Version.V1_2)[0]


SPLIT = {
    "AllocatedMethodId": "idle-by-use",
    "AllocatedMethodDetails": f'{{"Elements": [{{"AllocatedRatio": 0.25, "UsageUnit": "{held_unit("vcpu")}"}}]}}',
    "AllocatedResourceId": "shop/cc-1",
}


def test_our_own_files_of_1_4_break_no_rule_of_1_4() -> None:
    rows = [*STATEMENT_ROWS, PURCHASE_ROW, row(charge_category="Adjustment", machine="", **SPLIT)]
    stamp = (OCTOBER, CONTEXT, OCTOBER.t_to)
    ours = {
        Dataset.COST_AND_USAGE: cost_and_usage(rows, OCTOBER, CONTEXT),
        Dataset.BILLING_PERIOD: billing_period(*stamp, closed=True),
        Dataset.INVOICE_DETAIL: invoice_detail(rows, *stamp, closed=True),
    }
    for dataset, table in ours.items():
        assert recognised(table.column_names) == (Release.V1_4, dataset)
        report = check(table, typed=True, supported=OURS, release=Release.V1_4, dataset=dataset)
        assert [str(finding) for finding in report.findings] == []


def test_units_of_our_own_are_right_in_unit_format() -> None:
    names = [f"{size}-{time}" for size in ("vcpu", "MiB", "GiB", "TiB", "MHz", "GHz", "KBps", "MBps", "machine")
             for time in ("hour", "day", "week", "month", "year")]  # fmt: skip
    assert [name for name in (*names, "machine", "bill", "month") if not is_unit(pricing_unit(name))] == []


def invoices(bill: list[dict[str, Any]], *, closed: bool) -> Iterator[dict[str, Any]]:
    yield from invoice_detail(bill, NOVEMBER, CONTEXT, NOVEMBER.t_to + 5, closed=closed).to_pylist()


def test_invoice_details_add_up_to_their_lines_in_cost_and_usage(bill: list[dict[str, Any]]) -> None:
    lines = cost_and_usage(bill, NOVEMBER, CONTEXT).to_pylist()
    details = {each["InvoiceDetailId"]: each for each in invoices(bill, closed=True)}
    assert len(details) == 2
    for key, each in details.items():
        assert each["BilledCost"] == sum(x["BilledCost"] for x in lines if x["InvoiceDetailId"] == key)
        assert each["InvoiceIssueStatus"] == "Issued"


@pytest.mark.parametrize(("closed", "status"), [(True, "Closed"), (False, "Open")])
def test_a_billing_period_says_whether_it_may_still_change(closed: bool, status: str) -> None:
    (found,) = billing_period(NOVEMBER, CONTEXT, NOVEMBER.t_to, closed=closed).to_pylist()
    assert found["BillingPeriodStatus"] == status
    assert found["BillingPeriodEnd"].timestamp() == NOVEMBER.t_to


@pytest.mark.parametrize(("sign", "text"), list(product((1, -1), ("1 1/3", "0 2/3", "4"))))
def test_negative_quantities_negate_the_whole_number_and_its_fraction(sign: int, text: str) -> None:
    size = sum(Fraction(part) for part in text.split())
    assert number(text if sign > 0 else f"-{text}") == sign * size
