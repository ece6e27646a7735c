"""Machines that have no place: which, and what stands against each pool, in the planner's words."""

from collections.abc import Iterator

import numpy as np

from placement.planning.plan import Impossible, PlanningPlan
from tierwise.planner.build import Built
from tierwise.planner.grouping import RESOURCES, MachineGroups
from tierwise.planner.moving import stranded_names
from tierwise.planner.result import Stranded


def stranded(built: Built, groups: MachineGroups, plan: PlanningPlan) -> tuple[Stranded, ...]:
    """Every group with machines that have no place, in the groups' order."""
    told = {one.group: one for one in plan.impossible}
    found = []
    for g in np.flatnonzero(plan.unplaced).tolist():
        one = told.get(built.problem.groups.ids[g])
        found.append(
            Stranded(
                group=built.problem.groups.ids[g],
                machines=int(plan.unplaced[g]),
                names=stranded_names(built, groups, plan.counts, plan.unplaced, g),
                reasons=tuple(_told(one)) if one else tuple(_reasons(built, g)),
                conflict=one.conflict if one else (),
            )
        )
    return tuple(found)


def _told(one: Impossible) -> Iterator[str]:
    for reason in one.reasons:
        yield f"{reason.pool}: {reason.why}; {reason.remedy}"


def _reasons(built: Built, g: int) -> Iterator[str]:
    """Rules, machines larger than every host, and otherwise room."""
    problem = built.problem
    for p, pool in enumerate(problem.pools.ids):
        against = built.admission.rejections.get((g, p), ())
        if against:
            yield from (f"{pool}: {one.why}; {one.remedy}" for one in against)
            continue
        blocks = [b for b in np.flatnonzero(problem.blocks.pool_of == p).tolist() if problem.blocks.most[b]]
        if not blocks:
            yield f"{pool}: it has no hosts; offer some under the pool's hosts"
            continue
        too_large = [
            f"{int(problem.groups.demand[g, k]):,} {name}, of which a host gives {int(problem.blocks.largest[blocks, k].max()):,}"
            for k, name in enumerate(RESOURCES)
            if (problem.groups.demand[g, k] > problem.blocks.largest[blocks, k]).all()
        ]
        if too_large:
            yield f"{pool}: a machine needs {' and '.join(too_large)}; offer larger hosts"
        else:
            yield f"{pool}: it has no room left, with all hosts that there could be; offer more of them"
