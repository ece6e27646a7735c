"""What a machine will cost, before it is ordered, by the code that prices its statement later."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.resources import ResourceClass, Resources
from chargeback.charges import Charge, amount_minor, hours
from chargeback.instants import END_OF_TIME_S, epoch_s, utc_text
from chargeback.labels import labels_text
from chargeback.money import Rounding, divided, exact_text, format_minor
from chargeback.periods import BillingPeriod
from chargeback.pricing import Birth, FineSum, Pricing, Ran
from chargeback.rates import HOUR_S, Frequency, MissingRate, Rate, RateCard, Segment
from chargeback.shape import Step
from chargeback.targets import Cut, cut, in_order
from chargeback.units import Per
from chargeback.usage import MEASURED, Metric, Power

Int64 = npt.NDArray[np.int64]

NANOS_PER_MICRO = 1000


class Held(NamedTuple):
    """What a machine has of a metric over a time, and who pays: a row of usage in short.

    `metric_key` is the metric, with its basis where that is not allocation.
    """

    machine: str
    tenant: str
    cost_centre: str
    tier: str
    pool: str
    labels: str
    metric_key: str
    quantity: int
    power: str
    t_from: int
    t_to: int


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """What one rate charges for one metric: quantity x time x rate, rounded like a statement's line.

    `per_s` is how long the time of the rate's price is, and `steps` are the terms of a price that is
    not a product.
    """

    priced_by: Rate
    amount_of_metric: int
    seconds: int
    amount_minor: int
    quantity_seconds: int
    per_s: int = HOUR_S
    steps: tuple[Step, ...] = ()

    @property
    def quantity(self) -> str:
        """How much, in `unit`: ``64``."""
        return exact_text(Fraction(self.amount_of_metric, self.priced_by.unit_amount))

    @property
    def unit(self) -> str:
        """What the quantity counts: ``GiB``, ``vcpu``."""
        return self.priced_by.thing

    @property
    def hours(self) -> str:
        """For how long."""
        return exact_text(hours(self.seconds))

    @property
    def rate(self) -> str:
        """The price of one unit, exactly; the shape in words if it is not a product."""
        return self.priced_by.price_text

    @property
    def is_hourly(self) -> bool:
        """Whether the amount is quantity x hours x rate."""
        whole = self.amount_of_metric * self.seconds == self.quantity_seconds
        return self.priced_by.per is Per.HOUR and self.priced_by.shape.linear and whole

    @property
    def formula(self) -> str:
        """``500 GiB-month x 0.05`` or ``2 GiB-month at graduated: 0.3 to 10, 0.2 above``."""
        joined = "x" if self.priced_by.shape.linear else "at"
        return f"{self.unit_hours} {self.priced_by.unit} {joined} {self.rate}"

    @property
    def unit_hours(self) -> str:
        """Quantity x time in the rate's unit: what the statement shows as its quantity."""
        return exact_text(Fraction(self.quantity_seconds, self.priced_by.unit_amount * self.per_s))


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
    labels: Mapping[str, str] | None = None,
) -> Quote:
    """What a machine of this size costs in a tier if it runs all the time.

    Either for a billing period or, as a new machine with what is paid once, for a number of hours from
    `at` on; rate changes within it included. It is priced as if its tenant had no other machine, and as
    if it used all that it is allocated; what is only ever measured is left out. The statement of a
    period throughout which the machine ran, with a line per machine, shows the same amounts. Raises
    MissingRate, or ValueError unless one of `at` and `period` is given.
    """
    t_from, t_to = _span(at, hours, period)
    _priced(card, [tier], t_from, t_to, known_at)
    text = labels_text(labels or {})
    charges = _charges(resources, tier, card, (t_from, t_to), text, known_at, is_new=period is None)
    return Quote(tier, card, t_from, t_to, tuple(_lines(resources, card, charges)))


def charges_of(
    held: Iterable[Held],
    card: RateCard,
    periods: Iterable[BillingPeriod],
    *,
    known_at: int = END_OF_TIME_S,
    births: Iterable[Birth] = (),
    by_machine: bool = True,
) -> list[Charge]:
    """What an imagined history costs: the charges that its statements will have.

    Like `chargeback.rating.rate`, for some rows and without a query engine. Raises MissingRate for
    labels that no rate matches.
    """
    rows = list(held)
    months = list(periods)
    found = cut(card, months, known_at, {(row.tier, row.metric_key) for row in rows})
    pricing = Pricing(card, found, by_machine=by_machine, ran=_ran(rows, months))
    charges = pricing.charges(_sums(rows, found), births)
    unmatched = [found.targets[other.target] for other in pricing.unmatched]
    if unmatched:
        lacking = ", ".join(sorted({f"{target.metric_key} of {target.tier}" for target in unmatched}))
        msg = f"rate card {card.label} has no rate for {lacking} with these labels or at that time; add one, 0 if free"
        raise MissingRate(msg)
    order = in_order(card)
    return sorted(
        charges,
        key=lambda c: (c.period.t_from, c.tenant, c.cost_centre, c.tier, c.machine or "", order[c.rate.id], c.pool, c.labels),
    )  # fmt: skip


def _ran(rows: Iterable[Held], periods: Sequence[BillingPeriod]) -> Ran:
    """As `chargeback.rating.running`."""
    seconds: Counter[tuple[int, str, str, str]] = Counter()
    for row in rows:
        for period in periods:
            spent = min(row.t_to, period.t_to) - max(row.t_from, period.t_from)
            if row.power == Power.ON.value and spent > 0:
                key = (period.t_from, row.machine, row.tier, row.metric_key)
                seconds[key] += spent if row.quantity > 0 else -spent
    return frozenset((t_from, machine) for (t_from, machine, *_), each in seconds.items() if each > 0)


def _sums(rows: Iterable[Held], found: Cut) -> list[FineSum]:
    by_metric = defaultdict(list)
    for stretch in (*found.plain, *found.fine):
        by_metric[stretch.tier, stretch.metric_key].append(stretch)
    return [
        FineSum(
            stretch.target, row.tenant, row.cost_centre, row.machine, row.pool, row.labels, row.power,
            abs(row.quantity), seconds if row.quantity > 0 else -seconds,
        )
        for row in rows
        for stretch in by_metric[row.tier, row.metric_key]
        if (seconds := min(row.t_to, stretch.t_to) - max(row.t_from, stretch.t_from)) > 0
    ]  # fmt: skip


def _charges(
    resources: Resources,
    tier: str,
    card: RateCard,
    span: tuple[int, int],
    labels: str,
    known_at: int,
    *,
    is_new: bool,
) -> list[Charge]:
    """The charges of one machine that has all of this all the time."""
    who = Whose("quoted", "", "", tier, "", labels)
    births = [Birth(*who, span[0])] if is_new else []
    held = always(resources, card, who, span)
    return charges_of(held, card, months_of(card, *span), known_at=known_at, births=births)


class Whose(NamedTuple):
    """A machine and who pays for it, as `Held` and `Birth` begin."""

    machine: str
    tenant: str
    cost_centre: str
    tier: str
    pool: str
    labels: str


def always(resources: Resources, card: RateCard, who: Whose, span: tuple[int, int]) -> list[Held]:
    """What a machine has that is on and of one size all the time; what is only ever measured is left out."""
    keys = dict.fromkeys(rate.metric_key for rate in card.rates if rate.metric not in MEASURED)
    return [
        Held(*who, key, amount, Power.ON.value, *span)
        for key in (*keys, *([] if Metric.MACHINE in keys else [Metric.MACHINE.value]))
        if (amount := _amount(resources, _metric(key)))
    ]


def months_of(card: RateCard, t_from: int, t_to: int) -> list[BillingPeriod]:
    """The card's months that a time touches."""
    found = [BillingPeriod.of(t_from, card.time_zone)]
    while found[-1].t_to < t_to:
        found.append(found[-1].next)
    return found


def _metric(metric_key: str) -> Metric:
    return Metric(metric_key.partition(":")[0])


def _lines(resources: Resources, card: RateCard, charges: Iterable[Charge]) -> Iterable[QuoteLine]:
    """A line a rate where months make no difference to its price, otherwise one a rate and month."""
    grouped: dict[tuple[str, int], list[Charge]] = defaultdict(list)
    for charge in charges:
        month = 0 if card.is_same_all_year(charge.rate) else charge.period.t_from
        grouped[charge.rate.id, month].append(charge)
    order = in_order(card)
    for (rate_id, _), group in sorted(grouped.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        first = group[0]
        assert first.rate.id == rate_id, (rate_id, first)
        quantity_seconds = sum(charge.quantity_seconds for charge in group)
        amount = _amount(resources, first.rate.metric)
        minor = (
            first.rounded(card)
            if len(group) == 1
            else amount_minor(first.rate, quantity_seconds, card, first.per_s)
        )
        seconds = sum(charge.seconds for charge in group)
        yield QuoteLine(first.rate, amount, seconds, minor, quantity_seconds, first.per_s, first.steps)


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
        if all(_is_product(card, segment.rate) for segment in own):
            costs[:, column] = _column(resources, own, card)
        else:
            costs[:, column] = _column_by_size(resources, tier, card, (t_from, t_to), known_at)
    return costs


def _is_product(card: RateCard, rate: Rate) -> bool:
    """Whether a rate charges amount x time x price of every machine that runs all the time."""
    always = rate.frequency is not Frequency.ONE_TIME and not rate.where
    return always and card.is_same_all_year(rate) and rate.metric not in MEASURED


def _column_by_size(
    resources: Int64, tier: str, card: RateCard, span: tuple[int, int], known_at: int
) -> Int64:
    """One tier's costs where they are no products: each distinct size is priced like a quote, once."""
    sizes, inverse = np.unique(resources, axis=0, return_inverse=True)
    micros = []
    for vcpu, memory_mib, disk_gib in sizes.tolist():
        size = Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib)
        charges = _charges(size, tier, card, span, "", known_at, is_new=True)
        nanos = sum((charge.amount_nanos for charge in charges), Fraction(0))
        micros.append(divided(nanos.numerator, nanos.denominator * NANOS_PER_MICRO, card.rounding))
    return np.array(micros, dtype=np.int64)[inverse.reshape(-1)] if micros else np.empty(0, dtype=np.int64)


def _column(resources: Int64, segments: Iterable[Segment], card: RateCard) -> npt.NDArray[Any]:
    """One tier's costs: integers over one denominator, divided once."""
    each: dict[Metric, Fraction] = dict.fromkeys(Metric, Fraction(0))
    for segment in segments:
        rate = segment.rate
        # Of a price that is the same all year any period says how long its time is.
        per_s = card.per_s(rate, BillingPeriod(year=2000, month=1, time_zone=card.time_zone))
        each[rate.metric] += Fraction(
            rate.rate_nanos * segment.seconds, rate.unit_amount * per_s * NANOS_PER_MICRO
        )
    denominator = lcm(*(cost.denominator for cost in each.values()))
    factors = {metric: int(cost * denominator) for metric, cost in each.items()}
    amounts = _wide_enough(resources, factors, denominator)
    micros = sum(
        (amounts[:, i] * factors[Metric(rc.value)] for i, rc in enumerate(ResourceClass)),
        start=np.full(len(resources), factors[Metric.MACHINE], dtype=amounts.dtype),
    )
    return _divided(micros, denominator, card.rounding)


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
    segments = card.segments(t_from, t_to, known_at, set(tiers))
    missing = [
        f"{key} of {tier} from {utc_text(hole[0])} to {utc_text(hole[1])}"
        for tier in dict.fromkeys(tiers)
        for key in card.metric_keys
        if _metric(key) not in MEASURED
        for hole in card.holes(segments, tier, key, t_from, t_to)
    ]
    if missing:
        msg = (
            f"rate card {card.label} has no rate for {'; '.join(missing)}; "
            "add rates, with price 0 for what is free"
        )
        raise MissingRate(msg)
    return segments


def _amount(resources: Resources, metric: Metric) -> int:
    if metric in MEASURED:
        return 0
    return 1 if metric is Metric.MACHINE else resources.amount(ResourceClass(metric.value))
