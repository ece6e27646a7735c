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

from catalog.capabilities import Capability, Gap
from connectors.contract import PowerState, Tell
from connectors.drivers.libvirt import documents, faults, gaps, hardware, storage, views
from connectors.drivers.libvirt.session import Session
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused, Unsupported

OPERATION = "storage_migrate"
MIB = 1024 * 1024
_LOOKS = 20
"""How often in the time of one timeout a copy's progress is looked at."""
_LONGEST_LOOK_S = 0.5


def nowhere(vendor: Any, connection: Any, provider: str) -> Gap | None:
    """Why no disk can move to another pool; None where one can. Raises libvirtError."""
    return None if storage.has_second(vendor, connection) else gaps.one_storage(provider)


@dataclass(frozen=True)
class Plan:
    """What is to be copied, and the new volume's `name`; `joined` is the path that it is being copied to already."""

    key: str
    old: Any
    name: str
    size_bytes: int
    running: bool
    joined: str | None


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
        provider: str,
        pool_name: str,
        most_mib_per_s: int,
    ) -> None:
        self.session = session
        self.vendor = session.vendor
        self.endpoint = session.endpoint.name
        self.find = find
        self.identity = identity
        self.provider = provider
        self.pool_name = pool_name
        self.most_mib_per_s = most_mib_per_s
        self._mine = False
        """Whether the new volume is this call's to take back."""
        self._vanished = False
        """Whether this call's copying has ended, so that any other is another worker's."""

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
            if self._watch(plan, tell):
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
        joined = self._under_way(domain, root, own[0], pool)
        used = hardware.paths(domain) | ({joined} if joined else set())
        storage.clear(self.vendor, pool, self.identity, but=used)
        return Plan(
            key=own[0],
            old=volume,
            name=documents.other_name(self.identity, volume.name()),
            size_bytes=int(volume.info()[1]),
            running=bool(domain.isActive()),
            joined=joined,
        )

    def _pool(self, connection: Any) -> Any:
        """The pool to move to. Raises NotFound, Refused, and Unsupported where the host has one only."""
        try:
            pool = connection.storagePoolLookupByName(self.pool_name)
        except self.vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_STORAGE_POOL:
                raise
            self._check_second(connection)
            known = ", ".join(sorted(pool.name() for pool in storage.active_pools(self.vendor, connection)))
            why = f"there is no storage pool '{self.pool_name}'"
            raise NotFound(self.endpoint, OPERATION, why, hint=f"the host's are {known}") from error
        _, problem = storage.capacity_gib(self.vendor, connection, self.pool_name)
        if problem is not None:
            self._check_second(connection)
            raise Refused(self.endpoint, OPERATION, problem)
        pool.refresh(0)
        return pool

    def _check_second(self, connection: Any) -> None:
        if (gap := nowhere(self.vendor, connection, self.provider)) is not None:
            raise Unsupported(self.endpoint, Capability.STORAGE_MIGRATE, gap)

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
            hint = "delete them first"
            raise Conflict(self.endpoint, OPERATION, why, hint=hint)

    def _under_way(self, domain: Any, root: ET.Element, key: str, pool: Any) -> str | None:
        """Where another call's copy to this pool goes, cut off or not: this call goes on with it.

        One to another pool is called off, and deleted. Raises Conflict for one that is not tierwise's.
        """
        if not domain.isActive() or not domain.blockJobInfo(key, 0):
            return None
        mirror = documents.mirror(root, key)
        name = (mirror or "").rpartition("/")[2]
        if name not in documents.all_names(self.identity):
            why = f"disk '{key}' of machine '{domain.name()}' has another block job"
            hint = f"wait for it, or end it with virsh blockjob {domain.name()} {key} --abort"
            raise Conflict(self.endpoint, OPERATION, why, hint=hint)
        found = storage.lookup(self.vendor, pool, self.identity, name)
        if found is not None and found.path() == mirror:
            return mirror
        domain.blockJobAbort(key, 0)
        volume = hardware.volume_of(self.vendor, domain.connect(), hardware.Attached(key, "", str(mirror)))
        if volume is not None:
            volume.delete()
        return None

    def _start(self, connection: Any, plan: Plan) -> str:
        """Have QEMU begin to copy into a new volume; its path."""
        if plan.joined is not None:
            self._mine = True
            return plan.joined
        pool = connection.storagePoolLookupByName(self.pool_name)
        copy = self._made(lambda: pool.createXML(documents.volume(plan.name, plan.size_bytes)))
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

    def _made(self, make: Callable[[], Any]) -> Any:
        """What was made, which is this call's then, unless another worker was first."""
        self._mine = True
        try:
            return make()
        except self.vendor.libvirtError as error:
            self._mine = not faults.exists(error)
            raise

    def _watch(self, plan: Plan, tell: Tell) -> bool:
        """Wait until all is copied, as long as each timeout brings some of it; False if the machine went over by then."""
        timeout_s = self.session.endpoint.timeout_s
        done, end_s = -1, time.monotonic() + timeout_s
        while not (job := self._look(plan)).ready:
            if not job.there:
                if self.session.part(OPERATION, self._has_arrived):
                    return False
                self._vanished = True
                self._given_up(plan, max(done, 0))
            if job.done > done:
                done, end_s = job.done, time.monotonic() + timeout_s
                tell(min(done, plan.size_bytes))
            elif time.monotonic() > end_s:
                self._stalled(plan, job)
            time.sleep(min(_LONGEST_LOOK_S, timeout_s / _LOOKS))
        return True

    def _has_arrived(self, connection: Any) -> bool:
        """Whether the machine's disk is in the pool, by another worker's doing."""
        domain, pool = self.find(connection), connection.storagePoolLookupByName(self.pool_name)
        own = documents.own_disk(documents.parse(domain.XMLDesc(0)), self.identity)
        if own is None:
            return False
        found = storage.lookup(self.vendor, pool, self.identity, own[1].rpartition("/")[2])
        return found is not None and found.path() == own[1]

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
        try:
            domain.blockJobAbort(plan.key, self.vendor.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        except self.vendor.libvirtError:
            if not self._has_arrived(connection):
                raise
        kept = documents.parse(domain.XMLDesc(self._kept_flags()))
        if path not in documents.files(kept):
            connection.defineXML(documents.with_disk(kept, plan.key, path))

    def _cloned(self, connection: Any, plan: Plan) -> Any:
        pool = connection.storagePoolLookupByName(self.pool_name)
        wanted = documents.volume(plan.name, plan.size_bytes)
        return self._made(lambda: pool.createXMLFrom(wanted, plan.old, 0))

    def _cloned_bytes(self, connection: Any, plan: Plan) -> int:
        pool = connection.storagePoolLookupByName(self.pool_name)
        return int(pool.storageVolLookupByName(plan.name).info()[2])

    def _exchange(self, connection: Any, plan: Plan, path: str) -> None:
        """Define the machine with the copy; not where it was powered on meanwhile. Raises Conflict."""
        connection.storageVolLookupByPath(
            path
        ).info()  # it is still there: another worker may have cleared up
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
        """Call the copying off, and delete what was copied; not what the machine went over to, or what is others'."""
        if not self._mine:
            return
        domain = self.find(connection)
        root = documents.parse(domain.XMLDesc(0))
        own = documents.own_disk(root, self.identity)
        if own is not None and documents.mirror(root, own[0]) is not None:
            if self._vanished:
                return
            domain.blockJobAbort(own[0], 0)
        pool = connection.storagePoolLookupByName(self.pool_name)
        storage.clear(self.vendor, pool, self.identity, but=hardware.paths(domain))

    def _clear_others(self, connection: Any) -> None:
        """Delete the volumes that the machine no longer uses, in whatever pool an earlier try left them."""
        used = hardware.paths(self.find(connection))
        for path in used:
            connection.storageVolLookupByPath(
                path
            ).info()  # nothing is deleted unless all that is used is there
        for pool in storage.active_pools(self.vendor, connection):
            storage.clear(self.vendor, pool, self.identity, but=used)
