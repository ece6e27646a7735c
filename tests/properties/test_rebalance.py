"""Rebalancing against every assignment there is, and costs by steps against costs from their definitions."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.rebalance.bound import lower_bound
from placement.rebalance.chain import Chain, Manner
from placement.rebalance.check import breaches, terms
from placement.rebalance.neighbourhood import Part, choose, improve
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.solve import Effort, rebalance
from placement.rebalance.tables import state_of, tables_of
from tests.rebalance_instances import Size, every, instance, plain_cost

SEEDS = st.integers(0, 10_000)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, 3))
def test_cost_and_rules_are_those_of_plain_loops_for_every_assignment(seed: int, balances: int) -> None:
    problem = instance(seed, Size(processes=5, balances=min(1, balances)))
    for machine in every(problem):
        plain = plain_cost(problem, machine.tolist())
        assert (not breaches(problem, machine)) == (plain is not None)
        if plain is not None:
            assert sum(terms(problem, machine).values()) == plain


@settings(max_examples=12, deadline=None, derandomize=True)  # It is a search: what it finds is no promise.
@given(SEEDS, st.sampled_from([110, 130, 180]))
def test_no_assignment_of_all_is_below_the_bound_or_cheaper_where_nothing_depends_on_another(
    seed: int, tight: int
) -> None:
    made = instance(seed, Size(processes=6, dependencies=seed % 3, tight_percent=tight))
    problem = dataclasses.replace(made, weights=np.array([1, 0, 3]))
    costs = [plain_cost(problem, machine.tolist()) for machine in every(problem)]
    least = min(cost for cost in costs if cost is not None)
    found = rebalance(problem, Effort(seed, moves=400_000))
    assert plain_cost(problem, found.machine.tolist()) == found.objective
    assert found.bound <= least <= found.objective
    assert found.objective == least or len(problem.dependency)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 3.0, 30.0]), st.sampled_from([105, 150]))
def test_cost_by_steps_is_cost_from_definitions_and_no_step_breaks_a_rule(
    seed: int, temperature: float, tight: int
) -> None:
    problem = instance(seed, Size(60, 7, 4, 20, 12, 2, tight))
    tables = tables_of(problem, seed)
    chain = Chain(tables, problem.initial, seed, Manner(stay=1.0, passing=0.2, replacing=0.4))
    for _ in range(4):
        chain.block(temperature, 2000)
        machine = chain.state.machine
        assert breaches(problem, machine) == ()
        assert sum(terms(problem, machine).values()) == chain.objective
        again = state_of(tables, machine, seed)
        _same(chain.state._asdict(), again._asdict())


def _same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """All that is counted along the way is as if counted afresh; lists may be in another order."""
    for name in set(one) - {"member", "place", "away", "away_at", "totals", "so_often"}:
        assert np.array_equal(one[name], other[name]), name
    assert one["totals"][1:].tolist() == other["totals"][1:].tolist()
    away = int(one["totals"][3])
    assert sorted(one["away"][:away].tolist()) == sorted(other["away"][:away].tolist())
    for m, count in enumerate(one["members"].tolist()):
        assert sorted(one["member"][m, :count].tolist()) == sorted(other["member"][m, :count].tolist())


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_a_part_solved_exactly_keeps_every_rule_and_is_the_best_of_all_where_it_is_the_whole(
    seed: int,
) -> None:
    problem = dataclasses.replace(instance(seed, Size(processes=6)), weights=np.array([1, 0, 3]))
    tables = tables_of(problem, seed)
    state = state_of(tables, problem.initial, seed)
    everything = Part(np.arange(problem.machines), np.arange(problem.processes), seed)
    answer = improve(problem, tables, state, everything, 10.0)
    assert answer is not None
    assert breaches(problem, answer[0]) == ()
    bound = {s for pair in problem.dependency.tolist() for s in pair}
    costs = [
        plain_cost(problem, machine.tolist())
        for machine in every(problem)
        if all(  # What a part leaves as it is: neighbourhoods of services that others depend on.
            int(problem.service[p]) not in bound
            or problem.neighbourhood[machine[p]] == problem.neighbourhood[problem.initial[p]]
            for p in range(problem.processes)
        )
    ]
    assert plain_cost(problem, answer[0].tolist()) == min(cost for cost in costs if cost is not None)


def test_parts_share_no_machine_and_hold_only_processes_of_theirs() -> None:
    problem = instance(3, Size(200, 12, 3, 60, 5, 1))
    state = state_of(tables_of(problem, 0), problem.initial, 0)
    for seed in range(20):
        parts = choose(problem, problem.initial, state, seed, 2)
        machines = np.concatenate([part.machines for part in parts])
        assert len(set(machines.tolist())) == len(machines)
        for part in parts:
            assert np.isin(problem.initial[part.processes], part.machines).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_moves_give_the_same_answer_in_threads_and_one_after_another(seed: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    problem = instance(seed, Size(80, 8, 3, 30, 10, 1))
    one = rebalance(problem, Effort(seed, moves=200_000))
    with ThreadPoolExecutor(2) as threads:
        other = rebalance(problem, Effort(seed, moves=200_000, run=threads.map))
    assert one.machine.tolist() == other.machine.tolist()
    assert one.objective < one.initial
    assert one.tried == other.tried


def test_chains_that_go_on_in_turn_share_a_time_limit() -> None:
    ticks = itertools.count()
    problem = instance(1, Size(80, 8, 3, 30, 10, 1))
    found = rebalance(problem, Effort(1, time_limit_s=400.0, clock=lambda: float(next(ticks))))
    assert min(found.tried) > 0.3 * sum(found.tried)


def test_nothing_to_move_is_no_error() -> None:
    empty = instance(0, Size(processes=0, dependencies=0))
    assert rebalance(empty, Effort(moves=10)).moved == 0
    alone = instance(0, Size(processes=1, machines=1, services=1, dependencies=0))
    assert rebalance(alone, Effort(moves=10)).machine.tolist() == [0]


def test_no_answer_is_below_the_bound() -> None:
    problem = instance(5, Size(40, 4, 2, 40, 0, 0, 300))
    assert lower_bound(problem) <= rebalance(problem, Effort(moves=100_000)).objective


@pytest.mark.parametrize("seed", [1, 2])
def test_where_load_can_be_even_it_is_and_hardly_more_move_than_must(seed: int) -> None:
    """No fewer than the largest of the full machine come to what it has too much."""
    size, initial = (
        np.random.default_rng(seed).integers(1, 21, 3000),
        np.repeat(np.arange(6), [1750] + [250] * 5),
    )
    fair = int(size.sum()) // 6 + 3
    largest = np.sort(size[initial == 0])[::-1]
    least = int(np.searchsorted(np.cumsum(largest), size[initial == 0].sum() - fair) + 1)
    found = rebalance(roomy(size[:, None], initial, safety=fair), Effort(seed, moves=2_000_000))
    assert (found.bound, found.terms["load"]) == (0, 0)
    assert least <= found.moved <= 1.015 * least
    assert found.objective == 100 * found.moved


def roomy(requirement: Any, initial: Any, *, safety: int) -> Reassignment:
    """Machines with room for all, where load above `safety` counts 1,000, a move 100, and nothing else counts."""
    machines, resources = int(initial.max()) + 1, requirement.shape[1]
    total = np.broadcast_to(requirement.sum(axis=0), (machines, resources)).copy()
    return Reassignment(
        transient=np.zeros(resources, dtype=np.bool_),
        load_weight=np.full(resources, 1000),
        neighbourhood=np.zeros(machines, dtype=np.int64),
        location=np.zeros(machines, dtype=np.int64),
        capacity=total,
        safety=np.full((machines, resources), safety),
        machine_move_cost=np.zeros((machines, machines), dtype=np.int64),
        spread=np.zeros(len(initial), dtype=np.int64),
        dependency=np.empty((0, 2), dtype=np.int64),
        service=np.arange(len(initial)),
        requirement=requirement,
        process_move_cost=np.ones(len(initial), dtype=np.int64),
        balance=np.empty((0, 4), dtype=np.int64),
        weights=np.array([100, 0, 0]),
        initial=initial,
    )
