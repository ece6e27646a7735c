# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Disks are taken out of a machine that is there, once, and never another one than was named."""

from typing import Any, ClassVar
from uuid import UUID

import pytest

from catalog.capabilities import Capability
from connectors.contract import Connector, Disk, NewDisk, PoolSnapshot, PowerAction, PowerState, VmView
from connectors.errors import Conflict
from tierwise.testing.promises.adding import ADD, GIB, STATES
from tierwise.testing.promises.base import Counterpart, Machines, Needs, identity_of, pool_of

REMOVE = {False: Capability.REMOVE_DISK, True: Capability.REMOVE_DISK_HOT}


class RemovingPromises(Counterpart):
    """A disk is removed with its content, and the machine and its other disks stay as they are."""

    doomed: ClassVar[NewDisk] = NewDisk(name="scratch", size_gib=1)
    """The disk that is added and removed."""

    @STATES
    def test_a_disk_that_is_removed_twice_goes_once_and_the_machine_is_as_before(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot, *, on: bool
    ) -> None:
        view = self._with_disks(
            needs, connector, machines, self.doomed, NewDisk(name="data", size_gib=2), on=on
        )
        identity = identity_of(view)
        first, doomed, data = connector.details(identity).disks
        for _ in ("it is removed", "it is gone"):
            assert connector.remove_disk(identity, doomed) == shrunk(view, self.doomed.size_gib)
        assert connector.details(identity).disks == (first, data)
        wanted = pool.used.disk_gib + shrunk(view, self.doomed.size_gib).resources.disk_gib
        assert pool_of(connector, pool.provider).used.disk_gib == wanted

    @STATES
    @pytest.mark.parametrize("change", [{"size_bytes": 2 * GIB}, {"key": "another"}], ids=["size", "key"])
    def test_another_disk_that_has_the_name_by_now_stays(
        self, needs: Needs, connector: Connector, machines: Machines, change: dict[str, Any], *, on: bool
    ) -> None:
        view = self._with_disks(needs, connector, machines, self.doomed, on=on)
        identity = identity_of(view)
        before = connector.details(identity).disks
        with pytest.raises(Conflict):
            connector.remove_disk(identity, before[1].model_copy(update=change))
        assert connector.get_vm(identity) == view
        assert connector.details(identity).disks == before

    @STATES
    def test_the_disk_that_a_machine_was_made_with_stays_whatever_it_is_called(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        view = self._with_disks(needs, connector, machines, on=on)
        identity = identity_of(view)
        (first,) = connector.details(identity).disks
        with pytest.raises(Conflict):
            connector.remove_disk(identity, first)
        connector.remove_disk(identity, first.model_copy(update={"name": self.doomed.name}))
        assert connector.get_vm(identity) == view
        assert connector.details(identity).disks == (first,)

    @STATES
    def test_a_new_disk_of_the_name_of_a_removed_one_is_another_disk_and_stays(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        identity = identity_of(self._with_disks(needs, connector, machines, self.doomed, on=on))
        doomed = connector.details(identity).disks[1]
        connector.remove_disk(identity, doomed)
        view = connector.add_disk(identity, self.doomed.model_copy(update={"size_gib": 2}))
        with pytest.raises(Conflict):
            connector.remove_disk(identity, doomed)
        assert connector.get_vm(identity) == view
        assert [disk.size_bytes for disk in connector.details(identity).disks[1:]] == [2 * GIB]

    @STATES
    def test_a_machine_starts_and_stops_without_the_disk_that_was_removed(
        self, needs: Needs, connector: Connector, machines: Machines, *, on: bool
    ) -> None:
        needs(Capability.POWER_ON, Capability.POWER_OFF)
        view = self._with_disks(needs, connector, machines, self.doomed, on=on)
        identity = identity_of(view)
        first, doomed = connector.details(identity).disks
        connector.remove_disk(identity, doomed)
        connector.power(identity, PowerAction.OFF)
        after = connector.power(identity, PowerAction.ON)
        assert (after.power, after.resources) == (PowerState.ON, shrunk(view, 1).resources)
        assert connector.details(identity).disks == (first,)

    def test_a_machine_with_snapshots_keeps_its_disks(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.SNAPSHOT)
        view = self._with_disks(needs, connector, machines, self.doomed, on=False)
        identity = identity_of(view)
        doomed = connector.details(identity).disks[1]
        connector.snapshot(identity, "before")
        with pytest.raises(Conflict):
            connector.remove_disk(identity, self._as_it_is(connector, identity, doomed))
        assert connector.get_vm(identity) == view

    def test_a_suspended_machine_keeps_its_disks(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.SUSPEND)
        view = self._with_disks(needs, connector, machines, self.doomed, on=True)
        identity = identity_of(view)
        doomed = connector.details(identity).disks[1]
        connector.power(identity, PowerAction.SUSPEND)
        with pytest.raises(Conflict):
            connector.remove_disk(identity, doomed)
        assert connector.get_vm(identity).resources == view.resources

    def _with_disks(
        self, needs: Needs, connector: Connector, machines: Machines, *disks: NewDisk, on: bool
    ) -> VmView:
        """A machine with further disks, where the endpoint can add and remove them."""
        needs(Capability.CREATE, ADD[on], REMOVE[on], *([Capability.POWER_ON] if on else []))
        view = machines.make(on=on)
        for disk in disks:
            view = connector.add_disk(identity_of(view), disk)
        return view

    def _as_it_is(self, connector: Connector, identity: UUID, disk: Disk) -> Disk:
        """The disk of the same name now: a snapshot may give it another key."""
        return next(one for one in connector.details(identity).disks if one.name == disk.name)


def shrunk(view: VmView, less_gib: int) -> VmView:
    """A machine as before, with less disk."""
    less = {"disk_gib": view.resources.disk_gib - less_gib}
    return view.model_copy(update={"resources": view.resources.model_copy(update=less)})
