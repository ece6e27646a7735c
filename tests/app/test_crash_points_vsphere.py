"""An order for tier 1 is killed around every call of vCenter and every commit, then recovered.

vCenter is VMware's simulator, which outlives the killed processes; machines are counted in it by bare
pyvmomi. Of the statements, and of the calls that only ask, every tenth is killed at.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from connectors.simulators import vsphere
from tierwise.testing.crash_order import Report, explored

pytestmark = pytest.mark.counterpart("vcsim")

SHARES = 2
"""Explored one after the other, so that no single test is long even on a busy machine."""


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest) -> Path:
    if reason := vsphere.missing():
        pytest.skip(reason)
    return vsphere.build(request.config.rootpath / ".build" / "vcsim")


@pytest.fixture(scope="module")
def explore(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Report]:
    """Explores one share of the sample, once."""

    def share_of(share: int) -> Report:
        folder = tmp_path_factory.mktemp("crash")
        return explored(folder, "--vsphere", str(program), "--every", "10", share=share, shares=SHARES)

    return cache(share_of)


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_is_lost_made_twice_or_charged_twice_on_vcenter(
    explore: Callable[[int], Report], share: int
) -> None:
    assert explore(share).violations == ()


def test_the_order_was_killed_around_every_call_that_changes_vcenter(
    explore: Callable[[int], Report],
) -> None:
    first, *others = (explore(share) for share in range(SHARES))
    sample = sum(others, start=first)
    assert sample.points >= 40
    # The engine's own threads write at times of their choosing, so one run has some points more than another.
    assert sample.killed + len(sample.unreached) == sample.points
    assert len(sample.unreached) <= 4, sample.unreached
    calls = ("create_vm", "CreateVM_Task", "power", "PowerOnVM_Task")
    assert {f"{when} {call}" for when in ("before", "after") for call in calls} <= set(sample.kinds)
    assert "commit" in sample.kinds


@pytest.mark.parametrize("point", ["after CreateVM_Task", "after create_vm"])
def test_the_same_exploration_catches_a_vcenter_driver_that_does_not_look_first(
    program: Path, tmp_path_factory: pytest.TempPathFactory, point: str
) -> None:
    folder = tmp_path_factory.mktemp("naive")
    naive = explored(folder, "--vsphere", str(program), "--naive", "--only", point, processes=1)
    assert naive.killed == 1
    assert f"{point}, time 1: 2 machines at the hypervisors, not 1" in naive.violations
