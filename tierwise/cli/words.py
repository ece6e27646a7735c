"""Amounts and money in the words of the command line."""

import getpass
import textwrap
from fractions import Fraction
from typing import TYPE_CHECKING

from catalog.resources import Resources
from catalog.units import format_amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chargeback.quotes import Quote
    from chargeback.rate_cards import RateCard


def amounts(resources: Resources) -> str:
    """``8 vCPU, 64 GiB memory, 500 GiB disk``."""
    return ", ".join(format_amount(rc, n) for rc, n in resources.as_mapping().items())


def money(minor: int, card: "RateCard") -> str:
    """``EUR 318,204.17``."""
    from chargeback.money import format_minor  # noqa: PLC0415 - keeps --help quick

    whole, point, rest = format_minor(minor, card.minor_digits).partition(".")
    return f"{card.currency} {int(whole):,}{point}{rest}" if int(whole) else f"{card.currency} {whole}{point}{rest}"


def price_formula(quote: "Quote", card: "RateCard") -> str:
    """``8 vCPU x 0.0180/h + 64 GiB x 0.0042/h ... (rate card acme-eur v3)``."""
    parts = " + ".join(f"{line.quantity} {line.unit} x {line.rate}/h" for line in quote.lines)
    return f"{parts} (rate card {card.label})"


def requester() -> str:
    """The operating system's user."""
    return getpass.getuser()


def micros(value: int, card: "RateCard") -> str:
    """Micro-units as money: ``EUR 412.60``, rounded to the currency's digits."""
    from chargeback.money import round_to_minor  # noqa: PLC0415 - as above

    return money(round_to_minor(Fraction(value * 1000), card.minor_digits, card.rounding), card)


def bullets(texts: "Iterable[str]", width: int = 86) -> "Iterator[str]":
    """Each text as a list item, broken so that a terminal of 100 columns does not break it again."""
    for text in texts:
        yield from textwrap.wrap(
            text, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
