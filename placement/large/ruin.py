"""Ruin and recreate, compiled: the requests of a few providers are taken away and placed again in another order.

Works on the memory of the online kernel. Costs are the first level's; who stays out costs `out_cost`.
"""

import numpy as np

from placement.arrays import Int64
from placement.compiling import compiled
from placement.online.admitted import EVEN
from placement.online.memory import (
    AWAY,
    COMES,
    COUNT_AT,
    COUNTS,
    FROM_ZERO,
    GOES,
    KIND,
    LOW,
    MAX_SKEW,
    PATTERN_OF,
    PRICES,
    PROVIDER_OF,
    RULE,
    RULE_AT,
    RULE_SOFT,
    VALUE,
    VALUE_AT,
    VALUE_STEP,
    at,
    get,
)
from placement.online.rules import choose_again, count_in, keep, kept_width, on_top, take
from placement.online.scan import seek

MOST_TAKEN = 160
"""Requests that are taken away at a time, at most; and so many of those that are out are tried beside them."""
LOG = np.rint(-np.log((np.arange(4096) + 0.5) / 4096) * 1024).astype(np.int64)
"""-ln(u) in parts of 1024: what a step may cost at temperature 1, by chance."""

CHANCE, TOTAL_COST, LEAST, LEARNT, SEEN = range(5)
"""Places in `score`: the state of chance, what the plan costs now, the best so far, and two counts."""


@compiled
def _chance(score: Int64) -> int:
    """The next of the numbers from 1 to 2**31 - 2 (Park and Miller, "Random number generators", CACM 31, 1988)."""
    drawn: int = score[CHANCE] * 48271 % 0x7FFFFFFF
    score[CHANCE] = drawn
    return drawn


@compiled
def _draw(m: Int64, size: Int64, load: Int64, score: Int64, taken: Int64) -> int:
    """Requests of two to six providers, poorly filled ones more often, and some that are out; how many."""
    chosen = np.zeros(len(load), np.bool_)
    rivals = 1 << (_chance(score) % 5)
    for _ in range(2 + _chance(score) % 5):
        least = -1
        for _ in range(rivals):
            v = _chance(score) % len(load)
            if load[v] > 0 and (least < 0 or load[v] < load[least]):
                least = v
        if least >= 0:
            chosen[least] = True
    first, count = at(m, PROVIDER_OF, 0), len(size)
    begin = _chance(score) % count
    n, out = 0, 0
    for j in range(count):
        i = (begin + j) % count
        v = m[first + i]
        if v >= 0 and chosen[v] and n - out < MOST_TAKEN:
            taken[n] = i
            n += 1
        elif v < 0 and out < MOST_TAKEN // 4:
            taken[n] = i
            n, out = n + 1, out + 1
    return n


@compiled
def price_of(m: Int64, of: Int64, home: Int64, i: int, v: int) -> int:
    """What request `i` adds on `v`, as it is not placed."""
    price: int = m[at(m, PRICES, get(m, PATTERN_OF, of[i])) + v] + on_top(m, of[i], v)
    if home[i] >= 0 and home[i] != v:
        price += get(m, AWAY, 0)
    return price


@compiled
def _take_away(
    m: Int64,
    of: Int64,
    home: Int64,
    size: Int64,
    load: Int64,
    out_cost: Int64,
    taken: Int64,
    n: int,
    before: Int64,
) -> int:
    """Take all away; what they cost."""
    total = 0
    for j in range(n):
        i = taken[j]
        v = get(m, PROVIDER_OF, i)
        before[j, 0] = v
        keep(m, i, before[j, 1:])
        if v < 0:
            total += out_cost[i]
            continue
        count_in(m, i, of[i], v, GOES)
        load[v] -= size[i]
        total += price_of(m, of, home, i, v)
    return total


@compiled
def _put(m: Int64, of: Int64, home: Int64, size: Int64, load: Int64, out_cost: Int64, i: int) -> int:
    """Place one where that costs the least; what it costs."""
    v = seek(m, of[i], home[i])
    if v < 0:
        out: int = out_cost[i]
        return out
    price: int = price_of(m, of, home, i, v)
    take(m, i, of[i], v)
    load[v] += size[i]
    return price


@compiled
def _undo(m: Int64, of: Int64, size: Int64, load: Int64, taken: Int64, n: int, before: Int64) -> None:
    """As it was, with the same choices."""
    for j in range(n):
        i = taken[j]
        v = get(m, PROVIDER_OF, i)
        if v >= 0:
            count_in(m, i, of[i], v, GOES)
            load[v] -= size[i]
    for j in range(n):
        i, v = taken[j], before[j, 0]
        choose_again(m, i, before[j, 1:])
        if v >= 0:
            count_in(m, i, of[i], v, COMES)
            load[v] += size[i]


@compiled
def _level(m: Int64, f: int) -> bool:
    least = 0 if get(m, FROM_ZERO, f) != 0 else get(m, LOW, f)
    first = get(m, COUNT_AT, f)
    for d in range(get(m, COUNT_AT, f + 1) - first):
        eligible = m[at(m, VALUE, get(m, VALUE_AT, f) + d * get(m, VALUE_STEP, f))] != 0
        if eligible and get(m, COUNTS, first + d) - least > get(m, MAX_SKEW, f):
            return False
    return True


@compiled
def _even(m: Int64, of: Int64, taken: Int64, n: int) -> bool:
    """Whether the rules of spread hold for what was placed anew: taking away can leave them uneven."""
    for j in range(n):
        g = of[taken[j]]
        for r in range(get(m, RULE_AT, g), get(m, RULE_SOFT, g)):
            f = get(m, RULE, r)
            if get(m, KIND, f) == EVEN and not _level(m, f):
                return False
    return True


@compiled
def _remember(m: Int64, score: Int64, best: Int64) -> None:
    score[LEAST] = score[TOTAL_COST]
    for i in range(len(best)):
        best[i, 0] = get(m, PROVIDER_OF, i)
        keep(m, i, best[i, 1:])


@compiled
def attempts(
    m: Int64,
    of: Int64,
    home: Int64,
    size: Int64,
    load: Int64,
    out_cost: Int64,
    log: Int64,
    times: int,
    temperature: int,
    score: Int64,
    worse: Int64,
    best: Int64,
) -> None:
    """So many attempts; `best` [R, 1 + `kept_width`] keeps provider and choices of the cheapest plan, `worse` what lost.

    `score` is as the names above say; `load` [V] is the size of what is on each provider.
    """
    taken = np.empty(2 * MOST_TAKEN, np.int64)
    before = np.empty((2 * MOST_TAKEN, 1 + kept_width(m)), np.int64)
    key = np.empty(2 * MOST_TAKEN, np.float64)
    for _ in range(times):
        n = _draw(m, size, load, score, taken)
        gone = _take_away(m, of, home, size, load, out_cost, taken, n, before)
        for j in range(n):
            key[j] = -float(size[taken[j]]) * (600 + _chance(score) % 800)
        come = 0
        order = np.argsort(key[:n], kind="mergesort")
        for j in range(n):
            come += _put(m, of, home, size, load, out_cost, taken[order[j]])
        score[SEEN] += n
        change = come - gone
        allowed = (log[_chance(score) % 4096] * temperature) >> 10
        if change > 0 and score[LEARNT] < len(worse):
            worse[score[LEARNT]] = change
            score[LEARNT] += 1
        if change <= allowed and _even(m, of, taken, n):
            score[TOTAL_COST] += change
            if score[TOTAL_COST] < score[LEAST]:
                _remember(m, score, best)
            continue
        _undo(m, of, size, load, taken, n, before)
