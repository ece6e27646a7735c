"""What a machine will cost, before it is ordered, by the code that prices its statement later."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.resources import ResourceClass, Resources
from chargeback.charges import amount_minor, hours, priced_quantity
from chargeback.instants import END_OF_TIME_S, epoch_s, utc_text
from chargeback.money import Rounding, exact_text, format_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import HOUR_S, MissingRate, Rate, RateCard, Segment
from chargeback.usage import Metric

Int64 = npt.NDArray[np.int64]

NANOS_PER_MICRO = 1000


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """What one rate charges for one metric: quantity x hours x rate, rounded like a statement's line."""

    priced_by: Rate
    amount_of_metric: int
    seconds: int
    amount_minor: int

    @property
    def quantity(self) -> str:
        """How much, in `unit`: ``64``."""
        return exact_text(Fraction(self.amount_of_metric, self.priced_by.unit_amount))

    @property
    def unit(self) -> str:
        """What the quantity counts: ``GiB``, ``vcpu``."""
        return self.priced_by.unit.removesuffix("-hour")

    @property
    def hours(self) -> str:
        """For how long."""
        return exact_text(hours(self.seconds))

    @property
    def rate(self) -> str:
        """The price of one unit for an hour, exactly."""
        return self.priced_by.price_text

    @property
    def unit_hours(self) -> str:
        """Quantity x hours: what the statement shows as its quantity."""
        return exact_text(priced_quantity(self.priced_by, self.amount_of_metric * self.seconds))


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one machine in one tier over [t_from, t_to); the total is the sum of the lines."""

    tier: str
    card: RateCard
    t_from: int
    t_to: int
    lines: tuple[QuoteLine, ...]

    @property
    def total_minor(self) -> int:
        """In minor units of the card's currency."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def total(self) -> str:
        """``EUR 412.60``."""
        return format_minor(self.total_minor, self.card.minor_digits, self.card.currency)


def price(
    resources: Resources,
    tier: str,
    card: RateCard,
    *,
    at: int | datetime | None = None,
    hours: int = 720,
    period: BillingPeriod | None = None,
    known_at: int = END_OF_TIME_S,
) -> Quote:
    """What a machine of this size costs in a tier if it runs all the time.

    Either for a billing period or for a number of hours from `at` on, rate changes within it
    included. The statement of a period throughout which the machine ran, with a line per machine,
    shows the same amounts. Raises MissingRate, or ValueError unless one of `at` and `period` is given.
    """
    t_from, t_to = _span(at, hours, period)
    segments = _priced(card, [tier], t_from, t_to, known_at)
    seconds: dict[Rate, int] = defaultdict(int)
    for segment in segments:
        seconds[segment.rate] += segment.seconds
    ordered = sorted(seconds, key=lambda rate: (list(Metric).index(rate.metric), rate.valid_from))
    amounts = {rate: _amount(resources, rate.metric) for rate in ordered}
    lines = [
        QuoteLine(rate, amount, seconds[rate], amount_minor(rate, amount * seconds[rate], card))
        for rate, amount in amounts.items()
        if amount
    ]
    return Quote(tier, card, t_from, t_to, tuple(lines))


def cost_micros(
    resources: Int64,
    tiers: Sequence[str],
    card: RateCard,
    at: int | datetime,
    horizon_hours: int,
    *,
    known_at: int = END_OF_TIME_S,
) -> Int64:
    """[R, T] what each machine costs in each tier over the horizon, in micro-units of the currency.

    `resources` is [R, 3] int64 in the order of `ResourceClass`. The machine's own rate is included.
    Exact until one rounding per entry, by the card's rule. Raises MissingRate naming every tier that
    lacks a rate, and OverflowError where a cost exceeds 63 bits.
    """
    if resources.ndim != 2 or resources.shape[1] != len(ResourceClass) or resources.dtype != np.int64:
        msg = f"resources must be int64 of shape [R, {len(ResourceClass)}], not {resources.dtype} {resources.shape}"
        raise ValueError(msg)
    if (resources < 0).any():
        msg = f"resources must not be negative: {resources.min()}"
        raise ValueError(msg)
    t_from, t_to = _span(at, horizon_hours, None)
    segments = _priced(card, tiers, t_from, t_to, known_at)
    costs = np.empty((len(resources), len(tiers)), dtype=np.int64)
    for column, tier in enumerate(tiers):
        own = [segment for segment in segments if segment.rate.tier == tier]
        costs[:, column] = _column(resources, own, card.rounding)
    return costs


def _column(resources: Int64, segments: Iterable[Segment], rounding: Rounding) -> npt.NDArray[Any]:
    """One tier's costs: integers over one denominator, divided once."""
    each: dict[Metric, Fraction] = dict.fromkeys(Metric, Fraction(0))
    for segment in segments:
        each[segment.rate.metric] += Fraction(
            segment.rate.rate_nanos * segment.seconds, segment.rate.unit_seconds * NANOS_PER_MICRO
        )
    denominator = lcm(*(cost.denominator for cost in each.values()))
    factors = {metric: int(cost * denominator) for metric, cost in each.items()}
    amounts = _wide_enough(resources, factors, denominator)
    micros = sum(
        (amounts[:, i] * factors[Metric(rc.value)] for i, rc in enumerate(ResourceClass)),
        start=np.full(len(resources), factors[Metric.MACHINE], dtype=amounts.dtype),
    )
    return _divided(micros, denominator, rounding)


def _wide_enough(resources: Int64, factors: dict[Metric, int], denominator: int) -> npt.NDArray[Any]:
    """The amounts as int64 where twice the sum fits, else as Python integers: slower, and exact."""
    largest = [int(amount) for amount in resources.max(axis=0, initial=0)]
    bound = factors[Metric.MACHINE] + sum(
        max(1, amount) * factors[Metric(rc.value)]
        for amount, rc in zip(largest, ResourceClass, strict=True)
    )
    return resources if 2 * (bound + denominator) < 2**63 else resources.astype(object)


def _divided(numerators: npt.NDArray[Any], denominator: int, rounding: Rounding) -> npt.NDArray[Any]:
    """`money.divided` for a whole array of numbers that are not negative."""
    whole, rest = numerators // denominator, numerators % denominator
    up = 2 * rest > denominator
    tie = 2 * rest == denominator
    odd = whole % 2 == 1 if rounding is Rounding.HALF_EVEN else np.ones(len(whole), dtype=np.bool_)
    rounded: npt.NDArray[Any] = whole + (up | (tie & odd)).astype(np.int64)
    return rounded


def _span(at: int | datetime | None, length_h: int, period: BillingPeriod | None) -> tuple[int, int]:
    if (at is None) == (period is None):
        msg = "a quote is either for a period or from a moment on; give one of period and at"
        raise ValueError(msg)
    if period is not None:
        return period.t_from, period.t_to
    assert at is not None, "one of both is given"
    if length_h <= 0:
        msg = f"hours must be above zero, not {length_h}"
        raise ValueError(msg)
    start = epoch_s(at) if isinstance(at, datetime) else at
    return start, start + length_h * HOUR_S


def _priced(card: RateCard, tiers: Iterable[str], t_from: int, t_to: int, known_at: int) -> list[Segment]:
    """The segments of the tiers. Raises MissingRate where any metric of the card has none for a time."""
    segments = card.segments(t_from, t_to, known_at)
    missing = [
        f"{metric} of {tier} from {utc_text(hole[0])} to {utc_text(hole[1])}"
        for tier in dict.fromkeys(tiers)
        for metric in card.metrics
        for hole in card.holes(segments, tier, metric, t_from, t_to)
    ]
    if missing:
        msg = (
            f"rate card {card.label} has no rate for {'; '.join(missing)}; "
            "add rates, with price 0 for what is free"
        )
        raise MissingRate(msg)
    return [segment for segment in segments if segment.rate.tier in set(tiers)]


def _amount(resources: Resources, metric: Metric) -> int:
    return 1 if metric is Metric.MACHINE else resources.amount(ResourceClass(metric.value))
