"""The releases of FOCUS whose rules are known, their datasets, and which of them a file is of."""

from collections.abc import Collection
from enum import StrEnum


class Release(StrEnum):
    """A release of the specification."""

    V1_2 = "1.2"
    V1_3 = "1.3"
    V1_4 = "1.4"


class Dataset(StrEnum):
    """A dataset; 1.2 has the first alone, 1.3 the first two."""

    COST_AND_USAGE = "cost-and-usage"
    CONTRACT_COMMITMENT = "contract-commitment"
    BILLING_PERIOD = "billing-period"
    INVOICE_DETAIL = "invoice-detail"


_OF_RELEASE = {
    Release.V1_2: (Dataset.COST_AND_USAGE,),
    Release.V1_3: (Dataset.COST_AND_USAGE, Dataset.CONTRACT_COMMITMENT),
    Release.V1_4: tuple(Dataset),
}


def datasets_of(release: Release) -> tuple[Dataset, ...]:
    """The datasets that a release has."""
    return _OF_RELEASE[release]


def recognised(names: Collection[str]) -> tuple[Release, Dataset]:
    """Which release and dataset a file with these columns is of; Cost and Usage of 1.2 where nothing says more.

    By columns that only one of them has: the parties' names changed in 1.3, and the old ones went in 1.4.
    """
    if "ContractCommitmentCategory" in names:
        newer = "ContractCommitmentModel" in names or "ServiceProviderName" in names
        return (Release.V1_4 if newer else Release.V1_3), Dataset.CONTRACT_COMMITMENT
    if "BillingPeriodStatus" in names:
        return Release.V1_4, Dataset.BILLING_PERIOD
    if "InvoiceIssueStatus" in names or "InvoiceDetailGrain" in names:
        return Release.V1_4, Dataset.INVOICE_DETAIL
    if "ServiceProviderName" not in names and "HostProviderName" not in names:
        return Release.V1_2, Dataset.COST_AND_USAGE
    older = "ProviderName" in names or "PublisherName" in names
    return (Release.V1_3 if older else Release.V1_4), Dataset.COST_AND_USAGE
