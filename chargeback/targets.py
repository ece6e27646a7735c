"""What sums of usage are for: stretches of time in which the same rates could price the same thing."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from chargeback.instants import start_of_day, zone
from chargeback.periods import BillingPeriod
from chargeback.rate_breaches import metric_order
from chargeback.rates import Frequency, PowerRule, Presence, Proration, Rate, RateCard, Segment, Window
from chargeback.units import HOUR_S, Per
from chargeback.usage import Metric

WHOLE_WINDOW: Mapping[Per, Window] = {
    Per.HOUR: Window.MACHINE_HOUR,
    Per.DAY: Window.MACHINE_DAY,
    Per.MONTH: Window.MACHINE_MONTH,
}
"""In which window a recurring fee is charged in full once it has begun."""


class Target(NamedTuple):
    """What a sum is for: rates in a period, or a time without any (`hole`).

    `candidates` are the rates of one component that could price it, the most special selector first.
    `at` is when the shortest of their windows begins. `existence` sums how long machines existed, for
    fixed amounts that need nothing else.
    """

    period: BillingPeriod
    candidates: tuple[Rate, ...]
    tier: str
    metric_key: str
    at: int
    hole: tuple[int, int] | None = None
    existence: bool = False


class Stretch(NamedTuple):
    """A row for the query: usage of this tier and metric in this time counts for the target."""

    target: int
    tier: str
    metric_key: str
    when_off: bool
    t_from: int
    t_to: int


class Cut:
    """The periods cut where anything changes: stretches of time, numbered by their target.

    `plain` need only sums of quantity x seconds; `fine` need to know machine, labels, power and level.
    """

    def __init__(self, card: RateCard) -> None:
        self.card = card
        self.targets: list[Target] = []
        self.plain: list[Stretch] = []
        self.fine: list[Stretch] = []
        self.once: list[tuple[BillingPeriod, list[Segment]]] = []
        self.spans: dict[tuple[int, str], tuple[int, int]] = {}
        self._numbers: dict[tuple[object, ...], int] = {}

    def add(self, target: Target, t_from: int, t_to: int) -> None:
        """One more stretch of a target; a rate that another one interrupted has several."""
        # Not the rates themselves: hashing one reads all its fields.
        key = (target.period.t_from, *(rate.id for rate in target.candidates), *target[2:])
        number = self._numbers.setdefault(key, len(self.targets))
        if number == len(self.targets):
            self.targets.append(target)
        for rate in target.candidates:
            at = (target.period.t_from, rate.id)
            first, last = self.spans.get(at, (t_from, t_to))
            self.spans[at] = min(first, t_from), max(last, t_to)
        is_plain = all(self.card.is_plain(rate) for rate in target.candidates)
        when_off = not is_plain or all(rate.power is PowerRule.ALWAYS for rate in target.candidates)
        row = Stretch(number, target.tier, target.metric_key, when_off, t_from, t_to)
        (self.plain if is_plain else self.fine).append(row)


def cut(
    card: RateCard, periods: Iterable[BillingPeriod], known_at: int, seen: Collection[tuple[str, str]]
) -> Cut:
    """The targets of all periods. `seen` are tiers and metrics of usage, which must have a price."""
    keys, tiers = card.metric_keys, {tier for tier, _ in seen}
    priced = [(tier, key) for tier, key in sorted(seen) if key in keys]
    found = Cut(card)
    for period in periods:
        segments = card.segments(period.t_from, period.t_to, known_at, tiers)
        once = [segment for segment in segments if segment.rate.frequency is Frequency.ONE_TIME]
        found.once.append((period, once))
        for same in _by_thing(segments):
            for t_from, t_to, candidates in _pieces(same):
                _add(found, period, candidates, t_from, t_to)
        for tier, key in priced:
            for hole in card.holes(segments, tier, key, period.t_from, period.t_to):
                found.add(Target(period, (), tier, key, period.t_from, hole), *hole)
    return found


def _by_thing(segments: Iterable[Segment]) -> Iterable[list[Segment]]:
    found: dict[tuple[str, str, str], list[Segment]] = defaultdict(list)
    for segment in segments:
        rate = segment.rate
        if rate.frequency is not Frequency.ONE_TIME:
            found[rate.tier, rate.metric_key, rate.component].append(segment)
    return found.values()


def _pieces(same: Sequence[Segment]) -> Iterator[tuple[int, int, tuple[Rate, ...]]]:
    """When which rates of one thing are in force together, the most special first."""
    if not any(segment.rate.where for segment in same):
        yield from ((segment.t_from, segment.t_to, (segment.rate,)) for segment in same)
        return
    moments = sorted({moment for segment in same for moment in (segment.t_from, segment.t_to)})
    for t_from, t_to in pairwise(moments):
        rates = [s.rate for s in same if s.t_from <= t_from and t_to <= s.t_to]
        if rates:
            yield t_from, t_to, tuple(sorted(rates, key=lambda rate: (-len(rate.where), rate.id)))


def _add(found: Cut, period: BillingPeriod, candidates: tuple[Rate, ...], t_from: int, t_to: int) -> None:
    first = candidates[0]
    windows = {window_of(rate) for rate in candidates}
    exists = (
        first.is_measured
        and found.card.conventions.fixed_needs is Presence.EXISTENCE
        and not all(rate.shape.linear for rate in candidates)
    )
    for start, end in _windows(period, windows, t_from, t_to):
        at = _begin(period, windows, start)
        target = Target(period, candidates, first.tier, first.metric_key, at)
        found.add(target, start, end)
        if exists:
            found.add(target._replace(metric_key=Metric.MACHINE.value, existence=True), start, end)


def window_of(rate: Rate) -> Window:
    """The window in which a rate's price is found."""
    if rate.proration is Proration.WHOLE:
        return WHOLE_WINDOW[rate.per]
    return Window.MACHINE_MONTH if rate.shape.linear else rate.window


def _windows(
    period: BillingPeriod, windows: Iterable[Window], t_from: int, t_to: int
) -> Iterator[tuple[int, int]]:
    """[t_from, t_to) cut where any of these windows begins."""
    begins = sorted({at for window in windows for at in begins_of(period, window) if t_from < at < t_to})
    yield from pairwise([t_from, *begins, t_to])


def _begin(period: BillingPeriod, windows: Iterable[Window], at: int) -> int:
    return max(begin_of(period, window, at) for window in windows)


def begin_of(period: BillingPeriod, window: Window, at: int) -> int:
    """When the window that contains a moment of the period begins."""
    begins = begins_of(period, window)
    return begins[bisect_right(begins, at) - 1]


@lru_cache(maxsize=64)
def begins_of(period: BillingPeriod, window: Window) -> tuple[int, ...]:
    """When the windows of a kind begin in a period: hours from its first second on, and local days."""
    if window is Window.MACHINE_HOUR:
        return tuple(range(period.t_from, period.t_to, HOUR_S))
    if window is Window.MACHINE_DAY:
        first, where = date(period.year, period.month, 1), zone(period.time_zone)
        days = (start_of_day(first + timedelta(days=n), where) for n in range(31))
        return tuple(sorted({day for day in days if day < period.t_to}))
    return (period.t_from,)


def in_order(card: RateCard) -> dict[str, int]:
    """Rate id -> where its lines stand among those of a machine."""
    rates = sorted(
        card.rates,
        key=lambda r: (metric_order(r.metric_key), r.component, r.valid_from, r.recorded_at, r.id),
    )
    return {rate.id: number for number, rate in enumerate(rates)}
