"""FOCUS 1.4's Billing Period and Invoice Detail: what the invoices say of which Cost and Usage has the lines."""

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import pyarrow as pa

from chargeback.focus.columns import Kind, array, arrow_type
from chargeback.focus.export import NO_ACCOUNT, Context, Row, detail_id
from chargeback.focus.pricing import money
from chargeback.periods import BillingPeriod

_PERIOD = {
    "BillingPeriodCreated": Kind.MOMENT,
    "BillingPeriodEnd": Kind.MOMENT,
    "BillingPeriodLastUpdated": Kind.MOMENT,
    "BillingPeriodStart": Kind.MOMENT,
    "BillingPeriodStatus": Kind.TEXT,
    "InvoiceIssuerName": Kind.TEXT,
}

_DETAIL = {
    "BilledCost": Kind.COST,
    "BillingAccountId": Kind.TEXT,
    "BillingCurrency": Kind.TEXT,
    "BillingPeriodEnd": Kind.MOMENT,
    "BillingPeriodStart": Kind.MOMENT,
    "ChargeCategory": Kind.TEXT,
    "InvoiceDetailCreated": Kind.MOMENT,
    "InvoiceDetailDescription": Kind.TEXT,
    "InvoiceDetailGrain": Kind.JSON,
    "InvoiceDetailId": Kind.TEXT,
    "InvoiceDetailLastUpdated": Kind.MOMENT,
    "InvoiceId": Kind.TEXT,
    "InvoiceIssueDate": Kind.MOMENT,
    "InvoiceIssueStatus": Kind.TEXT,
    "InvoiceIssuerName": Kind.TEXT,
    "PaymentDueDate": Kind.MOMENT,
    "PaymentTerms": Kind.TEXT,
    "ReferenceInvoiceId": Kind.TEXT,
}

INTERNAL = "Internal transfer"
"""PaymentTerms of a chargeback: nobody sends money, accounts are debited."""


def billing_period(period: BillingPeriod, context: Context, known_at: int, *, closed: bool) -> Any:
    """One row: the period, and whether anything of it may still change. `known_at` is epoch seconds."""
    row = {
        "BillingPeriodCreated": period.t_from, "BillingPeriodEnd": period.t_to,
        "BillingPeriodLastUpdated": known_at, "BillingPeriodStart": period.t_from,
        "BillingPeriodStatus": "Closed" if closed else "Open", "InvoiceIssuerName": context.issuer,
    }  # fmt: skip
    return _table(_PERIOD, [row])


def invoice_detail(
    rows: Iterable[Row], period: BillingPeriod, context: Context, known_at: int, *, closed: bool
) -> Any:
    """A line for each statement, cost centre and charge category; together they are what is to be paid."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(detail_id(row), []).append(row)
    stamp = {
        "InvoiceIssuerName": context.issuer,
        "BillingPeriodStart": period.t_from, "BillingPeriodEnd": period.t_to,
        "InvoiceDetailCreated": known_at, "InvoiceDetailLastUpdated": known_at,
        "InvoiceIssueDate": known_at if closed else None,
        "InvoiceIssueStatus": "Issued" if closed else "Open",
        "PaymentTerms": INTERNAL,
    }  # fmt: skip
    return _table(_DETAIL, [stamp | _detail(key, group) for key, group in groups.items()])


def _detail(key: str, group: list[Row]) -> dict[str, Any]:
    first = group[0]
    return {
        "InvoiceDetailId": key, "InvoiceId": first["statement"], "ReferenceInvoiceId": first["statement"],
        "BillingAccountId": first["cost_centre"] or NO_ACCOUNT, "BillingCurrency": first["currency"],
        "ChargeCategory": first["charge_category"],
        "BilledCost": sum((money(row).billed for row in group), Fraction(0)),
        "InvoiceDetailDescription": ", ".join(filter(None, [first["charge_category"], first["tenant"], first["cost_centre"]])),
        "InvoiceDetailGrain": json.dumps({"SubAccountId": first["tenant"]}) if first["tenant"] else None,
    }  # fmt: skip


def _table(kinds: Mapping[str, Kind], rows: list[dict[str, Any]]) -> Any:
    arrays = [array(kind, [row.get(name) for row in rows]) for name, kind in kinds.items()]
    schema = pa.schema([pa.field(name, arrow_type(kind)) for name, kind in kinds.items()])
    return pa.Table.from_arrays(arrays, schema=schema)
