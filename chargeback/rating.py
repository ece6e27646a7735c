"""Rating: usage intervals x rate card -> charges, aggregated first and priced after, all in integers.

Linear prices commute with sums, so quantities are added up first, and each sum is priced once after.
Other prices are found from sums by machine, power and quantity, in `chargeback.pricing`. The queries
are defined in `chargeback.rating_expressions`, for any engine, and run here on an embedded DuckDB.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import product
from typing import Any, NamedTuple

from chargeback.charges import Charge
from chargeback.engines.contract import SEGMENTS, Engine, Session
from chargeback.engines.duck import DuckEngine
from chargeback.instants import utc_text
from chargeback.periods import BillingPeriod
from chargeback.pricing import Birth, FineSum, Pricing, Ran
from chargeback.rates import PowerRule, RateCard
from chargeback.targets import Cut, cut, in_order
from chargeback.usage import Metric, Power


class Grain(StrEnum):
    """What a charge is about: all machines of a tenant and cost centre, or one of them.

    A machine that was moved or relabelled has a charge for each of its pools and labels.
    """

    TENANT = "tenant"
    MACHINE = "machine"


_SUMS = {Grain.TENANT: "SUMS_BY_TENANT", Grain.MACHINE: "SUMS_BY_MACHINE"}

DUCKDB = DuckEngine()


class Unpriced(NamedTuple):
    """Usage in a period for which the card has no rate. `metric` is with its basis."""

    tenant: str
    tier: str
    metric: str
    t_from: int
    t_to: int
    quantity_seconds: int
    why: str = ""

    def __str__(self) -> str:
        return (
            f"tenant {self.tenant}: {self.quantity_seconds} {self.metric}-seconds on {self.tier} "
            f"between {utc_text(self.t_from)} and {utc_text(self.t_to)}{self.why}"
        )


class UnpricedUsage(ValueError):
    """The card has no rate for some of the usage; charging nothing for it would go unnoticed."""

    def __init__(self, card: RateCard, unpriced: Iterable[Unpriced]) -> None:
        self.unpriced = tuple(unpriced)
        listed = "\n".join(str(usage) for usage in self.unpriced)
        super().__init__(
            f"rate card {card.label} has no rate for some usage; add rates (price 0 if it is free):\n{listed}"
        )


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
    ran: Ran | None = None,
) -> list[Charge]:
    """What the usage costs in each period, as usage and rates were known at `known_at`.

    `usage` is a `pyarrow.Table` of `chargeback.usage.SCHEMA`, in any order, or what the `engine` reads
    itself; the engine changes nothing about the charges. A metric other than the allocated quantity is
    written with its basis, ``vcpu:usage``. Periods must be in the card's time zone and differ. Metrics
    that the card prices in no tier are free. `ran` is what `running` says of all usage, where this is only a
    part of it. Charges come by period, tenant, cost centre, tier, machine,
    metric and start of rate; what adds up to nothing is left out. Raises UnpricedUsage, InvalidUsage, or
    ValueError for wrong periods.
    """
    _check(card, periods)
    with engine.session(usage) as session:
        if grain is Grain.TENANT:
            session.expect(_expected(card, periods, known_at))
        seen = [(tier, known_metric(metric)) for tier, metric in session.rows("SEEN")]
        found = cut(card, periods, known_at, seen)
        session.store("rate_segment", SEGMENTS, [(*row, known_at) for row in found.plain])
        sums = [_sum(row, grain) for row in session.rows(_SUMS[grain])]
        if ran is None and found.fine and asks_who_ran([card]):
            ran = _ran(session, periods, known_at)
        fine = _fine_sums(session, found, known_at)
        born = _births(session, found, known_at)
    pricing = Pricing(card, found, by_machine=grain is Grain.MACHINE, ran=ran or frozenset())
    priced = pricing.charges(fine, born)
    _refuse_unpriced(card, found, sums, pricing)
    order = in_order(card)
    return sorted([*_charges(card, found, sums), *priced], key=lambda charge: _order(charge, order))


def asks_who_ran(cards: Iterable[RateCard]) -> bool:
    """Whether a machine's price hangs on its having been on at all in the month."""
    return any(rate.power is PowerRule.ONCE_ON for card in cards for rate in card.rates)


def running(usage: Any, periods: Sequence[BillingPeriod], known_at: int, engine: Engine = DUCKDB) -> Ran:
    """Which machines were on in which period for any time, as known at `known_at`. Raises InvalidUsage."""
    with engine.session(usage) as session:
        return _ran(session, periods, known_at)


def _ran(session: Session, periods: Sequence[BillingPeriod], known_at: int) -> Ran:
    stretches = [
        (number, tier, metric, False, period.t_from, period.t_to, known_at)
        for number, ((tier, metric), period) in enumerate(product(session.rows("SEEN"), periods))
    ]
    session.store("rate_segment", SEGMENTS, stretches)
    seconds: Counter[tuple[int, str, int]] = Counter()
    for row in map(FineSum._make, session.rows("SUMS_BY_LEVEL")):
        if row.power == Power.ON.value:
            seconds[stretches[row.target][4], row.machine, row.target] += row.seconds
    return frozenset((t_from, machine) for (t_from, machine, _), each in seconds.items() if each > 0)


def known_metric(metric_key: str) -> str:
    """A metric with its basis, if there is such a metric. Raises ValueError."""
    Metric(metric_key.partition(":")[0])
    return metric_key


def _expected(card: RateCard, periods: Sequence[BillingPeriod], known_at: int) -> list[tuple[Any, ...]]:
    """When any rate begins or ends, whatever usage there is; nothing where the card needs other sums too."""
    if not all(card.is_plain(rate) for rate in card.rates):
        return []
    every = {(rate.tier, rate.metric_key) for rate in card.rates}
    return [(*row, known_at) for row in cut(card, periods, known_at, every).plain]


def _check(card: RateCard, periods: Sequence[BillingPeriod]) -> None:
    for period in periods:
        if period.time_zone != card.time_zone:
            msg = f"{period.name} is a month in {period.time_zone}, but {card.label} bills in {card.time_zone}"
            raise ValueError(msg)
    twice = [period.name for period, times in Counter(periods).items() if times > 1]
    if twice:
        msg = f"{', '.join(twice)} would be charged twice; give each period once"
        raise ValueError(msg)


def _sum(row: Sequence[Any], grain: Grain) -> _Sum:
    target, tenant, cost_centre, *machine, quantity_seconds, seconds = row
    name, pool, labels = machine if grain is Grain.MACHINE else (None, "", "")
    return _Sum(target, tenant, cost_centre, name, pool, labels, quantity_seconds, seconds)


def _fine_sums(session: Session, found: Cut, known_at: int) -> list[FineSum]:
    if not found.fine:
        return []
    session.store("rate_segment", SEGMENTS, [(*row, known_at) for row in found.fine])
    return sorted(FineSum._make(row) for row in session.rows("SUMS_BY_LEVEL"))


def _births(session: Session, found: Cut, known_at: int) -> list[Birth]:
    if not any(segments for _, segments in found.once):
        return []
    session.store("knowledge", {"known_at": "int64"}, [(known_at,)])
    return sorted(Birth(*row) for row in session.rows("BIRTHS"))


def _refuse_unpriced(card: RateCard, found: Cut, sums: Iterable[_Sum], pricing: Pricing) -> None:
    quantities: Counter[tuple[str, int, tuple[int, int], str]] = Counter()
    for row in sums:
        if hole := found.targets[row.target].hole:
            quantities[row.tenant, row.target, hole, ""] += row.quantity_seconds
    for other in pricing.unmatched:
        target = found.targets[other.target]
        spans = [row[-2:] for row in found.fine if row.target == other.target]
        span = min(t_from for t_from, _ in spans), max(t_to for _, t_to in spans)
        wanted = " or ".join(
            ",".join(f"{k}={v}" for k, v in rate.where.items()) for rate in target.candidates
        )
        quantities[other.tenant, other.target, span, f" without label {wanted}"] += other.quantity_seconds
    unpriced = [
        Unpriced(tenant, at.tier, at.metric_key, *span, quantity_seconds, why)
        for (tenant, target, span, why), quantity_seconds in sorted(quantities.items())
        for at in (found.targets[target],)
        if quantity_seconds
    ]
    if unpriced:
        raise UnpricedUsage(card, unpriced)


def _charges(card: RateCard, found: Cut, sums: Iterable[_Sum]) -> Iterator[Charge]:
    """The charges of plain sums; none for what was all taken back."""
    # Per target and not per sum, of which a year has tens of thousands.
    per_s = [
        card.per_s(target.candidates[0], target.period) if len(target.candidates) == 1 else 0
        for target in found.targets
    ]
    for number, tenant, cost_centre, machine, pool, labels, quantity_seconds, seconds in sums:
        target = found.targets[number]
        if target.hole or not (quantity_seconds or seconds):
            continue
        (own,) = target.candidates
        period = target.period
        yield Charge(
            period, tenant, cost_centre, target.tier, machine, own, quantity_seconds, seconds,
            *found.spans[period.t_from, own.id], pool, labels, per_s=per_s[number],
        )  # fmt: skip


def _order(charge: Charge, order: Mapping[str, int]) -> tuple[Any, ...]:
    return (
        charge.period.t_from, charge.tenant, charge.cost_centre, charge.tier, charge.machine or "",
        order[charge.rate.id], charge.pool, charge.labels,
    )  # fmt: skip
