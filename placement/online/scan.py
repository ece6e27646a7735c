"""Looking for the best provider, compiled: one pass over a class's candidates that asks the rules only of better ones.

The order of preference, here and in `placement.online.whole`: least cost; the provider where it runs today;
one that has requests already; the tightest fit; the lowest position.
"""

import numpy as np

from placement.arrays import Bool, Int64
from placement.compiling import compiled
from placement.online.admitted import TOGETHER
from placement.online.memory import (
    AWAY,
    CANDIDATE,
    CANDIDATE_AT,
    COUNT_AT,
    FIT,
    FORBIDDEN,
    GOES,
    KIND,
    LANE,
    LANE_AT,
    LANE_WEIGHT,
    LEAST_FIT,
    LOW,
    MAP_OF,
    MEMBER,
    MEMBER_AT,
    MEMBER_START,
    ON,
    OPENED,
    ORDER,
    PATTERN_OF,
    PRICES,
    PROVIDER_OF,
    ROOM,
    RULE,
    RULE_AT,
    RULE_SOFT,
    SHELF_AT,
    TOTAL,
    WIDTH,
    at,
    get,
)
from placement.online.rules import count_in, may, may_behind_gates, on_top, set_gates, take, through_gates


@compiled
def fits(m: Int64, g: int, v: int) -> bool:
    """Whether provider `v` has room for class `g` in every lane."""
    room, lane, weight = at(m, ROOM, v), m[LANE], m[LANE_WEIGHT]
    for n in range(get(m, LANE_AT, g), get(m, LANE_AT, g + 1)):
        if m[weight + n] > m[room + m[lane + n]]:
            return False
    return True


@compiled
def could(m: Int64, g: int, v: int) -> bool:
    """Whether provider `v` may and can take one more of class `g`."""
    allowed = m[at(m, PRICES, get(m, PATTERN_OF, g)) + v] < FORBIDDEN
    return allowed and fits(m, g, v) and may(m, g, v)


@compiled
def mask(m: Int64, g: int) -> Bool:
    """[V] the providers that could take one more of class `g`."""
    found = np.zeros(m[PRICES + WIDTH], dtype=np.bool_)
    for v in range(len(found)):
        found[v] = could(m, g, v)
    return found


@compiled
def where_its_group_is(m: Int64, g: int) -> tuple[int, int]:
    """Where the list of providers begins and ends beyond which class `g` may not go, its group being there; -1 for none."""
    for n in range(get(m, RULE_AT, g), get(m, RULE_SOFT, g)):
        f = get(m, RULE, n)
        if get(m, KIND, f) == TOGETHER and get(m, TOTAL, f) > 0:
            lists = get(m, MEMBER_AT, get(m, MAP_OF, f))
            without = lists + get(m, COUNT_AT, f + 1) - get(m, COUNT_AT, f)
            if get(m, MEMBER_START, without) == get(m, MEMBER_START, without + 1):
                d = lists + get(m, LOW, f)
                first, end = get(m, MEMBER_START, d), get(m, MEMBER_START, d + 1)
                return at(m, MEMBER, first), at(m, MEMBER, end)
    return -1, -1


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
def _listed(
    m: Int64, g: int, home: int, begin: int, end: int, best: int, cost: int, opens: int, left: int
) -> int:
    """The best of a list of providers in any order, or the best so far."""
    prices, away = at(m, PRICES, get(m, PATTERN_OF, g)), get(m, AWAY, 0) if home >= 0 else 0
    for n in range(begin, end):
        v = m[n]
        price, opening, gap = m[prices + v], int(get(m, ON, v) == 0), get(m, FIT, v)
        if price == FORBIDDEN or not through_gates(m, v) or not fits(m, g, v):
            continue
        price += away
        if _before(price, opening, gap, v, cost, opens, left, best) and may_behind_gates(m, g, v):
            price += on_top(m, g, v)
            if _before(price, opening, gap, v, cost, opens, left, best):
                best, cost, opens, left = v, price, opening, gap
    return best


@compiled
def _walk(
    m: Int64,
    g: int,
    price: int,
    begin: int,
    end: int,
    opening: int,
    best: int,
    cost: int,
    opens: int,
    left: int,
) -> tuple[int, int, int, int]:
    """The best so far after a stretch of a shelf: in order of preference, so that the first that can is mostly it."""
    least, fit = get(m, LEAST_FIT, g), m[FIT]
    low, high = begin, end
    while low < high:  # Those that have less left in all than is needed come first.
        middle = (low + high) // 2
        if m[fit + m[middle]] < least:
            low = middle + 1
        else:
            high = middle
    for n in range(low, end):
        v = m[n]
        gap = m[fit + v]
        if not _before(price, opening, gap, v, cost, opens, left, best):
            break  # Those that follow are preferred even less.
        if through_gates(m, v) and fits(m, g, v) and may_behind_gates(m, g, v):
            total = price + on_top(m, g, v)
            if _before(total, opening, gap, v, cost, opens, left, best):
                best, cost, opens, left = v, total, opening, gap
    return best, cost, opens, left


@compiled
def seek(m: Int64, g: int, home: int) -> int:
    """The best provider for one more of class `g`, -1 for none; `home` is where it runs today, -1 for nowhere."""
    pattern = get(m, PATTERN_OF, g)
    prices = at(m, PRICES, pattern)
    best, cost, opens, left = -1, FORBIDDEN, 2, 0
    if home >= 0 and could(m, g, home):
        best, cost, opens = home, m[prices + home] + on_top(m, g, home), -1
    if not set_gates(m, g):
        return best
    begin, end = where_its_group_is(m, g)
    if begin >= 0:
        return _listed(m, g, home, begin, end, best, cost, opens, left)
    away = get(m, AWAY, 0) if home >= 0 else 0
    for n in range(get(m, CANDIDATE_AT, pattern), get(m, CANDIDATE_AT, pattern + 1)):
        shelf = get(m, CANDIDATE, n)
        first, end = at(m, ORDER, get(m, SHELF_AT, shelf)), at(m, ORDER, get(m, SHELF_AT, shelf + 1))
        price = m[prices + m[first]] + away
        if price > cost:
            break
        between = first + get(m, OPENED, shelf)
        best, cost, opens, left = _walk(m, g, price, first, between, 0, best, cost, opens, left)
        best, cost, opens, left = _walk(m, g, price, between, end, 1, best, cost, opens, left)
    return best


@compiled
def decide(m: Int64, i: int, g: int, home: int) -> int:
    """Request `i` of class `g` goes to the best provider, -1 for none."""
    v = seek(m, g, home)
    if v >= 0:
        take(m, i, g, v)
    return v


@compiled
def cost_at(m: Int64, g: int, home: int, v: int) -> int:
    """What a request that is not placed adds to the objective's first level on provider `v`."""
    away = get(m, AWAY, 0) if home >= 0 and home != v else 0
    cost: int = m[at(m, PRICES, get(m, PATTERN_OF, g)) + v] + away + on_top(m, g, v)
    return cost


@compiled
def pull_each(m: Int64, requests: Int64, class_of: Int64, home_of: Int64) -> int:
    """Take these requests away, one after another; what the first level is less by it."""
    saved = 0
    for n in range(len(requests)):
        i = requests[n]
        v = get(m, PROVIDER_OF, i)
        if v >= 0:
            count_in(m, i, class_of[i], v, GOES)
            saved += cost_at(m, class_of[i], home_of[i], v)
    return saved


@compiled
def put_each(m: Int64, requests: Int64, class_of: Int64, home_of: Int64, found: Int64) -> int:
    """`decide` one after another; `found` is where, -1 for those that stay out. What the first level is more by it."""
    spent = 0
    for n in range(len(requests)):
        i = requests[n]
        g, home = class_of[i], home_of[i]
        v = seek(m, g, home)
        if v >= 0:
            spent += cost_at(m, g, home, v)
            take(m, i, g, v)
        found[n] = v
    return spent
