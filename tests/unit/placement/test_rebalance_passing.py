"""A process takes the place of another, which goes on: drawn by chance, or whoever leaves room."""

import dataclasses

import numpy as np
import pytest

from placement.rebalance.chain import Chain, Manner
from placement.rebalance.check import breaches, terms
from placement.rebalance.loops import LOG
from placement.rebalance.passing import pass_on
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.replacing import replace
from placement.rebalance.solve import Effort, Step, rebalance
from placement.rebalance.tables import state_of, tables_of
from tests.rebalance_instances import Size, every, instance, plain_cost

P, Q = 0, 1
A, B, C = 0, 1, 2
HERE, THERE = [A, B], [B, C]


def guests() -> Reassignment:
    """Three machines, each with room for one that is at home there, which is never given back, or for one guest.

    P, at home on A, costs 1,000 there and nothing on B. Q, at home on C, costs 100 there and nothing on B.
    """
    return Reassignment(
        transient=np.array([True, False]),
        load_weight=np.array([0, 1]),
        neighbourhood=np.zeros(3, dtype=np.int64),
        location=np.zeros(3, dtype=np.int64),
        capacity=np.array([[2, 9_999]] * 3),
        safety=np.array([[2, 0], [2, 5_000], [2, 4_900]]),
        machine_move_cost=np.zeros((3, 3), dtype=np.int64),
        spread=np.zeros(2, dtype=np.int64),
        dependency=np.zeros((0, 2), dtype=np.int64),
        service=np.arange(2),
        requirement=np.array([[2, 1_000], [2, 5_000]]),
        process_move_cost=np.zeros(2, dtype=np.int64),
        balance=np.zeros((0, 4), dtype=np.int64),
        weights=np.array([1, 1, 1]),
        initial=np.array([A, C]),
    )


def test_a_guest_makes_room_only_where_another_comes_in_the_same_move() -> None:
    problem = guests()
    tables, start = tables_of(problem, 0), np.array(HERE)
    alone = Chain(tables, start, 1, Manner())
    alone.block(0.0, 20_000)
    assert alone.state.machine.tolist() == HERE
    for manner in (Manner(passing=0.5), Manner(replacing=0.5)):
        together = Chain(tables, start, 1, manner)
        together.block(0.0, 20_000)
        assert together.state.machine.tolist() == THERE
        assert together.objective == 100 + 1 == sum(terms(problem, np.array(THERE)).values())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pressure", [0.0, 0.02, 1e9])
def test_what_is_counted_by_steps_is_what_counting_afresh_gives(seed: int, pressure: float) -> None:
    problem = instance(seed, Size(60, 7, 4, 20, 12, 2, 110))
    tables = tables_of(problem, seed)
    chain = Chain(tables, problem.initial, seed, Manner())
    chain.block(300.0, 2000)
    for temperature in (1000.0, 30.0, 0.0):
        before = int(chain.state.excess.sum())
        made = pass_on(tables, chain.state, LOG, temperature, 0.0, pressure, 3000)
        assert made > 0 or temperature == 0.0
        again = state_of(tables, chain.state.machine, seed)
        for name in ("slack", "free", "room", "cost", "excess", "here", "at_location", "moved", "members"):
            assert np.array_equal(getattr(chain.state, name), getattr(again, name)), name
        assert chain.state.totals[1:].tolist() == again.totals[1:].tolist()
        assert chain.objective == sum(terms(problem, chain.state.machine).values())
        if pressure != 0.02:
            assert int(chain.state.excess.sum()) <= before
            assert breaches(problem, chain.state.machine) == ()


@pytest.mark.parametrize("seed", range(6))
def test_whoever_replaces_another_leaves_what_counting_afresh_gives(seed: int) -> None:
    made = instance(seed, Size(60, 7, 4, 20, 12, 2, 130))
    problem = dataclasses.replace(made, transient=np.array([True, False, True, False]))
    tables = tables_of(problem, seed)
    chain = Chain(tables, problem.initial, seed, Manner())
    chain.block(300.0, 2000)
    for temperature in (1000.0, 30.0, 0.0):
        before = chain.objective
        made_moves = replace(tables, chain.state, LOG, temperature, 0.0, 3000)
        assert made_moves > 0 or temperature == 0.0
        assert chain.objective <= before or temperature > 0.0
        again = state_of(tables, chain.state.machine, seed)
        for name in ("slack", "free", "room", "cost", "excess", "here", "at_location", "moved", "members"):
            assert np.array_equal(getattr(chain.state, name), getattr(again, name)), name
        assert chain.state.totals[1:].tolist() == again.totals[1:].tolist()
        assert chain.objective == sum(terms(problem, chain.state.machine).values())
        assert breaches(problem, chain.state.machine) == ()


@pytest.mark.parametrize("seed", range(4))
def test_who_could_come_where_is_whoever_fits_once_all_who_may_go_have_gone(seed: int) -> None:
    made = instance(seed, Size(60, 7, 4, 20, 12, 2, 110))
    problem = dataclasses.replace(made, transient=np.array([True, False, True, False]))
    tables = tables_of(problem, seed)
    listed = {
        (p, m)
        for p in range(problem.processes)
        for m in tables.reach[tables.reach_from[p] : tables.reach_from[p + 1]].tolist()
    }
    needs, home = problem.requirement.tolist(), problem.initial.tolist()
    for p in range(problem.processes):
        for m in range(problem.machines):
            left = problem.capacity[m].tolist()
            for q in range(problem.processes):
                if home[q] == m:  # what is used twice stays behind
                    left = [
                        n - need * t for n, need, t in zip(left, needs[q], problem.transient, strict=True)
                    ]
            fits = all(need <= n for need, n in zip(needs[p], left, strict=True))
            assert ((p, m) in listed) == (fits and home[p] != m), (p, m)


def test_where_nothing_is_used_twice_nobody_is_listed_and_all_may_be_tried() -> None:
    problem = dataclasses.replace(guests(), transient=np.array([False, False]))
    tables = tables_of(problem, 0)
    assert (len(tables.reach), tables.reach_from.tolist()) == (0, [0, 0, 0])
    chain = Chain(tables, problem.initial, 1, Manner(passing=0.5))
    chain.block(0.0, 20_000)
    assert chain.objective == 1, chain.state.machine  # Nothing but that a service moved.


def test_where_processes_could_come_to_few_machines_long_chains_find_what_is_cheapest() -> None:
    looked_at = 0
    for seed in range(60):
        made = instance(seed, Size(tight_percent=105))
        problem = dataclasses.replace(made, transient=np.array([True, False]))
        listed = len(tables_of(problem, seed).reach)
        if not 0 < listed < problem.processes * problem.machines / 3:
            continue
        steps: list[Step] = []
        found = rebalance(problem, Effort(seed=seed, moves=60_000), steps.append)
        costs = (plain_cost(problem, machine.tolist()) for machine in every(problem))
        assert found.objective == min(cost for cost in costs if cost is not None)
        assert found.objective == found.bound or [one.stage for one in steps].count("annealing") == 3
        looked_at += 1
    assert looked_at > 5
