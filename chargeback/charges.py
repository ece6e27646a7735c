"""Charges: aggregated usage with the one rate that prices it, exact until it becomes a line."""

from dataclasses import dataclass
from fractions import Fraction

from chargeback.money import round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import HOUR_S, Basis, Rate, RateCard
from chargeback.shape import Step

_STEPS_IN_A_NOTE = 6


@dataclass(frozen=True, slots=True)
class Charge:
    """What one rate charges a tenant for one period, or one of its machines where `machine` is set.

    `quantity_seconds` is the sum of quantity x seconds in the metric's unit, `seconds` the time that
    machines spent having it: two machines for an hour make 7200. What is paid once has its count as
    `quantity_seconds`, and 0 seconds. `t_from` and `t_to` are the ends of the time in which the rate
    was in force in the period. `pool` and `labels` are those of the machine while it had this; empty
    for a charge of many machines. `per_s` is how long the time of the rate's price is in this period.

    Where the price is not quantity x rate, `nanos` is the exact amount, `steps` are its terms, and
    `minor` is the rounded amount if a price was split over several charges, so that they add up to it.
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
    per_s: int = HOUR_S
    nanos: Fraction | None = None
    minor: int | None = None
    steps: tuple[Step, ...] = ()

    @property
    def unit_seconds(self) -> int:
        """How many quantity-seconds one priced unit is in this period."""
        return self.rate.unit_amount * self.per_s

    @property
    def quantity(self) -> Fraction:
        """The quantity in the rate's unit: GiB-hours, vcpu-months, machines."""
        return Fraction(self.quantity_seconds, self.unit_seconds)

    @property
    def amount_nanos(self) -> Fraction:
        """The exact amount in nano-units of the currency."""
        return (
            exact_nanos(self.rate, self.quantity_seconds, self.per_s) if self.nanos is None else self.nanos
        )

    def rounded(self, card: RateCard) -> int:
        """The amount in minor units: rounded once, by the card's rule."""
        if self.minor is not None:
            return self.minor
        return round_to_minor(self.amount_nanos, card.minor_digits, card.rounding)

    @property
    def note(self) -> str:
        """The basis if it is not allocation, and the terms of an amount that is not quantity x rate."""
        basis = [] if self.rate.basis is Basis.ALLOCATION else [f"basis {self.rate.basis}"]
        texts = [step.text for step in self.steps[:_STEPS_IN_A_NOTE]]
        more = len(self.steps) - len(texts)
        return "; ".join([*basis, *texts, *([f"and {more} more"] if more > 0 else [])])


def exact_nanos(rate: Rate, quantity_seconds: int, per_s: int = HOUR_S) -> Fraction:
    """What `quantity_seconds` of a unit rate's metric cost, exactly, in nano-units."""
    return Fraction(rate.rate_nanos * quantity_seconds, rate.unit_amount * per_s)


def amount_minor(rate: Rate, quantity_seconds: int, card: RateCard, per_s: int = HOUR_S) -> int:
    """What one line of a quote or a statement shows by a unit rate: rounded once, by the card's rule."""
    return round_to_minor(exact_nanos(rate, quantity_seconds, per_s), card.minor_digits, card.rounding)


def priced_quantity(rate: Rate, quantity_seconds: int, per_s: int = HOUR_S) -> Fraction:
    """The quantity in the rate's unit: GiB-hours, vcpu-hours."""
    return Fraction(quantity_seconds, rate.unit_amount * per_s)


def hours(seconds: int) -> Fraction:
    """Seconds as hours, exactly."""
    return Fraction(seconds, HOUR_S)
