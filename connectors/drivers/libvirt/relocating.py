"""Moving a machine's disk to another storage pool of its host: QEMU copies it while the machine runs.

The copy is a second volume. Only when all of it is there the machine goes over to it, and the first volume
is deleted after that, so a move that fails leaves the machine on its old disk.
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

from connectors.contract import PowerState, Tell
from connectors.drivers.libvirt import documents, faults, hardware, storage, views
from connectors.drivers.libvirt.session import Session
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused

OPERATION = "storage_migrate"
MIB = 1024 * 1024
_LOOKS = 20
"""How often in the time of one timeout a copy's progress is looked at."""
_LONGEST_LOOK_S = 0.5


@dataclass(frozen=True)
class Plan:
    """What is to be copied, and the new volume's `name`."""

    key: str
    old: Any
    name: str
    size_bytes: int
    running: bool


@dataclass(frozen=True)
class Job:
    """How far QEMU has come. `there` is whether it still copies, `ready` whether it only keeps up with the guest."""

    there: bool
    done: int
    whole: int
    ready: bool


class Relocation:
    """One machine's move to the storage pool of this name. `find` is the machine by its connection."""

    def __init__(
        self,
        session: Session,
        find: Callable[[Any], Any],
        *,
        identity: UUID,
        pool_name: str,
        most_mib_per_s: int,
    ) -> None:
        self.session = session
        self.vendor = session.vendor
        self.endpoint = session.endpoint.name
        self.find = find
        self.identity = identity
        self.pool_name = pool_name
        self.most_mib_per_s = most_mib_per_s

    def go(self, tell: Tell) -> None:
        """Move the disk; nothing if it is there. Raises ConnectorErrors."""
        plan = self.session.run(OPERATION, self._plan)
        if plan is not None:
            try:
                self._copy(plan, tell)
            except BaseException:
                self.session.tidy(self._undo)
                raise
        self.session.run(OPERATION, self._clear_others)

    def _copy(self, plan: Plan, tell: Tell) -> None:
        if plan.running:
            path = self.session.part(OPERATION, lambda connection: self._start(connection, plan))
            self._watch(plan, tell)
            self.session.part(OPERATION, lambda connection: self._pivot(connection, plan, path))
        else:
            volume = self.session.long(
                OPERATION,
                lambda connection: self._cloned(connection, plan),
                lambda connection: self._cloned_bytes(connection, plan),
            )
            self.session.part(OPERATION, lambda connection: self._exchange(connection, plan, volume.path()))
        tell(plan.size_bytes)

    def _plan(self, connection: Any) -> Plan | None:
        """What to do; None where the disk is in the pool already."""
        domain = self.find(connection)
        root = documents.parse(domain.XMLDesc(0))
        pool = self._pool(connection)
        own = documents.own_disk(root, self.identity)
        volume = (
            None
            if own is None
            else hardware.volume_of(self.vendor, connection, hardware.Attached(own[0], "", own[1]))
        )
        if own is None or volume is None:
            why = f"machine '{domain.name()}' has no disk that tierwise made in a storage pool of the host"
            raise Refused(self.endpoint, OPERATION, why, hint="move its disks with virsh")
        if self._is_in(pool, volume):
            return None
        self._check(domain)
        self._end_earlier(domain, root, own[0])
        storage.clear(self.vendor, pool, self.identity, but=hardware.paths(domain))
        return Plan(
            key=own[0],
            old=volume,
            name=documents.other_name(self.identity, volume.name()),
            size_bytes=int(volume.info()[1]),
            running=bool(domain.isActive()),
        )

    def _pool(self, connection: Any) -> Any:
        """The pool to move to. Raises NotFound, Refused."""
        try:
            pool = connection.storagePoolLookupByName(self.pool_name)
        except self.vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_STORAGE_POOL:
                raise
            known = ", ".join(sorted(pool.name() for pool in storage.active_pools(self.vendor, connection)))
            why = f"there is no storage pool '{self.pool_name}'"
            raise NotFound(self.endpoint, OPERATION, why, hint=f"the host's are {known}") from error
        _, problem = storage.capacity_gib(self.vendor, connection, self.pool_name)
        if problem is not None:
            raise Refused(self.endpoint, OPERATION, problem)
        pool.refresh(0)
        return pool

    def _is_in(self, pool: Any, volume: Any) -> bool:
        """By path, for two pools may be one folder."""
        found = storage.lookup(self.vendor, pool, self.identity, volume.name())
        return found is not None and found.path() == volume.path()

    def _check(self, domain: Any) -> None:
        state = views.power_of(domain)
        if state is PowerState.UNKNOWN or (state is PowerState.SUSPENDED and not domain.isActive()):
            why = f"machine '{domain.name()}' has its memory saved in a file of the host, or has crashed"
            raise Conflict(self.endpoint, OPERATION, why, hint="power it on or off first")
        if domain.snapshotNum(0):
            why = f"machine '{domain.name()}' has snapshots, which are inside its disk and would be lost"
            hint = "delete them with virsh snapshot-delete"
            raise Conflict(self.endpoint, OPERATION, why, hint=hint)

    def _end_earlier(self, domain: Any, root: ET.Element, key: str) -> None:
        """Call off a copy that an earlier call began and could not end. Raises Conflict for one of others."""
        if not domain.isActive() or not domain.blockJobInfo(key, 0):
            return
        mirror = documents.mirror(root, key)
        if mirror is None or mirror.rpartition("/")[2] not in documents.all_names(self.identity):
            why = f"disk '{key}' of machine '{domain.name()}' has another block job"
            hint = f"wait for it, or end it with virsh blockjob {domain.name()} {key} --abort"
            raise Conflict(self.endpoint, OPERATION, why, hint=hint)
        domain.blockJobAbort(key, 0)

    def _start(self, connection: Any, plan: Plan) -> str:
        """Have QEMU begin to copy into a new volume; its path."""
        pool = connection.storagePoolLookupByName(self.pool_name)
        copy = pool.createXML(documents.volume(plan.name, plan.size_bytes))
        flags = (
            self.vendor.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | self.vendor.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
        )
        path = str(copy.path())
        wanted = documents.copy_target(path)
        self.find(connection).blockCopy(plan.key, wanted, self._limits(), flags)
        return path

    def _limits(self) -> dict[str, int]:
        if not self.most_mib_per_s:
            return {}
        most_bytes = self.most_mib_per_s * MIB
        # QEMU sends up to 16 MiB at once and then waits for as long as the limit gives it for that.
        at_once = min(16 * MIB, most_bytes)
        return {
            self.vendor.VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: most_bytes,
            self.vendor.VIR_DOMAIN_BLOCK_COPY_BUF_SIZE: at_once,
        }

    def _watch(self, plan: Plan, tell: Tell) -> None:
        """Wait until all is copied, as long as each timeout brings some of it."""
        timeout_s = self.session.endpoint.timeout_s
        done, end_s = -1, time.monotonic() + timeout_s
        while not (job := self._look(plan)).ready:
            if not job.there:
                self._given_up(plan, max(done, 0))
            if job.done > done:
                done, end_s = job.done, time.monotonic() + timeout_s
                tell(min(done, plan.size_bytes))
            elif time.monotonic() > end_s:
                self._stalled(plan, job)
            time.sleep(min(_LONGEST_LOOK_S, timeout_s / _LOOKS))

    def _look(self, plan: Plan) -> Job:
        def ask(connection: Any) -> Job:
            domain = self.find(connection)
            info = domain.blockJobInfo(plan.key, 0) if domain.isActive() else {}
            ready = documents.mirror_is_ready(documents.parse(domain.XMLDesc(0)), plan.key)
            return Job(bool(info), int(info.get("cur", 0)), int(info.get("end", 0)), bool(info) and ready)

        return self.session.part(OPERATION, ask)

    def _given_up(self, plan: Plan, done: int) -> NoReturn:
        """The copying ended by itself: the disk is full or broken, or the machine was powered off."""
        if not self.session.part(OPERATION, lambda connection: self.find(connection).isActive()):
            why = "the machine was powered off while its disk was being copied"
            raise Conflict(
                self.endpoint, OPERATION, why, hint="repeat it; a machine that is off is moved too"
            )
        free = self.session.part(
            OPERATION, lambda connection: connection.storagePoolLookupByName(self.pool_name).info()[3]
        )
        why = (
            f"QEMU gave the copying up at {done // MIB} of {plan.size_bytes // MIB} MiB, "
            f"where storage pool '{self.pool_name}' has {free // MIB} MiB free"
        )
        hint = "free some space there, or see the machine's log on the host; the machine is where it was"
        raise Refused(self.endpoint, OPERATION, why, hint=hint)

    def _stalled(self, plan: Plan, job: Job) -> NoReturn:
        timeout_s = self.session.endpoint.timeout_s
        why = f"called off at {job.done // MIB} of {job.whole // MIB} MiB, after {timeout_s:g} s without progress"
        hint = "look at the two storage pools, or give the endpoint a longer timeout_s; the machine is where it was"
        raise DeadlineExceeded(self.endpoint, OPERATION, why, hint=hint)

    def _pivot(self, connection: Any, plan: Plan, path: str) -> None:
        """Let the machine go over to the copy, now and for its next start."""
        domain = self.find(connection)
        domain.blockJobAbort(plan.key, self.vendor.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        kept = documents.parse(domain.XMLDesc(self._kept_flags()))
        if path not in documents.files(kept):
            connection.defineXML(documents.with_disk(kept, plan.key, path))

    def _cloned(self, connection: Any, plan: Plan) -> Any:
        pool = connection.storagePoolLookupByName(self.pool_name)
        return pool.createXMLFrom(documents.volume(plan.name, plan.size_bytes), plan.old, 0)

    def _cloned_bytes(self, connection: Any, plan: Plan) -> int:
        pool = connection.storagePoolLookupByName(self.pool_name)
        return int(pool.storageVolLookupByName(plan.name).info()[2])

    def _exchange(self, connection: Any, plan: Plan, path: str) -> None:
        """Define the machine with the copy; not where it was powered on meanwhile. Raises Conflict."""
        domain = self.find(connection)
        before = domain.XMLDesc(self._kept_flags())
        if not domain.isActive():
            connection.defineXML(documents.with_disk(documents.parse(before), plan.key, path))
            if not domain.isActive():
                return
            connection.defineXML(before)
        why = f"machine '{domain.name()}' was powered on while its disk was being copied"
        raise Conflict(self.endpoint, OPERATION, why, hint="repeat it; a machine that runs is copied too")

    def _kept_flags(self) -> int:
        return int(self.vendor.VIR_DOMAIN_XML_INACTIVE | self.vendor.VIR_DOMAIN_XML_SECURE)

    def _undo(self, connection: Any) -> None:
        """Call the copying off, and delete what was copied; not what the machine went over to."""
        domain = self.find(connection)
        root = documents.parse(domain.XMLDesc(0))
        own = documents.own_disk(root, self.identity)
        if own is not None and documents.mirror(root, own[0]) is not None:
            domain.blockJobAbort(own[0], 0)
        pool = connection.storagePoolLookupByName(self.pool_name)
        storage.clear(self.vendor, pool, self.identity, but=hardware.paths(domain))

    def _clear_others(self, connection: Any) -> None:
        """Delete the volumes that the machine no longer uses, in whatever pool an earlier try left them."""
        used = hardware.paths(self.find(connection))
        for pool in storage.active_pools(self.vendor, connection):
            storage.clear(self.vendor, pool, self.identity, but=used)
