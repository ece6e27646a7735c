"""Metering against loads that were stated at the simulator, and summed up by hand."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors import registry
from connectors.contract import Connector, PowerAction, UsageReading, VmSpec
from connectors.drivers.vsphere import metering
from connectors.errors import ConnectorError, DeadlineExceeded, Refused, Unreachable
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


@pytest.fixture
def running(connector: Connector, spec: VmSpec) -> tuple[UUID, str]:
    identity = uuid4()
    connector.create_vm(spec, identity)
    return identity, connector.power(identity, PowerAction.ON).native_id


@pytest.fixture
def begin_s() -> int:
    """A time ten minutes ago at which a sample ended."""
    return int(time.time()) // 20 * 20 - 600


def at(moment_s: float) -> datetime:
    return datetime.fromtimestamp(moment_s, UTC)


def by_metric(readings: Any) -> dict[str, int]:
    return {reading.metric: reading.value for reading in readings}


def test_the_sums_are_those_of_the_stated_load(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], begin_s: int
) -> None:
    identity, machine = running
    first = {
        "cpu.used.summation": 500,  # ms a second: half a processor
        "virtualDisk.read.average@scsi0:0": 100,
        "virtualDisk.read.average@scsi0:1": 7,
        "virtualDisk.write.average@scsi0:0": 30,
        "net.received.average": 12,
        "net.transmitted.average": 5,
        "mem.consumed.average": 300 * 1024,
    }
    then = {"cpu.used.summation": 1250, "mem.consumed.average": 200 * 1024 + 1023}
    last = {"mem.consumed.average": 200 * 1024 + 1023}
    # The load ends in the middle of a sample.
    simulator.set_load(machine, (begin_s, first), (begin_s + 100, then), (begin_s + 210, last))
    readings = list(connector.usage(at(begin_s)))
    assert by_metric(readings) == {
        "cpu_ms": 100 * 500 + 110 * 1250,
        "disk_read_bytes": 100 * (100 + 7) * 1024,
        "disk_written_bytes": 100 * 30 * 1024,
        "net_received_bytes": 100 * 12 * 1024,
        "net_sent_bytes": 100 * 5 * 1024,
        "memory_consumed_mib": 200,
    }
    assert {reading.identity for reading in readings} == {identity}
    assert {reading.metric for reading in readings if not reading.counter} == {"memory_consumed_mib"}
    newest = {reading.at for reading in readings}
    assert len(newest) == 1
    assert timedelta(0) <= datetime.now(UTC) - newest.pop() < timedelta(seconds=45)


def test_what_was_before_the_time_asked_for_is_not_counted(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], begin_s: int
) -> None:
    simulator.set_load(running[1], (begin_s, {"cpu.used.summation": 100}), (begin_s + 200, {}))
    assert by_metric(connector.usage(at(begin_s + 60)))["cpu_ms"] == 140 * 100


def test_a_machine_that_was_read_before_counts_from_where_it_was_left(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], begin_s: int
) -> None:
    simulator.set_load(running[1], (begin_s, {"cpu.used.summation": 100}), (begin_s + 200, {}))
    connector.count_from({running[0]: at(begin_s + 60)})
    assert by_metric(connector.usage(at(begin_s)))["cpu_ms"] == 140 * 100


def test_a_sample_that_was_counted_is_not_counted_again(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], begin_s: int
) -> None:
    simulator.set_load(running[1], (begin_s, {"cpu.used.summation": 100}), (begin_s + 200, {}))
    for _ in range(3):
        assert by_metric(connector.usage(at(begin_s)))["cpu_ms"] == 20_000


def test_a_machine_that_is_off_or_not_ours_has_no_readings(
    connector: Connector, running: tuple[UUID, str], begin_s: int
) -> None:
    assert {reading.identity for reading in connector.usage(at(begin_s))} == {running[0]}
    connector.power(running[0], PowerAction.OFF)
    assert list(connector.usage(at(begin_s))) == []


def test_nothing_is_told_that_is_older_than_asked_for(
    connector: Connector, running: tuple[UUID, str]
) -> None:
    assert list(connector.usage(datetime.now(UTC) + timedelta(hours=1))) == []


def test_many_machines_are_asked_for_in_batches(
    start: Start, spec: VmSpec, begin_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering, "BATCH", 2)
    simulator = start(Estate())
    wanted = {}
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        for number in range(5):
            identity = uuid4()
            connector.create_vm(spec.model_copy(update={"name": f"web-{number}"}), identity)
            machine = connector.power(identity, PowerAction.ON).native_id
            simulator.set_load(machine, (begin_s, {"cpu.used.summation": number}), (begin_s + 40, {}))
            wanted[identity] = 40 * number
        simulator.rules()
        found = {r.identity: r.value for r in connector.usage(at(begin_s)) if r.metric == "cpu_ms"}
    assert found == wanted
    assert simulator.calls()["QueryPerf"] == 3


def test_the_same_is_measured_by_the_vendors_client(
    simulator: VsphereSimulator, running: tuple[UUID, str], look: Look, begin_s: int
) -> None:
    from pyVmomi import vim

    simulator.set_load(running[1], (begin_s + 10, {"cpu.used.summation": 30}), (begin_s + 50, {}))
    with look(simulator) as raw:
        manager = raw.content.perfManager
        (counter,) = [
            info.key
            for info in manager.perfCounter
            if (info.groupInfo.key, info.nameInfo.key, info.rollupType) == ("cpu", "used", "summation")
        ]
        query = vim.PerformanceManager.QuerySpec(
            entity=raw.of(running[0])[0],
            metricId=[vim.PerformanceManager.MetricId(counterId=counter, instance="")],
            intervalId=20,
            startTime=at(begin_s),
            endTime=at(begin_s + 80),
        )
        (answer,) = manager.QueryPerf([query])
    assert [info.timestamp.timestamp() - begin_s for info in answer.sampleInfo] == [20, 40, 60, 80]
    assert list(answer.value[0].value) == [300, 600, 300, 0]


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (Rule(method="QueryPerf", action="fault", fault="NoPermission"), Refused),
        (Rule(method="QueryPerf", action="http", status=503), Unreachable),
        (Rule(method="QueryPerf", action="reset"), Unreachable),
        (Rule(method="QueryPerf", action="delay", delay_ms=4000), DeadlineExceeded),
    ],
    ids=["fault", "http", "reset", "delay"],
)
def test_a_failure_is_named_and_nothing_is_lost_by_it(
    simulator: VsphereSimulator,
    running: tuple[UUID, str],
    begin_s: int,
    rule: Rule,
    kind: type[ConnectorError],
) -> None:
    simulator.set_load(running[1], (begin_s, {"cpu.used.summation": 100}), (begin_s + 200, {}))
    limit_s = 2 if kind is DeadlineExceeded else 10
    with registry.connect(simulator.endpoint(timeout_s=limit_s), simulator.password) as connector:
        simulator.rules(rule)
        started = time.monotonic()
        with pytest.raises(kind):
            list(connector.usage(at(begin_s)))
        assert time.monotonic() - started < limit_s * 1.1 + 0.5
        simulator.rules()
        assert by_metric(connector.usage(at(begin_s)))["cpu_ms"] == 20_000


@pytest.mark.parametrize("fault", ["NotAuthenticated", "ManagedObjectNotFound"])
def test_a_lost_session_or_a_machine_that_went_meanwhile_is_made_up_for(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], begin_s: int, fault: str
) -> None:
    simulator.rules(Rule(method="QueryPerf", action="fault", fault=fault, times=1))
    assert list(connector.usage(at(begin_s)))
    calls = simulator.calls()
    assert calls["QueryPerf"] == 2
    assert calls["CreateContainerView"] == calls["DestroyView"]


def test_a_reading_names_its_unit(connector: Connector, running: tuple[UUID, str], begin_s: int) -> None:
    readings: list[UsageReading] = list(connector.usage(at(begin_s)))
    assert {reading.metric.rpartition("_")[2] for reading in readings} == {"ms", "bytes", "mib"}
