"""Every small exchange between two pools at once, one of them drawn: what annealing does where few are worth it.

Nearly every opened pool is full, so of a thousand exchanges drawn by chance one at most fits a cold state.
Here all of two pools are listed as sets out and sets back, sorted by one resource, and only those that fit
into what is free are looked at. What a request takes of a pool's rooms has a price there, the relaxation's dual; a set
that costs more with it than heat allows, whatever comes back and whatever is free, is not even listed.
Compiled by numba where it is installed, plain Python where it is not.
"""

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.compiling import compiled
from placement.pool_instances.kernels import _draw, _excess_change, _packs_change

Float64 = npt.NDArray[np.float64]

_COLD = 8.0
"""Exchanges that lose more than so many temperatures are not looked at: one in 3,000 would be taken."""
_CLOSE = 1e-3
"""For sums of floats that differ in their last digits."""
_ANY = 1 << 40
"""A lack without a price may be as large as it likes."""


@compiled
def _givers(counts: Int64, upper: Int64, p: int, q: int, state: Int64, some: Int64) -> int:
    """Classes of pool `p` that may go to `q`, into `some`: all, or as many as it holds, by chance."""
    n, seen = 0, 0
    for g in range(len(counts)):
        if counts[g, p] > 0 and counts[g, q] < upper[g, q]:
            seen += 1
            at = n if n < len(some) else _draw(state) % seen
            if at < len(some):
                some[at] = g
                n = min(seen, len(some))
    return n


@compiled
def _cheapest_first(lean: Float64, p: int, q: int, some: Int64, n_some: int) -> None:
    """Sort these classes by what one of them costs more in `q` than in `p`, room included."""
    for i in range(1, n_some):
        g, j = some[i], i
        more = lean[g, q] - lean[g, p]
        while j > 0 and lean[some[j - 1], q] - lean[some[j - 1], p] > more:
            some[j] = some[j - 1]
            j -= 1
        some[j] = g


@compiled
def _least(lean: Float64, p: int, q: int, some: Int64, n_some: int) -> float:
    """What the cheapest of these classes costs more in `q` than in `p`, room included; 0 if none costs less."""
    return float(min(lean[some[0], q] - lean[some[0], p], 0.0)) if n_some else 0.0


@compiled
def _sets(
    counts: Int64,
    upper: Int64,
    demand: Int64,
    cost: Int64,
    lean: Float64,
    p: int,
    q: int,
    some: Int64,
    n_some: int,
    limit: float,
    sums: Int64,
    money: Int64,
    dear: Float64,
    member: Int64,
    last: Int64,
) -> int:
    """The sets of up to K of these classes, the empty one first, that `p` has and `q` may get; how many.

    `sums` [n, R] is what a set needs, `money` [n] what moving it costs, `dear` [n] with the rooms it takes and leaves,
    `member` [n, K] its classes, -1 for none. `last` [n, 2] is where in `some` its last class stands, and how many of
    that it has. Sets that cannot become as cheap as `limit` are left out.
    """
    sums[0], money[0], dear[0], member[0], last[0] = 0, 0, 0.0, -1, 0
    begin, end, n = 0, 1, 1
    levels, least = member.shape[1], _least(lean, p, q, some, n_some)
    for level in range(levels):
        most = limit - (levels - 1 - level) * least
        for s in range(begin, end):
            for i in range(last[s, 0], n_some):
                g, again = some[i], last[s, 1] + 1 if i == last[s, 0] else 1
                more = dear[s] + lean[g, q] - lean[g, p]
                if more > most:
                    break
                if counts[g, p] < again or counts[g, q] + again > upper[g, q]:
                    continue
                for r in range(sums.shape[1]):
                    sums[n, r] = sums[s, r] + demand[g, r]
                for k in range(levels):
                    member[n, k] = member[s, k]
                money[n], dear[n] = money[s] + cost[g, q] - cost[g, p], more
                member[n, level] = g
                last[n, 0], last[n, 1] = i, again
                n += 1
        begin, end = end, n
    return n


@compiled
def _spare(free: Int64, licensed: Int64, worth: Float64, pack: Int64, p: int, q: int) -> float:
    """The most that better use of what `p` and `q` have left can save, packs in whole numbers included."""
    total = 0.0
    for r in range(free.shape[1]):
        total += worth[p, r] * max(free[p, r], 0) + worth[q, r] * max(free[q, r], 0)
    packs = -(-licensed[p] // pack[0]) - (-licensed[q] // pack[0])
    return float(total + pack[1] * (packs + (-(licensed[p] + licensed[q])) // pack[0]))


@compiled
def _most_lack(free: int, weight: float, temperature: float) -> int:
    """What may be lacking after an exchange that is worth looking at; 0 or more."""
    more = _COLD * temperature / weight if weight > 0 else float(_ANY)
    return max(-free, 0) + int(min(more, _ANY))


@compiled
def _window(
    free: Int64, weight: Float64, p: int, q: int, temperature: float, low: Int64, high: Int64
) -> None:
    """The least and the most of each resource that `p` may gain from `q`."""
    for r in range(len(low)):
        low[r] = -free[p, r] - _most_lack(free[p, r], weight[p, r], temperature)
        high[r] = free[q, r] + _most_lack(free[q, r], weight[q, r], temperature)


@compiled
def _narrowest(low: Int64, high: Int64, sums: Int64, n: int) -> int:
    """The resource whose window leaves least of the sets."""
    found, least = 0, np.inf
    for r in range(len(low)):
        wide = (high[r] - low[r]) / max(sums[:n, r].max(), 1)
        if wide < least:
            found, least = r, wide
    return found


@compiled
def _fits(out: Int64, into: Int64, low: Int64, high: Int64, back: Int64) -> bool:
    """Whether what `p` gains, which goes into `back`, is within the window."""
    for r in range(len(back)):
        back[r] = out[r] - into[r]
        if back[r] < low[r] or back[r] > high[r]:
            return False
    return True


@compiled
def _share_a_class(out: Int64, into: Int64) -> bool:
    for g in out:
        for h in into:
            if g == h and g >= 0:
                return True
    return False


@compiled
def _two_lists(
    counts: Int64,
    upper: Int64,
    demand: Int64,
    cost: Int64,
    lean: Float64,
    p: int,
    q: int,
    limit: float,
    state: Int64,
    some: Int64,
    sums: Int64,
    money: Int64,
    dear: Float64,
    member: Int64,
    last: Int64,
) -> tuple[int, int]:
    """List what may go from `p` to `q`, and what may come back, such that both may cost `limit`; how many each."""
    levels = member.shape[2]
    n, m = _givers(counts, upper, p, q, state, some[0]), _givers(counts, upper, q, p, state, some[1])
    _cheapest_first(lean, p, q, some[0], n)
    _cheapest_first(lean, q, p, some[1], m)
    most = limit - levels * _least(lean, q, p, some[1], m)
    n_out = _sets(
        counts,
        upper,
        demand,
        cost,
        lean,
        p,
        q,
        some[0],
        n,
        most,
        sums[0],
        money[0],
        dear[0],
        member[0],
        last,
    )
    most = limit - dear[0, :n_out].min()
    n_in = _sets(
        counts,
        upper,
        demand,
        cost,
        lean,
        q,
        p,
        some[1],
        m,
        most,
        sums[1],
        money[1],
        dear[1],
        member[1],
        last,
    )
    return n_out, n_in


@compiled
def _go(counts: Int64, member: Int64, p: int, q: int) -> None:
    for g in member:
        if g >= 0:
            counts[g, p] -= 1
            counts[g, q] += 1


@compiled
def exchange(  # noqa: C901 - one loop: each step would pass a dozen values to a part of its own
    counts: Int64,
    best: Int64,
    state: Int64,
    free: Int64,
    licensed: Int64,
    demand: Int64,
    cost: Int64,
    upper: Int64,
    pools: Int64,
    pack: Int64,
    weight: Float64,
    lean: Float64,
    worth: Float64,
    temperature: float,
    width: Int64,
    pairs: int,
) -> None:
    """Draw so many pairs of pools, and of each an exchange, or none, as heat would (a heat bath).

    `counts` [G, P], `free` [P, R] and `licensed` [P] go along; `best` is the cheapest seen within capacity.
    `state` is (chance, cost since the start, its value at `best`). `demand` [G, R + 1] ends with Windows vCPU.
    `pack` is (vCPU, cost). What a pool lacks costs `weight`. `worth` [P, R] is a price of what is free, at most
    `weight`, and `lean` [G, P] a request's cost with what it takes at that price: they only say what need not be
    listed. `width` is (classes of a pool that are looked at, K of them at most in a set, sets that there can be).
    """
    many, levels, most = width[0], width[1], width[2]
    resources = free.shape[1]
    some = np.empty((2, many), dtype=np.int64)
    sums, money = np.empty((2, most, resources + 1), dtype=np.int64), np.empty((2, most), dtype=np.int64)
    member, last = np.empty((2, most, levels), dtype=np.int64), np.empty((most, 2), dtype=np.int64)
    dear = np.empty((2, most), dtype=np.float64)
    low, high = np.empty(resources, dtype=np.int64), np.empty(resources, dtype=np.int64)
    back = np.empty(resources, dtype=np.int64)
    for _ in range(pairs):
        p, q = pools[_draw(state) % len(pools)], pools[_draw(state) % len(pools)]
        if p == q:
            continue
        limit = _COLD * temperature + _spare(free, licensed, worth, pack, p, q) + _CLOSE
        n_out, n_in = _two_lists(
            counts, upper, demand, cost, lean, p, q, limit, state, some, sums, money, dear, member, last
        )
        _window(free, weight, p, q, temperature, low, high)
        by = _narrowest(low, high, sums[1], n_in)
        order = np.argsort(sums[1, :n_in, by], kind="mergesort")
        key = sums[1, :n_in, by][order]
        total, there, here, change = 1.0, -1, -1, 0
        for a in range(n_out):
            until = sums[0, a, by] - low[by]
            for j in range(np.searchsorted(key, sums[0, a, by] - high[by]), n_in):
                if key[j] > until:
                    break
                b = order[j]
                if dear[0, a] + dear[1, b] > limit or not _fits(sums[0, a], sums[1, b], low, high, back):
                    continue
                costs = money[0, a] + money[1, b]
                more = sums[1, b, resources] - sums[0, a, resources]
                if more != 0:
                    costs += pack[1] * _packs_change(licensed, pack[0], p, q, more)
                loss = (costs + _excess_change(free, weight, p, q, back)) / temperature
                if loss > _COLD or _share_a_class(member[0, a], member[1, b]):
                    continue
                chance = np.exp(min(-loss, 300.0))
                total += chance
                if _draw(state) * total < chance * 2.0**62:
                    there, here, change = a, b, costs
        if there < 0:
            continue
        _go(counts, member[0, there], p, q)
        _go(counts, member[1, here], q, p)
        for r in range(resources):
            free[p, r] += sums[0, there, r] - sums[1, here, r]
            free[q, r] -= sums[0, there, r] - sums[1, here, r]
        more = sums[1, here, resources] - sums[0, there, resources]
        licensed[p] += more
        licensed[q] -= more
        state[1] += change
        if state[1] < state[2] and free.min() >= 0:
            state[2] = state[1]
            best[:] = counts
