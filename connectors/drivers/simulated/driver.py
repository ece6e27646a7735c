"""The simulated hypervisor's connector."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import BinaryIO, ClassVar, TypeVar
from uuid import UUID

from pydantic import SecretStr

from catalog.capabilities import Capability, Gap, GapReason
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import templates
from connectors.contract import (
    Changes,
    Connector,
    Disk,
    DiskFormat,
    EndpointSnapshot,
    Firmware,
    NewDisk,
    PoolSnapshot,
    PowerAction,
    PowerState,
    Tell,
    UsageReading,
    VmDetails,
    VmSnapshot,
    VmSpec,
    VmView,
    changed_tags,
    hot_resize,
)
from connectors.drivers.simulated import (
    contents,
    control,
    database,
    faults,
    further,
    machines,
    shelf,
    snapshots,
)
from connectors.drivers.simulated.admission import Admission
from connectors.drivers.simulated.faults import Exchange, FaultKind
from connectors.drivers.simulated.further import Held
from connectors.drivers.simulated.machines import Machine
from connectors.drivers.simulated.options import EstateOptions
from connectors.errors import Conflict, NotFound, Refused, Unreachable, Unsupported
from connectors.options import options_of
from connectors.removal import to_remove

T = TypeVar("T")

_RAW_ONLY = Gap(reason=GapReason.NEVER, detail="simulated disks are carried as raw images only")
_NO_TRAFFIC = Gap(reason=GapReason.NEVER, detail="simulated machines read, write and send nothing")
_NO_CALL = Gap(reason=GapReason.NOT_YET, detail="tierwise has no operation for it yet")

_STATE_AFTER = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.SHUTDOWN: PowerState.OFF,
    PowerAction.SUSPEND: PowerState.SUSPENDED,
}


def _now() -> datetime:
    return datetime.now(UTC)


class Simulated(Connector):
    """A hypervisor in a file or in memory; what its options leave in works as the contract says.

    Room is enforced as hypervisors do: disk for every machine, memory on one host for every running
    one, vcpu only per machine (it may not have more than a host). `clock` is the time that meters
    run by; `sleep` is what latency and scripted delays wait with.
    """

    driver: ClassVar[str] = "simulated"
    gaps: ClassVar[Mapping[Capability, Gap]] = {
        **{
            c: _RAW_ONLY
            for form in DiskFormat
            if form is not DiskFormat.RAW
            for c in (form.importing, form.exporting)
        },
        Capability.METRICS_DISK: _NO_TRAFFIC,
        Capability.METRICS_NET: _NO_TRAFFIC,
        Capability.CONSOLE: Gap(reason=GapReason.NEVER, detail="a simulated machine has no screen"),
        Capability.CLONE: _NO_CALL,
        Capability.SEED_DISK: Gap(
            reason=GapReason.NEVER, detail="simulated machines run nothing that could read a seed disk"
        ),
        Capability.STORAGE_MIGRATE: Gap(
            reason=GapReason.NEVER, detail="a simulated estate has one storage, so there is nowhere to move"
        ),
        Capability.RESOURCE_POOLS: _NO_CALL,
    }

    def __init__(
        self,
        endpoint: Endpoint,
        password: SecretStr | None = None,
        *,
        clock: Callable[[], datetime] = _now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(endpoint, password)
        self._clock = clock
        self._sleep = sleep
        self._options = EstateOptions()
        self._report = self.declared()
        self._admission = Admission(endpoint.name, self._options)
        self._database: database.Database | None = None

    def open(self) -> None:
        """Open the estate, making it if it is not there. Raises Refused for wrong options too."""
        if self._database is not None:
            return
        self._read_options()
        exchange = Exchange(self.endpoint, "open", self._sleep)
        try:
            self._database = database.opened(self.endpoint.address, exchange.left_s)
        except (OSError, sqlite3.Error) as error:
            why = f"no estate can be opened at '{self.endpoint.address}': {error}"
            hint = "the address is a file in a folder that exists, or memory:NAME"
            raise Unreachable(self.endpoint.name, "open", why, hint=hint) from error
        except database.Busy as error:
            raise exchange.late() from error
        try:
            self._exchanged(exchange, None, self._log_in)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the estate; its machines stay."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def probe(self) -> EndpointSnapshot:
        """What the options say, and what the machines use of it."""
        pools = self._call("probe", None, self._pools)
        where = "this process" if self.endpoint.address.startswith(database.MEMORY) else "a file"
        return EndpointSnapshot(
            endpoint=self.endpoint.name,
            product=self._options.product_shown(),
            secure=True,  # no network is crossed
            note="; ".join(
                filter(
                    None,
                    (
                        f"simulation: its machines exist only in {where}, and no hypervisor stands behind it",
                        shelf.missing(self._options.templates),
                    ),
                )
            ),
            pools=pools,
        )

    def list_vms(self) -> list[VmView]:
        """Every machine, those of others and half-made ones included."""
        found = self._call("list_vms", None, machines.everything)
        views = [machine.view() for machine in found]
        return sorted(views, key=lambda view: (view.name, view.native_id))

    def get_vm(self, identity: UUID) -> VmView:
        """The machine of that identity; the oldest where careless callers made several."""
        return self._call("get_vm", identity, lambda db: self._found(db, "get_vm", identity)).view()

    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        """The machine of this identity; see `EstateOptions.enforce_identity` for what may go wrong."""
        self._require(Capability.CREATE)
        self.check_spec(spec)
        exchange = Exchange(self.endpoint, "create_vm", self._sleep)
        self._arrive(exchange, identity)
        machine = self._adopted(exchange, identity) if self._options.adopt else None
        if machine is None:
            exchange.pause()
            machine = self._made(exchange, spec, identity)
        exchange.reply(self._options.latency_ms)
        return machine.view()

    def delete_vm(self, identity: UUID) -> None:
        """Remove every machine of the identity."""
        self._require(Capability.DELETE)
        self._call("delete_vm", identity, lambda db: machines.remove(db, identity))

    def power(self, identity: UUID, action: PowerAction) -> VmView:
        """Change the state at once; a simulated guest always obeys a shutdown."""
        self._require(action.capability)

        def change(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, action.value, identity)
            return self._powered(db, machine, action)

        return self._call("power", identity, change).view()

    def resize(self, identity: UUID, resources: Resources) -> VmView:
        """A running machine grows and never shrinks."""

        def change(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, "resize", identity)
            hot = machine.power is PowerState.ON
            needed = hot_resize(machine.resources, resources)
            self._require(needed if hot else Capability.RESIZE_COLD)
            if resources == machine.resources:
                return machine
            self._admission.check_resize(machine, resources)
            return self._changed(db, machine, "resize", resources, machine.power)

        return self._call("resize", identity, change).view()

    def add_disk(self, identity: UUID, disk: NewDisk) -> VmView:
        """One more disk, of which nothing is written yet."""

        def change(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, "add_disk", identity)
            hot = machine.power is PowerState.ON
            self._require(Capability.DISK_HOTPLUG if hot else Capability.ADD_DISK)
            there = next((one for one in further.of(db, machine) if one.name == disk.name), None)
            if there is not None:
                self._admission.check_same(machine, there, disk)
                return machine
            self._admission.check_disks_change(db, machine, "add_disk")
            more = machine.resources + Resources(disk_gib=disk.size_gib)
            changed = self._changed(db, machine, "add_disk", more, machine.power)
            further.add(db, machine, disk)
            return changed

        return self._call("add_disk", identity, change).view()

    def grow_disk(self, identity: UUID, key: str, size_gib: int) -> VmView:
        """Any of its disks, at once."""

        def change(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, "grow_disk", identity)
            hot = machine.power is PowerState.ON
            self._require(Capability.GROW_DISK_HOT if hot else Capability.GROW_DISK)
            disk = self._disk(db, "grow_disk", machine, key)
            if size_gib == disk.gib:
                return machine
            self._admission.check_grown(machine, disk, size_gib)
            self._admission.check_disks_change(db, machine, "grow_disk")
            more = machine.resources + Resources(disk_gib=size_gib - disk.gib)
            changed = self._changed(db, machine, "grow_disk", more, machine.power)
            further.grow(db, disk, size_gib)
            return changed

        return self._call("grow_disk", identity, change).view()

    def remove_disk(self, identity: UUID, disk: Disk) -> VmView:
        """A disk that was added, with its blocks, at once; a simulated guest always lets go."""

        def change(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, "remove_disk", identity)
            hot = machine.power is PowerState.ON
            self._require(Capability.REMOVE_DISK_HOT if hot else Capability.REMOVE_DISK)
            held = further.of(db, machine)
            found = to_remove(self.endpoint.name, machine.name, disk, [one.shown() for one in held])
            if found is None:
                return machine
            self._admission.check_disks_change(db, machine, "remove_disk")
            doomed = next(one for one in held if one.key == found.key)
            less = {"disk_gib": machine.resources.disk_gib - doomed.gib}
            smaller = replace(machine, resources=machine.resources.model_copy(update=less))
            machines.save(db, smaller)
            further.remove(db, doomed)
            return smaller

        return self._call("remove_disk", identity, change).view()

    def snapshot(self, identity: UUID, name: str) -> None:
        """Keep size and power state."""
        self._require(Capability.SNAPSHOT)

        def keep(db: sqlite3.Connection) -> None:
            snapshots.take(db, self._found(db, "snapshot", identity), name, _ms(self._clock()))

        self._call("snapshot", identity, keep)

    def list_snapshots(self, identity: UUID) -> list[VmSnapshot]:
        """By the clock that meters run by."""
        self._require(Capability.SNAPSHOT)

        def look(db: sqlite3.Connection) -> list[VmSnapshot]:
            return snapshots.listed(db, self._found(db, "list_snapshots", identity))

        return self._call("list_snapshots", identity, look)

    def revert(self, identity: UUID, name: str) -> None:
        """Bring size and power state back; the disk may become smaller by it."""
        self._require(Capability.REVERT)

        def back(db: sqlite3.Connection) -> None:
            machine = self._found(db, "revert", identity)
            was = snapshots.go_back(db, machine, name)
            if was is None:
                why = f"machine '{machine.name}' has no snapshot '{name}'"
                raise NotFound(self.endpoint.name, "revert", why)
            self._changed(db, machine, "revert", *was)

        self._call("revert", identity, back)

    def delete_snapshot(self, identity: UUID, name: str) -> None:
        """At once; the machine stays as it is."""
        self._require(Capability.DELETE_SNAPSHOT)

        def delete(db: sqlite3.Connection) -> None:
            seq = self._found(db, "delete_snapshot", identity).seq
            db.execute("DELETE FROM snapshot WHERE vm = ? AND name = ?", (seq, name))

        self._call("delete_snapshot", identity, delete)

    def details(self, identity: UUID) -> VmDetails:
        """Its disks, and no network card."""

        def look(db: sqlite3.Connection) -> tuple[Firmware, list[Held]]:
            machine = self._found(db, "details", identity)
            return machines.firmware(db, machine), further.of(db, machine)

        firmware, disks = self._call("details", identity, look)
        return VmDetails(firmware=firmware, disks=tuple(disk.shown() for disk in disks))

    def tags(self, identity: UUID) -> Mapping[str, str]:
        """The annotations as they are; nobody else writes any."""
        self._require(Capability.TAGS)
        return self.get_vm(identity).annotations

    def tag(self, identity: UUID, changes: Mapping[str, str]) -> VmView:
        """The annotations are the tags, so they are changed."""
        self._require(Capability.TAGS)

        def write(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, "tag", identity)
            tagged = replace(machine, annotations=changed_tags(machine.annotations, changes))
            if tagged != machine:
                machines.save(db, tagged)
            return tagged

        return self._call("tag", identity, write).view()

    def export_disk(self, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
        """The raw image, with holes where nothing was written."""
        self._require(form.exporting)

        def give(db: sqlite3.Connection) -> None:
            disk = self._idle(db, "export_disk", identity, key)
            contents.read(db, disk.blocks, disk.gib * further.GIB, to, tell)

        self._call("export_disk", identity, give)

    def import_disk(self, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        """Take a raw image: all of it, or nothing."""
        self._require(form.importing)

        def take(db: sqlite3.Connection) -> None:
            disk = self._idle(db, "import_disk", identity, key)
            size, wanted = contents.size_of(source), disk.gib * further.GIB
            if size != wanted:
                why = f"the image has {size} bytes, and disk '{key}' has {wanted}"
                raise Conflict(self.endpoint.name, "import_disk", why, hint="make them equal")
            contents.write(db, disk.blocks, source, tell)

        self._call("import_disk", identity, take)

    def migrate(self, identity: UUID, host: str) -> VmView:
        """To a host with room; a machine that is off goes too."""
        self._require(Capability.LIVE_MIGRATE)

        def go(db: sqlite3.Connection) -> Machine:
            machine = self._found(db, "migrate", identity)
            self._admission.check_host(db, machine, host)
            moved = replace(machine, host=host)
            if moved != machine:
                machines.save(db, moved)
            return moved

        return self._call("migrate", identity, go).view()

    def changes(self, since: str | None = None) -> Changes:
        """By a table of changes that is never trimmed; another estate's cursor is not known."""
        self._require(Capability.WATCH)
        cursor, found, gone, full = self._call("changes", None, lambda db: machines.since(db, since))
        views = sorted((machine.view() for machine in found), key=lambda v: (v.name, v.native_id))
        return Changes(cursor=cursor, vms=tuple(views), gone=tuple(gone), full=full)

    def network(self) -> str:
        """None: simulated machines have no network card."""
        return ""

    def usage(self, since: datetime) -> Iterable[UsageReading]:
        """The meters as they stand now; nothing when `since` is in the future."""
        if not (self._has(Capability.METRICS_CPU) or self._has(Capability.METRICS_MEMORY)):
            self._require(Capability.METRICS_CPU)
        found = self._call("usage", None, machines.everything)
        now = self._clock()
        if since > now:
            return []
        return [reading for machine in found for reading in self._readings(machine, now)]

    def _readings(self, machine: Machine, now: datetime) -> Iterator[UsageReading]:
        if machine.identity is None:
            return
        if self._has(Capability.METRICS_CPU):
            cpu_ms = machine.cpu_ms_at(_ms(now), self._options.cpu_load_percent)
            yield UsageReading(
                identity=machine.identity, metric="cpu_ms", value=cpu_ms, at=now, counter=True
            )
        if self._has(Capability.METRICS_MEMORY) and machine.power is PowerState.ON:
            memory_mib = machine.resources.memory_mib
            yield UsageReading(
                identity=machine.identity, metric="memory_mib", value=memory_mib, at=now, counter=False
            )

    def _pools(self, db: sqlite3.Connection) -> tuple[PoolSnapshot, ...]:
        return tuple(self._pool(db, provider) for provider in self._options.providers)

    def _pool(self, db: sqlite3.Connection, provider: str) -> PoolSnapshot:
        hosts = self._options.hosts_of(provider)
        usable = sum((host.resources for host in hosts if host.usable), Resources())
        offered = shelf.offered(self._options.templates)
        return PoolSnapshot(
            provider=provider,
            hypervisor=self._options.hypervisor,
            total=usable + Resources(disk_gib=self._options.disk_gib),
            used=machines.used(db, provider),
            hosts=hosts,
            traits=self._options.traits | templates.traits(offered),
            templates=offered,
            capabilities=self._report,
        )

    def _adopted(self, exchange: Exchange, identity: UUID) -> Machine | None:
        with self._transaction(exchange) as db:
            return self._finished(db, machines.by_identity(db, identity))

    def _finished(self, db: sqlite3.Connection, machine: Machine | None) -> Machine | None:
        if machine is not None and machine.half:
            machine = replace(machine, half=False)
            machines.save(db, machine)
        return machine

    def _made(self, exchange: Exchange, spec: VmSpec, identity: UUID) -> Machine:
        fails = exchange.due(FaultKind.FAIL_AFTER_HALF)
        with self._transaction(exchange) as db:
            if self._options.enforce_identity and (there := machines.by_identity(db, identity)):
                return self._already_there(db, there)
            if spec.templates and not spec.empty:
                self._require(Capability.TEMPLATE)
            template = shelf.chosen(self.endpoint.name, spec, self._options.templates)
            host = self._admission.room_for(db, spec)
            if template is not None:
                spec = spec.model_copy(update={"firmware": template.firmware})
            machine = machines.add(db, spec, identity, host, half=fails)
            if template is not None:
                shelf.write(db, machine, template)
        if fails:
            with self._transaction(exchange) as db:
                machines.remove_half(db, machine)
            why = "the disk could not be made; the machine was taken away again"
            raise exchange.refused(why)
        return machine

    def _already_there(self, db: sqlite3.Connection, machine: Machine) -> Machine:
        """What a hypervisor that holds identities unique does with a second one."""
        if not self._options.adopt:
            why = f"machine '{machine.name}' has the identity {machine.identity} already"
            raise Conflict(self.endpoint.name, "create_vm", why)
        finished = self._finished(db, machine)
        assert finished is not None, machine
        return finished

    def _powered(self, db: sqlite3.Connection, machine: Machine, action: PowerAction) -> Machine:
        after = _STATE_AFTER[action]
        if machine.power is after:
            return machine
        self._admission.check_power(machine, action)
        return self._changed(db, machine, action.value, machine.resources, after)

    def _changed(
        self, db: sqlite3.Connection, machine: Machine, operation: str, size: Resources, power: PowerState
    ) -> Machine:
        """The machine with another size and power state; CPU time so far is settled first."""
        now_ms = _ms(self._clock())
        self._admission.check_disk(
            db, machine.provider, size.disk_gib - machine.resources.disk_gib, operation
        )
        host = machine.host
        if power is PowerState.ON or size != machine.resources:
            host = self._admission.host(db, operation, machine.provider, size, machine)
        changed = replace(
            machine,
            host=host,
            power=power,
            resources=size,
            cpu_ms=machine.cpu_ms_at(now_ms, self._options.cpu_load_percent),
            metered_at_ms=max(now_ms, machine.metered_at_ms),
        )
        machines.save(db, changed)
        return changed

    def _found(self, db: sqlite3.Connection, operation: str, identity: UUID) -> Machine:
        machine = machines.by_identity(db, identity)
        if machine is None:
            why = f"there is no machine with the identity {identity}"
            raise NotFound(self.endpoint.name, operation, why)
        return machine

    def _idle(self, db: sqlite3.Connection, operation: str, identity: UUID, key: str) -> Held:
        """The disk of this key, of a machine that is off."""
        machine = self._found(db, operation, identity)
        disk = self._disk(db, operation, machine, key)
        if machine.power is not PowerState.OFF:
            why = f"machine '{machine.name}' is {machine.power.value}"
            raise Conflict(self.endpoint.name, operation, why, hint="shut it down first")
        return disk

    def _disk(self, db: sqlite3.Connection, operation: str, machine: Machine, key: str) -> Held:
        disks = {disk.key: disk for disk in further.of(db, machine)}
        if key not in disks:
            why = f"machine '{machine.name}' has no disk '{key}'"
            there = ", ".join(f"'{one}'" for one in disks)
            raise NotFound(self.endpoint.name, operation, why, hint=f"there are: {there}")
        return disks[key]

    def _has(self, capability: Capability) -> bool:
        return self._report.has(capability)

    def _require(self, capability: Capability) -> None:
        gap = self._report.gap(capability)
        if gap is not None:
            raise Unsupported(self.endpoint.name, capability, gap)

    def _read_options(self) -> None:
        self._options = options_of(EstateOptions, self.endpoint)
        probed = self._options.probed_gaps(self.endpoint.name)
        self._report = self.declared().narrowed(probed)
        self._admission = Admission(self.endpoint.name, self._options)

    def _log_in(self, db: sqlite3.Connection) -> None:
        if not control.password_fits(db, self._password):
            why = "the password is wrong"
            raise Refused(self.endpoint.name, "open", why, hint="check the endpoint's secret")

    def _call(self, operation: str, identity: UUID | None, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._exchanged(Exchange(self.endpoint, operation, self._sleep), identity, work)

    def _exchanged(
        self, exchange: Exchange, identity: UUID | None, work: Callable[[sqlite3.Connection], T]
    ) -> T:
        """One call: logged, faulted, carried out in one transaction, answered after the latency."""
        self._arrive(exchange, identity)
        exchange.pause()
        with self._transaction(exchange) as db:
            result = work(db)
        exchange.reply(self._options.latency_ms)
        return result

    def _arrive(self, exchange: Exchange, identity: UUID | None) -> None:
        with self._transaction(exchange) as db:
            exchange.fault = faults.recorded(db, exchange.operation, identity)
        exchange.arrive()

    @contextmanager
    def _transaction(self, exchange: Exchange) -> Iterator[sqlite3.Connection]:
        if self._database is None:
            raise Unreachable(
                self.endpoint.name, exchange.operation, "the connector is closed; open it first"
            )
        try:
            with self._database.transaction(exchange.left_s) as db:
                yield db
        except database.Busy as error:
            raise exchange.late() from error
        except sqlite3.Error as error:
            why = f"the estate at '{self.endpoint.address}' cannot be used: {error}"
            raise Unreachable(self.endpoint.name, exchange.operation, why) from error


def _ms(at: datetime) -> int:
    """Milliseconds since 1970, exact."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
