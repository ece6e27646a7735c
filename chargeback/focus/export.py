"""Rows of statements -> FOCUS Cost and Usage in 1.2 to 1.4, as an Arrow table.

The mapping of each column is in docs/reference/focus.md. Every row of a bill becomes one row here,
or several that add up to it where it is under a commitment (`chargeback.focus.commitments`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from chargeback.focus.columns import DoesNotFit, Version, table
from chargeback.focus.commitments import COLUMNS
from chargeback.focus.pricing import Unreadable, at_quantity_digits, money, number, priced
from chargeback.focus.units import consumed, pricing_unit
from chargeback.instants import instant, zone
from chargeback.labels import labels_of
from chargeback.periods import BillingPeriod

Row = Mapping[str, Any]

COST_CENTRE_TAG = "tierwise/cost-centre"
"""A tag of ours among the user's: the slash keeps it apart, no label's key can have one."""

SERVICE_OF_NO_TIER = "Account"
"""The service of what is charged or credited for no tier, such as a spend minimum."""

METERS: Mapping[str, str] = {
    "vcpu": "vCPU",
    "memory_mib": "Memory",
    "disk_gib": "Disk",
    "machine": "Machine",
    "cpu_mhz": "CPU used",
    "disk_io_kbps": "Disk I/O",
    "net_io_kbps": "Network I/O",
    "storage_used_gib": "Storage used",
}
"""Metric -> SkuMeter; any other metric is its own meter."""


ALLOCATED = (
    "AllocatedMethodId", "AllocatedMethodDetails", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags",
)  # fmt: skip
"""What a row of a shared cost may say of its split, under FOCUS 1.4's own names."""

NO_ACCOUNT = "unassigned"
"""The billing account of what no cost centre pays, as FOCUS allows none to be missing."""


class CannotExport(ValueError):
    """A row that has no honest form in FOCUS."""


@dataclass(frozen=True)
class Place:
    """Where a pool stands."""

    site: str
    site_title: str
    hypervisor: str


@dataclass(frozen=True)
class Context:
    """Names for what rows know by id only; an id without one stands for itself."""

    issuer: str
    """Who provides, publishes and invoices: one name, or every charge would be a third party's."""
    cost_centres: Mapping[str, str] = field(default_factory=dict)
    tenants: Mapping[str, str] = field(default_factory=dict)
    tiers: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, Place] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Pool -> whose iron it is, where that is not the issuer's."""


def cost_and_usage(
    rows: Iterable[Row], period: BillingPeriod, context: Context, version: Version = Version.V1_4
) -> Any:
    """The statements of `period` as a `pyarrow.Table`; corrections keep the time that they are about.

    Raises CannotExport with the line that cannot be written exactly.
    """
    services = service_names(context.tiers)

    def make(row: Row) -> Mapping[str, Any]:
        parts: dict[str, Any] = row.get(COLUMNS, {})
        return (
            _account(row, period, context)
            | _charge(row, period)
            | _sku(row, services)
            | _place(row, context)
            | parts
        )

    try:
        return table(version, rows, make)
    except (Unreadable, DoesNotFit) as error:
        raise CannotExport(str(error)) from None


def _account(row: Row, period: BillingPeriod, context: Context) -> dict[str, Any]:
    centre, tenant = row["cost_centre"] or NO_ACCOUNT, row["tenant"]
    return {
        "BillingAccountId": centre, "BillingAccountName": context.cost_centres.get(centre, centre),
        "BillingAccountType": "Cost Centre",
        "SubAccountId": tenant or None, "SubAccountName": context.tenants.get(tenant, tenant) or None,
        "SubAccountType": "Tenant" if tenant else None,
        "InvoiceId": row["statement"], "InvoiceDetailId": detail_id(row),
        "InvoiceIssuerName": context.issuer, "ProviderName": context.issuer,
        "PublisherName": context.issuer, "ServiceProviderName": context.issuer,
        "HostProviderName": context.hosts.get(row["pool"], context.issuer),
        "BillingCurrency": row["currency"], "PricingCurrency": row["currency"],
        "BillingPeriodStart": period.t_from, "BillingPeriodEnd": period.t_to,
    }  # fmt: skip


def detail_id(row: Row) -> str:
    """The line of the invoice on which a row is: one per statement, cost centre and category."""
    return f"{row['statement']}/{row['cost_centre'] or NO_ACCOUNT}/{row['charge_category']}"


def _charge(row: Row, period: BillingPeriod) -> dict[str, Any]:
    amounts = money(row)
    price = priced(row, amounts)
    used = _used(row, price.unit)
    return {
        "ChargePeriodStart": _moment(row["charge_from"], period.t_from),
        "ChargePeriodEnd": _moment(row["charge_to"], period.t_to),
        "ChargeCategory": row["charge_category"], "ChargeClass": row["charge_class"] or None,
        "ChargeFrequency": row["charge_frequency"], "ChargeDescription": _description(row),
        "BilledCost": amounts.billed, "EffectiveCost": amounts.billed,
        "ListCost": price.list_cost, "ContractedCost": price.contracted_cost,
        "PricingCategory": price.category, "PricingQuantity": price.quantity, "PricingUnit": price.unit,
        "ListUnitPrice": price.list_price, "ContractedUnitPrice": price.contracted_price,
        "PricingCurrencyListUnitPrice": price.list_price,
        "PricingCurrencyContractedUnitPrice": price.contracted_price,
        "PricingCurrencyEffectiveCost": amounts.billed,
        "ConsumedQuantity": used[0], "ConsumedUnit": used[1],
        "x_LineId": row["line"], "x_CorrectsLineId": row["corrects"] or None,
        "x_ExactQuantity": row["quantity"] or None,
    }  # fmt: skip


def _used(row: Row, unit: str | None) -> tuple[Any, str | None]:
    """ConsumedQuantity and its unit; null for what is no usage."""
    if row["charge_category"] != "Usage" or unit is None:
        return None, None
    exact = number(row["quantity"] or "1")
    whole = consumed(row["metric"], row["unit"], exact)
    if whole is not None:
        return number(str(whole[0])), whole[1]
    return at_quantity_digits(exact), pricing_unit(row["unit"]) if row["unit"] else unit


def _description(row: Row) -> str:
    said = f"{row['quantity']} {row['unit']} x {row['rate']}" if row["rate"] else row["rate_id"]
    return ", ".join(part for part in (said, row["note"]) if part) or row["line"]


def _sku(row: Row, services: Mapping[str, str]) -> dict[str, Any]:
    tier, metric = row["tier"], row["metric"]
    of_tier = {
        "ServiceCategory": "Compute" if tier else "Other",
        "ServiceSubcategory": "Virtual Machines" if tier else "Other (Other)",
        "ServiceName": services.get(tier, tier) or SERVICE_OF_NO_TIER,
        "x_Metric": metric or None,
    }  # fmt: skip
    if row["charge_category"] not in {"Usage", "Purchase"}:
        return of_tier
    return of_tier | {
        "SkuId": "/".join(part for part in (tier, metric or row["rate_id"]) if part),
        "SkuMeter": METERS.get(metric, metric) or row["rate_id"],
        "SkuPriceId": f"{row['rate_id']}@{row['rate_card']}",
        "SkuPriceDetails": _details(metric, tier),
    }


def _place(row: Row, context: Context) -> dict[str, Any]:
    machine, name, pool = row["machine"], row.get("machine_name", ""), row["pool"]
    place = context.pools.get(pool)
    return {
        "ResourceId": machine or None,
        "ResourceName": name if machine and name and name != machine else None,
        "ResourceType": "Virtual Machine" if machine else None,
        "RegionId": place.site if place else None, "RegionName": place.site_title if place else None,
        "AvailabilityZone": pool or None, "x_Hypervisor": place.hypervisor if place else None,
        "Tags": _tags(row["labels"], row["cost_centre"]),
        **_split(row),
    }  # fmt: skip


def _split(row: Row) -> dict[str, Any]:
    found = {name: row.get(name) or None for name in ALLOCATED}
    # Whoever has no name of its own is named by its id: 1.3 wants a name wherever there is an id.
    return found | {"AllocatedResourceName": found["AllocatedResourceName"] or found["AllocatedResourceId"]}


def service_names(tiers: Mapping[str, str]) -> dict[str, str]:
    """A service name for each tier (by its id, with its title), and no name for two tiers."""
    times = Counter(tiers.values())
    return {name: title if times[title] == 1 else f"{title} ({name})" for name, title in tiers.items()}


@lru_cache(maxsize=4096)
def _tags(labels: str, cost_centre: str) -> str | None:
    return _json(labels_of(labels) | {COST_CENTRE_TAG: cost_centre})


@lru_cache(maxsize=4096)
def _details(metric: str, tier: str) -> str | None:
    return _json({"x_Metric": metric, "x_Tier": tier})


@lru_cache(maxsize=4096)
def _moment(text: str, otherwise: int) -> int:
    return instant(text, zone("UTC")) if text else otherwise


def _json(values: Mapping[str, str]) -> str | None:
    kept = {key: value for key, value in sorted(values.items()) if value}
    return json.dumps(kept, ensure_ascii=False) if kept else None
