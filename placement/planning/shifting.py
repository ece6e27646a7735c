"""Room for machines that have none: another machine makes way, and goes where there is room for it."""

import numpy as np

from placement.arrays import Bool, Int64
from placement.planning.rounding import largest_first
from placement.planning.seating import Seating

_MOST = 64
"""Machines that are tried; where more wait, hosts are what is missing."""
_FAR = np.iinfo(np.int64).max


def shift(seating: Seating) -> None:
    """Machines that wait, the largest first: each takes the place of one other where that costs the least."""
    waiting = seating.waiting()
    if not 0 < int(waiting.sum()) <= _MOST:
        return
    for g in largest_first(seating).tolist():
        while waiting[g] and _placed(seating, g):
            waiting[g] -= 1


def _placed(seating: Seating, g: int) -> bool:
    direct = [p for p in range(len(seating.pools)) if seating.facts.possible[g, p] and seating.room(g, p)]
    if direct:
        seating.add(g, min(direct, key=lambda p: int(seating.facts.cost[g, p])), 1)
        return True
    open_to = np.stack([_has_room(seating, q) for q in range(len(seating.pools))], axis=1)
    best = (_FAR, 0, 0, 0)
    for p in np.flatnonzero(seating.facts.possible[g]).tolist():
        best = min(best, _way(seating, g, p, open_to))
    cost, p, other, q = best
    if cost == _FAR:
        return False
    seating.add(other, p, -1)
    seating.add(other, q, 1)
    seating.add(g, p, 1)
    return True


def _has_room(seating: Seating, q: int) -> Bool:
    """[G] whether a pool has room for one more, whatever moves that takes."""
    pool = seating.pools[q]
    free = (pool.limit - seating.used[q])[:, None]
    found: Bool = (
        pool.open_to
        & seating.facts.possible[:, q]
        & ((pool.factors <= free) | (pool.factors == 0)).all(axis=0)
    )
    return found


def _way(seating: Seating, g: int, p: int, open_to: Bool) -> tuple[int, int, int, int]:
    """What it costs least that a machine comes to a pool and another one goes, and which goes where."""
    facts, pool = seating.facts, seating.pools[p]
    if not pool.open_to[g]:
        return _FAR, 0, 0, 0
    free = (pool.limit - seating.used[p] - pool.factors[:, g])[:, None]
    goes = (seating.counts[:, p] > 0) & (-pool.factors <= free).all(axis=0)
    more: Int64 = facts.moved.astype(np.int64) - facts.moved[:, p : p + 1] + int(facts.moved[g, p])
    able = open_to & goes[:, None] & (more <= max(0, seating.moves_left))
    able[:, p] = False
    if not able.any():
        return _FAR, 0, 0, 0
    cost = np.where(able, facts.cost - facts.cost[:, p : p + 1] + facts.cost[g, p], _FAR)
    at = int(np.argmin(cost))
    other, q = divmod(at, cost.shape[1])
    return int(cost[other, q]), p, other, q
