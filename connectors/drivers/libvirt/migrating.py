"""Moving a machine to another libvirt host while it runs: this process dials both and leads the two.

A libvirt daemon is one host, so the others are named in the endpoint's option ``peers``. The machine
leaves this endpoint and is found at the other host's own.
"""

import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from connectors.contract import PowerState, VmView
from connectors.drivers.libvirt import documents, faults, hardware, seeds, storage, views
from connectors.drivers.libvirt.host import HostFacts
from connectors.drivers.libvirt.settings import Options
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused

OPERATION = "migrate"
CANCEL_SHARE = 0.7
"""Part of the time that is left after which the move is called off; the rest is for libvirt to do so."""


@dataclass(frozen=True)
class Side:
    """One of the two daemons."""

    connection: Any
    host: HostFacts


class Migration:
    """One machine's way from one host to another, within `limit_s`."""

    def __init__(
        self, vendor: Any, source: Side, target: Side, *, options: Options, endpoint: str, encrypted: bool
    ) -> None:
        self.vendor = vendor
        self.source = source
        self.target = target
        self.options = options
        self.endpoint = endpoint
        self.encrypted = encrypted
        self.called_off: list[str] = []
        """How far a move had come when it was called off, in words; empty as long as it was not."""

    def of(self, identity: UUID, address: str | None, limit_s: float) -> VmView:
        """Carry the machine over; nothing if it is there. Raises ConnectorErrors, and libvirtError."""
        here = self._own(self.source, identity)
        there = self._own(self.target, identity)
        if here is not None:
            if there is not None:
                why = f"machine {identity} is on both hosts, {self.source.host.name} and {self.target.host.name}"
                raise Conflict(
                    self.endpoint, OPERATION, why, hint="find out which is stale, and undefine it"
                )
            self._carry(identity, here, address, limit_s)
            there = self._own(self.target, identity)
        if there is None:
            why = f"there is no machine {identity}, neither here nor on '{self.target.host.name}'"
            raise NotFound(self.endpoint, OPERATION, why, hint="list the machines")
        self._forget_copied(identity, there)
        return views.one(self.vendor, self.target.connection, there, self.target.host)

    def _own(self, side: Side, identity: UUID) -> Any:
        domain = views.find(self.vendor, side.connection, identity)
        return domain if domain is not None and views.is_ours(domain) else None

    def _carry(self, identity: UUID, domain: Any, address: str | None, limit_s: float) -> None:
        state = views.power_of(domain)
        if state is PowerState.UNKNOWN or (state is PowerState.SUSPENDED and not domain.isActive()):
            why = f"machine '{domain.name()}' has its memory saved in a file of the host, or has crashed"
            raise Conflict(self.endpoint, OPERATION, why, hint="power it on or off first")
        running = bool(domain.isActive())
        params: dict[str, Any] = {}
        if address is not None and running:
            params[self.vendor.VIR_MIGRATE_PARAM_URI] = f"tcp://{_bracketed(address)}"
            params[self.vendor.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = address
        if self.options.migration_storage == "copy":
            self._copying(identity, domain, params, limit_s, running=running)
        else:
            self._check_shared(domain)
            self._cancelled_late(domain, params, self._flags(running=running), limit_s)

    def _flags(self, *, running: bool) -> int:
        vendor = self.vendor
        flags = vendor.VIR_MIGRATE_PERSIST_DEST | vendor.VIR_MIGRATE_UNDEFINE_SOURCE
        if not running:
            return int(flags | vendor.VIR_MIGRATE_OFFLINE)
        flags |= vendor.VIR_MIGRATE_LIVE | vendor.VIR_MIGRATE_AUTO_CONVERGE
        if self.encrypted:
            flags |= vendor.VIR_MIGRATE_TLS
        if self.options.migration_storage == "trusted":
            flags |= vendor.VIR_MIGRATE_UNSAFE
        return int(flags)

    def _check_shared(self, domain: Any) -> None:
        """Refuse where the other host's daemon does not see the machine's disks at their paths."""
        for _, path in documents.disks(documents.parse(domain.XMLDesc(0))):
            if not self._sees(path):
                why = f"host '{self.target.host.name}' has no storage pool with the disk '{path}'"
                hint = (
                    "give both hosts a pool on shared storage, or set the option migration_storage to copy"
                )
                raise Refused(self.endpoint, OPERATION, why, hint=hint)

    def _sees(self, path: str) -> bool:
        """Whether the other daemon has the file in a pool; it learns of new files by a refresh."""
        connection = self.target.connection
        for last in (False, True):
            try:
                connection.storageVolLookupByPath(path)
            except self.vendor.libvirtError as error:
                if error.get_error_code() != faults.NO_STORAGE_VOL:
                    raise
            else:
                return True
            if not last:
                connection.storagePoolLookupByName(self.options.storage_pool).refresh(0)
        return False

    def _copying(
        self, identity: UUID, domain: Any, params: dict[str, Any], limit_s: float, *, running: bool
    ) -> None:
        """Copy the machine's own disk along, into a volume of the other host."""
        if not running:
            why = f"machine '{domain.name()}' is off; libvirt copies the disks of running machines only"
            raise Refused(
                self.endpoint, OPERATION, why, hint="power it on first, or move its disk by itself"
            )
        root = documents.parse(domain.XMLDesc(0))
        own = documents.own_disk(root, identity)
        if own is None or len(documents.disks(root)) != 1:
            why = f"machine '{domain.name()}' has other disks than the one that tierwise made"
            raise Refused(self.endpoint, OPERATION, why, hint="detach them, or put all on shared storage")
        key, path = own
        if domain.blockJobInfo(key, 0):
            why = f"disk '{key}' of machine '{domain.name()}' is being copied, or was by a move that was cut off"
            hint = f"wait for it, or end it with virsh blockjob {domain.name()} {key} --abort"
            raise Conflict(self.endpoint, OPERATION, why, hint=hint)
        volume = hardware.volume_of(self.vendor, self.source.connection, hardware.Attached(key, "", path))
        if volume is None:
            why = f"disk '{path}' is in no storage pool of the host"
            raise Refused(self.endpoint, OPERATION, why, hint="make a pool of its folder")
        pool, copy = self._room_for_copy(identity, volume)
        flags = self._flags(running=True) | self.vendor.VIR_MIGRATE_NON_SHARED_DISK
        try:
            seed = self._seed_copied(identity, root, pool)
            params |= self._rewritten(domain, key, copy.path(), seed)
            self._cancelled_late(domain, params, flags, limit_s)
        except BaseException:
            if self._own(self.target, identity) is None:
                copy.delete()
                storage.clear(self.vendor, pool, identity)
            raise

    def _seed_copied(self, identity: UUID, root: ET.Element, pool: Any) -> tuple[str, str] | None:
        """Where the machine's seed disk is, and where its copy is; None where it has none."""
        here = documents.seed(root, identity)
        if here is None:
            return None
        data = seeds.read(self.source.connection, here)
        return here, seeds.put(self.vendor, self.target.connection, pool, identity, data)

    def _room_for_copy(self, identity: UUID, volume: Any) -> tuple[Any, Any]:
        """The other host's pool and a volume in it, of another name than the disk's.

        So storage that is shared shows itself.
        """
        pool = self.target.connection.storagePoolLookupByName(self.options.storage_pool)
        if self._has(pool, identity, volume.name()):
            why = f"host '{self.target.host.name}' has a disk '{volume.name()}' already"
            hint = "if the hosts share their storage, set the option migration_storage to shared; else delete it"
            raise Conflict(self.endpoint, OPERATION, why, hint=hint)
        storage.clear(self.vendor, pool, identity)  # of a move that was cut off; no machine uses it there
        name = documents.other_name(identity, volume.name())
        return pool, pool.createXML(documents.volume(name, volume.info()[1]))

    def _rewritten(self, domain: Any, key: str, path: str, seed: tuple[str, str] | None) -> dict[str, Any]:
        """The definitions for the other host, whose pool may be in another folder."""
        vendor = self.vendor
        portable = vendor.VIR_DOMAIN_XML_MIGRATABLE | vendor.VIR_DOMAIN_XML_SECURE
        live = documents.parse(domain.XMLDesc(portable))
        kept = documents.parse(domain.XMLDesc(portable | vendor.VIR_DOMAIN_XML_INACTIVE))
        if seed is not None:
            live, kept = (documents.with_file(root, *seed) for root in (live, kept))
        return {
            vendor.VIR_MIGRATE_PARAM_DEST_XML: documents.with_disk(live, key, path),
            vendor.VIR_MIGRATE_PARAM_PERSIST_XML: documents.with_disk(kept, key, path),
            vendor.VIR_MIGRATE_PARAM_MIGRATE_DISKS: [key],
        }

    def _forget_copied(self, identity: UUID, there: Any) -> None:
        """After a copy, delete the disk that was left here; not where it is the one that is used there."""
        if self.options.migration_storage != "copy":
            return
        own = documents.own_disk(documents.parse(there.XMLDesc(0)), identity)
        if own is None:
            return
        for pool in storage.active_pools(self.vendor, self.source.connection):
            if not self._has(pool, identity, PurePosixPath(own[1]).name):
                storage.clear(self.vendor, pool, identity)

    def _has(self, pool: Any, identity: UUID, name: str) -> bool:
        pool.refresh(0)
        return storage.lookup(self.vendor, pool, identity, name) is not None

    def _cancelled_late(self, domain: Any, params: dict[str, Any], flags: int, limit_s: float) -> None:
        """Migrate, and call it off in time for the machine to be back before the deadline."""

        def cancel() -> None:
            self.called_off.append(_carried(domain, self.vendor))
            _ignoring(self.vendor, domain.abortJob)

        timer = threading.Timer(limit_s * CANCEL_SHARE, cancel)
        timer.daemon = True
        timer.start()
        try:
            domain.migrate3(self.target.connection, params, flags)
        except self.vendor.libvirtError as error:
            if not self.called_off or faults.lost(error):
                raise
            why = f"called off after {limit_s * CANCEL_SHARE:.0f} s, {self.called_off[0]}; the machine is where it was"
            hint = "give the endpoint a longer timeout_s, or move it while it is less busy"
            raise DeadlineExceeded(self.endpoint, OPERATION, why, hint=hint) from error
        finally:
            timer.cancel()


def _carried(domain: Any, vendor: Any) -> str:
    """How far a move has come, in words."""
    found: dict[str, int] = {}
    _ignoring(vendor, lambda: found.update(domain.jobStats()))
    left_mib = found.get("memory_remaining", 0) // 2**20 + found.get("disk_remaining", 0) // 2**20
    return f"with {left_mib} MiB still to carry" if found.get("memory_total") else "before it had begun"


def _ignoring(vendor: Any, call: Callable[[], object]) -> None:
    try:
        call()
    except vendor.libvirtError:
        return


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
