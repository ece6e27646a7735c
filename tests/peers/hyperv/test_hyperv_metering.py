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
MACHINE = Machine(
    "1", "web", "Running", PowerState.ON, Resources(), 512, None, "", (), has_snapshots=False, generation=2
)


NO_TRAFFIC = {"net_received_mb": 0, "net_sent_mb": 0}

Line = tuple[str | None, int | None]


def looked(
    meters: Meters, duration_s: int | None, mhz: int, read_mb: int, *traffic: Line
) -> dict[str, int]:
    """What one look gives: Hyper-V's averages and sums since metering began, and lines of traffic."""
    row = {
        "MeteringDuration": None if duration_s is None else duration_s * 1000,
        "AverageProcessorUsage": mhz,
        "AggregatedDiskDataRead": read_mb,
        "AggregatedDiskDataWritten": None,
        "NetworkMeteredTrafficReport.Direction": [direction for direction, _ in traffic],
        "NetworkMeteredTrafficReport.TotalTraffic": [total for _, total in traffic],
    }
    found = meters.readings([(MACHINE, IDENTITY)], [[row]], NOON)
    return {one.metric: one.value for one in found if one.counter}


def test_an_average_times_its_duration_is_the_sum() -> None:
    meters = Meters()
    assert looked(meters, 10, 100, 3) == {"cpu_mhz_s": 1000, "disk_read_mb": 3} | NO_TRAFFIC
    # 10 s more at 300 MHz: the average of 20 s is 200.
    assert looked(meters, 20, 200, 7) == {"cpu_mhz_s": 4000, "disk_read_mb": 7} | NO_TRAFFIC


def test_a_rounded_average_makes_no_counter_fall() -> None:
    meters = Meters()
    looked(meters, 10, 100, 0)
    # 1 s idle: 1000 MHz s over 11 s are 90.9 MHz, told as 90, which gives back 990.
    assert looked(meters, 11, 90, 0)["cpu_mhz_s"] == 1000


def test_a_reset_begins_a_segment_on_top_of_the_others() -> None:
    meters = Meters()
    looked(meters, 100, 50, 40)
    assert looked(meters, 4, 25, 2) == {"cpu_mhz_s": 5100, "disk_read_mb": 42} | NO_TRAFFIC
    assert looked(meters, 8, 50, 5) == {"cpu_mhz_s": 5400, "disk_read_mb": 45} | NO_TRAFFIC
    assert looked(meters, 2, 10, 0) == {"cpu_mhz_s": 5420, "disk_read_mb": 45} | NO_TRAFFIC


def test_traffic_is_the_sum_over_cards_and_addresses_by_direction_and_goes_on_over_a_reset() -> None:
    def carried(meters: Meters, duration_s: int, *traffic: Line) -> tuple[int, int]:
        found = looked(meters, duration_s, 0, 0, *traffic)
        return found["net_received_mb"], found["net_sent_mb"]

    meters = Meters()
    ipv4 = (("Inbound", 30), ("Outbound", 4))
    ipv6 = (("Inbound", 2), ("Outbound", 1))
    assert carried(meters, 10, *ipv4, *ipv6, *ipv4) == (62, 9)
    # Reset by somebody else: its duration fell, so 5 and 1 are on top of 62 and 9.
    assert carried(meters, 3, ("Outbound", 1), ("Inbound", 5)) == (67, 10)
    # The line of an address that has carried nothing, and a machine whose lines are gone with its card.
    assert carried(meters, 5, ("Inbound", None), ("Inbound", 6), ("Outbound", 1)) == (68, 10)
    assert carried(meters, 8, (None, None)) == (68, 10)


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


@pytest.mark.counterpart("hyperv-sim")
def test_each_card_counts_and_a_machine_without_one_has_carried_nothing(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    other = UUID("5d1f3a52-8f5d-4c0e-9d1c-6a0f2f0f7c22")
    with_card, without = connect(simulator, switch="External"), connect(simulator)
    for identity, connector in ((IDENTITY, with_card), (other, without)):
        connector.create_vm(spec.model_copy(update={"name": str(identity)}), identity)
        connector.power(identity, PowerAction.ON)
    for _ in range(500):
        readings = list(without.usage(NOON.replace(year=2020)))
        found = {(one.identity, one.metric): one.value for one in readings}
        if found[IDENTITY, "net_sent_mb"] >= 4:
            break
    assert found[other, "net_received_mb"] == found[other, "net_sent_mb"] == 0
    # Two addresses with 8 MB/s in and 4 MB/s out each, each rounded down to whole MB.
    received, sent = found[IDENTITY, "net_received_mb"], found[IDENTITY, "net_sent_mb"]
    assert sent >= 4
    assert 0 <= received - 2 * sent <= 2
