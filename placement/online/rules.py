"""The rules one provider at a time, compiled: may a request go there, what would it cost, and it comes or goes."""

from placement.arrays import Int64
from placement.compiling import compiled
from placement.online.admitted import APART, AT_MOST, EVEN, EXCESS, OPENING, TOGETHER
from placement.online.failover import carry, plan_restarts, survives
from placement.online.memory import (
    COMES,
    COUNT_AT,
    COUNTS,
    EVERYWHERE,
    FIT,
    FROM_ZERO,
    GATE,
    KIND,
    LANE,
    LANE_AT,
    LANE_WEIGHT,
    LOW,
    LOWS,
    MAP_OF,
    MAPS,
    MAX_SKEW,
    NUMA_FREE,
    NUMA_NEED,
    NUMA_NODES,
    NUMA_OF,
    ON,
    OPENED,
    ORDER,
    PROVIDER_OF,
    REACH,
    REACH_AT,
    ROOM,
    ROWS,
    RULE,
    RULE_AT,
    RULE_SOFT,
    RULE_WEIGHT,
    SCALE,
    SHELF_AT,
    SHELF_OF,
    STORE_ALLOWED,
    STORE_CHOICE,
    STORE_FREE,
    STORE_NEED,
    STORE_OF,
    TARGET,
    TIMES,
    TO_ASK,
    TOTAL,
    VALUE,
    VALUE_AT,
    VALUE_STEP,
    WIDTH,
    at,
    get,
)

GATES = 62
"""Rules with at most so many domains have a gate: one bit for each."""
KINDS = 2**20
"""What one request adds to a count of APART; the rest is the kind that is there."""


@compiled
def _value(m: Int64, f: int, d: int) -> int:
    """Where the values of rule `f` for its domain `d` begin."""
    return at(m, VALUE, get(m, VALUE_AT, f) + d * get(m, VALUE_STEP, f))


@compiled
def _keeps(m: Int64, f: int, d: int, weight: int) -> bool:
    """Whether rule `f` lets `weight` more into its domain `d`."""
    count = get(m, COUNTS, get(m, COUNT_AT, f) + d)
    kind = get(m, KIND, f)
    value = m[_value(m, f, d)]
    if kind == AT_MOST:
        return bool(count + weight <= value)
    if kind == TOGETHER:
        return bool(count == get(m, TOTAL, f))
    if kind == APART:
        return bool(count == 0 or count % KINDS == weight)
    if value == 0:  # EVEN, and this domain is not compared.
        return True
    least = get(m, LOW, f)
    if get(m, FROM_ZERO, f) != 0:
        least = 0
    elif count == least and get(m, LOWS, f) == 1:
        least += 1  # It is the only one with so few: once it has one more, nobody has less.
    return bool(count + 1 - least <= get(m, MAX_SKEW, f))


@compiled
def _nodes(m: Int64) -> int:
    nodes: int = m[NUMA_FREE + WIDTH] // max(1, m[NUMA_NEED + WIDTH])
    return nodes


@compiled
def _room_left(m: Int64, free: int, need: int, width: int) -> int:
    """What is left of a node or store in all once it gives what is needed; -1 where it does not fit."""
    left = 0
    for k in range(width):
        if m[need + k] > m[free + k] and m[need + k] > 0:
            return -1
        left += m[free + k] - m[need + k]
    return max(0, left)


@compiled
def _nodes_that_fit(m: Int64, g: int, v: int) -> int:
    need, width, nodes = at(m, NUMA_NEED, g), m[NUMA_NEED + WIDTH], _nodes(m)
    fit = 0
    for n in range(nodes):
        if _room_left(m, at(m, NUMA_FREE, v) + n * width, need, width) >= 0:
            fit += 1
    return fit


@compiled
def _needs_store(m: Int64, g: int, f: int) -> bool:
    """Whether class `g` sits on a store of family `f`."""
    width, total = m[STORE_FREE + WIDTH], 0
    need = at(m, STORE_NEED, g) + f * width
    for q in range(width):
        total += m[need + q]
    return bool(total > 0)


@compiled
def store_for(m: Int64, g: int, v: int, f: int) -> int:
    """The store on which least is left of those of family `f` that `v` reaches, that suit and that have room; -1 for none."""
    width = m[STORE_FREE + WIDTH]
    need, allowed = at(m, STORE_NEED, g) + f * width, at(m, STORE_ALLOWED, g)
    lists = v * m[STORE_OF + WIDTH] + f
    best, best_left = -1, 0
    for n in range(get(m, REACH_AT, lists), get(m, REACH_AT, lists + 1)):
        one = get(m, REACH, n)
        if m[allowed + get(m, STORE_CHOICE, one)] != 0:
            left = _room_left(m, at(m, STORE_FREE, one), need, width)
            if left >= 0 and (best < 0 or left < best_left):
                best, best_left = one, left
    return best


@compiled
def _may_otherwise(m: Int64, g: int, v: int) -> bool:
    """Whether NUMA nodes, stores and failover let one more of class `g` onto provider `v`."""
    if get(m, NUMA_NODES, g) > 0 and _nodes_that_fit(m, g, v) < get(m, NUMA_NODES, g):
        return False
    for f in range(m[STORE_OF + WIDTH]):
        if _needs_store(m, g, f) and store_for(m, g, v, f) < 0:
            return False
    return m[TIMES + ROWS] == 0 or survives(m, g, v)


@compiled
def may(m: Int64, g: int, v: int) -> bool:
    """Whether every rule but the lanes and refusals lets one more of class `g` onto provider `v`."""
    for n in range(get(m, RULE_AT, g), get(m, RULE_SOFT, g)):
        f = get(m, RULE, n)
        d = m[at(m, MAPS, get(m, MAP_OF, f)) + v]
        if d >= 0 and not _keeps(m, f, d, get(m, RULE_WEIGHT, n)):
            return False
    return _may_otherwise(m, g, v)


@compiled
def set_gates(m: Int64, g: int) -> bool:
    """Ask rules with few domains once for each domain, not for each provider; False where one lets nobody in."""
    gates, others, last = 0, 0, m[TO_ASK] + m[TO_ASK + ROWS] - 1
    for n in range(get(m, RULE_AT, g), get(m, RULE_SOFT, g)):
        f, gate = get(m, RULE, n), 0
        domains = get(m, COUNT_AT, f + 1) - get(m, COUNT_AT, f)
        if domains > GATES:
            m[last - others] = n
            others += 1
            continue
        for d in range(domains):
            if _keeps(m, f, d, get(m, RULE_WEIGHT, n)):
                gate |= 1 << d
        if gate == 0 and get(m, EVERYWHERE, get(m, MAP_OF, f)) != 0:
            return False
        if gate != (1 << domains) - 1:
            m[at(m, GATE, f)] = gate
            m[m[TO_ASK] + 2 + gates] = f
            gates += 1
    m[m[TO_ASK]], m[m[TO_ASK] + 1] = gates, others
    return True


@compiled
def through_gates(m: Int64, v: int) -> bool:
    """Whether the gates that are set let the request onto provider `v`."""
    first = m[TO_ASK] + 2
    for n in range(first, first + m[m[TO_ASK]]):
        f = m[n]
        d = m[at(m, MAPS, get(m, MAP_OF, f)) + v]
        if d >= 0 and (get(m, GATE, f) >> d) & 1 == 0:
            return False
    return True


@compiled
def may_behind_gates(m: Int64, g: int, v: int) -> bool:
    """What `may` asks beyond the gates."""
    end = m[TO_ASK] + m[TO_ASK + ROWS]
    for at_entry in range(end - m[m[TO_ASK] + 1], end):
        n = m[at_entry]
        f = get(m, RULE, n)
        d = m[at(m, MAPS, get(m, MAP_OF, f)) + v]
        if d >= 0 and not _keeps(m, f, d, get(m, RULE_WEIGHT, n)):
            return False
    return _may_otherwise(m, g, v)


@compiled
def on_top(m: Int64, g: int, v: int) -> int:
    """What one more of class `g` on provider `v` adds to the first level, beyond its price."""
    total = 0
    for n in range(get(m, RULE_SOFT, g), get(m, RULE_AT, g + 1)):
        f, weight = get(m, RULE, n), get(m, RULE_WEIGHT, n)
        d = m[at(m, MAPS, get(m, MAP_OF, f)) + v]
        if d < 0:
            continue
        count = get(m, COUNTS, get(m, COUNT_AT, f) + d)
        value = _value(m, f, d)
        a, b, most = m[value], m[value + 1], m[value + 2]
        if get(m, KIND, f) == EXCESS:
            total += (max(0, count + weight - a) - max(0, count - a)) * b
        elif get(m, KIND, f) == OPENING:
            total += a if count == 0 else 0
        else:  # PACKS
            total += min(most, -(-(count + weight) // a) * b) - min(most, -(-count // a) * b)
    return total


@compiled
def nodes_for(m: Int64, g: int, v: int) -> int:
    """The NUMA nodes, as a bit mask, on which least is left of all that fit; the first ones where too few fit."""
    need, width, nodes = at(m, NUMA_NEED, g), m[NUMA_NEED + WIDTH], _nodes(m)
    chosen = 0
    for _ in range(min(nodes, get(m, NUMA_NODES, g))):
        best, best_left = -1, 0
        spare = -1
        for n in range(nodes):
            if (chosen >> n) & 1 != 0:
                continue
            if spare < 0:
                spare = n
            left = _room_left(m, at(m, NUMA_FREE, v) + n * width, need, width)
            if left >= 0 and (best < 0 or left < best_left):
                best, best_left = n, left
        chosen |= 1 << (best if best >= 0 else spare)  # Spare: only where the rules were not asked.
    return chosen


@compiled
def _kinds(was: int, weight: int) -> int:
    """The count of APART with one more of a kind (`weight` > 0), or one less."""
    if weight < 0:
        return was - KINDS if was >= 2 * KINDS else 0
    return was // KINDS * KINDS + KINDS + weight


@compiled
def _first_used(m: Int64, f: int) -> int:
    first = get(m, COUNT_AT, f)
    for n in range(first, get(m, COUNT_AT, f + 1)):
        if get(m, COUNTS, n) > 0:
            return n - first
    return 0


@compiled
def _least(m: Int64, f: int) -> None:
    """Find the least count of rule `f` anew, and how many domains have it."""
    low, lows = at(m, LOW, f), at(m, LOWS, f)
    first = get(m, COUNT_AT, f)
    m[lows] = 0
    for d in range(get(m, COUNT_AT, f + 1) - first):
        if m[_value(m, f, d)] == 0:
            continue
        n = get(m, COUNTS, first + d)
        if m[lows] == 0 or n < m[low]:
            m[low], m[lows] = n, 1
        elif n == m[low]:
            m[lows] += 1


@compiled
def _count_one(m: Int64, f: int, d: int, weight: int) -> None:
    """One rule's count changes by `weight` in domain `d`."""
    counts = get(m, COUNT_AT, f)
    kind = get(m, KIND, f)
    was = get(m, COUNTS, counts + d)
    now = was + weight
    if kind == APART:
        now = _kinds(was, weight)
    m[at(m, COUNTS, counts + d)] = now
    low, lows = at(m, LOW, f), at(m, LOWS, f)
    if kind == TOGETHER:
        m[at(m, TOTAL, f)] += weight
        if weight > 0:
            m[low] = d
        elif now == 0:
            m[low] = _first_used(m, f)
    elif kind == EVEN and m[_value(m, f, d)] != 0:
        if now < m[low]:
            m[low], m[lows] = now, 1
        elif now == m[low]:
            m[lows] += 1
        elif was == m[low]:
            m[lows] -= 1
            if m[lows] == 0:
                _least(m, f)


@compiled
def _give(m: Int64, i: int, g: int, v: int, sign: int) -> None:
    """Its NUMA nodes and its stores give, or get back, what it needs."""
    chosen, width = get(m, NUMA_OF, i), m[NUMA_NEED + WIDTH]
    if chosen > 0:
        for n in range(_nodes(m)):
            if (chosen >> n) & 1 != 0:
                free = at(m, NUMA_FREE, v) + n * width
                for k in range(width):
                    m[free + k] -= sign * m[at(m, NUMA_NEED, g) + k]
    amounts, stores, need = m[STORE_FREE + WIDTH], at(m, STORE_OF, i), at(m, STORE_NEED, g)
    for f in range(m[STORE_OF + WIDTH]):
        if m[stores + f] >= 0:
            free = at(m, STORE_FREE, m[stores + f])
            for q in range(amounts):
                m[free + q] -= sign * m[need + f * amounts + q]


@compiled
def _earlier(m: Int64, a: int, b: int) -> bool:
    """Whether provider `a` comes before `b` in the order of their shelf."""
    on_a, on_b = get(m, ON, a) > 0, get(m, ON, b) > 0
    if on_a != on_b:
        return on_a
    fit_a, fit_b = get(m, FIT, a), get(m, FIT, b)
    return bool(fit_a < fit_b or (fit_a == fit_b and a < b))


@compiled
def _take_room(m: Int64, g: int, v: int, sign: int) -> None:
    """Provider `v` has one more of class `g`, or one less, and finds its new place on its shelf."""
    shelf = get(m, SHELF_OF, v)
    first, last = at(m, ORDER, get(m, SHELF_AT, shelf)), at(m, ORDER, get(m, SHELF_AT, shelf + 1)) - 1
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if _earlier(m, m[middle], v):
            low = middle + 1
        else:
            high = middle
    was_on = get(m, ON, v) > 0
    m[at(m, ON, v)] += sign
    m[at(m, OPENED, shelf)] += int(get(m, ON, v) > 0) - int(was_on)
    room, fit = at(m, ROOM, v), 0
    for n in range(get(m, LANE_AT, g), get(m, LANE_AT, g + 1)):
        m[room + get(m, LANE, n)] -= sign * get(m, LANE_WEIGHT, n)
    for n in range(m[ROOM + WIDTH]):
        fit += max(0, m[room + n]) * get(m, SCALE, n)
    m[at(m, FIT, v)] = fit
    while low > first and _earlier(m, v, m[low - 1]):
        m[low] = m[low - 1]
        low -= 1
    while low < last and _earlier(m, m[low + 1], v):
        m[low] = m[low + 1]
        low += 1
    m[low] = v


@compiled
def count_in(m: Int64, i: int, g: int, v: int, sign: int) -> None:
    """Request `i` is added (`sign` COMES) with the choices it has, or taken out (GOES)."""
    m[at(m, PROVIDER_OF, i)] = v if sign > 0 else -1
    _take_room(m, g, v, sign)
    for n in range(get(m, RULE_AT, g), get(m, RULE_AT, g + 1)):
        f = get(m, RULE, n)
        d = m[at(m, MAPS, get(m, MAP_OF, f)) + v]
        if d >= 0:
            _count_one(m, f, d, sign * get(m, RULE_WEIGHT, n))
    _give(m, i, g, v, sign)
    if m[TIMES + ROWS] > 0:
        carry(m, i, g, v, sign)


@compiled
def take(m: Int64, i: int, g: int, v: int) -> None:
    """Request `i` of class `g` goes to provider `v`; its nodes, stores and restarts are chosen."""
    m[at(m, NUMA_OF, i)] = nodes_for(m, g, v) if get(m, NUMA_NODES, g) > 0 else -1
    stores = at(m, STORE_OF, i)
    for f in range(m[STORE_OF + WIDTH]):
        m[stores + f] = store_for(m, g, v, f) if _needs_store(m, g, f) else -1
    if m[TIMES + ROWS] > 0:
        plan_restarts(m, i, g, v)
    count_in(m, i, g, v, COMES)


@compiled
def kept_width(m: Int64) -> int:
    """How many numbers say what was chosen for a request."""
    width: int = 1 + m[STORE_OF + WIDTH] + m[TARGET + WIDTH]
    return width


@compiled
def keep(m: Int64, i: int, kept: Int64) -> None:
    """Write down what was chosen for request `i`: its nodes, then its stores, then where it restarts."""
    families, times = m[STORE_OF + WIDTH], m[TARGET + WIDTH]
    stores, target = at(m, STORE_OF, i), at(m, TARGET, i)
    kept[0] = get(m, NUMA_OF, i)
    for f in range(families):
        kept[1 + f] = m[stores + f]
    for n in range(times):
        kept[1 + families + n] = m[target + n]


@compiled
def choose_again(m: Int64, i: int, kept: Int64) -> None:
    """What `keep` wrote down is chosen for request `i`, which is not placed."""
    families, times = m[STORE_OF + WIDTH], m[TARGET + WIDTH]
    stores, target = at(m, STORE_OF, i), at(m, TARGET, i)
    m[at(m, NUMA_OF, i)] = kept[0]
    for f in range(families):
        m[stores + f] = kept[1 + f]
    for n in range(times):
        m[target + n] = kept[1 + families + n]


@compiled
def _skew(m: Int64, f: int) -> int:
    """By how much the counts of rule `f` (EVEN) differ."""
    first, most = get(m, COUNT_AT, f), 0
    for d in range(get(m, COUNT_AT, f + 1) - first):
        if m[_value(m, f, d)] != 0:
            most = max(most, get(m, COUNTS, first + d))
    return most if get(m, FROM_ZERO, f) != 0 else most - get(m, LOW, f)


@compiled
def uneven(m: Int64) -> int:
    """How many rules of spread or togetherness the requests break."""
    broken = 0
    for f in range(m[KIND + ROWS]):
        kind = get(m, KIND, f)
        if kind == TOGETHER and get(m, TOTAL, f) > 0:
            if get(m, COUNTS, get(m, COUNT_AT, f) + get(m, LOW, f)) < get(m, TOTAL, f):
                broken += 1
        elif kind == EVEN and _skew(m, f) > get(m, MAX_SKEW, f):
            broken += 1
    return broken
