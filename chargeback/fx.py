"""Dated exchange rates: from a rate card's currency to the one that a tenant is billed in.

A line is converted on its exact amount and rounded once, in the currency that is paid.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from typing import Annotated, Protocol, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from catalog.base import Name, Value
from catalog.wording import counted
from chargeback.adjustment import Inapplicable, Month, Nanos, within
from chargeback.focus.vocabulary import known_currency
from chargeback.instants import EpochSeconds, zone
from chargeback.json_forms import ABOVE_ZERO
from chargeback.money import NANOS_PER_UNIT, Rounding, exact_text, nanos_to_text, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import Currency, RateCard

AGE_MAX_DAYS = 31


class FxDay(StrEnum):
    """Of which day of the month the exchange rate is, in the rate card's time zone."""

    PERIOD_START = "period-start"
    PERIOD_END = "period-end"


class MissingFxRate(Inapplicable):
    """There is no exchange rate of the day that is needed; the message names it."""


class FxRate(Value):
    """What one unit of the card's currency was worth on a day, in billionths of the billed one.

    Of two rates of one day the later recorded one counts from then on.
    """

    day: date
    rate: Annotated[
        Nanos, within(1, 10**9 * NANOS_PER_UNIT, "above 0 and at most 10^9"), WithJsonSchema(ABOVE_ZERO)
    ]
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    recorded_at: EpochSeconds


class _Dated(Protocol):
    """What has rates of days from one currency to another, and says of which day one is used."""

    @property
    def name(self) -> str: ...
    @property
    def from_currency(self) -> str: ...
    @property
    def to_currency(self) -> str: ...
    @property
    def use_rate_of(self) -> FxDay: ...
    @property
    def max_age_days(self) -> int: ...
    @property
    def rates(self) -> tuple[FxRate, ...]: ...


def conversion_of(dated: _Dated, period: BillingPeriod, known_at: int) -> "Conversion":
    """The exchange rate for a month, as known then. Raises MissingFxRate.

    Before a month is over there is no rate of its last day: the last one so far is used.
    """
    where = zone(period.time_zone)
    if dated.use_rate_of is FxDay.PERIOD_START:
        day, oldest = date(period.year, period.month, 1), dated.max_age_days
    elif known_at >= period.t_to:
        first = date(period.next.year, period.next.month, 1)
        day, oldest = first - timedelta(days=1), dated.max_age_days
    else:
        day, oldest = datetime.fromtimestamp(known_at, where).date(), AGE_MAX_DAYS
    found = _last(dated, day, oldest, known_at)
    if found is None:
        raise MissingFxRate(_missing(dated, day, oldest))
    return Conversion(dated.from_currency, dated.to_currency, found)


def _last(dated: _Dated, day: date, oldest: int, known_at: int) -> FxRate | None:
    known = [
        rate
        for rate in dated.rates
        if rate.recorded_at <= known_at and day - timedelta(days=oldest) <= rate.day <= day
    ]
    return max(known, key=lambda rate: (rate.day, rate.recorded_at), default=None)


def _missing(dated: _Dated, day: date, oldest: int) -> str:
    back = f" or at most {counted(oldest, 'day')} before" if oldest else ""
    return (
        f"fx '{dated.name}' has no known rate from {dated.from_currency} to {dated.to_currency} of "
        f"{day.isoformat()}{back}; add it, or allow an older one with max_age_days"
    )


def twice_recorded(rates: Iterable[FxRate]) -> str:
    """What is wrong with rates of which two are of one day and one moment; empty where none are."""
    times = Counter((rate.day, rate.recorded_at) for rate in rates)
    twice = sorted({day.isoformat() for (day, _), count in times.items() if count > 1})
    if not twice:
        return ""
    return f"two rates of {', '.join(twice)} are recorded at the same time; a correction needs a later recorded_at"


class Billing(Value):
    """Tenants that are billed in another currency than the rate card's, in certain months.

    `minor_digits` is how many decimals the billed currency is paid in. Where `use_rate_of` has no rate
    (banks set none on Sundays), the last one of at most `max_age_days` before counts.
    """

    name: Name
    from_currency: Currency
    to_currency: Annotated[Currency, AfterValidator(known_currency)]
    minor_digits: Annotated[int, Field(ge=0, le=4, strict=True)]
    tenants: Annotated[tuple[Name, ...], Field(min_length=1)]
    valid_from: Month = "1970-01"
    valid_to: Month | None = None
    use_rate_of: FxDay = FxDay.PERIOD_END
    max_age_days: Annotated[int, Field(ge=0, le=AGE_MAX_DAYS, strict=True)] = 0
    rates: Annotated[tuple[FxRate, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.from_currency == self.to_currency:
            msg = f"from_currency and to_currency are both {self.to_currency}; leave these tenants out"
            raise ValueError(msg)
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            msg = f"valid_to {self.valid_to} must be after valid_from {self.valid_from}"
            raise ValueError(msg)
        wrong = twice_recorded(self.rates)
        if wrong:
            raise ValueError(wrong)
        return self

    def valid_in(self, month: str) -> bool:
        """Whether the tenants are billed so in this month."""
        return self.valid_from <= month and (self.valid_to is None or month < self.valid_to)

    def card(self, card: RateCard) -> RateCard:
        """The card in the billed currency; its rates keep the prices of the other. Raises Inapplicable."""
        if card.currency != self.from_currency:
            msg = (
                f"fx '{self.name}' converts {self.from_currency}, but rate card {card.label} is in "
                f"{card.currency}; correct from_currency, or leave its tenants out"
            )
            raise Inapplicable(msg)
        return card.model_copy(update={"currency": self.to_currency, "minor_digits": self.minor_digits})

    def conversion(self, period: BillingPeriod, known_at: int) -> "Conversion":
        """`conversion_of` these rates."""
        return conversion_of(self, period, known_at)


@dataclass(frozen=True, slots=True)
class Conversion:
    """One exchange rate that lines are converted by."""

    from_currency: str
    to_currency: str
    fx: FxRate

    @property
    def rate_text(self) -> str:
        """The exchange rate, exactly."""
        return nanos_to_text(self.fx.rate)

    def minor(self, nanos: Fraction, minor_digits: int, rounding: Rounding) -> int:
        """An exact amount in nano-units of the card's currency, in minor units of the billed one."""
        return round_to_minor(nanos * Fraction(self.fx.rate, NANOS_PER_UNIT), minor_digits, rounding)

    def note(self, nanos: Fraction) -> str:
        """``EUR 61.372 x 1.0842 USD of 2026-10-30 (ECB)``: rounded, this is the amount."""
        exact = exact_text(nanos * Fraction(1, NANOS_PER_UNIT))
        return (
            f"{self.from_currency} {exact} x {self.rate_text} {self.to_currency} "
            f"of {self.fx.day.isoformat()} ({self.fx.source})"
        )


def twice_billed(billings: Sequence[Billing]) -> Iterable[tuple[Billing, str]]:
    """The tenants for which two entries would hold in one month, with the later entry."""
    for one, other in combinations(billings, 2):
        overlap = (other.valid_to is None or one.valid_from < other.valid_to) and (
            one.valid_to is None or other.valid_from < one.valid_to
        )
        for tenant in sorted(set(one.tenants) & set(other.tenants)) if overlap else ():
            yield (
                other,
                f"tenant {tenant} has fx '{one.name}' already in some of these months; end one with valid_to",
            )
