"""What the kernel chooses beside the provider, by the names of the constraints that ask for it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.budget import Budget
from placement.constraints.datastores import Datastore, Datastores, Disk
from placement.constraints.devices import Ask, Devices
from placement.constraints.ha_reserve import HaReserve
from placement.large.incumbent import Incumbent
from placement.large.rebuild import Rebuilding
from placement.online import Online
from placement.plan import Limits
from placement.problem import PlacementProblem
from placement.providers import Hosts
from placement.solve import posted, solve
from placement.verify import breaches, broken
from tierwise.testing.constraints.scenes import two_hosts
from tierwise.testing.kernel import MAKE, SAID, Said, Says, a_problem, same, with_primitives

SOME = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)
STORES = Datastores(
    datastores={
        "big": Datastore(free_gib=50, free_iops=9, tier="silver", reached_by=("h0", "h1")),
        "fast": Datastore(free_gib=5, free_iops=9, tier="gold", reached_by=("h1",)),
    },
    requests={"r0": Disk(disk_gib=4, tiers=("gold",)), "r1": Disk(disk_gib=4)},
)
CARDS = Devices(
    hosts={"h0": {"a100": 1, "t4": 2}, "h1": {"t4": 1}},
    requests={"r0": Ask(models=("t4",)), "r2": Ask(models=("a100", "t4"))},
)


def running(seed: int, hosts: int, requests: int) -> PlacementProblem:
    """Hosts of one pool of which any may fail, and machines of many sizes for half of their room."""
    chance = np.random.default_rng(seed)
    free = chance.integers(40, 60, (hosts, 2))
    each = free.sum() // (4 * requests)
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(requests)),
        demand=chance.integers(1, 2 * each, (requests, 2)),
        pool_ids=("a",),
        tier_of=("tier-1",),
        free=free.sum(axis=0)[None],
        largest=np.full((1, 2), 99),
        cost_micros=np.ones((requests, 1), dtype=np.int64),
        hosts=Hosts(
            tuple(f"h{v}" for v in range(hosts)), np.zeros(hosts, dtype=np.int64), free, free.copy()
        ),
        constraints=(HaReserve(pools={"a": 1}),),
    )


def short_of(problem: PlacementProblem, where: list[int], restarts: list[int]) -> list[str]:
    """In plain Python: machines that restart nowhere or on their own host, and hosts with too little for those that come."""
    free, demand, wrong = problem.providers.free.tolist(), problem.demand.tolist(), []
    for lost in range(len(free)):
        on = [to if v == lost else v for v, to in zip(where, restarts, strict=True)]
        wrong += [f"r{i} on {lost}" for i, v in enumerate(on) if where[i] == lost and v in {-1, lost}]
        for v, has in enumerate(free):
            used = [sum(n[k] for n, at in zip(demand, on, strict=True) if at == v) for k in range(2)]
            if v != lost and any(n > m for n, m in zip(used, has, strict=True)):
                wrong.append(f"{v} without {lost}: {used} of {has}")
    return wrong


def test_devices_and_datastores_are_chosen_together_each_by_its_own_name() -> None:
    problem = two_hosts((1, 1), (1, 1), (1, 1))
    online = Online(replace(problem, constraints=(STORES, CARDS)))
    # Of r0, gold is on h1 alone, whose only t4 it takes; so the card of r2 is on h0, whatever model.
    assert online.decide(0) == 1
    assert online.mask(2).tolist() == [True, False]
    online.decide(2)
    online.place(1, 0)
    names = {
        c.kind: [c.choice_name(problem, n) if n >= 0 else None for n in online.choices[c.kind].tolist()]
        for c in (STORES, CARDS)
    }
    assert names["datastores"] == ["fast", "big", None]
    assert names["devices"][:2] == ["t4", None]
    assert names["devices"][2] in {"a100", "t4"}
    assert broken(online.problem, online.seats) == ()


def test_a_name_is_told_once_and_a_provider_reaches_no_two_stores_of_one_choice() -> None:
    problem = a_problem(np.random.default_rng(0))
    one = MAKE["storage"](problem, np.random.default_rng(1), np.zeros(10, dtype=np.int64))
    both = {**one, "reach": np.ones_like(one["reach"]), "choice_of": np.array([0, 1, 1])}
    for calls, message in ([one, one], "once what its datastores are"), ([both], "two stores"):
        SAID[-2] = Said(np.zeros(10, dtype=np.int64), [("storage", call) for call in calls])
        with pytest.raises(AssertionError, match=message):
            Online(replace(problem, constraints=(Says(number=-2),)))


@SOME
@given(seeds)
def test_who_is_put_back_by_their_choices_has_all_that_was_chosen(seed: int) -> None:
    chance = np.random.default_rng(seed)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    online, again = Online(problem), Online(problem)
    online.decide_many(chance.permutation(10))
    for i in np.flatnonzero(online.provider_of >= 0).tolist():
        again.put_back(i, int(online.provider_of[i]), online.choices)
    for name, chosen in online.choices.items():
        assert again.choices[name].tolist() == chosen.tolist(), name
    if "ha_reserve" in online.choices:  # Where two hosts fail at once, restarts are planned anew.
        assert same(online, again)


@SOME
@given(seeds)
def test_the_restarts_that_are_told_fit_whichever_host_fails(seed: int) -> None:
    problem = running(seed, 5, 12)
    online = Online(problem)
    online.decide_many(range(12))
    placed = online.provider_of >= 0
    told = online.choices["ha_reserve"]
    assert ((told >= 0) == placed).all()
    assert short_of(problem, online.provider_of.tolist(), told.tolist()) == []


def test_a_plan_with_its_restarts_is_taken_without_asking_a_solver_where_they_are() -> None:
    problem = running(1, 8, 40)
    (reserve,) = problem.constraints
    assert reserve.choice_count(problem) == 8
    budget = Budget.of(Limits(deterministic_time=1))
    plan, online = Incumbent(posted(problem), budget, None), Online(problem)
    online.decide_many(range(40))
    left = budget.deterministic_time
    assert plan.offer(online.seats, "in order")
    assert budget.deterministic_time == left
    assert (plan.seats().provider_of >= 0).sum() == (online.provider_of >= 0).sum()


def test_rebuilt_plans_keep_their_restarts() -> None:
    problem = replace(running(2, 6, 30), objective=({"price": 1, "moves": 5},), current=np.arange(30) % 6)
    online = Online(problem)
    online.decide_many(range(30))
    run = Rebuilding(problem, online.seats, Budget.of(Limits(deterministic_time=1)), 3)
    assert run.choices["ha_reserve"].tolist() == online.choices["ha_reserve"].tolist()
    run.run(0.05)
    best = run.best_seats
    assert short_of(problem, best.provider_of.tolist(), best.choices["ha_reserve"].tolist()) == []
    fresh = Online(problem)
    for i in np.flatnonzero(run.provider_of >= 0).tolist():
        fresh.put_back(i, int(run.provider_of[i]), run.choices)
    assert same(run, fresh)


def test_the_search_way_fills_a_reserved_pool_as_the_kernel_does_at_least() -> None:
    problem = running(3, 8, 60)
    online = Online(problem)
    online.decide_many(range(60))
    plan = solve(problem, Limits(deterministic_time=1), way="search")
    assert breaches(problem, plan) == ()
    assert sum(a.host is not None for a in plan.assignments) >= (online.provider_of >= 0).sum()
