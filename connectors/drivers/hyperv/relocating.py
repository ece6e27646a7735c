"""Moving a machine's files to another folder of its host or cluster: Move-VMStorage, while it runs or not.

The host copies the disk, and takes a running guest's writes along; when all is there the machine goes over to
the copy and the old files are removed. So a move that fails leaves the machine where it was. The copy has a
name that no file had before, for what an earlier try left behind could be in its way.
"""

from uuid import uuid4

from catalog.capabilities import Capability, Gap
from connectors.contract import PowerState, Tell
from connectors.drivers.hyperv import gaps
from connectors.drivers.hyperv.dispatcher import Command, Scalar, Table
from connectors.drivers.hyperv.host import HostFacts, on_shared_volume
from connectors.drivers.hyperv.machines import NO_SNAPSHOTS, Machine
from connectors.drivers.hyperv.removing import own_folder
from connectors.drivers.hyperv.session import Op
from connectors.drivers.hyperv.settings import Settings
from connectors.errors import Conflict, NotFound, Refused, Unsupported

MIB = 1 << 20
RUNNING_JOB = 4
_JOBS = Command(
    "CimCmdlets\\Get-CimInstance",
    {"Namespace": "root/virtualization/v2", "ClassName": "Msvm_MigrationJob"},
    select=("VirtualSystemName", "JobState", "PercentComplete"),
    optional=True,
)


def missing(settings: Settings, host: HostFacts) -> Gap | None:
    """Why the endpoint's settings let no disk be moved; None where they do. All nodes of a cluster have one folder."""
    if not settings.storages:
        return gaps.NO_STORAGES
    if settings.options.cluster:
        own = [folder for folder in settings.storages.values() if not on_shared_volume(folder)]
        if own:
            return gaps.not_shared(own[0], "storages")
    folders = {folder.lower() for folder in settings.storages.values()}
    return gaps.one_storage(host.provider) if folders == {host.folder.lower()} else None


def relocate(op: Op, host: HostFacts, machine: Machine, storage: str, tell: Tell) -> None:
    """Bring the machine's files to the folder of a storage; nothing if they are there.

    Raises NotFound, Conflict, Refused, and Unsupported where the endpoint names no storage to move to.
    """
    base, _, name = own_folder(machine).rpartition("\\")
    target = op.session.settings.storages.get(storage)
    if target is not None and base.lower() == target.lower():
        return
    if gap := missing(op.session.settings, host):
        raise Unsupported(op.endpoint, Capability.STORAGE_MIGRATE, gap)
    if target is None:
        why = f"the endpoint's option 'storages' has no '{storage}'"
        known = ", ".join(sorted(op.session.settings.storages))
        raise op.error(NotFound, why, hint=f"it has {known}")
    path = _own_disk(op, machine)
    _check(op, machine)
    size_bytes = _check_room(op, path, target, storage)
    _move(op, machine, path, f"{target}\\{name}", _Progress(op, machine, size_bytes, tell))


def _own_disk(op: Op, machine: Machine) -> str:
    """The disk that was made with the machine; others stay where they are."""
    folder = f"{own_folder(machine)}\\disks\\".lower()
    for path, _ in machine.disks:
        if path.lower().startswith(folder):
            return path
    why = f"machine '{machine.name}' has no disk in its own folder"
    raise op.error(Refused, why, hint="move its files in Hyper-V Manager")


def _check(op: Op, machine: Machine) -> None:
    if machine.has_snapshots:
        why = f"machine '{machine.name}' has checkpoints, each of which is a file of its disk"
        raise op.error(Conflict, why, hint=NO_SNAPSHOTS)
    if machine.power is PowerState.UNKNOWN:
        why = f"machine '{machine.name}' is {machine.state}"
        raise op.error(Conflict, why, hint="let the host find its files again first", code=machine.state)


def _check_room(op: Op, path: str, target: str, storage: str) -> int:
    """Bytes that the disk's file takes, for which there is room. Raises Refused."""
    (file,), volumes = op.run(
        Command("Hyper-V\\Get-VHD", {"Path": path}, select=("FileSize",)),
        Command("Storage\\Get-Volume", {"FilePath": target}, select=("SizeRemaining",), optional=True),
    )
    if not volumes:
        why = f"the volume of storage '{storage}' cannot be read: '{target}'"
        raise op.error(Refused, why, hint="correct the endpoint's option 'storages'")
    takes_bytes, free_bytes = int(file["FileSize"]), int(volumes[0]["SizeRemaining"] or 0)
    if takes_bytes > free_bytes:
        why = (
            f"storage '{storage}' has {free_bytes // MIB} MiB free, and the disk takes {takes_bytes // MIB}"
        )
        raise op.error(Refused, why, hint="free some space there, or choose another storage")
    return takes_bytes


def _move(op: Op, machine: Machine, path: str, folder: str, progress: "_Progress") -> None:
    where: dict[str, Scalar | Table] = dict.fromkeys(
        ("VirtualMachinePath", "SnapshotFilePath", "SmartPagingFilePath"), folder
    )
    ending = path.rpartition(".")[2]
    where["Vhds"] = {"From": path, "To": f"{folder}\\disks\\disk-{uuid4().hex[:8]}.{ending}"}
    op.run_long(
        [
            Command("Hyper-V\\Get-VM", {"Id": machine.id}),
            Command("Hyper-V\\Move-VMStorage", where, {"VM": "0"}),
        ],
        progress.look,
    )
    op.session.deadline.begin()
    progress.finish()


class _Progress:
    """What the host's migration jobs tell of a machine's move."""

    def __init__(self, op: Op, machine: Machine, size_bytes: int, tell: Tell) -> None:
        self._op = op
        self._names = {machine.id.lower(), machine.name.lower()}
        self._size_bytes = size_bytes
        self._tell = tell
        self._percent = 0

    def look(self) -> bool:
        """Whether it has come further since the last look."""
        (jobs,) = self._op.run(_JOBS)
        percents = [
            int(job["PercentComplete"] or 0)
            for job in jobs
            if str(job["VirtualSystemName"]).lower() in self._names and job["JobState"] == RUNNING_JOB
        ]
        now = max(percents, default=0)
        if now <= self._percent:
            return False
        self._percent = now
        self._tell(self._size_bytes * min(now, 100) // 100)
        return True

    def finish(self) -> None:
        """All is there."""
        self._tell(self._size_bytes)
