"""The contract's own values and defaults."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import uuid4

import pytest
from pydantic import ValidationError

from catalog.capabilities import Capability, Gap, GapReason
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import PLATFORM_CAPABILITIES, PowerAction, UsageReading, VmSpec, hot_resize
from connectors.drivers.simulated import Simulated
from connectors.errors import Unsupported
from tierwise.testing.promises.reporting import PROVED

ENDPOINT = Endpoint(name="sim", driver="plain", address="memory:plain")


class Plain(Simulated):
    """A driver that leaves the optional operations to the contract."""

    driver = "plain"
    gaps: ClassVar = {
        **Simulated.gaps,
        Capability.SNAPSHOT: Gap(reason=GapReason.NOT_YET, detail="nobody wrote it"),
        Capability.REVERT: Gap(reason=GapReason.NEVER, detail="there is nothing to revert to"),
        Capability.DELETE_SNAPSHOT: Gap(reason=GapReason.NEVER, detail="there is nothing to delete"),
        Capability.METRICS_CPU: Gap(reason=GapReason.NOT_LICENSED, detail="meters need a licence"),
    }


def test_each_power_action_needs_the_capability_of_its_name() -> None:
    assert {action.capability for action in PowerAction} == {
        Capability.POWER_ON,
        Capability.POWER_OFF,
        Capability.SHUTDOWN,
        Capability.SUSPEND,
    }


def test_a_capability_is_either_done_by_a_call_or_by_the_platform() -> None:
    assert not PROVED & PLATFORM_CAPABILITIES


@pytest.mark.parametrize("name", ["", "x" * 81])
def test_a_name_has_1_to_80_characters(name: str) -> None:
    with pytest.raises(ValidationError):
        VmSpec(name=name, provider="east", resources=Resources())


def test_a_reading_without_time_zone_is_no_reading() -> None:
    with pytest.raises(ValidationError):
        UsageReading(identity=uuid4(), metric="cpu_ms", value=1, at=datetime(2026, 1, 1), counter=True)  # noqa: DTZ001 -- the mistake under test


@pytest.mark.parametrize(
    ("call", "capability"),
    [
        (lambda c: super(Simulated, c).snapshot(uuid4(), "a"), Capability.SNAPSHOT),
        (lambda c: super(Simulated, c).list_snapshots(uuid4()), Capability.SNAPSHOT),
        (lambda c: super(Simulated, c).revert(uuid4(), "a"), Capability.REVERT),
        (lambda c: super(Simulated, c).delete_snapshot(uuid4(), "a"), Capability.DELETE_SNAPSHOT),
        (lambda c: super(Simulated, c).usage(datetime.now(UTC)), Capability.METRICS_CPU),
    ],
    ids=["snapshot", "list_snapshots", "revert", "delete_snapshot", "usage"],
)
def test_an_operation_that_a_driver_leaves_out_says_its_declared_gap(call, capability) -> None:  # noqa: ANN001 -- any callable
    with pytest.raises(Unsupported) as caught:
        call(Plain(ENDPOINT))
    assert caught.value.gap == Plain.gaps[capability]


def test_a_connector_opens_and_closes_with_its_block() -> None:
    connector = Simulated(ENDPOINT)
    with connector as entered:
        assert entered is connector
        assert connector.list_vms() == []
    assert connector._database is None


def test_a_running_machine_needs_less_where_its_memory_alone_changes() -> None:
    now = Resources(vcpu=2, memory_mib=1024, disk_gib=10)
    more = now + Resources(memory_mib=512)
    assert {hot_resize(now, more), hot_resize(more, now)} == {Capability.RESIZE_MEMORY_HOT}
    for other in (Resources(vcpu=1), Resources(disk_gib=1), Resources(vcpu=1, memory_mib=512)):
        assert hot_resize(now, now + other) is Capability.RESIZE_HOT
