"""Periods of growth that know of each other: which hosts to have when, and what no sequence of plans costs less than."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from placement.arrays import Int64
from placement.plan import Limits
from placement.planning import mip
from placement.planning.horizon import Ahead, apportioned, look_ahead, priced
from placement.planning.plan import PlanningPlan
from placement.planning.problem import PlanningProblem
from placement.planning.solve import solve
from placement.solvers import exact
from tierwise.planner.build import Built
from tierwise.planner.growing_prices import Purchases

_CLOSE = 0.005
"""Share of the cost: a bound that is nearer is not made anew with other prices."""


@dataclass(frozen=True, eq=False)
class Guide:
    """What all periods together say, of each of T."""

    kept: Sequence[Mapping[str, int]]
    """[T] block -> hosts of today that are kept at least."""
    bought: Sequence[Mapping[str, int]]
    """[T] block -> hosts that are bought by then at most."""
    months: Sequence[int]
    """[T]"""
    early: Sequence[Mapping[str, int]] = ()
    """[T] block -> hosts that are bought by then at least, as they get dearer until they run; empty: nobody says."""
    places: Sequence[Mapping[str, Int64]] = ()
    """[T] group -> [P] how many machines are wanted where; empty: nobody says."""

    def held(
        self, t: int, built: Built, problem: PlanningProblem, bought: Mapping[str, int]
    ) -> PlanningProblem:
        """A period's problem with hosts as they are wanted; what a move costs is borne by all periods from it on.

        `bought` are the hosts that earlier periods bought, by block.
        """
        blocks, groups = problem.blocks, problem.groups
        most, least = blocks.most.copy(), np.zeros_like(blocks.most)
        for b, block in enumerate(built.room.blocks):
            if block.paid:
                continue
            existing = int(blocks.existing[b])
            least[b] = min(existing, self.kept[t][block.id])
            wanted = max(0, self.bought[t][block.id] - bought.get(block.id, 0))
            most[b] = min(int(most[b]), existing + wanted)
        move = groups.move_cost
        if move is not None:
            move = move * self.months[t] // sum(self.months[t:])
        return replace(
            problem,
            groups=replace(groups, move_cost=move),
            blocks=replace(blocks, most=most, least=least),
        )


def guided(
    frees: Sequence[Built], months: Sequence[int], out: Sequence[int], limits: Limits, purchases: Purchases
) -> tuple[Guide, Ahead] | None:
    """From periods with all hosts of today, and how many machines each leaves out at most; None where nothing was found."""
    ahead = look_ahead(apportioned([one.problem for one in frees], months), out, limits)
    if ahead is None:
        return None
    names = [block.id for block in frees[0].room.blocks]
    guide = Guide(
        kept=[dict(zip(names, row, strict=True)) for row in ahead.kept.tolist()],
        bought=[dict(zip(names, row, strict=True)) for row in ahead.bought.tolist()],
        months=months,
        early=[dict(zip(names, row, strict=True)) for row in purchases.early(ahead.bought).tolist()],
        places=[
            dict(zip(one.problem.groups.ids, counts, strict=True))
            for one, counts in zip(frees, ahead.counts, strict=bool(ahead.counts))
        ],
    )
    return guide, ahead


def lasting(frees: Sequence[Built], plans: Sequence[PlanningPlan], months: Sequence[int]) -> Guide:
    """All hosts of today kept that any later period's own plan uses, and as many bought as can be.

    `plans` are of periods by themselves, with all hosts of today.
    """
    used = np.array(
        [np.minimum(plan.hosts, one.room.existing) for plan, one in zip(plans, frees, strict=True)]
    )
    kept = np.maximum.accumulate(used[::-1], axis=0)[::-1]
    names = [block.id for block in frees[0].room.blocks]
    return Guide(
        kept=[dict(zip(names, row, strict=True)) for row in kept.tolist()],
        bought=[dict(zip(names, one.room.most.tolist(), strict=True)) for one in frees],
        months=months,
    )


def proven(
    frees: Sequence[Built],
    months: Sequence[int],
    periods: Sequence[tuple[int, int]],
    limits: Limits,
    ahead: Ahead | None,
) -> int | None:
    """No sequence of plans costs less that leaves no more machines out in any period; None where none is proven.

    `periods` are machines left out and micros, of each.
    """
    if ahead is not None and ahead.bound_micros is not None:
        return ahead.bound_micros
    out, cost = [left for left, _ in periods], sum(micros for _, micros in periods)
    problems = apportioned([one.problem for one in frees], months)
    found = _by_period(problems, out, limits)
    if ahead is None or (found is not None and cost - found <= cost * _CLOSE):
        return found
    again = [priced(one, prices) for one, prices in zip(problems, ahead.prices, strict=True)]
    return max((one for one in (found, _by_period(again, out, limits)) if one is not None), default=None)


def _by_period(problems: Sequence[PlanningProblem], out: Sequence[int], limits: Limits) -> int | None:
    plans = [solve(one, limits) for one in problems]
    if any(int(plan.unplaced.sum()) < left for plan, left in zip(plans, out, strict=True)):
        return None  # What they prove is of plans that leave as few machines out.
    return sum(plan.bound_micros for plan in plans)


def possible(problem: PlanningProblem, limits: Limits) -> PlanningPlan | None:
    """A plan; None where the hosts that must be kept allow none, or none was found within the limits."""
    try:
        return solve(problem, limits)
    except (mip.Infeasible, exact.Infeasible, exact.OutOfTime):
        return None


def moves_borne_later(problem: PlanningProblem, whole: Int64 | None, plan: PlanningPlan) -> int:
    """What moves of a plan cost beyond what its problem says; `whole` [G, P] is what one costs."""
    if whole is None or problem.groups.move_cost is None:
        return 0
    return int((plan.counts * (whole - problem.groups.move_cost)).sum())
