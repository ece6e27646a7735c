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
from connectors import registry
from connectors.contract import (
    Connector,
    DiskFormat,
    EndpointSnapshot,
    PowerAction,
    Tell,
    UsageReading,
    VmDetails,
    VmSpec,
    VmView,
)
from connectors.drivers.hyperv import (
    creating,
    details,
    disks,
    gaps,
    host,
    machines,
    metering,
    operating,
    removing,
)
from connectors.drivers.hyperv.faults import is_gone, of_failure
from connectors.drivers.hyperv.host import HostFacts
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import SHELL_GONE, Op, Session
from connectors.drivers.hyperv.settings import Auth
from connectors.errors import NotFound, Unreachable, Unsupported

Result = TypeVar("Result")
Change = Callable[[Op, Machine], None]

_TRANSPORT = "connectors.drivers.hyperv.transport"
CLOSING_LIMIT_S = 5.0


class HypervConnector(Connector):
    """One Hyper-V host, which is its one provider."""

    driver: ClassVar[str] = "hyperv"
    gaps: ClassVar[Mapping[Capability, Gap]] = gaps.DECLARED

    def __init__(self, endpoint: Endpoint, password: SecretStr | None = None) -> None:
        super().__init__(endpoint, password)
        self._session: Session | None = None
        self._host: HostFacts | None = None
        self._meters = metering.Meters()

    def open(self) -> None:
        """Connect, log in and open a shell; nothing if that is done."""
        if self._session is not None:
            return
        transport = registry.vendor_module(_TRANSPORT, self.endpoint, extra="hyperv")
        session = Session(self.endpoint, self._password, transport)
        if session.settings.options.auth is Auth.KERBEROS:
            registry.vendor_module("kerberos", self.endpoint, extra="hyperv-kerberos")
        self._translated(session, "open", session.login)
        self._session = session

    def close(self) -> None:
        """Delete the shell, within a few seconds."""
        session, self._session, self._host = self._session, None, None
        if session is None:
            return
        session.deadline.limit_s = min(session.deadline.limit_s, CLOSING_LIMIT_S)
        session.deadline.begin()
        session.logout()

    def probe(self) -> EndpointSnapshot:
        """The host, the volume of its machines, and whether it is in a failover cluster."""
        return self.inventory()[0]

    def list_vms(self) -> list[VmView]:
        """All machines of the host. Disks that cannot be read count nothing."""
        return self._run("list_vms", self._inventory)[1]

    def inventory(self) -> tuple[EndpointSnapshot, list[VmView]]:
        """What `probe` and `list_vms` give, from one run of the dispatcher."""
        return self._run("inventory", self._inventory)

    def get_vm(self, identity: UUID) -> VmView:
        """One machine, found by its mark among all of the host."""
        return self._run("get_vm", lambda op: self._view(op, machines.need(op, identity)))

    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        """Adopt, or create off with one dynamic VHDX, and look again for a second one."""
        self.check_seed(spec)
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
        """Resize a machine that is off; more disk goes to the first disk."""
        return self._changed(
            "resize",
            identity,
            lambda op, found: operating.resize(op, self._facts(op), found, resources),
        )

    def snapshot(self, identity: UUID, name: str) -> None:
        """Take a checkpoint, with the memory of a machine that runs."""
        self._run("snapshot", lambda op: operating.snapshot(op, machines.need(op, identity), name))

    def list_snapshots(self, identity: UUID) -> list[str]:
        """The checkpoints' names in the order in which they were made."""
        return self._run(
            "list_snapshots",
            lambda op: [one.name for one in operating.checkpoints(op, machines.need(op, identity))],
        )

    def revert(self, identity: UUID, name: str) -> None:
        """Go back to a checkpoint; one of a machine that ran brings it back saved."""
        self._run("revert", lambda op: operating.revert(op, machines.need(op, identity), name))

    def usage(self, since: datetime) -> Iterable[UsageReading]:
        """Present values of all machines of ours; counters go on over a reset of Hyper-V's metering."""
        return [reading for reading in self._run("usage", self._usage) if reading.at >= since]

    def details(self, identity: UUID) -> VmDetails:
        """Firmware by generation, disks by controller, and cards; a card has its address once it ran."""
        return self._run("details", lambda op: details.details(op, machines.need(op, identity)))

    def export_disk(self, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
        """The disk's file, in parts of 8 MiB; the host converts it first where it must."""
        self._supported(form.exporting)
        self._run(
            "export_disk",
            lambda op: disks.export(op, machines.need(op, identity), key, form, to, tell),
        )

    def import_disk(self, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        """Send a new file, in parts of 8 MiB, and let the drive have it once it is whole."""
        self._supported(form.importing)
        self._run(
            "import_disk",
            lambda op: disks.take(op, machines.need(op, identity), key, form, source, tell),
        )

    def _supported(self, capability: Capability) -> None:
        if capability in self.gaps:
            raise self.unsupported(capability)

    def _usage(self, op: Op) -> list[UsageReading]:
        found = machines.every(op)
        ours = machines.ours(found)
        metered = [(one, ours[one.id]) for one in found if one.id in ours]
        rows = metering.measure(op, metered)
        return list(self._meters.readings(metered, rows, datetime.now(UTC)))

    def _inventory(self, op: Op) -> tuple[EndpointSnapshot, list[VmView]]:
        self._host, found = host.inventory(op)
        secure = op.session.settings.encrypted and self.endpoint.tls.unverified_because is None
        snapshot = host.snapshot(
            self.endpoint.name, self._host, found, report=self.declared(), secure=secure
        )
        return snapshot, machines.views(found, self._host.name)

    def _create(self, op: Op, spec: VmSpec, identity: UUID) -> VmView:
        facts = self._facts(op)
        if gap := facts.gaps.get(Capability.CREATE):
            raise Unsupported(op.endpoint, Capability.CREATE, gap)
        return self._view(op, creating.create(op, facts, spec, identity))

    def _delete(self, op: Op, identity: UUID) -> None:
        for machine in machines.claimants(machines.every(op), identity):
            removing.remove(op, machine)
        removing.remove_folders(op, self._facts(op).folder, identity)

    def _changed(self, operation: str, identity: UUID, change: Change) -> VmView:
        """Change the machine, and read it again. Raises NotFound where it went meanwhile."""

        def work(op: Op) -> VmView:
            try:
                change(op, machines.need(op, identity))
            except op.session.failures as error:
                if not is_gone(error):
                    raise
                why = f"the machine {identity} was removed meanwhile"
                raise op.error(NotFound, why, hint="list the machines") from error
            return self._view(op, machines.need(op, identity))

        return self._run(operation, work)

    def _view(self, op: Op, machine: Machine) -> VmView:
        return machines.view(machine, self._facts(op).name)

    def _facts(self, op: Op) -> HostFacts:
        """The host as it was when it was last looked at."""
        if self._host is None:
            self._host = host.facts(op)
        return self._host

    def _run(self, operation: str, work: Callable[[Op], Result]) -> Result:
        session = self._session
        if session is None:
            raise Unreachable(
                self.endpoint.name, operation, "the connector is not open", hint="open it first"
            )
        op = Op(session, self.endpoint.name, operation)
        return self._translated(session, operation, partial(_twice, op, work))

    def _translated(self, session: Session, operation: str, work: Callable[[], Result]) -> Result:
        """Run within one deadline; the host's and the network's failures become the contract's."""
        session.deadline.begin()
        try:
            return work()
        except session.failures as error:
            raise of_failure(self.endpoint.name, operation, error, session) from error


def _twice(op: Op, work: Callable[[Op], Result]) -> Result:
    """Do the work; once more where the host had removed the shell.

    Every operation finds its machine by identity and changes nothing that is as wanted already, so
    repeating it is safe.
    """
    try:
        return work(op)
    except op.session.failures as error:
        if op.session.fault_code(error) != SHELL_GONE:
            raise
    op.session.forget_shell()
    return work(op)
