"""An order is killed at every point where it touches the database or a hypervisor, then recovered."""

from collections.abc import Callable
from functools import cache

import pytest

from tierwise.testing.crash_order import Report, explored

SHARES = 4
"""Explored one after the other, so that no single test is long even on a busy machine."""


@pytest.fixture(scope="module")
def explore(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Report]:
    """Explores one share of the points, once."""
    return cache(lambda share: explored(tmp_path_factory.mktemp("crash"), share=share, shares=SHARES))


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_is_lost_made_twice_or_charged_twice_wherever_it_is_killed(
    explore: Callable[[int], Report], share: int
) -> None:
    assert explore(share).violations == ()


def test_every_point_of_an_order_was_killed_at(explore: Callable[[int], Report]) -> None:
    first, *others = (explore(share) for share in range(SHARES))
    everywhere = sum(others, start=first)
    # The engine's own threads write at times of their choosing, so one run has some points more than another.
    assert everywhere.points >= everywhere.all_points - 6 > 100
    assert everywhere.killed + len(everywhere.unreached) == everywhere.points
    assert len(everywhere.unreached) <= 6, everywhere.unreached
    calls = {f"{when} {call}" for when in ("before", "after") for call in ("create_vm", "power")}
    assert {*calls, "commit"} <= set(everywhere.kinds)


def test_the_same_exploration_catches_a_create_that_does_not_look_first(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    naive = explored(tmp_path_factory.mktemp("naive"), "--naive", "--only", "after create_vm", processes=1)
    assert naive.killed == 1
    assert "after create_vm, time 1: 2 machines at the hypervisors, not 1" in naive.violations
