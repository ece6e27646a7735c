"""What every constraint promises: all that it tells solvers, the online kernel and people is what its `check` and `cost` say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.classes import Classes, spread
from placement.constraint import Constraint
from placement.explain import name_of
from placement.periods import Periods
from placement.placed import placed
from placement.plan import Limits, PlanStatus
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import posted, solve
from placement.solvers import exact
from placement.stages import level_stages
from placement.verify import breaches, seats_of
from tierwise.testing.constraints.chance import some
from tierwise.testing.constraints.recorded import Recorded
from tierwise.testing.placement import best_by_trying, small_problem, value, value_of_plan, ways_to_choose

Sample = Callable[[PlacementProblem, np.random.Generator], Constraint]
"""Makes valid data of a constraint for any small problem."""
Told = Literal["exactly", "no more", "no less"]
"""How what the online kernel is told compares with what is true, where the kernel has no words for all of it."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the problems are like on which a constraint is tried, and what it can tell the online kernel."""

    hosts: bool | None = None
    """Whether there are hosts inside the pools; None: mostly."""
    running: bool | None = None
    """Whether some requests run somewhere today, and priorities differ; None: sometimes."""
    times: bool = False
    """Whether not all are there at the same time, and others come and go."""
    most_requests: int = 5
    """Choices multiply what brute force has to try: three requests are enough with them."""
    objective: Sequence[Mapping[str, int]] | None = None
    """The levels of the objective; None: as problems have them."""
    told_rules: Told = "exactly"
    """``no more``: the kernel misses some breaches. ``no less``: it refuses some plans that keep the constraint."""
    told_costs: Told = "exactly"
    """``no more``: the kernel counts less than is to pay for some plans. ``no less``: more for some."""
    quiet: bool = False
    """Whether `why` says nothing of providers that are not blocked; it need not, since nobody asks."""


_USUAL = Setting()


def keeps_promises(sample: Sample, seed: int, setting: Setting = _USUAL) -> None:
    """Raises AssertionError with the plan, unless all of this is so on a small problem of this seed.

    The value comes back from JSON as it was, and says its fact in words. The exact way finds what trying every
    plan finds. Of plans by chance, good and bad: the model has just those that `check` passes, at the cost that
    `cost` counts; `blocked` tells just the providers where a request would make `check` find something, and `why`
    says why; `admit` keeps and prices what `check` and `cost` do, as far as the `setting` says that it can.
    """
    problem = problem_with(sample, seed, setting)
    (constraint,) = problem.constraints
    _is_a_value(constraint)
    _says_a_fact(constraint, problem)
    best = proven_best(problem)
    if best is not None:
        assert list(blocked_disagrees(problem, constraint, best, quiet=setting.quiet)) == []
    assert list(blocked_disagrees_somewhere(problem, constraint, seed, setting)) == []
    assert list(admit_disagrees(problem, constraint, seed, setting)) == []
    posted_as_counted(problem, seed)


def problem_with(sample: Sample, seed: int, setting: Setting = _USUAL) -> PlacementProblem:
    """A small problem with a group ``web`` and one constraint."""
    chance = np.random.default_rng([seed, 3])
    hosts, running = chance.random(2) < (0.75, 0.4)
    hosts = setting.hosts if setting.hosts is not None else bool(hosts)
    problem = first(small_problem(seed, hosts=hosts), setting.most_requests)
    problem = replace(problem, groups={"web": some(chance, problem.request_ids)})
    if running if setting.running is None else setting.running:
        problem = _with_running(problem, chance)
    if setting.times:
        problem = _with_times(problem, chance)
    if setting.objective is not None:
        problem = replace(problem, objective=tuple(setting.objective))
    return replace(problem, constraints=(sample(problem, chance),))


def first(problem: PlacementProblem, requests: int) -> PlacementProblem:
    """A problem with so many of its requests."""
    return replace(
        problem,
        request_ids=problem.request_ids[:requests],
        demand=problem.demand[:requests],
        cost_micros=problem.cost_micros[:requests],
    )


def _with_running(problem: PlacementProblem, chance: np.random.Generator) -> PlacementProblem:
    r, v = len(problem.request_ids), len(problem.providers.ids)
    return replace(
        problem,
        current=chance.integers(-1, v, r).astype(np.int64),
        priority=chance.integers(0, 3, r).astype(np.int64),
    )


def _with_times(problem: PlacementProblem, chance: np.random.Generator) -> PlacementProblem:
    begin = chance.integers(0, 2, len(problem.request_ids)).astype(np.int64)
    end = (begin + chance.integers(1, 3 - begin)).astype(np.int64)
    taken = chance.integers(0, 3, (2, *problem.providers.free.shape))
    taken = np.minimum(taken, problem.providers.free).astype(np.int64)
    return replace(problem, periods=Periods(("in May", "in June"), begin, end, taken))


def _is_a_value(constraint: Constraint) -> None:
    kind = type(constraint)
    assert kind.model_validate_json(constraint.model_dump_json()) == constraint
    assert kind.model_validate(constraint.model_dump()) == constraint


def _says_a_fact(constraint: Constraint, problem: PlacementProblem) -> None:
    fact = constraint.fact(problem)
    assert fact != Constraint.fact(constraint, problem), f"{name_of(constraint)} has no fact of its own"
    assert fact.strip() == fact, f"'{fact}' is not a sentence"
    assert not fact.endswith("."), f"'{fact}' ends with a full stop"


def proven_best(problem: PlacementProblem) -> Seats | None:
    """The exact way's plan, of which trying all plans finds none better; None where both find that there is none."""
    best = best_by_trying(problem)
    try:
        plan = solve(problem, way="exact")
    except exact.Infeasible:
        assert best is None, f"said to be infeasible, but {best} can be had"
        return None
    assert value_of_plan(problem, plan) == best
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()
    return seats_of(problem, plan)


def blocked_disagrees(
    problem: PlacementProblem, constraint: Constraint, seats: Seats, *, quiet: bool = False
) -> Iterator[str]:
    """Each seat of each request of which `blocked` says other than `check` of every choice that it has there.

    And each blocked one without a reason, or with a reason for another pool; where `quiet`, each other one with a
    reason. The seats break nothing of it.
    """
    after, pool_of = placed(problem, seats.provider_of, seats.choices), problem.providers.pool_of.tolist()
    for i, request in enumerate(problem.request_ids):
        told = constraint.blocked(after, i)
        for v, provider in enumerate(problem.providers.ids):
            blocked = told is not None and bool(told[v])
            moved = _moved(problem, constraint, seats, i, v)
            breaks = [list(constraint.check(problem, one)) for one in moved]
            if blocked != all(breaks):
                yield f"{seats}: {request} on {provider}: blocked {blocked}, but {breaks}"
            pool = problem.pool_ids[pool_of[v]]
            if blocked and {why.pool for why in constraint.why(after, i, v)} != {pool}:
                yield f"{seats}: {request} on {provider}: blocked, and no reason for {pool}"
            if quiet and not blocked and list(constraint.why(after, i, v)):
                yield f"{seats}: {request} on {provider}: a reason, and not blocked"


def _moved(
    problem: PlacementProblem, constraint: Constraint, seats: Seats, request: int, provider: int
) -> Iterator[Seats]:
    """The seats with one request elsewhere, once for each choice that it may have there."""
    provider_of = seats.provider_of.copy()
    provider_of[request] = provider
    count, name = constraint.choice_count(problem), name_of(constraint)
    if not count:
        yield replace(seats, provider_of=provider_of)
    for choice in range(-1, count) if count else ():
        chosen = seats.choices.get(name, np.full(len(provider_of), -1, dtype=np.int64)).copy()
        chosen[request] = choice
        yield Seats(provider_of, {**seats.choices, name: chosen})


def plans_by_chance(
    problem: PlacementProblem, constraint: Constraint, chance: np.random.Generator, plans: int
) -> Iterator[Seats]:
    """Plans with any part of the requests placed, anywhere, with any choices."""
    r, v, count = len(problem.request_ids), len(problem.providers.ids), constraint.choice_count(problem)
    for _ in range(plans):
        provider_of = np.where(chance.random(r) < chance.random(), chance.integers(0, v, r), -1)
        chosen = {name_of(constraint): chance.integers(-1, count, r)} if count else {}
        yield Seats(provider_of.astype(np.int64), chosen)


def blocked_disagrees_somewhere(
    problem: PlacementProblem, constraint: Constraint, seed: int, setting: Setting = _USUAL, plans: int = 20
) -> Iterator[str]:
    """The same after plans by chance that keep the constraint, whatever else they break."""
    chance = np.random.default_rng([seed, 4])
    for seats in plans_by_chance(problem, constraint, chance, plans):
        if not list(constraint.check(problem, seats)):
            yield from blocked_disagrees(problem, constraint, seats, quiet=setting.quiet)


def admit_disagrees(
    problem: PlacementProblem, constraint: Constraint, seed: int, setting: Setting = _USUAL, plans: int = 30
) -> Iterator[str]:
    """Plans by chance, good and bad, that `admit` judges or prices other than `check` and `cost` do."""
    kernel = Recorded(problem)
    constraint.admit(kernel)
    chance = np.random.default_rng([seed, 5])
    for seats in plans_by_chance(problem, constraint, chance, plans):
        breaks = list(constraint.check(problem, seats))
        refused = not kernel.holds(seats)
        if _is_off(int(refused), int(bool(breaks)), setting.told_rules):
            yield f"{seats}: the kernel refuses it: {refused}, but {breaks}"
        told, cost = kernel.cost(seats), constraint.cost(problem, seats)
        if not breaks and any(
            _is_off(told.get(term, 0), cost.get(term, 0), setting.told_costs) for term in {*told, *cost}
        ):
            yield f"{seats}: costs {told} by the kernel, not {cost}"


def _is_off(told: int, true: int, how: Told) -> bool:
    return {"exactly": told != true, "no more": told > true, "no less": told < true}[how]


def posted_as_counted(problem: PlacementProblem, seed: int, plans: int = 3) -> None:
    """Of plans by chance: the model has just those that the checker passes, at the cost that is counted of them.

    Each plan's cells are fixed, so that only what constraints add beyond cells is left for the solver.
    """
    chance = np.random.default_rng([seed, 6])
    (constraint,) = problem.constraints
    for seats in plans_by_chance(problem, constraint, chance, plans):
        _posted_as_counted(problem, seats.provider_of)


def _posted_as_counted(problem: PlacementProblem, provider_of: Int64) -> None:
    model = posted(problem)
    counts = _counts(model.classes, provider_of, model.shape)
    provider_of = spread(problem, model.classes, counts)
    can_be_had = any(True for _ in ways_to_choose(problem, provider_of))
    matrix, cells = model.matrix(), counts.reshape(-1)
    if (cells > matrix.upper[: len(cells)]).any():
        assert not can_be_had, f"the model forbids what the checker passes: {provider_of}"
        return
    fixed = replace(
        matrix,
        lower=np.concatenate([cells, matrix.lower[len(cells) :]]),
        upper=np.concatenate([cells, matrix.upper[len(cells) :]]),
    )
    try:
        answer = exact.solve(fixed, level_stages(model, fixed), Budget.of(Limits()))
    except exact.Infeasible:
        assert not can_be_had, f"the model has no room for what the checker passes: {provider_of}"
        return
    assert can_be_had, f"the model has room for what the checker finds wrong: {provider_of}"
    levels = value(problem, Seats(provider_of))[-len(problem.objective) :]
    assert [(one.value, one.bound) for one in answer.proven] == [(n, n) for n in levels]


def _counts(classes: Classes, provider_of: Int64, shape: tuple[int, int]) -> Int64:
    counts = np.zeros(shape, dtype=np.int64)
    seated = np.flatnonzero(provider_of >= 0)
    np.add.at(counts, (classes.of[seated], provider_of[seated]), 1)
    return counts
