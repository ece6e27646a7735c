"""First fit in several orders; the best of them is what all else begins from."""

from collections.abc import Iterator

import numpy as np

from placement.arrays import Int64
from placement.hosts import runs
from placement.hosts.kinds import Kinds
from placement.hosts.problem import HostProblem

CELLS = 2_000_000
"""Shapes x hosts up to which numpy is done before compiled loops would be loaded."""


def best(problem: HostProblem, kinds: Kinds) -> Int64:
    """[R] hosts, -1 for none: the fewest without, then the cheapest, of all orders tried."""
    orders, hosts = list(_orders(problem, kinds)), list(_hosts(problem))
    return min(
        (_packed(problem, kinds, shapes, one) for shapes in orders for one in hosts),
        key=lambda host_of: ranked(problem, host_of),
    )


def first_fit_decreasing(problem: HostProblem, kinds: Kinds) -> Int64:
    """[R] the plain rule: requests by their largest share of a mean host, hosts by cost per capacity."""
    return _packed(problem, kinds, next(_orders(problem, kinds)), next(_hosts(problem)))


def ranked(problem: HostProblem, host_of: Int64) -> tuple[int, int]:
    """Lower is better: requests without a host, then the cost of the hosts that are on."""
    on = np.unique(host_of[host_of >= 0])
    return int((host_of < 0).sum()), int(problem.host_cost[on].sum())


def _packed(problem: HostProblem, kinds: Kinds, shapes: Int64, hosts: Int64) -> Int64:
    host_of = np.full(len(problem.demand), -1, dtype=np.int64)
    room = problem.capacity[hosts]
    groups = runs.grouped(kinds.shape_of, shapes)
    if kinds.count.size * len(hosts) <= CELLS:
        for shape, requests in groups:
            runs.first_fit(kinds.demand[shape], room, requests, host_of)
    else:
        from placement.hosts.kernels import first_fit  # noqa: PLC0415 - loads numba, which takes a second

        order = np.concatenate([np.empty(0, dtype=np.int64), *(requests for _, requests in groups)])
        first_fit(np.array(problem.demand), order, room, np.arange(len(hosts)), host_of)
    return np.where(host_of >= 0, hosts[host_of], -1) if len(hosts) else host_of


def _orders(problem: HostProblem, kinds: Kinds) -> Iterator[Int64]:
    """Shapes, large first: by the largest share of a mean host, by the sum of shares, by what is scarce."""
    mean = np.maximum(problem.capacity.sum(axis=0) / max(1, len(problem.capacity)), 1.0)
    share = kinds.demand / mean
    scarce = problem.demand.sum(axis=0, keepdims=True) / mean
    for size in (share.max(axis=1, initial=0.0), share.sum(axis=1), (share * scarce).sum(axis=1)):
        yield np.argsort(-size, kind="stable").astype(np.int64)


def _hosts(problem: HostProblem) -> Iterator[Int64]:
    """Hosts by cost for their capacity, and then the largest first."""
    need = np.maximum(problem.demand.sum(axis=0), 1)
    worth = (problem.capacity / need).sum(axis=1)
    yield np.argsort(problem.host_cost / np.maximum(worth, 1e-12), kind="stable").astype(np.int64)
    yield np.argsort(-worth, kind="stable").astype(np.int64)
