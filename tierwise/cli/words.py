"""Amounts and money in the words of the command line."""

import getpass
import os
import re
import textwrap
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from catalog.resources import Resources
    from chargeback.quotes import Quote
    from chargeback.rate_cards import RateCard


def amounts(resources: "Resources") -> str:
    """``8 vCPU, 64 GiB memory, 500 GiB disk``."""
    return ", ".join(_amount(rc, n) for rc, n in resources.as_mapping().items())


def _amount(resource_class: str, amount: int) -> str:
    from catalog.units import format_amount, noun

    text, thing = format_amount(resource_class, amount), noun(resource_class)
    return text if text.endswith(thing) else f"{text} {thing}"


def money(minor: int, card: "RateCard") -> str:
    """``EUR 318,204.17``."""
    from chargeback.money import spelled

    return spelled(minor, card.minor_digits, card.currency)


def price_formula(quote: "Quote") -> str:
    """``(8 vcpu x 0.0180/h + 64 GiB x 0.0042/h ...) x 720 h``; each product is rounded once.

    Where a rate changes on the way, each product names its own hours.
    """
    if not all(line.is_hourly for line in quote.lines):
        return " + ".join(line.formula for line in quote.lines)
    parts = [f"{line.quantity} {line.unit} x {line.rate}/h" for line in quote.lines]
    if all(line.seconds == quote.t_to - quote.t_from for line in quote.lines):
        return f"({' + '.join(parts)}) x {(quote.t_to - quote.t_from) // 3600} h"
    return " + ".join(f"{part} x {line.hours} h" for part, line in zip(parts, quote.lines, strict=True))


def requester() -> str:
    """The operating system's user; its number where it has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def must_be_known(what: str, wanted: str | None, names: "Iterable[str]") -> None:
    """Raises InvalidInput, with the closest known name, where `wanted` is given and not among the names."""
    from catalog.wording import known_names
    from tierwise.errors import InvalidInput

    known = list(names)
    if wanted is not None and wanted not in known:
        msg = f"there is no {what} '{wanted}'; {known_names(wanted, known)}"
        raise InvalidInput(msg)


def check_month(month: str) -> None:
    """Raises InvalidInput unless it is written like ``2026-10``."""
    from tierwise.errors import InvalidInput

    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month, re.ASCII):
        msg = f"'{month}' is no month; write it like 2026-10"
        raise InvalidInput(msg)


def day(at: int, zone: str, *, year: bool = False) -> str:
    """A moment by the clocks of a time zone: ``12 Sep``, ``18 Oct 04:00``."""
    moment = datetime.fromtimestamp(at, ZoneInfo(zone))
    text = f"{moment.day} {moment:%b}{f' {moment.year}' if year else ''}"
    return text if (moment.hour, moment.minute, moment.second) == (0, 0, 0) else f"{text} {moment:%H:%M}"


def micros(value: int, card: "RateCard") -> str:
    """Micro-units as money: ``EUR 412.60``, rounded to the currency's digits."""
    from chargeback.money import round_to_minor

    return money(round_to_minor(Fraction(value * 1000), card.minor_digits, card.rounding), card)


def bullets(texts: "Iterable[str]", width: int = 86) -> "Iterator[str]":
    """Each text as a list item, broken so that a terminal of 100 columns does not break it again."""
    for text in texts:
        yield from textwrap.wrap(
            text, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
