"""What hosts and pools cost in a period of growth by the period in which they were bought: prices change, and lives end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from chargeback.economics.costing import HostCost
from chargeback.economics.trace import Span
from placement.arrays import Int64
from placement.planning.facts import Facts
from placement.planning.problem import PlanningProblem
from tierwise.planner.build import Built
from tierwise.planner.pricing import host_cost, open_cost
from tierwise.planner.world import Block


@dataclass(frozen=True, eq=False)
class Purchases:
    """T periods, at the beginning of which hosts are bought and pools opened."""

    periods: Sequence[Built]
    """[T] with all hosts of today."""
    spans: Sequence[Span]
    """[T]"""
    first: int
    """The first period for which hosts can come; T: none."""
    _known: dict[tuple[str, int, int], HostCost] = field(default_factory=dict)

    def host(self, block: Block, s: int, t: int) -> HostCost:
        """What one that was bought in period `s` costs in period `t`."""
        key = block.id, s, t
        if key not in self._known:
            built, day = self.periods[t], self.spans[s].start
            self._known[key] = host_cost(built.economics, built.world, block, self.spans[t], day)
        return self._known[key]

    def orders(
        self, block: Block, bought: Mapping[int, int], t: int
    ) -> Iterator[tuple[tuple[date, int], ...]]:
        """Hosts of which earlier periods bought so many each, apart where keeping one does not cost the same."""
        found: dict[tuple[tuple[str, int], ...], list[tuple[date, int]]] = {}
        for s, count in bought.items():
            kept = tuple(self.host(block, s, t).kept.items())
            found.setdefault(kept, []).append((self.spans[s].start, count))
        yield from map(tuple, found.values())

    def apart(self) -> list[PlanningProblem]:
        """[T] each period by itself: hosts cost the least there that they can have been bought for by then."""
        found = []
        for t, problem in enumerate(self._kept()):
            bought = Facts(problem).bought_cost.copy()
            for b, block in self._new():
                bought[b] = min(sum(self.host(block, s, t).bought.values()) for s in self._until(t))
            found.append(_bought_at(problem, bought))
        return found

    def together(self) -> list[PlanningProblem]:
        """[T] the same with prices of bought hosts that come, from each period to the last, to no more than the true ones.

        They come to what the cheapest host costs from its purchase to the end that can have been bought by then.
        """
        end, whole = len(self.periods), self._whole()
        whole[self.first : end] = np.minimum.accumulate(whole[self.first : end], axis=0)
        whole[: self.first] = whole[self.first]
        return [_bought_at(one, whole[t] - whole[t + 1]) for t, one in enumerate(self._kept())]

    def early(self, bought: Int64) -> Int64:
        """[T, B] hosts that are bought by then, of those that are `bought` [T, B] by when they run.

        Each is bought when it costs the least until the end, and no earlier than that takes.
        """
        found, whole = np.zeros_like(bought), self._whole()
        for t, more in enumerate(np.diff(bought, axis=0, prepend=0)):
            for b in np.flatnonzero(more).tolist():
                cheapest = min(range(min(self.first, t), t + 1), key=lambda s: (int(whole[s, b]), -s))
                found[cheapest, b] += more[b]
        return np.cumsum(found, axis=0)

    def _whole(self) -> Int64:
        """[T + 1, B] what one host that is bought in a period is written off by until the end."""
        end = len(self.periods)
        whole = np.zeros((end + 1, len(self.periods[0].room.blocks)), dtype=np.int64)
        for b, block in self._new():
            for s in range(self.first, end):
                whole[s, b] = sum(sum(self.host(block, s, t).bought.values()) for t in range(s, end))
        return whole

    def _new(self) -> Iterator[tuple[int, Block]]:
        """Blocks of hosts that could be bought."""
        for b, block in enumerate(self.periods[0].room.blocks):
            if not block.today and not block.paid:
                yield b, block

    def _until(self, t: int) -> range:
        """The periods in which hosts of a period can have been bought; itself where none can."""
        return range(min(self.first, t), t + 1)

    def _kept(self) -> Iterator[PlanningProblem]:
        """Periods in which hosts that are kept and pools that are open cost the least that they can."""
        for t, built in enumerate(self.periods):
            facts = Facts(built.problem)
            kept, opened = facts.kept_cost.copy(), facts.open_cost.copy()
            for b, block in self._new():
                kept[b] = min(sum(self.host(block, s, t).kept.values()) for s in self._until(t))
            for p, pool in enumerate(built.room.pools):
                ways = (replace(pool, opened_on=span.start) for span in self.spans[: t + 1])
                costs = (open_cost(built.economics, built.world, way, self.spans[t]) for way in ways)
                opened[p] = min(sum(one.avoidable.values()) for one in costs)
            yield replace(
                built.problem,
                blocks=replace(built.problem.blocks, kept_costs={"hosts": kept}),
                pools=replace(built.problem.pools, open_costs={"pools": opened}),
            )


def _bought_at(problem: PlanningProblem, micros: Int64) -> PlanningProblem:
    return replace(problem, blocks=replace(problem.blocks, bought_costs={"bought": micros}))
