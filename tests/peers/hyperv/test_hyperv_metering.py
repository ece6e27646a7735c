"""Counters made of Hyper-V's averages: worked out by hand, and over resets by somebody else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
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
    found = meters.readings([(MACHINE, IDENTITY)], [[row(duration_s, mhz, read_mb, *traffic)]], NOON)
    return {one.metric: one.value for one in found if one.counter}


def row(duration_s: int | None, mhz: int, read_mb: int, *traffic: Line) -> dict[str, Any]:
    return {
        "MeteringDuration": None if duration_s is None else duration_s * 1000,
        "AverageProcessorUsage": mhz,
        "AggregatedDiskDataRead": read_mb,
        "AggregatedDiskDataWritten": None,
        "NetworkMeteredTrafficReport.Direction": [direction for direction, _ in traffic],
        "NetworkMeteredTrafficReport.TotalTraffic": [total for _, total in traffic],
    }


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


def test_a_reset_begins_anew_and_the_duration_says_when() -> None:
    meters = Meters()
    looked(meters, 100, 50, 40)
    assert looked(meters, 4, 25, 2) == {"cpu_mhz_s": 100, "disk_read_mb": 2} | NO_TRAFFIC
    assert looked(meters, 8, 50, 5) == {"cpu_mhz_s": 400, "disk_read_mb": 5} | NO_TRAFFIC
    assert looked(meters, 2, 10, 0) == {"cpu_mhz_s": 20, "disk_read_mb": 0} | NO_TRAFFIC
    found = meters.readings([(MACHINE, IDENTITY)], [[row(3, 10, 1)]], NOON)
    assert {one.begun_at for one in found if one.counter} == {NOON - timedelta(seconds=3)}


def test_traffic_is_the_sum_over_cards_and_addresses_by_direction() -> None:
    def carried(meters: Meters, duration_s: int, *traffic: Line) -> tuple[int, int]:
        found = looked(meters, duration_s, 0, 0, *traffic)
        return found["net_received_mb"], found["net_sent_mb"]

    meters = Meters()
    ipv4 = (("Inbound", 30), ("Outbound", 4))
    ipv6 = (("Inbound", 2), ("Outbound", 1))
    assert carried(meters, 10, *ipv4, *ipv6, *ipv4) == (62, 9)
    # Reset by somebody else.
    assert carried(meters, 3, ("Outbound", 1), ("Inbound", 5)) == (5, 1)
    # The line of an address that has carried nothing, and a machine whose lines are gone with its card.
    assert carried(meters, 5, ("Inbound", None), ("Inbound", 6), ("Outbound", 1)) == (6, 1)
    assert carried(meters, 8, (None, None)) == (6, 1)


def test_what_has_no_value_yet_is_left_out() -> None:
    assert looked(Meters(), None, 0, 0) == {}


@pytest.mark.counterpart("hyperv-sim")
def test_a_reset_at_the_host_is_seen_by_any_connector(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    connector.power(IDENTITY, PowerAction.ON)
    simulator.plant("not-metered", state="Running")
    begun = []
    for _ in range(3):
        for other in (connector, connect(simulator)):
            found = list(other.usage(NOON.replace(year=2020)))
            assert {one.identity for one in found} == {IDENTITY}
            assert [one.value for one in found if one.metric == "memory_assigned_mib"] == [512]
            begun.append({one.begun_at for one in found if one.counter})
        simulator.reset_metering()
        connector.power(IDENTITY, PowerAction.ON)
    (first, again, *_, last) = (at for (at,) in begun)
    assert first is not None
    assert again is not None
    assert abs(first - again) < last - first


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
