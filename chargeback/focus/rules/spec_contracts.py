"""The computable rules of Contract Commitment, in 1.3 and 1.4.

Ids are ``CCT-COLUMN-POSITION``, as in `spec_1_3`.
"""

COLUMNS_1_3 = frozenset(
    {
        "BillingCurrency", "ContractCommitmentCategory", "ContractCommitmentCost",
        "ContractCommitmentDescription", "ContractCommitmentId", "ContractCommitmentPeriodEnd",
        "ContractCommitmentPeriodStart", "ContractCommitmentQuantity", "ContractCommitmentType",
        "ContractCommitmentUnit", "ContractId", "ContractPeriodEnd", "ContractPeriodStart",
    }
)  # fmt: skip
"""The columns that 1.3 has; their rules are those of 1.4, and one more."""

ONLY_1_3 = """
ContractCommitmentId
  1.3-9 unique
"""

TABLE = """
BillingCurrency
  P2.1 present
  1 text
  2 string
  3 currency
  4 not null if ContractCommitmentCategory = Spend
  6 national
ContractCommitmentApplicability
  P2.2 present
  1 text
  2 string
  3 tree
  4 object of applicability
  5 not null
ContractCommitmentBenefitCategory
  P2.3 present
  1 text
  2 not null
  3 of Discount|Entitlement|Availability|Other
ContractCommitmentCategory
  P2.4 present
  1 text
  2 not null
  3 of Spend|Usage
ContractCommitmentCost
  P2.5 present
  1 decimal
  2 number
  3.1 not null if ContractCommitmentCategory = Spend
ContractCommitmentCreated
  P2.6 present
  1 moment
  2 iso
  3 not null
ContractCommitmentDescription
  P2.7 present
  1 text
  2 string
  3 should not null
ContractCommitmentDiscountPercentage
  P2.8 present
  1 decimal
  2 number
  3.1 not null if ContractCommitmentBenefitCategory = Discount
  3.2 null if ContractCommitmentBenefitCategory = Availability
  4 from 0 to 1
ContractCommitmentDurationType
  P2.9 present
  1 text
  2 string
  3 not null
  4 should a duration
ContractCommitmentFulfillmentInterval
  P2.10 present
  1 text
  2 not null
  3 of Hourly|Daily|Weekly|Monthly|Quarterly|Semi-Annual|Annual|Full Period|Transactional|Custom
  4 != Full Period if ContractCommitmentModel = Continuous
ContractCommitmentId
  P2.11 present
  1 text
  2 string
  3 not null
  6 one ContractId
ContractCommitmentLastUpdated
  P2.12 present
  1 moment
  2 iso
  3 not null
  5 since ContractCommitmentCreated
ContractCommitmentLifecycleStatus
  P2.13 present
  1 text
  2 not null
  3 of Proposed|Pending|Active|Exhausted|Expired|Canceled|Superseded
ContractCommitmentModel
  P2.14 present
  1 text
  2 not null
  3 of Continuous|Discontinuous
  4 of Discontinuous if ContractCommitmentFulfillmentInterval = Full Period
ContractCommitmentOfferCategory
  P2.15 present
  1 text
  2 not null
  3 of Negotiated|Public
ContractCommitmentPaymentInterval
  P2.16 present
  1 text
  2 not null
  3 of One-Time|Monthly|Quarterly|Semi-Annual|Annual|Custom
  4 of One-Time if ContractCommitmentPaymentModel = All Upfront
ContractCommitmentPaymentModel
  P2.17 present
  1 text
  2 not null
  3 of No Upfront|Partial Upfront|All Upfront
ContractCommitmentPaymentUpfrontPercentage
  P2.18 present [PARTIAL_UPFRONT]
  1 decimal
  2 number
  3 not null
  4 from 0 to 1
  5 = 1 if ContractCommitmentPaymentModel = All Upfront
  6 = 0 if ContractCommitmentPaymentModel = No Upfront
  7 between 0 and 1 if ContractCommitmentPaymentModel = Partial Upfront
ContractCommitmentPeriodEnd
  P2.19 present
  1 moment
  2 iso
  3 not null
  4 after ContractCommitmentPeriodStart
ContractCommitmentPeriodStart
  P2.20 present
  1 moment
  2 iso
  3 not null
ContractCommitmentQuantity
  P2.21 present
  1 decimal
  2 number
  3.1 not null if ContractCommitmentCategory = Usage
ContractCommitmentType
  P2.22 present
  1 text
  2 string
  3 not null
ContractCommitmentUnit
  P2.23 present
  1 text
  2 string
  3 should unit
  4.1 null if ContractCommitmentQuantity null
  4.2 not null if ContractCommitmentQuantity not null
ContractId
  P2.24 present
  1 text
  2 string
  3 not null
ContractPeriodEnd
  P2.25 present
  1 moment
  2 iso
  3 not null
  4 after ContractPeriodStart
ContractPeriodStart
  P2.26 present
  1 moment
  2 iso
  3 not null
InvoiceIssuerName
  P2.27 present
  1 text
  2 string
  3 not null
PricingCurrency
  P2.28 present [PRICING_BILLING_CURRENCY_DIFFERENCES]
  1 text
  2 string
  3 currency
  4 not null
PricingCurrencyContractCommitmentCost
  P2.29 present [PRICING_BILLING_CURRENCY_DIFFERENCES]
  1 decimal
  2 number
  3.1 not null if ContractCommitmentCategory = Spend and PricingCurrency not null
ServiceProviderName
  P2.30 present
  1 text
  2 string
  3 not null
"""
