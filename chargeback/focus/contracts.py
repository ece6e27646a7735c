"""FOCUS's Contract Commitment, in 1.3 and 1.4: a row for each commitment that holds in a month.

A rate's commitments are those that the month's lines are under; an adjustment's are those of all tenants
that it names, used or not. Each is of one month: it is measured, billed and over with it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pyarrow as pa

from chargeback.adjustments.commitment import Commitment as SpendTerm
from chargeback.focus.columns import Kind, Version, array, arrow_type
from chargeback.focus.commitments import TYPE, Commitments, Row, Scope, commitment_id, contract_id, scope_of
from chargeback.focus.export import Context, service_names
from chargeback.focus.pricing import at_quantity_digits
from chargeback.focus.units import pricing_unit
from chargeback.money import NANOS_PER_UNIT, exact_text, nanos_to_text
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate
from chargeback.shapes.commitment import Commitment as RateShape
from chargeback.shapes.unit import Unit

_OLDER = {
    "BillingCurrency": Kind.TEXT,
    "ContractCommitmentCategory": Kind.TEXT,
    "ContractCommitmentCost": Kind.COST,
    "ContractCommitmentDescription": Kind.TEXT,
    "ContractCommitmentId": Kind.TEXT,
    "ContractCommitmentPeriodEnd": Kind.MOMENT,
    "ContractCommitmentPeriodStart": Kind.MOMENT,
    "ContractCommitmentQuantity": Kind.QUANTITY,
    "ContractCommitmentType": Kind.TEXT,
    "ContractCommitmentUnit": Kind.TEXT,
    "ContractId": Kind.TEXT,
    "ContractPeriodEnd": Kind.MOMENT,
    "ContractPeriodStart": Kind.MOMENT,
}

_COLUMNS = dict(
    sorted({
        **_OLDER,
        "ContractCommitmentApplicability": Kind.JSON,
        "ContractCommitmentBenefitCategory": Kind.TEXT,
        "ContractCommitmentCreated": Kind.MOMENT,
        "ContractCommitmentDiscountPercentage": Kind.PRICE,
        "ContractCommitmentDurationType": Kind.TEXT,
        "ContractCommitmentFulfillmentInterval": Kind.TEXT,
        "ContractCommitmentLastUpdated": Kind.MOMENT,
        "ContractCommitmentLifecycleStatus": Kind.TEXT,
        "ContractCommitmentModel": Kind.TEXT,
        "ContractCommitmentOfferCategory": Kind.TEXT,
        "ContractCommitmentPaymentInterval": Kind.TEXT,
        "ContractCommitmentPaymentModel": Kind.TEXT,
        "ContractCommitmentPaymentUpfrontPercentage": Kind.PRICE,
        "InvoiceIssuerName": Kind.TEXT,
        "PricingCurrency": Kind.TEXT,
        "PricingCurrencyContractCommitmentCost": Kind.COST,
        "ServiceProviderName": Kind.TEXT,
    }.items())
)  # fmt: skip


def contract_commitment(
    rows: Iterable[Row], held: Commitments, period: BillingPeriod, context: Context, known_at: int,
    version: Version = Version.V1_4,
) -> Any:  # fmt: skip
    """The commitments of `period` as a `pyarrow.Table`; `rows` are the statements' as they are, not in parts."""
    over = known_at >= period.t_to
    # All that is said of every commitment of this kind: a month's, billed with it, agreed for no longer.
    every = {
        "ContractCommitmentDurationType": "1 Month", "ContractCommitmentFulfillmentInterval": "Monthly",
        "ContractCommitmentLifecycleStatus": "Expired" if over else "Active",
        "ContractCommitmentModel": "Continuous", "ContractCommitmentPaymentInterval": "Monthly",
        "ContractCommitmentPaymentModel": "No Upfront",
        "ContractCommitmentPaymentUpfrontPercentage": Fraction(0), "ContractCommitmentType": TYPE,
        "ContractCommitmentPeriodStart": period.t_from, "ContractCommitmentPeriodEnd": period.t_to,
        "ContractPeriodStart": period.t_from, "ContractPeriodEnd": period.t_to,
        "InvoiceIssuerName": context.issuer, "ServiceProviderName": context.issuer,
    }  # fmt: skip
    made = [
        every | one
        for one in (
            *_of_rates(rows, held, period),
            *(each for term in held.terms.values() for each in _of_term(term, period, context)),
        )
    ]
    kinds: Mapping[str, Kind] = _COLUMNS if version is Version.V1_4 else _OLDER
    arrays = [array(kind, [row.get(name) for row in made]) for name, kind in kinds.items()]
    schema = pa.schema([pa.field(name, arrow_type(kind)) for name, kind in kinds.items()])
    return pa.Table.from_arrays(arrays, schema=schema)


def _of_rates(rows: Iterable[Row], held: Commitments, period: BillingPeriod) -> Iterator[dict[str, Any]]:
    currencies: dict[Scope, str] = {}
    for row in rows:
        rate = held.rates.get((row["rate_card"], row["rate_id"]))
        if rate is not None and not row["charge_class"] and row["charge_category"] == "Usage":
            currencies[scope_of(row, rate)] = row["currency"]
    for scope, currency in sorted(currencies.items()):
        yield _of_rate(scope, held.rates[scope.card, scope.rate_id], currency, period)


def _of_rate(scope: Scope, rate: Rate, currency: str, period: BillingPeriod) -> dict[str, Any]:
    shape = rate.shape
    assert isinstance(shape, RateShape), rate
    dimensions = {"SkuPriceId": [f"{scope.rate_id}@{scope.card}"], "SubAccountId": [scope.tenant]}
    # Of a machine it is what ran there, whoever's it was before.
    dimensions |= {"ResourceId": [scope.machine]} if scope.machine else {}
    return {
        "BillingCurrency": currency, "ContractCommitmentCategory": "Usage", "PricingCurrency": currency,
        "ContractCommitmentQuantity": at_quantity_digits(shape.committed),
        "ContractCommitmentUnit": pricing_unit(rate.unit),
        "ContractCommitmentDescription": f"{exact_text(shape.committed)} {rate.unit} a month: {shape.text()}",
        "ContractCommitmentId": commitment_id(period, scope.rate_id, scope.tenant, scope.machine),
        "ContractId": contract_id(scope.tenant), "ContractCommitmentOfferCategory": "Public",
        "ContractCommitmentCreated": rate.recorded_at, "ContractCommitmentLastUpdated": rate.recorded_at,
        "ContractCommitmentApplicability": _inclusions(dimensions), **_benefit(_saving(shape)),
    }  # fmt: skip


def _saving(shape: RateShape) -> Fraction | None:
    """How much less a committed unit costs than one above it; None where that is no single price, or not less."""
    if not isinstance(shape.overage, Unit) or not shape.overage.price_nanos or not shape.committed:
        return None
    saving = 1 - Fraction(Fraction(shape.amount_nanos), shape.committed * shape.overage.price_nanos)
    return saving if saving > 0 else None


def _of_term(term: SpendTerm, period: BillingPeriod, context: Context) -> Iterator[dict[str, Any]]:
    amount = Fraction(term.amount, NANOS_PER_UNIT)
    factor = None if term.overage_factor is None else Fraction(term.overage_factor, NANOS_PER_UNIT)
    for tenant in term.applies_to.tenants:
        yield {
            "BillingCurrency": term.currency, "ContractCommitmentCategory": "Spend",
            "ContractCommitmentCost": amount, "PricingCurrency": term.currency,
            "PricingCurrencyContractCommitmentCost": amount,
            "ContractCommitmentDescription": f"{term.title}: {term.currency} {nanos_to_text(term.amount)} a month",
            "ContractCommitmentId": commitment_id(period, term.name, tenant),
            "ContractId": contract_id(tenant), "ContractCommitmentOfferCategory": "Negotiated",
            "ContractCommitmentCreated": term.recorded_at, "ContractCommitmentLastUpdated": term.recorded_at,
            "ContractCommitmentApplicability": _applicability(term, tenant, context),
            **_benefit(1 - factor if factor is not None and factor < 1 else None),
        }  # fmt: skip


def _benefit(saving: Fraction | None) -> dict[str, Any]:
    """A discount where there is one, at 9 decimals."""
    if saving is None:
        return {"ContractCommitmentBenefitCategory": "Other"}
    scaled = Fraction(saving.numerator * NANOS_PER_UNIT // saving.denominator, NANOS_PER_UNIT)
    return {
        "ContractCommitmentBenefitCategory": "Discount", "ContractCommitmentDiscountPercentage": scaled,
    }  # fmt: skip


def _applicability(term: SpendTerm, tenant: str, context: Context) -> str:
    """Which charges count: of the tenant, and of every list that the term names. Labels are beyond the schema."""
    of = term.applies_to
    if of.labels or of.rates:
        return json.dumps({"IsComplexScope": True})
    services = service_names(context.tiers)
    lists: dict[str, Sequence[str]] = {
        "SubAccountId": [tenant],
        "BillingAccountId": of.cost_centres,
        "ServiceName": [services.get(tier, tier) for tier in of.tiers],
        "x_Metric": of.metrics,
    }
    return _inclusions({name: values for name, values in lists.items() if values})


def _inclusions(dimensions: Mapping[str, Sequence[str]]) -> str:
    rules = [
        {"Dimension": name, "Operator": "In", "Values": [str(value) for value in values]}
        for name, values in dimensions.items()
    ]
    return json.dumps({"InclusionOperator": "And", "Inclusions": rules}, ensure_ascii=False)
