"""Why sentences that came with FOCUS 1.3 and 1.4 have no check; those of 1.2 are in `reasons`.

By position, as in `spec_1_3`. Sentences that only bundle others are checked by their parts and not listed;
those about two datasets are checked where both are there (`together`).
"""

from collections.abc import Mapping

_REASONS: Mapping[str, str] = {
    "a permission: nothing can break it": """
        CAU-2.44.3 CAU-2.45.3 CAU-2.46.3 CAU-9.3 CAU-9.4 CAU-9.5 CAU-AllocatedResourceId-4.2
        CAU-AllocatedResourceName-4 CAU-AllocatedTags-4.2 CAU-ContractApplied-O.9 CAU-BilledCost-11
        CAU-CommitmentProgramEligibilityDetails-7 CAU-EffectiveCost-9 CAU-EffectiveCost-14
        CAU-HostProviderName-3.1 CAU-HostProviderName-3.2 CAU-InvoiceDetailId-4 CCT-ContractCommitmentCost-3.2
        CCT-ContractCommitmentDurationType-7 CCT-ContractCommitmentId-7 CCT-ContractCommitmentQuantity-3.2
        CCT-PricingCurrencyContractCommitmentCost-3.2 IND-BilledCost-9.2 IND-BilledCost-10.2
        IND-ChargeCategory-5.1 IND-InvoiceId-4 IND-InvoiceIssueDate-3 IND-PaymentCurrencyBilledCost-6
        IND-PaymentCurrencyBilledCost-7 IND-PaymentDueDate-3 IND-PurchaseOrderNumber-3
    """,
    "which charges were split, covered, or belong together is the data generator's knowledge": """
        CAU-7 CAU-8 CAU-10 CAU-11 CAU-AllocatedMethodId-3.1 CAU-AllocatedResourceId-3.2
        CAU-AllocatedResourceId-3.3 CAU-AllocatedMethodDetails-O.2 CAU-AllocatedMethodDetails-O.3
        CAU-AllocatedMethodDetails-O.5 CAU-AllocatedMethodDetails-O.6 CAU-AllocatedResourceId-4.1
        CAU-BilledCost-5 CAU-BilledCost-6 CAU-BilledCost-7 CAU-BilledCost-9 CAU-EffectiveCost-5
        CAU-EffectiveCost-6 CAU-EffectiveCost-7 CAU-EffectiveCost-10 CAU-EffectiveCost-11
        CAU-EffectiveCost-12 CAU-EffectiveCost-13 CAU-ContractApplied-4 CAU-ContractApplied-O.8
        CAU-ChargeCategory-4 CAU-ChargeCategory-5 CAU-ChargeCategory-6 CAU-ChargeCategory-7
        CAU-ChargeCategory-8 CAU-ResourceId-4.3 DataGeneratorCalculatedSplitCostAllocationHandling-1
        DataGeneratorCalculatedSplitCostAllocationHandling-2
        DataGeneratorCalculatedSplitCostAllocationHandling-3
    """,
    "what the value stands for is the provider's knowledge": """
        CAU-AllocatedTags-5.2 CAU-AllocatedTags-5.3 CAU-AllocatedTags-5.4 CAU-AllocatedTags-6.1
        CAU-AllocatedTags-7 CAU-CommitmentProgramEligibilityDetails-4
        CAU-CommitmentProgramEligibilityDetails-5 CAU-CommitmentProgramEligibilityDetails-6
        CAU-CommitmentProgramEligibilityDetails-8 CAU-CommitmentProgramEligibilityDetails-O.2
        CAU-ContractApplied-O.2 CAU-ContractApplied-O.3 CAU-ContractApplied-O.4 CAU-ContractApplied-O.5
        CAU-HostProviderName-3.3 CAU-HostProviderName-4.1 CAU-HostProviderName-4.2
        CAU-HostProviderName-4.3 CAU-SkuPriceDetails-6.2 CAU-SkuPriceDetails-6.5 CAU-2.66
        CCT-ContractCommitmentApplicability-O.2 CCT-ContractCommitmentApplicability-O.3
        CCT-ContractCommitmentApplicability-O.8 CCT-ContractCommitmentApplicability-O.9
        CCT-ContractCommitmentDiscountPercentage-5.1 CCT-ContractCommitmentDiscountPercentage-5.2
        CCT-ContractCommitmentDiscountPercentage-6 CCT-ContractCommitmentDurationType-6
        CCT-ContractCommitmentId-4 CCT-ContractCommitmentId-5 CCT-ContractCommitmentPaymentInterval-5
        CCT-ContractCommitmentType-4 CCT-ContractId-4.1 CCT-ContractId-4.2 CCT-InvoiceIssuerName-4
        BPD-InvoiceIssuerName-4 IND-InvoiceIssuerName-4 IND-BillingAccountId-4 IND-BillingAccountId-5
        IND-ChargeCategory-4.1 IND-ChargeCategory-4.2 IND-ChargeCategory-4.3 IND-ChargeCategory-4.4
        IND-ChargeCategory-4.5 IND-InvoiceDetailDescription-5 IND-InvoiceDetailGrain-4
        IND-InvoiceDetailGrain-5 IND-InvoiceDetailGrain-6 IND-InvoiceDetailGrain-7 IND-InvoiceId-5
        IND-PurchaseOrderNumber-4 IND-2.23
    """,
    "an amount does not show its currency": """
        CAU-ContractApplied-O.10 CAU-ContractApplied-O.11 CCT-ContractCommitmentCost-4
        CCT-PricingCurrencyContractCommitmentCost-4 IND-BilledCost-4 IND-PaymentCurrencyBilledCost-4
        IND-PaymentCurrencyBilledCost-5 CAU-PricingCurrencyEffectiveCost-5
    """,
    "the issued invoice is not in the file": """
        CAU-BilledCost-8 CAU-BilledCost-10 CCT-BillingCurrency-5 IND-BillingCurrency-5 IND-BilledCost-5
        IND-BilledCost-6 IND-BilledCost-7 IND-BilledCost-8 IND-7 IND-InvoiceIssueDate-4
        IND-InvoiceIssueStatus-5 IND-PaymentCurrency-4 IND-PaymentDueDate-4 IND-PaymentTerms-4
        IND-ReferenceInvoiceId-4 IND-ReferenceInvoiceId-5 CAU-InvoiceDetailId-5
    """,
    "which moment it is, is outside the file; the order of moments is checked": """
        BPD-BillingPeriodCreated-4 BPD-BillingPeriodLastUpdated-4 BPD-BillingPeriodStart-4
        BPD-BillingPeriodStatus-4 CCT-ContractCommitmentCreated-4 CCT-ContractCommitmentLastUpdated-4
        CCT-ContractCommitmentPeriodStart-4 CCT-ContractPeriodStart-4 IND-BillingPeriodStart-4
        IND-InvoiceDetailCreated-4 IND-InvoiceDetailLastUpdated-4
    """,
    "about what was delivered before; one file is one delivery": """
        BPD-BillingPeriodStatus-5 IND-InvoiceIssueStatus-6 CCT-ContractCommitmentLifecycleStatus-4
        CorrectionHandling-2 CorrectionHandling-3 CorrectionHandling-4 DeliveryHandling-1
        DeliveryHandling-2.1 DeliveryHandling-2.2 DeliveryHandling-3 DatasetConfiguration-1
        DatasetConfiguration-2 DatasetConfiguration-3 DatasetConfiguration-4 NullHandling-3
    """,
    "about which datasets a provider delivers, and one may be checked without the others": """
        BPD-1 CCT-1 IND-1
    """,
    "which line a payment is counted in is the provider's knowledge": """
        IND-PaymentCurrencyInvoiceDetailId-4
    """,
    "about documents that the provider publishes": """
        CAU-9.1 CAU-9.2 CAU-AllocatedMethodId-4 CAU-AllocatedTags-6.2
        CAU-CommitmentProgramEligibilityDetails-O.4 CCT-ContractCommitmentDescription-4
        IND-InvoiceDetailDescription-4 IND-11.1 IND-11.2 IND-11.3 IND-11.4 CorrectionHandling-1
        DeliveryHandling-4 DeliveryHandling-5.1 DeliveryHandling-5.2 DeliveryHandling-5.3
        DeliveryHandling-5.4 DatasetCompleteness-1.1 DatasetCompleteness-1.2 DatasetCompleteness-1.3
        DatasetCompleteness-1.4 DatasetCompleteness-1.5 DatasetCompleteness-2 DatasetCompleteness-3
        CustomColumnHandling-1.5 CustomColumnHandling-1.6 CustomColumnHandling-1.8
        CustomColumnHandling-1.9 CustomColumnHandling-5
    """,
    "follows from rules that are checked: the schema of the object, or the format of its column": """
        CCT-ContractCommitmentApplicability-O.4 CCT-ContractCommitmentApplicability-O.5
        CCT-ContractCommitmentApplicability-O.6 CCT-ContractCommitmentApplicability-O.7
        CCT-ContractCommitmentApplicability-O.10 CCT-ContractCommitmentApplicability-O.11
        CCT-ContractCommitmentDurationType-5 JsonObjectFormat-2 JsonObjectFormat-5
    """,
}

UNCHECKED_LATER: Mapping[str, str] = {
    rule: reason for reason, ids in _REASONS.items() for rule in ids.split()
}
"""Id of a sentence -> why it is not checked."""
