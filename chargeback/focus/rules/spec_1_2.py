"""The computable rules of FOCUS 1.2's Cost and Usage: written from the specification's text, column by column.

Under a column stands a rule a line: its id (without the column; ``D-...`` is CostAndUsage's), ``should``
where it only recommends, what must hold, ``if`` when, and in brackets what the provider must support
for it to apply. `chargeback.focus.rules.reading` reads it; `reasons` says which rules are not here, and
why. Where the machine-readable model says other than the text, the text counts: docs/reference/focus.md
lists those places.
"""

TABLE = """
AvailabilityZone
  C-001-M text
  C-002-M string
  D-003-C should present [AVAILABILITY_ZONE]
BilledCost
  C-001-M decimal
  C-002-M number
  C-003-M not null
  C-004-M valid
  C-005-C = 0 if ProviderName differs InvoiceIssuerName
  D-006-M present
BillingAccountId
  C-001-M not null
  C-002-M text
  C-003-M string
  D-024-M present
BillingAccountName
  C-001-M text
  C-002-M string
  C-003-C not null [ACCOUNT_NAMING]
  D-005-M present
  StringHandling-A-006-M should same for BillingAccountId
BillingAccountType
  C-001-M text
  C-002-M string
  C-004-C null if BillingAccountId null
  C-005-C not null if BillingAccountId not null
  D-007-C present [MULTIPLE_BILLING_ACCOUNT_TYPES]
BillingCurrency
  C-001-M text
  C-002-M string
  C-003-M currency
  C-004-M not null
  C-006-M national
  D-035-M present
BillingPeriodEnd
  C-001-M moment
  C-002-M iso
  C-003-M not null
  D-010-M present
  C-004-M after BillingPeriodStart
BillingPeriodStart
  C-001-M moment
  C-002-M iso
  C-003-M not null
  D-009-M present
CapacityReservationId
  C-001-M text
  C-002-M string
  C-005-C not null if CapacityReservationStatus = Unused
  D-065-C present [CAPACITY_RESERVATION]
CapacityReservationStatus
  C-001-M text
  C-003-C null if CapacityReservationId null
  C-004-C not null if CapacityReservationId not null and ChargeCategory = Usage
  C-006-M of Used|Unused
  D-020-C present [CAPACITY_RESERVATION]
ChargeCategory
  C-001-M text
  C-002-M not null
  C-003-M of Usage|Purchase|Tax|Credit|Adjustment
  D-008-M present
ChargeClass
  C-001-M text
  C-005-C of Correction
  D-026-M present
  C-003-C null if ChargePeriodStart not before BillingPeriodStart
ChargeDescription
  C-001-M text
  C-002-M string
  C-003-O should not null
  D-025-M present
ChargeFrequency
  C-001-M text
  C-002-M not null
  C-003-M of One-Time|Recurring|Usage-Based
  C-004-C != Usage-Based if ChargeCategory = Purchase
  D-027-O should present
ChargePeriodEnd
  C-001-M moment
  C-002-M iso
  C-003-M not null
  D-028-M present
  C-004-M after ChargePeriodStart
ChargePeriodStart
  C-001-M moment
  C-002-M iso
  C-003-M not null
  D-037-M present
CommitmentDiscountCategory
  C-001-M text
  C-003-C null if CommitmentDiscountId null
  C-004-C not null if CommitmentDiscountId not null
  C-005-M of Spend|Usage
  D-016-C present [COMMITMENT_DISCOUNT]
CommitmentDiscountId
  C-001-M text
  C-002-M string
  D-013-C present [COMMITMENT_DISCOUNT]
  DiscountHandling-A-014-C null if ChargeCategory = Usage and CommitmentDiscountStatus null [COMMITMENT_DISCOUNT]
CommitmentDiscountName
  C-001-M text
  C-002-M string
  C-004-C null if CommitmentDiscountId null
  D-012-C present [COMMITMENT_DISCOUNT]
CommitmentDiscountQuantity
  C-001-M decimal
  C-002-M number
  C-005-C not null if ChargeCategory = Usage|Purchase and CommitmentDiscountId not null and ChargeClass != Correction
  C-007-C null if ChargeCategory != Usage|Purchase
  C-007-C null if CommitmentDiscountId null
  D-018-C present [COMMITMENT_DISCOUNT]
  C-009-M valid
CommitmentDiscountStatus
  C-001-M text
  C-003-C null if CommitmentDiscountId null
  C-004-C not null if CommitmentDiscountId not null and ChargeCategory = Usage
  C-005-M of Used|Unused
  D-017-C present [COMMITMENT_DISCOUNT]
  DiscountHandling-A-018-C null if ChargeCategory != Usage [COMMITMENT_DISCOUNT]
CommitmentDiscountType
  C-001-M text
  C-002-M string
  C-004-C null if CommitmentDiscountId null
  C-005-C not null if CommitmentDiscountId not null
  D-014-C present [COMMITMENT_DISCOUNT]
CommitmentDiscountUnit
  C-001-M text
  C-002-M string
  C-003-M should unit
  C-005-C null if CommitmentDiscountQuantity null
  C-006-C not null if CommitmentDiscountQuantity not null
  D-015-C present [COMMITMENT_DISCOUNT]
  C-008-M same for CommitmentDiscountId
ConsumedQuantity
  C-001-M decimal
  C-002-M number
  C-004-C null if ChargeCategory != Usage
  C-004-C null if CommitmentDiscountStatus = Unused
  C-006-C not null if ChargeCategory = Usage and CommitmentDiscountStatus != Unused and ChargeClass != Correction
  D-011-C present [USAGE_MEASUREMENT]
  C-008-C valid
ConsumedUnit
  C-001-M text
  C-002-M string
  C-003-O should unit
  C-005-C null if ConsumedQuantity null
  C-006-C not null if ConsumedQuantity not null
  D-066-C present [USAGE_MEASUREMENT]
ContractedCost
  C-001-M decimal
  C-002-M number
  C-003-M not null
  C-004-M valid
  D-030-M present
  C-008-C is BilledCost if ChargeCategory = Credit and ContractedUnitPrice null
  C-009-C is ContractedUnitPrice times PricingQuantity if ChargeClass != Correction
ContractedUnitPrice
  C-002-M decimal
  C-003-M number
  C-005-C null if ChargeCategory = Tax
  C-006-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
  C-009-C at least 0
  C-011-C times PricingQuantity is ContractedCost if ChargeClass != Correction
  D-034-C present [NEGOTIATED_PRICING]
EffectiveCost
  D-031-M present
  C-001-M decimal
  C-002-M number
  C-003-M not null
  C-004-M valid
  C-005-C = 0 if ChargeCategory = Purchase and CommitmentDiscountId not null
  C-010-C is BilledCost if ChargeCategory = Credit
InvoiceId
  D-033-O should present
  C-001-M text
  C-002-M string
InvoiceIssuerName
  D-023-M present
  C-001-M text
  C-002-M string
  C-003-M not null
ListCost
  D-032-M present
  C-001-M decimal
  C-002-M number
  C-003-M not null
  C-004-M valid
  C-009-C is ListUnitPrice times PricingQuantity if ChargeClass != Correction
  C-008-C is BilledCost if ChargeCategory = Credit and ListUnitPrice null
ListUnitPrice
  D-004-C present [PUBLIC_PRICE_LIST]
  C-001-M decimal
  C-002-M number
  C-004-C null if ChargeCategory = Tax
  C-005-C not null if ChargeClass != Correction and ChargeCategory = Usage|Purchase
  C-008-M at least 0
  C-010-C times PricingQuantity is ListCost if ChargeClass != Correction
PricingCategory
  D-022-C present [MULTIPLE_PRICING_CATEGORIES]
  C-001-M text
  C-003-C null if ChargeCategory = Tax
  C-004-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
  C-007-M of Standard|Committed|Dynamic|Other
  C-009-C of Committed if ChargeCategory = Usage and CommitmentDiscountStatus = Used
PricingCurrency
  D-045-C present [PRICING_BILLING_CURRENCY_DIFFERENCES]
  C-001-M text
  C-002-M string
  C-003-M currency
  C-004-M not null
PricingCurrencyContractedUnitPrice
  D-047-C present [PUBLIC_PRICE_LIST,VIRTUAL_CURRENCY]
  D-048-C should present [PUBLIC_PRICE_LIST,PRICING_BILLING_CURRENCY_DIFFERENCES]
  C-001-M decimal
  C-002-M number
  C-004-C null if ChargeCategory = Tax
  C-005-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
  C-008-C at least 0
PricingCurrencyEffectiveCost
  D-051-C present [PUBLIC_PRICE_LIST,VIRTUAL_CURRENCY]
  D-052-C should present [PUBLIC_PRICE_LIST,PRICING_BILLING_CURRENCY_DIFFERENCES]
  C-001-M decimal
  C-002-M number
  C-003-M not null
  C-004-M valid
PricingCurrencyListUnitPrice
  D-055-C present [PUBLIC_PRICE_LIST,VIRTUAL_CURRENCY]
  D-056-C should present [PUBLIC_PRICE_LIST,PRICING_BILLING_CURRENCY_DIFFERENCES]
  C-001-M decimal
  C-002-M number
  C-004-C null if ChargeCategory = Tax
  C-005-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
  C-008-M at least 0
PricingQuantity
  D-036-M present
  C-001-M decimal
  C-002-M number
  C-004-C null if ChargeCategory = Tax
  C-005-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
  C-008-M valid
  C-009-C times ListUnitPrice is ListCost if ChargeClass != Correction
  C-009-C times ContractedUnitPrice is ContractedCost if ChargeClass != Correction
PricingUnit
  D-068-M present
  C-001-M text
  C-002-M string
  C-003-O should unit
  C-005-C null if PricingQuantity null
  C-006-C not null if PricingQuantity not null
ProviderName
  D-038-M present
  C-001-M text
  C-002-M string
  C-003-M not null
PublisherName
  D-021-M present
  C-001-M text
  C-002-M string
  C-003-M not null
RegionId
  D-063-C present [REGION]
  C-001-M text
  C-002-M string
RegionName
  D-062-C present [REGION]
  C-001-M text
  C-002-M string
  C-004-C null if RegionId null
  C-005-C not null if RegionId not null
  StringHandling-A-006-M should same for RegionId
ResourceId
  DiscountHandling-A-012-C agree CommitmentDiscountId if ChargeCategory = Purchase and CommitmentDiscountId not null [COMMITMENT_DISCOUNT]
  DiscountHandling-A-019-C agree CommitmentDiscountId if CommitmentDiscountStatus = Unused [COMMITMENT_DISCOUNT]
  D-043-C present [BILLING_BASED_ON_PROVISIONED_RESOURCES]
  C-001-M text
  C-002-M string
ResourceName
  D-044-C present [BILLING_BASED_ON_PROVISIONED_RESOURCES]
  C-001-M text
  C-002-M string
  C-004-C null if ResourceId null
ResourceType
  D-039-C present [BILLING_BASED_ON_PROVISIONED_RESOURCES,RESOURCE_TYPE_ASSIGNMENT]
  C-001-M text
  C-002-M string
  C-004-C null if ResourceId null
  C-005-C not null if ResourceId not null
ServiceCategory
  D-040-M present
  C-001-M text
  C-002-M not null
  C-003-M a category
ServiceName
  D-041-M present
  C-001-M text
  C-002-M string
  C-003-M not null
  C-005-C one ServiceCategory
  C-008-C should one ServiceSubcategory
ServiceSubcategory
  D-042-O should present
  C-001-M text
  C-002-M not null
  C-003-M a subcategory
  C-004-M child of ServiceCategory
SkuId
  D-060-C present [PUBLIC_PRICE_LIST,UNIT_PRICING]
  C-001-M text
  C-002-M string
  C-004-C null if ChargeCategory = Tax
  C-005-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
SkuMeter
  D-059-C present [PUBLIC_PRICE_LIST,UNIT_PRICING]
  C-001-M text
  C-002-M string
  C-004-C null if SkuId null
  C-005-C should not null if SkuId not null
  C-006-O should same for SkuId
SkuPriceDetails
  D-061-C present [PUBLIC_PRICE_LIST,UNIT_PRICING]
  C-001-M json
  C-004-C null if SkuPriceId null
  C-002-O should pascal keys
  C-007-M should same for SkuPriceId
  C-017-C custom keys
  C-020-M defined keys
  C-021-M typed values
SkuPriceId
  D-058-C present [PUBLIC_PRICE_LIST,UNIT_PRICING]
  C-001-M text
  C-002-M string
  C-004-C null if ChargeCategory = Tax
  C-005-C not null if ChargeCategory = Usage|Purchase and ChargeClass != Correction
  C-008-M one SkuId
SubAccountId
  D-019-C present [SUB_ACCOUNT]
  C-001-M text
  C-002-M string
SubAccountName
  D-029-C present [SUB_ACCOUNT]
  C-001-M text
  C-002-M string
  C-004-C null if SubAccountId null
  C-005-C not null if SubAccountId not null
  StringHandling-A-006-M should same for SubAccountId
SubAccountType
  D-067-C present [MULTIPLE_SUB_ACCOUNT_TYPES]
  C-001-M text
  C-002-M string
  C-004-C null if SubAccountId null
  C-005-C not null if SubAccountId not null
Tags
  D-064-C present [TAGGING]
  C-001-M json
"""
