"""Why a rule of FOCUS 1.2 has no check: what would have to be known that no row says.

Rules that only bundle others (composites) are checked by their parts and not listed.
"""

from collections.abc import Mapping

_REASONS: Mapping[str, str] = {
    "a permission: nothing can break it": """
        ColumnHandling-A-007-O ColumnHandling-A-014-O CommitmentDiscountName-C-007-C
        CommitmentDiscountQuantity-C-006-C ConsumedQuantity-C-007-C ContractedCost-C-010-C
        ContractedUnitPrice-C-007-O ContractedUnitPrice-C-012-C CostAndUsage-D-049-C
        CostAndUsage-D-053-C CostAndUsage-D-057-C EffectiveCost-C-007-O InvoiceId-C-006-O
        ListCost-C-010-C ListUnitPrice-C-006-O ListUnitPrice-C-011-C PricingCategory-C-005-O
        PricingCurrencyContractedUnitPrice-C-006-O PricingCurrencyContractedUnitPrice-C-010-C
        PricingCurrencyListUnitPrice-C-006-O PricingCurrencyListUnitPrice-C-010-C
        PricingQuantity-C-006-O PricingQuantity-C-010-C RegionId-C-005-C SkuId-C-006-O SkuId-C-012-O
        SkuPriceDetails-C-005-C SkuPriceDetails-C-011-O SkuPriceDetails-C-015-O SkuPriceId-C-006-O
        SkuPriceId-C-011-O StringHandling-A-008-C Tags-C-002-O Tags-C-007-O
    """,
    "which moment starts a period is outside the file; that the end comes after it is checked at the end": """
        BillingPeriodStart-C-004-M ChargePeriodStart-C-004-M
    """,
    "an amount does not show its currency": """
        BilledCost-C-006-M ContractedCost-C-005-M ContractedUnitPrice-C-010-C EffectiveCost-C-006-M
        ListCost-C-005-M ListUnitPrice-C-009-M PricingCurrencyContractedUnitPrice-C-009-C
        PricingCurrencyEffectiveCost-C-006-M PricingCurrencyListUnitPrice-C-009-M
    """,
    "the invoice is not in the file": """
        BilledCost-C-007-M BillingCurrency-C-005-M ChargeClass-C-004-C InvoiceId-C-004-C
        InvoiceId-C-005-C InvoiceId-C-007-C PricingUnit-C-009-C
    """,
    "what the value stands for, and whether there is one, is the provider's knowledge": """
        AvailabilityZone-C-003-C BillingAccountId-C-004-M BillingAccountId-C-005-O
        BillingAccountType-C-006-M CapacityReservationId-C-004-C CapacityReservationId-C-006-C
        CapacityReservationId-C-008-M CapacityReservationId-C-009-O
        CapacityReservationStatus-C-007-C CapacityReservationStatus-C-008-C ContractedCost-C-007-C
        EffectiveCost-C-009-C ListCost-C-007-C PricingCategory-C-008-C PricingCategory-C-010-C
        PricingCategory-C-011-C PricingCurrencyEffectiveCost-C-005-M RegionId-C-004-C
        ResourceId-C-004-C ResourceId-C-005-C ResourceId-C-007-M ResourceId-C-008-O
        ResourceName-C-005-C ResourceName-C-006-C ServiceName-C-006-C ServiceName-C-009-C
        SkuId-C-011-C SkuPriceDetails-C-008-M SkuPriceDetails-C-009-C SkuPriceDetails-C-010-C
        SkuPriceDetails-C-018-C SkuPriceDetails-C-022-C SkuPriceId-C-012-C SubAccountId-C-004-C
        SubAccountId-C-005-C SubAccountType-C-006-M Tags-C-004-M Tags-C-005-M Tags-C-006-M
        Tags-C-008-M Tags-C-010-C Tags-C-012-M Tags-C-015-C Tags-C-016-C Tags-C-017-M
    """,
    "follows from rules that are checked: types by column, a commitment's status and id by each other, null by the columns that demand it": """
        DiscountHandling-A-006-C DiscountHandling-A-015-C EffectiveCost-C-013-C NullHandling-A-001-C
        NumericFormat-A-012-M
    """,
    "about documents that the provider publishes, or about its own columns over time": """
        ChargeDescription-C-004-O NumericFormat-A-001-O NumericFormat-A-013-O StringHandling-A-002-O
        Tags-C-009-M Tags-C-013-M
    """,
    "the price list, contracts and what a SKU does are not in the file": """
        PricingUnit-C-008-M SkuId-C-008-M SkuId-C-009-M SkuId-C-010-M SkuPriceId-C-010-M
        SkuPriceId-C-013-M SkuPriceId-C-014-C SkuPriceId-C-015-C
    """,
    "about several periods, or about what was delivered before; one file is one delivery": """
        DiscountHandling-A-011-C EffectiveCost-C-012-C SkuPriceDetails-C-013-O
        SkuPriceDetails-C-014-O SkuPriceDetails-C-016-O SkuPriceId-C-009-M StringHandling-A-003-M
        StringHandling-A-004-M StringHandling-A-005-M
    """,
    "what a discount or commitment covers, and how much of it is left, is the provider's knowledge": """
        CommitmentDiscountId-C-004-C CommitmentDiscountId-C-005-C CommitmentDiscountId-C-007-M
        CommitmentDiscountId-C-008-C CommitmentDiscountName-C-006-C
        CommitmentDiscountQuantity-C-011-C CommitmentDiscountQuantity-C-012-C
        CommitmentDiscountQuantity-C-014-C CommitmentDiscountQuantity-C-015-C
        CommitmentDiscountUnit-C-009-M CommitmentDiscountUnit-C-010-C DiscountHandling-A-001-C
        DiscountHandling-A-003-C DiscountHandling-A-004-C DiscountHandling-A-007-C
        DiscountHandling-A-009-C DiscountHandling-A-010-C DiscountHandling-A-013-C
        DiscountHandling-A-016-C DiscountHandling-A-017-C DiscountHandling-A-020-C
    """,
    "about how FOCUS names its own columns, which are checked by name": """
        ColumnHandling-A-002-M ColumnHandling-A-004-O ColumnHandling-A-006-M ColumnHandling-A-008-M
    """,
}

UNCHECKED: Mapping[str, str] = {rule: reason for reason, ids in _REASONS.items() for rule in ids.split()}
"""Rule id -> why it is not checked."""
