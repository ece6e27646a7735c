"""One chain of annealing: moves at falling temperatures, those kinds most often that change most.

Two things make it work on estates that run. Every process away from its first machine counts some temperatures
more (`_STAY`): without that, chance alone would scatter them over all machines, and what is used twice would fill
these up. And kinds of moves, by the size of what moves, are tried the more often the more they change; which
these are changes with the temperature.

Some searches let machines lack room at first, at a price that rises as it gets colder: where every machine is nearly
full, large processes could not pass one another otherwise.
"""

from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Int64
from placement.rebalance.loops import FIRM, HOME, KINDS, LOG, Float64, anneal
from placement.rebalance.passing import pass_on
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.replacing import replace
from placement.rebalance.tables import SIZES, State, Tables, state_of

BLOCK = 100_000
"""Moves at one temperature: some tens of milliseconds."""
LEAST = 20.0
"""No temperature is below this: the costs of moves are that large in the challenge."""
_CELLS = SIZES * KINDS
_MENU = 1024
_EVENLY = 0.3
"""What part of all moves is spread evenly over the kinds, so that none is forgotten."""
_SAMPLE = 20_000
_TURNS = 20
"""Passing on or replacing, and other moves, take turns so often in a block."""


@dataclass(frozen=True)
class Manner:
    """How a chain searches."""

    hot: float = 1.0
    """The first temperature, in typical changes."""
    stay: float = 0.0
    """What being away counts, in temperatures."""
    passing: float = 0.0
    """What part of all moves pass places on."""
    replacing: float = 0.0
    """What part of all moves replace others, where it is listed who could come where and no machine may lack room."""
    mix: tuple[float, ...] | None = None
    """Shares of the kinds of moves (shift, home, swap, alike); without, what changes most is tried most.

    For processes of all sizes alike; where it is listed who could come where, the oftener the larger.
    """
    soft: bool = False
    """Whether machines may lack room while it is hot; then the first temperature is no higher than where `PRESSURE` begins."""


PRESSURE = ((0.06, 0.5), (0.01, 100.0), (0.006, 1e5))
"""What it costs that a machine lacks room, in what load costs, at temperatures in typical changes.

It rises before the temperature falls to where only small processes move: these alone could not make room any more.
"""
_SLOW = (1 / 6, 0.7)
"""A soft search spends so much of its time on the first part of its way: there the large find their places."""

_COOLER = 10
"""A soft search begins so many times cooler than others, about, and ends where they do."""


def pressure_at(temperature: float) -> float:
    """What lacking a unit costs, in what load of a unit does; `temperature` in typical changes."""
    at, price = np.log(np.array(PRESSURE)[::-1]).T
    found = float(np.exp(np.interp(np.log(max(temperature, 1e-9)), at, price)))
    return found if temperature > PRESSURE[-1][0] else FIRM


@dataclass(frozen=True)
class Cooling:
    """From which temperature to which, in equal ratios; with a knee, in two parts."""

    hot: float
    cold: float
    knee: tuple[float, float] | None = None
    """A temperature, in parts of the first, and after what part of the run it is reached."""

    def at(self, done: float) -> float:
        """The temperature after a part of the run, from 0 to 1."""
        if self.knee is None:
            return float(self.hot * (self.cold / self.hot) ** done)
        warm, when = self.hot * self.knee[0], self.knee[1]
        if done < when:
            return float(self.hot * self.knee[0] ** (done / when))
        return float(warm * (self.cold / warm) ** ((done - when) / (1 - when)))


def cooling_of(manner: Manner, typical: float, coldest: float) -> Cooling:
    """How a chain of this manner cools; `coldest` in parts of its first temperature."""
    top = max(LEAST, typical * manner.hot)
    if manner.soft and coldest * _COOLER < _SLOW[0]:
        return Cooling(top, max(min(LEAST, top), top * coldest * _COOLER), _SLOW)
    return Cooling(top, max(min(LEAST, top), top * coldest))


@dataclass(eq=False)
class Chain:
    """A state and what was learned about kinds of moves."""

    tables: Tables
    machine: Int64
    """Where it begins."""
    seed: int
    manner: Manner = Manner()
    state: State = field(init=False)
    moves: int = 0
    """Tried so far."""
    menu: Int64 = field(init=False)
    tried: Int64 = field(init=False)
    gained: Float64 = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the state; all kinds of moves are worth the same at first."""
        self.state = state_of(self.tables, self.machine, self.seed)
        self.tried, self.gained = np.zeros(_CELLS, dtype=np.int64), np.zeros(_CELLS)
        self.menu = self._menu()

    def _menu(self) -> Int64:
        if self.manner.mix is None:
            return _menu(self.tried, self.gained)
        return _fixed(self.manner.mix, large_first=len(self.tables.reach) > 0)

    @property
    def objective(self) -> int:
        """What the present assignment costs."""
        return int(self.state.totals[1])

    @property
    def lacks(self) -> bool:
        """Whether a machine lacks room, so that the present assignment is no answer."""
        return bool(self.state.excess.any())

    def block(self, temperature: float, moves: int = BLOCK, pressure: float = FIRM) -> None:
        """Try so many moves at one temperature; `pressure` is what lacking room costs, in what load does."""
        stay = self.manner.stay * temperature
        if pressure >= FIRM and not self.lacks:
            pressure = 0.0  # There is a faster way to keep it so.
        may_replace = pressure == 0.0 and len(self.tables.reach) > 0
        passed = int(moves * self.manner.passing) // _TURNS
        replaced = int(moves * self.manner.replacing) // _TURNS if may_replace else 0
        turns = _TURNS if passed or replaced else 1
        for _ in range(turns):
            some = moves // turns - passed - replaced
            anneal(
                self.tables, self.state, LOG, self.menu, temperature, stay, pressure, some, self.tried, self.gained,
            )  # fmt: skip
            if passed:
                pass_on(self.tables, self.state, LOG, temperature, stay, pressure, passed)
            if replaced:
                replace(self.tables, self.state, LOG, temperature, stay, replaced)
        self.moves += moves
        self.menu = self._menu()
        self.tried //= 2
        self.gained *= 0.5


def _menu(tried: Int64, gained: Float64) -> Int64:
    """[1024] kinds of moves, those that changed most for their number most often."""
    score = gained / np.maximum(tried, 1)
    total = float(score.sum())
    even = np.full(_CELLS, 1.0 / _CELLS)
    share = _EVENLY * even + (1 - _EVENLY) * (score / total if total > 0 else even)
    return _spread(share)


def _fixed(mix: tuple[float, ...], *, large_first: bool) -> Int64:
    """[1024] kinds of moves by their shares, for processes of all sizes alike, or the oftener the larger."""
    often = np.arange(1.0, SIZES + 1) if large_first else np.ones(SIZES)
    return _spread(np.outer(often, mix).ravel())


def _spread(share: Float64) -> Int64:
    """[1024] kinds of moves as often as their shares say."""
    home = np.arange(_CELLS) % KINDS == HOME  # These do not depend on size: one of them stands for all.
    share[HOME] = share[home].sum()
    share[home & (np.arange(_CELLS) != HOME)] = 0.0
    reached = np.cumsum(share) / share.sum()
    found = np.searchsorted(reached, (np.arange(_MENU) + 0.5) / _MENU)
    return np.minimum(found, _CELLS - 1).astype(np.int64)


def typical_change(problem: Reassignment, seed: int) -> float:
    """What one in ten of those moves by chance costs that make load dearer where they go; the scale of temperatures.

    Not the median: sizes spread over three decimals, and it is the large processes that must find their places first.
    """
    if not problem.processes:
        return 1.0
    chance = np.random.default_rng(seed)
    used = np.zeros_like(problem.capacity)
    np.add.at(used, problem.initial, problem.requirement)
    p, n = chance.integers(0, problem.processes, _SAMPLE), chance.integers(0, problem.machines, _SAMPLE)
    over = used[n] - problem.safety[n]
    need = problem.requirement[p]
    change = ((np.maximum(0, over + need) - np.maximum(0, over)) * problem.load_weight).sum(axis=1)
    change = change[change > 0]
    return float(np.quantile(change, 0.9)) if len(change) else 1.0
