"""Rebalancing against every assignment there is, and costs by steps against costs from their definitions."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.rebalance.bound import lower_bound
from placement.rebalance.chain import Chain, Manner
from placement.rebalance.check import breaches, terms
from placement.rebalance.exact import Answer, improve
from placement.rebalance.parts import Part, Sizes, choose, independent
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
def test_no_assignment_of_all_is_cheaper_and_that_is_proven(seed: int, tight: int) -> None:
    made = instance(seed, Size(processes=6, dependencies=seed % 3, tight_percent=tight))
    problem = dataclasses.replace(made, weights=np.array([1, seed % 5, 3]))
    costs = [plain_cost(problem, machine.tolist()) for machine in every(problem)]
    least = min(cost for cost in costs if cost is not None)
    found = rebalance(problem, Effort(seed, moves=400_000))
    assert plain_cost(problem, found.machine.tolist()) == found.objective
    assert found.bound == least == found.objective  # So few are solved all at once.


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


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([105, 120, 150]), st.booleans())
def test_a_part_solved_exactly_is_the_cheapest_of_all_that_keep_every_rule(
    seed: int, tight: int, whole: bool
) -> None:
    chance = np.random.default_rng(seed)
    size = Size(6, 4, 2, 4, seed % 4, seed % 3, tight)
    problem = dataclasses.replace(instance(seed, size), weights=chance.integers(0, 8, 3))
    each = (machine.tolist() for machine in every(problem))
    cost = {tuple(one): c for one in each if (c := plain_cost(problem, one)) is not None}
    now = np.array(list(cost)[int(chance.integers(len(cost)))])
    machines = chance.permutation(4)[: 4 if whole else 3]
    there = np.flatnonzero(np.isin(now, machines))
    processes = there if whole else there[: max(1, len(there) - 1)]
    if not len(there):
        return
    rest = np.setdiff1d(np.arange(6), processes)
    least = min(
        c for m, c in cost.items() if np.array_equal(np.array(m)[rest], now[rest])
        and np.isin(np.array(m)[processes], machines).all()
    )  # fmt: skip
    tables = tables_of(problem, seed)
    answer = improve(
        problem, tables, state_of(tables, now, seed), Part(machines, processes, whole, seed), 60.0, 60.0
    )
    found = now.copy()
    found[processes] = answer.machine
    assert answer.proven
    assert cost[tuple(found.tolist())] == least == answer.bound


def test_parts_share_no_machine_hold_only_processes_of_theirs_and_have_so_many_variables() -> None:
    problem = instance(3, Size(200, 12, 3, 60, 5, 1))
    state = state_of(tables_of(problem, 0), problem.initial, 0)
    for seed in range(20):
        parts = choose(problem, state, seed, 2, {True: 160.0, False: 160.0})
        machines = np.concatenate([part.machines for part in parts])
        assert len(set(machines.tolist())) == len(machines) >= 4
        for part in parts:
            there = np.isin(problem.initial, part.machines)
            assert there[part.processes].all()
            assert len(part.machines) * len(part.processes) <= 160
            if part.whole and len(part.machines) > 2:
                assert len(part.processes) == there.sum()


def test_parts_begin_where_machines_cost_more_than_all_of_them_must() -> None:
    """All use 360, and 240 would be safe. Machine 0 is 20 below its 30, so that the others pay for 140 and not for 120."""
    initial = np.repeat(np.arange(8), [1] + [5] * 7)
    problem = roomy(np.full((36, 1), 10), initial, safety=30)
    state = state_of(tables_of(problem, 0), initial, 0)
    sizes = Sizes().variables
    first = [choose(problem, state, seed, 1, sizes)[0].machines[0] for seed in range(200)]
    assert first.count(0) > 80  # By chance it is 25, and by what machines pay 13.


def test_where_few_machines_are_left_parts_share_some() -> None:
    problem = instance(3, Size(200, 5, 3, 60, 5, 1))
    state = state_of(tables_of(problem, 0), problem.initial, 0)
    parts = choose(problem, state, 1, 6, {True: 100.0, False: 100.0})
    assert len(parts) == 6
    assert all(len(part.machines) > 1 for part in parts)


def test_parts_grow_while_they_are_easy_and_shrink_where_they_are_not_proven_each_kind_by_itself() -> None:
    sizes, nothing = Sizes(), np.array([], dtype=np.int64)
    whole, some = Part(nothing, nothing, True, 0), Part(nothing, nothing, False, 0)
    before = sizes.variables[True]
    sizes.learn(whole, proven=True, easy=False)
    assert sizes.variables[True] == before
    sizes.learn(whole, proven=True, easy=True)
    sizes.learn(some, proven=False, easy=False)
    assert sizes.variables[False] < before < sizes.variables[True]
    for _ in range(100):
        sizes.learn(whole, proven=True, easy=True)
        sizes.learn(some, proven=False, easy=False)
    assert sizes.variables == {True: 20_000, False: 100}


def test_two_changes_apart_that_each_keep_every_rule_keep_them_together() -> None:
    apart = breaking = 0
    for seed in range(12):
        chance = np.random.default_rng(seed)
        problem = instance(seed, Size(14, 6, 2, 7, 5, 1, 110 if seed % 2 else 160))
        before = problem.initial
        changes: list[tuple[Any, Any]] = []
        while len(changes) < 50:
            after, some = before.copy(), chance.choice(14, 2, replace=False)
            after[some] = chance.integers(0, 6, 2)
            if (after != before).any() and not breaches(problem, after):
                changes.append((np.flatnonzero(after != before), after))
        for (change, after), (other, its) in itertools.product(changes[:25], changes[25:]):
            both = after.copy()
            both[other] = its[other]
            if independent(problem, before, both, change, other):
                apart += 1
                assert not breaches(problem, both)
            else:
                breaking += bool(breaches(problem, both))
    assert min(apart, breaking) > 100


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


def test_no_part_is_laid_out_after_the_time_is_over() -> None:
    """The first of each round takes all the time that is left, as a large one can."""
    ticks, late, rounds = itertools.count(), [0.0], list[list[Answer | None]]()

    def clock() -> float:
        return next(ticks) / 1000 + late[0]

    def run(function: Callable[[Any], Any], given: Sequence[Any]) -> list[Any]:
        found = []
        for one in given:
            found.append(function(one))
            late[0] += 400.0 * isinstance(one, Part)
        if isinstance(given[0], Part):
            rounds.append(found)
        return found

    problem = instance(1, Size(80, 8, 3, 30, 10, 1))
    found = rebalance(problem, Effort(1, time_limit_s=0.3, clock=clock, run=run))
    ((first, *others),) = rounds
    assert isinstance(first, Answer)
    assert others == [None] * 5
    assert breaches(problem, found.machine) == ()


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
