"""A Hyper-V host in memory: machines, disks, checkpoints, folders, and a volume.

What stands on disks is in files of `World.store`, as far as anybody has looked at it.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import uuid4

from pydantic import Field

from catalog.base import Value

MIB = 1 << 20
GIB = 1 << 30


class Estate(Value):
    """What the simulated host has when it starts."""

    host: str = "HV-SIM-1"
    logical_processors: int = Field(default=32, ge=1)
    memory_mib: int = Field(default=256 * 1024, ge=1024)
    volume_gib: int = Field(default=10 * 1024, ge=1)
    volumes: Mapping[str, int] = Field(
        default_factory=dict,
        description="Size in GiB of other volumes, by the folder that each begins at, with its backslash.",
    )
    cluster: str = Field(default="", description="The failover cluster that the host is a node of.")
    auto_balancer: int = Field(
        default=2, ge=0, le=2, description="The cluster's AutoBalancerMode; 0 is off."
    )
    nodes: tuple[str, ...] = Field(
        default=(), description="Other nodes of the cluster, each like the host; all share their disks."
    )
    switches: tuple[str, ...] = ("External",)
    folder: str = "C:\\ProgramData\\Microsoft\\Windows\\Hyper-V"
    caption: str = "Hyper-V simulator, posing as Windows Server 2022"
    version: str = "10.0.20348"
    storage_move_ms: int = Field(default=50, ge=0, description="How long a machine's files take to move.")
    merge_ms: int = Field(
        default=50, ge=0, description="How long it takes until a removed checkpoint's files are merged."
    )
    conversion_ms: int = Field(default=50, ge=0, description="How long it takes to convert a disk.")
    conversions_outlive: bool = Field(
        default=False, description="Whether the host goes on with a conversion whose process was ended."
    )
    shutdown_ms: int = Field(default=50, ge=0, description="How long a guest takes to shut down.")
    hyperv_administrator: bool = Field(
        default=True, description="Whether the user is in the group Hyper-V Administrators."
    )
    guests_obey: bool = Field(default=True, description="Whether guests react to a shutdown request.")


@dataclass
class Disk:
    """A VHDX or VHD file. One with a parent is a differencing disk; one that was sent is `unread`."""

    path: str
    size: int
    parent: str = ""
    kind: str = "Dynamic"
    file: Path | None = None
    unread: bool = False

    @property
    def taken_bytes(self) -> int:
        """What its file takes; one that nobody looked at is empty, and takes nothing."""
        return 0 if self.file is None else self.file.stat().st_size


@dataclass
class Adapter:
    """A network card. Hyper-V gives it its address when the machine starts first."""

    switch: str
    mac: str = "0" * 12
    legacy: bool = False


@dataclass
class Snapshot:
    """A checkpoint, and what it brings back."""

    id: str
    name: str
    created: str
    config: dict[str, Any]
    state: str
    disks: list[str]
    parent: str | None = None


@dataclass
class Metering:
    """A machine's resource metering: since when, and how long it ran in that time, in seconds."""

    since_s: float
    ran_s: float = 0.0


@dataclass
class Move:
    """A machine's files on their way: those that are held meanwhile, and how far it is."""

    held: tuple[str, ...]
    percent: int = 0


@dataclass
class Vm:
    """A registered machine; `config` is by the names of Set-VM's parameters."""

    id: str
    path: str
    config: dict[str, Any]
    state: str = "Off"
    disks: list[str] = field(default_factory=list)
    on_scsi: int = 0
    """How many of the last disks of a machine of generation 1 are on its SCSI controller; the others are on IDE."""
    freed: set[int] = field(default_factory=set)
    """Places of its SCSI controller that disks were taken out of, before the last one that is taken."""
    adapters: list[Adapter] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    parent_snapshot: str | None = None
    metering: Metering | None = None


class World:
    """A host's state; whoever reads or changes it holds `lock`.

    The nodes of a cluster are worlds of their own that share the lock, the disks, and what the cluster knows:
    `nodes`, `roles` (the machine of each role, by the role's name) and `down`. `conversions` are the paths, in
    lower case, of files that a conversion is writing; `left` are those that a removed checkpoint had, with when
    they are merged; `held` are those of a machine that is gone, with until when the
    host has them open to merge its checkpoints.
    """

    def __init__(
        self, estate: Estate, store: Path = Path("no-store"), cluster: "World | None" = None
    ) -> None:
        self.estate = estate
        self.store = store
        self.lock: Any = RLock() if cluster is None else cluster.lock
        self.vms: dict[str, Vm] = {}
        self.disks: dict[str, Disk] = {} if cluster is None else cluster.disks
        self.folders: set[str] = set() if cluster is None else cluster.folders
        self.nodes: dict[str, World] = {} if cluster is None else cluster.nodes
        self.roles: dict[str, str] = {} if cluster is None else cluster.roles
        self.down: set[str] = set() if cluster is None else cluster.down
        self.moves: dict[str, Move] = {}
        self.left: dict[str, float] = {}
        self.held: dict[str, float] = {}
        self.conversions: set[str] = set() if cluster is None else cluster.conversions
        self.nodes[estate.host] = self
        self._ticks = count()
        self.macs: Iterator[int] = count(0x1000) if cluster is None else cluster.macs
        self._looked_s = time.monotonic()

    def pass_time(self) -> float:
        """Let machines that run use up what they use, and the host merge disks, until now, which is returned."""
        now_s = time.monotonic()
        for path in [one for one, due_s in self.left.items() if due_s <= now_s]:
            self._merge(path)
        for vm in self.vms.values():
            if vm.metering is not None and vm.state == "Running":
                vm.metering.ran_s += now_s - max(self._looked_s, vm.metering.since_s)
        self._looked_s = now_s
        return now_s

    def _merge(self, path: str) -> None:
        """Let a file, and the only one that stands on it, be one; a file on which two stand waits for one to go."""
        everywhere = [vm for node in self.nodes.values() for vm in node.vms.values()]
        users = [held for vm in everywhere for held in (vm.disks, *(one.disks for one in vm.snapshots))]
        while (disk := self.disk_of(path)) is not None:
            if any(path in map(str.lower, held) for held in users):
                break
            children = [one for one in self.disks.values() if one.parent.lower() == path]
            if len(children) > 1:
                return
            if not children:
                self.remove_disk(path)
                break
            (child,) = children
            for held in users:
                held[:] = [disk.path if one.lower() == child.path.lower() else one for one in held]
            for other in self.disks.values():
                if other.parent.lower() == child.path.lower():
                    other.parent = disk.path
            self.remove_disk(child.path)
        self.left.pop(path, None)

    def clear(self) -> None:
        """Forget all machines and files."""
        for path in list(self.disks):
            self.remove_disk(path)
        self.vms = {}
        self.left.clear()
        self.held.clear()
        self.folders.clear()
        self.roles.clear()
        self.down.clear()

    def now(self) -> str:
        """A time that no two calls share, as PowerShell's round-trip format writes it."""
        moment = datetime.now(UTC) + timedelta(microseconds=next(self._ticks))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")

    def new_id(self) -> str:
        """A GUID as .NET writes it."""
        return str(uuid4())

    def disk_of(self, path: str) -> Disk | None:
        """The disk file at a path; Windows does not tell upper from lower case."""
        return self.disks.get(path.lower())

    def new_file(self) -> Path:
        """A new, empty file for what stands on a disk."""
        made = self.store / self.new_id()
        made.touch()
        return made

    def remove_disk(self, path: str) -> None:
        """Remove a disk file; nothing where there is none."""
        gone = self.disks.pop(path.lower(), None)
        if gone is not None and gone.file is not None:
            gone.file.unlink()

    def new_mac(self) -> str:
        """An address of Microsoft's range for Hyper-V."""
        return f"00155D{next(self.macs):06X}"

    def put_disk(self, disk: Disk) -> None:
        """Add a disk file and its folder."""
        self.disks[disk.path.lower()] = disk
        self.put_folder(disk.path.rpartition("\\")[0])

    def has_folder(self, path: str) -> bool:
        """Whether there is a folder; Windows does not tell upper from lower case."""
        return path.lower() in {folder.lower() for folder in self.folders}

    def room_on(self, path: str) -> int:
        """Bytes that are free on the volume of a path; less than none where files have outgrown it."""
        return self.volume_of(path)[1] * GIB - self.taken_on(path)

    def put_folder(self, path: str) -> None:
        """Add a folder and those above it."""
        while "\\" in path:
            self.folders.add(path)
            path = path.rpartition("\\")[0]

    def in_use(self, path: str) -> bool:
        """Whether a machine that runs, or is paused, has the disk open, or it is being moved, merged or written."""
        if path.lower() in self.conversions or any(
            node.held.get(path.lower(), 0.0) > time.monotonic()
            or any(path.lower() in map(str.lower, one.held) for one in node.moves.values())
            for node in self.nodes.values()
        ):
            return True
        everywhere = (vm for node in self.nodes.values() for vm in node.vms.values())
        open_now = (vm for vm in everywhere if vm.state not in {"Off", "Saved"})
        return any(path.lower() in {d.lower() for d in vm.disks} for vm in open_now)

    def volume_of(self, path: str) -> tuple[str, int]:
        """Where the volume of a path begins, empty for the first one, and its size in GiB."""
        found = [one for one in self.estate.volumes.items() if path.lower().startswith(one[0].lower())]
        return max(found, key=lambda one: len(one[0]), default=("", self.estate.volume_gib))

    def taken_on(self, path: str) -> int:
        """Bytes that disks take on the volume of a path."""
        volume = self.volume_of(path)
        return sum(disk.taken_bytes for disk in self.disks.values() if self.volume_of(disk.path) == volume)

    def memory_used_mib(self) -> int:
        """What machines hold that run or are paused."""
        held = (vm for vm in self.vms.values() if vm.state not in {"Off", "Saved"})
        return sum(int(vm.config["MemoryStartupBytes"]) for vm in held) // MIB
