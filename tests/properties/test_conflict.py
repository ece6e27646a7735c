"""A conflict is one, and each of its facts is needed: tried fact by fact on changed problems, by brute force."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.conflict import Conflict, Fact, conflict
from placement.problem import PlacementProblem
from placement.solve import solve
from policies.decisions import Rejection
from tierwise.testing.placement import best_by_trying, small_problem

OFTEN = settings(max_examples=30, deadline=None)
ROOMY = 10**6


def refused(problem: PlacementProblem, seed: int) -> PlacementProblem:
    """The problem with some pairs refused by one of two policies, or by both."""
    chance = np.random.default_rng([seed, 3])
    rejections = {}
    for i in range(len(problem.request_ids)):
        for p, pool in enumerate(problem.pool_ids):
            rules = [rule for rule in ("residency", "tier-floor") if chance.random() < 0.3]
            if rules:
                rejections[i, p] = tuple(rejection(rule, pool) for rule in rules)
    return replace(problem, rejections=rejections)


def rejection(rule: str, pool: str) -> Rejection:
    return Rejection(
        rule_id=rule, pool=pool, dimension="x", limit="y", need="z", why="not there", remedy="elsewhere"
    )


def without(problem: PlacementProblem, fact: Fact) -> PlacementProblem:
    """The problem in which one fact that is not about requests is otherwise."""
    if fact.kind == "policy":
        left = {
            pair: tuple(r for r in why if r.rule_id != fact.subject)
            for pair, why in problem.rejections.items()
        }
        return replace(problem, rejections=left)
    assert problem.hosts is not None
    largest = problem.hosts.largest.copy()
    free, of_pool = problem.hosts.free.copy(), problem.free.copy()
    if fact.kind == "largest":
        largest[:] = ROOMY
        return replace(
            problem,
            largest=np.full_like(problem.largest, ROOMY),
            hosts=replace(problem.hosts, largest=largest),
        )
    pool, _, resource_class = fact.subject.partition(".")
    k, p = problem.resource_classes.index(resource_class), problem.pool_ids.index(pool)
    free[problem.hosts.pool_of == p, k] = ROOMY
    of_pool[p, k] = ROOMY
    return replace(problem, free=of_pool, hosts=replace(problem.hosts, free=free))


def only(problem: PlacementProblem, keep: list[int]) -> PlacementProblem:
    """The problem with these requests alone."""
    position = {i: n for n, i in enumerate(keep)}
    return replace(
        problem,
        request_ids=tuple(problem.request_ids[i] for i in keep),
        demand=problem.demand[keep],
        cost_micros=problem.cost_micros[keep],
        rejections={(position[i], p): why for (i, p), why in problem.rejections.items() if i in position},
    )


def just(problem: PlacementProblem, found: Conflict) -> PlacementProblem:
    """The problem in which all facts that are not of the conflict are otherwise."""
    every = [("policy", rule) for rule in ("residency", "tier-floor")] + [("largest", "largest")]
    every += [("room", f"{pool}.{k}") for pool in problem.pool_ids for k in problem.resource_classes]
    for kind, subject in set(every) - {(fact.kind, fact.subject) for fact in found.facts}:
        problem = without(problem, Fact(kind=kind, subject=subject, words=""))
    return problem


def possible(problem: PlacementProblem) -> bool:
    best = best_by_trying(problem)
    return best is not None and best[0] == 0


def requests_of(problem: PlacementProblem, found: Conflict) -> list[int]:
    """The requests that the facts are about, as many of a kind as the words say."""
    classes: dict[str, list[int]] = {}
    for i, name in enumerate(problem.request_ids):
        same = next(
            (
                one
                for one in classes
                if (problem.demand[i] == problem.demand[classes[one][0]]).all()
                and (problem.cost_micros[i] == problem.cost_micros[classes[one][0]]).all()
                and policies(problem, i) == policies(problem, classes[one][0])
            ),
            name,
        )
        classes.setdefault(same, []).append(i)
    keep = []
    for fact in found.facts:
        if fact.kind == "requests":
            words = fact.words.removeprefix("all ")
            count = int(words.split()[0]) if " requests like " in words else 1
            keep += classes[fact.subject][:count]
    return sorted(keep)


def policies(problem: PlacementProblem, i: int) -> list[list[str]]:
    pools = range(len(problem.pool_ids))
    return [[r.rule_id for r in problem.rejections.get((i, p), ())] for p in pools]


@OFTEN
@given(st.integers(0, 2**32 - 1))
def test_a_conflict_is_found_just_where_not_all_can_be_placed_and_every_fact_is_needed(seed: int) -> None:
    problem = refused(small_problem(seed), seed)
    found = conflict(problem)
    assert (found is None) == possible(problem)
    if found is None:
        return
    assert found.minimal
    keep = requests_of(problem, found)
    left = just(problem, found)
    core = only(left, keep)
    assert not possible(core)
    for fact in found.facts:
        if fact.kind != "requests":
            assert possible(without(core, fact)), fact
    for i in keep:
        assert possible(only(left, [other for other in keep if other != i])), i


@OFTEN
@given(st.integers(0, 2**32 - 1))
def test_the_change_that_would_help_gives_the_request_its_place_at_that_price(seed: int) -> None:
    problem = refused(small_problem(seed), seed)
    plan = solve(problem)
    for i, assignment in enumerate(plan.assignments):
        help_ = assignment.would_help
        assert (help_ is None) or assignment.pool is None
        if help_ is None:
            continue
        assert help_.cost_micros == problem.cost_micros[i, problem.pool_ids.index(help_.pool)]
        kind = {"largest-host": "largest", "capacity": "room"}.get(help_.change.rule_id, "policy")
        subject = f"{help_.pool}.{help_.change.dimension}" if kind == "room" else help_.change.rule_id
        changed = without(problem, Fact(kind=kind, subject=subject, words=""))
        better = solve(changed)
        assert len(better.unplaced) < len(plan.unplaced)
