"""Chains beside one another in the same cooling, of which fewer and fewer go on."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from placement.rebalance.chain import Chain, cooling_of, pressure_at

_STAGES = ((0.3, 1.0, 0.3), (0.5, 0.4, 0.5), (0.7, 0.25, 0.7), (1.0, 0.0, 1.0))
"""Until what part of the cooling, what part of the chains go as far as that, and when they are there, in parts of the time.

Which of them is dearest at one temperature shows early, and stays so: where there are many places to be stuck in, it
is better to begin often and to go on with few.
"""
_LATELY = 8
"""A chain is judged by the last of so many parts of its blocks: what one costs at a temperature varies."""
_WORTH = 100.0
"""What a unit that a machine lacks counts when chains are compared, in what load does."""


@dataclass(eq=False)
class Descent:
    """Chains of one manner."""

    chains: list[Chain]
    typical: float
    """The scale of temperatures."""
    coldest: float
    block: int
    """Moves at one temperature."""
    moves: int = field(default=0, init=False)
    """Tried by all chains."""

    def run(self, first: float, last: float, done: Callable[[int], float]) -> None:
        """Cool from when `done` of the moves tried is `first` until it is `last`; in the end nothing dearer is taken.

        The chains that are left are the cheapest first.
        """
        begun, cooled, spent = len(self.chains), 0.0, 0.0
        for cool, part, time in _STAGES if begun > 1 else ((1.0, 1.0, 1.0),):
            count = max(1, round(begun * part))
            self.chains = self.chains[:count]
            cost = []
            for at, chain in enumerate(self.chains):
                share = [
                    first + (last - first) * (spent + (time - spent) * n / count) for n in (at, at + 1)
                ]
                cost.append(self._cool(chain, (cooled, cool), (share[0], share[1]), done))
            self.chains = [self.chains[n] for n in np.argsort(cost, kind="stable")]
            cooled, spent = cool, time
        for chain in self.chains:
            chain.block(0.0, self.block)
            self.moves += self.block

    def _cool(
        self,
        chain: Chain,
        part: tuple[float, float],
        when: tuple[float, float],
        done: Callable[[int], float],
    ) -> float:
        """Cool one chain for a part of the way; what it cost at last."""
        cooling, cost = cooling_of(chain.manner, self.typical, self.coldest), []
        begin = done(self.moves)
        while (now := done(self.moves)) < when[1]:
            way = (now - begin) / max(when[1] - begin, 1e-9)
            temperature = cooling.at(part[0] + (part[1] - part[0]) * way)
            pressure = pressure_at(temperature / self.typical) if chain.manner.soft else 0.0
            chain.block(temperature, self.block, pressure)
            self.moves += self.block
            cost.append(chain.objective + min(pressure, _WORTH) * float(chain.state.excess.sum()))
        lately = cost[-(len(cost) // _LATELY + 1) :]
        return float(np.mean(lately)) if lately else np.inf
