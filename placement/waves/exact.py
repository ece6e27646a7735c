"""Every order of a few moves: the most machines at their last place, with the fewest stops, then the fewest GiB for them.

A search over where the movers are, cheapest first (Dijkstra). It proves its answer where it ends by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from placement.waves.state import State, Step

Places = tuple[int, ...]
"""Of each mover, in their order."""
Cost = tuple[int, int]
"""Stops, and what is copied for them."""


@dataclass(frozen=True)
class Found:
    """The best order from a state, and whether every other one was looked at."""

    steps: tuple[Step, ...]
    proven: bool


def search(
    state: State,
    movers: Sequence[int],
    stops: Callable[[int], Sequence[int]],
    extra: Callable[[Step], int],
    most: int,
) -> Found:
    """From `state`, which is as it was afterwards; `stops` names where a machine may wait, `most` bounds the states.

    A machine that cannot come to its last place ends where it is now.
    """
    begin = tuple(state.at[m] for m in movers)
    came: dict[Places, tuple[Places, Step] | None] = {begin: None}
    least: dict[Places, Cost] = {begin: (0, 0)}
    queue: list[tuple[Cost, int, Places]] = [((0, 0), 0, begin)]
    best, closed, looked = (0, begin), set[Places](), 0
    final = tuple(state.of.final[m] for m in movers)
    while queue and looked < most:
        cost, _, places = heappop(queue)
        if places in closed:
            continue
        closed.add(places)
        looked += 1
        arrived = _arrived(places, begin, final)
        if arrived > best[0]:
            best = (arrived, places)
        if places == final:
            _go_to(state, movers, begin)
            return Found(_path(came, places), proven=True)
        _go_to(state, movers, places)
        for i, step in _steps(state, movers, stops):
            after = (*places[:i], step.target, *places[i + 1 :])
            stop = step.target != state.of.final[step.machine]
            costs = (cost[0] + stop, cost[1] + (extra(step) if stop else 0))
            if after not in least or costs < least[after]:
                least[after], came[after] = costs, (places, step)
                heappush(queue, (costs, len(least), after))
    _go_to(state, movers, begin)
    return Found(_path(came, best[1]), proven=not queue)


def _arrived(places: Places, begin: Places, final: Places) -> int:
    """How many are at their last place; -1 where any waits at a stop, since nothing may end so."""
    if any(at not in {was, to} for at, was, to in zip(places, begin, final, strict=True)):
        return -1
    return sum(at == to for at, to in zip(places, final, strict=True))


def _steps(
    state: State, movers: Sequence[int], stops: Callable[[int], Sequence[int]]
) -> Iterator[tuple[int, Step]]:
    for i, m in enumerate(movers):
        if state.done(m):
            continue
        for target in (state.of.final[m], *stops(m)):
            if target != state.at[m] and state.block(m, target) is None:
                yield i, Step(m, state.at[m], target)


def _go_to(state: State, movers: Sequence[int], places: Places) -> None:
    for m, place in zip(movers, places, strict=True):
        if state.at[m] != place:
            state.go(Step(m, state.at[m], place))


def _path(came: dict[Places, tuple[Places, Step] | None], places: Places) -> tuple[Step, ...]:
    steps = []
    while (before := came[places]) is not None:
        places, step = before
        steps.append(step)
    return tuple(reversed(steps))
