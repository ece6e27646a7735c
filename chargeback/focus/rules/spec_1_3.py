"""What FOCUS 1.3 changed about 1.2's Cost and Usage: rules that went, and rules that came.

Ids of new rules are ``CAU-COLUMN-POSITION``: where the sentence stands in the column's list of
requirements, as 1.4 counts it (``O`` is the list of the column's object; of CAU itself: which columns there
are). What 1.2 said already keeps the id that it has there.
"""

GONE = frozenset(
    {
        # A product must be right on corrections too now; what came instead is below.
        "ListCost-C-009-C", "ListUnitPrice-C-010-C", "ContractedCost-C-009-C", "ContractedUnitPrice-C-011-C",
        "PricingQuantity-C-009-C",
    }
)  # fmt: skip
"""Ids of 1.2 that 1.3 does not have."""

TABLE = """
AllocatedMethodDetails
  P2.1 should present [DATA_GENERATOR_SPLIT_COST_ALLOCATION]
  1 text
  2 string
  3 tree
  4.1 null if AllocatedMethodId null
  4.2 should not null if AllocatedMethodId not null
  5 object of split method
  O.4 should units of UsageUnit
AllocatedMethodId
  P2.2 present [DATA_GENERATOR_SPLIT_COST_ALLOCATION]
  1 text
  2 string
  3.2 not null if AllocatedResourceId not null
AllocatedResourceId
  P2.3 present [DATA_GENERATOR_SPLIT_COST_ALLOCATION]
  1 text
  2 string
  3.1 null if AllocatedMethodId null
AllocatedResourceName
  P2.4 present [DATA_GENERATOR_SPLIT_COST_ALLOCATION]
  1 text
  2 string
  3.1 null if AllocatedResourceId null
  3.2 not null if AllocatedResourceId not null
AllocatedTags
  P2.5 present [DATA_GENERATOR_SPLIT_COST_ALLOCATION]
  1 text
  3 json
  4.1 null if AllocatedMethodId null
  5.1 apart from Tags
CommitmentDiscountQuantity
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
ConsumedQuantity
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
ContractApplied
  P2.32 present [CONTRACT_COMMITMENTS]
  1 text
  3 tree
  5 object of contracts of 1.3
  O.6 one parent
  O.7 names ResourceId if ChargeCategory = Purchase
  O.12 should units of ContractCommitmentAppliedUnit
ContractedCost
  6 is ContractedUnitPrice times PricingQuantity
ContractedUnitPrice
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
  3.3 not null if SkuPriceId not null
HostProviderName
  P2.36 present
  1 text
  2 string
ListCost
  6 is ListUnitPrice times PricingQuantity
ListUnitPrice
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
  3.3 not null if SkuPriceId not null
PricingCategory
  2.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
PricingCurrencyContractedUnitPrice
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
  3.3 not null if SkuPriceId not null [PUBLIC_PRICE_LIST]
PricingCurrencyListUnitPrice
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
  3.3 not null if SkuPriceId not null [PUBLIC_PRICE_LIST]
PricingQuantity
  3.1 null if SkuPriceId null [PUBLIC_PRICE_LIST,UNIT_PRICING]
  4 times ListUnitPrice is ListCost
  4 times ContractedUnitPrice is ContractedCost
ServiceProviderName
  P2.56 present
  1 text
  2 string
  3 not null
"""
