"""How many must stay out, and what the hosts must cost: proven with whole hosts of each kind.

Cuts and counts take turns: the cheapest counts of hosts that keep all cuts so far, then the cut that the
linear program finds against them. Counts and cuts are integers and the search for counts is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.hosts.counts import Needs, cheapest, roomiest, strongest
from placement.hosts.cuts import Cut, first_cuts
from placement.hosts.kinds import Kinds
from placement.hosts.patterns import filling_cuts
from placement.hosts.relax import separate

_ROUNDS = 40
_ROWS_PER_UNIT = 2_000_000
"""Partial counts looked at that count as one second of deterministic time."""


@dataclass(frozen=True, eq=False)
class Target:
    """Counts [T] of hosts that no cut forbids; None where there are none. No cheaper ones exist than `bound`."""

    counts: Int64 | None
    bound: int


@dataclass
class Bounds:
    """Cuts as they are found; asked for bounds and for counts of hosts that may suffice."""

    kinds: Kinds
    budget: Budget
    cuts: list[Cut] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what counting says."""
        self.cuts.extend(first_cuts(self.kinds))

    def least_unplaced(self) -> int:
        """No plan leaves out fewer of the requests that fit some host."""
        least = max((cut.least_unplaced(self.kinds) for cut in self.cuts), default=0)
        cut = separate(self.kinds, self.kinds.hosts)
        if cut is not None:
            self.cuts.append(cut)
            least = max(least, cut.least_unplaced(self.kinds))
        return least

    def cheapest(self, unplaced: int, at_least: int) -> Target:
        """The cheapest counts, of at least that cost, with which at most `unplaced` may stay out."""
        target = Target(None, at_least)
        for _ in range(_ROUNDS):
            target = self.counted(unplaced, target.bound)
            if target.counts is None or self.budget.spent:
                break
            cut = separate(self.kinds, target.counts)
            if cut is None or int((cut.value * target.counts).sum()) >= cut.need(self.kinds, unplaced):
                break
            self.cuts.append(cut)
        return target

    def fill(self, host_of: Int64, unplaced: int, at_least: int, until: Callable[[], bool]) -> Target:
        """As `cheapest`, with cuts from whole fillings of hosts, beginning with those of a plan.

        They say more where hosts hold few requests and several resources are scarce. Ends early when
        `until` says so.
        """
        target = self.counted(unplaced, at_least)
        for cut in filling_cuts(self.kinds, host_of, self.budget):
            if target.counts is None or until():
                break
            if int((cut.value * target.counts).sum()) < cut.need(self.kinds, unplaced):
                self.cuts.append(cut)
                target = self.counted(unplaced, target.bound)
        return target

    def counted(self, unplaced: int, at_least: int) -> Target:
        """The cheapest counts that the cuts so far allow."""
        found = cheapest(self._needs(unplaced), at_least)
        self.budget.spend(found.rows / _ROWS_PER_UNIT, 0.0)
        return Target(found.counts, found.bound)

    def roomiest(self, unplaced: int, at_most: int) -> Target:
        """Of the counts that cost at most that, those with the most to spare, to each cut in proportion."""
        found = roomiest(self._needs(unplaced), at_most)
        self.budget.spend(found.rows / _ROWS_PER_UNIT, 0.0)
        return Target(found.counts, found.bound)

    def _needs(self, unplaced: int) -> Needs:
        value = np.array([cut.value for cut in self.cuts], dtype=np.int64)
        value = value.reshape(len(self.cuts), len(self.kinds.hosts))
        need = np.array([cut.need(self.kinds, unplaced) for cut in self.cuts], dtype=np.int64)
        strong = strongest(value, need)
        return Needs(value[strong], need[strong], self.kinds.cost, self.kinds.hosts)
