"""Billing periods: calendar months in a time zone."""

import re
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from catalog.base import Value
from chargeback.instants import start_of_day, zone

TimeZone = Annotated[str, AfterValidator(lambda name: zone(name).key)]
"""An IANA time zone name that this system knows."""

FIRST_YEAR, LAST_YEAR = 1970, 9998

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


class BillingPeriod(Value):
    """A calendar month as a time zone's clocks show it, so 743 or 745 hours where they change."""

    year: Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
    month: Annotated[int, Field(ge=1, le=12)]
    time_zone: TimeZone

    @classmethod
    def parse(cls, text: str, time_zone: str) -> Self:
        """The month of a text like ``2026-10``. Raises ValueError."""
        match = _MONTH.fullmatch(text)
        if match is None:
            msg = f"'{text}' is no month; write it like 2026-10"
            raise ValueError(msg)
        if not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
            msg = f"'{text}' cannot be billed; give a month from {FIRST_YEAR}-01 to {LAST_YEAR}-12"
            raise ValueError(msg)
        return cls(year=int(match[1]), month=int(match[2]), time_zone=time_zone)

    @cached_property
    def t_from(self) -> int:
        """Its first second."""
        return start_of_day(date(self.year, self.month, 1), zone(self.time_zone))

    @cached_property
    def t_to(self) -> int:
        """The first second after it."""
        return self.next.t_from

    @classmethod
    def of(cls, at: int, time_zone: str) -> Self:
        """The month that contains a moment (UTC seconds)."""
        local = datetime.fromtimestamp(at, zone(time_zone))
        return cls(year=local.year, month=local.month, time_zone=time_zone)

    @property
    def next(self) -> "BillingPeriod":
        """The month after it."""
        year, month = divmod(self.year * 12 + self.month, 12)
        return BillingPeriod(year=year, month=month + 1, time_zone=self.time_zone)

    @property
    def previous(self) -> "BillingPeriod":
        """The month before it."""
        year, month = divmod(self.year * 12 + self.month - 2, 12)
        return BillingPeriod(year=year, month=month + 1, time_zone=self.time_zone)

    @property
    def hours(self) -> Fraction:
        """Its length; not always whole (Australia/Lord_Howe changes its clocks by half an hour)."""
        return Fraction(self.t_to - self.t_from, 3600)

    @property
    def name(self) -> str:
        """``2026-10``."""
        return f"{self.year:04d}-{self.month:02d}"


def months(first: BillingPeriod, count: int) -> tuple[BillingPeriod, ...]:
    """`count` months in a row, beginning with `first`."""
    found = [first][:count]
    while len(found) < count:
        found.append(found[-1].next)
    return tuple(found)
