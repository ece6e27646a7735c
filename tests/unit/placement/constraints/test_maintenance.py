"""Maintenance: who may be on a provider that takes nothing new."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.maintenance import Maintenance
from placement.model import Model
from placement.problem import InvalidProblem, PlacementProblem
from tierwise.testing.constraint_samples.maintenance import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved

QUIET = Maintenance(providers=("h0",))
EMPTY = Maintenance(providers=("h0",), evacuate=True)
POOL = Maintenance(providers=("a",))


def running(*constraints: Maintenance) -> PlacementProblem:
    """r0 runs on h0, r1 on h1, r2 nowhere."""
    return racks(*constraints, current=np.array([0, 1, -1], dtype=np.int64))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(running=True))


def test_who_runs_there_stays_and_nobody_comes() -> None:
    assert hosts_of(solved(running(QUIET))) == ["h0", "h1", "h1"]


def test_evacuated_everybody_leaves() -> None:
    hosts = hosts_of(solved(running(EMPTY)))
    assert "h0" not in hosts
    assert None not in hosts


def test_nobody_moves_from_one_closed_host_to_another() -> None:
    hosts = hosts_of(solved(running(POOL)))
    assert hosts[:2] == ["h0", "h1"]
    assert hosts[2] in {"h2", "h3"}
    assert list(POOL.check(running(), at(running(), "h1", "h1", None))) == [
        "r0: h1 is in maintenance and takes nothing new"
    ]


def test_a_breach_says_whether_it_came_or_stayed() -> None:
    assert not list(QUIET.check(running(), at(running(), "h0", "h1", None)))
    assert list(QUIET.check(running(), at(running(), "h0", "h1", "h0"))) == [
        "r2: h0 is in maintenance and takes nothing new"
    ]
    assert list(EMPTY.check(running(), at(running(), "h0", "h1", None))) == [
        "r0: h0 is evacuated for maintenance"
    ]


def test_a_refusal_says_that_it_is_closed() -> None:
    now = after(running(), "h0", "h1", None)
    for request, closed in ((0, [False, True]), (1, [True, False]), (2, [True, True])):
        blocked = POOL.blocked(now, request)
        assert blocked is not None
        assert blocked.tolist() == [*closed, False, False]
    assert [str(why) for why in POOL.why(now, 2, 0)] == [
        "h0 is in maintenance and takes nothing new; end the maintenance of h0, or choose another host"
    ]
    assert [str(why) for why in EMPTY.why(now, 0, 0)] == [
        "h0 is evacuated for maintenance; end the maintenance of h0, or choose another host"
    ]


def test_classes_tell_apart_only_those_who_may_stay() -> None:
    assert sorted(Model(running(QUIET)).classes.count.tolist()) == [1, 2]
    assert Model(running(EMPTY)).classes.count.tolist() == [3]
    assert Model(racks(QUIET)).classes.count.tolist() == [3]


def test_unknown_hosts_are_refused_with_their_path() -> None:
    with pytest.raises(
        InvalidProblem, match=r"constraints\[0\].providers\[1\]: there is no host or pool 'h9'"
    ):
        racks(Maintenance(providers=("h0", "h9")))
    with pytest.raises(ValidationError):
        Maintenance(providers=())
