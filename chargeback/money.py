"""Exact money: integer nano-units up to the statement line, integer minor units from there on.

A nano-unit is 10**-9 of the currency's unit. Nothing here is a float: amounts are `int` or
`Fraction`, and `divided` is the only function of the product that rounds money.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction

NANO_DIGITS = 9
NANOS_PER_UNIT = 10**NANO_DIGITS

_DECIMAL = re.compile(r"([+-]?)(\d{1,30})(?:\.(\d{1,60}))?", re.ASCII)


class Rounding(StrEnum):
    """What becomes of an amount that lies exactly between two minor units.

    `HALF_UP` goes away from zero (a credit of 0.005 is -0.01), `HALF_EVEN` to the even neighbour.
    """

    HALF_UP = "half-up"
    HALF_EVEN = "half-even"


class InvalidMoney(ValueError):
    """A text that is not an exact amount of money."""


def nanos_from_text(text: str) -> int:
    """The nano-units of a plain decimal such as ``0.0042``.

    Raises InvalidMoney for anything but digits with at most one point and one sign, and for more
    than 9 decimals (trailing zeros do not count).
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        msg = "must be a plain decimal number with a point, like 0.0042"
        raise InvalidMoney(msg)
    sign, whole, decimals = match[1], match[2], (match[3] or "").rstrip("0")
    if len(decimals) > NANO_DIGITS:
        msg = f"has {len(decimals)} decimals; prices are kept exactly to {NANO_DIGITS}, round it yourself"
        raise InvalidMoney(msg)
    nanos = int(whole + decimals.ljust(NANO_DIGITS, "0"))
    return -nanos if sign == "-" else nanos


def nanos_to_text(nanos: int) -> str:
    """The shortest exact decimal of an amount in nano-units."""
    return exact_text(Fraction(nanos, NANOS_PER_UNIT))


def exact_text(value: Fraction) -> str:
    """`value` as a decimal where that is finite, else like ``529 59/60``; never rounded.

    A spreadsheet reads ``0 1/3`` as a third, and would read ``1/3`` as a day in March.
    """
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        whole, part = divmod(abs(value.numerator), value.denominator)
        return f"{'-' if value < 0 else ''}{whole} {part}/{value.denominator}"
    digits = max(twos, fives)
    # Exact: the denominator divides 10**digits.
    return _point(value.numerator * int(10**digits) // value.denominator, digits)


def divided(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator` over `denominator` (> 0), rounded to the nearest whole number.

    The one place where money is rounded.
    """
    whole, rest = divmod(abs(numerator), denominator)
    up = whole % 2 == 1 if rounding is Rounding.HALF_EVEN else True
    if 2 * rest > denominator or (2 * rest == denominator and up):
        whole += 1
    return -whole if numerator < 0 else whole


def round_to_minor(nanos: Fraction | tuple[int, int], minor_digits: int, rounding: Rounding) -> int:
    """An exact amount in nano-units, as a `Fraction` or (numerator, denominator), in minor units.

    `minor_digits` is how many decimals the currency is paid in: 2 gives cents, 0 whole units.
    """
    amount = nanos if isinstance(nanos, Fraction) else Fraction(*nanos)
    return divided(amount.numerator * 10**minor_digits, amount.denominator * NANOS_PER_UNIT, rounding)


def format_minor(amount_minor: int, minor_digits: int, currency: str = "") -> str:
    """An amount in minor units with all its decimals, and its currency if given: ``EUR 61.37``."""
    text = _point(amount_minor, minor_digits)
    return f"{currency} {text}" if currency else text


def spelled(minor: int, digits: int, currency: str = "") -> str:
    """An amount in minor units for people: ``EUR 1,234.50``."""
    whole, point, rest = format_minor(abs(minor), digits).partition(".")
    text = f"{'-' if minor < 0 else ''}{int(whole):,}{point}{rest}"
    return f"{currency} {text}" if currency else text


def split(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts proportional to `weights`; the parts add up to `total` exactly.

    By largest remainder; of equal remainders the earlier part gets the unit. Raises ValueError for a
    negative weight, and where there is something to split but no weight above zero.
    """
    if any(weight < 0 for weight in weights):
        msg = f"weights must not be negative: {min(weights)}"
        raise ValueError(msg)
    if not any(weights):
        if total:
            msg = f"cannot split {total}: no weight is above zero"
            raise ValueError(msg)
        return [0] * len(weights)
    together = sum(weights)
    shares = [divmod(abs(total) * weight, together) for weight in weights]
    parts = [whole for whole, _ in shares]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-shares[i][1], i))
    for i in by_remainder[: abs(total) - sum(parts)]:
        parts[i] += 1
    return [-part for part in parts] if total < 0 else parts


def _point(scaled: int, digits: int) -> str:
    sign, text = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else f"{sign}{text}"
