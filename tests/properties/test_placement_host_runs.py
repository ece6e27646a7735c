"""Runs of identical requests beside loops that take them one by one, and counts beside all counts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from placement.hosts import counts, loops, runs
from placement.hosts.counts import Needs, cheapest, roomiest, strongest

amounts = st.integers(0, 9)


@st.composite
def packings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(shape of each request, demand of each shape, amounts on each host, an order of shapes)."""
    resources, shapes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    shape_of = draw(arrays(np.int64, st.integers(0, 40), elements=st.integers(0, shapes - 1)))
    demand = draw(arrays(np.int64, (shapes, resources), elements=amounts))
    hosts = draw(arrays(np.int64, st.tuples(st.integers(1, 5), st.just(resources)), elements=amounts))
    return shape_of, demand, hosts, np.array(draw(st.permutations(range(shapes))), dtype=np.int64)


@settings(max_examples=300, deadline=None)
@given(packings())
def test_first_fit_of_runs_is_first_fit_one_by_one(packing: tuple[np.ndarray, ...]) -> None:
    shape_of, demand, hosts, order = packing
    room, host_of = 3 * hosts, np.full(len(shape_of), -1)
    slow_room, slow = room.copy(), host_of.copy()
    for shape, requests in runs.grouped(shape_of, order):
        assert shape_of[requests].tolist() == [shape] * len(requests)
        runs.first_fit(demand[shape], room, requests, host_of)
    one_by_one = np.argsort(np.argsort(order)[shape_of], kind="stable")
    loops.first_fit(demand[shape_of], one_by_one, slow_room, np.arange(len(hosts)), slow)
    assert [(room < 0).sum(), host_of.tolist(), room.tolist()] == [0, slow.tolist(), slow_room.tolist()]


@settings(max_examples=300, deadline=None)
@given(packings())
def test_spreading_runs_is_spreading_one_by_one_but_for_the_order_of_identical_ones(
    packing: tuple[np.ndarray, ...],
) -> None:
    shape_of, demand, share, order = packing
    seats = np.full(len(share), 40)
    load, host_of = np.zeros_like(share), np.full(len(shape_of), -1)
    slow_load, slow_seats, slow = load.copy(), seats.copy(), host_of.copy()
    for shape, requests in runs.grouped(shape_of, order):
        runs.level(demand[shape], share, load, seats, requests, host_of)
    one_by_one = np.argsort(np.argsort(order)[shape_of], kind="stable")
    loops.level(demand[shape_of], one_by_one, share, slow_load, slow_seats, slow)
    assert (load.tolist(), seats.tolist()) == (slow_load.tolist(), slow_seats.tolist())
    for shape in order.tolist():
        mine = shape_of == shape
        assert sorted(host_of[mine].tolist()) == sorted(slow[mine].tolist())


@st.composite
def needs(draw: st.DrawFn) -> Needs:
    kinds, rows = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    value = draw(arrays(np.int64, (rows, kinds), elements=amounts))
    need = draw(arrays(np.int64, rows, elements=st.integers(-3, 40)))
    cost = draw(arrays(np.int64, kinds, elements=amounts))
    return Needs(value, need, cost, draw(arrays(np.int64, kinds, elements=st.integers(0, 5))))


@settings(max_examples=400, deadline=None)
@given(needs(), st.integers(-1, 60))
def test_no_allowed_counts_are_cheaper(asked: Needs, at_least: int) -> None:
    allowed = [
        int(asked.cost @ np.array(n, dtype=np.int64))
        for n in itertools.product(*(range(n + 1) for n in asked.hosts.tolist()))
        if (asked.value @ np.array(n, dtype=np.int64) >= asked.need).all()
    ]
    dear_enough = [cost for cost in allowed if cost >= at_least]
    found = cheapest(asked, at_least)
    assert (found.counts is not None) == bool(dear_enough)
    if found.counts is not None:
        assert int(asked.cost @ found.counts) == found.bound == min(dear_enough)
        assert (asked.value @ found.counts >= asked.need).all()
        assert ((found.counts >= 0) & (found.counts <= asked.hosts)).all()


@settings(max_examples=100, deadline=None)
@given(needs(), st.integers(-1, 60), st.integers(0, 6))
def test_a_search_that_ends_early_says_no_more_than_is_true(asked: Needs, at_least: int, rows: int) -> None:
    found = cheapest(asked, at_least)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "_ROWS", rows)
        patch.setattr(counts, "_BEAM", 1)
        early = cheapest(asked, at_least)
    assert early.bound <= found.bound
    if early.counts is not None:
        assert (asked.value @ early.counts >= asked.need).all()


@settings(max_examples=200, deadline=None)
@given(needs(), st.integers(0, 60))
def test_roomy_counts_can_be_paid_and_suffice(asked: Needs, at_most: int) -> None:
    found, least = roomiest(asked, at_most), cheapest(asked, 0)
    assert (found.counts is None) == (least.counts is None or int(asked.cost @ least.counts) > at_most)
    if found.counts is not None:
        assert asked.cost @ found.counts <= at_most
        assert (asked.value @ found.counts >= asked.need).all()


@settings(max_examples=200, deadline=None)
@given(needs())
def test_inequalities_that_are_left_out_follow_from_those_that_stay(asked: Needs) -> None:
    kept = strongest(asked.value, asked.need)
    fewer = Needs(asked.value[kept], asked.need[kept], asked.cost, asked.hosts)
    with_all, with_fewer = cheapest(asked, 0), cheapest(fewer, 0)
    assert (with_all.counts is None) == (with_fewer.counts is None)
    assert with_all.bound == with_fewer.bound
