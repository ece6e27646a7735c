"""What FOCUS 1.4 changed about 1.3's Cost and Usage; ids of new rules as in `spec_1_3`."""

GONE_COLUMNS = frozenset({"ProviderName", "PublisherName"})
"""Columns that 1.4 does not have any more; their rules went with them."""

GONE_CHECKS = frozenset({"valid"})
"""That a number is a valid decimal is not a rule of its own any more; its format still is."""

GONE = frozenset(
    {
        # Who must not invoice is the provider's knowledge now.
        "BilledCost-C-005-C",
        # The attribute of discounts was dissolved; what stayed of it is below.
        "DiscountHandling-A-012-C", "DiscountHandling-A-014-C", "DiscountHandling-A-018-C",
        "DiscountHandling-A-019-C",
        "CostAndUsage-D-033-O",  # InvoiceId must be there now
        "EffectiveCost-C-010-C",  # of taxes too now
        "CAU-ContractApplied-5", "CAU-ContractApplied-O.7",  # a stricter schema, and a softer rule of purchases
    }
)  # fmt: skip
"""Ids of 1.3 that 1.4 does not have."""

TABLE = """
AllocatedTags
  2 string
CommitmentDiscountId
  4.2 agree ResourceId if ChargeCategory = Purchase and CommitmentDiscountId not null
  4.3 agree ResourceId if ChargeCategory = Usage and CommitmentDiscountStatus = Unused and CommitmentDiscountId not null
CommitmentProgramEligibilityDetails
  P2.29 present [COMMITMENT_PROGRAMS]
  1 text
  2 string
  3 tree
  9 object of programs
  O.3 lists CommitmentDiscountType if CommitmentDiscountType not null
ContractApplied
  2 string
  5 object of contracts
EffectiveCost
  8 is BilledCost if ChargeCategory = Tax|Credit
InvoiceDetailId
  P2.37 present [PAYABLE_INVOICES]
  1 text
  2 string
  3.1 null if InvoiceId null
  3.2 not null if InvoiceId not null
InvoiceId
  P2.38 present [PAYABLE_INVOICES]
SkuPriceDetails
  1 text
  2 string
Tags
  1 text
  2 string
"""
