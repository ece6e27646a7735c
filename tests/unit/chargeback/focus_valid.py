"""A small FOCUS 1.2 file that breaks no rule and has every column, for tests to plant errors in."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

NUMBERS = (
    "BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "ListUnitPrice", "ContractedUnitPrice",
    "PricingQuantity", "ConsumedQuantity", "CommitmentDiscountQuantity", "PricingCurrencyListUnitPrice",
    "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
)  # fmt: skip
LATER_NUMBERS = (
    "ContractCommitmentCost", "ContractCommitmentDiscountPercentage", "ContractCommitmentQuantity",
    "ContractCommitmentPaymentUpfrontPercentage", "PricingCurrencyContractCommitmentCost",
    "PaymentCurrencyBilledCost",
)  # fmt: skip
LATER_MOMENTS = (
    "BillingPeriodCreated", "BillingPeriodLastUpdated", "ContractCommitmentCreated",
    "ContractCommitmentLastUpdated", "ContractCommitmentPeriodEnd", "ContractCommitmentPeriodStart",
    "ContractPeriodEnd", "ContractPeriodStart", "InvoiceDetailCreated", "InvoiceDetailLastUpdated",
    "InvoiceIssueDate", "PaymentDueDate",
)  # fmt: skip
MOMENTS = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")

_USAGE: dict[str, Any] = {
    "AvailabilityZone": "dc-1a", "BilledCost": "0.084", "BillingAccountId": "ba-1", "BillingAccountName": "Sales",
    "BillingAccountType": "Cost Centre", "BillingCurrency": "EUR", "BillingPeriodEnd": "2026-03-01T00:00:00Z",
    "BillingPeriodStart": "2026-02-01T00:00:00Z", "CapacityReservationId": None,
    "CapacityReservationStatus": None, "ChargeCategory": "Usage", "ChargeClass": None,
    "ChargeDescription": "vCPU, tier 1", "ChargeFrequency": "Usage-Based",
    "ChargePeriodEnd": "2026-02-10T08:00:00Z", "ChargePeriodStart": "2026-02-10T07:00:00Z",
    "CommitmentDiscountCategory": None, "CommitmentDiscountId": None, "CommitmentDiscountName": None,
    "CommitmentDiscountQuantity": None, "CommitmentDiscountStatus": None, "CommitmentDiscountType": None,
    "CommitmentDiscountUnit": None, "ConsumedQuantity": "14400", "ConsumedUnit": "Core-Seconds",
    "ContractedCost": "0.084", "ContractedUnitPrice": "0.021", "EffectiveCost": "0.084", "InvoiceId": "inv-1",
    "InvoiceIssuerName": "ACME IT", "ListCost": "0.1", "ListUnitPrice": "0.025", "PricingCategory": "Standard",
    "PricingCurrency": "EUR", "PricingCurrencyContractedUnitPrice": "0.021",
    "PricingCurrencyEffectiveCost": "0.084", "PricingCurrencyListUnitPrice": "0.025", "PricingQuantity": "4",
    "PricingUnit": "Core-Hours", "ProviderName": "ACME IT", "PublisherName": "ACME IT", "RegionId": "dc-1",
    "RegionName": "Amsterdam", "ResourceId": "vm-1", "ResourceName": "web-1", "ResourceType": "Virtual Machine",
    "ServiceCategory": "Compute", "ServiceName": "Tier 1", "ServiceSubcategory": "Virtual Machines",
    "SkuId": "tier-1/vcpu", "SkuMeter": "vCPU", "SkuPriceDetails": '{"CoreCount": 4, "x_Tier": "1"}',
    "SkuPriceId": "vcpu@2026", "SubAccountId": "shop", "SubAccountName": "Web shop", "SubAccountType": "Tenant",
    "Tags": '{"env": "prod", "spare": true}',
}  # fmt: skip

_COMMITTED = {
    "CommitmentDiscountId": "cd-1", "CommitmentDiscountName": "Three years", "CommitmentDiscountType": "Reserved",
    "CommitmentDiscountCategory": "Usage", "CommitmentDiscountQuantity": "4",
    "CommitmentDiscountUnit": "Core-Hours",
}  # fmt: skip
_UNPRICED = dict.fromkeys(
    (
        "PricingCategory", "PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "SkuId",
        "SkuPriceId", "SkuMeter", "SkuPriceDetails", "ConsumedQuantity", "ConsumedUnit",
        "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice", "ResourceId", "ResourceName",
        "ResourceType", "AvailabilityZone",
    )
)  # fmt: skip

ROWS: list[dict[str, Any]] = [
    _USAGE,
    {**_USAGE, "ResourceId": "vm-2", "ResourceName": None, "ListUnitPrice": "0.0250", "Tags": None,
     "SubAccountId": None, "SubAccountName": None, "SubAccountType": None},
    # A machine under a commitment, what the commitment had left, and its purchase.
    {**_USAGE, **_COMMITTED, "CommitmentDiscountStatus": "Used", "PricingCategory": "Committed", "BilledCost": "0",
     "CapacityReservationId": "cr-1", "CapacityReservationStatus": "Used"},
    {**_USAGE, **_COMMITTED, "CommitmentDiscountStatus": "Unused", "PricingCategory": "Committed",
     "BilledCost": "0", "ConsumedQuantity": None, "ConsumedUnit": None, "ResourceId": "cd-1",
     "ResourceName": "Commitment", "CapacityReservationId": "cr-1", "CapacityReservationStatus": "Unused"},
    {**_USAGE, **_COMMITTED, "ChargeCategory": "Purchase", "ChargeFrequency": "Recurring", "EffectiveCost": "0",
     "PricingCurrencyEffectiveCost": "0", "ResourceId": "cd-1", "ResourceName": "Commitment",
     "ConsumedQuantity": None, "ConsumedUnit": None},
    # A correction of January; its numbers need not multiply.
    {**_USAGE, "ChargeClass": "Correction", "ChargePeriodStart": "2026-01-10T07:00:00Z",
     "ChargePeriodEnd": "2026-01-10T08:00:00Z", "BilledCost": "-0.02", "EffectiveCost": "-0.02",
     "ContractedCost": "-0.02", "ListCost": "-0.02", "PricingQuantity": "-1", "ConsumedQuantity": "-3600"},
    {**_USAGE, **_UNPRICED, "ChargeCategory": "Tax", "ChargeFrequency": "Recurring", "ServiceName": "Tax",
     "ServiceCategory": "Other", "ServiceSubcategory": "Other (Other)", "RegionId": None, "RegionName": None,
     "BilledCost": "1.9", "EffectiveCost": "1.9", "ListCost": "1.9", "ContractedCost": "1.9"},
    {**_USAGE, **_UNPRICED, "ChargeCategory": "Credit", "ChargeFrequency": "One-Time", "BilledCost": "-3",
     "EffectiveCost": "-3", "ListCost": "-3", "ContractedCost": "-3"},
    {**_USAGE, **_UNPRICED, "ChargeCategory": "Adjustment", "ChargeFrequency": "One-Time", "BilledCost": "-1",
     "EffectiveCost": "-1", "ListCost": "0", "ContractedCost": "-1"},
    # Another price of the same SKU, in another unit.
    {**_USAGE, "SkuPriceId": "vcpu@2025", "PricingUnit": "Core-Hours", "PricingCurrency": "Credits"},
    {**_USAGE, "SkuId": "tier-1/disk", "SkuPriceId": "disk@2026", "SkuMeter": "Disk", "PricingUnit": "GiB-Hours",
     "ConsumedUnit": "GiB-Seconds", "SkuPriceDetails": '{"DiskType": "SSD"}'},
]  # fmt: skip


def typed(rows: list[dict[str, Any]]) -> Any:
    """As Parquet has it: decimals and UTC moments."""
    arrays = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in NUMBERS + LATER_NUMBERS:
            exact = [None if value is None else Decimal(value) for value in values]
            arrays[name] = pa.array(exact, pa.decimal128(38, 10))
        elif name in MOMENTS + LATER_MOMENTS:
            moments = [None if value is None else _moment(value) for value in values]
            arrays[name] = pa.array(moments, pa.timestamp("s", tz="UTC"))
        else:
            arrays[name] = pa.array(values, pa.string())
    return pa.table(arrays)


def untyped(rows: list[dict[str, Any]]) -> Any:
    """As CSV has it: text, and nothing for null."""
    return pa.table({name: pa.array([row[name] or "" for row in rows], pa.string()) for name in rows[0]})


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def statement_row(**changes: Any) -> dict[str, Any]:
    """A line of a statement as `chargeback.statements.COLUMNS` has it; `changes` are other columns than these."""
    return {
        "statement": "2026-10/shop", "line": "a-line", "charge_category": "Usage", "charge_class": "",
        "charge_frequency": "Usage-Based", "corrects": "", "tenant": "shop", "cost_centre": "cc-1",
        "period": "2026-10", "time_zone": "Europe/Berlin", "charge_from": "2026-10-01T00:00:00Z",
        "charge_to": "2026-11-01T00:00:00Z", "tier": "tier-1", "pool": "pool-a", "machine": "m-1",
        "labels": "class=web,os=linux", "metric": "vcpu", "quantity": "10", "hours": "5",
        "unit": "vcpu-hour", "rate_id": "r-1", "rate": "0.5", "rate_card": "acme v1", "currency": "EUR",
        "list_amount_minor": 500, "amount": "5.00", "amount_minor": 500, "note": "", "machine_name": "web-1",
    } | changes  # fmt: skip


def _of(minor: int, **changes: Any) -> dict[str, Any]:
    sign, size = ("-" if minor < 0 else ""), abs(minor)
    amount = {
        "amount_minor": minor,
        "amount": f"{sign}{size // 100}.{size % 100:02d}",
        "list_amount_minor": minor,
    }
    return statement_row(**{**amount, **changes})


_NO_PRICE = {"quantity": "", "unit": "", "rate": "", "charge_frequency": "One-Time", "metric": ""}

STATEMENT_ROWS = [
    _of(500),
    _of(954, metric="memory_mib", unit="GiB-hour", quantity="529 59/60", rate="0.018", rate_id="m-1"),
    _of(500, rate="graduated: 0.6 to 5, then 0.4", rate_id="g-1"),
    _of(500, list_amount_minor=800, rate_id="r-2"),
    _of(-120, charge_class="Correction", quantity="0", charge_from="2026-09-01T00:00:00Z",
        charge_to="2026-09-03T00:00:00Z", corrects="2026-09/shop/x"),
    _of(-300, **_NO_PRICE, charge_category="Credit", tier="", pool="", machine="", labels="", rate_id="credit"),
    _of(-100, **_NO_PRICE, charge_category="Adjustment", rate_id="discount", list_amount_minor=0),
    _of(1250, metric="machine", unit="month", quantity="1", rate="12.5", rate_id="fee", charge_frequency="Recurring"),
    _of(77, tier="tier-2", rate="as billed", unit="bill", quantity="1", metric="provider-bill",
        rate_id="provider-bill-tier-2", machine="", machine_name=""),
]  # fmt: skip
"""One of each kind of line that a statement can have, but for purchases."""

PURCHASE_ROW = _of(
    5000, charge_category="Purchase", charge_frequency="One-Time", metric="machine", unit="machine", quantity="1",
    rate="50", rate_id="set-up",
)  # fmt: skip
