"""Machines of a period of growth by where an earlier one left them, and the period's problem with them there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from placement.arrays import Bool, Int64
from placement.planning.plan import PlanningPlan
from placement.planning.problem import Groups, PlanningProblem
from policies.decisions import Rejection


@dataclass(frozen=True, eq=False)
class Rows:
    """R rows of machines of a group that are in the same place."""

    group: Int64
    """[R] which of the period's groups."""
    count: Int64
    at: Int64
    """[R] the pool that they have a place in; -1: none yet."""
    to: Int64
    """[R] the pool that they come to; -1: any, or they have a place."""

    @classmethod
    def of(cls, groups: Groups, placed: Mapping[str, Int64], wanted: Mapping[str, Int64]) -> "Rows":
        """`placed` has how many of each group [P] are where, and `wanted` how many are to be; groups may lack in both."""
        nowhere = np.zeros(0, dtype=np.int64)
        rows = [
            (g, *row)
            for g, (name, count) in enumerate(zip(groups.ids, groups.count.tolist(), strict=True))
            for row in _split(count, placed.get(name, nowhere), wanted.get(name, nowhere))
        ]
        group, count, at, to = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(group.copy(), count.copy(), at.copy(), to.copy())

    def problem(self, problem: PlanningProblem, moves: Int64 | None) -> PlanningProblem:
        """Whoever has a place is held there, and whoever comes goes where they are wanted.

        With `moves` [R, P], what a machine's move costs, all may be elsewhere.
        """
        held, groups = self.at >= 0, problem.groups
        only = np.where(held, self.at, self.to)
        if not (only >= 0).any():
            return problem
        allowed = groups.allowed[self.group].copy()
        if moves is None:
            allowed[only >= 0] = False
            allowed[np.flatnonzero(only >= 0), only[only >= 0]] = True
            moves = groups.move_cost[self.group].copy() if groups.move_cost is not None else None
            if moves is not None:
                moves[held] = 0
        allowed[np.flatnonzero(held), self.at[held]] = True
        made = Groups(
            ids=tuple(f"{groups.ids[g]} #{n}" for n, g in enumerate(self.group.tolist())),
            count=self.count,
            demand=groups.demand[self.group].copy(),
            current=groups.current[self.group].copy(),
            allowed=allowed,
            rejections=dict(self._reasons(problem, allowed)),
            costs={term: micros[self.group].copy() for term, micros in groups.costs.items()},
            move_cost=moves,
            restart=None if groups.restart is None else groups.restart[self.group].copy(),
        )
        products = tuple(replace(one, groups=one.groups[self.group].copy()) for one in problem.products)
        return replace(problem, groups=made, products=products)

    def moved(self, plan: PlanningPlan) -> int:
        """Machines that had a place, and have another one."""
        held = np.flatnonzero(self.at >= 0)
        return int(plan.counts[held].sum() - plan.counts[held, self.at[held]].sum())

    def put_out(self, plan: PlanningPlan) -> int:
        """Machines that had a place, and have none."""
        held = self.at >= 0
        return int(self.count[held].sum() - plan.counts[held].sum())

    def placed(self, groups: Groups, plan: PlanningPlan) -> dict[str, Int64]:
        """How many of each of the period's groups [P] are where."""
        counts = np.zeros((len(groups.ids), plan.counts.shape[1]), dtype=np.int64)
        np.add.at(counts, self.group, plan.counts)
        return dict(zip(groups.ids, counts, strict=True))

    def _reasons(
        self, problem: PlanningProblem, allowed: Bool
    ) -> Iterator[tuple[tuple[int, int], tuple[Rejection, ...]]]:
        pools = problem.pools.ids
        for n, p in np.argwhere(~allowed).tolist():
            at = int(self.at[n])
            known = problem.groups.rejections.get((int(self.group[n]), p), ())
            yield (
                (n, p),
                known
                or (_stays(pools[at], pools[p]) if at >= 0 else _wanted(pools[int(self.to[n])], pools[p]),),
            )


def _stays(at: str, pool: str) -> Rejection:
    return Rejection(
        rule_id="stays", pool=pool, dimension="pool", limit=at, need=pool,
        why=f"they run on {at} since an earlier period", remedy="move them",
    )  # fmt: skip


def _wanted(to: str, pool: str) -> Rejection:
    return Rejection(
        rule_id="wanted", pool=pool, dimension="pool", limit=to, need=pool,
        why=f"all periods together want them on {to}", remedy="place them elsewhere",
    )  # fmt: skip


def _split(count: int, placed: Int64, wanted: Int64) -> Iterator[tuple[int, int, int]]:
    """So many machines of a group: those that have a place, those that come to one, and the others; count, at, to."""
    left = count
    for p, there in enumerate(placed.tolist()):
        if some := min(left, there):
            yield some, p, -1
            left -= some
    for p, more in enumerate(wanted.tolist()):
        there = int(placed[p]) if p < len(placed) else 0
        if some := min(left, max(0, more - there)):
            yield some, -1, p
            left -= some
    if left:
        yield left, -1, -1
