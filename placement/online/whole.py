"""The same search over all providers at once, in numpy: for where nothing is compiled."""

import numpy as np

from placement.arrays import Bool, Int64
from placement.online.admitted import APART, AT_MOST, EXCESS, OPENING, TOGETHER
from placement.online.failover import survivors
from placement.online.memory import FORBIDDEN, Parts
from placement.online.rules import KINDS


def mask(p: Parts, g: int) -> Bool:
    """[V] as `scan.mask`."""
    lanes = slice(p.lane_at[g], p.lane_at[g + 1])
    could: Bool = p.prices[p.pattern_of[g]] < FORBIDDEN
    could &= (p.lane_weight[lanes] <= p.room[:, p.lane[lanes]]).all(axis=1)
    for n in range(p.rule_at[g], p.rule_soft[g]):
        domain = p.maps[p.map_of[p.rule[n]]]
        could &= np.append(_kept(p, int(p.rule[n]), int(p.rule_weight[n])), True)[domain]  # -1 is the last.
    if p.numa_nodes[g] > 0:
        need = p.numa_need[g]
        could &= ((need <= p.numa_free) | (need == 0)).all(axis=2).sum(axis=1) >= p.numa_nodes[g]
    for f in np.flatnonzero(p.store_need[g].any(axis=1)).tolist():
        could &= _stored(p, g, f)
    if len(p.times):
        could &= survivors(p, g)
    return could


def seek(p: Parts, g: int, home: int) -> int:
    """As `scan.seek`."""
    could = mask(p, g)
    where = np.flatnonzero(could)
    if not len(where):
        return -1
    away = np.where(where == home, 0, p.away[0] if home >= 0 else 0)
    cost = p.prices[p.pattern_of[g], where] + away + _extras(p, g)[where]
    order = np.lexsort((where, p.fit[where], p.on[where] == 0, where != home, cost))
    return int(where[order[0]])


def _stored(p: Parts, g: int, f: int) -> Bool:
    """[V] whether a store of family `f` that suits and has room is within reach."""
    these, need = slice(p.store_at[f], p.store_at[f + 1]), p.store_need[g, f]
    fits = np.zeros(len(p.store_free), dtype=np.bool_)
    fits[these] = ((need <= p.store_free[these]) | (need == 0)).all(axis=1)
    fits[these] &= p.store_allowed[g, p.store_choice[these]] != 0
    reached = np.concatenate([[0], np.cumsum(fits[p.reach])])
    suitable = reached[p.reach_at[1:]] > reached[p.reach_at[:-1]]
    stored: Bool = suitable.reshape(len(p.on), -1)[:, f]
    return stored


def _kept(p: Parts, f: int, weight: int) -> Bool:
    """[D] whether rule `f` lets `weight` more into each domain."""
    there, value = _domains(p, f)
    kept: Bool
    if p.kind[f] == AT_MOST:
        kept = there + weight <= value[:, 0]
    elif p.kind[f] == TOGETHER:
        kept = there == p.total[f]
    elif p.kind[f] == APART:
        kept = (there == 0) | (there % KINDS == weight)
    else:
        eligible = value[:, 0] != 0
        counts = there[eligible]
        after = np.where(
            counts == counts.min(), np.partition(counts, 1)[1] if len(counts) > 1 else 2**62, 0
        )
        least = np.where(counts == counts.min(), np.minimum(counts + 1, after), counts.min())
        if p.from_zero[f]:
            least[:] = 0
        kept = np.ones(len(there), dtype=np.bool_)
        kept[eligible] = counts + 1 - least <= p.max_skew[f]
    return kept


def _extras(p: Parts, g: int) -> Int64:
    """[V] as `rules.extra`."""
    total = np.zeros(len(p.on), dtype=np.int64)
    for n in range(p.rule_soft[g], p.rule_at[g + 1]):
        f, weight = int(p.rule[n]), int(p.rule_weight[n])
        there, value = _domains(p, f)
        a, b, c = value.T
        if p.kind[f] == EXCESS:
            more = (np.maximum(0, there + weight - a) - np.maximum(0, there - a)) * b
        elif p.kind[f] == OPENING:
            more = np.where(there == 0, a, 0)
        else:
            more = np.minimum(c, -(-(there + weight) // a) * b) - np.minimum(c, -(-there // a) * b)
        total += np.append(more, 0)[p.maps[p.map_of[f]]]
    return total


def _domains(p: Parts, f: int) -> tuple[Int64, Int64]:
    """[D] what is there, and [D, 3] the values."""
    there = p.counts[p.count_at[f] : p.count_at[f + 1]]
    return there, p.value[p.value_at[f] + np.arange(len(there)) * p.value_step[f]]
