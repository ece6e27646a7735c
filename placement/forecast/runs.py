"""One run after the other: demand through time, when pools are full, and whether a host may fail."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.forecast.drawing import FOREVER, Law, LifetimeTable, in_balance, remaining
from placement.forecast.failing import ups_and_downs
from placement.forecast.growth import Walk
from placement.forecast.numbers import HOURS_PER_DAY, HOURS_PER_MONTH, Float64
from placement.forecast.problem import RESOURCES, ForecastPool, ForecastProblem, Present
from placement.forecast.streams import Batches, Streams


@dataclass(frozen=True)
class Runs:
    """What some runs gave: `first` is the number of the first of N. P pools, G times, K resources."""

    first: int
    full_hours: Float64
    """[N, P, K] when the demand for a resource first exceeds what the pool has of it; infinite: not within the horizon."""
    demand: Float64
    """[N, P, G, K]."""
    fits: Bool
    """[N, P, G] whether the hosts that are up carry the demand."""
    spare: Bool
    """[N, P, G] whether they still do when the largest of them fails."""


class Simulation:
    """A problem made ready: what does not change from run to run."""

    def __init__(self, problem: ForecastProblem) -> None:
        self.problem = problem
        self._streams = Streams(problem)
        self._grid = problem.grid_days().astype(np.float64) * HOURS_PER_DAY
        self._end = float(self._grid[-1])
        self._knots = (
            np.arange(int(np.ceil(self._end / HOURS_PER_MONTH)) + 1, dtype=np.float64) * HOURS_PER_MONTH
        )
        self._each = np.ascontiguousarray(self._streams.each.T)
        """[K, C] what a machine of a class needs."""
        self._pools = [_PoolNow(problem, pool) for pool in problem.pools]
        classes = list(problem.models.classes)
        rows = [
            (p, classes.index(there.workload_class), there.count, _left(problem, there))
            for p, pool in enumerate(problem.pools)
            for there in problem.machines.get(pool.name, ())
        ]
        of = np.repeat(np.arange(len(rows)), [row[2] for row in rows])
        self._now_law = of
        self._now_pool = np.array([row[0] for row in rows], dtype=np.int64)[of]
        self._now_class = np.array([row[1] for row in rows], dtype=np.int64)[of]
        self._left = LifetimeTable([row[3] for row in rows])

    def run(self, seed: int, first: int, last: int) -> Runs:
        """Runs `first` to `last` - 1 of a seed. A run's chance hangs on the seed and its number, on nothing else."""
        shape = last - first, len(self._pools), len(self._grid)
        k = len(RESOURCES)
        found = Runs(
            first,
            np.full((*shape[:2], k), np.inf),
            np.zeros((*shape, k)),
            np.zeros(shape, bool),
            np.zeros(shape, bool),
        )
        for i in range(last - first):
            # Child i of the seed, as SeedSequence(seed).spawn() would give it, without its brothers.
            sequence = np.random.SeedSequence(seed, spawn_key=(first + i,))
            self._once(np.random.default_rng(sequence), i, found)
        return found

    def _once(self, chance: np.random.Generator, i: int, found: Runs) -> None:
        batches = self._streams.draw(chance)
        leaves = self._left.draw(chance, self._now_law)
        growth = self._growth(chance)
        for p, pool in enumerate(self._pools):
            new = self._coming(batches, p)
            old = self._going(leaves, p)
            line = Line(new, old, self._knots, growth, self._end)
            found.full_hours[i, p] = [
                line.first_above(k, limit) for k, limit in enumerate(pool.limits.tolist())
            ]
            demand = line.at(self._grid)
            found.demand[i, p] = demand
            found.fits[i, p], found.spare[i, p] = pool.carried(chance, demand, self._grid)

    def _growth(self, chance: np.random.Generator) -> Float64 | None:
        """[J, K] the logarithm of the growth at each month; None where nothing grows."""
        growth = self.problem.models.growth
        if growth.is_still:
            return None
        steps = len(self._knots) - 1
        return np.column_stack([_walked(chance, walk, steps) for walk in growth.walks()])

    def _coming(self, batches: Batches, p: int) -> "Changes":
        """Arrivals and departures of new machines in a pool."""
        first, last = np.searchsorted(batches.pool, [p, p + 1]).tolist()
        at = slice(first, last)
        machines = slice(*np.searchsorted(batches.batch_of, [first, last]).tolist())
        of, ends = batches.batch_of[machines], batches.ends_hours[machines]
        leaving = np.flatnonzero(ends < self._end)
        of, ends = of[leaving], ends[leaving]
        each = self._each
        amounts = each[:, batches.workload_class[at]] * batches.size[at]
        less = -each[:, batches.workload_class[of]]
        return Changes(np.concatenate([batches.hours[at], ends]), np.concatenate([amounts, less], axis=1))

    def _going(self, leaves: Float64, p: int) -> "Changes":
        """What is there at the start, and its departures."""
        here = self._now_pool == p
        total = self._each[:, self._now_class[here]].sum(axis=1, keepdims=True)
        at = np.flatnonzero(here & (leaves < self._end))
        less = -self._each[:, self._now_class[at]]
        return Changes(np.concatenate([[0.0], leaves[at]]), np.concatenate([total, less], axis=1))


@dataclass(frozen=True)
class Changes:
    """[N] times and the [K, N] whole amounts that are added then."""

    hours: Float64
    amounts: Int64

    def sums(self) -> "Changes":
        """The same in the order of time, with all that was added until then."""
        order = np.argsort(self.hours)
        return Changes(self.hours[order], np.cumsum(self.amounts[:, order], axis=1))

    def at(self, hours: Float64) -> Int64:
        """[K, T] of what is in `sums`; what happens at a time is included. Before the first time there is nothing."""
        i = np.searchsorted(self.hours, hours, side="right")
        return np.concatenate([np.zeros((len(self.amounts), 1), dtype=np.int64), self.amounts], axis=1)[
            :, i
        ]


class Line:
    """Demand of one pool through time: steps of new machines, and steps of old ones times their growth."""

    def __init__(
        self, new: Changes, old: Changes, knots: Float64, growth: Float64 | None, end: float
    ) -> None:
        self._knots, self._log, self._end = knots, growth, end
        if growth is None:
            both = Changes(
                np.concatenate([old.hours, new.hours]), np.concatenate([old.amounts, new.amounts], axis=1)
            ).sums()
            self._hours, self._new, self._old = both.hours, both.amounts, None
            return
        new, old = new.sums(), old.sums()
        # Growth is one exponential between two knots only: each knot is a time to look at.
        inner = knots[(knots > 0) & (knots < end)]
        self._hours = np.sort(np.concatenate([old.hours, new.hours, inner]))
        self._new, self._old = new.at(self._hours), old.at(self._hours)

    def at(self, hours: Float64) -> Float64:
        """[T, K] the demand at each time, what happens at that time included."""
        i = np.searchsorted(self._hours, hours, side="right") - 1
        if self._old is None:
            return self._new[:, i].T.astype(np.float64)
        factors = np.stack([self._factor(k, hours) for k in range(len(self._new))])
        found: Float64 = self._new[:, i] + self._old[:, i] * factors
        return found.T

    def _factor(self, k: int, hours: Float64) -> Float64:
        assert self._log is not None, "only asked where something grows"
        return np.exp(np.interp(hours, self._knots, self._log[:, k]))

    def first_above(self, k: int, limit: float) -> float:
        """When resource k first exceeds the limit, in hours; infinite where it never does."""
        if self._old is None:
            return _first(self._new[k] > limit, self._hours)
        # Most of the time demand is far away: what the highest growth of all would give needs no growth of each time.
        assert self._log is not None, "where old demand is apart it grows"
        near = self._new[k] + self._old[k] * np.exp(self._log[:, k].max()) > limit
        if not near.any():
            return np.inf
        return self._first_grown(k, limit, int(np.argmax(near)))

    def _first_grown(self, k: int, limit: float, begin: int) -> float:
        assert self._old is not None, "only asked where something grows"
        hours, new, old = self._hours[begin:], self._new[k, begin:], self._old[k, begin:]
        factor = self._factor(k, np.append(hours, self._end))
        after, before_next = new + old * factor[:-1], new + old * factor[1:]
        above = (after > limit) | (before_next > limit)
        i = int(np.argmax(above))
        if not above[i]:
            return np.inf
        if after[i] > limit:
            return float(hours[i])
        # Between two looks the logarithm of what is old is a straight line.
        until = float(hours[i + 1]) if i + 1 < len(hours) else self._end
        ends = np.log(factor[i : i + 2])
        wanted = np.log((limit - new[i]) / old[i])
        return float(hours[i]) + (until - float(hours[i])) * float((wanted - ends[0]) / (ends[1] - ends[0]))


def _first(above: Bool, hours: Float64) -> float:
    i = int(np.argmax(above))
    return float(hours[i]) if above[i] else np.inf


def _walked(chance: np.random.Generator, walk: Walk, months: int) -> Float64:
    mean = np.log1p(walk.percent_per_month / 100) + walk.error_percent / 100 * chance.standard_normal()
    steps = mean + walk.sd_percent / 100 * chance.standard_normal(months)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _left(problem: ForecastProblem, there: Present) -> list[Law]:
    lifetimes = problem.models.classes[there.workload_class].lifetimes
    if there.stay:
        return [FOREVER]
    return in_balance(lifetimes) if there.age_hours is None else remaining(lifetimes, there.age_hours)


class _PoolNow:
    """The room of one pool, and what is left of it when hosts are down."""

    def __init__(self, problem: ForecastProblem, pool: ForecastPool) -> None:
        self.limits = pool.limits()
        self._failures = problem.models.failures
        self._usable = pool.usable_percent / 100
        self._hosts = pool.capacities()
        self._shared = pool.shared_amounts()

    def carried(self, chance: np.random.Generator, demand: Float64, grid: Float64) -> tuple[Bool, Bool]:
        """[G] whether what is up carries the demand, and whether it would without its largest host."""
        if self._failures is None:
            total, largest = self._hosts.sum(axis=0), self._hosts.max(axis=0)
        else:
            up = ups_and_downs(chance, self._failures, len(self._hosts), grid)
            total = up @ self._hosts
            largest = np.stack([(up * amounts).max(axis=1) for amounts in self._hosts.T], axis=1)
        whole = total * self._usable + self._shared
        spared = (total - largest) * self._usable + self._shared
        return (demand <= whole).all(axis=1), (demand <= spared).all(axis=1)
