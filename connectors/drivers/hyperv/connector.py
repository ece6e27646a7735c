"""The driver: the contract's operations, each within one deadline and one login."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO, ClassVar, NamedTuple, TypeVar
from uuid import UUID

from pydantic import SecretStr

from catalog.capabilities import Capability, Gap
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import registry, templates
from connectors.contract import (
    Connector,
    Disk,
    DiskFormat,
    EndpointSnapshot,
    NewDisk,
    PowerAction,
    Tell,
    UsageReading,
    VmDetails,
    VmSnapshot,
    VmSpec,
    VmView,
)
from connectors.drivers.hyperv import (
    adding,
    cluster,
    creating,
    details,
    disks,
    gaps,
    host,
    machines,
    metering,
    offering,
    operating,
    relocating,
    removing,
    secure_boot,
    tagging,
    unplugging,
)
from connectors.drivers.hyperv.faults import is_gone, of_failure
from connectors.drivers.hyperv.host import HostFacts
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import SHELL_GONE, Op, Session
from connectors.drivers.hyperv.settings import Auth, Library, Settings
from connectors.errors import NotFound, Unreachable, Unsupported

Result = TypeVar("Result")
Change = Callable[[Op, Machine], None]


class _Needs(NamedTuple):
    """What a client's library is installed with, and what it needs for Kerberos beside that."""

    extra: str
    for_kerberos: tuple[str, ...]


_CLIENTS = {
    Library.PYWINRM: _Needs("hyperv", ("kerberos",)),
    Library.PYPSRP: _Needs("hyperv-pypsrp", ("gssapi", "krb5")),
}
CLOSING_LIMIT_S = 5.0


class HypervConnector(Connector):
    """One Hyper-V host, or one failover cluster, which is its one provider."""

    driver: ClassVar[str] = "hyperv"
    gaps: ClassVar[Mapping[Capability, Gap]] = gaps.DECLARED

    def __init__(self, endpoint: Endpoint, password: SecretStr | None = None) -> None:
        super().__init__(endpoint, password)
        self._session: Session | None = None
        self._nodes: dict[str, Session] = {}
        self._states: Mapping[str, str] = {}
        self._hosts: dict[str, HostFacts] = {}
        self._meters = metering.Meters()

    def open(self) -> None:
        """Connect, log in and open a shell; nothing if that is done."""
        if self._session is not None:
            return
        options = Settings.of(self.endpoint).options
        needs = _CLIENTS[options.client]
        module = f"connectors.drivers.hyperv.{options.client}_client"
        client = registry.vendor_module(module, self.endpoint, extra=needs.extra)
        if options.auth is Auth.KERBEROS:
            for library in needs.for_kerberos:
                registry.vendor_module(library, self.endpoint, extra="hyperv-kerberos")
        session = Session(self.endpoint, self._password, client.connect)
        self._translated(session, "open", session.login)
        self._session = session

    def close(self) -> None:
        """Delete the shell, within a few seconds."""
        session, self._session = self._session, None
        nodes, self._nodes, self._hosts = self._nodes, {}, {}
        if session is None:
            return
        session.deadline.limit_s = min(session.deadline.limit_s, CLOSING_LIMIT_S)
        session.deadline.begin()
        for one in (*nodes.values(), session):
            one.logout()

    def probe(self) -> EndpointSnapshot:
        """The host or the cluster's nodes, the volume of the machines, and what the cluster does."""
        return self.inventory()[0]

    def list_vms(self) -> list[VmView]:
        """All machines of the host or cluster. Disks that cannot be read count nothing."""
        return self._run("list_vms", self._inventory)[1]

    def inventory(self) -> tuple[EndpointSnapshot, list[VmView]]:
        """What `probe` and `list_vms` give, from one run of the dispatcher at each host."""
        return self._run("inventory", self._inventory)

    def get_vm(self, identity: UUID) -> VmView:
        """One machine, found by its mark among all of the host."""
        return self._run("get_vm", lambda op: self._view(op, machines.need(op, identity)))

    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        """Adopt, or create off with one dynamic VHDX, empty or a template's copy, and look again for a second one."""
        self.check_spec(spec)
        return self._run("create_vm", partial(self._create, spec=spec, identity=identity))

    def delete_vm(self, identity: UUID) -> None:
        """Turn off if need be, and remove with all disks, checkpoints and folders."""
        self._run("delete_vm", partial(self._delete, identity=identity))

    def power(self, identity: UUID, action: PowerAction) -> VmView:
        """Change the power state; a shutdown waits for the guest until the deadline."""
        return self._changed(
            action.value, identity, lambda op, found: operating.power(op, found, identity, action)
        )

    def resize(self, identity: UUID, resources: Resources) -> VmView:
        """Resize a machine that is off, where more disk goes to the first disk; one that runs gets memory alone."""
        return self._changed(
            "resize",
            identity,
            lambda op, found: operating.resize(op, self._facts(op), found, resources),
        )

    def migrate(self, identity: UUID, host: str) -> VmView:
        """Move the machine's role to another node: live if it runs."""
        return self._changed(
            "migrate",
            identity,
            lambda op, found: self._migrate(op, found, host),
        )

    def storage_migrate(self, identity: UUID, storage: str, tell: Tell) -> VmView:
        """Move-VMStorage to the folder of a storage of the endpoint's option `storages`."""
        return self._changed(
            "storage_migrate",
            identity,
            lambda op, found: relocating.relocate(op, self._facts(op), found, storage, tell),
        )

    def add_disk(self, identity: UUID, disk: NewDisk) -> VmView:
        """New-VHD in the machine's folder, and Add-VMHardDiskDrive on SCSI, also while it runs."""
        change = partial(adding.add, disk=disk)
        return self._changed("add_disk", identity, lambda op, found: change(op, self._facts(op), found))

    def grow_disk(self, identity: UUID, key: str, size_gib: int) -> VmView:
        """Resize-VHD; of a machine that runs only a VHDX on SCSI."""
        change = partial(adding.grow, key=key, size_gib=size_gib)
        return self._changed("grow_disk", identity, lambda op, found: change(op, self._facts(op), found))

    def remove_disk(self, identity: UUID, disk: Disk) -> VmView:
        """Remove-VMHardDiskDrive, from SCSI also while it runs; then the disk's file."""
        change = partial(unplugging.remove, disk=disk)
        return self._changed("remove_disk", identity, change)

    def snapshot(self, identity: UUID, name: str) -> None:
        """Take a checkpoint, with the memory of a machine that runs."""
        self._of("snapshot", identity, lambda op, found: operating.snapshot(op, found, name))

    def list_snapshots(self, identity: UUID) -> list[VmSnapshot]:
        """The checkpoints in the order in which they were made, by the host's clock."""
        return self._of("list_snapshots", identity, operating.snapshots)

    def revert(self, identity: UUID, name: str) -> None:
        """Go back to a checkpoint; one of a machine that ran brings it back saved."""
        self._of("revert", identity, lambda op, found: operating.revert(op, found, name))

    def delete_snapshot(self, identity: UUID, name: str) -> None:
        """Remove a checkpoint; the host merges its files."""
        self._of("delete_snapshot", identity, lambda op, found: operating.delete_snapshot(op, found, name))

    def usage(self, since: datetime) -> Iterable[UsageReading]:
        """Present values of all machines of ours."""
        return [reading for reading in self._run("usage", self._usage) if reading.at >= since]

    def clocks(self) -> Mapping[str, datetime]:
        """Of the host, or of each node; by them only checkpoints are told."""
        return self._run("clocks", lambda op: dict(map(host.clock, op.everywhere())))

    def tags(self, identity: UUID) -> Mapping[str, str]:
        """The annotations in the machine's notes."""
        return self._of("tags", identity, tagging.read)

    def tag(self, identity: UUID, changes: Mapping[str, str]) -> VmView:
        """Our line of the notes, in one call."""
        return self._changed("tag", identity, lambda op, found: tagging.change(op, found, changes))

    def secure_boot(self, spec: VmSpec) -> str:
        """As the endpoint's options say, for generation 2."""
        options = Settings.of(self.endpoint).options
        return "" if offering.generation(options, spec) == 1 else secure_boot.words(options, spec)

    def network(self) -> str:
        """As the endpoint's option says."""
        return Settings.of(self.endpoint).options.switch or ""

    def details(self, identity: UUID) -> VmDetails:
        """Firmware by generation, disks by controller, and cards; a card has its address once it ran."""
        return self._of("details", identity, details.details)

    def export_disk(self, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
        """The disk's file, in parts of 8 MiB; the host converts it first where it must."""
        self._supported(form.exporting)
        self._of("export_disk", identity, lambda op, found: disks.export(op, found, key, form, to, tell))

    def import_disk(self, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        """Send a new file, in parts of 8 MiB, and let the drive have it once it is whole."""
        self._supported(form.importing)
        self._of("import_disk", identity, lambda op, found: disks.take(op, found, key, form, source, tell))

    def _supported(self, capability: Capability) -> None:
        if capability in self.gaps:
            raise self.unsupported(capability)

    def _usage(self, op: Op) -> list[UsageReading]:
        found = machines.every(op)
        ours = machines.ours(found)
        readings: list[UsageReading] = []
        for there in op.everywhere():
            here = [one for one in found if one.node == there.node]
            metered = [(one, ours[one.id]) for one in here if one.id in ours]
            rows = metering.measure(there, metered)
            readings += self._meters.readings(metered, rows, datetime.now(UTC))
        return readings

    def _inventory(self, op: Op) -> tuple[EndpointSnapshot, list[VmView]]:
        if op.nodes:
            found = machines.every(op)
            self._hosts = {there.node: host.facts(there) for there in op.everywhere()}
        else:
            self._hosts[""], found = host.inventory(op)
        one = next(iter(self._hosts.values()))
        # A machine is made at any node of a cluster, so each has to have the template.
        lacks = {name: why for each in self._hosts.values() for name, why in each.lacking.items()}
        offered = tuple(t for t in one.templates if all(t.trait != templates.trait(name) for name in lacks))
        one = one._replace(lacking=lacks, templates=offered)
        secure = op.session.settings.encrypted and self.endpoint.tls.unverified_because is None
        gap = relocating.missing(op.session.settings, one)
        report = self.declared().narrowed({} if gap is None else {Capability.STORAGE_MIGRATE: gap})
        snapshot = host.snapshot(self.endpoint.name, one, found, report=report, secure=secure)
        if op.nodes:
            snapshot = cluster.snapshot(op, snapshot, self._hosts, self._states, found)
        return snapshot, machines.views(found, one.provider)

    def _create(self, op: Op, spec: VmSpec, identity: UUID) -> VmView:
        machines.refuse_hidden(op, identity)
        hosts = {there.node: self._facts(there) for there in op.everywhere()}
        node = cluster.chosen(op, self._states, hosts, spec.resources) if op.nodes else ""
        if gap := hosts[node].gaps.get(Capability.CREATE):
            raise Unsupported(op.endpoint, Capability.CREATE, gap)
        return self._view(op, creating.create(op, hosts[node], spec, identity))

    def _delete(self, op: Op, identity: UUID) -> None:
        machines.refuse_hidden(op, identity)
        # The nodes of a cluster have one folder, on a volume that they share.
        there = op.everywhere()[0]
        found = machines.claimants(machines.every(op), identity)
        removing.remove_all(op, there, found, self._facts(there).folder, identity)

    def _migrate(self, op: Op, found: Machine, host: str) -> None:
        if not op.nodes:
            raise Unsupported(
                op.endpoint, Capability.LIVE_MIGRATE, self._facts(op).gaps[Capability.LIVE_MIGRATE]
            )
        gap = gaps.live_migrate(self._facts(op).provider, nodes=len(self._states))
        if gap is not None and found.node != host:
            raise Unsupported(op.endpoint, Capability.LIVE_MIGRATE, gap)
        cluster.migrate(op, self._states, found, host)

    def _of(self, operation: str, identity: UUID, work: Callable[[Op, Machine], Result]) -> Result:
        """Find the machine, and do the work at its host."""

        def found(op: Op) -> Result:
            machine = machines.need(op, identity)
            return work(op.at(machine.node), machine)

        return self._run(operation, found)

    def _changed(self, operation: str, identity: UUID, change: Change) -> VmView:
        """Change the machine, and read it again. Raises NotFound where it went meanwhile."""

        def work(op: Op) -> VmView:
            try:
                found = machines.need(op, identity)
                change(op.at(found.node), found)
            except op.session.failures as error:
                if not is_gone(error):
                    raise
                why = f"the machine {identity} was removed meanwhile"
                raise op.error(NotFound, why, hint="list the machines") from error
            return self._view(op, machines.need(op, identity))

        return self._run(operation, work)

    def _view(self, op: Op, machine: Machine) -> VmView:
        return machines.view(machine, self._facts(op.at(machine.node)).provider)

    def _facts(self, op: Op) -> HostFacts:
        """The host as it was when it was last looked at."""
        if op.node not in self._hosts:
            self._hosts[op.node] = host.facts(op)
        return self._hosts[op.node]

    def _at_nodes(self, op: Op) -> Op:
        """The operation with a login at each node that is up, where the endpoint is a cluster."""
        if not op.session.settings.options.cluster:
            return op
        now = cluster.members(op)
        self._states = now.states
        if not now.asked:
            why = "no node of the cluster is up"
            raise op.error(Unreachable, why, hint="start a node, or look at the cluster's quorum")
        for name in set(self._nodes) - set(now.asked):
            self._nodes.pop(name).drop()
        for name in now.asked:
            if name not in self._nodes:
                at = cluster.node_endpoint(self.endpoint, name)
                self._nodes[name] = Session(at, self._password, op.session.connect, op.session.deadline)
        nodes = {name: self._nodes[name] for name in now.asked}
        return op._replace(nodes=nodes, owners=now.owners)

    def _run(self, operation: str, work: Callable[[Op], Result]) -> Result:
        session = self._session
        if session is None:
            raise Unreachable(
                self.endpoint.name, operation, "the connector is not open", hint="open it first"
            )
        op = Op(session, self.endpoint.name, operation)
        return self._translated(
            session,
            operation,
            partial(_repeated, op, lambda: work(self._at_nodes(op)), lambda: 1 + len(self._nodes)),
        )

    def _translated(self, session: Session, operation: str, work: Callable[[], Result]) -> Result:
        """Run within one deadline; the host's and the network's failures become the contract's."""
        session.deadline.begin()
        try:
            return work()
        except session.failures as error:
            raise of_failure(self.endpoint.name, operation, error, session) from error


def _repeated(op: Op, work: Callable[[], Result], shells: Callable[[], int]) -> Result:
    """Do the work; again where a host had removed its shell, at most once for each shell.

    Every operation finds its machine by identity and changes nothing that is as wanted already, so
    repeating it is safe.
    """
    repeated = 0
    while True:
        try:
            return work()
        except op.session.failures as error:
            gone = op.session.fault_code(error) == SHELL_GONE
            if not gone or repeated >= shells():
                raise
            repeated += 1
