"""Numbers of a FOCUS file as exact fractions, and the products of price and quantity that costs must be."""

from fractions import Fraction
from functools import cache

import numpy as np
import pyarrow as pa

from chargeback.focus.rules.frame import Column, Frame, Mask

_EXACT_DIGITS = 6
"""A cost with fewer decimals than this was rounded by nobody who multiplies: it must be the product."""

_BINARY_SLACK = Fraction(1, 10**9)


def parsed(text: str | None) -> Fraction | None:
    """The number of a text, None where it is none."""
    if text is None or "/" in text or "_" in text:
        return None
    try:
        return Fraction(text)
    except ValueError:
        return None


def wrong_products(frame: Frame, price: str, quantity: str, cost: str) -> Mask:
    """Where all three are numbers and cost is not price x quantity, to the precision that the cost has."""
    columns = [frame[name] for name in (price, quantity, cost)]
    numbers = [[parsed(text) for text in column.values] for column in columns]
    slack = [_slack(columns[2], text) for text in columns[2].values]

    @cache
    def wrong(of_price: int, of_quantity: int, of_cost: int) -> bool:
        unit, times, whole = numbers[0][of_price], numbers[1][of_quantity], numbers[2][of_cost]
        if unit is None or times is None or whole is None:
            return False
        return abs(unit * times - whole) > slack[of_cost]

    codes = [column.codes.tolist() for column in columns]
    return np.array([wrong(*triple) for triple in zip(*codes, strict=True)], bool)


def unequal(frame: Frame, one: str, other: str) -> Mask:
    """Where both are numbers and differ."""
    left, right = frame[one], frame[other]
    ours, theirs = [parsed(text) for text in left.values], [parsed(text) for text in right.values]

    @cache
    def differ(here: int, there: int) -> bool:
        return None not in {ours[here], theirs[there]} and ours[here] != theirs[there]

    codes = zip(left.codes.tolist(), right.codes.tolist(), strict=True)
    return np.array([differ(*pair) for pair in codes], bool)


def _slack(cost: Column, text: str | None) -> Fraction:
    """Half of the last decimal that the cost is kept to; nothing where few are written, as people do."""
    number = parsed(text)
    if number is None or text is None:
        return Fraction(0)
    if cost.kind is not None and pa.types.is_floating(cost.kind):
        return max(abs(number), Fraction(1)) * _BINARY_SLACK
    if cost.kind is not None and pa.types.is_decimal(cost.kind):
        return Fraction(1, 2 * 10**cost.kind.scale)
    mantissa, _, exponent = text.upper().partition("E")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return Fraction(1, 2 * 10**digits) if digits >= _EXACT_DIGITS else Fraction(0)
