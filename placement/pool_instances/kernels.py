"""The inner loop of the annealing, compiled by numba where it is installed and plain Python where it is not."""

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.compiling import compiled

Float64 = npt.NDArray[np.float64]


@compiled
def _draw(state: Int64) -> int:
    """62 bits by chance: xorshift64 (Marsaglia, Journal of Statistical Software 8/14, 2003)."""
    x = state[0]
    x ^= x << 13
    x ^= (x >> 7) & 0x1FFFFFFFFFFFFFF  # The shift of a negative number brings ones, where zeros are meant.
    x ^= x << 17
    state[0] = x
    return int(x & 0x3FFFFFFFFFFFFFFF)


@compiled
def _packs_change(licensed: Int64, size: int, p: int, q: int, more: int) -> int:
    """How many packs more, where `p` gets so many Windows vCPU that `q` gives."""
    was = -(-licensed[p] // size) - (-licensed[q] // size)
    return int(-(-(licensed[p] + more) // size) - (-(licensed[q] - more) // size) - was)


@compiled
def _excess_change(free: Int64, weight: Float64, p: int, q: int, back: Int64) -> float:
    """What is lacking more, weighed, where `p` gets `back` of each resource and `q` gives it."""
    total = 0.0
    for r in range(len(back)):
        if back[r] != 0:
            total += weight[p, r] * (min(free[p, r], 0) - min(free[p, r] + back[r], 0))
            total += weight[q, r] * (min(free[q, r], 0) - min(free[q, r] - back[r], 0))
    return total


@compiled
def _shift(counts: Int64, listed: Int64, place: Int64, n: int, g: int, a: int, b: int) -> int:
    """One of class `g` goes from pool `a` to `b`; the number of listed cells, which hold something."""
    counts[g, a] -= 1
    if counts[g, a] == 0:
        n -= 1
        last_g, last_p = listed[n, 0], listed[n, 1]
        at = place[g, a]
        listed[at, 0], listed[at, 1] = last_g, last_p
        place[last_g, last_p] = at
    if counts[g, b] == 0:
        listed[n, 0], listed[n, 1] = g, b
        place[g, b] = n
        n += 1
    counts[g, b] += 1
    return n


@compiled
def _may(counts: Int64, upper: Int64, two: Int64, a: int, b: int) -> bool:
    """Whether these two classes, perhaps one or none, can each give one from pool `a` to `b`."""
    none = len(counts)
    g, h = two[0], two[1]
    if g == h and g != none:
        return bool(counts[g, a] >= 2 and counts[g, b] + 2 <= upper[g, b])
    first = g == none or (counts[g, a] >= 1 and counts[g, b] < upper[g, b])
    return bool(first and (h == none or (counts[h, a] >= 1 and counts[h, b] < upper[h, b])))


@compiled
def _list(counts: Int64, listed: Int64, place: Int64) -> int:
    """Every cell that holds something, into `listed`; how many."""
    n = 0
    for g in range(counts.shape[0]):
        for p in range(counts.shape[1]):
            if counts[g, p] > 0:
                listed[n, 0], listed[n, 1] = g, p
                place[g, p] = n
                n += 1
    return n


@compiled
def _unit_change(cost: Int64, two: Int64, a: int, b: int) -> int:
    total = 0
    for c in two:
        if c != len(cost):
            total += cost[c, b] - cost[c, a]
    return total


@compiled
def anneal(  # noqa: C901, PLR0912 - one loop: each step would pass a dozen values to a part of its own
    counts: Int64,
    best: Int64,
    state: Int64,
    free: Int64,
    licensed: Int64,
    demand: Int64,
    licence: Int64,
    cost: Int64,
    upper: Int64,
    pools: Int64,
    near: Int64,
    pack: Int64,
    weight: Float64,
    temperature: float,
    steps: int,
) -> None:
    """Try so many exchanges between two pools at one temperature.

    `counts` [G, P], `free` [P, R] and `licensed` [P] go along; `best` is the cheapest seen within capacity.
    `state` is (chance, cost since the start, its value at `best`). `demand` [G + 1, R] and `licence` [G + 1]
    end with zeros, for nobody. `near` [(G + 1) ** 2, K] has for two classes pairs that need about the same
    in exchange, as class * (G + 1) + class. `pack` is (vCPU, cost). What a pool lacks costs `weight`.
    """
    none, width = len(counts), counts.shape[1]
    listed, place = np.empty((none * width, 2), dtype=np.int64), np.empty((none, width), dtype=np.int64)
    n = _list(counts, listed, place)
    out, into, back = np.empty(2, dtype=np.int64), np.empty(2, dtype=np.int64), np.empty_like(demand[0])
    lacking = free.min() < 0
    for _ in range(steps):
        chance = _draw(state)
        kind, i = chance & 15, (chance >> 4 & 0xFFFFF) * n >> 20
        out[0], p = listed[i, 0], listed[i, 1]
        out[1], into[0], into[1] = none, none, none
        if kind == 0:
            q = pools[(chance >> 24 & 0xFFFFF) * len(pools) >> 20]
        else:
            j = (chance >> 24 & 0xFFFFF) * n >> 20
            into[0], q = listed[j, 0], listed[j, 1]
        if p == q or into[0] == out[0]:
            continue
        if kind >= 4 and near.shape[1] > 0:
            pair = near[out[0] * (none + 1) + into[0], (chance >> 44 & 0xFFFF) * near.shape[1] >> 16]
            into[1], out[1] = pair // (none + 1), pair % (none + 1)
        if not (_may(counts, upper, out, p, q) and _may(counts, upper, into, q, p)):
            continue
        more = licence[into[0]] + licence[into[1]] - licence[out[0]] - licence[out[1]]
        change = _unit_change(cost, out, p, q) + _unit_change(cost, into, q, p)
        if more != 0:
            change += pack[1] * _packs_change(licensed, pack[0], p, q, more)
        for r in range(len(back)):
            back[r] = demand[out[0], r] + demand[out[1], r] - demand[into[0], r] - demand[into[1], r]
        loss = change + _excess_change(free, weight, p, q, back)
        if loss > 0 and (loss > 20 * temperature or np.exp(-loss / temperature) * 2.0**62 < _draw(state)):
            continue
        for k in range(2):
            if out[k] != none:
                n = _shift(counts, listed, place, n, out[k], p, q)
            if into[k] != none:
                n = _shift(counts, listed, place, n, into[k], q, p)
        free[p] += back
        free[q] -= back
        licensed[p] += more
        licensed[q] -= more
        state[1] += change
        lacking = lacking or free[p].min() < 0 or free[q].min() < 0
        if lacking and free[p].min() >= 0 and free[q].min() >= 0:
            lacking = free.min() < 0
        if not lacking and state[1] < state[2]:
            state[2] = state[1]
            best[:] = counts
