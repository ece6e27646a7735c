"""What every constraint promises: good plans, and `blocked` and `admit` that say the same as `check` and `cost`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.periods import Periods
from placement.placed import placed
from placement.plan import PlanStatus
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from placement.verify import breaches, seats_of
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan
from tierwise.testing.recorded_kernel import Recorded
from tierwise.testing.some import some

Sample = Callable[[PlacementProblem, np.random.Generator], Constraint]


def problem_with(
    sample: Sample, seed: int, *, hosts: bool = True, running: bool = False, times: bool = False
) -> PlacementProblem:
    """A small problem with a group ``web`` and one constraint.

    Where `running`, some requests run somewhere today; with `times`, not all are there at the same time.
    """
    problem = small_problem(seed, hosts=hosts)
    chance = np.random.default_rng([seed, 3])
    where = chance.integers(-1, len(problem.providers.ids), len(problem.request_ids))
    first = chance.integers(0, 2, len(problem.request_ids))
    end = first + chance.integers(1, 3 - first)
    none = np.zeros((2, *problem.providers.free.shape), dtype=np.int64)
    problem = replace(
        problem,
        groups={"web": some(chance, problem.request_ids)},
        current=where if running else None,
        periods=Periods(("in May", "in June"), first, end, none) if times else None,
    )
    return replace(problem, constraints=(sample(problem, chance),))


def keeps_promises(
    sample: Sample,
    seed: int,
    *,
    priced_online: Callable[[Constraint], bool] = lambda _: True,
    times: bool = False,
) -> None:
    """The exact way finds what trying all plans finds; `blocked` and `admit` say what `check` and `cost` say.

    `priced_online`: whether the kernel has words for what the constraint costs.
    """
    problem = problem_with(sample, seed, hosts=seed % 4 != 0, running=seed % 3 == 0, times=times)
    (constraint,) = problem.constraints
    assert type(constraint).model_validate(constraint.model_dump()) == constraint
    plan = solve(problem, way="exact")
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()
    assert value_of_plan(problem, plan) == best_by_trying(problem)
    assert list(blocked_disagrees(problem, constraint, seats_of(problem, plan))) == []
    assert list(blocked_disagrees_somewhere(problem, constraint, seed)) == []
    assert list(admit_disagrees(problem, constraint, seed, priced=priced_online(constraint))) == []


def blocked_disagrees(problem: PlacementProblem, constraint: Constraint, seats: Seats) -> Iterator[str]:
    """Every seat of every request of which `blocked` says other than `check` does of the plan with it there.

    And every blocked one without a reason, or with a reason for another pool.
    """
    after = placed(problem, seats.provider_of, seats.choices)
    for i in range(len(problem.request_ids)):
        blocked = constraint.blocked(after, i)
        for v in range(len(problem.providers.ids)):
            moved = seats.provider_of.copy()
            moved[i] = v
            breaks = list(constraint.check(problem, Seats(moved, seats.choices)))
            said = blocked is not None and bool(blocked[v])
            if said != bool(breaks):
                yield f"r{i} on {problem.providers.ids[v]}: blocked {said}, but {breaks}"
            pool = problem.pool_ids[int(problem.providers.pool_of[v])]
            if said and {why.pool for why in constraint.why(after, i, v)} != {pool}:
                yield f"r{i} on {problem.providers.ids[v]}: blocked, and no reason for {pool}"


def blocked_disagrees_somewhere(
    problem: PlacementProblem, constraint: Constraint, seed: int, plans: int = 30
) -> Iterator[str]:
    """The same of those of many plans by chance that keep the constraint, whatever else they break."""
    chance = np.random.default_rng(seed)
    for _ in range(plans):
        seats = Seats(chance.integers(-1, len(problem.providers.ids), len(problem.request_ids)))
        if not list(constraint.check(problem, seats)):
            yield from blocked_disagrees(problem, constraint, seats)


def admit_disagrees(
    problem: PlacementProblem, constraint: Constraint, seed: int, *, priced: bool = True, plans: int = 30
) -> Iterator[str]:
    """Plans by chance, good and bad, that `admit` judges or prices other than `check` and `cost` do."""
    kernel = Recorded(problem)
    constraint.admit(cast("Kernel", kernel))  # It has the primitives that such constraints use.
    chance = np.random.default_rng(seed)
    for _ in range(plans):
        seats = Seats(chance.integers(-1, len(problem.providers.ids), len(problem.request_ids)))
        breaks = list(constraint.check(problem, seats))
        if kernel.holds(seats) == bool(breaks):
            yield f"{seats.provider_of.tolist()}: the kernel keeps it: {kernel.holds(seats)}, but {breaks}"
        cost = {term: n for term, n in constraint.cost(problem, seats).items() if n}
        if priced and not breaks and kernel.cost(seats) != cost:
            yield f"{seats.provider_of.tolist()}: costs {kernel.cost(seats)} by the kernel, not {cost}"
