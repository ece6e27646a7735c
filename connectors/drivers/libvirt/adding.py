"""Further disks of a machine: qcow2 files beside its own, on a SCSI controller by virtio.

That controller takes disks while the machine runs and needs no free PCI slot for each; a guest finds a disk by
its serial number, which is the disk's name.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import NewDisk, PowerState
from connectors.drivers.libvirt import documents, hardware, snapshots, storage
from connectors.drivers.libvirt.changing import Changing, no_room
from connectors.errors import NotFound, Refused


class DiskChange(Changing):
    """A change to the disks of one machine."""

    def add(self, disk: NewDisk, pool_name: str) -> None:
        """Add a disk. Raises Unsupported, Conflict, Refused, and libvirtError."""
        operation = "add_disk"
        self.need(Capability.DISK_HOTPLUG if self.hot else Capability.ADD_DISK)
        kept = self._definition(kept=True)
        lacking = [root for root in self._definitions(kept) if self._named(root, disk.name) is None]
        there = self._named(kept, disk.name) or self._named(self._definition(), disk.name)
        if there is not None:
            self._check_same(there, disk)
        if not lacking:
            return
        self._check_state(operation)
        self._check_room(operation, disk.size_gib if there is None else 0)
        target = self._target(operation) if there is None else there.key
        self._check_controller(kept, live=self.hot and lacking[-1] is not kept)
        pool = self.connection.storagePoolLookupByName(pool_name)
        volume, made = self._volume(pool, disk)
        try:
            self._attach(documents.further_disk(volume.path(), target, disk.name), kept, lacking)
        except self.vendor.libvirtError:
            if made:
                self._take_back(volume)
            raise

    def grow(self, key: str, size_gib: int) -> None:
        """Grow a disk. Raises Unsupported, NotFound, Conflict, Refused, and libvirtError."""
        operation = "grow_disk"
        self.need(Capability.GROW_DISK_HOT if self.hot else Capability.GROW_DISK)
        disk, volume, now = self._found(operation, key)
        wanted = size_gib * storage.GIB
        if wanted == now:
            return
        if wanted < now:
            what = f"has a disk '{key}' of {-(-now // storage.GIB)} GiB; disks never shrink"
            self.refuse(operation, what, "ask for no less")
        self._check_state(operation)
        self._check_room(operation, size_gib - now // storage.GIB)
        if self.hot:
            self.domain.blockResize(disk.key, wanted, self.vendor.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        else:
            volume.resize(wanted)

    def _definition(self, *, kept: bool = False) -> Any:
        """The definition that the machine runs with, or the one that it starts with the next time."""
        secure = self.vendor.VIR_DOMAIN_XML_INACTIVE | self.vendor.VIR_DOMAIN_XML_SECURE
        return documents.parse(self.domain.XMLDesc(secure if kept else 0))

    def _definitions(self, kept: Any) -> list[Any]:
        return [kept, self._definition()] if self.hot else [kept]

    def _named(self, root: Any, name: str) -> hardware.Attached | None:
        found = hardware.attached(root)
        return next((d for d in found if documents.further_label(self.identity, d.path) == name), None)

    def _check_same(self, there: hardware.Attached, disk: NewDisk) -> None:
        volume = hardware.volume_of(self.vendor, self.connection, there)
        has = None if volume is None else volume.info()[1]
        if has is not None and has != disk.size_gib * storage.GIB:
            what = f"has a disk '{disk.name}' of {-(-has // storage.GIB)} GiB"
            self.refuse("add_disk", what, "grow it, or choose another name")

    def _check_state(self, operation: str) -> None:
        if self.view.power not in {PowerState.ON, PowerState.OFF}:
            self.refuse(operation, f"is {self.view.power.value}", "power it on or off first")
        if snapshots.any_of(self.vendor, self.domain):
            what = "has snapshots, which are inside its disks"
            self.refuse(operation, what, "delete them first")

    def _check_room(self, operation: str, more_gib: int) -> None:
        wanted = Resources(disk_gib=self.view.resources.disk_gib + more_gib)
        no_room(self.endpoint, operation, wanted, self.host.total)

    def _check_controller(self, kept: Any, *, live: bool) -> None:
        """A machine that runs needs the controller already; the definition of one that is off is given it."""
        if self.host.domain_type in {"test", "xen"}:
            return
        if live and not documents.has_scsi(self._definition()):
            what = "runs without the SCSI controller that disks are added to"
            self.refuse("add_disk", what, "power it off, and add the disk then")
        documents.give_scsi(kept)

    def _target(self, operation: str) -> str:
        """The target device after all that are there, so that guests see disks in the order of their adding."""
        roots = (self._definition(kept=True), self._definition())
        bus = "xen" if self.host.domain_type == "xen" else "scsi"
        number = 1 + max((documents.last_further(root, bus) for root in roots), default=0)
        if number > documents.MOST_SCSI:
            what = f"has {documents.MOST_SCSI} further disks, and takes no more"
            self.refuse(operation, what, "grow one of them")
        return documents.further_target(bus, number)

    def _volume(self, pool: Any, disk: NewDisk) -> tuple[Any, bool]:
        """The disk's file, and whether this call made it; one that a call that was cut off left is taken."""
        name = documents.further_name(self.identity, disk.name)
        thin = self.host.domain_type != "test"  # its pool counts what is allocated, and nothing else
        wanted = documents.volume(name, disk.size_gib * storage.GIB, thin=thin)
        volume, made = storage.ensure(
            self.vendor,
            pool,
            self.identity,
            disk.size_gib,
            name=name,
            make=partial(pool.createXML, wanted),
            absent=lambda: False,  # somebody may have detached it, and want it again
        )
        if volume.info()[1] != disk.size_gib * storage.GIB:
            what = f"has a volume '{name}' of another size, which is not attached"
            self.refuse("add_disk", what, "attach or delete it with virsh, or choose another name")
        return volume, made

    def _attach(self, device: Any, kept: Any, lacking: list[Any]) -> None:
        """Live first: QEMU can refuse, and then nothing has changed."""
        if lacking[-1] is not kept:
            live = self.vendor.VIR_DOMAIN_AFFECT_LIVE
            self.domain.attachDeviceFlags(documents.text_of(device), live)
        if lacking[0] is kept:
            kept.find("devices").append(device)
            self.connection.defineXML(documents.text_of(kept))

    def _take_back(self, volume: Any) -> None:
        with suppress(self.vendor.libvirtError):  # what failed first is what is told
            if volume.path() not in hardware.paths(self.domain):
                volume.delete()

    def _found(self, operation: str, key: str) -> tuple[hardware.Attached, Any, int]:
        """The disk of this key, its volume, and its size in bytes."""
        found = hardware.attached(self._definition())
        disk = next((disk for disk in found if disk.key == key), None)
        if disk is None:
            there = ", ".join(f"'{disk.key}'" for disk in found) or "none"
            why = f"machine '{self.view.name}' has no disk '{key}'"
            raise NotFound(self.endpoint, operation, why, hint=f"there are: {there}")
        volume = hardware.volume_of(self.vendor, self.connection, disk)
        if self.hot:
            return disk, volume, int(self.domain.blockInfo(disk.key)[0])
        if volume is None:
            why = f"disk '{key}' of machine '{self.view.name}' is in no storage pool of the host"
            raise Refused(self.endpoint, operation, why, hint="make a pool of its folder")
        return disk, volume, int(volume.info()[1])
