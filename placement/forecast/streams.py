"""Batches of all classes and pools of one run, as columns."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.forecast.arrivals import CountedSizes, NegativeBinomial
from placement.forecast.drawing import LifetimeTable, fresh, picked, stacked
from placement.forecast.numbers import DAYS_PER_MONTH, HOURS_PER_DAY, Float64
from placement.forecast.problem import RESOURCES, ForecastProblem, InvalidForecast

BATCHES_MAX = 20_000_000
"""In one run; they would not fit into memory."""


@dataclass(frozen=True)
class Batches:
    """[B] batches by pool, in no order of time; the [M] machines of all batches are in the order of the batches."""

    pool: Int64
    workload_class: Int64
    hours: Float64
    """When they come, from the start."""
    size: Int64
    ends_hours: Float64
    """[M] when each machine leaves; infinite: never."""
    batch_of: Int64
    """[M], rising."""


class Streams:
    """What does not change from run to run: a stream is a class that comes to a pool."""

    def __init__(self, problem: ForecastProblem) -> None:
        names = list(problem.models.classes)
        coming = {name: m.arrivals for name, m in problem.models.classes.items() if m.arrivals}
        pairs = [
            (p, names.index(name), share)
            for p, pool in enumerate(problem.pools)
            for name, share in pool.arrivals.items()
            if name in coming
        ]
        self.pool = np.array([pair[0] for pair in pairs], dtype=np.int64)
        self.workload_class = np.array([pair[1] for pair in pairs], dtype=np.int64)
        self._share = np.array([pair[2] for pair in pairs])
        self._classes, self._of = np.unique(self.workload_class, return_inverse=True)
        self._arrivals = [coming[names[c]] for c in self._classes.tolist()]
        self._each_day(problem)
        self._each_hour()
        self._sizes()
        models = [problem.models.classes[names[c]] for c in self._classes.tolist()]
        self._lifetimes = LifetimeTable([fresh(model.lifetimes) for model in models])
        self._together = np.array([model.lifetimes.together for model in models])
        self.each = np.array(
            [[m.each.amount(rc) for rc in RESOURCES] for m in problem.models.classes.values()],
            dtype=np.int64,
        ).reshape(-1, len(RESOURCES))

    def _each_day(self, problem: ForecastProblem) -> None:
        """Means by class and day without the run's own errors, [C, D]."""
        days = np.arange(problem.days)
        self._weekday = (problem.start.weekday() + days) % 7
        self._months = (days + 0.5) / DAYS_PER_MONTH
        weeks = np.array([a.week() for a in self._arrivals]).reshape(-1, 7, HOURS_PER_DAY)
        per_day = np.array([a.batches_per_day for a in self._arrivals])
        self._mean = per_day[:, None] * weeks.mean(axis=2)[:, self._weekday]
        self._weeks = weeks
        of = self._field
        self._growth = of("growth_percent_per_month")
        self._growth_error = of("growth_error_points")
        self._level_error = of("level_error")
        self._variance = of("daily_variance")

    def _field(self, name: str) -> Float64:
        return np.array([getattr(arrivals, name) for arrivals in self._arrivals], dtype=np.float64)

    def _each_hour(self) -> None:
        """When in a day batches come: one distribution over 24 hours for each class and weekday."""
        rows = self._weeks.reshape(-1, HOURS_PER_DAY)
        # A day without weight gets no batches; any distribution serves.
        self._hours = stacked([(row if row.any() else np.ones(HOURS_PER_DAY)).tolist() for row in rows])

    def _sizes(self) -> None:
        counted = [a.batch_size if isinstance(a.batch_size, CountedSizes) else None for a in self._arrivals]
        shares = [dict(one.shares) if one else {1: 1.0} for one in counted]
        self._size_until = stacked([list(one.values()) for one in shares])
        self._size = np.array([size for one in shares for size in one], dtype=np.int64)
        self._binomial = [
            a.batch_size if isinstance(a.batch_size, NegativeBinomial) else None for a in self._arrivals
        ]

    def expected_machines(self) -> float:
        """About how many machines come within the horizon of a run."""
        if not len(self.pool):
            return 0.0
        with np.errstate(over="ignore"):
            trend = np.exp(np.log1p(self._growth / 100)[:, None] * self._months)
            batches = (self._mean * trend).sum(axis=1)
        sizes = np.array([arrivals.batch_size.moments()[0] for arrivals in self._arrivals])
        return float(((batches * sizes)[self._of] * self._share).sum())

    def rates(self, chance: np.random.Generator) -> Float64:
        """[C, D] the mean number of batches of each class and day in a run."""
        c = len(self._arrivals)
        log_variance = np.log1p(self._level_error**2)
        level = np.exp(np.sqrt(log_variance) * chance.standard_normal(c) - log_variance / 2)
        points = self._growth + self._growth_error * chance.standard_normal(c)
        slope = np.log1p(np.maximum(points, -99.0) / 100)
        rates: Float64 = self._mean * level[:, None] * np.exp(slope[:, None] * self._months)
        varying = np.flatnonzero(self._variance > 0)
        if len(varying):
            v = self._variance[varying][:, None]
            shape = np.broadcast_to(1 / v, (len(varying), rates.shape[1]))
            rates[varying] *= chance.standard_gamma(shape) * v
        return rates

    def draw(self, chance: np.random.Generator) -> Batches:
        """All batches of a run."""
        # A day's factor is the class's: pools that share a class have good days together.
        counts = chance.poisson(
            np.minimum(self.rates(chance)[self._of] * self._share[:, None], BATCHES_MAX)
        )
        if counts.sum() > BATCHES_MAX:
            msg = f"a run has {counts.sum():,} batches, more than {BATCHES_MAX:,}; lower growth, its error or the horizon"
            raise InvalidForecast((((), msg),))
        which = np.repeat(np.arange(counts.size), counts.ravel())
        stream, day = np.divmod(which, counts.shape[1])
        of = self._of[stream]
        hours = day * HOURS_PER_DAY + self._within(chance, of, day)
        size = self._draw_sizes(chance, of)
        batch_of = np.repeat(np.arange(len(size)), size)
        lives = self._lives(chance, of, size, batch_of)
        return Batches(
            self.pool[stream], self.workload_class[stream], hours, size, hours[batch_of] + lives, batch_of
        )

    def _within(self, chance: np.random.Generator, of: Int64, day: Int64) -> Float64:
        """[B] the hour of the day, with its fraction."""
        row = of * 7 + self._weekday[day]
        at = picked(self._hours, row, chance.random(len(row)))
        return (at - row * HOURS_PER_DAY) + chance.random(len(row))

    def _draw_sizes(self, chance: np.random.Generator, of: Int64) -> Int64:
        size = self._size[picked(self._size_until, of, chance.random(len(of)))]
        for c, law in enumerate(self._binomial):
            at = np.flatnonzero(of == c) if law else np.zeros(0, dtype=np.int64)
            if law and len(at):
                more = law.mean_size - 1
                size[at] = 1 + chance.poisson(
                    chance.standard_gamma(law.shape, len(at)) * (more / law.shape)
                )
        return size

    def _lives(self, chance: np.random.Generator, of: Int64, size: Int64, batch_of: Int64) -> Float64:
        lives = self._lifetimes.draw(chance, of[batch_of])
        together = chance.random(len(of)) < self._together[of]
        first = np.cumsum(size) - size
        return np.where(together[batch_of], lives[first[batch_of]], lives)
