"""Machines that have no place: which, and what stands against each pool, in the planner's words."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from placement.planning.plan import Impossible, PlanningPlan
from tierwise.planner.build import Built
from tierwise.planner.grouping import RESOURCES, MachineGroups
from tierwise.planner.moving import stranded_names
from tierwise.planner.result import Against, Stranded


def stranded(built: Built, groups: MachineGroups, plan: PlanningPlan) -> tuple[Stranded, ...]:
    """Every group with machines that have no place, in the groups' order."""
    pools = built.problem.pools.ids
    told = {one.group: one for one in plan.impossible}
    found = []
    for g in np.flatnonzero(plan.unplaced).tolist():
        one = told.get(built.problem.groups.ids[g])
        reasons = tuple(_told(one)) if one else tuple(_reasons(built, g))
        found.append(
            Stranded(
                group=built.problem.groups.ids[g],
                machines=int(plan.unplaced[g]),
                names=stranded_names(built, groups, plan.counts, plan.unplaced, g),
                reasons=reasons,
                would_help=one.would_help if one else "",
                conflict=conflict(
                    reasons, {name for p, name in enumerate(pools) if not built.admission.allowed[g, p]}
                ),
            )
        )
    return tuple(found)


def conflict(reasons: Sequence[Against], ruled_out: Collection[str]) -> tuple[str, ...]:
    """The least of all that stands against every pool: leaving out any one of these facts opens a pool.

    Rules and changes count once, however many pools they close. Of a pool that they close it is not known whether there
    were room; of the others, what room lacks belongs to the conflict. Facts that close the fewest pools are left out
    first, so that what remains is as general as it can be.
    """
    against: dict[str, set[str]] = {}
    lacking = []
    for one in reasons:
        if one.pool in ruled_out:
            against.setdefault(one.why, set()).add(one.pool)
        else:
            lacking.append(f"{one.pool}: {one.why}")
    kept = dict(sorted(against.items(), key=lambda item: len(item[1])))
    for why in list(kept):
        rest = set().union(*(pools for other, pools in kept.items() if other != why))
        if kept[why] <= rest:
            del kept[why]
    order = [why for why in against if why in kept]
    return (*order, *dict.fromkeys(lacking))


def _told(one: Impossible) -> Iterator[Against]:
    for reason in one.reasons:
        yield Against(pool=reason.pool, why=reason.why, remedy=reason.remedy)


def _reasons(built: Built, g: int) -> Iterator[Against]:
    """Rules, machines larger than every host, and otherwise room."""
    for p, pool in enumerate(built.problem.pools.ids):
        against = built.admission.rejections.get((g, p), ())
        if against:
            yield from (Against(pool=pool, why=one.why, remedy=one.remedy) for one in against)
        else:
            yield _no_room(built, g, p)


def _no_room(built: Built, g: int, p: int) -> Against:
    groups, blocks = built.problem.groups, built.problem.blocks
    pool = built.problem.pools.ids[p]
    inside = [b for b in np.flatnonzero(blocks.pool_of == p).tolist() if blocks.most[b]]
    if not inside:
        return Against(pool=pool, why="it has no hosts", remedy="offer some under the pool's hosts")
    too_large = [
        f"{int(groups.demand[g, k]):,} {name}, of which a host gives {int(blocks.largest[inside, k].max()):,}"
        for k, name in enumerate(RESOURCES)
        if (groups.demand[g, k] > blocks.largest[inside, k]).all()
    ]
    if too_large:
        return Against(
            pool=pool, why=f"a machine needs {' and '.join(too_large)}", remedy="offer larger hosts"
        )
    why = "there is no room left, with all hosts that there could be"
    return Against(pool=pool, why=why, remedy="offer more hosts under the pool's hosts")
