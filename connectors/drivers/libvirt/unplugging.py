"""Taking a disk out of a machine, and deleting its file.

First what the machine runs with, then what it starts with, then the file: a call that was cut off leaves no machine
with a disk whose file is gone, and the next one goes on where it ended.
"""

import time
import xml.etree.ElementTree as ET
from typing import Any

from catalog.capabilities import Capability
from connectors.contract import Disk
from connectors.drivers.libvirt import documents, faults, hardware, storage
from connectors.drivers.libvirt.adding import DiskChange
from connectors.errors import DeadlineExceeded, Refused
from connectors.removal import OPERATION, to_remove

_POLL_S = 0.1
_UNDER_WAY = "in the process of unplug"
"""QEMU's words for a disk that its guest was asked to let go of already."""


class DiskRemoval(DiskChange):
    """The removal of one disk, beside all other changes to the disks of a machine."""

    def remove(self, disk: Disk, end_s: float) -> None:
        """Remove a disk; nothing if it is gone. `end_s` is when, on the monotonic clock, waiting is over.

        Raises Unsupported, Conflict, Refused, DeadlineExceeded, and libvirtError.
        """
        self.need(Capability.REMOVE_DISK_HOT if self.hot else Capability.REMOVE_DISK)
        kept = self._definition(kept=True)
        having = [root for root in self._definitions(kept) if self._has(root, disk)]
        volumes = self._volumes(having, disk)
        if having:
            self._check_state(OPERATION)
        if having and having[-1] is not kept:
            self._unplug(having[-1], disk, end_s)
        if having and having[0] is kept:
            devices = kept.find("devices")
            devices.remove(_element(kept, disk.key))
            self.connection.defineXML(documents.text_of(kept))
        for volume in volumes:
            storage.delete(self.vendor, volume)

    def _has(self, root: Any, disk: Disk) -> bool:
        there = hardware.disks(self.vendor, self.connection, self.domain, root)
        return to_remove(self.endpoint, self.view.name, disk, there) is not None

    def _volumes(self, having: list[Any], disk: Disk) -> list[Any]:
        """The disk's file: that of a definition, or what a call that was cut off left in a storage pool."""
        if not having:
            name = documents.further_name(self.identity, disk.name)
            pools = storage.active_pools(self.vendor, self.connection)
            left = (storage.lookup(self.vendor, pool, self.identity, name) for pool in pools)
            return [one for one in left if one is not None and one.info()[1] == disk.size_bytes]
        found = next(one for one in hardware.attached(having[0]) if one.key == disk.key)
        volume = hardware.volume_of(self.vendor, self.connection, found)
        if volume is None:
            why = f"disk '{disk.name}' of machine '{self.view.name}' is in no storage pool of the host"
            raise Refused(self.endpoint, OPERATION, why, hint="make a pool of its folder")
        return [volume]

    def _unplug(self, root: Any, disk: Disk, end_s: float) -> None:
        """QEMU answers before the guest has let go of the disk; a disk on SCSI goes without asking it."""
        live = self.vendor.VIR_DOMAIN_AFFECT_LIVE
        try:
            self.domain.detachDeviceFlags(documents.text_of(_element(root, disk.key)), live)
        except self.vendor.libvirtError as error:
            under_way = _UNDER_WAY in (error.get_error_message() or "")
            if (
                error.get_error_code() not in {faults.DEVICE_MISSING, faults.OPERATION_TIMEOUT}
                and not under_way
            ):
                raise
        while self._named(self._definition(), disk.name) is not None:
            if time.monotonic() >= end_s:
                why = f"the guest of machine '{self.view.name}' does not let go of disk '{disk.name}'"
                raise DeadlineExceeded(
                    self.endpoint, OPERATION, why, hint="unmount it there, or stop the machine first"
                )
            time.sleep(_POLL_S)


def _element(root: Any, key: str) -> ET.Element:
    """What a definition says of the disk at a target device."""
    found: ET.Element = root.find(f"devices/disk/target[@dev='{key}']/..")
    return found
