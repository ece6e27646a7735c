# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""What a probe, the inventory and the meters report."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import (
    PLATFORM_CAPABILITIES,
    Connector,
    DiskFormat,
    PoolSnapshot,
    PowerAction,
    PowerState,
    UsageReading,
)
from tierwise.testing.promises.base import Counterpart, Machines, Needs, identity_of, pool_of

METRICS = {
    Capability.METRICS_CPU: "cpu_",
    Capability.METRICS_MEMORY: "memory_",
    Capability.METRICS_DISK: "disk_",
    Capability.METRICS_NET: "net_",
}
"""The beginning of the metric names that each capability stands for."""

PROVED = frozenset(
    {
        Capability.CREATE,
        Capability.DELETE,
        Capability.POWER_ON,
        Capability.POWER_OFF,
        Capability.SHUTDOWN,
        Capability.SUSPEND,
        Capability.RESIZE_COLD,
        Capability.RESIZE_HOT,
        Capability.RESIZE_MEMORY_HOT,
        Capability.ADD_DISK,
        Capability.DISK_HOTPLUG,
        Capability.GROW_DISK,
        Capability.GROW_DISK_HOT,
        Capability.REMOVE_DISK,
        Capability.REMOVE_DISK_HOT,
        Capability.SNAPSHOT,
        Capability.REVERT,
        Capability.DELETE_SNAPSHOT,
        Capability.LIVE_MIGRATE,
        Capability.SEED_DISK,
        Capability.STORAGE_MIGRATE,
        Capability.TEMPLATE,
        Capability.TAGS,
        Capability.WATCH,
        *METRICS,
        *(form.importing for form in DiskFormat),
        *(form.exporting for form in DiskFormat),
    }
)
"""What this suite puts to the test wherever it is not declared missing."""


class ReportingPromises(Counterpart):
    """What is reported is consistent with itself and with what was done."""

    def test_a_probe_names_its_endpoint_and_product(self, connector: Connector) -> None:
        seen = connector.probe()
        assert seen.endpoint == connector.endpoint.name
        assert seen.product
        assert seen.pools

    def test_provider_and_host_names_stand_once(self, connector: Connector) -> None:
        pools = connector.probe().pools
        providers = [pool.provider for pool in pools]
        assert len(providers) == len(set(providers))
        for pool in pools:
            names = [host.name for host in pool.hosts]
            assert len(names) == len(set(names)), f"hosts of '{pool.provider}' share a name"

    def test_a_total_is_the_sum_of_the_usable_hosts(self, connector: Connector) -> None:
        for pool in connector.probe().pools:
            usable = sum((h.resources for h in pool.hosts if h.usable), Resources())
            assert (pool.total.vcpu, pool.total.memory_mib) == (usable.vcpu, usable.memory_mib)

    def test_a_host_has_no_more_sockets_than_cores_and_no_more_cores_than_threads(
        self, connector: Connector
    ) -> None:
        for host in (host for pool in connector.probe().pools for host in pool.hosts if host.usable):
            assert host.cores <= host.resources.vcpu
            assert host.sockets <= (host.cores or host.resources.vcpu)

    def test_a_probe_only_adds_to_the_declared_gaps(self, connector: Connector) -> None:
        declared = type(connector).declared().gaps
        for pool in connector.probe().pools:
            kept = {c: pool.capabilities.gap(c) for c in declared}
            assert kept == dict(declared), f"the probe of '{pool.provider}' contradicts the driver"

    def test_a_capability_without_a_call_is_declared_missing(self, pool: PoolSnapshot) -> None:
        nowhere = [
            capability.value
            for capability in Capability
            if capability not in PROVED | PLATFORM_CAPABILITIES and pool.capabilities.has(capability)
        ]
        assert nowhere == [], f"no call of the contract does these; declare them not_yet: {nowhere}"

    def test_two_probes_of_an_idle_endpoint_are_equal(self, connector: Connector) -> None:
        assert connector.probe() == connector.probe()

    def test_used_disk_counts_a_machine_that_is_off(
        self, connector: Connector, needs: Needs, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE)
        machines.make()
        used = pool_of(connector, pool.provider).used
        assert used == pool.used + Resources(disk_gib=self.small.disk_gib)

    def test_used_vcpu_and_memory_count_a_machine_that_runs(
        self, connector: Connector, needs: Needs, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON)
        machines.make(on=True)
        assert pool_of(connector, pool.provider).used == pool.used + self.small

    def test_the_list_shows_a_machine_as_get_does(
        self, connector: Connector, needs: Needs, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        view = machines.make()
        listed = [v for v in connector.list_vms() if v.identity == view.identity]
        assert listed == [connector.get_vm(identity_of(view))]

    def test_the_list_is_in_order_of_name_and_native_id(
        self, connector: Connector, needs: Needs, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        for name in ("tw-b", "tw-a", "tw-C", "tw-ä"):
            machines.make(name=name)
        keys = [(view.name, view.native_id) for view in connector.list_vms()]
        assert keys == sorted(keys)

    def test_a_running_machine_is_on_a_host_of_its_provider(
        self, connector: Connector, needs: Needs, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON)
        view = machines.make(on=True)
        assert view.provider == pool.provider
        assert view.host in {host.name for host in pool.hosts if host.usable}

    def test_a_foreign_machine_is_listed_without_identity(
        self, connector: Connector, plant_foreign: Callable[[str], None] | None
    ) -> None:
        if plant_foreign is None:
            pytest.skip("no machine can be made behind tierwise's back here")
        plant_foreign("somebody-elses")
        found = [view for view in connector.list_vms() if view.name == "somebody-elses"]
        assert [view.identity for view in found] == [None]

    def test_clocks_that_are_told_show_the_time_in_utc(self, connector: Connector) -> None:
        earliest = datetime.now(UTC) - self.clock_skew
        told = connector.clocks()
        latest = datetime.now(UTC) + self.clock_skew
        for name, at in told.items():
            assert at.utcoffset() == timedelta(), f"the clock of '{name}' is not told in UTC"
            assert earliest <= at <= latest, f"the clock of '{name}' is {at}, at {latest}"

    @pytest.mark.parametrize("capability", METRICS, ids=lambda c: c.value)
    def test_a_running_machine_is_measured(
        self, capability: Capability, connector: Connector, needs: Needs, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, capability)
        identity = identity_of(machines.make(on=True))
        readings = measured(connector, identity, METRICS[capability])
        assert readings, f"{capability.value} is not declared missing, but nothing was measured"
        assert all(reading.value >= 0 for reading in readings)

    def test_counters_never_fall(self, connector: Connector, needs: Needs, machines: Machines) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.METRICS_CPU)
        identity = identity_of(machines.make(on=True))
        before = counters(measured(connector, identity))
        after = counters(measured(connector, identity))
        assert before
        assert all(after[metric] >= value for metric, value in before.items())

    def test_no_reading_is_of_a_machine_that_is_gone(
        self, connector: Connector, needs: Needs, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE, Capability.METRICS_CPU)
        identity = identity_of(machines.make())
        connector.delete_vm(identity)
        assert measured(connector, identity) == []

    def test_a_power_state_is_the_one_that_was_asked_for(
        self, connector: Connector, needs: Needs, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.POWER_OFF)
        identity = identity_of(machines.make(on=True))
        assert connector.get_vm(identity).power is PowerState.ON
        connector.power(identity, PowerAction.OFF)
        assert connector.get_vm(identity).power is PowerState.OFF


def measured(connector: Connector, identity: UUID, beginning: str = "") -> list[UsageReading]:
    """The last hour's readings of one machine whose metric begins with `beginning`."""
    readings = connector.usage(datetime.now(UTC) - timedelta(hours=1))
    return [r for r in readings if r.identity == identity and r.metric.startswith(beginning)]


def counters(readings: Iterable[UsageReading]) -> dict[tuple[str, str], int]:
    """The last value of each counter, by metric and part."""
    ordered = sorted((r for r in readings if r.counter), key=lambda r: r.at)
    return {(reading.metric, reading.part): reading.value for reading in ordered}
