"""What stands against one request on every provider, found once for all that is told of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from placement import constraints
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.placed import Placed
from placement.problem import PlacementProblem


@dataclass(frozen=True, eq=False)
class Against:
    """One request, in addition to everything else in a plan."""

    after: Placed
    request: int
    blocking: tuple[tuple[Constraint, Bool], ...]
    """Every constraint that blocks any provider, with those [V] that it blocks."""
    count: Int64
    """[V] how many constraints block each."""


def against(after: Placed, request: int) -> Against:
    """Ask every constraint that the request concerns."""
    count = np.zeros(len(after.problem.providers.ids), dtype=np.int64)
    blocking = []
    for one in _concerning(after.problem).of(request):
        blocked = one.blocked(after, request)
        if blocked is not None and blocked.any():
            blocking.append((one, blocked))
            count += blocked
    return Against(after, request, tuple(blocking), count)


@dataclass(frozen=True, eq=False)
class _Concerning:
    """A problem's constraints by request: of thousands, few are about any one of them."""

    every: tuple[Constraint, ...]
    anyone: tuple[int, ...]
    """Positions of those that may concern any request."""
    start: Int64
    """[R + 1] where in `position` those of each request begin."""
    position: Int64
    """Of those that concern some, the positions, request after request."""

    def of(self, request: int) -> Iterator[Constraint]:
        """Those that concern a request, in the problem's order."""
        some = self.position[self.start[request] : self.start[request + 1]].tolist()
        return (self.every[n] for n in sorted((*self.anyone, *some)))


_CONCERNING: WeakKeyDictionary[PlacementProblem, _Concerning] = WeakKeyDictionary()
"""Asked for with every request that is explained."""


def _concerning(problem: PlacementProblem) -> _Concerning:
    found = _CONCERNING.get(problem)
    if found is None:
        found = _CONCERNING[problem] = _by_request(problem)
    return found


def _by_request(problem: PlacementProblem) -> _Concerning:
    every = constraints.of(problem)
    masks = [one.concerns(problem) for one in every]
    some = [(n, np.flatnonzero(mask)) for n, mask in enumerate(masks) if mask is not None]
    empty = np.empty(0, dtype=np.int64)
    requests = np.concatenate([empty, *(inside for _, inside in some)])
    position = np.concatenate([empty, *(np.full(len(inside), n) for n, inside in some)])
    counts = np.bincount(requests, minlength=len(problem.request_ids))
    return _Concerning(
        every=every,
        anyone=tuple(n for n, mask in enumerate(masks) if mask is None),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        position=position[np.argsort(requests, kind="stable")],
    )
