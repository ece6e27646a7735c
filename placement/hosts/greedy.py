"""First fit in several orders; the best of them is what all else begins from."""

from collections.abc import Iterator

import numpy as np

from placement.hosts.kernels import first_fit
from placement.hosts.problem import HostProblem
from placement.problem import Int64


def best(problem: HostProblem) -> Int64:
    """[R] hosts, -1 for none: the fewest without, then the cheapest, of all orders tried."""
    return min(
        (_packed(problem, requests, hosts) for requests in _orders(problem) for hosts in _hosts(problem)),
        key=lambda host_of: ranked(problem, host_of),
    )


def first_fit_decreasing(problem: HostProblem) -> Int64:
    """[R] the plain rule: requests by their largest share of a mean host, hosts by cost per capacity."""
    return _packed(problem, next(_orders(problem)), next(_hosts(problem)))


def ranked(problem: HostProblem, host_of: Int64) -> tuple[int, int]:
    """Lower is better: requests without a host, then the cost of the hosts that are on."""
    on = np.unique(host_of[host_of >= 0])
    return int((host_of < 0).sum()), int(problem.host_cost[on].sum())


def _packed(problem: HostProblem, requests: Int64, hosts: Int64) -> Int64:
    host_of = np.full(len(problem.demand), -1, dtype=np.int64)
    first_fit(problem.demand, requests, problem.capacity.copy(), hosts, host_of)
    return host_of


def _orders(problem: HostProblem) -> Iterator[Int64]:
    """Large first: by the largest share of a mean host, by the sum of shares, and by what is scarce."""
    share = problem.demand / np.maximum(problem.capacity.sum(axis=0) / max(1, len(problem.capacity)), 1.0)
    scarce = share.sum(axis=0, keepdims=True)
    for size in (share.max(axis=1, initial=0.0), share.sum(axis=1), (share * scarce).sum(axis=1)):
        yield np.argsort(-size, kind="stable").astype(np.int64)


def _hosts(problem: HostProblem) -> Iterator[Int64]:
    """Hosts by cost for their capacity, and then the largest first."""
    need = np.maximum(problem.demand.sum(axis=0), 1)
    worth = (problem.capacity / need).sum(axis=1)
    yield np.argsort(problem.host_cost / np.maximum(worth, 1e-12), kind="stable").astype(np.int64)
    yield np.argsort(-worth, kind="stable").astype(np.int64)
