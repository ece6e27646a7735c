"""The computable rules of 1.4's Billing Period and Invoice Detail.

Ids are ``BPD-COLUMN-POSITION`` and ``IND-COLUMN-POSITION``, as in `spec_1_3`.
"""

BILLING_PERIOD = """
BillingPeriodCreated
  P2.1 present
  1 moment
  2 iso
  3 not null
BillingPeriodEnd
  P2.2 present
  1 moment
  2 iso
  3 not null
  4 after BillingPeriodStart
BillingPeriodLastUpdated
  P2.3 present
  1 moment
  2 iso
  3 not null
  5 since BillingPeriodCreated
BillingPeriodStart
  P2.4 present
  1 moment
  2 iso
  3 not null
BillingPeriodStatus
  P2.5 present
  1 text
  2 not null
  3 of Open|Closed
InvoiceIssuerName
  P2.6 present
  1 text
  2 string
  3 not null
"""

INVOICE_DETAIL = """
BilledCost
  P2.1 present
  1 decimal
  2 number
  3 not null
BillingAccountId
  P2.2 present
  1 text
  2 string
  3 not null
BillingCurrency
  P2.3 present
  1 text
  2 string
  3 currency
  4 not null
  6 national
BillingPeriodEnd
  P2.4 present
  1 moment
  2 iso
  3 not null
  4 after BillingPeriodStart
BillingPeriodStart
  P2.5 present
  1 moment
  2 iso
  3 not null
ChargeCategory
  P2.6 present
  1 text
  2 not null
  3 of Usage|Purchase|Tax|Credit|Adjustment
InvoiceDetailCreated
  P2.7 present
  1 moment
  2 iso
  3 not null
InvoiceDetailDescription
  P2.8 present
  1 text
  2 string
  3 should not null
InvoiceDetailGrain
  P2.9 present
  1 text
  2 string
  3 json
  8 should pascal keys
  9 grain keys
  10.1 spelt grain keys
  10.2 grain values
InvoiceDetailId
  P2.10 present
  1 text
  2 string
  3 not null
  4 unique for InvoiceId
InvoiceDetailLastUpdated
  P2.11 present
  1 moment
  2 iso
  3 not null
  5 since InvoiceDetailCreated
InvoiceId
  P2.12 present
  1 text
  2 string
  3 not null
InvoiceIssueDate
  P2.13 present
  1 moment
  2 iso
InvoiceIssueStatus
  P2.14 present
  1 text
  2 string
  3 not null
  4 of Open|Issued|Voided
InvoiceIssuerName
  P2.15 present
  1 text
  2 string
  3 not null
PaymentCurrency
  P2.16 present [PAYMENT_CURRENCY_DIFFERENCES]
  1 text
  2 string
  3 not null
  5 national
PaymentCurrencyBilledCost
  P2.17 present [PAYMENT_CURRENCY_DIFFERENCES]
  1 decimal
  2 number
  3 not null
PaymentCurrencyInvoiceDetailId
  P2.18 present [PAYMENT_CURRENCY_AGGREGATION]
  1 text
  2 string
  3 not null
  5 agree InvoiceDetailId if PaymentCurrencyBilledCost not zero
PaymentDueDate
  P2.19 present
  1 moment
  2 iso
PaymentTerms
  P2.20 present
  1 text
  2 string
  3 not null
PurchaseOrderNumber
  P2.21 present [PURCHASE_ORDERS]
  1 text
  2 string
ReferenceInvoiceId
  P2.22 present
  1 text
  2 string
  3 not null
"""
