"""Replacing: a process comes to a machine in the place of any that is there, which goes where the other was, home, or on.

Where machines are full, one of fifty moves drawn by chance leaves room for everybody. Here all those that are on a
machine are looked at in one go for those whose room would do.
"""

import numpy as np

from placement.compiling import compiled_bare
from placement.rebalance.loops import Float64, comes_to, draw, exchange, moving, send_on
from placement.rebalance.tables import State, Tables

_SWAP, _HOME = 8, 14
"""Of sixteen, those in which the other goes to where the first was; from there up to the next, those in which it goes home; else anywhere."""


@compiled_bare
def replace(  # noqa: C901, PLR0912, PLR0915 - one loop, as `anneal` is
    tables: Tables, state: State, log: Float64, temperature: float, stay: float, steps: int
) -> int:
    """Try so many processes on machines that are listed for them; how many exchanges were made. No machine may lack room before."""
    nobody, width = len(state.machine), state.member.shape[1]
    machine, slack, room, free, cost = state.machine, state.slack, state.room, state.free, state.cost
    requirement, taking, weighted = tables.requirement, tables.taking, tables.weighted
    home, service, row, here, totals = tables.home, tables.service, tables.row, state.here, state.totals
    balance, member, members = tables.balance, state.member, state.members
    least, made, balances, resources = 3 * tables.service_move[0], 0, len(balance), requirement.shape[1]
    for _ in range(steps):
        chance, more = draw(totals), draw(totals)
        most = temperature * log[chance >> 50]
        rank = max((chance >> 4 & 0xFFFFF) * nobody >> 20, (more >> 44) * nobody >> 18)
        p = int(tables.by_size[rank])
        n = comes_to(tables, p, chance >> 24 & 0xFFFFF)
        m = machine[p]
        if n < 0 or m == n:
            continue
        p_home, p_row, many = home[p], row[service[p]], members[n]
        there = p_row >= 0 and here[p_row, n] != 0
        p_at_n, p_at_m = p + (nobody + 1) * (n == p_home), p + (nobody + 1) * (m == p_home)
        at = (more >> 24 & 0xFFFFF) * many >> 20
        for _k in range(many):
            at = at + 1 if at + 1 < many else 0
            q = int(member[n, at])
            same = service[p] == service[q]
            if there and not same:
                continue
            q_home = home[q]
            q_at_n = q + (nobody + 1) * (n == q_home)
            lacking = np.int64(0)
            for r in range(resources):
                lacking |= room[n, r] - taking[p_at_n, r] + taking[q_at_n, r]
            if lacking < 0:
                continue
            more = draw(totals)
            to = m
            if (more & 15) >= _SWAP:
                to = (
                    q_home
                    if n != q_home and (more & 15) < _HOME
                    else comes_to(tables, q, more >> 4 & 0xFFFFF)
                )
            if to < 0 or to == n or (to != m and members[to] == width):
                continue
            q_row = row[service[q]]
            if q_row >= 0 and here[q_row, to] != 0 and not (same and to == m):
                continue
            gone = p_at_m if to == m else 2 * nobody + 1
            q_at_to = q + (nobody + 1) * (to == q_home)
            for r in range(resources):
                lacking |= room[to, r] + taking[gone, r] - taking[q_at_to, r]
            if lacking < 0:
                continue
            change = (
                moving(tables, p, n) - moving(tables, p, m) + moving(tables, q, to) - moving(tables, q, n)
            )
            over = stay * (int(m == p_home) - int(n == p_home) + int(n == q_home) - int(to == q_home))
            now = cost[m] + cost[n] + (cost[to] if to != m else 0)
            if change + over - now - least > most:
                continue
            back = q if to == m else nobody
            at_n, at_m, at_to = np.int64(0), np.int64(0), np.int64(0)
            for r in range(resources):
                at_n += max(np.int64(0), weighted[p, r] - weighted[q, r] - slack[n, r])
                at_m += max(np.int64(0), weighted[back, r] - weighted[p, r] - slack[m, r])
                at_to += max(np.int64(0), weighted[q, r] - slack[to, r])
            for b in range(balances):
                one, two, target, weight = balance[b, 0], balance[b, 1], balance[b, 2], balance[b, 3]
                of_p = target * requirement[p, one] - requirement[p, two]
                of_q = target * requirement[q, one] - requirement[q, two]
                of_back = target * requirement[back, one] - requirement[back, two]
                at_n += weight * max(np.int64(0), target * free[n, one] - free[n, two] - of_p + of_q)
                at_m += weight * max(np.int64(0), target * free[m, one] - free[m, two] + of_p - of_back)
                at_to += weight * max(np.int64(0), target * free[to, one] - free[to, two] - of_q)
            change += at_n + at_m - now + (at_to if to != m else 0)
            if change + over - least > most:
                continue
            if to == m:
                done, change = exchange(tables, state, p, q, m, n, change, over, most)
            else:
                done, change = send_on(tables, state, p, q, m, n, to, change, over, most)
            if not done:
                continue
            if to != m:
                cost[to] = at_to
            cost[n], cost[m] = at_n, at_m
            totals[1] += change
            made += 1
            break
    return made
