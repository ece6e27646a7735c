"""First fit and even spreading of runs: all requests of one shape at once, over all hosts at once.

A pool has many requests of few shapes. Identical requests that stand together go where they would go one
by one, and that can be counted; what takes a compiled loop a pass over requests x hosts takes numpy one
over shapes x hosts, and loading the compiler's library would take longer than many whole problems do.
"""

from collections.abc import Iterator

import numpy as np

from placement.arrays import Int64

_ONE_BY_ONE = 24
"""Up to so many requests, looking for the next host is quicker than looking for a level."""
_UNLIMITED = np.int64(2**62)


def grouped(shape_of: Int64, order: Int64) -> Iterator[tuple[int, Int64]]:
    """(shape, its requests in ascending order) for the shapes of `order`; shape -1 is nobody's."""
    by_shape = np.argsort(shape_of, kind="stable")
    sorted_shapes = shape_of[by_shape]
    begin = np.searchsorted(sorted_shapes, order, side="left")
    end = np.searchsorted(sorted_shapes, order, side="right")
    for shape, first, behind in zip(order.tolist(), begin.tolist(), end.tolist(), strict=True):
        yield shape, by_shape[first:behind]


def first_fit(demand: Int64, room: Int64, requests: Int64, host_of: Int64) -> None:
    """Put `requests`, each of `demand` [K], on the first hosts with room.

    `room` [H, K] and `host_of` [R] are changed in place; who finds no room keeps -1.
    """
    fit = np.full(len(room), len(requests), dtype=np.int64)
    for k in np.flatnonzero(demand).tolist():
        np.minimum(fit, room[:, k] // demand[k], out=fit)
    np.maximum(fit, 0, out=fit)
    before = np.cumsum(fit) - fit
    taken = np.clip(len(requests) - before, 0, fit)
    room -= taken[:, None] * demand
    hosts = np.repeat(np.arange(len(room)), taken)
    host_of[requests[: len(hosts)]] = hosts


def level(demand: Int64, share: Int64, load: Int64, seats: Int64, requests: Int64, host_of: Int64) -> None:
    """Put `requests`, each of `demand` [K], one after the other where the fullest resource is then least full.

    `share`, `load` [H, K] and `seats` [H] as `kernels.level` has them; all but `share` are changed in place.
    """
    step = demand * share
    if len(requests) <= _ONE_BY_ONE:
        for i in requests.tolist():
            full = (load + step).max(axis=1)
            full[seats <= 0] = _UNLIMITED
            best = int(full.argmin())
            load[best] += step[best]
            seats[best] -= 1
            host_of[i] = best
        return
    taken = _poured(step, load, seats, len(requests))
    load += taken[:, None] * step
    seats -= taken
    host_of[requests] = np.repeat(np.arange(len(load)), taken)


def _poured(step: Int64, load: Int64, seats: Int64, count: int) -> Int64:
    """[H] how many of `count` requests each host has when each in turn went to the least full.

    One host's fullness only grows with each that it takes, so those that go first are those with the
    least fullness after them, and among equals those of the first host.
    """
    low, high = int((load + step).max(axis=1).min()) - 1, 0
    few, enough = 0, 0
    reach = max(1, int(step.max()))
    while enough < count:
        high = low + reach
        enough, reach = int(_below(step, load, seats, high, count).sum()), reach * 4
    halve = False
    while high - low > 1:
        part = (high - low) // 2 if halve else (high - low) * (count - few) // (enough - few)
        middle = min(max(low + part, low + 1), high - 1)
        taken = int(_below(step, load, seats, middle, count).sum())
        if taken < count:
            low, few = middle, taken
        else:
            high, enough = middle, taken
        halve = not halve  # Looking where a straight line points is mostly quicker, and sometimes endless.
    sure = _below(step, load, seats, low, count)
    last = _below(step, load, seats, high, count) - sure
    before = np.cumsum(last) - last
    poured: Int64 = sure + np.clip(count - sure.sum() - before, 0, last)
    return poured


def _below(step: Int64, load: Int64, seats: Int64, full: int, count: int) -> Int64:
    """[H] how many requests each host can take before a resource is fuller than `full`; `count` at most."""
    taken = np.clip(seats, 0, count)
    for k in range(step.shape[1]):
        each, left = step[:, k], full - load[:, k]
        if each.all():
            np.minimum(taken, left // each, out=taken)
        else:
            taken[left < 0] = 0
            some = each > 0
            taken[some] = np.minimum(taken[some], left[some] // each[some])
    return np.maximum(taken, 0)
