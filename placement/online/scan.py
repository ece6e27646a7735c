"""Looking for the best provider, compiled: one pass over a class's candidates that asks the rules only of better ones.

The order of preference, here and in `placement.online.whole`: least cost; the provider where it runs today;
one that has requests already; the tightest fit; the lowest position.
"""

import numpy as np

from placement.arrays import Bool, Int64
from placement.online.admitted import TOGETHER
from placement.online.compiled import compiled
from placement.online.memory import (
    AWAY,
    CANDIDATE,
    CANDIDATE_AT,
    COUNT_AT,
    FORBIDDEN,
    KIND,
    LANE,
    LANE_AT,
    LANE_WEIGHT,
    LOW,
    MAP_OF,
    MEMBER,
    MEMBER_AT,
    MEMBER_START,
    ON,
    PATTERN_OF,
    PRICES,
    ROOM,
    RULE,
    RULE_AT,
    RULE_SOFT,
    SCALE,
    TOTAL,
    WIDTH,
    at,
    get,
)
from placement.online.rules import may, on_top, take


@compiled
def could(m: Int64, g: int, v: int) -> bool:
    """Whether provider `v` may and can take one more of class `g`."""
    if m[at(m, PRICES, get(m, PATTERN_OF, g)) + v] == FORBIDDEN:
        return False
    for n in range(get(m, LANE_AT, g), get(m, LANE_AT, g + 1)):
        if get(m, LANE_WEIGHT, n) > m[at(m, ROOM, v) + get(m, LANE, n)]:
            return False
    return may(m, g, v)


@compiled
def mask(m: Int64, g: int) -> Bool:
    """[V] the providers that could take one more of class `g`."""
    found = np.zeros(m[PRICES + WIDTH], dtype=np.bool_)
    for v in range(len(found)):
        found[v] = could(m, g, v)
    return found


@compiled
def candidates(m: Int64, g: int) -> tuple[int, int, bool]:
    """Where the list of candidates begins and ends, and whether the cheapest come first.

    A class whose group is in one domain already is looked for there alone.
    """
    for n in range(get(m, RULE_AT, g), get(m, RULE_SOFT, g)):
        f = get(m, RULE, n)
        if get(m, KIND, f) == TOGETHER and get(m, TOTAL, f) > 0:
            lists = get(m, MEMBER_AT, get(m, MAP_OF, f))
            without = lists + get(m, COUNT_AT, f + 1) - get(m, COUNT_AT, f)
            if get(m, MEMBER_START, without) == get(m, MEMBER_START, without + 1):
                d = lists + get(m, LOW, f)
                first, end = get(m, MEMBER_START, d), get(m, MEMBER_START, d + 1)
                return at(m, MEMBER, first), at(m, MEMBER, end), False
    pattern = get(m, PATTERN_OF, g)
    first, end = get(m, CANDIDATE_AT, pattern), get(m, CANDIDATE_AT, pattern + 1)
    return at(m, CANDIDATE, first), at(m, CANDIDATE, end), True


@compiled
def _gap(m: Int64, g: int, v: int) -> int:
    """What is left of provider `v` once it takes one more of class `g`, over its lanes; -1 where it does not fit."""
    room, lane, weight = at(m, ROOM, v), m[LANE], m[LANE_WEIGHT]
    gap = 0
    for n in range(get(m, LANE_AT, g), get(m, LANE_AT, g + 1)):
        over = m[room + m[lane + n]] - m[weight + n]
        if over < 0:
            return -1
        gap += over * m[m[SCALE] + m[lane + n]]
    return gap


@compiled
def _before(
    price: int, opening: int, gap: int, v: int, cost: int, opens: int, left: int, best: int
) -> bool:
    """Whether a provider (the first four) is preferred to the best so far."""
    if price != cost:
        return bool(price < cost)
    if opening != opens:
        return bool(opening < opens)
    if gap != left:
        return bool(gap < left)
    return bool(v < best)


@compiled
def seek(m: Int64, g: int, home: int) -> int:
    """The best provider for one more of class `g`, -1 for none; `home` is where it runs today, -1 for nowhere."""
    prices, on = at(m, PRICES, get(m, PATTERN_OF, g)), m[ON]
    best, cost, opens, left = -1, FORBIDDEN, 2, 0
    if home >= 0 and could(m, g, home):
        best, cost, opens = home, m[prices + home] + on_top(m, g, home), -1
    away = get(m, AWAY, 0) if home >= 0 else 0
    begin, end, cheapest_first = candidates(m, g)
    for n in range(begin, end):
        v = m[n]
        price = m[prices + v]
        if price == FORBIDDEN or price + away > cost:
            if cheapest_first:
                break
            continue
        price += away
        opening = int(m[on + v] == 0)
        gap = _gap(m, g, v)
        if gap < 0 or not _before(price, opening, gap, v, cost, opens, left, best) or not may(m, g, v):
            continue
        price += on_top(m, g, v)
        if _before(price, opening, gap, v, cost, opens, left, best):
            best, cost, opens, left = v, price, opening, gap
    return best


@compiled
def decide(m: Int64, i: int, g: int, home: int) -> int:
    """Request `i` of class `g` goes to the best provider, -1 for none."""
    v = seek(m, g, home)
    if v >= 0:
        take(m, i, g, v)
    return v


@compiled
def decide_each(m: Int64, requests: Int64, class_of: Int64, home_of: Int64, found: Int64) -> None:
    """One request after another goes to the best provider; `found` is where, -1 for those that stay out."""
    for n in range(len(requests)):
        i = requests[n]
        found[n] = decide(m, i, class_of[i], home_of[i])
