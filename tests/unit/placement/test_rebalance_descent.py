"""Searches that let machines lack room while it is hot, and those of several that go on."""

import numpy as np
import pytest

from placement.rebalance.chain import PRESSURE, Chain, Manner, cooling_of, pressure_at
from placement.rebalance.check import breaches, terms
from placement.rebalance.descent import Descent
from placement.rebalance.loops import FIRM
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.tables import state_of, tables_of
from tests.rebalance_instances import Size, instance

SOFT = Manner(hot=PRESSURE[0][0], mix=(0.3, 0.1, 0.4, 0.2), soft=True)


def turned() -> Reassignment:
    """Three machines, each with room for its process or the next one's, and for one only.

    Machine i has 1 of resource i and 2 of the others; process i + 2 needs 2 of resource i. So neither a shift nor an
    exchange of two keeps what machines have, though all three may go round. Of the last resource process i needs i,
    and machine i should hold no more than process i + 1 needs: only the third is too full, by two.
    """
    rows = np.arange(3)
    requirement = np.ones((3, 4), dtype=np.int64)
    requirement[(rows + 2) % 3, rows] = 2
    requirement[:, 3] = rows
    capacity = np.full((3, 4), 2, dtype=np.int64)
    capacity[rows, rows] = 1
    safety = capacity.copy()
    safety[:, 3] = (rows + 1) % 3
    return Reassignment(
        transient=np.zeros(4, dtype=np.bool_),
        load_weight=np.array([0, 0, 0, 10_000]),
        neighbourhood=np.zeros(3, dtype=np.int64),
        location=np.zeros(3, dtype=np.int64),
        capacity=capacity,
        safety=safety,
        machine_move_cost=np.zeros((3, 3), dtype=np.int64),
        spread=np.zeros(3, dtype=np.int64),
        dependency=np.zeros((0, 2), dtype=np.int64),
        service=rows,
        requirement=requirement,
        process_move_cost=np.ones(3, dtype=np.int64),
        balance=np.zeros((0, 4), dtype=np.int64),
        weights=np.array([1, 0, 0]),
        initial=rows,
    )


def test_three_go_round_only_where_machines_may_lack_room_meanwhile() -> None:
    problem = turned()
    tables = tables_of(problem, 0)
    assert sum(terms(problem, problem.initial).values()) == 20_000
    firm = Chain(tables, problem.initial, 1, Manner(mix=SOFT.mix))
    for temperature in (1e9, 1e5, 1e3):
        firm.block(temperature, 2000)
    assert firm.state.machine.tolist() == [0, 1, 2]
    descent = Descent([Chain(tables, problem.initial, 1, SOFT)], 1e6, 4e-4, 500)
    descent.run(0.0, 1.0, lambda tried: tried / 200_000)
    (chain,) = descent.chains
    assert chain.state.machine.tolist() == [2, 0, 1]
    assert not chain.lacks
    assert chain.objective == 3 == sum(terms(problem, chain.state.machine).values())


@pytest.mark.parametrize("seed", range(6))
def test_what_machines_lack_is_counted_as_it_changes_and_never_grows_under_firm_pressure(seed: int) -> None:
    problem = instance(seed, Size(60, 7, 4, 20, 12, 2, 104))
    tables = tables_of(problem, seed)
    chain = Chain(tables, problem.initial, seed, SOFT)
    chain.block(300.0, 3000, 0.01)
    assert chain.lacks
    assert any(" are used; move processes away" in each for each in breaches(problem, chain.state.machine))
    again = state_of(tables, chain.state.machine, seed)
    assert chain.state.excess.tolist() == again.excess.tolist()
    assert chain.objective == sum(terms(problem, chain.state.machine).values())
    for _ in range(5):
        before = chain.state.excess.copy()
        chain.block(300.0, 500)
        assert (chain.state.excess <= before).all()
    assert chain.state.excess.tolist() == state_of(tables, chain.state.machine, seed).excess.tolist()


def test_pressure_rises_from_half_of_load_to_firm_as_it_gets_colder() -> None:
    found = [pressure_at(t) for t in (1.0, 0.06, 0.03, 0.01, 0.0061, 0.006, 1e-5, 0.0)]
    assert found == sorted(found)
    assert found[0] == found[1] == pytest.approx(0.5)
    assert found[3] == pytest.approx(100.0)
    assert found[4] < FIRM == found[5] == found[-1]


def test_a_soft_search_spends_most_of_its_time_where_the_large_find_their_places() -> None:
    soft, firm = cooling_of(SOFT, 1e7, 4e-4), cooling_of(Manner(), 1e7, 4e-4)
    assert (soft.at(0.0), soft.at(0.7), soft.at(1.0)) == pytest.approx((6e5, 1e5, 2400.0))
    assert (firm.at(0.0), firm.at(0.5), firm.at(1.0)) == pytest.approx((1e7, 2e5, 4000.0))


def test_fewer_and_fewer_chains_go_on_and_no_more_is_tried_than_there_is_time_for() -> None:
    problem = instance(3, Size(80, 8, 3, 30, 10, 1))
    chains = [Chain(tables_of(problem, 0), problem.initial, seed, Manner()) for seed in range(8)]
    descent = Descent(list(chains), 1000.0, 4e-4, 100)
    descent.run(0.0, 1.0, lambda tried: tried / 40_000)
    tried = sorted(chain.moves for chain in chains)
    assert descent.moves == sum(tried)
    assert 40_000 <= descent.moves <= 40_000 + 100 * 9
    assert len(descent.chains) == 1
    assert descent.chains[0].moves == tried[-1] > 5 * tried[0]
    ended = [chain for chain in chains if chain.moves == tried[0]]
    assert len(ended) == 5, "of eight, three go on after the first stage"


def test_after_a_time_that_is_over_chains_are_as_they_were_but_for_what_is_cheaper() -> None:
    problem = instance(3, Size(80, 8, 3, 30, 10, 1))
    descent = Descent([Chain(tables_of(problem, 0), problem.initial, 1, Manner())], 1000.0, 4e-4, 100)
    descent.run(1.0, 1.0, lambda _: 1.0)
    assert descent.moves == 100
    assert descent.chains[0].objective <= sum(terms(problem, problem.initial).values())
