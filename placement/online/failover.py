"""Hosts that may fail: a plan, kept up to date, of where each machine restarts in each scenario.

A scenario is a set of hosts of one pool that fail at once. In each, what a surviving host must take over is
at most what it has free; so a machine may go to a host when it leaves room there for the most that any
scenario brings, and when each scenario in which its own host fails has another host for it.
"""

from itertools import combinations
from math import comb

import numpy as np

from placement.arrays import Bool, Int64
from placement.compiling import compiled
from placement.online.admitted import Admitted, Failover
from placement.online.memory import (
    DEMAND,
    FAILS,
    FAILS_AT,
    FAILS_IN,
    FAILS_IN_AT,
    HOST,
    HOST_AT,
    LEFT,
    LOAD,
    PEAK,
    PROMISE,
    PROMISE_AT,
    PROMISE_LOCAL,
    RESTART_ON,
    RESTARTS,
    TARGET,
    TIMES,
    WIDTH,
    WORTH,
    Parts,
    at,
    get,
)

MOST_ENTRIES = 50_000_000
"""Scenarios x hosts x resources that a plan of restarts may keep, about 400 MB."""


def failover_parts(admitted: Admitted) -> dict[str, Int64]:
    """The promises of a problem and the plan for nobody. Raises ValueError where a plan would be too large to keep."""
    problem, classes = admitted.problem, admitted.classes
    providers, k, v = problem.providers, classes.demand.shape[1], len(problem.providers.ids)
    found = [one for one in admitted.failovers if one.losses > 0 and len(one.hosts)]
    _refuse_too_many(found, k)
    pairs = sorted((h, z, n) for z, one in enumerate(found) for n, h in enumerate(one.hosts.tolist()))
    at_provider = np.bincount(np.array([h for h, _, _ in pairs], dtype=np.int64), minlength=v)
    fails = [_fails(one) for one in found]
    within = [np.argwhere(one.T)[:, 1] for one in fails]
    times = [len(one) // len(of.hosts) for one, of in zip(within, found, strict=True)]
    left = np.where(providers.own, providers.free, 0)
    if problem.periods is not None:  # A host must bear the worst slot, with everybody there.
        left = left - np.where(providers.own, problem.periods.taken.max(axis=0), 0)
    entries = sum(one.size for one in fails)
    return {
        "promise_at": _starts(at_provider.tolist()),
        "promise": _column([z for _, z, _ in pairs]),
        "promise_local": _column([n for _, _, n in pairs]),
        "host_at": _starts([len(one.hosts) for one in found]),
        "host": np.concatenate([_column([]), *(one.hosts for one in found)]),
        "times": _column(times),
        "fails_in_at": _starts([len(one) for one in within]),
        "fails_in": np.concatenate([_column([]), *within]),
        "fails_at": _starts([one.size for one in fails]),
        "fails": np.concatenate([_column([]), *(one.reshape(-1) for one in fails)]),
        "restarts": np.array([one.weight for one in found], dtype=np.int64).reshape(
            len(found), len(classes.one)
        ),
        "restart_on": (~admitted.forbidden).astype(np.int64) if found else np.zeros((0, v), dtype=np.int64),
        "demand": np.where(providers.own, classes.demand, 0),
        "worth": (v << 20) // np.maximum(1, left.sum(axis=0)),
        "left": left,
        "load": np.zeros((entries, k), dtype=np.int64),
        "peak": np.zeros((len(pairs), k), dtype=np.int64),
        "target": np.full(
            (len(problem.request_ids), int(at_provider.max(initial=0)) * max(times, default=0)), -1
        ),
    }


@compiled
def restart(m: Int64, z: int, g: int, scenario: int) -> int:
    """The host of promise `z` (its position there) that takes over a request of class `g`; -1 for none.

    The one whose peak rises the least, so that scenarios share what is kept free; of these the first.
    """
    first = get(m, HOST_AT, z)
    size = get(m, HOST_AT, z + 1) - first
    entry = get(m, FAILS_AT, z) + scenario * size
    demand, allowed = at(m, DEMAND, g), at(m, RESTART_ON, g)
    best, best_rise = -1, 0
    for b in range(size):
        host = get(m, HOST, first + b)
        if get(m, FAILS, entry + b) != 0 or m[allowed + host] == 0:
            continue
        load, left, peak = at(m, LOAD, entry + b), at(m, LEFT, host), at(m, PEAK, first + b)
        rise = 0
        for k in range(m[LEFT + WIDTH]):
            taken = m[load + k] + m[demand + k]
            if m[demand + k] > 0 and taken > m[left + k]:
                rise = -1
                break
            rise += max(0, taken - m[peak + k]) * get(m, WORTH, k)
        if rise >= 0 and (best < 0 or rise < best_rise):
            best, best_rise = b, rise
    return best


@compiled
def survives(m: Int64, g: int, v: int) -> bool:
    """Whether a request of class `g` on provider `v` leaves every promise kept."""
    demand, left = at(m, DEMAND, g), at(m, LEFT, v)
    for n in range(get(m, PROMISE_AT, v), get(m, PROMISE_AT, v + 1)):
        z, h = get(m, PROMISE, n), get(m, PROMISE_LOCAL, n)
        peak = at(m, PEAK, get(m, HOST_AT, z) + h)
        for k in range(m[LEFT + WIDTH]):
            if m[demand + k] > 0 and m[demand + k] > m[left + k] - m[peak + k]:
                return False
        if m[at(m, RESTARTS, z) + g] == 0:
            continue
        times = get(m, TIMES, z)
        first = at(m, FAILS_IN, get(m, FAILS_IN_AT, z) + h * times)
        for n_th in range(times):
            if restart(m, z, g, m[first + n_th]) < 0:
                return False
    return True


@compiled
def plan_restarts(m: Int64, i: int, g: int, v: int) -> None:
    """Choose where request `i` restarts in each scenario in which its provider fails."""
    target = at(m, TARGET, i)
    for n in range(get(m, PROMISE_AT, v), get(m, PROMISE_AT, v + 1)):
        z = get(m, PROMISE, n)
        times = get(m, TIMES, z)
        first = at(m, FAILS_IN, get(m, FAILS_IN_AT, z) + get(m, PROMISE_LOCAL, n) * times)
        for n_th in range(times):
            must = m[at(m, RESTARTS, z) + g] != 0
            m[target + n_th] = restart(m, z, g, m[first + n_th]) if must else -1
        target += times


@compiled
def _load(m: Int64, z: int, scenario: int, b: int, demand: int, sign: int) -> None:
    """Host `b` of promise `z` takes over more (`sign` COMES) or less (-1) in one scenario."""
    first = get(m, HOST_AT, z)
    size = get(m, HOST_AT, z + 1) - first
    load = at(m, LOAD, get(m, FAILS_AT, z) + scenario * size + b)
    peak = at(m, PEAK, first + b)
    for k in range(m[LEFT + WIDTH]):
        was = m[load + k]
        m[load + k] = was + sign * m[demand + k]
        if sign > 0:
            m[peak + k] = max(m[peak + k], m[load + k])
        elif was == m[peak + k] and m[demand + k] > 0:
            highest = 0
            for entry in range(get(m, FAILS_AT, z) + b, get(m, FAILS_AT, z + 1), size):
                highest = max(highest, m[at(m, LOAD, entry) + k])
            m[peak + k] = highest


@compiled
def carry(m: Int64, i: int, g: int, v: int, sign: int) -> None:
    """Add request `i` to the plan (`sign` COMES), or take it out (GOES)."""
    demand, left, target = at(m, DEMAND, g), at(m, LEFT, v), at(m, TARGET, i)
    for k in range(m[LEFT + WIDTH]):
        m[left + k] -= sign * m[demand + k]
    for n in range(get(m, PROMISE_AT, v), get(m, PROMISE_AT, v + 1)):
        z = get(m, PROMISE, n)
        times = get(m, TIMES, z)
        first = at(m, FAILS_IN, get(m, FAILS_IN_AT, z) + get(m, PROMISE_LOCAL, n) * times)
        for n_th in range(times):
            if m[target + n_th] >= 0:
                _load(m, z, m[first + n_th], m[target + n_th], demand, sign)
        target += times


def survivors(p: Parts, g: int) -> Bool:
    """[V] `survives` of every provider at once, in numpy."""
    fine = np.ones(len(p.left), dtype=np.bool_)
    demand = p.demand[g]
    for z in range(len(p.times)):
        these = slice(p.host_at[z], p.host_at[z + 1])
        hosts = p.host[these]
        fine[hosts] &= ((demand <= p.left[hosts] - p.peak[these]) | (demand == 0)).all(axis=1)
        if p.restarts[z, g]:
            there = slice(p.fails_at[z], p.fails_at[z + 1])
            taken = p.load[there].reshape(-1, len(hosts), len(demand)) + demand
            fits = ((taken <= p.left[hosts]) | (demand == 0)).all(axis=2) & (p.restart_on[g, hosts] != 0)
            kept = (fits & (p.fails[there].reshape(-1, len(hosts)) == 0)).any(axis=1)
            within = p.fails_in[p.fails_in_at[z] : p.fails_in_at[z + 1]].reshape(len(hosts), -1)
            fine[hosts] &= kept[within].all(axis=1)
    return fine


def _refuse_too_many(found: list[Failover], resources: int) -> None:
    scenarios = [comb(len(one.hosts), one.losses) for one in found]
    entries = sum(s * len(one.hosts) for s, one in zip(scenarios, found, strict=True)) * resources
    if entries > MOST_ENTRIES:
        msg = (
            f"failover of {len(found)} pools: {sum(scenarios)} sets of hosts that may fail are too many to keep "
            f"a plan for each ({entries} amounts, at most {MOST_ENTRIES}); divide the pools, or ask for fewer losses"
        )
        raise ValueError(msg)


def _fails(one: Failover) -> Bool:
    """[scenarios, hosts]."""
    sets = np.array(list(combinations(range(len(one.hosts)), one.losses)), dtype=np.int64)
    fails = np.zeros((len(sets), len(one.hosts)), dtype=np.bool_)
    fails[np.arange(len(sets))[:, None], sets] = True
    return fails


def _starts(lengths: list[int]) -> Int64:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _column(values: list[int]) -> Int64:
    return np.array(values, dtype=np.int64)
