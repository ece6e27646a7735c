"""How a row's amount is quantity x unit price in FOCUS, where every product must be exact.

A bill's quantities are exact fractions (``529 59/60`` hours), FOCUS knows decimals only, and a billed
amount is rounded to the currency's minor unit. So BilledCost is what is to be paid, PricingQuantity
is the quantity at 8 decimals, and ListCost and ContractedCost are unit price x PricingQuantity to the
last digit. What was measured stands exactly in ConsumedQuantity, in whole units and seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from chargeback.focus.columns import PRICE_DIGITS, QUANTITY_DIGITS
from chargeback.focus.units import pricing_unit
from chargeback.money import Rounding, divided

_QUANTITY = re.compile(r"(-?)(?:(\d+) )?(\d+(?:\.\d+)?|\d+/\d+)", re.ASCII)
_PRICE = re.compile(rf"\d+(\.\d{{1,{PRICE_DIGITS}}})?", re.ASCII)

PRICED = "focus_priced"
"""Under which key a row carries its prices where they do not follow from its rate."""

LUMP_UNIT = "Units"
"""What a price that is no multiple of a quantity is counted in: one of it."""


class Unreadable(ValueError):
    """A row that is not as `chargeback.statements.COLUMNS` says."""


@dataclass(frozen=True, slots=True)
class Priced:
    """The pricing columns of one row; prices and quantity are None where FOCUS wants null."""

    list_cost: Fraction
    contracted_cost: Fraction
    quantity: Fraction | None = None
    unit: str | None = None
    list_price: Fraction | None = None
    contracted_price: Fraction | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Money:
    """A row's amounts: `billed` and `listed` are exact, `minor` is the currency's smallest coin."""

    billed: Fraction
    listed: Fraction
    minor: Fraction


@lru_cache(maxsize=4096)
def number(text: str) -> Fraction:
    """The number that `money.exact_text` wrote: ``37250``, ``0.5`` or ``-529 59/60``. Raises Unreadable."""
    match = _QUANTITY.fullmatch(text)
    if match is None or ("/" in match[3]) != (match[2] is not None):
        msg = f"'{text}' is no quantity; it is written like 37250, 0.5 or 529 59/60"
        raise Unreadable(msg)
    size = Fraction(match[3]) + int(match[2] or 0)
    return -size if match[1] else size


def money(row: Mapping[str, str | int]) -> Money:
    """The amounts of a row. Raises Unreadable where text and minor units differ."""
    text = str(row["amount"])
    scale = 10 ** len(text.partition(".")[2])
    billed = Fraction(int(row["amount_minor"]), scale)
    if number(text) != billed:
        msg = f"line {row['line']}: amount {text} is not {row['amount_minor']} minor units; export it anew"
        raise Unreadable(msg)
    return Money(billed, Fraction(int(row["list_amount_minor"]), scale), Fraction(1, scale))


def priced(row: Mapping[str, Any], amounts: Money) -> Priced:
    """Unit prices, quantity and the costs that are their products.

    Credits, adjustments and taxes have no price. A usage or purchase whose rate is one number is
    quantity x rate; any other (graduated prices, minimums, ...) is one unit of its amount.
    """
    if PRICED in row:
        found: Priced = row[PRICED]
        return found
    category = row["charge_category"]
    if category not in {"Usage", "Purchase"}:
        listed = amounts.billed if category == "Credit" else amounts.listed
        return Priced(listed, amounts.billed)
    return _multiplied(row, amounts) or _lump(row, amounts)


def _multiplied(row: Mapping[str, str | int], amounts: Money) -> Priced | None:
    rate, text = str(row["rate"]), str(row["quantity"])
    if not _PRICE.fullmatch(rate) or not _QUANTITY.fullmatch(text):
        return None
    price, exact = Fraction(rate), number(text)
    # A line is rounded once; a correction is the difference of two that were.
    slack = amounts.minor if row["charge_class"] else amounts.minor * Fraction(1, 2)
    of_list = abs(price * exact - amounts.listed) <= slack
    of_bill = abs(price * exact - amounts.billed) <= slack
    quantity = at_quantity_digits(exact)
    if not (of_list or of_bill) or (quantity == 0 and not (of_list and of_bill)):
        return None
    list_price = price if of_list else _at(amounts.listed * _inverse(quantity), PRICE_DIGITS)
    contracted = price if of_bill else _at(amounts.billed * _inverse(quantity), PRICE_DIGITS)
    if list_price < 0 or contracted < 0:
        return None
    return Priced(
        list_price * quantity, contracted * quantity, quantity, pricing_unit(str(row["unit"])),
        list_price, contracted, "Standard",
    )  # fmt: skip


def _lump(row: Mapping[str, str | int], amounts: Money) -> Priced:
    signs = {amount > 0 for amount in (amounts.listed, amounts.billed) if amount}
    if len(signs) > 1:
        msg = (
            f"line {row['line']}: list amount {amounts.listed} and amount {amounts.billed} have different "
            "signs, and no price that is not negative gives both; book the difference as a credit"
        )
        raise Unreadable(msg)
    quantity = Fraction(-1 if signs == {False} else 1)
    return Priced(
        amounts.listed, amounts.billed, quantity, LUMP_UNIT, abs(amounts.listed), abs(amounts.billed),
        "Other",
    )  # fmt: skip


def _inverse(value: Fraction) -> Fraction:
    return Fraction(value.denominator, value.numerator)


def at_quantity_digits(exact: Fraction) -> Fraction:
    """A quantity as its column keeps it, at 8 decimals."""
    return _at(exact, QUANTITY_DIGITS)


def at_price_digits(exact: Fraction) -> Fraction:
    """A unit price as its column keeps it, at 9 decimals."""
    return _at(exact, PRICE_DIGITS)


def _at(value: Fraction, digits: int) -> Fraction:
    """`value` at so many decimals; unchanged where it has no more."""
    scaled = divided(value.numerator * 10**digits, value.denominator, Rounding.HALF_EVEN)
    return Fraction(scaled, 10**digits)
