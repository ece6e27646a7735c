"""Passing on: a process takes the place of another, which goes on to a third machine, often back to its first.

What is used twice is never given back while a process is away: whoever is to come to a full machine needs one of those
to go that came before. In two moves the first would have to pay alone, and be so dear that it is never made.
"""

import numpy as np

from placement.compiling import compiled_bare, inlined
from placement.rebalance.loops import (
    FIRM,
    Float64,
    comes_to,
    draw,
    moving,
    send_on,
)
from placement.rebalance.tables import ORDERS, State, Tables

_HOME = 12
"""Of sixteen, those in which the other goes back to its first machine; else anywhere."""
_ALIKE = 8
"""Of sixteen, those in which the two need about the same; else anything comes."""


@inlined
def _chosen(tables: Tables, state: State, chance: int, more: int) -> tuple[int, int, int]:
    """Who comes, in whose place, and where that one goes; nobody where chance finds none.

    Where it is listed who could come where, whoever comes is chosen first, large ones more often: those have few places.
    """
    processes, machines = len(state.machine), len(tables.capacity)
    p, q, to = -1, 0, 0
    if len(tables.reach) > 0:
        rank = max((chance >> 4 & 0xFFFFF) * processes >> 20, (more >> 44) * processes >> 18)
        comes = int(tables.by_size[rank])
        n = comes_to(tables, comes, chance >> 24 & 0xFFFFF)
        if n >= 0 and state.members[n] > 0:
            q = int(state.member[n, (more >> 4 & 0xFFFFF) * state.members[n] >> 20])
            if n != tables.home[q] and (more & 15) < _HOME:
                to = int(tables.home[q])
            else:
                to = comes_to(tables, q, more >> 24 & 0xFFFFF)
            if to >= 0:
                p = comes
        return p, q, to
    if (chance & 15) < _HOME and state.totals[3] > 0:
        q = int(state.away[(chance >> 4 & 0xFFFFF) * state.totals[3] >> 20])
        to = int(tables.home[q])
    else:
        q = (chance >> 4 & 0xFFFFF) * processes >> 20
        to = (chance >> 24 & 0xFFFFF) * machines >> 20
    if (more & 15) < _ALIKE:
        order = more >> 4 & (ORDERS - 1)
        at = tables.alike_at[order, q] + (more >> 10 & 63) - 32
        if 0 <= at < processes:
            p = int(tables.alike[order, at])
    else:
        p = (more >> 20 & 0xFFFFF) * processes >> 20
    return p, q, to


@compiled_bare
def pass_on(  # noqa: C901, PLR0912, PLR0915 - one loop, as `anneal` is
    tables: Tables,
    state: State,
    log: Float64,
    temperature: float,
    stay: float,
    pressure: float,
    steps: int,
) -> int:
    """Try so many at one temperature; how many were made. `pressure` as in `anneal`."""
    processes, width = len(state.machine), state.member.shape[1]
    machine, slack, room, free, cost = state.machine, state.slack, state.room, state.free, state.cost
    excess, lack_weight, totals, here = state.excess, tables.lack_weight, state.totals, state.here
    requirement, taking, weighted = tables.requirement, tables.taking, tables.weighted
    home, service, row, balance = tables.home, tables.service, tables.row, tables.balance
    least, made, balances, resources = 3 * tables.service_move[0], 0, len(balance), requirement.shape[1]
    for _ in range(steps):
        chance, more = draw(totals), draw(totals)
        most = temperature * log[chance >> 50]
        p, q, to = _chosen(tables, state, chance, more)
        if p < 0:
            continue
        n = machine[q]
        m = machine[p]
        if m in (n, to) or n == to or state.members[to] == width:  # A set would be made anew for each move.
            continue
        p_row, q_row = row[service[p]], row[service[q]]
        if p_row >= 0 and service[p] != service[q] and here[p_row, n] != 0:
            continue
        if q_row >= 0 and here[q_row, to] != 0:
            continue
        p_home, q_home, nobody = home[p], home[q], processes + 1
        p_at_n, q_at_n = p + nobody * (n == p_home), q + nobody * (n == q_home)
        p_at_m, q_at_to = p + nobody * (m == p_home), q + nobody * (to == q_home)
        over, lack_n, lack_m, lack_to = 0.0, np.int64(0), np.int64(0), np.int64(0)
        if pressure == 0.0:
            lacking = np.int64(0)
            for r in range(resources):
                lacking |= room[n, r] - taking[p_at_n, r] + taking[q_at_n, r]
                lacking |= room[to, r] - taking[q_at_to, r]
            if lacking < 0:
                continue
        else:
            for r in range(resources):
                need_n = taking[p_at_n, r] - taking[q_at_n, r]
                lack_n += lack_weight[r] * max(np.int64(0), need_n - room[n, r])
                lack_m += lack_weight[r] * max(np.int64(0), -taking[p_at_m, r] - room[m, r])
                lack_to += lack_weight[r] * max(np.int64(0), taking[q_at_to, r] - room[to, r])
            if pressure >= FIRM and (lack_n > excess[n] or lack_to > excess[to]):
                continue
            over = pressure * (lack_n + lack_m + lack_to - excess[n] - excess[m] - excess[to])
        change = moving(tables, p, n) - moving(tables, p, m) + moving(tables, q, to) - moving(tables, q, n)
        over += stay * (int(m == p_home) - int(n == p_home) + int(n == q_home) - int(to == q_home))
        now = cost[m] + cost[n] + cost[to]
        if change + over - now - least > most:
            continue
        at_n, at_m, at_to = np.int64(0), np.int64(0), np.int64(0)
        for r in range(resources):
            at_n += max(np.int64(0), weighted[p, r] - weighted[q, r] - slack[n, r])
            at_m += max(np.int64(0), -weighted[p, r] - slack[m, r])
            at_to += max(np.int64(0), weighted[q, r] - slack[to, r])
        for b in range(balances):
            one, two, target, weight = balance[b, 0], balance[b, 1], balance[b, 2], balance[b, 3]
            of_p = target * requirement[p, one] - requirement[p, two]
            of_q = target * requirement[q, one] - requirement[q, two]
            at_n += weight * max(np.int64(0), target * free[n, one] - free[n, two] - of_p + of_q)
            at_m += weight * max(np.int64(0), target * free[m, one] - free[m, two] + of_p)
            at_to += weight * max(np.int64(0), target * free[to, one] - free[to, two] - of_q)
        change += at_n + at_m + at_to - now
        if change + over - least > most:
            continue
        done, change = send_on(tables, state, p, q, m, n, to, change, over, most)
        if not done:
            continue
        cost[n], cost[m], cost[to] = at_n, at_m, at_to
        excess[n], excess[m], excess[to] = lack_n, lack_m, lack_to
        totals[1] += change
        made += 1
    return made
