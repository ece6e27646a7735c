# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Power, resizing and snapshots, and the refusal of what is declared missing."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import Connector, Disk, NewDisk, PoolSnapshot, PowerAction, PowerState
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Unsupported
from tierwise.testing.promises.base import Counterpart, Machines, Needs, identity_of, snapshot_names
from tierwise.testing.promises.reporting import METRICS

Call = Callable[[Connector, UUID], object]

NO_DISK = Disk(key="more", size_bytes=0, bus="any", name="more")

OFF_CALLS: Mapping[Capability, Call] = {
    Capability.DELETE: lambda c, i: c.delete_vm(i),
    Capability.POWER_ON: lambda c, i: c.power(i, PowerAction.ON),
    Capability.RESIZE_COLD: lambda c, i: c.resize(i, c.get_vm(i).resources + Resources(vcpu=1)),
    Capability.ADD_DISK: lambda c, i: c.add_disk(i, NewDisk(name="more", size_gib=1)),
    Capability.GROW_DISK: lambda c, i: c.grow_disk(i, "the-first", 2),
    Capability.REMOVE_DISK: lambda c, i: c.remove_disk(i, NO_DISK),
    Capability.SNAPSHOT: lambda c, i: c.snapshot(i, "before"),
    Capability.REVERT: lambda c, i: c.revert(i, "before"),
    Capability.DELETE_SNAPSHOT: lambda c, i: c.delete_snapshot(i, "before"),
    Capability.TAGS: lambda c, i: c.tag(i, {"tenant": "sales"}),
}
"""The call that needs a capability of a machine that is off."""

ON_CALLS: Mapping[Capability, Call] = {
    Capability.POWER_OFF: lambda c, i: c.power(i, PowerAction.OFF),
    Capability.SHUTDOWN: lambda c, i: c.power(i, PowerAction.SHUTDOWN),
    Capability.SUSPEND: lambda c, i: c.power(i, PowerAction.SUSPEND),
    Capability.RESIZE_HOT: lambda c, i: c.resize(i, c.get_vm(i).resources + Resources(vcpu=1)),
    Capability.RESIZE_MEMORY_HOT: lambda c, i: c.resize(
        i, c.get_vm(i).resources + Resources(memory_mib=128)
    ),
    Capability.DISK_HOTPLUG: lambda c, i: c.add_disk(i, NewDisk(name="more", size_gib=1)),
    Capability.GROW_DISK_HOT: lambda c, i: c.grow_disk(i, "the-first", 2),
    Capability.REMOVE_DISK_HOT: lambda c, i: c.remove_disk(i, NO_DISK),
}
"""The call that needs a capability of a machine that runs."""

ALL_CALLS: Mapping[Capability, Call] = {**OFF_CALLS, **ON_CALLS}
NEED_A_MACHINE = [capability for capability in ALL_CALLS if capability is not Capability.DELETE]


class OperationPromises(Counterpart):
    """Each operation does what it says, does nothing when there is nothing to do, and says no plainly."""

    @pytest.mark.parametrize("capability", ALL_CALLS, ids=lambda c: c.value)
    def test_a_declared_gap_is_refused_with_its_reason(
        self, capability: Capability, needs: Needs, machines: Machines, pool: PoolSnapshot
    ) -> None:
        gap = pool.capabilities.gap(capability)
        if gap is None:
            pytest.skip(f"{capability.value} is there; other tests prove it")
        needs(Capability.CREATE, *([Capability.POWER_ON] if capability in ON_CALLS else []))
        identity = identity_of(machines.make(on=capability in ON_CALLS))
        before = machines.connector.get_vm(identity)
        with pytest.raises(Unsupported) as caught:
            ALL_CALLS[capability](machines.connector, identity)
        assert (caught.value.capability, caught.value.gap) == (capability, gap)
        assert machines.connector.get_vm(identity) == before

    def test_an_endpoint_that_cannot_create_says_why(self, machines: Machines, pool: PoolSnapshot) -> None:
        gap = pool.capabilities.gap(Capability.CREATE)
        if gap is None:
            pytest.skip("create is there; other tests prove it")
        with pytest.raises(Unsupported) as caught:
            machines.make()
        assert caught.value.gap == gap

    def test_an_endpoint_without_meters_says_why(self, connector: Connector, pool: PoolSnapshot) -> None:
        gaps = [pool.capabilities.gap(capability) for capability in METRICS]
        if None in gaps:
            pytest.skip("something is measured; other tests prove it")
        with pytest.raises(Unsupported) as caught:
            list(connector.usage(datetime.now(UTC)))
        assert caught.value.gap in gaps

    @pytest.mark.parametrize("capability", NEED_A_MACHINE, ids=lambda c: c.value)
    def test_a_machine_that_is_not_there_is_not_found(
        self, capability: Capability, needs: Needs, connector: Connector
    ) -> None:
        needs(capability)
        with pytest.raises(NotFound):
            ALL_CALLS[capability](connector, uuid4())

    @pytest.mark.parametrize("action", [PowerAction.ON, PowerAction.OFF], ids=lambda a: a.value)
    def test_asking_for_the_present_power_state_changes_nothing(
        self, action: PowerAction, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, action.capability)
        view = machines.make(on=action is PowerAction.ON)
        identity = identity_of(view)
        assert connector.power(identity, action) == view
        assert connector.get_vm(identity) == view

    def test_a_shutdown_ends_in_off_or_at_the_deadline(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.POWER_OFF, Capability.SHUTDOWN)
        identity = identity_of(machines.make(on=True))
        try:
            assert connector.power(identity, PowerAction.SHUTDOWN).power is PowerState.OFF
        except DeadlineExceeded:
            assert not self.guests_obey_shutdown, "the guest should have shut down in time"
            assert connector.power(identity, PowerAction.OFF).power is PowerState.OFF

    def test_shutting_down_what_is_off_is_nothing(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SHUTDOWN)
        view = machines.make()
        assert connector.power(identity_of(view), PowerAction.SHUTDOWN) == view

    @pytest.mark.parametrize("action", [PowerAction.ON, PowerAction.OFF], ids=lambda a: a.value)
    def test_a_suspended_machine_goes_on_or_off(
        self, action: PowerAction, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.SUSPEND, action.capability)
        identity = identity_of(machines.make(on=True))
        assert connector.power(identity, PowerAction.SUSPEND).power is PowerState.SUSPENDED
        assert connector.power(identity, PowerAction.SUSPEND).power is PowerState.SUSPENDED
        expected = PowerState.ON if action is PowerAction.ON else PowerState.OFF
        assert connector.power(identity, action).power is expected

    def test_a_suspended_machine_cannot_be_shut_down(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.SUSPEND, Capability.SHUTDOWN)
        identity = identity_of(machines.make(on=True))
        connector.power(identity, PowerAction.SUSPEND)
        with pytest.raises(Conflict):
            connector.power(identity, PowerAction.SHUTDOWN)
        assert connector.get_vm(identity).power is PowerState.SUSPENDED

    def test_a_machine_that_is_off_cannot_be_suspended(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SUSPEND)
        identity = identity_of(machines.make())
        with pytest.raises(Conflict):
            connector.power(identity, PowerAction.SUSPEND)

    def test_a_machine_that_is_off_grows_and_shrinks(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.RESIZE_COLD)
        identity = identity_of(machines.make())
        assert connector.resize(identity, self.bigger).resources == self.bigger
        back = self.small.model_copy(update={"disk_gib": self.bigger.disk_gib})
        assert connector.resize(identity, back).resources == back
        assert connector.get_vm(identity).resources == back

    def test_resizing_to_the_present_size_changes_nothing(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.RESIZE_COLD)
        view = machines.make()
        assert connector.resize(identity_of(view), view.resources) == view

    def test_a_disk_never_shrinks(self, needs: Needs, connector: Connector, machines: Machines) -> None:
        needs(Capability.CREATE, Capability.RESIZE_COLD)
        view = machines.make(resources=self.bigger)
        identity = identity_of(view)
        with pytest.raises(Conflict):
            connector.resize(identity, self.small)
        assert connector.get_vm(identity) == view, "a refused resize must change nothing"

    def test_a_running_machine_grows_without_stopping(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.RESIZE_HOT)
        identity = identity_of(machines.make(on=True))
        view = connector.resize(identity, self.bigger)
        assert view.resources == self.bigger
        assert view.power is PowerState.ON

    def test_a_running_machine_gets_more_memory_alone(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON, Capability.RESIZE_MEMORY_HOT)
        view = machines.make(on=True)
        wanted = self.small.model_copy(update={"memory_mib": self.bigger.memory_mib})
        assert connector.resize(identity_of(view), wanted) == view.model_copy(update={"resources": wanted})

    def test_snapshots_are_listed_oldest_first_and_once(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT)
        identity = identity_of(machines.make())
        assert snapshot_names(connector, identity) == []
        for name in ("second-in-abc", "first & <ünï>", "second-in-abc"):
            connector.snapshot(identity, name)
        assert snapshot_names(connector, identity) == ["second-in-abc", "first & <ünï>"]

    def test_snapshots_have_the_times_at_which_they_were_taken(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT)
        identity = identity_of(machines.make())
        moments = []
        for name in ("second-in-abc", "first"):
            before = datetime.now(UTC)
            connector.snapshot(identity, name)
            moments.append((before - self.clock_skew, datetime.now(UTC) + self.clock_skew))
        told = [one.taken_at for one in connector.list_snapshots(identity)]
        for at, (earliest, latest) in zip(told, moments, strict=True):
            assert earliest <= at <= latest
            assert at.utcoffset() == timedelta(0)
        assert told == sorted(told)

    def test_snapshots_tell_which_they_came_from_where_they_tell_anything(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.REVERT)
        identity = identity_of(machines.make())

        def current() -> list[str]:
            return [one.name for one in connector.list_snapshots(identity) if one.current]

        for name in ("one", "two"):
            connector.snapshot(identity, name)
            assert current() in ([], [name])
        connector.revert(identity, "one")
        assert current() in ([], ["one"])
        connector.snapshot(identity, "three")
        assert current() in ([], ["three"])
        parents = {one.name: one.parent for one in connector.list_snapshots(identity)}
        nothing = dict.fromkeys(parents, "")
        assert parents in (nothing, {"one": "", "two": "one", "three": "one"})

    def test_a_revert_keeps_the_machine_and_its_snapshots(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.REVERT)
        view = machines.make()
        identity = identity_of(view)
        connector.snapshot(identity, "one")
        connector.snapshot(identity, "two")
        connector.revert(identity, "one")
        assert connector.get_vm(identity) == view
        assert sorted(snapshot_names(connector, identity)) == ["one", "two"]

    def test_a_revert_brings_back_the_size(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.REVERT, Capability.RESIZE_COLD)
        identity = identity_of(machines.make())
        connector.snapshot(identity, "before")
        grown = self.bigger.model_copy(update={"disk_gib": self.small.disk_gib})
        connector.resize(identity, grown)
        connector.revert(identity, "before")
        assert connector.get_vm(identity).resources == self.small

    def test_an_unknown_snapshot_is_not_found(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.REVERT)
        view = machines.make()
        with pytest.raises(NotFound):
            connector.revert(identity_of(view), "never-taken")
        assert connector.get_vm(identity_of(view)) == view

    @pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
    def test_of_three_snapshots_one_is_deleted_and_the_machine_stays_as_it_is(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.DELETE_SNAPSHOT)
        needs(*([Capability.POWER_ON] if on else []))
        view = machines.make(on=on)
        identity = identity_of(view)
        for name in ("one", "first & <ünï>", "three"):
            connector.snapshot(identity, name)
        for _ in range(2):
            connector.delete_snapshot(identity, "first & <ünï>")
            assert snapshot_names(connector, identity) == ["one", "three"]
        connector.delete_snapshot(identity, "never-taken")
        assert connector.get_vm(identity) == view

    @pytest.mark.parametrize("gone", ["one", "two", "three"])
    def test_a_revert_brings_back_what_it_did_whatever_snapshot_is_deleted(
        self, gone: str, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.REVERT, Capability.DELETE_SNAPSHOT)
        needs(Capability.RESIZE_COLD)
        identity = identity_of(machines.make())
        sizes = {}
        for at, name in enumerate(("one", "two", "three")):
            size = self.small.model_copy(update={"memory_mib": self.small.memory_mib + 64 * at})
            sizes[name] = connector.resize(identity, size).resources
            connector.snapshot(identity, name)
        connector.delete_snapshot(identity, gone)
        del sizes[gone]
        for name in (*sizes, *reversed(sizes)):
            connector.revert(identity, name)
            assert connector.get_vm(identity).resources == sizes[name]
        assert snapshot_names(connector, identity) == list(sizes)

    def test_the_snapshot_that_a_machine_went_back_to_can_be_deleted_and_taken_anew(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.REVERT, Capability.DELETE_SNAPSHOT)
        view = machines.make()
        identity = identity_of(view)
        connector.snapshot(identity, "one")
        connector.snapshot(identity, "two")
        connector.revert(identity, "one")
        connector.delete_snapshot(identity, "one")
        assert (snapshot_names(connector, identity), connector.get_vm(identity)) == (["two"], view)
        connector.snapshot(identity, "one")
        assert sorted(snapshot_names(connector, identity)) == ["one", "two"]
        connector.revert(identity, "two")
        for name in ("two", "one"):
            connector.delete_snapshot(identity, name)
        assert (snapshot_names(connector, identity), connector.get_vm(identity)) == ([], view)

    def test_a_machine_whose_snapshots_are_deleted_has_its_disks_changed_again(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.SNAPSHOT, Capability.DELETE_SNAPSHOT, Capability.ADD_DISK)
        view = machines.make()
        identity = identity_of(view)
        for name in ("one", "two"):
            connector.snapshot(identity, name)
        for name in ("one", "two"):
            connector.delete_snapshot(identity, name)
        more = connector.add_disk(identity, NewDisk(name="more", size_gib=1)).resources
        assert more == view.resources + Resources(disk_gib=1)
