"""The columns of Cost and Usage that are exported, in FOCUS 1.2 to 1.4, and Arrow columns of exact numbers.

Money and quantities are decimals of 38 digits, never binary numbers: a unit price has 9 decimals, a
quantity 8, and a cost 17, so that price x quantity is a cost without rounding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

import pyarrow as pa

PRICE_DIGITS = 9
QUANTITY_DIGITS = 8
COST_DIGITS = PRICE_DIGITS + QUANTITY_DIGITS

_DIGITS = 38
_BYTES = 16


class Version(StrEnum):
    """The releases of FOCUS that are written."""

    V1_2 = "1.2"
    V1_3 = "1.3"
    V1_4 = "1.4"


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    JSON = "json"
    MOMENT = "moment"
    PRICE = "price"
    QUANTITY = "quantity"
    COST = "cost"


SCALES: Mapping[Kind, int] = {
    Kind.PRICE: PRICE_DIGITS,
    Kind.QUANTITY: QUANTITY_DIGITS,
    Kind.COST: COST_DIGITS,
}
"""Decimals of each kind of number."""


class Column(NamedTuple):
    """A column, and the versions that have it."""

    name: str
    kind: Kind
    versions: tuple[Version, ...] = tuple(Version)


_12_13, _13_14, _14 = (Version.V1_2, Version.V1_3), (Version.V1_3, Version.V1_4), (Version.V1_4,)

COLUMNS = (
    Column("BillingAccountId", Kind.TEXT),
    Column("BillingAccountName", Kind.TEXT),
    Column("BillingAccountType", Kind.TEXT),
    Column("SubAccountId", Kind.TEXT),
    Column("SubAccountName", Kind.TEXT),
    Column("SubAccountType", Kind.TEXT),
    Column("InvoiceId", Kind.TEXT),
    Column("InvoiceDetailId", Kind.TEXT, _14),
    Column("InvoiceIssuerName", Kind.TEXT),
    Column("ProviderName", Kind.TEXT, _12_13),
    Column("PublisherName", Kind.TEXT, _12_13),
    Column("ServiceProviderName", Kind.TEXT, _13_14),
    Column("HostProviderName", Kind.TEXT, _13_14),
    Column("BillingCurrency", Kind.TEXT),
    Column("PricingCurrency", Kind.TEXT),
    Column("BillingPeriodStart", Kind.MOMENT),
    Column("BillingPeriodEnd", Kind.MOMENT),
    Column("ChargePeriodStart", Kind.MOMENT),
    Column("ChargePeriodEnd", Kind.MOMENT),
    Column("ChargeCategory", Kind.TEXT),
    Column("ChargeClass", Kind.TEXT),
    Column("ChargeFrequency", Kind.TEXT),
    Column("ChargeDescription", Kind.TEXT),
    Column("BilledCost", Kind.COST),
    Column("EffectiveCost", Kind.COST),
    Column("ListCost", Kind.COST),
    Column("ContractedCost", Kind.COST),
    Column("PricingCategory", Kind.TEXT),
    Column("PricingQuantity", Kind.QUANTITY),
    Column("PricingUnit", Kind.TEXT),
    Column("ListUnitPrice", Kind.PRICE),
    Column("ContractedUnitPrice", Kind.PRICE),
    Column("PricingCurrencyListUnitPrice", Kind.PRICE),
    Column("PricingCurrencyContractedUnitPrice", Kind.PRICE),
    Column("PricingCurrencyEffectiveCost", Kind.COST),
    Column("CommitmentDiscountId", Kind.TEXT),
    Column("CommitmentDiscountName", Kind.TEXT),
    Column("CommitmentDiscountCategory", Kind.TEXT),
    Column("CommitmentDiscountType", Kind.TEXT),
    Column("CommitmentDiscountStatus", Kind.TEXT),
    Column("CommitmentDiscountQuantity", Kind.QUANTITY),
    Column("CommitmentDiscountUnit", Kind.TEXT),
    Column("ContractApplied", Kind.JSON, _13_14),
    Column("ConsumedQuantity", Kind.QUANTITY),
    Column("ConsumedUnit", Kind.TEXT),
    Column("ServiceCategory", Kind.TEXT),
    Column("ServiceSubcategory", Kind.TEXT),
    Column("ServiceName", Kind.TEXT),
    Column("SkuId", Kind.TEXT),
    Column("SkuMeter", Kind.TEXT),
    Column("SkuPriceId", Kind.TEXT),
    Column("SkuPriceDetails", Kind.JSON),
    Column("ResourceId", Kind.TEXT),
    Column("ResourceName", Kind.TEXT),
    Column("ResourceType", Kind.TEXT),
    Column("RegionId", Kind.TEXT),
    Column("RegionName", Kind.TEXT),
    Column("AvailabilityZone", Kind.TEXT),
    Column("AllocatedMethodId", Kind.TEXT, _13_14),
    Column("AllocatedMethodDetails", Kind.JSON, _13_14),
    Column("AllocatedResourceId", Kind.TEXT, _13_14),
    Column("AllocatedResourceName", Kind.TEXT, _13_14),
    Column("AllocatedTags", Kind.JSON, _13_14),
    Column("Tags", Kind.JSON),
    Column("x_LineId", Kind.TEXT),
    Column("x_CorrectsLineId", Kind.TEXT),
    Column("x_ExactQuantity", Kind.TEXT),
    Column("x_Metric", Kind.TEXT),
    Column("x_Hypervisor", Kind.TEXT),
)
"""All columns: FOCUS's own, then ours, which begin with ``x_``."""


def columns(version: Version) -> tuple[Column, ...]:
    """Those that `version` has, in the order in which they are written: by name in 1.4, ours last."""
    found = tuple(column for column in COLUMNS if version in column.versions)
    if version is not Version.V1_4:
        return found
    return tuple(sorted(found, key=lambda column: (column.name.startswith("x_"), column.name)))


def arrow_type(kind: Kind) -> Any:
    """Exact and typed: decimal128, or a UTC moment to the second, or text."""
    if kind in SCALES:
        return pa.decimal128(_DIGITS, SCALES[kind])
    return pa.timestamp("s", tz="UTC") if kind is Kind.MOMENT else pa.string()


class DoesNotFit(ValueError):
    """A number with more digits than its column has."""


def array(kind: Kind, values: Sequence[Any]) -> Any:
    """A column of texts, epoch seconds or `Fraction`s (None: null).

    Raises DoesNotFit for a number that would have to be rounded, or has too many digits.
    """
    if kind in SCALES:
        return _decimals(values, SCALES[kind])
    return pa.array(values, arrow_type(kind))


def _decimals(values: Sequence[Fraction | None], digits: int) -> Any:
    """Built from the integers themselves, so that nothing in between can round."""
    scaled = [None if value is None else _scaled(value, digits) for value in values]
    numbers = b"".join((value or 0).to_bytes(_BYTES, "little", signed=True) for value in scaled)
    valid = pa.array([value is not None for value in scaled], pa.bool_()).buffers()[1]
    buffers = [valid, pa.py_buffer(numbers)]
    return pa.Array.from_buffers(pa.decimal128(_DIGITS, digits), len(scaled), buffers)


def _scaled(value: Fraction, digits: int) -> int:
    whole, rest = divmod(value.numerator * 10**digits, value.denominator)
    if rest:
        msg = f"{value} has more than {digits} decimals"
        raise DoesNotFit(msg)
    if abs(whole) >= 10**_DIGITS:
        msg = f"{value} has more than {_DIGITS - digits} digits before the point"
        raise DoesNotFit(msg)
    return int(whole)


def table(
    version: Version, rows: Iterable[Mapping[str, Any]], make: Callable[[Any], Mapping[str, Any]]
) -> Any:
    """The Arrow table of `make(row)` for each row; a column that it does not name is null."""
    made = [make(row) for row in rows]
    fields = columns(version)
    arrays = [array(field.kind, [values.get(field.name) for values in made]) for field in fields]
    schema = pa.schema([pa.field(field.name, arrow_type(field.kind)) for field in fields])
    return pa.Table.from_arrays(arrays, schema=schema)
