"""The inner loops: what a move costs, whether it may be, and annealing; compiled where numba is installed.

All chance is drawn from a state that is handed in. Costs are exact integers; only what may be lost by chance,
and what use above capacity counts, are floats, with nothing but products and sums: every machine gets the same answer.
"""

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.compiling import compiled_bare, inlined
from placement.rebalance.tables import ORDERS, SIZES, State, Tables

Float64 = npt.NDArray[np.float64]

KINDS = 4
SHIFT, HOME, SWAP, ALIKE = range(KINDS)
"""Kinds of moves: anywhere, back to where it was first, with any other, with one that needs about the same."""

FIRM = 1e9
"""A pressure under which no machine may come to lack more than it does."""

LOG: Float64 = -np.log((np.arange(4096) + 0.5) / 4096)
"""-ln(u): what a move may cost at temperature 1, by chance."""


@inlined
def draw(totals: Int64) -> int:
    """62 bits by chance: xorshift64 (Marsaglia, Journal of Statistical Software 8/14, 2003)."""
    x = totals[0]
    x ^= x << 13
    x ^= (x >> 7) & 0x1FFFFFFFFFFFFFF  # The shift of a negative number brings ones, where zeros are meant.
    x ^= x << 17
    totals[0] = x
    return int(x & 0x3FFFFFFFFFFFFFFF)


@inlined
def comes_to(tables: Tables, p: int, chance: int) -> int:
    """One of the machines that are listed for a process, by 20 bits of chance; -1 where none is."""
    begin = tables.reach_from[p]
    many = tables.reach_from[p + 1] - begin
    return int(tables.reach[begin + (chance * many >> 20)]) if many > 0 else -1


@inlined
def moving(tables: Tables, p: int, n: int) -> int:
    """What it costs that a process is on a machine, services' moves aside."""
    home = tables.home[p]
    if n == home:
        return 0
    return int(tables.process_move[p] + tables.machine_move[home, n])


@inlined
def conflicts(tables: Tables, state: State, p: int, n: int) -> bool:
    """Whether another process of the service is on the machine."""
    row = tables.row[tables.service[p]]
    return bool(row >= 0 and state.here[row, n] != 0)


@inlined
def stays_apart(tables: Tables, state: State, p: int, m: int, n: int) -> bool:
    """Whether the service of a process keeps its spread, and every service what it depends on."""
    s = tables.service[p]
    a, b = tables.location[m], tables.location[n]
    last = a != b and state.at_location[s, a] == 1 and state.at_location[s, b] > 0
    if last and state.locations[s] <= tables.spread[s]:
        return False
    a, b = tables.neighbourhood[m], tables.neighbourhood[n]
    if a == b:
        return True
    if state.at_neighbourhood[s, b] == 0:
        for i in range(tables.needs_from[s], tables.needs_from[s + 1]):
            if state.at_neighbourhood[tables.needs[i], b] == 0 and tables.needs[i] != s:
                return False
    if state.at_neighbourhood[s, a] == 1:
        for i in range(tables.needed_from[s], tables.needed_from[s + 1]):
            if state.at_neighbourhood[tables.needed[i], a] > 0 and tables.needed[i] != s:
                return False
    return True


@inlined
def count_service(tables: Tables, state: State, p: int, m: int, n: int) -> None:
    """Note where a process's service is, after it went from `m` to `n`."""
    s = tables.service[p]
    row = tables.row[s]
    if row >= 0:
        state.here[row, m] = 0
        state.here[row, n] = 1
    a, b = tables.location[m], tables.location[n]
    if a != b:
        state.at_location[s, a] -= 1
        state.at_location[s, b] += 1
        state.locations[s] += int(state.at_location[s, b] == 1) - int(state.at_location[s, a] == 0)
    a, b = tables.neighbourhood[m], tables.neighbourhood[n]
    if a != b:
        state.at_neighbourhood[s, a] -= 1
        state.at_neighbourhood[s, b] += 1


@inlined
def count_move(tables: Tables, state: State, p: int, m: int, n: int) -> None:
    """Note how often services move, after a process went from `m` to `n`."""
    home, s = tables.home[p], tables.service[p]
    change = int(m == home) - int(n == home)
    if change == 0:
        return
    was = state.moved[s]
    state.moved[s] = was + change
    state.so_often[was] -= 1
    state.so_often[was + change] += 1
    if was + change > state.totals[2]:
        state.totals[2] = was + change
    elif was == state.totals[2] and state.so_often[was] == 0:
        state.totals[2] = was - 1


@inlined
def relist(state: State, home: int, p: int, m: int, n: int) -> None:
    """A process goes from one machine's list to another's."""
    last = state.member[m, state.members[m] - 1]
    state.member[m, state.place[p]] = last
    state.place[last] = state.place[p]
    state.members[m] -= 1
    state.member[n, state.members[n]] = p
    state.place[p] = state.members[n]
    state.members[n] += 1
    state.machine[p] = n
    if m == home:
        state.away[state.totals[3]] = p
        state.away_at[p] = state.totals[3]
        state.totals[3] += 1
    elif n == home:
        state.totals[3] -= 1
        last = state.away[state.totals[3]]
        state.away[state.away_at[p]] = last
        state.away_at[last] = state.away_at[p]


@inlined
def take(tables: Tables, state: State, p: int, m: int, n: int) -> None:
    """Move a process from `m` to `n` in use, lists and counts; costs, and how often services move, are the caller's."""
    home, nobody = tables.home[p], len(state.machine)
    from_m = p if m != home else p + nobody + 1
    to_n = p if n != home else p + nobody + 1
    for r in range(tables.requirement.shape[1]):
        state.slack[m, r] += tables.weighted[p, r]
        state.slack[n, r] -= tables.weighted[p, r]
        state.free[m, r] += tables.requirement[p, r]
        state.free[n, r] -= tables.requirement[p, r]
        state.room[m, r] += tables.taking[from_m, r]
        state.room[n, r] -= tables.taking[to_n, r]
    count_service(tables, state, p, m, n)
    relist(state, home, p, m, n)


@inlined
def may_exchange(tables: Tables, state: State, p: int, q: int, m: int, n: int) -> bool:
    """Whether spread and dependencies hold after `p` goes to `n`, and `q`, perhaps nobody, to `m`."""
    if q == len(state.machine):
        return stays_apart(tables, state, p, m, n)
    if tables.service[p] == tables.service[q]:
        return True
    if not stays_apart(tables, state, p, m, n):
        return False
    count_service(tables, state, p, m, n)
    fine = stays_apart(tables, state, q, n, m)
    count_service(tables, state, p, n, m)
    return fine


@inlined
def count_moves(tables: Tables, state: State, p: int, q: int, m: int, n: int) -> int:
    """Note how often services move; by how much the most moves of one grow."""
    before = state.totals[2]
    count_move(tables, state, p, m, n)
    if q != len(state.machine):
        count_move(tables, state, q, n, m)
    return int(state.totals[2] - before)


@inlined
def take_both(tables: Tables, state: State, p: int, q: int, m: int, n: int) -> None:
    """Move `p` to `n`, and `q`, perhaps nobody, to `m`."""
    nobody = len(state.machine)
    if q != nobody:
        take(tables, state, q, n, m)
    take(tables, state, p, m, n)
    if q != nobody and tables.service[p] == tables.service[q]:
        row = tables.row[tables.service[p]]
        state.here[row, m] = 1
        state.here[row, n] = 1


@inlined
def exchange(
    tables: Tables, state: State, p: int, q: int, m: int, n: int, change: int, over: float, most: float
) -> tuple[bool, int]:
    """Move `p` to `n`, and `q`, perhaps nobody, to `m`, where rules hold and it is no dearer than `most`: (whether, its change).

    `change` has all but how often services move, and `over` what is counted beside it.
    """
    if not may_exchange(tables, state, p, q, m, n):
        return False, change
    change += tables.service_move[0] * count_moves(tables, state, p, q, m, n)
    if change + over > most:
        count_moves(tables, state, p, q, n, m)
        return False, change
    take_both(tables, state, p, q, m, n)
    return True, change


@inlined
def send_on(
    tables: Tables,
    state: State,
    p: int,
    q: int,
    m: int,
    n: int,
    to: int,
    change: int,
    over: float,
    most: float,
) -> tuple[bool, int]:
    """As `exchange`, but `q` goes on from `n` to a third machine."""
    if not stays_apart(tables, state, q, n, to):
        return False, change
    count_service(tables, state, q, n, to)
    fine = stays_apart(tables, state, p, m, n)
    count_service(tables, state, q, to, n)
    if not fine:
        return False, change
    before = state.totals[2]
    count_move(tables, state, q, n, to)
    count_move(tables, state, p, m, n)
    change += tables.service_move[0] * (state.totals[2] - before)
    if change + over > most:
        count_move(tables, state, p, n, m)
        count_move(tables, state, q, to, n)
        return False, change
    take(tables, state, q, n, to)
    take(tables, state, p, m, n)
    return True, change


@compiled_bare
def anneal(  # noqa: C901, PLR0912, PLR0915 - one loop: each step would pass a dozen arrays to a part of its own
    tables: Tables,
    state: State,
    log: Float64,
    menu: Int64,
    temperature: float,
    stay: float,
    pressure: float,
    steps: int,
    tried: Int64,
    gained: Float64,
) -> int:
    """Try so many moves at one temperature; how many were made.

    `pressure` is what a unit of what a machine lacks counts; 0 where none may lack anything, and none does.

    `menu` [1024] has kinds of moves as often as they shall be tried: size class * KINDS + kind. For each, what was
    tried and how much it changed is added up in `tried` and `gained`.
    """
    nobody, machines, width = len(state.machine), len(tables.capacity), state.member.shape[1]
    machine, slack, room, free, cost = state.machine, state.slack, state.room, state.free, state.cost
    excess, lack_weight = state.excess, tables.lack_weight
    requirement, taking, weighted = tables.requirement, tables.taking, tables.weighted
    home, service, row, here = tables.home, tables.service, tables.row, state.here
    process_move, machine_move, balance = tables.process_move, tables.machine_move, tables.balance
    totals, members, away, by_size = state.totals, state.members, state.away, tables.by_size
    least, made, balances, resources = 2 * tables.service_move[0], 0, len(balance), requirement.shape[1]
    alike, alike_at, listed = tables.alike, tables.alike_at, len(tables.reach) > 0
    for _ in range(steps):
        chance = draw(totals)
        pick = menu[chance & 1023]
        kind, first, second = pick % KINDS, chance >> 10 & 0xFFFFF, chance >> 30 & 0xFFFFF
        tried[pick] += 1
        most = temperature * log[chance >> 50]
        q, n = nobody, 0
        if kind == HOME:
            if totals[3] == 0:
                continue
            p = int(away[first * totals[3] >> 20])
            n = home[p]
        else:
            begin = pick // KINDS * nobody // SIZES
            end = (pick // KINDS + 1) * nobody // SIZES
            p = int(by_size[begin + (first * (end - begin) >> 20)])
            if listed and kind != ALIKE:
                n = comes_to(tables, p, second)
                if n < 0:
                    continue
                if kind == SWAP:
                    if members[n] == 0:
                        continue
                    q = int(state.member[n, (draw(totals) & 0xFFFFF) * members[n] >> 20])
            elif kind == SHIFT:
                n = second * machines >> 20
            elif kind == SWAP:
                q = second * nobody >> 20
                n = machine[q]
            else:
                order = second & (ORDERS - 1)
                at = alike_at[order, p] + (second >> 2 & 63) - 32
                if at < 0 or at >= nobody:
                    continue
                q = int(alike[order, at])
                n = machine[q]
        m = machine[p]
        if m == n or (q == nobody and members[n] == width):
            continue
        p_row = row[service[p]]
        same = q != nobody and service[p] == service[q]
        if p_row >= 0 and not same and here[p_row, n] != 0:
            continue
        if q != nobody and not same:
            q_row = row[service[q]]
            if q_row >= 0 and here[q_row, m] != 0:
                continue
        p_home, q_home = home[p], home[q]
        p_at_n, q_at_n = p + (nobody + 1) * (n == p_home), q + (nobody + 1) * (n == q_home)
        p_at_m, q_at_m = p + (nobody + 1) * (m == p_home), q + (nobody + 1) * (m == q_home)
        over, lack_n, lack_m = 0.0, np.int64(0), np.int64(0)
        if pressure == 0.0:
            lacking = np.int64(0)
            for r in range(resources):  # The sign of what is left, of all resources at once: no branch.
                lacking |= room[n, r] - taking[p_at_n, r] + taking[q_at_n, r]
            if lacking < 0:
                continue
            if q != nobody:
                for r in range(resources):
                    lacking |= room[m, r] - taking[q_at_m, r] + taking[p_at_m, r]
                if lacking < 0:
                    continue
        else:
            for r in range(resources):
                need_n, need_m = (
                    taking[p_at_n, r] - taking[q_at_n, r],
                    taking[q_at_m, r] - taking[p_at_m, r],
                )
                lack_n += lack_weight[r] * max(np.int64(0), need_n - room[n, r])
                lack_m += lack_weight[r] * max(np.int64(0), need_m - room[m, r])
            if pressure >= FIRM and (lack_n > excess[n] or lack_m > excess[m]):
                continue
            over = pressure * (lack_n + lack_m - excess[n] - excess[m])
        change = 0
        if m != p_home:
            change -= process_move[p] + machine_move[p_home, m]
        if n != p_home:
            change += process_move[p] + machine_move[p_home, n]
        if q != nobody:
            if n != q_home:
                change -= process_move[q] + machine_move[q_home, n]
            if m != q_home:
                change += process_move[q] + machine_move[q_home, m]
        over += stay * (int(m == p_home) - int(n == p_home))
        if q != nobody:
            over += stay * (int(n == q_home) - int(m == q_home))
        if change + over - cost[m] - cost[n] - least > most:
            continue
        at_n, at_m = np.int64(0), np.int64(0)
        for r in range(resources):
            need = weighted[p, r] - weighted[q, r]
            at_n += max(np.int64(0), need - slack[n, r])
            at_m += max(np.int64(0), -need - slack[m, r])
        for b in range(balances):
            one, two, target, weight = balance[b, 0], balance[b, 1], balance[b, 2], balance[b, 3]
            need = target * (requirement[p, one] - requirement[q, one])
            need -= requirement[p, two] - requirement[q, two]
            at_n += weight * max(np.int64(0), target * free[n, one] - free[n, two] - need)
            at_m += weight * max(np.int64(0), target * free[m, one] - free[m, two] + need)
        change += at_n + at_m - cost[m] - cost[n]
        if change + over - least > most:
            continue
        done, change = exchange(tables, state, p, q, m, n, change, over, most)
        if not done:
            continue
        cost[m], cost[n] = at_m, at_n
        excess[m], excess[n] = lack_m, lack_n
        totals[1] += change
        made += 1
        gained[pick] += min(abs(change), 4 * temperature)
    return made
