# ruff: noqa: D102 -- what each method promises stands in the contract
"""The contract, kept by a libvirt daemon: one endpoint is one host and one pool."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, BinaryIO, ClassVar, TypeVar
from uuid import UUID

from pydantic import SecretStr

from catalog.capabilities import Capability, Gap
from catalog.pools import Endpoint, Hypervisor
from catalog.resources import Resources
from connectors.contract import (
    Changes,
    Connector,
    Disk,
    DiskFormat,
    EndpointSnapshot,
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
)
from connectors.drivers.libvirt import creating, gaps, hardware, metering, snapshots, tagging, views
from connectors.drivers.libvirt import host as hosts
from connectors.drivers.libvirt.migrating import Migration, Side
from connectors.drivers.libvirt.power import Power
from connectors.drivers.libvirt.relocating import Relocation, nowhere
from connectors.drivers.libvirt.resizing import Resize
from connectors.drivers.libvirt.session import Session
from connectors.drivers.libvirt.settings import Options, Transport, peer_of, transport_of
from connectors.drivers.libvirt.transfer import Transfer
from connectors.drivers.libvirt.unplugging import DiskRemoval
from connectors.drivers.libvirt.watching import Feed
from connectors.errors import ConnectorError, DeadlineExceeded, NotFound, Refused, Unreachable, Unsupported
from connectors.options import options_of

T = TypeVar("T")

_METRICS = (
    Capability.METRICS_CPU,
    Capability.METRICS_MEMORY,
    Capability.METRICS_DISK,
    Capability.METRICS_NET,
)
_WAITING_SHARE = 0.95
"""Part of the timeout in which a guest must obey, so that its own error is told, not the deadline's."""


class LibvirtConnector(Connector):
    """Machines of one libvirt daemon, by QEMU with KVM or emulation, Xen's, LXC's, or of its test driver."""

    driver: ClassVar[str] = "libvirt"
    gaps = gaps.DECLARED

    def __init__(self, endpoint: Endpoint, password: SecretStr | None = None) -> None:
        super().__init__(endpoint, password)
        self._session = Session(endpoint, password)
        self._options = Options()
        self._host: hosts.HostFacts | None = None
        self._feed: Feed | None = None

    def open(self) -> None:
        self._options = options_of(Options, self.endpoint)
        self._session.prepare(self._options)
        try:
            self._host = self._session.run("open", self._facts)
        except ConnectorError:
            self._session.close()
            raise

    def close(self) -> None:
        self._feed = None
        self._session.close()

    def probe(self) -> EndpointSnapshot:
        return self.inventory()[0]

    def inventory(self) -> tuple[EndpointSnapshot, list[VmView]]:
        """What `probe` and `list_vms` give, from one look at the machines."""

        def look(connection: Any) -> tuple[hosts.HostFacts, list[VmView], Gap | None]:
            found, vendor = self._facts(connection), self._session.vendor
            return (
                found,
                views.every(vendor, connection, found),
                nowhere(vendor, connection, found.provider),
            )

        found, machines, gap = self._session.run("probe", look)
        lacking = {} if gap is None else {Capability.STORAGE_MIGRATE: gap}
        self._host = found
        pool = PoolSnapshot(
            provider=found.provider,
            hypervisor=Hypervisor.LIBVIRT,
            total=found.total,
            used=_used(machines),
            hosts=(hosts.as_host(found),),
            traits=found.traits,
            templates=found.templates,
            capabilities=self.declared().narrowed({**lacking, **found.gaps}),
        )
        snapshot = EndpointSnapshot(
            endpoint=self.endpoint.name,
            product=found.product,
            secure=self._secure(),
            note=found.note,
            pools=(pool,),
        )
        return snapshot, machines

    def list_vms(self) -> list[VmView]:
        vendor = self._session.vendor
        return self._run("list_vms", lambda connection, found: views.every(vendor, connection, found))

    def get_vm(self, identity: UUID) -> VmView:
        return self._on_machine("get_vm", identity, lambda _connection, _domain, _found: None)

    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        elsewhere = self._elsewhere("create_vm")

        def create(connection: Any, found: hosts.HostFacts) -> VmView:
            vendor, name = self._session.vendor, self.endpoint.name
            maker = creating.Creation(vendor, connection, found, self._options, name, elsewhere=elsewhere)
            return maker.of(spec, identity)

        if not spec.templates or spec.empty:
            return self._run("create_vm", create)

        def copied(connection: Any) -> int:
            return creating.copied_bytes(connection, self._options.storage_pool, identity)

        def ask(connection: Any, found: hosts.HostFacts) -> hosts.HostFacts:
            connection.getLibVersion()  # by a connection that is open again, if it was lost
            return found

        found = self._run("create_vm", ask)
        # A copy may take longer than a call has, as long as it comes further.
        return self._session.long("create_vm", lambda connection: create(connection, found), copied)

    def delete_vm(self, identity: UUID) -> None:
        elsewhere = self._elsewhere("delete_vm")

        def delete(connection: Any, _found: hosts.HostFacts) -> None:
            vendor = self._session.vendor
            creating.delete(vendor, connection, self._options.storage_pool, identity, elsewhere)

        self._run("delete_vm", delete)

    def power(self, identity: UUID, action: PowerAction) -> VmView:
        end_s = time.monotonic() + self.endpoint.timeout_s * _WAITING_SHARE

        def act(_connection: Any, domain: Any, _found: hosts.HostFacts) -> None:
            Power(self._session.vendor, domain, self.endpoint.name, end_s).to(action)

        return self._on_machine(action.value, identity, act)

    def resize(self, identity: UUID, resources: Resources) -> VmView:
        def act(connection: Any, domain: Any, found: hosts.HostFacts) -> None:
            vendor = self._session.vendor
            view = views.one(vendor, connection, domain, found)
            resizing = Resize(
                vendor, connection, domain, view=view, host=found, endpoint=self.endpoint.name
            )
            resizing.to(resources)

        return self._on_machine("resize", identity, act)

    def add_disk(self, identity: UUID, disk: NewDisk) -> VmView:
        pool_name = self._options.storage_pool
        return self._disks_changed("add_disk", identity, lambda change: change.add(disk, pool_name))

    def grow_disk(self, identity: UUID, key: str, size_gib: int) -> VmView:
        return self._disks_changed("grow_disk", identity, lambda change: change.grow(key, size_gib))

    def remove_disk(self, identity: UUID, disk: Disk) -> VmView:
        end_s = time.monotonic() + self.endpoint.timeout_s * _WAITING_SHARE
        return self._disks_changed("remove_disk", identity, lambda change: change.remove(disk, end_s))

    def _disks_changed(self, operation: str, identity: UUID, call: Callable[[DiskRemoval], None]) -> VmView:
        def act(connection: Any, domain: Any, found: hosts.HostFacts) -> None:
            vendor, name = self._session.vendor, self.endpoint.name
            view = views.one(vendor, connection, domain, found)
            call(DiskRemoval(vendor, connection, domain, view=view, host=found, endpoint=name))

        return self._on_machine(operation, identity, act)

    def snapshot(self, identity: UUID, name: str) -> None:
        self._needs("snapshot", Capability.SNAPSHOT)
        self._on_machine(
            "snapshot", identity, lambda _c, domain, _f: snapshots.take(domain, name, self.endpoint.name)
        )

    def list_snapshots(self, identity: UUID) -> list[VmSnapshot]:
        self._needs("list_snapshots", Capability.SNAPSHOT)

        def look(connection: Any, _found: hosts.HostFacts) -> list[VmSnapshot]:
            return snapshots.views(self._find(connection, identity, "list_snapshots"))

        return self._run("list_snapshots", look)

    def revert(self, identity: UUID, name: str) -> None:
        self._needs("revert", Capability.REVERT)
        self._on_machine(
            "revert", identity, lambda _c, domain, _f: snapshots.revert(domain, name, self.endpoint.name)
        )

    def delete_snapshot(self, identity: UUID, name: str) -> None:
        self._needs("delete_snapshot", Capability.DELETE_SNAPSHOT)
        self._on_machine(
            "delete_snapshot",
            identity,
            lambda _c, domain, _f: snapshots.delete(domain, name, self.endpoint.name),
        )

    def usage(self, since: datetime) -> Iterable[UsageReading]:
        def measure(connection: Any, found: hosts.HostFacts) -> list[UsageReading]:
            missing = [found.gaps.get(capability) for capability in _METRICS]
            if None not in missing:
                raise Unsupported(
                    self.endpoint.name, Capability.METRICS_CPU, found.gaps[Capability.METRICS_CPU]
                )
            special = {"lxc": metering.container_readings, "xen": metering.xen_readings}
            read = special.get(found.domain_type, metering.readings)
            return read(self._session.vendor, connection, datetime.now(UTC))

        return [reading for reading in self._run("usage", measure) if reading.at >= since]

    def network(self) -> str:
        """As the endpoint's options say."""
        return ", ".join(filter(None, (self._options.network, self._options.bridge)))

    def details(self, identity: UUID) -> VmDetails:
        def look(connection: Any, found: hosts.HostFacts) -> VmDetails:
            if found.domain_type == "lxc":
                missing = Capability.EXPORT_DISK_RAW
                raise Unsupported(self.endpoint.name, missing, found.gaps[missing])
            domain = self._find(connection, identity, "details")
            return hardware.details(self._session.vendor, connection, domain)

        return self._run("details", look)

    def export_disk(self, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
        self._needs("export_disk", form.exporting)
        transfer = self._transfer("export_disk", identity, key)
        transfer.give(form, self._options.storage_pool, to, tell)

    def import_disk(self, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        self._needs("import_disk", form.importing)
        self._transfer("import_disk", identity, key).take(form, source, tell)

    def migrate(self, identity: UUID, host: str) -> VmView:
        self._needs("migrate", Capability.LIVE_MIGRATE)
        end_s = time.monotonic() + self.endpoint.timeout_s
        if host == self._opened("migrate").name:
            return self.get_vm(identity)
        if host not in self._options.peers:
            known = ", ".join(sorted(self._options.peers))
            why = f"the endpoint has no peer '{host}'"
            raise NotFound(self.endpoint.name, "migrate", why, hint=f"its peers are {known}")
        self._run("migrate", lambda _connection, _found: None)  # a connection that was lost is opened first

        under_way: list[Migration] = []

        def carry(mine: Any) -> VmView:
            # Both ends belong to this thread: closing one under a call that goes on would crash the process.
            with self._peer(host, "migrate", end_s) as other:
                under_way.append(self._migration(host, mine, other))
                address = self._options.migration_addresses.get(host)
                return under_way[0].of(identity, address, end_s - time.monotonic())

        try:
            return self._session.once("migrate", carry, end_s)
        except DeadlineExceeded as error:
            raise self._unconfirmed(error, under_way) from error

    def _unconfirmed(self, error: DeadlineExceeded, under_way: list[Migration]) -> DeadlineExceeded:
        """The error of a move that was called off, where libvirt did not say in time that it has ended."""
        called_off = [progress for migration in under_way for progress in migration.called_off]
        if not called_off or "called off" in error.why:
            return error
        why = f"called off {called_off[0]}, and not over within {self.endpoint.timeout_s:g} s"
        hint = "repeat it with a longer timeout_s; the machine is found where it is"
        return DeadlineExceeded(error.endpoint, error.operation, why, hint=hint)

    def _peer(self, name: str, operation: str, end_s: float) -> AbstractContextManager[Any]:
        peer = Session(peer_of(self.endpoint, self._options, name), self._password)
        return peer.lent(self._options, name, operation, end_s)

    def _elsewhere(self, operation: str) -> creating.Elsewhere:
        """Asks the peers, within this call's time, which of them has a machine."""
        end_s = time.monotonic() + self.endpoint.timeout_s

        def ask(identity: UUID) -> str | None:
            for name in self._options.peers:
                with self._peer(name, operation, end_s) as other:
                    if views.find(self._session.vendor, other, identity) is not None:
                        return name
            return None

        return ask

    def _migration(self, host_name: str, mine: Any, other: Any) -> Migration:
        """Made ready to be led from here to another host. Raises Refused, libvirtError."""
        vendor = self._session.vendor
        found = hosts.facts(vendor, other, self._options, None)
        if found.name != host_name:
            why = f"the daemon that peer '{host_name}' names calls its host '{found.name}'"
            raise Refused(self.endpoint.name, "migrate", why, hint="correct the option peers")
        return Migration(
            vendor,
            Side(mine, self._opened("migrate")),
            Side(other, found),
            options=self._options,
            endpoint=self.endpoint.name,
            encrypted=self.endpoint.tls.unverified_because is None,
        )

    def storage_migrate(self, identity: UUID, storage: str, tell: Tell) -> VmView:
        self._needs("storage_migrate", Capability.STORAGE_MIGRATE)
        find = functools.partial(self._find, identity=identity, operation="storage_migrate")
        Relocation(
            self._session,
            find,
            identity=identity,
            provider=self._opened("storage_migrate").provider,
            pool_name=storage,
            most_mib_per_s=self._options.copy_mib_per_s,
        ).go(tell)
        return self.get_vm(identity)

    def tags(self, identity: UUID) -> Mapping[str, str]:
        return self._run("tags", lambda c, _found: tagging.read(self._find(c, identity, "tags")))

    def tag(self, identity: UUID, changes: Mapping[str, str]) -> VmView:
        vendor = self._session.vendor
        return self._on_machine(
            "tag", identity, lambda _c, domain, _f: tagging.change(vendor, domain, changes)
        )

    def changes(self, since: str | None = None) -> Changes:
        self._needs("changes", Capability.WATCH)

        def look(connection: Any, found: hosts.HostFacts) -> Changes:
            return self._listening(connection, found).since(since)

        return self._run("changes", look)

    def _listening(self, connection: Any, found: hosts.HostFacts) -> Feed:
        """The feed of this connection: one that was lost took its feed along."""
        if self._feed is None or self._feed.connection is not connection:
            feed = Feed(self._session.vendor, connection, found)
            self._session.before_close(connection, feed.stop)
            feed.start()
            self._feed = feed
        return self._feed

    def _transfer(self, operation: str, identity: UUID, key: str) -> Transfer:
        find = functools.partial(self._find, identity=identity, operation=operation)
        return Transfer(self._session, find, identity=identity, key=key, operation=operation)

    def _needs(self, operation: str, capability: Capability) -> None:
        """Raises Unsupported where this endpoint lacks it, and Unreachable where it is not open."""
        found = self._opened(operation)
        gap = self.declared().narrowed(found.gaps).gap(capability)
        if gap is not None:
            raise Unsupported(self.endpoint.name, capability, gap)

    def _facts(self, connection: Any) -> hosts.HostFacts:
        return hosts.facts(self._session.vendor, connection, self._options, self._host)

    def _opened(self, operation: str) -> hosts.HostFacts:
        if self._host is None:
            raise Unreachable(
                self.endpoint.name, operation, "the connection is not open", hint="open it first"
            )
        return self._host

    def _run(self, operation: str, call: Callable[[Any, hosts.HostFacts], T]) -> T:
        found = self._opened(operation)
        return self._session.run(operation, lambda connection: call(connection, found))

    def _on_machine(
        self, operation: str, identity: UUID, call: Callable[[Any, Any, hosts.HostFacts], None]
    ) -> VmView:
        """Do something with a machine of ours, and how it is afterwards. Raises NotFound."""

        def act(connection: Any, found: hosts.HostFacts) -> VmView:
            domain = self._find(connection, identity, operation)
            call(connection, domain, found)
            return views.one(self._session.vendor, connection, domain, found)

        return self._run(operation, act)

    def _find(self, connection: Any, identity: UUID, operation: str) -> Any:
        domain = views.find(self._session.vendor, connection, identity)
        if domain is None or not views.is_ours(domain):
            raise NotFound(
                self.endpoint.name, operation, f"there is no machine {identity}", hint="list the machines"
            )
        return domain

    def _secure(self) -> bool:
        transport = transport_of(self.endpoint)
        verified = transport is Transport.TLS and self.endpoint.tls.unverified_because is None
        return verified or transport is Transport.LOCAL


def _used(machines: Iterable[VmView]) -> Resources:
    used = Resources()
    for view in machines:
        own = view.resources
        # A paused machine keeps its memory on the host, so it counts like one that runs.
        used += own if view.power is not PowerState.OFF else Resources(disk_gib=own.disk_gib)
    return used
