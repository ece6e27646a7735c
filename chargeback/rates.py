"""Rates and rate cards: what a unit of each metric costs in each tier, from when to when, known when."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Self, cast

from pydantic import Field, model_validator

from catalog.base import Currency, Name, NameOrNone, Value
from catalog.frozen import FrozenMapping
from chargeback.instants import END_OF_TIME_S, EpochSeconds
from chargeback.labels import labels_text
from chargeback.money import Rounding, nanos_to_text
from chargeback.periods import BillingPeriod, TimeZone
from chargeback.rate_breaches import Breach, breaches, gaps, groups, metric_order, overlaps, pieces
from chargeback.rate_options import (
    Allocated,
    Basis,
    Category,
    Conventions,
    Frequency,
    MissingSample,
    PowerRule,
    Presence,
    Proration,
    Window,
)
from chargeback.shape import PRICE_MAX_NANOS, InnerShape, Shape
from chargeback.shapes.unit import Unit
from chargeback.units import (
    HOUR_S,
    UNITS,
    Per,
    is_fixed,
    per_of,
    seconds_of,
    thing_of,
    unit_amount,
    unknown_unit,
)
from chargeback.usage import MEASURED, Metric

__all__ = [
    "HOUR_S", "RATE_MAX_NANOS", "UNITS", "Allocated", "Basis", "Breach", "Category", "Conventions", "Currency",
    "Frequency", "MissingRate", "MissingSample", "PowerRule", "Presence", "Proration", "Rate", "RateCard", "Segment", "Window",
    "breaches", "gaps", "overlaps", "unknown_unit",
]  # fmt: skip

RATE_MAX_NANOS = PRICE_MAX_NANOS
"""A million of the currency per unit of a rate; more than that is a slip of the pen."""

WHOLE_PER = (Per.HOUR, Per.DAY, Per.MONTH)
"""The times that fit into a billing period, so that a started one can be charged in full on one bill."""


class Rate(Value):
    """What a metric costs in a tier, over a half-open time.

    The price is `rate_nanos` for each unit, or what another `shape` makes of the quantity in that
    unit over its `window`. `where` limits it to machines with these labels; of several that match, the
    one that names most labels prices. `component` names an additional charge, such as a licence.
    `recorded_at` is when the rate became known; `replaces` names rates whose place it takes from
    then on, for as long as it is valid. `valid_to` is None while no end is known.
    """

    id: Name
    tier: Name
    metric: Metric
    unit: str
    rate_nanos: Annotated[int, Field(ge=0, le=RATE_MAX_NANOS, strict=True)] = 0
    shape: InnerShape = Field(default=cast("Shape", None), description="Left out: the unit price.")
    window: Window = Window.MACHINE_MONTH
    basis: Basis = Basis.ALLOCATION
    power: PowerRule = PowerRule.ALWAYS
    component: NameOrNone = ""
    where: FrozenMapping[str, str] = Field(default_factory=dict, validate_default=True)
    frequency: Frequency = Frequency.USAGE_BASED
    proration: Proration = Proration.SECOND
    category: Category = Category.USAGE
    valid_from: EpochSeconds
    valid_to: EpochSeconds | None = None
    recorded_at: EpochSeconds
    replaces: tuple[Name, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _has_a_shape(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        shape = data.get("shape")
        if shape is None and isinstance(data.get("rate_nanos"), int):
            return data | {"shape": Unit.model_validate({"price": nanos_to_text(data["rate_nanos"])})}
        return data | {"rate_nanos": shape.price_nanos} if isinstance(shape, Unit) else data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = list(self._mistakes())
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _mistakes(self) -> Iterator[str]:
        if not unit_amount(self.metric, self.unit):
            yield unknown_unit(self.metric, self.unit)
            return
        if self.end <= self.valid_from:
            yield "valid_to must be after valid_from"
        yield from _fee_mistakes(self)
        labels_text(self.where)

    @property
    def end(self) -> int:
        """`valid_to`, or a time that nothing reaches."""
        return END_OF_TIME_S if self.valid_to is None else self.valid_to

    @property
    def metric_key(self) -> str:
        """The metric as usage has it: with the basis, ``vcpu:usage``, unless that is allocation."""
        return self.metric.value if self.basis is Basis.ALLOCATION else f"{self.metric}:{self.basis}"

    @property
    def per(self) -> Per:
        """The time that the price is for."""
        return per_of(self.unit)

    @property
    def thing(self) -> str:
        """What the unit counts: ``GiB``."""
        return thing_of(self.unit)

    @property
    def unit_amount(self) -> int:
        """How much of the metric one unit is: 1024 for memory_mib in GiB-hour."""
        return unit_amount(self.metric, self.unit)

    @property
    def unit_seconds(self) -> int:
        """The metric's quantity-seconds in a unit of amount and hour: 1024 * 3600 for GiB-hour.

        For other times see `RateCard.per_s`, as their length may hang on card and month.
        """
        return self.unit_amount * HOUR_S

    @property
    def price_text(self) -> str:
        """The price of one unit, exactly, in the card's currency; the shape in words if it is another."""
        return nanos_to_text(self.rate_nanos) if isinstance(self.shape, Unit) else self.shape.text()

    @property
    def is_measured(self) -> bool:
        """Whether it charges what was measured, so that there may be none for a machine that exists."""
        return self.metric in MEASURED or self.basis is not Basis.ALLOCATION


def _fee_mistakes(rate: Rate) -> Iterator[str]:
    """What does not go together in how often a rate charges, and which quantity."""
    once = rate.per is Per.ONCE
    if once != (rate.frequency is Frequency.ONE_TIME):
        yield (
            "what is paid once needs both 'frequency: one-time' and the unit machine, "
            f"not {rate.frequency} and {rate.unit}"
        )
    if once and not (rate.component and rate.shape.linear):
        yield "what is paid once needs a component of its own, such as setup, and a price rather than a shape"
    if rate.proration is Proration.WHOLE and (
        rate.frequency is not Frequency.RECURRING
        or rate.metric is not Metric.MACHINE
        or rate.per not in WHOLE_PER
        or not rate.shape.linear
    ):
        yield (
            "'proration: whole' is for recurring prices of metric machine per hour, day or month, "
            f"not {rate.frequency} of {rate.metric} per {rate.per}; leave it out to prorate by the second"
        )
    if rate.basis is not Basis.ALLOCATION and rate.metric in {Metric.MACHINE, *MEASURED}:
        yield f"{rate.metric} has no other basis than its own quantity; leave basis out"


class Segment(NamedTuple):
    """A stretch of time over which one rate is in force."""

    rate: Rate
    t_from: int
    t_to: int

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.t_to - self.t_from


class MissingRate(ValueError):
    """Something is to be priced at a time for which the card has no rate."""


class RateCard(Value):
    """The rates of all tiers in one currency, and how they become a bill.

    The bill's months are those of `time_zone`, its amounts have `minor_digits` decimals (which the
    card states: money may be counted in other parts than coins), and exact halves go by `rounding`.
    """

    name: Name
    version: Annotated[int, Field(ge=1, strict=True)]
    currency: Currency
    minor_digits: Annotated[int, Field(ge=0, le=4, strict=True)]
    time_zone: TimeZone
    rounding: Rounding
    conventions: Conventions = Conventions()
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)]

    def __hash__(self) -> int:
        return hash((self.name, self.version))

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        found = [breach.message for breach in breaches(self.rates)]
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def label(self) -> str:
        """``acme-eur v3``."""
        return f"{self.name} v{self.version}"

    @property
    def options(self) -> Mapping[str, str]:
        """Everything that another product might do otherwise, and what this card does."""
        return {
            "currency": f"{self.currency} with {self.minor_digits} decimals",
            "calendar": f"months of {self.time_zone}",
            "rounding": f"{self.rounding.value}, once per line",
            "last_cent": "of parts of one price, the one with the largest remainder; of equal ones the first line",
            **{name: str(value) for name, value in self.conventions.model_dump().items()},
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and may surprise, each with the rate that does it."""
        return tuple(f"rate '{rate.id}': {text}" for rate in self.rates for text in rate.shape.warnings())

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the card charges for; usage of other metrics is free by the card."""
        return tuple(metric for metric in Metric if any(rate.metric is metric for rate in self.rates))

    @property
    def metric_keys(self) -> tuple[str, ...]:
        """The metrics, with their basis, of which all usage must have a price."""
        keys = {rate.metric_key for rate in self.rates if not rate.component}
        return tuple(sorted(keys, key=metric_order))

    def per_s(self, rate: Rate, period: BillingPeriod) -> int:
        """How many seconds the time of a rate's price has in a period."""
        return seconds_of(rate.per, period, self.conventions.month, self.conventions.year)

    def is_plain(self, rate: Rate) -> bool:
        """Whether a sum of quantity x seconds is all that is needed to price by this rate."""
        return (
            rate.shape.linear
            and not rate.where
            and rate.power is not PowerRule.ONCE_ON
            and rate.proration is Proration.SECOND
            and self.conventions.allocated is Allocated.TIME_WEIGHTED
        )

    def is_same_all_year(self, rate: Rate) -> bool:
        """Whether a price holds however time is cut into months."""
        fixed = is_fixed(rate.per, self.conventions.month, self.conventions.year)
        return fixed and rate.shape.linear and rate.proration is Proration.SECOND

    def segments(
        self, t_from: int, t_to: int, known_at: int = END_OF_TIME_S, tiers: Collection[str] | None = None
    ) -> list[Segment]:
        """Which rate is in force when, within [t_from, t_to), as known at `known_at`; of all tiers or some.

        Of rates with different selectors or components several are in force at a time.
        """
        found = []
        wanted = [rate for rate in self.rates if tiers is None or rate.tier in tiers]
        for rates in groups(wanted, known_at).values():
            for segment in _in_force(rates):
                cut = Segment(segment.rate, max(t_from, segment.t_from), min(t_to, segment.t_to))
                if cut.t_from < cut.t_to:
                    found.append(cut)
        return found

    def holes(
        self, segments: Iterable[Segment], tier: str, metric_key: str, t_from: int, t_to: int
    ) -> list[tuple[int, int]]:
        """The stretches of [t_from, t_to) over which none of `segments` prices this metric at all."""
        found, at = [], t_from
        mine = (s for s in segments if (s.rate.tier, s.rate.metric_key) == (tier, metric_key))
        for segment in sorted(
            (s for s in mine if not s.rate.component), key=lambda segment: segment.t_from
        ):
            if at < segment.t_from:
                found.append((at, segment.t_from))
            at = max(at, segment.t_to)
        return [*found, (at, t_to)] if at < t_to else found


def _in_force(rates: Sequence[Rate]) -> Iterator[Segment]:
    held: Segment | None = None
    for t_from, t_to, holders in pieces(rates):
        if held and holders == [held.rate] and held.t_to == t_from:
            held = held._replace(t_to=t_to)
            continue
        if held:
            yield held
        held = Segment(holders[0], t_from, t_to) if holders else None
    if held:
        yield held
