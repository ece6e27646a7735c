"""Usage intervals x rate card x periods -> charges, as one query that only adds and multiplies.

Prices are linear, so quantities are added up first, and each sum is priced once after. The query is
defined in `chargeback.rating_expressions`, for any engine, and runs here on an embedded DuckDB.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from chargeback.charges import Charge
from chargeback.engines.contract import SEGMENTS, Engine
from chargeback.engines.duck import DuckEngine
from chargeback.instants import utc_text
from chargeback.periods import BillingPeriod
from chargeback.rates import PowerRule, Rate, RateCard
from chargeback.usage import Metric


class Grain(StrEnum):
    """What a charge is about: all machines of a tenant and cost centre, or one of them.

    A machine that was moved or relabelled has a charge for each of its pools and labels.
    """

    TENANT = "tenant"
    MACHINE = "machine"


_SUMS = {Grain.TENANT: "SUMS_BY_TENANT", Grain.MACHINE: "SUMS_BY_MACHINE"}

DUCKDB = DuckEngine()


class Unpriced(NamedTuple):
    """Usage in a period for which the card has no rate."""

    tenant: str
    tier: str
    metric: Metric
    t_from: int
    t_to: int
    quantity_seconds: int

    def __str__(self) -> str:
        return (
            f"tenant {self.tenant}: {self.quantity_seconds} {self.metric}-seconds on {self.tier} "
            f"between {utc_text(self.t_from)} and {utc_text(self.t_to)}"
        )


class UnpricedUsage(ValueError):
    """The card has no rate for some of the usage; charging nothing for it would go unnoticed."""

    def __init__(self, card: RateCard, unpriced: Iterable[Unpriced]) -> None:
        self.unpriced = tuple(unpriced)
        listed = "\n".join(str(usage) for usage in self.unpriced)
        super().__init__(
            f"rate card {card.label} has no rate for some usage; add rates (price 0 if it is free):\n{listed}"
        )


class _Target(NamedTuple):
    """What a sum is for: a rate in a period, or a time without one (`hole`)."""

    period: BillingPeriod
    rate: Rate | None
    tier: str
    metric: Metric
    hole: tuple[int, int] | None = None


class _Targets:
    """The periods cut where rates change: stretches of time, numbered by their target."""

    def __init__(self) -> None:
        self.targets: list[_Target] = []
        self.rows: list[tuple[int, str, str, bool, int, int]] = []
        self.spans: list[tuple[int, int]] = []
        self._numbers: dict[_Target, int] = {}

    def add(self, target: _Target, t_from: int, t_to: int) -> None:
        """One more stretch of a target; a rate that another one interrupted has several."""
        number = self._numbers.setdefault(target, len(self.targets))
        if number == len(self.targets):
            self.targets.append(target)
            self.spans.append((t_from, t_to))
        first, last = self.spans[number]
        self.spans[number] = min(first, t_from), max(last, t_to)
        when_off = target.rate is None or target.rate.power is PowerRule.ALWAYS
        self.rows.append((number, target.tier, target.metric.value, when_off, t_from, t_to))


class _Sum(NamedTuple):
    """A row of the query's result."""

    target: int
    tenant: str
    cost_centre: str
    machine: str | None
    pool: str
    labels: str
    quantity_seconds: int
    seconds: int


def rate(
    usage: Any,
    card: RateCard,
    periods: Sequence[BillingPeriod],
    known_at: int,
    *,
    grain: Grain = Grain.TENANT,
    engine: Engine = DUCKDB,
) -> list[Charge]:
    """What the usage costs in each period, as usage and rates were known at `known_at`.

    `usage` is a `pyarrow.Table` of `chargeback.usage.SCHEMA`, in any order, or what the `engine` reads
    itself; the engine changes nothing about the charges. Periods must be in the
    card's time zone and differ. Metrics that the card prices in no tier are free. Charges come by
    period, tenant, cost centre, tier, machine, metric and start of rate; what adds up to nothing is
    left out. Raises UnpricedUsage, InvalidUsage, or ValueError for wrong periods.
    """
    _check(card, periods)
    with engine.session(usage) as session:
        seen = [(tier, Metric(metric)) for tier, metric in session.rows("SEEN")]
        cut = _cut(card, periods, known_at, seen)
        session.store("rate_segment", SEGMENTS, [(*row, known_at) for row in cut.rows])
        sums = [_sum(row, grain) for row in session.rows(_SUMS[grain])]
    _refuse_unpriced(card, cut.targets, sums)
    charges = (_charge(cut.targets[row.target], cut.spans[row.target], row) for row in sums)
    return sorted((charge for charge in charges if charge), key=_order)


def _check(card: RateCard, periods: Sequence[BillingPeriod]) -> None:
    for period in periods:
        if period.time_zone != card.time_zone:
            msg = f"{period.name} is a month in {period.time_zone}, but {card.label} bills in {card.time_zone}"
            raise ValueError(msg)
    twice = [period.name for period, times in Counter(periods).items() if times > 1]
    if twice:
        msg = f"{', '.join(twice)} would be charged twice; give each period once"
        raise ValueError(msg)


def _cut(
    card: RateCard, periods: Iterable[BillingPeriod], known_at: int, seen: Iterable[tuple[str, Metric]]
) -> _Targets:
    priced = [(tier, metric) for tier, metric in sorted(seen) if metric in card.metrics]
    cut = _Targets()
    for period in periods:
        segments = card.segments(period.t_from, period.t_to, known_at)
        for rate_, t_from, t_to in segments:
            cut.add(_Target(period, rate_, rate_.tier, rate_.metric), t_from, t_to)
        for tier, metric in priced:
            for hole in card.holes(segments, tier, metric, period.t_from, period.t_to):
                cut.add(_Target(period, None, tier, metric, hole), *hole)
    return cut


def _sum(row: Sequence[Any], grain: Grain) -> _Sum:
    target, tenant, cost_centre, *machine, quantity_seconds, seconds = row
    name, pool, labels = machine if grain is Grain.MACHINE else (None, "", "")
    return _Sum(target, tenant, cost_centre, name, pool, labels, quantity_seconds, seconds)


def _refuse_unpriced(card: RateCard, targets: Sequence[_Target], sums: Iterable[_Sum]) -> None:
    found: Counter[tuple[str, int]] = Counter()
    for row in sums:
        if targets[row.target].hole:
            found[row.tenant, row.target] += row.quantity_seconds
    unpriced = [
        Unpriced(tenant, at.tier, at.metric, *hole, quantity_seconds)
        for (tenant, target), quantity_seconds in sorted(found.items())
        for at in (targets[target],)
        if quantity_seconds and (hole := at.hole)
    ]
    if unpriced:
        raise UnpricedUsage(card, unpriced)


def _charge(target: _Target, span: tuple[int, int], row: _Sum) -> Charge | None:
    """The charge of a sum; None for what was all taken back."""
    if target.rate is None or not (row.quantity_seconds or row.seconds):
        return None
    return Charge(
        target.period, row.tenant, row.cost_centre, target.tier, row.machine, target.rate,
        row.quantity_seconds, row.seconds, *span, row.pool, row.labels,
    )  # fmt: skip


def _order(charge: Charge) -> tuple[Any, ...]:
    metrics = list(Metric)
    return (
        charge.period.t_from, charge.tenant, charge.cost_centre, charge.tier, charge.machine or "",
        metrics.index(charge.rate.metric), charge.rate.valid_from, charge.rate.recorded_at,
        charge.pool, charge.labels,
    )  # fmt: skip
