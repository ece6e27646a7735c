"""Making a machine once and removing it whole, by identity."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from catalog.capabilities import Capability
from connectors.contract import Firmware, VmSpec, VmView
from connectors.drivers.libvirt import (
    containers,
    documents,
    faults,
    gaps,
    names,
    offering,
    seeds,
    storage,
    views,
    xen,
)
from connectors.drivers.libvirt.changing import no_room
from connectors.drivers.libvirt.host import HostFacts
from connectors.drivers.libvirt.settings import Options
from connectors.errors import Conflict, NotFound, Refused, Unsupported

_OPERATION = "create_vm"

Elsewhere = Callable[[UUID], str | None]
"""The other host that has a machine, or None; raises ConnectorError where one cannot be asked."""


class Creation:
    """Creates machines on one host."""

    def __init__(
        self,
        vendor: Any,
        connection: Any,
        host: HostFacts,
        options: Options,
        endpoint: str,
        *,
        elsewhere: Elsewhere,
    ) -> None:
        self.elsewhere = elsewhere
        self.vendor = vendor
        self.connection = connection
        self.host = host
        self.options = options
        self.endpoint = endpoint

    def of(self, spec: VmSpec, identity: UUID) -> VmView:
        """The machine of this identity, made powered off if it was not there."""
        there = self._there(identity)
        if there is not None:
            return self._adopted(there, identity)
        self._check(spec, identity)
        template = offering.chosen(self.vendor, self.connection, self.options, spec, self.endpoint)
        pool = self.connection.storagePoolLookupByName(self.options.storage_pool)
        self._check_moved(pool, identity)
        volume, made = self._disk(spec, pool, identity, template)
        if (there := self._there(identity)) is not None:  # another worker was first
            return self._adopted(there, identity)
        try:
            seed = self._seed(spec, pool, identity)
            domain = self.connection.defineXML(self._definition(spec, identity, volume.path(), seed))
        except self.vendor.libvirtError:
            if made:
                self._take_back(identity, volume, pool)
            raise
        return views.one(self.vendor, self.connection, domain, self.host)

    def _there(self, identity: UUID) -> Any:
        return views.find(self.vendor, self.connection, identity)

    def _adopted(self, domain: Any, identity: UUID) -> VmView:
        if not views.is_ours(domain):
            why = f"machine '{domain.name()}', which tierwise did not make, has the UUID {identity}"
            raise Conflict(self.endpoint, _OPERATION, why, hint="give that machine another UUID")
        return views.one(self.vendor, self.connection, domain, self.host)

    def _check(self, spec: VmSpec, identity: UUID) -> None:
        if spec.provider != self.host.provider:
            why = f"there is no provider '{spec.provider}'"
            raise NotFound(self.endpoint, _OPERATION, why, hint=f"this host's is '{self.host.provider}'")
        size, problem = storage.capacity_gib(self.vendor, self.connection, self.options.storage_pool)
        if problem is not None:
            raise Unsupported(self.endpoint, Capability.CREATE, gaps.no_storage(problem)[Capability.CREATE])
        wanted = spec.resources
        if not (wanted.vcpu and wanted.memory_mib and wanted.disk_gib):
            raise Refused(
                self.endpoint, _OPERATION, "a machine needs vcpu, memory_mib and disk_gib above zero"
            )
        no_room(self.endpoint, _OPERATION, wanted, self.host.total.model_copy(update={"disk_gib": size}))
        if gap := self.host.gaps.get(Capability.CREATE):
            raise Unsupported(self.endpoint, Capability.CREATE, gap)
        self._check_firmware(spec.firmware)
        if spec.seed is not None and (gap := self.host.gaps.get(Capability.SEED_DISK)):
            raise Unsupported(self.endpoint, Capability.SEED_DISK, gap)
        asks_template = spec.templates and not spec.empty
        if asks_template and (gap := self.host.gaps.get(Capability.TEMPLATE)):
            raise Unsupported(self.endpoint, Capability.TEMPLATE, gap)
        self._check_name(spec.name, identity)

    def _check_firmware(self, firmware: Firmware | None) -> None:
        """Machines of x86 start by BIOS unless told otherwise; those of others by UEFI alone, where they have it."""
        if firmware is not None and self.host.domain_type == "lxc":
            why = "containers start by no firmware"
            raise Refused(self.endpoint, _OPERATION, why, hint="leave it out, or choose a pool of machines")
        if firmware is not None and (no_firmware := xen.no_firmware(self.host.os_type, firmware)):
            hint = "leave it out, or choose another pool"
            raise Refused(self.endpoint, _OPERATION, no_firmware, hint=hint)
        if firmware is Firmware.BIOS and "86" not in self.host.arch:
            why = f"machines of {self.host.arch} do not start by bios"
            raise Refused(self.endpoint, _OPERATION, why, hint="choose a pool of x86 hosts")
        if firmware is Firmware.UEFI and not self._has_uefi():
            why = "this host has no uefi firmware for machines"
            raise Refused(
                self.endpoint, _OPERATION, why, hint="install it there (Debian: ovmf, qemu-efi-aarch64)"
            )

    def _has_uefi(self) -> bool:
        host, options = self.host, self.options
        if host.domain_type == "test":
            return False
        text = self.connection.getDomainCapabilities(
            options.emulator, host.arch, documents.machine_type(host.arch, options), host.domain_type
        )
        offered = documents.parse(text).findall("os/enum[@name='firmware']/value")
        return "efi" in {value.text for value in offered}

    def _check_moved(self, pool: Any, identity: UUID) -> None:
        """A disk without a machine may be that of one that went to another host."""
        if not self.options.peers or not storage.remains(self.vendor, pool, identity):
            return
        host = self.elsewhere(identity)
        if host is not None:
            why = f"machine {identity} is on host '{host}' and uses a disk of this storage pool"
            raise Conflict(self.endpoint, _OPERATION, why, hint="find it at that host's endpoint")

    def _check_name(self, name: str, identity: UUID) -> None:
        try:
            other = self.connection.lookupByName(names.stored(name))
        except self.vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:
                raise
            return
        if other.UUIDString() == str(
            identity
        ):  # another worker made it since the first look; adopted later
            return
        why = f"the name '{name}' is taken by machine {other.UUIDString()}; libvirt's names are unique on a host"
        raise Conflict(self.endpoint, _OPERATION, why, hint="choose another name")

    def _disk(self, spec: VmSpec, pool: Any, identity: UUID, template: Any) -> tuple[Any, bool]:
        """The machine's volume, and whether this call made it."""
        disk_gib, host = spec.resources.disk_gib, self.host
        make: Callable[[], Any]
        if host.domain_type == "lxc":
            name = documents.container_name(identity)
            image = containers.image(self.vendor, pool, self.options, disk_gib, self.endpoint)
            make = partial(storage.copied, pool, image, name, disk_gib * storage.GIB, form="raw")
        elif template is not None:
            name = documents.volume_name(identity)
            make = partial(storage.copied, pool, template, name, disk_gib * storage.GIB)
        else:
            name = documents.volume_name(identity)
            thin = host.domain_type != "test"  # its pool counts what is allocated, and nothing else
            make = partial(pool.createXML, documents.volume(name, disk_gib * storage.GIB, thin=thin))
        return storage.ensure(
            self.vendor,
            pool,
            identity,
            disk_gib,
            name=name,
            make=make,
            absent=lambda: self._there(identity) is None,
        )

    def _seed(self, spec: VmSpec, pool: Any, identity: UUID) -> str | None:
        """The path of the machine's seed disk, made; None where it has none."""
        if spec.seed is None:
            return None
        image = seeds.image(spec.seed, spec.name, identity)
        return seeds.put(self.vendor, self.connection, pool, identity, image)

    def _definition(self, spec: VmSpec, identity: UUID, path: str, seed: str | None) -> str:
        if self.host.domain_type == "lxc":
            return documents.container(spec, identity, path, arch=self.host.arch, options=self.options)
        if self.host.domain_type == "xen":
            return documents.xen_machine(
                spec, identity, path, arch=self.host.arch, os_type=self.host.os_type, options=self.options, seed=seed,
            )  # fmt: skip
        shape = documents.Shape.within(spec.resources, self.host.total, hotplug=self.host.hotplug)
        host = self.host
        return documents.domain(
            spec,
            identity,
            path,
            shape,
            domain_type=host.domain_type,
            arch=host.arch,
            options=self.options,
            seed=seed,
        )

    def _take_back(self, identity: UUID, volume: Any, pool: Any) -> None:
        """Delete the volumes of a machine that could not be defined, unless another worker did."""
        with suppress(self.vendor.libvirtError):  # what failed first is what is told
            if self._there(identity) is None:
                volume.delete()
                storage.clear(self.vendor, pool, identity)


def copied_bytes(connection: Any, pool_name: str, identity: UUID) -> int:
    """How much of a machine's new disk there is. Raises libvirtError while there is none."""
    volume = connection.storagePoolLookupByName(pool_name).storageVolLookupByName(
        documents.volume_name(identity)
    )
    return int(volume.info()[2])


def delete(vendor: Any, connection: Any, pool_name: str, identity: UUID, elsewhere: Elsewhere) -> None:
    """Remove the machine and the disk tierwise made, also where only the disk is there.

    The disk goes first: a removal that is cut off leaves a machine that can be removed again. A disk alone
    stays where its machine went to another host.
    """
    domain = views.find(vendor, connection, identity)
    if domain is None:
        _delete_remains(vendor, connection, pool_name, identity, elsewhere)
        return
    try:
        if views.is_ours(domain):
            _remove(vendor, connection, pool_name, identity, domain)
    except vendor.libvirtError as error:  # another worker was first
        if error.get_error_code() != faults.NO_DOMAIN:
            raise


def _delete_remains(
    vendor: Any, connection: Any, pool_name: str, identity: UUID, elsewhere: Elsewhere
) -> None:
    try:
        pool = connection.storagePoolLookupByName(pool_name)
    except vendor.libvirtError as error:
        if error.get_error_code() != faults.NO_STORAGE_POOL:
            raise
        return
    if pool.isActive() and storage.remains(vendor, pool, identity) and elsewhere(identity) is None:
        storage.clear(vendor, pool, identity)


def _remove(vendor: Any, connection: Any, pool_name: str, identity: UUID, domain: Any) -> None:
    disk = documents.own_disk(documents.parse(domain.XMLDesc(0)), identity)
    if domain.isActive():
        try:
            domain.destroy()
        except vendor.libvirtError:
            if domain.isActive():
                raise
    if disk is not None:
        storage.remove(vendor, connection, pool_name, identity, disk[1])
    domain.undefineFlags(_undefine_flags(vendor, connection.getType()))


def _undefine_flags(vendor: Any, driver: str) -> int:
    """Drivers refuse flags for what they do not have."""
    if driver == "LXC":
        return 0
    if driver == "Xen":
        return int(vendor.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
    flags = vendor.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | vendor.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if driver != "TEST":
        flags |= vendor.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | vendor.VIR_DOMAIN_UNDEFINE_NVRAM
    return int(flags)
