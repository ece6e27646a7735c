"""Runs over all small exchanges of two pools that cool together: those that are cheaper while hot go on when cold.

What runs that are alike but for chance end with differs by a fifth, and most of that is decided early, as is how many
packs are bought: after a fifth of the cooling costs already go 0.5 to 0.8 with those at the end, after two fifths
0.9. So time is given to the better half only. The rest of the cooling has the larger sets, which find what fits where
the smaller no longer do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.pool_instances.annealing import NEVER, Annealing, Heat
from placement.pool_instances.effort import Effort
from placement.pool_instances.exchanging import exchange
from placement.pool_instances.relaxation import room

Float64 = npt.NDArray[np.float64]

_HEAT = Heat(hot=0.045, cold=0.011, price_first=5.0, price_last=300.0)
"""Listed exchanges still find what fits where drawn ones no longer do, so the end is colder and lacks cost less."""
_PAIRS = 50
"""Pairs of pools whose exchanges are listed at one temperature: a millisecond."""
_PACKS = 2
"""Times a pack's cost: hot runs buy one more than needed, whose vCPU fit more easily, and cold ones never find the way back."""
_LANES = 2
"""Runs that go on at the same time."""


@dataclass(frozen=True)
class _Stage:
    """So many runs cool until a part of the cooling, in a part of the time."""

    runs: int
    until: float
    share: float
    steps: int
    """Temperatures of each run, where rounds are counted; where only time counts, as many as fit."""
    width: tuple[int, int]
    """Classes of a pool that are looked at, and how many of them leave it at most."""


_STAGES = (
    _Stage(8, 0.2, 0.25, 2, (24, 2)),
    _Stage(4, 0.4, 0.25, 4, (24, 2)),
    _Stage(2, 0.8, 0.5, 10, (24, 3)),
)
"""Colder than the last, nothing moves."""


def seeds(rng: np.random.Generator) -> Int64:
    """A seed for each run."""
    return rng.integers(2**31, size=_STAGES[0].runs)


def found(annealing: Annealing, drawn: Int64, effort: Effort, length_s: float) -> list[Int64]:
    """Counts [G, P] that fit, cheapest first, one for each run, with a seed drawn for it, that found some."""
    runs = [_Run(annealing, seed) for seed in drawn.tolist()]
    every, begin = runs, 0.0
    for stage in _STAGES:
        runs = sorted(runs, key=lambda run: run.costs)[: stage.runs]
        each_s = stage.share * length_s * _LANES / len(runs)
        lanes = [
            (runs[n::_LANES], stage, begin, _Watch(effort, stage.steps, each_s)) for n in range(_LANES)
        ]
        for _ in effort.run(_cool, lanes):
            pass
        begin = stage.until
    return sorted((run.best for run in every if run.fits), key=annealing.cells.objective)


@dataclass(frozen=True)
class _Watch:
    """Tells runs how much of them is over."""

    effort: Effort
    steps: int
    each_s: float

    def start(self) -> Callable[[], float]:
        """Asked at each temperature: the part that is over, by count where rounds are, or by time."""
        begin, told = self.effort.clock(), 0

        def over() -> float:
            nonlocal told
            told += 1
            counted = 0.0 if self.effort.rounds is None else (told - 1) / self.steps
            return max(counted, (self.effort.clock() - begin) / self.each_s)

        return over


def _cool(lane: tuple[list["_Run"], _Stage, float, _Watch]) -> None:
    runs, stage, begin, watch = lane
    for run in runs:
        run.cool(stage, begin, watch.start())


class _Run:
    """Counts that change in place, and all that goes along with them.

    They begin with the rounded relaxed ones, whose packs are nearly right, however good the best known are.
    """

    def __init__(self, annealing: Annealing, seed: int) -> None:
        cells, counts = annealing.cells, annealing.start
        self._annealing = annealing
        self._unit = np.maximum(np.gcd.reduce(cells.demand, axis=0), 1)
        self._counts, self.best = counts.copy("C"), counts.copy("C")
        self._free = np.ascontiguousarray((room(cells) - counts.T @ cells.demand) // self._unit)
        self._licensed = cells.licence @ counts
        first = 0 if self._free.min() >= 0 else NEVER
        self._state = np.array([(seed + 1) * 2654435761, 0, first], dtype=np.int64)
        self._demand = np.column_stack([cells.demand // self._unit, cells.licence])
        self._lean = np.ascontiguousarray(cells.cost + cells.demand @ annealing.worth_each.T)
        self._lately: list[float] = []

    @property
    def fits(self) -> bool:
        """Whether `best` does."""
        return bool(self._state[2] < NEVER)

    @property
    def costs(self) -> float:
        """What the counts cost of late, with what they lack, more than those at the start."""
        late = self._lately[len(self._lately) // 2 :]
        return float(np.mean(late)) if late else 0.0

    def cool(self, stage: _Stage, begin: float, done: Callable[[], float]) -> None:
        """A stage's part of the cooling; `done` tells how much of it is over."""
        one, self._lately = self._annealing, []
        cells = one.cells
        worth = np.ascontiguousarray(
            one.worth_each * self._unit
        )  # The layout is part of the compiled type.
        pack = np.array([cells.instance.licence_pack_vcpus, cells.instance.licence_pack_cost * _PACKS])
        sizes = np.array([*stage.width, comb(sum(stage.width), stage.width[1])])
        while len(one.pools) and (over := done()) < 1.0:
            temperature, price = _HEAT.at(begin + (stage.until - begin) * over)
            weight = one.weight * (price * self._unit)
            exchange(
                self._counts, self.best, self._state, self._free, self._licensed, self._demand, cells.cost,
                one.upper, one.pools, pack, weight, self._lean, worth, temperature * one.worth, sizes, _PAIRS,
            )  # fmt: skip
            self._lately.append(float(self._state[1] - (np.minimum(self._free, 0) * weight).sum()))
