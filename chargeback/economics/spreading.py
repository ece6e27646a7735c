"""Prices and purchases spread over months, and the conventions that amounts are converted by."""

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

from chargeback.economics.figures import Figure
from chargeback.economics.trace import (
    NOTHING,
    Factor,
    Line,
    Part,
    Recurring,
    Span,
    Use,
    month_number,
    resolved,
)

HOURS_PER_MONTH = 730
"""8,760 hours over twelve months: what power is counted for."""

KILO = Factor("watts in a kilowatt", Fraction(1000), divides=True)
HUNDRED = Factor("hundredths", Fraction(100), divides=True)
GIB_PER_TIB = Factor("GiB in a TiB", Fraction(1024), divides=True)
HOURS = Factor("hours in a month", Fraction(HOURS_PER_MONTH))


def nothing(term: str, part: str, why: str) -> Recurring:
    """What the document has no price for, so that whoever reads the lines sees that it counts as nothing."""
    return Recurring(term, part, f"{why}: counted as nothing", (NOTHING,))


def written_off(
    term: str,
    part: str,
    what: str,
    price: Sequence[Part],
    life: Use,
    span: Span,
    bought_on: date,
    region: str | None,
) -> Iterator[Line]:
    """What of a purchase is written off in the span, by the price and life of the day when it was bought."""
    over = int(life.on(bought_on, region).value)
    gone = month_number(span.start) - month_number(bought_on)
    begin, end = (min(over, max(0, n)) for n in (gone, gone + span.months))
    if begin < end:
        note = f"bought {bought_on}: months {begin + 1} to {end} of {over}"
        yield Line(
            term,
            part,
            what,
            resolved(price, bought_on, region),
            span.start,
            begin,
            end,
            over,
            note,
            purchase=True,
        )


def priced(
    term: str,
    part: str,
    what: str,
    at: str,
    monthly: Figure | None,
    yearly: Figure | None = None,
    *,
    field: str = "per_month",
    per_year: str = "per_year",
) -> Iterator[Recurring]:
    """What a price per month, and one per year, come to."""
    if monthly is not None:
        yield Recurring(term, part, what, (Use(f"{at}.{field}", monthly, "per month"),))
    if yearly is not None:
        yield Recurring(term, part, what, (Use(f"{at}.{per_year}", yearly, "per year"),), 12)
