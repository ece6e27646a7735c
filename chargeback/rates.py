"""Rates and rate cards: what a unit of each metric costs in each tier, from when to when, known when."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Annotated, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from catalog.base import Name, Value
from chargeback.instants import END_OF_TIME_S, EpochSeconds, utc_text
from chargeback.money import Rounding, nanos_to_text
from chargeback.periods import TimeZone
from chargeback.usage import Metric

HOUR_S = 3600

UNITS: Mapping[Metric, Mapping[str, int]] = {
    Metric.VCPU: {"vcpu-hour": 1},
    Metric.MEMORY_MIB: {"MiB-hour": 1, "GiB-hour": 1024},
    Metric.DISK_GIB: {"GiB-hour": 1, "TiB-hour": 1024},
    Metric.MACHINE: {"machine-hour": 1},
}
"""Per metric, the units it can be priced in, and how much of the metric one of them is."""

RATE_MAX_NANOS = 10**15
"""A million of the currency per unit and hour; more than that is a slip of the pen."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code."""


class PowerRule(StrEnum):
    """Whether a machine that is switched off is charged too."""

    ALWAYS = "always"
    POWERED_ON = "powered-on"


class Rate(Value):
    """What one unit of a metric costs for an hour in a tier, over a half-open time.

    `recorded_at` is when the rate became known; `replaces` names rates whose place it takes from
    then on, for as long as it is valid. `valid_to` is None while no end is known.
    """

    id: Name
    tier: Name
    metric: Metric
    unit: str
    rate_nanos: Annotated[int, Field(ge=0, le=RATE_MAX_NANOS, strict=True)]
    power: PowerRule = PowerRule.ALWAYS
    valid_from: EpochSeconds
    valid_to: EpochSeconds | None = None
    recorded_at: EpochSeconds
    replaces: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.unit not in UNITS[self.metric]:
            raise ValueError(unknown_unit(self.metric, self.unit))
        if self.end <= self.valid_from:
            msg = "valid_to must be after valid_from"
            raise ValueError(msg)
        return self

    @property
    def end(self) -> int:
        """`valid_to`, or a time that nothing reaches."""
        return END_OF_TIME_S if self.valid_to is None else self.valid_to

    @property
    def unit_amount(self) -> int:
        """How much of the metric one unit is: 1024 for memory_mib in GiB-hour."""
        return UNITS[self.metric][self.unit]

    @property
    def unit_seconds(self) -> int:
        """How many of the metric's quantity-seconds one priced unit is: 1024 * 3600 for that."""
        return self.unit_amount * HOUR_S

    @property
    def price_text(self) -> str:
        """The price of one unit for an hour, exactly, in the card's currency."""
        return nanos_to_text(self.rate_nanos)


def unknown_unit(metric: Metric, unit: str) -> str:
    """What to say about a unit that the metric is not priced in."""
    return f"{metric} is not priced per '{unit}'; use {' or '.join(UNITS[metric])}"


class Segment(NamedTuple):
    """A stretch of time over which one rate is in force."""

    rate: Rate
    t_from: int
    t_to: int

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.t_to - self.t_from


class Breach(NamedTuple):
    """Why rates do not make a card together; `rate` is the one to look at, None for the card."""

    rate: Rate | None
    message: str


class MissingRate(ValueError):
    """Something is to be priced at a time for which the card has no rate."""


class RateCard(Value):
    """The rates of all tiers in one currency, and how they become a bill.

    The bill's months are those of `time_zone`, its amounts have `minor_digits` decimals (which the
    card states, as nothing installed knows them per currency), and exact halves go by `rounding`.
    """

    name: Name
    version: Annotated[int, Field(ge=1, strict=True)]
    currency: Currency
    minor_digits: Annotated[int, Field(ge=0, le=4, strict=True)]
    time_zone: TimeZone
    rounding: Rounding
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
    def metrics(self) -> tuple[Metric, ...]:
        """What the card charges for; usage of other metrics is free by the card."""
        return tuple(metric for metric in Metric if any(rate.metric is metric for rate in self.rates))

    def segments(self, t_from: int, t_to: int, known_at: int = END_OF_TIME_S) -> list[Segment]:
        """Which rate is in force when, within [t_from, t_to), as known at `known_at`."""
        found = []
        for rates in _groups(self.rates, known_at).values():
            for segment in _in_force(rates):
                cut = Segment(segment.rate, max(t_from, segment.t_from), min(t_to, segment.t_to))
                if cut.t_from < cut.t_to:
                    found.append(cut)
        return found

    def holes(
        self, segments: Iterable[Segment], tier: str, metric: Metric, t_from: int, t_to: int
    ) -> list[tuple[int, int]]:
        """The stretches of [t_from, t_to) over which none of `segments` prices this metric."""
        found, at = [], t_from
        mine = (s for s in segments if (s.rate.tier, s.rate.metric) == (tier, metric))
        for segment in sorted(mine, key=lambda segment: segment.t_from):
            if at < segment.t_from:
                found.append((at, segment.t_from))
            at = max(at, segment.t_to)
        return [*found, (at, t_to)] if at < t_to else found


def breaches(rates: Sequence[Rate]) -> list[Breach]:
    """Everything that keeps these rates from giving exactly one price at each moment.

    Two rates of one tier and metric may share time only where the one recorded later `replaces` the
    other. Between the first and the last rate of a tier and metric there is no gap, and each tier has
    a rate for every metric that any tier has: what is free says so with the price 0.
    """
    return [*_bad_names(rates), *overlaps(rates), *gaps(rates)]


def overlaps(rates: Sequence[Rate]) -> list[Breach]:
    """The pairs of rates that would both be in force at some moment, at some state of knowledge."""
    found: dict[tuple[str, str], Breach] = {}
    for group in _groups(rates, END_OF_TIME_S).values():
        for known_at in sorted({rate.recorded_at for rate in group}):
            known = [rate for rate in group if rate.recorded_at <= known_at]
            for t_from, _, holders in _pieces(known):
                for one, other in combinations(holders, 2):
                    found.setdefault((one.id, other.id), Breach(other, _overlap(one, other, t_from)))
    return list(found.values())


def gaps(rates: Sequence[Rate]) -> list[Breach]:
    """Holes between the rates of a tier and metric, and metrics that only some tiers have."""
    groups = _groups(rates, END_OF_TIME_S)
    found = []
    for (tier, metric), group in groups.items():
        for t_from, t_to, holders in _pieces(group):
            if not holders:
                after = min(group, key=lambda rate: (rate.valid_from < t_to, rate.valid_from))
                message = (
                    f"{tier} has no rate for {metric} from {utc_text(t_from)} to {utc_text(t_to)}; "
                    "close the gap, or say price 0 for that time"
                )
                found.append(Breach(after, message))
    metrics = [metric for metric in Metric if any(metric is key[1] for key in groups)]
    for tier in sorted({tier for tier, _ in groups}):
        missing = [metric for metric in metrics if (tier, metric) not in groups]
        if missing:
            message = (
                f"{tier} has no rate for {', '.join(missing)}, which other tiers have; "
                "add one, with price 0 if it is free"
            )
            found.append(Breach(None, message))
    return found


def _bad_names(rates: Sequence[Rate]) -> Iterator[Breach]:
    by_id: dict[str, Rate] = {}
    for rate in rates:
        if rate.id in by_id:
            yield Breach(rate, f"the id '{rate.id}' stands twice; each rate needs its own")
        by_id.setdefault(rate.id, rate)
    for rate in rates:
        for name in rate.replaces:
            wrong = _bad_replacement(rate, by_id.get(name), name)
            if wrong:
                yield Breach(rate, wrong)


def _bad_replacement(rate: Rate, other: Rate | None, name: str) -> str:
    if other is None:
        return f"replaces '{name}', and there is no rate of that id"
    if (other.tier, other.metric) != (rate.tier, rate.metric):
        return f"replaces '{name}', which prices {other.metric} of {other.tier}; it must price the same"
    if other.recorded_at >= rate.recorded_at:
        return f"replaces '{name}', which was not recorded before it; recorded_at must be later"
    return ""


def _groups(rates: Iterable[Rate], known_at: int) -> dict[tuple[str, Metric], list[Rate]]:
    groups = defaultdict(list)
    for rate in rates:
        if rate.recorded_at <= known_at:
            groups[rate.tier, rate.metric].append(rate)
    return dict(groups)


def _pieces(rates: Sequence[Rate]) -> Iterator[tuple[int, int, list[Rate]]]:
    """Between the first and the last moment of rates of one tier and metric: who is in force when."""
    older = _replaced(rates)
    moments = sorted({moment for rate in rates for moment in (rate.valid_from, rate.end)})
    for t_from, t_to in pairwise(moments):
        valid = [rate for rate in rates if rate.valid_from <= t_from and t_to <= rate.end]
        gone = {name for rate in valid for name in older[rate.id]}
        yield t_from, t_to, [rate for rate in valid if rate.id not in gone]


def _replaced(rates: Sequence[Rate]) -> dict[str, set[str]]:
    """Per rate, the ids of all that it replaces, directly or through others."""
    older: dict[str, set[str]] = {}
    for rate in sorted(rates, key=lambda rate: rate.recorded_at):
        direct = set(rate.replaces)
        older[rate.id] = direct.union(*(older.get(name, set()) for name in direct))
    return older


def _in_force(rates: Sequence[Rate]) -> Iterator[Segment]:
    held: Segment | None = None
    for t_from, t_to, holders in _pieces(rates):
        if held and holders == [held.rate] and held.t_to == t_from:
            held = held._replace(t_to=t_to)
            continue
        if held:
            yield held
        held = Segment(holders[0], t_from, t_to) if holders else None
    if held:
        yield held


def _overlap(one: Rate, other: Rate, t_from: int) -> str:
    return (
        f"'{other.id}' overlaps '{one.id}' from {utc_text(t_from)} ({one.metric} of {one.tier}); end one "
        f"with valid_to, or record the later one with 'replaces: [{one.id}]'"
    )
