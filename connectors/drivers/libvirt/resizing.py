"""Changing a machine's size: by a new definition while it is off, by hot-plug while it runs."""

from typing import Any, NoReturn

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import PowerState, hot_resize
from connectors.drivers.libvirt import documents, storage
from connectors.drivers.libvirt.changing import Changing, no_room
from connectors.errors import Conflict, Refused


class Resize(Changing):
    """One machine's way from the size of `view` to `wanted`."""

    def to(self, wanted: Resources) -> None:
        """Resize. Raises Unsupported, Conflict, Refused, and libvirtError."""
        now = self.view.resources
        self.need(hot_resize(now, wanted) if self.hot else Capability.RESIZE_COLD)
        if wanted == now:
            return
        self._check(wanted)
        if self.hot:
            self._hot(wanted)
        else:
            self._cold(wanted)

    def _check(self, wanted: Resources) -> None:
        now = self.view.resources
        if self.view.power not in {PowerState.ON, PowerState.OFF}:
            self._refuse(f"is {self.view.power.value}", "power it on or off first")
        if wanted.disk_gib < now.disk_gib:
            self._refuse(f"has a disk of {now.disk_gib} GiB; disks never shrink", "ask for no less")
        if not (wanted.vcpu and wanted.memory_mib):
            raise Refused(self.endpoint, "resize", "a machine needs vcpu and memory_mib above zero")
        no_room(self.endpoint, "resize", wanted, self.host.total)

    def _cold(self, wanted: Resources) -> None:
        before = self.domain.XMLDesc(
            self.vendor.VIR_DOMAIN_XML_INACTIVE | self.vendor.VIR_DOMAIN_XML_SECURE
        )
        root = documents.parse(before)
        if len(root.findall("cpu/numa/cell")) > 1:
            self._refuse("has several NUMA cells", "resize it with virsh edit")
        documents.reshape(root, documents.Shape.within(wanted, self.host.total, hotplug=self.host.hotplug))
        self.connection.defineXML(documents.text_of(root))
        try:
            self._grow_disk(wanted, root, hot=False)
        except (Conflict, self.vendor.libvirtError):
            self.connection.defineXML(before)
            raise

    def _hot(self, wanted: Resources) -> None:
        root = documents.parse(self.domain.XMLDesc(0))
        more_mib = wanted.memory_mib - self.view.resources.memory_mib
        more_vcpu = wanted.vcpu - self.view.resources.vcpu
        self._check_hot(root, wanted, more_mib=more_mib, more_vcpu=more_vcpu)
        self._grow_disk(wanted, root, hot=True)
        both = self.vendor.VIR_DOMAIN_AFFECT_LIVE | self.vendor.VIR_DOMAIN_AFFECT_CONFIG
        if more_mib:
            self.domain.attachDeviceFlags(documents.memory_module(more_mib), both)
        if more_vcpu:
            self.domain.setVcpusFlags(wanted.vcpu, both)

    def _check_hot(self, root: Any, wanted: Resources, *, more_mib: int, more_vcpu: int) -> None:
        off = "power it off first"
        if more_mib < 0 or more_vcpu < 0:
            self._refuse("runs; memory and vCPUs can only be added to it", off)
        if wanted.vcpu > int(root.findtext("vcpu") or "0"):
            self._refuse(f"can have {root.findtext('vcpu')} vCPUs while it runs, not {wanted.vcpu}", off)
        most_mib = int(root.findtext("maxMemory") or "0") // documents.KIB
        if more_mib and wanted.memory_mib > most_mib:
            self._refuse(f"can have {most_mib} MiB while it runs, not {wanted.memory_mib}", off)
        if more_mib % documents.MEMORY_STEP_MIB:
            self._refuse(f"runs; memory is added in steps of {documents.MEMORY_STEP_MIB} MiB", off)

    def _grow_disk(self, wanted: Resources, root: Any, *, hot: bool) -> None:
        more_gib = wanted.disk_gib - self.view.resources.disk_gib
        if not more_gib:
            return
        disk = documents.own_disk(root, self.identity)
        if disk is None:
            self._refuse("has no disk that tierwise made", "grow its disks with virsh")
        target, path = disk
        if hot:
            size = self.domain.blockInfo(target)[0] + more_gib * storage.GIB
            self.domain.blockResize(target, size, self.vendor.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        else:
            volume = self.connection.storageVolLookupByPath(path)
            volume.resize(volume.info()[1] + more_gib * storage.GIB)

    def _refuse(self, what: str, hint: str) -> NoReturn:
        self.refuse("resize", what, hint)
