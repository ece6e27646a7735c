"""Small files of FOCUS 1.3 and 1.4 that break no rule and have every column, for tests to plant errors in."""

from typing import Any

from focus_planting import APPLIED, PROGRAM, SCOPE, SPLIT
from focus_valid import ROWS

Rows = list[dict[str, Any]]

_NO_SPLIT = {
    "AllocatedMethodDetails": None, "AllocatedMethodId": None, "AllocatedResourceId": None,
    "AllocatedResourceName": None, "AllocatedTags": None,
}  # fmt: skip
_SPLIT = {
    "AllocatedMethodDetails": SPLIT % '0.5, "UsageUnit": "Core-Hours", "UsageQuantity": 2, "x_Basis": "vCPU"',
    "AllocatedMethodId": "even", "AllocatedResourceId": "pod-1", "AllocatedResourceName": "Pod 1",
    "AllocatedTags": '{"team": "a"}',
}  # fmt: skip
_PARTIES = {"HostProviderName": "ACME IT", "ServiceProviderName": "ACME IT"}


def _later(row: dict[str, Any]) -> dict[str, Any]:
    applied = APPLIED % ("c-1", "cd-1") if row["CommitmentDiscountId"] else None
    # A correction's costs are products since 1.3.
    products = {"ListCost": "-0.025", "ContractedCost": "-0.021"} if row["ChargeClass"] else {}
    return {**row, **_NO_SPLIT, **_PARTIES, "ContractApplied": applied, **products}


ROWS_1_3: Rows = [
    *map(_later, ROWS),
    {**_later(ROWS[0]), **_SPLIT},
    # What of the charge belongs to nobody.
    {**_later(ROWS[0]), **_SPLIT, "AllocatedResourceId": None, "AllocatedResourceName": None, "AllocatedTags": None},
]  # fmt: skip


def _by_name(row: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(row.items()))


def _latest(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in {"ProviderName", "PublisherName"}}
    eligible = PROGRAM % "Reserved" if row["ChargeCategory"] == "Usage" else None
    return _by_name({**kept, "InvoiceDetailId": "d-1", "CommitmentProgramEligibilityDetails": eligible})


ROWS_1_4: Rows = [
    *map(_latest, ROWS_1_3),
    {**_latest(ROWS_1_3[8]), "InvoiceId": None, "InvoiceDetailId": None},  # not on an invoice yet
]

_USAGE: dict[str, Any] = {
    "BillingCurrency": "EUR", "ContractCommitmentApplicability": SCOPE % '"In", "Values": ["tier-1/vcpu"]',
    "ContractCommitmentBenefitCategory": "Discount", "ContractCommitmentCategory": "Usage",
    "ContractCommitmentCost": None, "ContractCommitmentCreated": "2026-01-01T00:00:00Z",
    "ContractCommitmentDescription": "100 core-hours a month", "ContractCommitmentDiscountPercentage": "0.2",
    "ContractCommitmentDurationType": "1 Year", "ContractCommitmentFulfillmentInterval": "Monthly",
    "ContractCommitmentId": "cd-1", "ContractCommitmentLastUpdated": "2026-02-01T00:00:00Z",
    "ContractCommitmentLifecycleStatus": "Active", "ContractCommitmentModel": "Continuous",
    "ContractCommitmentOfferCategory": "Public", "ContractCommitmentPaymentInterval": "Monthly",
    "ContractCommitmentPaymentModel": "No Upfront", "ContractCommitmentPaymentUpfrontPercentage": "0",
    "ContractCommitmentPeriodEnd": "2027-01-01T00:00:00Z", "ContractCommitmentPeriodStart": "2026-01-01T00:00:00Z",
    "ContractCommitmentQuantity": "100", "ContractCommitmentType": "Commitment", "ContractCommitmentUnit": "Core-Hours",
    "ContractId": "c-1", "ContractPeriodEnd": "2027-01-01T00:00:00Z", "ContractPeriodStart": "2026-01-01T00:00:00Z",
    "InvoiceIssuerName": "ACME IT", "PricingCurrency": "EUR", "PricingCurrencyContractCommitmentCost": None,
    "ServiceProviderName": "ACME IT",
}  # fmt: skip

CONTRACTS_1_4: Rows = [
    _USAGE,
    {**_USAGE, "ContractCommitmentId": "cd-2", "ContractCommitmentCategory": "Spend",
     "ContractCommitmentCost": "5000", "PricingCurrencyContractCommitmentCost": "5000",
     "ContractCommitmentQuantity": None, "ContractCommitmentUnit": None,
     "ContractCommitmentBenefitCategory": "Availability", "ContractCommitmentDiscountPercentage": None,
     "ContractCommitmentFulfillmentInterval": "Full Period", "ContractCommitmentModel": "Discontinuous",
     "ContractCommitmentPaymentModel": "All Upfront", "ContractCommitmentPaymentInterval": "One-Time",
     "ContractCommitmentPaymentUpfrontPercentage": "1", "ContractCommitmentApplicability": '{"IsGlobalScope": true}'},
    {**_USAGE, "ContractCommitmentId": "cd-3", "ContractCommitmentBenefitCategory": "Other",
     "ContractCommitmentDiscountPercentage": None, "ContractCommitmentPaymentModel": "Partial Upfront",
     "ContractCommitmentPaymentUpfrontPercentage": "0.4"},
]  # fmt: skip

_OLDER = (
    "BillingCurrency", "ContractCommitmentCategory", "ContractCommitmentCost", "ContractCommitmentDescription",
    "ContractCommitmentId", "ContractCommitmentPeriodEnd", "ContractCommitmentPeriodStart",
    "ContractCommitmentQuantity", "ContractCommitmentType", "ContractCommitmentUnit", "ContractId",
    "ContractPeriodEnd", "ContractPeriodStart",
)  # fmt: skip
CONTRACTS_1_3: Rows = [{name: row[name] for name in _OLDER} for row in CONTRACTS_1_4]

PERIODS: Rows = [
    {
        "BillingPeriodCreated": "2026-02-01T00:00:00Z", "BillingPeriodEnd": "2026-03-01T00:00:00Z",
        "BillingPeriodLastUpdated": "2026-03-02T00:00:00Z", "BillingPeriodStart": "2026-02-01T00:00:00Z",
        "BillingPeriodStatus": "Closed", "InvoiceIssuerName": "ACME IT",
    },
]  # fmt: skip

_DETAIL: dict[str, Any] = {
    "BilledCost": "12.5", "BillingAccountId": "ba-1", "BillingCurrency": "EUR",
    "BillingPeriodEnd": "2026-03-01T00:00:00Z", "BillingPeriodStart": "2026-02-01T00:00:00Z",
    "ChargeCategory": "Usage", "InvoiceDetailCreated": "2026-03-01T00:00:00Z",
    "InvoiceDetailDescription": "Machines", "InvoiceDetailGrain": '{"SubAccountId": "shop", "x_Team": "a"}',
    "InvoiceDetailId": "d-1", "InvoiceDetailLastUpdated": "2026-03-02T00:00:00Z", "InvoiceId": "inv-1",
    "InvoiceIssueDate": "2026-03-02T00:00:00Z", "InvoiceIssueStatus": "Issued", "InvoiceIssuerName": "ACME IT",
    "PaymentCurrency": "USD", "PaymentCurrencyBilledCost": "13", "PaymentCurrencyInvoiceDetailId": "d-1",
    "PaymentDueDate": "2026-04-01T00:00:00Z", "PaymentTerms": "Net 30", "PurchaseOrderNumber": "po-7",
    "ReferenceInvoiceId": "inv-1",
}  # fmt: skip
DETAILS: Rows = [
    _DETAIL,
    {
        **_DETAIL,
        "InvoiceDetailId": "d-2",
        "PaymentCurrencyInvoiceDetailId": "d-2",
        "InvoiceDetailGrain": None,
    },
    {**_DETAIL, "InvoiceId": "inv-2", "ReferenceInvoiceId": "inv-2"},
]
