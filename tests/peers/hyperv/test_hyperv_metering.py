"""Counters made of Hyper-V's averages: worked out by hand, and over resets by somebody else."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.metering import Meters
from connectors.simulators.hyperv import HypervSimulator

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
MACHINE = Machine("1", "web", "Running", PowerState.ON, Resources(), 512, None, "", (), has_snapshots=False)


def looked(meters: Meters, duration_s: int | None, mhz: int, read_mb: int) -> dict[str, int]:
    """What one look gives: Hyper-V's averages and sums since metering began."""
    row = {
        "MeteringDuration": None if duration_s is None else duration_s * 1000,
        "AverageProcessorUsage": mhz,
        "AggregatedDiskDataRead": read_mb,
        "AggregatedDiskDataWritten": None,
    }
    found = meters.readings([(MACHINE, IDENTITY)], [[row]], NOON)
    return {one.metric: one.value for one in found if one.counter}


def test_an_average_times_its_duration_is_the_sum() -> None:
    meters = Meters()
    assert looked(meters, 10, 100, 3) == {"cpu_mhz_s": 1000, "disk_read_mb": 3}
    # 10 s more at 300 MHz: the average of 20 s is 200.
    assert looked(meters, 20, 200, 7) == {"cpu_mhz_s": 4000, "disk_read_mb": 7}


def test_a_rounded_average_makes_no_counter_fall() -> None:
    meters = Meters()
    looked(meters, 10, 100, 0)
    # 1 s idle: 1000 MHz s over 11 s are 90.9 MHz, told as 90, which gives back 990.
    assert looked(meters, 11, 90, 0)["cpu_mhz_s"] == 1000


def test_a_reset_begins_a_segment_on_top_of_the_others() -> None:
    meters = Meters()
    looked(meters, 100, 50, 40)
    assert looked(meters, 4, 25, 2) == {"cpu_mhz_s": 5100, "disk_read_mb": 42}
    assert looked(meters, 8, 50, 5) == {"cpu_mhz_s": 5400, "disk_read_mb": 45}
    assert looked(meters, 2, 10, 0) == {"cpu_mhz_s": 5420, "disk_read_mb": 45}


def test_what_has_no_value_yet_is_left_out() -> None:
    assert looked(Meters(), None, 0, 0) == {}


@pytest.mark.counterpart("hyperv-sim")
def test_counters_go_on_over_a_reset_at_the_host(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    connector.power(IDENTITY, PowerAction.ON)
    simulator.plant("not-metered", state="Running")
    seen = []
    for _ in range(3):
        found = list(connector.usage(NOON.replace(year=2020)))
        assert {one.identity for one in found} == {IDENTITY}
        seen.append({one.metric: one.value for one in found})
        simulator.reset_metering()
    assert seen[0]["memory_assigned_mib"] == 512
    for before, after in pairwise(seen):
        assert all(after[metric] >= before[metric] for metric in before)
