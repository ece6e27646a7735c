# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Disks are added to a machine that is there, and grow one by one."""

from collections.abc import Callable
from typing import ClassVar
from uuid import UUID

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import Connector, Disk, NewDisk, PoolSnapshot, PowerAction, PowerState, VmView
from connectors.errors import Conflict, NotFound, Unsupported
from tierwise.testing.promises.base import Counterpart, Machines, Needs, identity_of, pool_of

GIB = 2**30
ADD = {False: Capability.ADD_DISK, True: Capability.DISK_HOTPLUG}
GROW = {False: Capability.GROW_DISK, True: Capability.GROW_DISK_HOT}
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


class AddingPromises(Counterpart):
    """A disk is added once, and a disk that grows leaves the others as they are."""

    data: ClassVar[NewDisk] = NewDisk(name="data", size_gib=1)
    """The disk that is added."""

    @STATES
    def test_a_disk_that_is_added_twice_is_there_once_and_the_machine_is_as_before(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        view = self._made(needs, machines, ADD[on], on=on)
        identity = identity_of(view)
        (first,) = connector.details(identity).disks
        for _ in ("it is added", "it is there"):
            assert connector.add_disk(identity, self.data) == grown(view, self.data.size_gib)
        before, added = connector.details(identity).disks
        assert before == first
        assert (added.name, added.size_bytes) == (self.data.name, self.data.size_gib * GIB)
        assert added.key != first.key

    @STATES
    def test_several_disks_are_told_in_the_order_in_which_they_were_added(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        view = self._made(needs, machines, ADD[on], on=on)
        identity = identity_of(view)
        names = ["zeta", "data", "2"]
        for name in names:
            connector.add_disk(identity, NewDisk(name=name, size_gib=1))
        assert [disk.name for disk in connector.details(identity).disks] == ["", *names]
        assert connector.get_vm(identity) == grown(view, 3)

    def test_a_disk_of_the_same_name_and_another_size_is_a_conflict(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        identity = identity_of(self._made(needs, machines, Capability.ADD_DISK, on=False))
        view = connector.add_disk(identity, self.data)
        with pytest.raises(Conflict):
            connector.add_disk(identity, self.data.model_copy(update={"size_gib": 2}))
        assert connector.get_vm(identity) == view

    @STATES
    def test_a_machine_that_was_given_a_disk_starts_stops_and_is_resized_with_it(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        needs(Capability.POWER_ON, Capability.POWER_OFF, Capability.RESIZE_COLD)
        view = self._made(needs, machines, ADD[on], on=on)
        identity = identity_of(view)
        connector.add_disk(identity, self.data)
        connector.power(identity, PowerAction.OFF)
        more = view.resources + Resources(vcpu=1, disk_gib=self.data.size_gib)
        assert connector.resize(identity, more).resources == more
        assert connector.power(identity, PowerAction.ON).resources == more
        assert self._sizes(connector, identity) == {"": view.resources.disk_gib, self.data.name: 1}

    @STATES
    def test_each_disk_grows_by_itself(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        needs(Capability.ADD_DISK, *([Capability.POWER_ON] if on else []))
        view = self._made(needs, machines, GROW[on], on=False)
        identity = identity_of(view)
        connector.add_disk(identity, self.data)
        if on:
            connector.power(identity, PowerAction.ON)
        first, added = connector.details(identity).disks
        for disk, size_gib, more in ((added, 3, 3), (first, view.resources.disk_gib + 1, 4)):
            for _ in ("it grows", "it has that size"):
                after = connector.grow_disk(identity, disk.key, size_gib)
                assert after.resources.disk_gib == view.resources.disk_gib + more
        assert after.power is (PowerState.ON if on else PowerState.OFF)
        sizes = {"": view.resources.disk_gib + 1, self.data.name: 3}
        assert self._sizes(connector, identity) == sizes

    def test_a_disk_that_would_shrink_is_a_conflict_and_stays(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        view = self._made(needs, machines, Capability.GROW_DISK, on=False, resources=self.bigger)
        identity = identity_of(view)
        (disk,) = connector.details(identity).disks
        with pytest.raises(Conflict):
            connector.grow_disk(identity, disk.key, self.bigger.disk_gib - 1)
        assert connector.get_vm(identity) == view

    @STATES
    def test_a_disk_that_is_not_there_is_not_found(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        view = self._made(needs, machines, GROW[on], on=on)
        with pytest.raises(NotFound):
            connector.grow_disk(identity_of(view), "no-such-disk", 9)
        assert connector.get_vm(identity_of(view)) == view

    @STATES
    def test_a_disk_that_cannot_be_added_or_grown_is_refused_with_the_reason(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot, *, on: bool
    ) -> None:
        missing = [gap for c in (ADD[on], GROW[on]) if (gap := pool.capabilities.gap(c)) is not None]
        if not missing:
            pytest.skip("disks are added and grow; other tests prove it")
        needs(Capability.CREATE, *([Capability.POWER_ON] if on else []))
        identity = identity_of(machines.make(on=on))
        refused = []
        calls: dict[Capability, Callable[[], VmView]] = {
            ADD[on]: lambda: connector.add_disk(identity, self.data),
            GROW[on]: lambda: connector.grow_disk(identity, "any", 9),
        }
        for capability, change in calls.items():
            if not pool.capabilities.has(capability):
                with pytest.raises(Unsupported) as caught:
                    change()
                refused.append(caught.value.gap)
        assert refused == missing

    def test_a_machine_with_snapshots_keeps_its_disks_as_they_are(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.SNAPSHOT, Capability.GROW_DISK)
        view = self._made(needs, machines, Capability.ADD_DISK, on=False)
        identity = identity_of(view)
        (disk,) = connector.details(identity).disks
        connector.snapshot(identity, "before")
        with pytest.raises(Conflict):
            connector.add_disk(identity, self.data)
        with pytest.raises(Conflict):
            connector.grow_disk(identity, disk.key, 9)
        assert connector.get_vm(identity) == view

    def test_going_back_to_a_snapshot_keeps_a_disk_that_was_added_before(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.SNAPSHOT, Capability.REVERT)
        identity = identity_of(self._made(needs, machines, Capability.ADD_DISK, on=False))
        view = connector.add_disk(identity, self.data)
        connector.snapshot(identity, "with-it")
        connector.revert(identity, "with-it")
        assert connector.get_vm(identity) == view
        assert [disk.name for disk in connector.details(identity).disks] == ["", self.data.name]

    def test_a_suspended_machine_keeps_its_disks_as_they_are(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.POWER_ON, Capability.SUSPEND, Capability.GROW_DISK)
        view = self._made(needs, machines, Capability.ADD_DISK, on=True)
        identity = identity_of(view)
        (disk,) = connector.details(identity).disks
        connector.power(identity, PowerAction.SUSPEND)
        with pytest.raises(Conflict):
            connector.add_disk(identity, self.data)
        with pytest.raises(Conflict):
            connector.grow_disk(identity, disk.key, 9)
        assert connector.get_vm(identity).resources == view.resources

    def test_a_machine_is_removed_with_the_disks_that_it_was_given(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.DELETE)
        identity = identity_of(self._made(needs, machines, Capability.ADD_DISK, on=False))
        connector.add_disk(identity, self.data)
        connector.delete_vm(identity)
        assert pool_of(connector, pool.provider).used == pool.used
        spec = machines.spec(identity)
        assert connector.create_vm(spec, identity).resources == spec.resources
        assert [disk.name for disk in connector.details(identity).disks] == [""]

    def _made(
        self, needs: Needs, machines: Machines, capability: Capability, *, on: bool, **changes: object
    ) -> VmView:
        """A machine, where the endpoint has the capability."""
        needs(Capability.CREATE, capability, *([Capability.POWER_ON] if on else []))
        return machines.make(on=on, **changes)

    def _sizes(self, connector: Connector, identity: UUID) -> dict[str, int]:
        return {disk.name: size_gib(disk) for disk in connector.details(identity).disks}


def grown(view: VmView, more_gib: int) -> VmView:
    """A machine as before, with more disk."""
    resources = view.resources + Resources(disk_gib=more_gib)
    return view.model_copy(update={"resources": resources})


def size_gib(disk: Disk) -> int:
    """The whole size of a disk."""
    assert disk.size_bytes % GIB == 0, disk
    return disk.size_bytes // GIB
