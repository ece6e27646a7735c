"""Annealing and checking of pool instances, against plain counts made here."""

import itertools
from collections import Counter

import numpy as np
import pytest

from placement.pool_instances.annealing import Annealing, near_pairs, prepare, rounded
from placement.pool_instances.cells import Cells, by_class
from placement.pool_instances.check import breaches
from placement.pool_instances.effort import Effort
from placement.pool_instances.exchanging import exchange
from placement.pool_instances.filling import start
from placement.pool_instances.instance import PoolInstance
from placement.pool_instances.relaxation import nothing, prices, relax, room
from placement.pool_instances.search import Search
from placement.pool_instances.solve import PoolLimits, solve
from placement.pool_instances.tournament import found, seeds


def instance(seed: int = 0, requests: int = 200) -> PoolInstance:
    """Eight classes on four pools, of which one may stay closed; needs are multiples of 1, 2 and 40."""
    rng = np.random.default_rng(seed)
    vcpus = rng.choice([1, 2, 4, 8], 8)
    demand = np.stack([vcpus, vcpus * rng.choice([2, 4], 8), rng.choice([40, 80, 160], 8)], 1)
    klass = rng.integers(0, 8, requests)
    total = demand[klass].sum(0)
    return PoolInstance(
        demand=demand.astype(np.int64),
        klass=klass,
        app=rng.integers(0, 5, requests),
        capacity=(total[None, :] * np.array([0.5, 0.4, 0.3, 0.3])[:, None]).astype(np.int64),
        allowed=np.ones((8, 4), dtype=np.bool_),
        unit_cost=rng.integers(100, 300, (8, 4)) * vcpus[:, None],
        open_cost=np.array([3000, 2500, 2000, 9000]),
        windows=(rng.random(8) < 0.5).astype(np.int64),
        app_spread=np.zeros(5, dtype=np.bool_),
        licence_pack_vcpus=16,
        licence_pack_cost=900,
        app_max_share=0.6,
        unplaced_cost=1_000_000,
    )


def annealing(cells: Cells) -> Annealing:
    return prepare(cells, relax(cells, 60, 0), near_pairs(cells))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stiff", [False, True])
def test_a_run_loses_no_request_and_overfills_no_pool(seed: int, stiff: bool) -> None:
    cells = by_class(instance(seed))
    parts = iter([0.0, 0.3, 0.6, 0.9, 1.0])
    counts = annealing(cells).run(stiff, seed, lambda: next(parts))
    assert counts is not None
    used = np.zeros_like(cells.instance.capacity)
    for g, p in np.ndindex(counts.shape):
        used[p] += counts[g, p] * cells.demand[g]
    assert counts.min() >= 0
    assert counts.sum(axis=1).tolist() == [Counter(cells.instance.klass.tolist())[g] for g in range(8)]
    assert (used <= cells.instance.capacity).all()


def holds(cells: Cells, counts: np.ndarray) -> bool:
    """Counted here, pool by pool."""
    for p, capacity in enumerate(cells.instance.capacity):
        if (sum(counts[g, p] * cells.demand[g] for g in range(len(counts))) > capacity).any():
            return False
    return bool(counts.min() >= 0 and (counts.sum(axis=1) <= cells.count).all())


@pytest.mark.parametrize("seed", [0, 5])
def test_after_pairs_no_exchange_of_up_to_two_for_two_between_used_pools_is_cheaper(seed: int) -> None:
    cells = by_class(instance(seed, 60))
    search = Search(cells, start(cells, nothing(cells)), 0, seed)
    before = search.objective
    search.pairs(Effort(lambda: 0.0, 60.0, None, map))
    assert search.objective < before
    assert cells.objective(search.counts) == search.objective
    assert holds(cells, search.counts)
    few = [some for n in (0, 1, 2) for some in itertools.combinations_with_replacement(range(8), n)]
    for p, q in itertools.combinations(np.flatnonzero(search.counts.any(axis=0)).tolist(), 2):
        for there, back in itertools.product(few, few):
            counts = search.counts.copy()
            np.subtract.at(counts, (list(there), p), 1)
            np.add.at(counts, (list(there), q), 1)
            np.subtract.at(counts, (list(back), q), 1)
            np.add.at(counts, (list(back), p), 1)
            assert (
                counts.min() < 0 or not holds(cells, counts) or cells.objective(counts) >= search.objective
            )


def test_annealing_costs_less_than_the_filling_it_begins_beside() -> None:
    one = instance(3)
    bound = relax(by_class(one), 60, 0).bound
    answer = solve(one, PoolLimits(time_limit_s=60, rounds=2, solve_whole_up_to=0), lambda: 0.0)
    assert answer.unplaced == 0
    assert bound <= answer.objective <= bound * 1.02


def test_the_room_of_a_pool_is_what_whole_requests_can_fill() -> None:
    one = instance()
    cells = by_class(one)
    most = room(cells)
    steps = np.gcd.reduce(one.demand, axis=0)
    assert (most % steps == 0).all()
    assert ((one.capacity - most >= 0) & (one.capacity - most < steps)).all()


def test_a_resource_has_a_price_only_in_an_opened_pool() -> None:
    cells = by_class(instance())
    opened = np.array([True, True, True, False])
    worth = prices(cells, opened)
    assert (worth >= 0).all()
    assert worth[:3].any()
    assert not worth[3].any()


def test_relaxed_counts_round_to_all_requests_that_they_place() -> None:
    cells = by_class(instance(1))
    relaxed = relax(cells, 60, 0)
    assert relaxed.counts is not None
    counts = rounded(cells, relaxed.counts)
    assert counts.sum(axis=1).tolist() == cells.count.tolist()
    assert np.abs(counts - relaxed.counts).max() < 1 + 1e-6


def test_every_broken_rule_is_named_with_its_values() -> None:
    one = PoolInstance(
        demand=np.array([[4], [1]]),
        klass=np.array([0, 0, 1, 1]),
        app=np.array([0, 0, 0, 0]),
        capacity=np.array([[5], [9]]),
        allowed=np.array([[True, True], [False, True]]),
        unit_cost=np.ones((2, 2), dtype=np.int64),
        open_cost=np.zeros(2, dtype=np.int64),
        windows=np.zeros(2, dtype=np.int64),
        app_spread=np.array([True]),
        licence_pack_vcpus=16,
        licence_pack_cost=0,
        app_max_share=0.5,
        unplaced_cost=0,
    )
    assert breaches(one, np.array([1, -1, 1, -1])) == ()
    assert breaches(one, np.array([0, 0, 0, 7])) == (
        "request 3: there is no pool 7",
        "request 2: class 1 is not allowed on pool 0",
        "pool 0: 9 of resource 0 used, 5 there",
        "application 0: 3 of 4 requests on pool 0",
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_tournament_loses_no_request_and_overfills_no_pool(seed: int) -> None:
    cells = by_class(instance(seed))
    begin = annealing(cells)
    effort = Effort(lambda: 0.0, 1.0, 1, map)
    every = found(begin, seeds(np.random.default_rng(seed)), effort, 1.0)
    assert 1 <= len(every) <= 8
    for counts in every:
        assert holds(cells, counts)
        assert counts.sum(axis=1).tolist() == cells.count.tolist()
    costs = [cells.objective(counts) for counts in every]
    assert costs == sorted(costs)


def test_a_cold_list_of_exchanges_ends_where_no_exchange_of_two_for_two_is_cheaper() -> None:
    """One pair of pools, cold: the draw among all exchanges is then always the one that gains most."""
    one = instance(3, 40)
    cells = by_class(one)
    counts = start(cells, nothing(cells))
    two = np.array([0, 1])
    demand = np.column_stack([cells.demand, cells.licence])
    state = np.array([7, 0, 0])
    best, free, licensed = counts.copy(), np.ascontiguousarray(cells.free(counts)), cells.licence @ counts
    pack, width = np.array([16, 900]), np.array([8, 2, 45])
    before, weight = cells.objective(counts), np.full(free.shape, 1e6)
    lean, worth = cells.cost.astype(np.float64), np.zeros(free.shape)
    exchange(
        counts, best, state, free, licensed, demand, cells.cost, cells.upper, two,
        pack, weight, lean, worth, 1e-3, width, 400,
    )  # fmt: skip
    assert before + int(state[1]) == cells.objective(counts) < before
    assert (free == cells.free(counts)).all()
    assert (licensed == cells.licence @ counts).all()
    few = [some for n in (0, 1, 2) for some in itertools.combinations_with_replacement(range(8), n)]
    for there, back in itertools.product(few, few):
        other = counts.copy()
        np.subtract.at(other, (list(there), 0), 1)
        np.add.at(other, (list(there), 1), 1)
        np.subtract.at(other, (list(back), 1), 1)
        np.add.at(other, (list(back), 0), 1)
        assert (
            other.min() < 0 or not holds(cells, other) or cells.objective(other) >= cells.objective(counts)
        )


def lean_of(one: Annealing) -> np.ndarray:
    """[G, P] what a request costs with what it takes of the rooms, class by class."""
    rows = [one.cells.cost[g] + one.worth_each @ one.cells.demand[g] for g in range(len(one.cells.count))]
    return np.array(rows)


@pytest.mark.parametrize("seed", range(6))
def test_no_exchange_that_heat_allows_is_missing_from_what_prices_leave_listed(seed: int) -> None:
    """Where nothing free has a worth that could be saved, and where so much has that all is listed."""
    cells = by_class(instance(seed, 120))
    one = annealing(cells)
    ends = []
    for spare in (0.0, 1e9):
        counts, best, state = one.start.copy(), one.start.copy(), np.array([seed + 1, 0, 1 << 60])
        free, licensed = np.ascontiguousarray(cells.free(counts)), cells.licence @ counts
        demand = np.column_stack([cells.demand, cells.licence])
        for temperature in (60.0, 20.0, 5.0):
            exchange(
                counts, best, state, free, licensed, demand, cells.cost, one.upper, one.pools,
                np.array([16, 900]), one.weight * 20, lean_of(one), one.worth_each + spare, temperature,
                np.array([8, 3, 165]), 60,
            )  # fmt: skip
        ends.append((counts.tolist(), best.tolist(), state.tolist()))
    assert ends[0] == ends[1]
    assert ends[0][0] != one.start.tolist()


def test_listed_exchanges_are_the_same_where_numba_is_missing() -> None:
    cells = by_class(instance(1, 30))
    found = annealing(cells)
    counts = found.start.copy()
    state = np.array([5, 0, 1 << 60])
    arguments = [
        cells.licence @ counts, np.column_stack([cells.demand, cells.licence]), cells.cost, found.upper,
        found.pools, np.array([16, 900]), found.weight * 20, lean_of(found), found.worth_each.copy(), 40.0,
        np.array([8, 2, 45]), 12,
    ]  # fmt: skip
    ends = []
    for door in (exchange, exchange.py_func):
        mine, seen, drawn, free = counts.copy(), counts.copy(), state.copy(), cells.free(counts).copy("C")
        door(mine, seen, drawn, free, arguments[0].copy(), *arguments[1:])
        ends.append([mine.tolist(), seen.tolist(), drawn.tolist(), free.tolist()])
    assert ends[0] == ends[1]
    assert ends[0][0] != counts.tolist()
