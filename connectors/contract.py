"""The contract that every driver keeps. `tierwise.testing.conformance` is its executable form.

Idempotence is by identity: the order's UUID is the machine's identity at the hypervisor (vSphere
``instanceUuid``, libvirt ``<uuid>``), so repeating a call after a lost reply changes nothing.
A connector is used by one thread at a time; each worker opens its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import BinaryIO, ClassVar, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, SecretStr

from catalog.base import Value
from catalog.capabilities import Capability, CapabilityReport, Gap
from catalog.pools import Endpoint, Host, Hypervisor, Template
from catalog.pools import Firmware as Firmware  # noqa: PLC0414 - drivers know it from here
from catalog.resources import Resources
from catalog.workload_classes import Availability
from connectors.errors import Unsupported

PLATFORM_CAPABILITIES = frozenset({Capability.HA_RESTART, Capability.DRS})
"""What the hypervisor does by itself, so that no call of the contract asks for it: a probe reports it."""


TEMPLATE_TRAIT = "CUSTOM_TEMPLATE_"
"""What the traits begin with that say of which templates a pool makes machines."""


class PowerState(StrEnum):
    """Whether a machine runs. `SUSPENDED` keeps its memory and is not running."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class PowerAction(StrEnum):
    """What can be asked of a machine's power; each names the capability that it needs."""

    ON = "power_on"
    OFF = "power_off"
    SHUTDOWN = "shutdown"
    SUSPEND = "suspend"

    @property
    def capability(self) -> Capability:
        """The capability that a pool must have for this action."""
        return Capability(self.value)


class Seed(Value):
    """What a machine reads about itself at its first start, from a disk made for it (cloud-init's NoCloud).

    Both are texts as cloud-init takes them: ``#cloud-config`` or a script, and a network configuration of
    version 1 or 2. The instance id is the machine's identity, and the host name its name. They may hold
    passwords, so they are not shown.
    """

    user_data: str = Field(min_length=1, max_length=256 * 1024, repr=False)
    network_config: str = Field(default="", max_length=64 * 1024, repr=False)


class VmSpec(Value):
    """A machine to create. `provider` is a cluster or host group's own name at the endpoint.

    Without a `firmware` it is what the hypervisor, or the template, takes by itself. With `empty` its disks
    are empty also where it would be made of a template: what is to be filled by `import_disk`. Without
    an `availability` it is the best that the hypervisor does by itself; drivers that cannot set it leave it at that.
    """

    name: str = Field(min_length=1, max_length=80)
    provider: str
    resources: Resources
    annotations: Mapping[str, str] = Field(
        default_factory=dict, description="With TAGS they are the machine's tags at the vendor too."
    )
    firmware: Firmware | None = None
    seed: Seed | None = Field(default=None, description="Needs SEED_DISK; without it no such disk is made.")
    empty: bool = False
    availability: Availability | None = None
    traits: frozenset[str] = Field(
        default=frozenset(),
        description="What its class and rules require of the pool; drivers that can choose by them within it do.",
    )

    @property
    def templates(self) -> tuple[str, ...]:
        """The names of the templates that `traits` require; a machine is made of one at most."""
        found = (trait for trait in self.traits if trait.startswith(TEMPLATE_TRAIT))
        return tuple(sorted(trait.removeprefix(TEMPLATE_TRAIT) for trait in found))


def hot_resize(now: Resources, wanted: Resources) -> Capability:
    """What it needs to resize a machine that runs: less where nothing but its memory changes."""
    memory_alone = wanted == now.model_copy(update={"memory_mib": wanted.memory_mib})
    return Capability.RESIZE_MEMORY_HOT if memory_alone else Capability.RESIZE_HOT


def changed_tags(tags: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """Tags after changes, of which an empty value takes one away."""
    return {name: value for name, value in {**tags, **changes}.items() if value or name not in changes}


class VmView(Value):
    """A machine as its hypervisor reports it. `identity` is None for machines tierwise did not make."""

    identity: UUID | None
    native_id: str
    name: str
    provider: str
    host: str | None
    power: PowerState
    resources: Resources
    annotations: Mapping[str, str] = Field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.native_id, self.identity))


class PoolSnapshot(Value):
    """One cluster or host group at the time of a probe.

    `total` is physical and leaves out hosts that are not usable; `used` is what its machines are
    configured with (all of them for disk, the running ones for vcpu and memory_mib). Each of the `templates`
    is among the `traits` too.
    """

    provider: str
    hypervisor: Hypervisor
    total: Resources
    used: Resources
    hosts: tuple[Host, ...]
    traits: frozenset[str] = frozenset()
    templates: tuple[Template, ...] = ()
    capabilities: CapabilityReport = CapabilityReport()

    def __hash__(self) -> int:
        return hash(self.provider)


class EndpointSnapshot(Value):
    """All that one probe saw. `product` is the vendor's product name and version."""

    endpoint: str
    product: str
    secure: bool = Field(description="Whether the connection is encrypted and the peer verified.")
    note: str = Field(default="", description="What a reader should know, e.g. that it is a simulator.")
    pools: tuple[PoolSnapshot, ...]

    def __hash__(self) -> int:
        return hash(self.endpoint)


class UsageReading(Value):
    """One measured value of one machine; cumulative where `counter`.

    `metric` begins with the capability it belongs to and ends with its unit: ``cpu_ms``,
    ``memory_mib``, ``disk_read_bytes``, ``net_received_bytes``. Readings of one metric for several parts
    of a machine, each with a counter of its own, add up.
    """

    identity: UUID
    metric: str
    value: int
    at: AwareDatetime
    counter: bool
    part: str = Field(
        default="",
        description="The disk or network card that has this counter; empty for the whole machine.",
    )
    begun_at: AwareDatetime | None = Field(
        default=None,
        description="When a counter was at 0, where the hypervisor tells; one that is rounded may fall a little since.",
    )


class DiskFormat(StrEnum):
    """How a disk's content is laid out in a file."""

    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    QCOW2 = "qcow2"
    RAW = "raw"

    @property
    def importing(self) -> Capability:
        """The capability to take a disk in this format."""
        return Capability(f"import_disk_{self.value}")

    @property
    def exporting(self) -> Capability:
        """The capability to give a disk in this format."""
        return Capability(f"export_disk_{self.value}")


class Disk(Value):
    """One disk of a machine. `key` is the hypervisor's own name of it, and names it while it is attached."""

    key: str
    size_bytes: int = Field(ge=0, description="What the guest sees, not what the file takes.")
    bus: str = Field(description="The controller as the vendor names it: virtio, pvscsi, ide, xvd.")
    name: str = Field(default="", description="What `add_disk` was told to call it; empty for others.")


DISK_NAME = r"^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$"
"""1 to 20 characters: as many as a disk's serial number has by virtio, by which a guest finds it."""


class NewDisk(Value):
    """An empty disk to add to a machine. Its name is the machine's own name of it, so that it is added once."""

    name: str = Field(pattern=DISK_NAME)
    size_gib: int = Field(ge=1, le=65_536)


class NetworkCard(Value):
    """One network card of a machine."""

    mac: str = Field(
        description="Six pairs of lower-case hexadecimal digits with colons; empty until known."
    )
    model: str = Field(description="The card as the vendor names it: virtio, vmxnet3, e1000, netfront.")
    network: str = Field(description="The vendor's name of the network it is on; empty for none.")


class VmSnapshot(Value):
    """One snapshot of a machine. Names may be equal, where others gave them."""

    name: str
    taken_at: AwareDatetime = Field(description="By the hypervisor's clock, in UTC.")
    parent: str = Field(
        default="",
        description="The snapshot that the machine came from; empty for a first one, or where nobody tells.",
    )
    current: bool = Field(default=False, description="Whether what the machine is now came from this one.")


class VmDetails(Value):
    """What a machine is made of, beyond its view: what a move to another hypervisor would have to carry."""

    firmware: Firmware
    secure_boot: bool = False
    secure_boot_keys: str = Field(
        default="",
        description="By which it takes guests, as the vendor names them; empty: none, or not told.",
    )
    disks: tuple[Disk, ...] = Field(
        description="In the order in which the guest sees them; the first boots."
    )
    cards: tuple[NetworkCard, ...] = ()
    guest_tools: str = Field(
        default="", description="What runs in the guest for this hypervisor; empty: none."
    )

    def __hash__(self) -> int:
        return hash((self.firmware, self.disks))


class Changes(Value):
    """What changed at an endpoint since a cursor.

    `vms` are the machines that were made or changed, as they are now, and `gone` the native ids of those
    that are no longer there. With `full`, `vms` are all machines, and what is not among them is gone.
    """

    cursor: str
    vms: tuple[VmView, ...] = ()
    gone: tuple[str, ...] = ()
    full: bool = False

    def __hash__(self) -> int:
        return hash(self.cursor)


Tell = Callable[[int], None]
"""Called with the number of bytes that a transfer has carried so far."""


class Connector(ABC):
    """A driver for one endpoint of one hypervisor.

    A driver declares its gaps; every capability it does not declare missing must pass the
    conformance suite. `probe` narrows the declared gaps further per pool, by what the live endpoint
    says. Every call keeps the endpoint's `timeout_s` as a client-side deadline and raises only
    `ConnectorError`s; a call on a connector that is not open raises Unreachable.
    """

    driver: ClassVar[str]
    """The file's name in `connectors/drivers`."""
    gaps: ClassVar[Mapping[Capability, Gap]] = MappingProxyType({})
    counts_from_since: ClassVar[bool] = False
    """Whether `usage` counts by itself, from the `since` of a connector's first call, where the hypervisor has no counters."""

    def __init__(self, endpoint: Endpoint, password: SecretStr | None = None) -> None:
        self.endpoint = endpoint
        self._password = password

    @abstractmethod
    def open(self) -> None:
        """Connect and log in; nothing if it is open. Raises Unreachable, Refused or DeadlineExceeded."""

    @abstractmethod
    def close(self) -> None:
        """Log out and release everything; never raises, and may be called twice."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @abstractmethod
    def probe(self) -> EndpointSnapshot:
        """Capacity, hosts, traits and capabilities of every pool of the endpoint."""

    @abstractmethod
    def list_vms(self) -> list[VmView]:
        """Every machine of the endpoint, templates left out, in order of name and native id."""

    def inventory(self) -> tuple[EndpointSnapshot, list[VmView]]:
        """What `probe` and `list_vms` say, seen at one moment where the endpoint can do that."""
        return self.probe(), self.list_vms()

    @abstractmethod
    def get_vm(self, identity: UUID) -> VmView:
        """One machine by identity. Raises NotFound."""

    @abstractmethod
    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        """The machine of this identity, made powered off if it was not there.

        A machine that is there already is adopted: returned as it is, whatever its state. Raises
        NotFound for an unknown provider, Conflict for a name another machine has where the
        hypervisor's names are unique, Refused when there is no room or no such firmware, Unsupported for a
        seed where SEED_DISK is missing. A failure leaves nothing behind.

        Where the traits require a template (TEMPLATE), the machine is as large as ordered and the first disk begins
        with the template's content. Copying that takes longer than a call has goes on, and the next call takes it over,
        or the call lasts as long as the copy comes further. Raises NotFound for a template that is not there, and
        Refused for two of them, and where it has more disk than the machine or starts by another firmware.
        """

    @abstractmethod
    def delete_vm(self, identity: UUID) -> None:
        """Remove the machine and its disks, running or not; nothing if it is not there."""

    @abstractmethod
    def power(self, identity: UUID, action: PowerAction) -> VmView:
        """Bring the machine to the state the action names; nothing if it is in it already.

        SHUTDOWN asks the guest and returns once the machine is off; where the guest does not obey
        within `timeout_s` it raises DeadlineExceeded and the machine still runs. Raises Conflict when
        a machine that is off is to be suspended, or one that is suspended is to be shut down.
        """

    @abstractmethod
    def resize(self, identity: UUID, resources: Resources) -> VmView:
        """Set vcpu and memory_mib, and grow the disk.

        Needs RESIZE_COLD while the machine is off, and `hot_resize` while it runs. Raises Conflict when
        the disk would shrink or the machine's state does not allow it.
        """

    def add_disk(self, identity: UUID, disk: NewDisk) -> VmView:
        """Give a machine one more disk, empty; nothing if it has one of that name and size.

        Needs ADD_DISK while the machine is off and DISK_HOTPLUG while it runs. Raises NotFound, Refused where
        there is no room, and Conflict where it has a disk of that name and another size, has snapshots (going
        back to one would lose the disk), or is suspended. After a failure it has the disk or nothing is left of it.
        """
        raise self.unsupported(self._by_power(identity, Capability.ADD_DISK, Capability.DISK_HOTPLUG))

    def grow_disk(self, identity: UUID, key: str, size_gib: int) -> VmView:
        """Let one disk, by its key in `details`, be as large; nothing if it is. The guest's file system stays as it is.

        Needs GROW_DISK while the machine is off and GROW_DISK_HOT while it runs. Raises NotFound for a machine
        or disk that is not there, Refused where there is no room, and Conflict where the disk would shrink, or
        the machine has snapshots or is suspended.
        """
        raise self.unsupported(self._by_power(identity, Capability.GROW_DISK, Capability.GROW_DISK_HOT))

    def remove_disk(self, identity: UUID, disk: Disk) -> VmView:
        """Take a disk that `add_disk` added out of a machine, with all that is on it; nothing if it is gone.

        `disk` is as `details` showed it: one that has its name now, and another key or size, is never taken. A
        call that was cut off may leave the disk's content behind, outside of the machine; repeating it removes that.
        Needs REMOVE_DISK while the machine is off and REMOVE_DISK_HOT while it runs. Raises NotFound for a machine
        that is not there, DeadlineExceeded where a guest does not let go of the disk, and Conflict where the disk
        is the first, was not added by `add_disk` or is another one, or the machine has snapshots (which hold its
        disks) or is suspended.
        """
        raise self.unsupported(self._by_power(identity, Capability.REMOVE_DISK, Capability.REMOVE_DISK_HOT))

    def snapshot(self, identity: UUID, name: str) -> None:
        """Keep the machine's present state under `name`; nothing if that name exists."""
        raise self.unsupported(Capability.SNAPSHOT)

    def list_snapshots(self, identity: UUID) -> list[VmSnapshot]:
        """The machine's snapshots, oldest first; of those of one moment too, where the vendor tells their order."""
        raise self.unsupported(Capability.SNAPSHOT)

    def revert(self, identity: UUID, name: str) -> None:
        """Bring the machine back to the snapshot `name`. Raises NotFound."""
        raise self.unsupported(Capability.REVERT)

    def delete_snapshot(self, identity: UUID, name: str) -> None:
        """Delete one snapshot; nothing if it is gone. The machine and its other snapshots stay as they are.

        Where that merges disks it lasts as long as it comes further, or goes on after the call. Raises NotFound
        for a machine that is not there, and Conflict where others gave several snapshots the same name.
        """
        raise self.unsupported(Capability.DELETE_SNAPSHOT)

    def usage(self, since: datetime) -> Iterable[UsageReading]:
        """Measured values since a time; counters are cumulative from an arbitrary start."""
        raise self.unsupported(Capability.METRICS_CPU)

    def count_from(self, moments: Mapping[UUID, datetime]) -> None:
        """Before a first `usage` that `counts_from_since`: these machines' counters begin then, in place of its `since`."""
        del moments

    def clocks(self) -> Mapping[str, datetime]:
        """What the clocks show now by which the endpoint tells moments, in UTC, by the names of those that have them.

        Whole seconds will do. Empty where the endpoint tells none.
        """
        return {}

    def secure_boot(self, spec: VmSpec) -> str:
        """Which secure boot a machine made of `spec` would get, and by what, for people; empty where the driver sets none."""
        del spec
        return ""

    def network(self) -> str | None:
        """The vendor's name of the network of new machines: empty where they get no card, None where it is not told."""
        return None

    def details(self, identity: UUID) -> VmDetails:
        """Firmware, disks and network cards of a machine. Raises NotFound.

        Needed by every capability to give, take, add, grow or remove disks; a driver with none of them refuses.
        """
        raise self.unsupported(Capability.EXPORT_DISK_RAW)

    def export_disk(self, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
        """Write the content of a disk of a machine that is off into an open, empty file, in this format.

        Each part of the transfer has `timeout_s`, not the whole. Raises NotFound for a machine or disk that is
        not there, and Conflict where the machine is not off.
        """
        raise self.unsupported(form.exporting)

    def import_disk(self, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        """Replace the content of a disk of a machine that is off by a file's, from its beginning to its end.

        The file's virtual size must be that of the disk: Conflict where it is not, or where the machine is not
        off. A transfer that fails leaves the disk's content undefined, and nothing else behind; repeating it
        puts that right. Each part has `timeout_s`. Raises NotFound as `export_disk`.
        """
        raise self.unsupported(form.importing)

    def migrate(self, identity: UUID, host: str) -> VmView:
        """Bring a machine to another host of its provider, running if it runs; nothing if it is there.

        A machine that is off starts there the next time. Raises NotFound for a host that the provider does not
        have, and Refused where the host cannot take it.
        """
        raise self.unsupported(Capability.LIVE_MIGRATE)

    def storage_migrate(self, identity: UUID, storage: str, tell: Tell) -> VmView:
        """Bring the disk that was made with a machine to another storage, running if it runs; nothing if it is there.

        `storage` is the vendor's name of a datastore, storage repository or storage pool of the machine's
        provider. Each part has `timeout_s`, not the whole: a copy that comes no further for so long is called
        off. After a failure the machine is on its old storage. Raises NotFound for a storage that the provider
        does not have, Refused where it has no room, and Conflict where the machine's state forbids it.
        """
        raise self.unsupported(Capability.STORAGE_MIGRATE)

    def tags(self, identity: UUID) -> Mapping[str, str]:
        """What the vendor's own clients show and find the machine by: its order's annotations, and others' tags.

        A tag without a value has an empty one. Raises NotFound.
        """
        raise self.unsupported(Capability.TAGS)

    def tag(self, identity: UUID, changes: Mapping[str, str]) -> VmView:
        """Set tags of a machine, and its annotations with them; an empty value takes one away.

        What is so already is not written again, and tags that are not named stay, others' too. The tags are
        written before the annotations, so a call that was cut off is seen, and repeating it ends it. Raises NotFound.
        """
        raise self.unsupported(Capability.TAGS)

    def changes(self, since: str | None = None) -> Changes:
        """What changed since the cursor of an earlier call on this endpoint, without waiting.

        Without a cursor, or with one that the endpoint does not know any more (its service restarted, or the
        feed ran over), the answer is full. A machine that changed and changed back may be told or not.
        """
        raise self.unsupported(Capability.WATCH)

    @classmethod
    def declared(cls) -> CapabilityReport:
        """What the driver itself says it lacks, before any endpoint is asked."""
        return CapabilityReport(gaps=cls.gaps)

    def check_spec(self, spec: VmSpec) -> None:
        """Raises Unsupported for a seed or a template where this driver declares SEED_DISK or TEMPLATE missing."""
        if spec.seed is not None and Capability.SEED_DISK in self.gaps:
            raise self.unsupported(Capability.SEED_DISK)
        if spec.templates and not spec.empty and Capability.TEMPLATE in self.gaps:
            raise self.unsupported(Capability.TEMPLATE)

    def _by_power(self, identity: UUID, off: Capability, running: Capability) -> Capability:
        return running if self.get_vm(identity).power is PowerState.ON else off

    def unsupported(self, capability: Capability) -> Unsupported:
        """The error for a capability that this driver declares missing."""
        return Unsupported(self.endpoint.name, capability, self.gaps[capability])
