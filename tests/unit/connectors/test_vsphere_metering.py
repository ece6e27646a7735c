"""Counting vCenter's samples: each once, whatever order and however many come, and none that are missing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from connectors.drivers.vsphere.metering import Meters

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDS = {"cpu.used.summation": 14, "net.received.average": 148, "mem.consumed.average": 98}


def answer(ends_s: Sequence[int], cpu: Sequence[int], net: Sequence[int] = ()) -> Any:
    """What QueryPerf gives for samples that end so many seconds after noon."""
    info = [SimpleNamespace(timestamp=NOON + timedelta(seconds=end), interval=20) for end in ends_s]
    series = [SimpleNamespace(id=SimpleNamespace(counterId=14, instance=""), value=list(cpu))]
    if net:
        series.append(SimpleNamespace(id=SimpleNamespace(counterId=148, instance=""), value=list(net)))
    return SimpleNamespace(sampleInfo=info, value=series)


def read(meters: Meters, identity: UUID, seen: Any) -> dict[str, int]:
    return {r.metric: r.value for r in meters._read(identity, seen, IDS, NOON)}


def test_overlapping_answers_count_each_sample_once() -> None:
    meters, identity = Meters(), uuid4()
    assert read(meters, identity, answer([20, 40], [100, 10])) == {"cpu_ms": 110}
    assert read(meters, identity, answer([20, 40, 60], [100, 10, 1])) == {"cpu_ms": 111}
    assert read(meters, identity, answer([60, 80], [1, 5000])) == {"cpu_ms": 5111}


def test_newest_first_is_as_good_as_oldest_first() -> None:
    meters, identity = Meters(), uuid4()
    assert read(meters, identity, answer([40, 20], [10, 100])) == {"cpu_ms": 110}
    (reading,) = meters._read(identity, answer([60, 40], [1, 10]), IDS, NOON)
    assert (reading.value, reading.at) == (111, NOON + timedelta(seconds=60))


def test_a_sample_that_is_missing_counts_as_nothing() -> None:
    assert read(Meters(), uuid4(), answer([20, 40, 60], [100, -1, 10], [3, -1])) == {
        "cpu_ms": 110,
        "net_received_bytes": 3 * 20 * 1024,
    }


def test_samples_from_before_the_first_look_do_not_count() -> None:
    assert read(Meters(), uuid4(), answer([-20, 0, 20], [7, 7, 100])) == {"cpu_ms": 100}


def test_a_machine_without_samples_has_no_reading() -> None:
    assert read(Meters(), uuid4(), answer([], [])) == {}
