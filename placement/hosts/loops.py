"""The inner loops in plain Python, as numba can compile them; `kernels` has them compiled.

All arithmetic is on int64 and all chance comes in as an argument, so both ways, and every machine, give
the same answer.
"""

import numpy as np

from placement.arrays import Int64


def first_fit(demand: Int64, order: Int64, room: Int64, hosts: Int64, host_of: Int64) -> int:
    """Put each request of `order` on the first of `hosts` with room; how many found none.

    `room` [H, K] and `host_of` [R] are changed in place; a request without a host keeps its -1.
    """
    left = 0
    for i in order:
        found = False
        for h in hosts:
            fits = True
            for k in range(demand.shape[1]):
                if demand[i, k] > room[h, k]:
                    fits = False
                    break
            if fits:
                for k in range(demand.shape[1]):
                    room[h, k] -= demand[i, k]
                host_of[i] = h
                found = True
                break
        if not found:
            left += 1
    return left


def first_fit_numpy(demand: Int64, order: Int64, room: Int64, hosts: Int64, host_of: Int64) -> int:
    """The same as `first_fit`, one request at a time over all hosts at once."""
    left = 0
    mine = room[hosts]
    for i in order.tolist():
        fits = (mine >= demand[i]).all(axis=1)
        n = int(fits.argmax()) if len(fits) else 0
        if len(fits) and fits[n]:
            mine[n] -= demand[i]
            host_of[i] = hosts[n]
        else:
            left += 1
    room[hosts] = mine
    return left


def level(demand: Int64, order: Int64, share: Int64, load: Int64, seats: Int64, host_of: Int64) -> None:
    """Put each request of `order` where the fullest resource is then the least full; hosts may overflow.

    `share` [H, K] is what one unit takes of a host's resource, in parts of 2**20; `load` [H, K] in the
    same parts, `seats` [H] (how many more it may take) and `host_of` are changed in place.
    """
    for i in order:
        best, best_full = -1, np.int64(0)
        for h in range(load.shape[0]):
            if seats[h] <= 0:
                continue
            full = np.int64(0)
            for k in range(load.shape[1]):
                full = max(full, load[h, k] + demand[i, k] * share[h, k])
                if best >= 0 and full >= best_full:
                    break
            if best < 0 or full < best_full:
                best, best_full = h, full
        for k in range(load.shape[1]):
            load[best, k] += demand[i, k] * share[best, k]
        seats[best] -= 1
        host_of[i] = best


def level_numpy(
    demand: Int64, order: Int64, share: Int64, load: Int64, seats: Int64, host_of: Int64
) -> None:
    """The same as `level`, one request at a time over all hosts at once."""
    for i in order.tolist():
        full = (load + demand[i] * share).max(axis=1)
        full[seats <= 0] = np.iinfo(np.int64).max
        best = int(full.argmin())
        load[best] += demand[i] * share[best]
        seats[best] -= 1
        host_of[i] = best


def excess_after(room: Int64, weight: Int64, demand: Int64, comes: int, goes: int) -> int:
    """What one host lacks, weighed, when a request comes and another goes; -1 for neither."""
    total = 0
    for k in range(len(room)):
        left = room[k]
        if comes >= 0:
            left -= demand[comes, k]
        if goes >= 0:
            left += demand[goes, k]
        if left < 0:
            total -= weight[k] * left
    return total


def move(host_of: Int64, place: Int64, members: Int64, filled: Int64, i: int, b: int) -> None:
    """Request `i` leaves its host for `b`; the last of those it leaves takes its place in the list."""
    a = host_of[i]
    filled[a] -= 1
    last = members[a, filled[a]]
    members[a, place[i]] = last
    place[last] = place[i]
    members[b, filled[b]] = i
    place[i] = filled[b]
    filled[b] += 1
    host_of[i] = b


def swap(host_of: Int64, place: Int64, members: Int64, i: int, j: int) -> None:
    """Requests `i` and `j` take each other's place."""
    a, b = host_of[i], host_of[j]
    members[a, place[i]] = j
    members[b, place[j]] = i
    place[i], place[j] = place[j], place[i]
    host_of[i], host_of[j] = b, a


def relist(hot: Int64, hot_at: Int64, hots: int, h: int, excess: int) -> int:
    """Host `h` goes into or out of the list of overfull hosts; how many are in it then."""
    if excess > 0 and hot_at[h] < 0:
        hot[hots] = h
        hot_at[h] = hots
        return hots + 1
    if excess == 0 and hot_at[h] >= 0:
        moved = hot[hots - 1]
        hot[hot_at[h]] = moved
        hot_at[moved] = hot_at[h]
        hot_at[h] = -1
        return hots - 1
    return hots


def pick(chance: Int64, hot: Int64, hots: int, members: Int64, filled: Int64) -> tuple[int, int, int, int]:
    """(host, request, other host, other request) of one move; host -1 for none, other request -1 to move alone.

    Three of four moves begin at an overfull host, and three of four are swaps.
    """
    hosts, width = members.shape
    start = chance[0] >> 2
    a = hot[(start * hots) >> 29] if chance[0] & 3 else (start * hosts) >> 29
    b = (chance[1] * hosts) >> 31
    alone = (chance[3] & 3) == 0
    if a == b or filled[a] == 0 or (alone and filled[b] == width) or (not alone and filled[b] == 0):
        return -1, -1, -1, -1
    i = members[a, (chance[2] * filled[a]) >> 31]
    j = -1 if alone else members[b, ((chance[3] >> 2) * filled[b]) >> 29]
    return a, i, b, j


def anneal(
    demand: Int64,
    shape: Int64,
    room: Int64,
    weight: Int64,
    host_of: Int64,
    place: Int64,
    members: Int64,
    filled: Int64,
    excess: Int64,
    hot: Int64,
    hot_at: Int64,
    hots: int,
    chance: Int64,
    allowance: Int64,
) -> tuple[int, int]:
    """Move and swap requests between hosts until none is overfull or `chance` [n, 4] is used up.

    `room` [H, K] may be negative: weighed by `weight` [K] and summed, what is lacking is a host's
    `excess`. Hosts with excess are listed in `hot`, of which the first `hots` count. A move may add
    `allowance` [n] to the sum of excesses. Gives back (moves tried, hosts still overfull); everything
    else is changed in place.
    """
    for n in range(chance.shape[0]):
        if hots == 0:
            return n, hots
        a, i, b, j = pick(chance[n], hot, hots, members, filled)
        if a < 0 or (j >= 0 and shape[i] == shape[j]):
            continue
        left = excess_after(room[a], weight, demand, j, i)
        right = excess_after(room[b], weight, demand, i, j)
        if left + right - excess[a] - excess[b] > allowance[n]:
            continue
        room[a] += demand[i]
        room[b] -= demand[i]
        if j >= 0:
            room[a] -= demand[j]
            room[b] += demand[j]
            swap(host_of, place, members, i, j)
        else:
            move(host_of, place, members, filled, i, b)
        excess[a], excess[b] = left, right
        hots = relist(hot, hot_at, hots, a, left)
        hots = relist(hot, hot_at, hots, b, right)
    return chance.shape[0], hots


def rates(demand: Int64, worth: Int64) -> tuple[Int64, Int64]:
    """[C + 1, K] twice: the most that a unit of a resource is worth in shapes from c on, as a fraction.

    A denominator of 0: some shape takes none of it, and the resource says nothing.
    """
    shapes, resources = demand.shape
    over = np.zeros((shapes + 1, resources), dtype=np.int64)
    under = np.ones((shapes + 1, resources), dtype=np.int64)
    for c in range(shapes - 1, -1, -1):
        for k in range(resources):
            over[c, k], under[c, k] = over[c + 1, k], under[c + 1, k]
            if under[c, k] == 0 or demand[c, k] == 0:
                under[c, k] = 0
            elif worth[c] * under[c, k] > over[c, k] * demand[c, k]:
                over[c, k], under[c, k] = worth[c], demand[c, k]
    return over, under


def at_most(room: Int64, over: Int64, under: Int64) -> np.int64:
    """What `room` [K] is worth at most at the rates [K]."""
    most = np.int64(2**62)
    for k in range(len(room)):
        if under[k] > 0:
            most = min(most, room[k] * over[k] // under[k])
    return most


def put(room: Int64, demand: Int64, limit: int) -> int:
    """Take as many of `demand` [K] off `room` [K] as fit, at most `limit`; how many."""
    n = limit
    for k in range(len(room)):
        if demand[k] > 0:
            n = min(n, room[k] // demand[k])
    for k in range(len(room)):
        room[k] -= n * demand[k]
    return n


def fullest(
    demand: Int64, limit: Int64, room: Int64, worth: Int64, nodes_max: int
) -> tuple[int, Int64, int]:
    """The filling of one host that is worth most: (its worth, how many of each shape, steps taken).

    Depth first over shapes [C, K] in their order, at most `limit` [C] of each, all with some `worth` [C].
    Exact unless `nodes_max` steps were taken. `room` [K] is changed in place and back.
    """
    shapes = len(demand)
    over, under = rates(demand, worth)
    taken = np.zeros(shapes, dtype=np.int64)
    best_taken = np.zeros(shapes, dtype=np.int64)
    best, now, nodes, c = 0, 0, 0, 0
    while c >= 0:
        while c < shapes and now + at_most(room, over[c], under[c]) > best:
            taken[c] = put(room, demand[c], limit[c])
            now += taken[c] * worth[c]
            nodes += 1
            c += 1
        if now > best:
            best = now
            best_taken[:] = taken
            best_taken[c:] = 0
        c -= 1
        while c >= 0 and (taken[c] == 0 or nodes >= nodes_max):
            room += taken[c] * demand[c]
            now -= taken[c] * worth[c]
            taken[c] = 0
            c -= 1
        if c >= 0:
            taken[c] -= 1
            room += demand[c]
            now -= worth[c]
            c += 1
    return best, best_taken, nodes
