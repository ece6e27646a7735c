"""A plan in whole numbers made to hold more machines, or made cheaper by closing pools."""

from collections.abc import Iterator

import numpy as np

from placement.arrays import Int64
from placement.planning.counted import cost_terms, licences_of
from placement.planning.rounding import largest_first, seat
from placement.planning.seating import Decided, Seating
from placement.planning.tidying import chosen, tidy


def paid(seating: Seating) -> int:
    """What it all costs."""
    problem = seating.facts.problem
    licences = licences_of(problem, seating.counts, list(chosen(seating)))
    return sum(cost_terms(problem, seating.counts, seating.decided.hosts, licences).values())


def fewer_pools(seating: Seating, out: int, tries: int) -> Seating:
    """Close one pool after the other, those with the fewest machines first, where that is cheaper."""
    cost = paid(seating)
    order = np.argsort(seating.counts.sum(axis=0), kind="stable").tolist()
    facts = seating.facts
    inside = [facts.blocks_of[p] for p in range(len(order))]
    closable = [
        p for p in order if seating.decided.hosts[inside[p]].any() and not facts.least[inside[p]].any()
    ]
    for p in closable[:tries]:
        trial = _without(seating, p)
        more_hosts(trial, out, closed=p)
        if int(trial.waiting().sum()) > out:
            continue
        tidy(trial)
        found = paid(trial)
        if found < cost:
            seating, cost = trial, found
    return seating


def _without(seating: Seating, p: int) -> Seating:
    """Its machines where there is room."""
    decided, counts = seating.decided.copy(), seating.counts.copy()
    decided.hosts[seating.facts.blocks_of[p]] = 0
    for s, scope in enumerate(seating.scopes):
        decided.parts[s] = np.minimum(decided.parts[s], decided.hosts[scope.blocks])
    counts[:, p] = 0
    trial = Seating(seating.facts, seating.scopes, decided, counts)
    seat(trial, largest_first(trial))
    return trial


def more_hosts(seating: Seating, least_out: int, closed: int = -1) -> None:
    """Hosts more, one at a time where it is cheapest, for those that found no room; none in a pool that is `closed`."""
    order = largest_first(seating)
    while int(seating.waiting().sum()) > least_out:
        waiting = seating.waiting()[order]
        queue = np.stack([order, waiting], axis=1)[waiting > 0]
        found = min(_one_more(seating, queue, closed), key=lambda one: one[0], default=None)
        if found is None:
            return
        _, p, decided, taken = found
        seating.decide(decided, [p])
        for g, n in taken.tolist():
            seating.add(g, p, n)


def _one_more(seating: Seating, queue: Int64, closed: int) -> Iterator[tuple[float, int, Decided, Int64]]:
    """Of each block that could have one host more: what that costs for each machine that comes, and which do."""
    facts = seating.facts
    for b, p in enumerate(facts.problem.blocks.pool_of.tolist()):
        if (
            p == closed
            or seating.decided.hosts[b] >= facts.most[b]
            or not facts.possible[queue[:, 0], p].any()
        ):
            continue
        more = seating.decided.copy()
        missing = int(facts.problem.pools.losses[p] + 1 - more.hosts[facts.blocks_of[p]].sum())
        more.hosts[b] = min(int(more.hosts[b]) + max(1, missing), int(facts.most[b]))
        enough_hosts(seating, more)
        if more.hosts[facts.blocks_of[p]].sum() < facts.least_hosts[p]:
            continue
        license_all(seating, more, p)
        taken = seating.would_take(more, p, queue)
        if taken[:, 1].any():
            added = int((more.hosts - seating.decided.hosts).sum())
            yield (
                float(facts.kept_cost[b] + facts.bought_cost[b] + 1) * added / float(taken[:, 1].sum()),
                p,
                more,
                taken,
            )


def enough_hosts(seating: Seating, decided: Decided) -> None:
    """As many hosts as a pool has at least, where it has any: the cheapest more."""
    facts = seating.facts
    price = facts.kept_cost + facts.bought_cost
    for p, inside in enumerate(facts.blocks_of):
        for b in inside[np.argsort(price[inside], kind="stable")].tolist():
            missing = int(facts.least_hosts[p] - decided.hosts[inside].sum())
            if missing > 0 and decided.hosts[inside].any():
                decided.hosts[b] = min(int(decided.hosts[b]) + missing, int(facts.most[b]))


def license_all(seating: Seating, decided: Decided, p: int) -> None:
    """Where nothing is licensed in a pool, it is now; parts are all hosts. What is too much, tidying takes back."""
    for s, scope in enumerate(seating.scopes):
        if p in scope.pools:
            decided.chosen[s] = max(decided.chosen[s], 0)
            here = np.isin(scope.blocks, seating.facts.blocks_of[p])
            decided.parts[s] = np.where(here, decided.hosts[scope.blocks], decided.parts[s])
