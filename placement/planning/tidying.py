"""A plan in whole numbers made cheaper without moving anything: fewer hosts, smaller parts, cheaper licences."""

from collections.abc import Iterator, Sequence

import numpy as np

from placement.arrays import Bool, Int64
from placement.planning.counted import Chosen, licences_of_order, machines_by_scope
from placement.planning.seating import Decided, Seating


def tidy(seating: Seating) -> None:
    """Give up hosts that nobody needs, then choose for each scope the alternative that makes the least of its order."""
    fewer_hosts(seating)
    for members in seating.facts.problem.orders:
        _license(seating, members)


def fewer_hosts(seating: Seating) -> None:
    """Block after block, the dearest first, as long as everything still holds."""
    facts, decided = seating.facts, seating.decided
    blocks = facts.problem.blocks
    for b in np.argsort(-(facts.kept_cost + facts.bought_cost), kind="stable").tolist():
        while decided.hosts[b] > facts.least[b]:
            fewer = decided.copy()
            fewer.hosts[b] -= 1
            _shrink(seating, fewer)
            if not _holds(seating, fewer, int(blocks.pool_of[b])):
                break
            decided = fewer
            seating.decide(decided, [int(blocks.pool_of[b])])


def chosen(seating: Seating) -> Iterator[Chosen]:
    """What licenses each scope that has any machine."""
    for s, a in enumerate(seating.decided.chosen):
        if a >= 0:
            yield _chosen(seating, s, a, seating.decided.parts[s])


def _holds(seating: Seating, decided: Decided, p: int) -> bool:
    inside = seating.facts.blocks_of[p]
    number = int(decided.hosts[inside].sum())
    if 0 < number < int(seating.facts.least_hosts[p]):
        return False
    return seating.would_hold(decided, p)


def _shrink(seating: Seating, decided: Decided) -> None:
    """No part is larger than what is kept."""
    for s, scope in enumerate(seating.scopes):
        decided.parts[s] = np.minimum(decided.parts[s], decided.hosts[scope.blocks])


def _chosen(seating: Seating, s: int, a: int, part: Int64) -> Chosen:
    scope, problem = seating.scopes[s], seating.facts.problem
    product = problem.products[scope.product]
    hosts = seating.decided.hosts[scope.blocks]
    if product.parts and not product.whole_pool:
        hosts = np.minimum(hosts, part)
    elif product.whole_pool:
        there: Bool = np.any(seating.counts[product.groups], axis=0)
        hosts = hosts * there[problem.blocks.pool_of[scope.blocks]]
    counted = zip(scope.blocks.tolist(), hosts.tolist(), strict=True)
    return Chosen(scope.product, scope.name, a, {b: k for b, k in counted if k})


def _license(seating: Seating, members: Sequence[int]) -> None:
    problem = seating.facts.problem
    machines = {n: machines_by_scope(problem, problem.products[n], seating.counts) for n in members}
    now: dict[int, int] = {}
    for s, scope in enumerate(seating.scopes):
        if scope.product not in machines:
            continue
        if scope.name not in machines[scope.product]:
            seating.decided.chosen[s] = -1
            continue
        product = problem.products[scope.product]
        if product.parts and not product.whole_pool:
            seating.decided.parts[s] = _least_part(seating, s)
        now[s] = seating.decided.chosen[s]

    def cost() -> int:
        some = [_chosen(seating, s, a, seating.decided.parts[s]) for s, a in now.items()]
        found = licences_of_order(problem, machines, some)
        return sum(one.cost_micros for several in found.values() for one in several)

    least = cost()
    for s, kept in list(now.items()):
        for a in range(len(problem.products[seating.scopes[s].product].alternatives)):
            if a != kept:
                before, now[s] = now[s], a
                found = cost()
                least, now[s] = (found, a) if found < least else (least, before)
    for s, a in now.items():
        seating.decided.chosen[s] = a
    seating.decide(seating.decided)


def _least_part(seating: Seating, s: int) -> Int64:
    """Hosts of each block, taken away one by one as long as the others hold the product's machines; all, if too few were said."""
    scope, blocks = seating.scopes[s], seating.facts.problem.blocks
    trial = seating.decided.copy()
    if (
        trial.chosen[s] < 0
        or not seating.facts.problem.products[scope.product].alternatives[trial.chosen[s]].of_hosts
    ):
        ways = seating.facts.problem.products[scope.product].alternatives
        trial.chosen[s] = next((a for a, way in enumerate(ways) if way.of_hosts), trial.chosen[s])
        trial.parts[s] = trial.hosts[scope.blocks].copy()
    for i in np.argsort(-_cores(seating, scope.blocks), kind="stable").tolist():
        while trial.parts[s][i]:
            trial.parts[s][i] -= 1
            p = int(blocks.pool_of[scope.blocks[i]])
            if not seating.would_hold(trial, p):
                trial.parts[s][i] += 1
                break
    return trial.parts[s]


def _cores(seating: Seating, at: Int64) -> Int64:
    blocks = seating.facts.problem.blocks
    if blocks.cores_per_socket is None or blocks.sockets is None:
        return np.ones(len(at), dtype=np.int64)
    found: Int64 = (blocks.sockets * blocks.cores_per_socket)[at]
    return found
