"""Arrivals fitted to batches that came: hours of the week, a trend with its error, days of their own, batch sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, expm1, lgamma, log

import numpy as np

from catalog.base import Value
from placement.arrays import Bool, Int64
from placement.forecast.arrivals import WEEK_HOURS, Arrivals, BatchSizes, CountedSizes, NegativeBinomial
from placement.forecast.numbers import DAYS_PER_MONTH, HOURS_PER_DAY, Float64

TREND_DAYS = 14
"""Fewer days than two weeks say nothing of a trend."""
WEEK_BATCHES, DAY_BATCHES = 2000, 240
"""So many batches are needed to tell the 168 hours of a week apart, or the 24 of a day."""
COUNTED_BATCHES = 500
"""From so many on, batch sizes are those that were counted; below, a negative binomial."""
GAP_DAYS = 5
"""A stretch without a batch that is shorter is no gap: a long weekend has four days."""
_GAP_CHANCE = 1e-6
_GAP_SIDES = 4
"""How many times as long as a gap the time before and after it is that tells how many should have come."""


@dataclass(frozen=True)
class Arrived:
    """[B] batches of some classes, from hour 0 to `span_hours`; hour 0 is midnight of `first_weekday` (0: Monday).

    Nothing is known of `unseen_days`, numbered from 0: they count neither as time nor as days without a batch.
    """

    hours: Float64
    workload_class: Int64
    size: Int64
    classes: tuple[str, ...]
    span_hours: float
    first_weekday: int
    unseen_days: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.hours) == len(self.workload_class) == len(self.size):
            msg = "hours, workload_class and size must be of one length"
            raise ValueError(msg)
        if self.span_hours < HOURS_PER_DAY:
            msg = f"the batches span {self.span_hours:g} hours; at least a whole day is needed"
            raise ValueError(msg)
        if len(self.hours) and (self.hours.min() < 0 or self.hours.max() >= self.span_hours):
            msg = f"hours must be from 0 to below span_hours {self.span_hours:g}"
            raise ValueError(msg)
        if len(self.size) and self.size.min() < 1:
            msg = "sizes must be at least 1"
            raise ValueError(msg)
        if np.isin(self.hours // HOURS_PER_DAY, self.unseen_days).any():
            msg = "batches came on unseen_days"
            raise ValueError(msg)
        if self.seen_hours < HOURS_PER_DAY:
            msg = "unseen_days leave less than a whole day"
            raise ValueError(msg)

    @property
    def whole_days(self) -> Int64:
        """The days that were seen from beginning to end, by their numbers."""
        every = np.arange(int(self.span_hours // HOURS_PER_DAY))
        return every[~np.isin(every, self.unseen_days)]

    @property
    def seen_hours(self) -> float:
        """How long was seen."""
        return self.span_hours - HOURS_PER_DAY * len(self.unseen_days)

    def until(self, days: int) -> "Arrived":
        """Only the first days."""
        early = self.hours < days * HOURS_PER_DAY
        return Arrived(
            self.hours[early], self.workload_class[early], self.size[early],
            self.classes, float(days * HOURS_PER_DAY), self.first_weekday,
            tuple(day for day in self.unseen_days if day < days),
        )  # fmt: skip

    def daily(self, workload_class: int | None = None) -> Int64:
        """[D] batches of a class, or of all, on each whole day."""
        chosen = self.hours if workload_class is None else self.hours[self.workload_class == workload_class]
        day = (chosen // HOURS_PER_DAY).astype(np.int64)
        return np.bincount(day, minlength=ceil(self.span_hours / HOURS_PER_DAY))[self.whole_days]


def gaps(hours: Float64) -> list[range]:
    """Runs of whole days in which no batch came, by their numbers, though chance cannot have made them so long.

    Both the batches before and those after must say so: as many as came there, at random in that time and the gap, had
    all missed the gap. A stream that begins, ends or grows has no gap there.
    """
    at = np.sort(hours)
    found = []
    for i in np.flatnonzero(np.diff(at) > GAP_DAYS * HOURS_PER_DAY).tolist():
        length = float(at[i + 1] - at[i])
        days = range(ceil(at[i] / HOURS_PER_DAY), int(at[i + 1] // HOURS_PER_DAY))
        before, after = (at[i] - at[:i])[::-1], at[i + 2 :] - at[i + 1]
        chance = max(_missed(side, length) for side in (before, after))
        if len(days) >= GAP_DAYS and chance < _GAP_CHANCE:
            found.append(days)
    return found


def silent_end(hours: Float64, span_hours: float) -> range:
    """The whole days at the end in which no batch came, by their numbers, where those before make that no chance; else none.

    Nothing after them tells whether their batches are missing or demand has ended.
    """
    last = float(hours.max(initial=0))
    days = range(ceil(last / HOURS_PER_DAY), int(span_hours // HOURS_PER_DAY))
    if len(days) < GAP_DAYS or _missed(last - np.sort(hours)[:-1], span_hours - last) >= _GAP_CHANCE:
        return range(0)
    return days


def _missed(away: Float64, length: float) -> float:
    """The chance that a gap of this length was missed by all batches, given how far away from it they came."""
    near = away[away <= _GAP_SIDES * length]
    if not len(near):
        return 1.0
    whole = len(near) < len(away)
    side = _GAP_SIDES * length if whole else max(float(near[-1]), HOURS_PER_DAY)
    return float((side / (side + length)) ** len(near))


class ArrivalGoodness(Value):
    """How the first days told the last ones, which the fit that is judged did not see."""

    batches: int
    days: int
    held_out_days: int
    bias_percent: float
    """Batches told above those that came, in percent of those that came."""
    daily_error_percent: float
    """The mean difference of a day's batches, all classes together, in percent."""
    inside_80_percent: float
    """How often a day of a class came out within the 80 % band that was told; 80 is right."""


class FittedArrivals(Value):
    """Arrivals by class, at the end of the days that were fitted to, and how good they are."""

    arrivals: dict[str, Arrivals]
    goodness: ArrivalGoodness | None
    """None where there are too few days to hold some out."""


def fit_arrivals(arrived: Arrived, *, hold_out_days: int = 3, trend: bool = True) -> FittedArrivals:
    """Arrivals of each class that came at all; rates are those at the end of the time that was seen.

    The goodness is of a fit to all but the last `hold_out_days` days; the arrivals are fitted to all. A trend is
    fitted from two weeks on; it is the stream's own growth, which nothing promises will go on.
    """
    goodness = None
    days = arrived.whole_days
    if hold_out_days > 0 and len(days) >= hold_out_days + 2:
        early = int(days[-hold_out_days])
        goodness = _judged(arrived, _fit(arrived.until(early), trend=trend), early)
    return FittedArrivals(arrivals=_fit(arrived, trend=trend), goodness=goodness)


def _fit(arrived: Arrived, *, trend: bool) -> dict[str, Arrivals]:
    everything = _week(arrived, np.ones(len(arrived.hours), dtype=bool))
    found = {}
    for c, name in enumerate(arrived.classes):
        chosen = arrived.workload_class == c
        if not chosen.any():
            continue
        own = int(chosen.sum()) >= DAY_BATCHES
        week = _week(arrived, chosen) if own else everything
        found[name] = _stream(arrived, c, week, arrived.size[chosen], trend=trend)
    return found


def _week(arrived: Arrived, chosen: np.ndarray) -> tuple[float, ...]:
    """Weights with mean 1: of 168 hours, of 24, or 1, as there are enough batches."""
    hours = arrived.hours[chosen]
    n = len(hours)
    if n < DAY_BATCHES or arrived.seen_hours < 2 * HOURS_PER_DAY:
        return (1.0,)
    span = int(np.ceil(arrived.span_hours))
    covered = np.diff(np.minimum(np.arange(span + 1), arrived.span_hours))
    covered[np.isin(np.arange(span) // HOURS_PER_DAY, arrived.unseen_days)] = 0
    begin = arrived.first_weekday * HOURS_PER_DAY
    slot = (np.arange(span) + begin) % WEEK_HOURS
    seen = np.bincount(slot, weights=covered, minlength=WEEK_HOURS)
    fits_week = n >= WEEK_BATCHES and arrived.seen_hours >= 2 * WEEK_HOURS and bool(seen.all())
    period = WEEK_HOURS if fits_week else HOURS_PER_DAY
    seen = seen.reshape(-1, period).sum(axis=0)
    counts = np.bincount((hours.astype(np.int64) + begin) % period, minlength=period)
    weights = counts / seen
    weights = weights / weights.mean()
    return tuple(np.round(weights, 4).tolist())


def _stream(arrived: Arrived, c: int, weights: tuple[float, ...], sizes: Int64, *, trend: bool) -> Arrivals:
    counts = arrived.daily(c).astype(np.float64)
    days = arrived.whole_days
    plain = Arrivals(batches_per_day=1, hour_weights=weights)
    weekdays = (arrived.first_weekday + days) % 7
    of_day = np.array(plain.week()).reshape(7, HOURS_PER_DAY).mean(axis=1)[weekdays]
    # Time counts from the end of what was seen: there the forecast begins.
    months = (days + 0.5 - (days[-1] + 1)) / DAYS_PER_MONTH
    level, slope, level_error, slope_error, told = _log_linear(
        counts, of_day, months, trend=trend and len(days) >= TREND_DAYS and counts.sum() >= 100
    )
    extra = ((counts - told) ** 2 - told).sum() / max((told**2).sum(), 1e-12)
    return Arrivals(
        batches_per_day=level,
        batch_size=fit_batch_sizes(sizes),
        hour_weights=weights,
        growth_percent_per_month=min(999.0, 100 * expm1(slope)),
        growth_error_points=min(999.0, 100 * exp(slope) * slope_error),
        daily_variance=float(np.clip(extra, 0.0, 10.0)),
        level_error=min(level_error, 10.0),
    )


def _log_linear(
    counts: Float64, offset: Float64, months: Float64, *, trend: bool
) -> tuple[float, float, float, float, Float64]:
    """Poisson regression of counts on time with given factors by day, by reweighted least squares.

    Errors are those of Poisson counts, widened by how much more the days differ (quasi-Poisson: McCullagh and Nelder
    1989, section 6.2.3). Returns level and slope of the logarithm at month 0, their standard errors, and the fit.
    """
    offset = np.maximum(offset, 1e-9)
    design = np.column_stack([np.ones(len(counts)), months])[:, : 2 if trend else 1]
    beta = np.zeros(design.shape[1])
    beta[0] = log(max(counts.sum(), 0.5) / offset.sum())
    for _ in range(50):
        told = offset * np.exp(design @ beta)
        step = np.linalg.solve((design * told[:, None]).T @ design, design.T @ (counts - told))
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    told = offset * np.exp(design @ beta)
    freedom = max(1, len(counts) - design.shape[1])
    dispersion = max(1.0, float(((counts - told) ** 2 / told).sum()) / freedom)
    errors = np.sqrt(np.diag(np.linalg.inv((design * told[:, None]).T @ design)) * dispersion).tolist()
    slope, slope_error = (float(beta[1]), errors[1]) if trend else (0.0, 0.0)
    return exp(float(beta[0])), slope, errors[0], slope_error, told


def fit_batch_sizes(sizes: Int64) -> BatchSizes:
    """As they were counted where there are many, else a negative binomial by maximum likelihood."""
    values, counts = np.unique(sizes, return_counts=True)
    if len(sizes) >= COUNTED_BATCHES or len(values) == 1:
        return CountedSizes(
            kind="counted",
            shares=dict(zip(values.tolist(), counts.astype(float).tolist(), strict=True)),
        )
    return fit_negative_binomial(values, counts)


def fit_negative_binomial(values: Int64, counts: Int64) -> NegativeBinomial:
    """The mean is that of the sizes, which is its maximum likelihood; the shape is the best of a fine grid."""
    mean = float((values * counts).sum() / counts.sum())
    if mean <= 1:
        return NegativeBinomial(kind="negative_binomial", mean_size=1.0, shape=1.0)
    shapes = np.exp(np.linspace(log(1e-3), log(1e3), 400)).tolist()
    best = max(shapes, key=lambda shape: _likelihood(values, counts, mean - 1, shape))
    return NegativeBinomial(kind="negative_binomial", mean_size=mean, shape=best)


def _likelihood(values: Int64, counts: Int64, more: float, shape: float) -> float:
    p = shape / (shape + more)
    terms = [
        n * (lgamma(x - 1 + shape) - lgamma(shape) - lgamma(x) + shape * log(p) + (x - 1) * log(1 - p))
        for x, n in zip(values.tolist(), counts.tolist(), strict=True)
    ]
    return float(sum(terms))


def _judged(arrived: Arrived, fitted: dict[str, Arrivals], early: int) -> ArrivalGoodness:
    held_out: Bool = arrived.whole_days >= early
    days = arrived.whole_days[held_out]
    weekdays = (arrived.first_weekday + days) % 7
    months = (days.astype(np.float64) + 0.5 - early) / DAYS_PER_MONTH
    told, came, inside = np.zeros(len(days)), np.zeros(len(days)), []
    for c, name in enumerate(arrived.classes):
        counts = arrived.daily(c)[held_out]
        came += counts
        if name in fitted:
            mean, spread = _band(fitted[name], weekdays, months)
            told += mean
            inside += (np.abs(counts - mean) <= 1.2815515655446004 * spread + 0.5).tolist()
    total = max(1.0, float(came.sum()))
    return ArrivalGoodness(
        batches=len(arrived.hours),
        days=len(arrived.whole_days),
        held_out_days=len(days),
        bias_percent=100 * float(told.sum() - came.sum()) / total,
        daily_error_percent=100 * float((np.abs(told - came) / np.maximum(came, 1)).mean()),
        inside_80_percent=100 * float(np.mean(inside)) if inside else 0.0,
    )


def _band(one: Arrivals, weekdays: Int64, months: Float64) -> tuple[Float64, Float64]:
    """[D] the mean of a day's batches and its deviation: Poisson, the day's own factor, and the errors of the fit."""
    of_day = np.array(one.week()).reshape(7, HOURS_PER_DAY).mean(axis=1)[weekdays]
    growth = 1 + one.growth_percent_per_month / 100
    mean = one.batches_per_day * of_day * growth**months
    slope = one.growth_error_points / 100 / growth * months
    return mean, np.sqrt(mean + mean**2 * (one.daily_variance + one.level_error**2 + slope**2))


def largest_gap(values: Sequence[int], counts: Sequence[int], law: NegativeBinomial) -> float:
    """The largest difference between the counted distribution of sizes and the law's."""
    total, more = sum(counts), law.mean_size - 1
    by_size = dict(zip(values, counts, strict=True))
    p = law.shape / (law.shape + more)
    counted = told = gap = 0.0
    for size in range(1, max(values) + 1):
        counted += by_size.get(size, 0) / total
        told += exp(
            lgamma(size - 1 + law.shape) - lgamma(law.shape) - lgamma(size) + law.shape * log(p)
            + (size - 1) * log(max(1 - p, 1e-300))
        )  # fmt: skip
        gap = max(gap, abs(counted - told))
    return gap
