"""Charges: aggregated usage with the one rate that prices it, exact until it becomes a line."""

from dataclasses import dataclass
from fractions import Fraction

from chargeback.money import round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import HOUR_S, Rate, RateCard


@dataclass(frozen=True, slots=True)
class Charge:
    """What one rate charges a tenant for one period, or one of its machines where `machine` is set.

    `quantity_seconds` is the sum of quantity x seconds in the metric's unit, `seconds` the time that
    machines spent having it: two machines for an hour make 7200. `t_from` and `t_to` are the ends of
    the time in which the rate was in force in the period. `pool` and `labels` are those of the machine
    while it had this; empty for a charge of many machines.
    """

    period: BillingPeriod
    tenant: str
    cost_centre: str
    tier: str
    machine: str | None
    rate: Rate
    quantity_seconds: int
    seconds: int
    t_from: int
    t_to: int
    pool: str = ""
    labels: str = ""

    @property
    def amount_nanos(self) -> Fraction:
        """The exact amount in nano-units of the currency."""
        return exact_nanos(self.rate, self.quantity_seconds)


def exact_nanos(rate: Rate, quantity_seconds: int) -> Fraction:
    """What `quantity_seconds` of the rate's metric cost, exactly, in nano-units."""
    return Fraction(rate.rate_nanos * quantity_seconds, rate.unit_seconds)


def amount_minor(rate: Rate, quantity_seconds: int, card: RateCard) -> int:
    """What one line of a quote or a statement shows: rounded once, by the card's rule."""
    return round_to_minor(exact_nanos(rate, quantity_seconds), card.minor_digits, card.rounding)


def priced_quantity(rate: Rate, quantity_seconds: int) -> Fraction:
    """The quantity in the rate's unit: GiB-hours, vcpu-hours."""
    return Fraction(quantity_seconds, rate.unit_seconds)


def hours(seconds: int) -> Fraction:
    """Seconds as hours, exactly."""
    return Fraction(seconds, HOUR_S)
