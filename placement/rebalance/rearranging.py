"""Big rearrangements: a process goes where there is no room for it, and what is in its way goes elsewhere.

Where machines are nearly full, large processes can move in no other way (the challenge's winners called it
"big process rearrangement").
"""

import numpy as np

from placement.compiling import compiled
from placement.rebalance.loops import Float64, conflicts, count_move, draw, moving, stays_apart, take
from placement.rebalance.tables import State, Tables

_CHAIN = 6
"""Processes that may have to give way."""


@compiled
def cost_of(tables: Tables, state: State, m: int) -> int:
    """Load and balance of a machine as it is."""
    total = 0
    for r in range(len(tables.load_weight)):
        total += max(0, -state.slack[m, r])
    for b in range(len(tables.balance)):
        one, two = tables.balance[b, 0], tables.balance[b, 1]
        lack = tables.balance[b, 2] * state.free[m, one] - state.free[m, two]
        total += tables.balance[b, 3] * max(0, lack)
    return int(total)


@compiled
def put(tables: Tables, state: State, p: int, n: int) -> None:
    """Move a process, with everything that is counted."""
    m, most = state.machine[p], state.totals[2]
    change = moving(tables, p, n) - moving(tables, p, m) - state.cost[m] - state.cost[n]
    count_move(tables, state, p, m, n)
    take(tables, state, p, m, n)
    state.cost[m], state.cost[n] = cost_of(tables, state, m), cost_of(tables, state, n)
    change += state.cost[m] + state.cost[n] + tables.service_move[0] * (state.totals[2] - most)
    state.totals[1] += change


@compiled
def lacks(state: State, m: int) -> bool:
    """Whether a machine has less than it needs."""
    return bool(state.room[m].min() < 0)


@compiled
def relieves(tables: Tables, state: State, q: int, n: int) -> float:
    """What part of what a machine lacks goes with a process, from 0 to the number of resources lacking."""
    total, home = 0.0, tables.home[q] == n
    for r in range(state.room.shape[1]):
        need = tables.requirement[q, r]
        if state.room[n, r] < 0 and need > 0 and not (home and tables.transient[r] != 0):
            total += min(1.0, need / -state.room[n, r])
    return total


@compiled
def size_of(tables: Tables, q: int) -> int:
    """What a process adds to load at most."""
    total = 0
    for r in range(len(tables.load_weight)):
        total += tables.weighted[q, r]
    return int(total)


@compiled
def in_the_way(tables: Tables, state: State, p: int, n: int) -> int:
    """Of those on a machine, the one that relieves it most for its size, by chance not always; nobody if none does."""
    best, chosen = 0.0, len(state.machine)
    for i in range(state.members[n]):
        q = int(state.member[n, i])
        relief = relieves(tables, state, q, n)
        if q == p or relief == 0.0:
            continue
        noise = 0.25 + (draw(state.totals) & 1023) / 1024
        score = noise * relief * relief / (1.0 + size_of(tables, q))
        if score > best:
            best, chosen = score, q
    return chosen


@compiled
def fits(tables: Tables, state: State, q: int, o: int) -> bool:
    """Whether a process fits on a machine as it is."""
    home = tables.home[q] == o
    for r in range(len(tables.load_weight)):
        need = tables.requirement[q, r]
        if need > state.room[o, r] and need > 0 and not (home and tables.transient[r] != 0):
            return False
    return True


@compiled
def cheapest(tables: Tables, state: State, q: int, n: int, barred: int, stay: float) -> int:
    """Where a process goes from `n` at the least cost; -1 where it may go nowhere."""
    best, chosen = np.inf, -1
    for o in range(len(tables.capacity)):
        if o in {n, barred} or state.members[o] == state.member.shape[1]:
            continue
        if conflicts(tables, state, q, o) or not fits(tables, state, q, o):
            continue
        cost = float(moving(tables, q, o)) + stay * (o != tables.home[q])
        for r in range(len(tables.load_weight)):
            slack = state.slack[o, r]
            cost += max(0, tables.weighted[q, r] - slack) - max(0, -slack)
        cost *= 1.0 + (draw(state.totals) & 255) / 1024
        if cost < best and stays_apart(tables, state, q, n, o):
            best, chosen = cost, o
    return chosen


@compiled
def rearrange(
    tables: Tables, state: State, log: Float64, temperature: float, stay: float, tries: int
) -> int:
    """Try so many rearrangements at one temperature; how many were made."""
    processes, machines, made = len(state.machine), len(tables.capacity), 0
    who, back = np.zeros(_CHAIN + 1, dtype=np.int64), np.zeros(_CHAIN + 1, dtype=np.int64)
    for _ in range(tries):
        chance = draw(state.totals)
        half = processes // 2
        p = int(tables.by_size[half + ((chance & 0xFFFFF) * (processes - half) >> 20)])
        m, n = int(state.machine[p]), (chance >> 20 & 0xFFFFF) * machines >> 20
        most = temperature * log[chance >> 50]
        if m == n or state.members[n] == state.member.shape[1] or conflicts(tables, state, p, n):
            continue
        if not stays_apart(tables, state, p, m, n):
            continue
        before, moved, fine = state.totals[1], state.totals[3], True
        who[0], back[0], done = p, m, 1
        put(tables, state, p, n)
        while lacks(state, n):
            q = in_the_way(tables, state, p, n) if done <= _CHAIN else processes
            o = cheapest(tables, state, q, n, -1, stay) if q != processes else -1
            if o < 0:
                fine = False
                break
            who[done], back[done] = q, n
            done += 1
            put(tables, state, q, o)
        if fine and state.totals[1] - before + stay * (state.totals[3] - moved) <= most:
            made += 1
            continue
        for i in range(done):
            put(tables, state, who[done - 1 - i], back[done - 1 - i])
    return made
