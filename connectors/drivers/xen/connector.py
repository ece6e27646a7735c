"""The driver: the contract's operations, each within one deadline and one login."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO, ClassVar, TypeVar
from uuid import UUID

from pydantic import SecretStr

from catalog.capabilities import Capability, Gap
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import registry, templates
from connectors.contract import (
    Changes,
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
from connectors.drivers.xen import (
    adding,
    creating,
    deleting,
    disks,
    estate,
    gaps,
    inventory,
    marks,
    migrating,
    operating,
    relocating,
    snapshots,
    tagging,
    unplugging,
)
from connectors.drivers.xen.faults import TRANSPORT_ERRORS, code_of, of_failure, of_transport
from connectors.drivers.xen.feed import Feed
from connectors.drivers.xen.metering import Meters
from connectors.drivers.xen.session import Op, Record, Session
from connectors.drivers.xen.settings import Settings
from connectors.errors import Unreachable

Result = TypeVar("Result")

_TRANSPORT = "connectors.drivers.xen.transport"
CLOSING_LIMIT_S = 5.0
SIMULATOR_NOTE = "this is tierwise's XenAPI simulator, not a XenServer: its capacity is invented"


class XenConnector(Connector):
    """One pool of XenServer or XCP-ng hosts, which is its one provider; or a host that is alone."""

    driver: ClassVar[str] = "xen"
    gaps: ClassVar[Mapping[Capability, Gap]] = gaps.DECLARED
    counts_from_since: ClassVar[bool] = True

    def __init__(self, endpoint: Endpoint, password: SecretStr | None = None) -> None:
        super().__init__(endpoint, password)
        self._session: Session | None = None
        self._feed = Feed()
        self._meters = Meters()
        self._clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def open(self) -> None:
        """Find the master and log in; nothing if that is done."""
        if self._session is not None:
            return
        transport = registry.vendor_module(_TRANSPORT, self.endpoint, extra="xen")
        session = Session(self.endpoint, self._password, transport)
        try:
            self._translated(session, "open", session.login)
        except BaseException:
            with session.deadline.cleanup():
                session.logout()  # of a login that was answered, and what came after it not
            raise
        self._session = session

    def close(self) -> None:
        """Log out, within a few seconds."""
        session, self._session = self._session, None
        if session is None:
            return
        session.deadline.limit_s = min(session.deadline.limit_s, CLOSING_LIMIT_S)
        session.deadline.begin()
        session.logout()

    def probe(self) -> EndpointSnapshot:
        """The pool's hosts and storage; HA as the pool says it is."""
        return self.inventory()[0]

    def list_vms(self) -> list[VmView]:
        """All machines but templates, snapshots and control domains."""
        return self.inventory()[1]

    def inventory(self) -> tuple[EndpointSnapshot, list[VmView]]:
        """What `probe` and `list_vms` give, from one reading."""
        return self._run("inventory", self._inventory)

    def get_vm(self, identity: UUID) -> VmView:
        """One machine; the first time all are looked through, as XenAPI has no index for it."""
        return self._run("get_vm", lambda op: estate.view_of(op, estate.need_machine(op, identity)))

    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        """Adopt, or create with all marks in one call, elect one, and give it disk and network card."""
        self.check_spec(spec)
        return self._run("create_vm", lambda op: estate.view_of(op, creating.create(op, spec, identity)))

    def delete_vm(self, identity: UUID) -> None:
        """Power off if need be, and remove it with its snapshots and disks."""
        self._run("delete_vm", lambda op: deleting.delete(op, identity))

    def power(self, identity: UUID, action: PowerAction) -> VmView:
        """Change the power state; a shutdown waits for the guest until the deadline."""
        change = partial(operating.power, action=action)
        return self._run(action.value, partial(_changed, identity=identity, change=change))

    def resize(self, identity: UUID, resources: Resources) -> VmView:
        """Set memory and processors; more disk goes to the first disk."""
        change = partial(operating.resize, wanted=resources)
        return self._run("resize", partial(_changed, identity=identity, change=change))

    def add_disk(self, identity: UUID, disk: NewDisk) -> VmView:
        """On the storage of new disks; plugged into a machine that runs, for which its guest needs drivers."""
        change = partial(adding.add, disk=disk)
        return self._run("add_disk", partial(_changed, identity=identity, change=change))

    def grow_disk(self, identity: UUID, key: str, size_gib: int) -> VmView:
        """A disk in use grows where its storage repository's type can."""
        change = partial(adding.grow, key=key, size_gib=size_gib)
        return self._run("grow_disk", partial(_changed, identity=identity, change=change))

    def remove_disk(self, identity: UUID, disk: Disk) -> VmView:
        """Unplugged from a machine that runs, for which its guest needs drivers; then removed."""
        change = partial(unplugging.remove, disk=disk)
        return self._run("remove_disk", partial(_changed, identity=identity, change=change))

    def snapshot(self, identity: UUID, name: str) -> None:
        """Take a snapshot of settings and disks."""
        self._run("snapshot", lambda op: snapshots.snapshot(op, estate.need_machine(op, identity), name))

    def list_snapshots(self, identity: UUID) -> list[VmSnapshot]:
        """By the pool's clock, in whole seconds."""
        return self._run(
            "list_snapshots", lambda op: snapshots.views(op, estate.need_machine(op, identity))
        )

    def revert(self, identity: UUID, name: str) -> None:
        """Revert; the machine ends powered off."""
        self._run("revert", lambda op: snapshots.revert(op, estate.need_machine(op, identity), name))

    def delete_snapshot(self, identity: UUID, name: str) -> None:
        """Remove a snapshot and the disks that only it has."""
        self._run(
            "delete_snapshot", lambda op: snapshots.delete(op, estate.need_machine(op, identity), name)
        )

    def usage(self, since: datetime) -> Iterable[UsageReading]:
        """Counters summed up from the hosts' measured rates, and memory, of machines that run."""
        return self._run("usage", lambda op: self._meters.readings(op, since, self._clock()))

    def count_from(self, moments: Mapping[UUID, datetime]) -> None:
        """As the contract says."""
        self._meters.count_from(moments)

    def clocks(self) -> Mapping[str, datetime]:
        """Of each host that is up, in whole seconds."""
        return self._run("clocks", estate.clocks)

    def network(self) -> str:
        """As the endpoint's option says."""
        return Settings.of(self.endpoint).options.network or ""

    def details(self, identity: UUID) -> VmDetails:
        """Firmware, disks and cards."""
        return self._run("details", lambda op: disks.details(op, estate.need_machine(op, identity)))

    def export_disk(self, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
        """Download from a member that sees the disk's storage."""
        if form.exporting in self.gaps:
            raise self.unsupported(form.exporting)
        self._run("export_disk", lambda op: disks.export_disk(op, identity, key, form, to, tell))

    def import_disk(self, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        """Upload to a member that sees the disk's storage."""
        if form.importing in self.gaps:
            raise self.unsupported(form.importing)
        self._run("import_disk", lambda op: disks.import_disk(op, identity, key, form, source, tell))

    def migrate(self, identity: UUID, host: str) -> VmView:
        """Move a machine that runs; one that is off is told where to start."""
        change = partial(migrating.migrate, host=host)
        return self._run("migrate", partial(_changed, identity=identity, change=change))

    def storage_migrate(self, identity: UUID, storage: str, tell: Tell) -> VmView:
        """Mirror the disk of a machine that runs to another storage repository; copy that of one that is off."""
        change = partial(relocating.relocate, storage=storage, tell=tell)
        return self._run("storage_migrate", partial(_changed, identity=identity, change=change))

    def tags(self, identity: UUID) -> Mapping[str, str]:
        """XenServer's tags, those that others wrote too."""
        return self._run("tags", lambda op: marks.read_tags(estate.need_machine(op, identity).record))

    def tag(self, identity: UUID, changes: Mapping[str, str]) -> VmView:
        """Tag by tag, as others may tag the machine too; then the annotations in one call."""
        change = partial(tagging.tag, changes=changes)
        return self._run("tag", partial(_changed, identity=identity, change=change))

    def changes(self, since: str | None = None) -> Changes:
        """By event.from, without waiting."""
        return self._run("changes", lambda op: self._feed.changes(op, since))

    def _inventory(self, op: Op) -> tuple[EndpointSnapshot, list[VmView]]:
        found = estate.read_all(op)
        op.session.learn([host["address"] for host in found.hosts.values() if host["address"]])
        settings = op.session.settings
        master = found.hosts[found.pool["master"]]
        provider = str(found.pool["name_label"] or master["name_label"])
        product = _product(master)
        chosen, wrong = inventory.offered(settings.options.templates, found.vms, found.vbds, found.vdis)
        note = SIMULATOR_NOTE if "simulator" in product else ""
        permissions = op.session.permissions()
        forbidden = gaps.not_permitted(permissions) if permissions else {}
        snapshot = EndpointSnapshot(
            endpoint=self.endpoint.name,
            product=product,
            secure=settings.encrypted and self.endpoint.tls.unverified_because is None,
            note="; ".join(filter(None, (note, templates.problems(wrong)))),
            pools=(
                inventory.pool_snapshot(
                    found, provider, settings.options, self.declared(), tuple(chosen.values()), forbidden
                ),
            ),
        )
        return snapshot, inventory.views(found, provider)

    def _run(self, operation: str, work: Callable[[Op], Result]) -> Result:
        session = self._session
        if session is None:
            why = "the connector is not open"
            raise Unreachable(self.endpoint.name, operation, why, hint="open it first")
        op = Op(session, self.endpoint.name, operation)
        return self._translated(session, operation, partial(_twice, op, work))

    def _translated(self, session: Session, operation: str, work: Callable[[], Result]) -> Result:
        """Run within one deadline; the vendor's and the network's failures become the contract's."""
        session.deadline.begin()
        try:
            return work()
        except session.failure as failure:
            raise of_failure(self.endpoint.name, operation, failure) from failure
        except TRANSPORT_ERRORS as error:
            raise of_transport(self.endpoint.name, operation, error, session.deadline) from error


def _product(master: Record) -> str:
    version = master["software_version"]
    words = (version.get("product_brand", "XenServer"), version.get("product_version", ""))
    return " ".join(word for word in words if word)


def _twice(op: Op, work: Callable[[Op], Result]) -> Result:
    """Do the work; once more where the session had ended, or an object went while it was looked at.

    The same where the pool has another master now. Every operation finds its machine by identity and changes nothing that is as wanted already, so
    repeating it is safe.
    """
    try:
        if not op.session.open:
            op.session.login()
        return work(op)
    except op.session.failure as failure:
        code = code_of(failure)
        if code in {"SESSION_INVALID", "HOST_IS_SLAVE"}:
            op.session.login()
        elif code != "HANDLE_INVALID":
            raise
    return work(op)


def _changed(op: Op, identity: UUID, change: Callable[[Op, estate.Machine], None]) -> VmView:
    """Change the machine, and read it again."""
    machine = estate.need_machine(op, identity)
    change(op, machine)
    return estate.view_of(op, estate.need_machine(op, identity))
