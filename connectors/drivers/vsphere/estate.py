"""Reads what the endpoint has: everything in one collection, or just what one machine needs."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from connectors.contract import VmView
from connectors.drivers.vsphere import inventory
from connectors.drivers.vsphere.inventory import Place, Provider, Row, Rows
from connectors.drivers.vsphere.marks import IDENTITY_KEY, Marks, uuid_or_none
from connectors.drivers.vsphere.session import Op, Properties, read_object, read_objects, read_view, ref_id
from connectors.errors import NotFound

DiskSizes = dict[str, tuple[Any, int]]
"""Managed object id -> (time of the machine's last change, GiB of its disks then)."""

RowsOfKinds = dict[Any, dict[str, Properties]]
"""Managed object's class -> managed object id -> its row."""

KIBI_PER_GIBI = 1 << 20


class Estate(NamedTuple):
    """The rows of one property collection, by kind."""

    providers: dict[str, Provider]
    hosts: Rows
    datastores: Rows
    machines: Rows


def read_all(op: Op) -> Estate:
    """The whole inventory in one property collection."""
    vim = op.session.vim
    return _read(
        op,
        {
            vim.HostSystem: inventory.HOST_PATHS,
            vim.Datastore: inventory.DATASTORE_PATHS,
            vim.VirtualMachine: inventory.MACHINE_PATHS,
        },
    )


def read_providers(op: Op) -> dict[str, Provider]:
    """Only clusters and where they are."""
    return _read(op, {}).providers


def provider_of(op: Op, host: str) -> Provider:
    """The provider that a host belongs to. Raises NotFound for one outside of what the endpoint sees."""
    kind = op.session.vim.HostSystem
    cluster = read_object(op.session, op.session.object(kind, host), ["parent"]).get("parent", "")
    found = read_providers(op).get(cluster)
    if found is None:
        hint = "see the endpoint's option 'datacenter'"
        raise op.error(NotFound, "the machine's host is in none of the endpoint's clusters", hint=hint)
    return found


def our_machines(op: Op) -> dict[str, UUID]:
    """Which machines are ours, by managed object id."""
    found = _read(op, {op.session.vim.VirtualMachine: inventory.MACHINE_PATHS})
    return inventory.identities(found.machines)


def _read(op: Op, more: Mapping[Any, tuple[str, ...]]) -> Estate:
    vim = op.session.vim
    kinds: dict[Any, tuple[str, ...]] = {
        vim.Datacenter: inventory.FOLDER_PATHS,
        vim.Folder: inventory.FOLDER_PATHS,
        vim.ComputeResource: inventory.CLUSTER_PATHS,
        vim.ClusterComputeResource: inventory.CLUSTER_ONLY_PATHS,
        **more,
    }
    rows: RowsOfKinds = {kind: {} for kind in kinds}
    top = root(op)
    for managed_object, row in read_view(op.session, kinds, top):
        rows_of(rows, managed_object)[ref_id(managed_object)] = row
    return assembled(op, rows, top)


def rows_of(rows: RowsOfKinds, managed_object: Any) -> dict[str, Properties]:
    """The rows that an object's belongs to: a storage pod, say, is among the folders."""
    return next(rows[kind] for kind in type(managed_object).__mro__ if kind in rows)


def assembled(op: Op, rows: RowsOfKinds, top: Any) -> Estate:
    """The estate of these rows; `top` is the datacenter that the endpoint is limited to."""
    vim = op.session.vim
    datacenters = dict(rows[vim.Datacenter])
    if top is not None:
        datacenters[ref_id(top)] = {"name": op.session.settings.options.datacenter}
    clusters = rows[vim.ComputeResource] | rows[vim.ClusterComputeResource]
    return Estate(
        providers=inventory.providers(clusters, rows[vim.Folder], datacenters),
        hosts=rows.get(vim.HostSystem, {}),
        datastores=rows.get(vim.Datastore, {}),
        machines=_without_templates(rows.get(vim.VirtualMachine, {})),
    )


def _without_templates(machines: dict[str, Properties]) -> Rows:
    return {ref: row for ref, row in machines.items() if not row.get("config.template")}


def root(op: Op) -> Any:
    """The datacenter that the endpoint is limited to; None for all."""
    name = op.session.settings.options.datacenter
    if name is None:
        return None
    path = "/".join(inventory.stored_name(part) for part in name.split("/"))
    found = op.session.content.searchIndex.FindByInventoryPath(path)
    if not isinstance(found, op.session.vim.Datacenter):
        hint = "correct the endpoint's option 'datacenter'"
        raise op.error(NotFound, f"there is no datacenter '{name}'", hint=hint)
    return found


def machine_views(op: Op, estate: Estate, known: DiskSizes) -> list[VmView]:
    """All machines, in order of name and id; `known` spares reading the disks of those not changed since."""
    identities = inventory.identities(estate.machines)
    _learn_disks(op, {ref: estate.machines[ref] for ref in identities}, known)
    place = Place.among(estate.hosts, estate.providers)
    views = [
        inventory.machine_view(
            ref, row, identities.get(ref), place, known[ref][1] if ref in identities else None
        )
        for ref, row in estate.machines.items()
    ]
    return sorted(views, key=lambda view: (view.name, view.native_id))


def _learn_disks(op: Op, machines: Rows, known: DiskSizes) -> None:
    """Read the disks of our machines, and only of those that changed: the device list is the heavy part."""
    for ref in known.keys() - machines.keys():
        del known[ref]
    changed = [
        ref for ref, row in machines.items() if known.get(ref, (0,))[0] != row.get("config.modified", 0)
    ]
    kind = op.session.vim.VirtualMachine
    for ref in changed:
        known[ref] = (None, 0)
    objects = (op.session.object(kind, ref) for ref in changed)
    for machine, row in read_objects(op.session, kind, objects, ["config.hardware.device"]):
        ref = ref_id(machine)
        known[ref] = (machines[ref].get("config.modified", 0), disks_gib(disks(op, row)))


def disks(op: Op, row: Row) -> list[Any]:
    """The virtual disks among a machine's devices, in their own order."""
    kind = op.session.vim.vm.device.VirtualDisk
    return [device for device in row.get("config.hardware.device", ()) if isinstance(device, kind)]


def disks_gib(found: Iterable[Any]) -> int:
    """What the disks hold together, rounded up to GiB."""
    total_kib: int = sum(disk.capacityInKB for disk in found)
    return -(-total_kib // KIBI_PER_GIBI)


class Machine(NamedTuple):
    """One machine of ours as read just now."""

    object: Any
    identity: UUID
    row: Row

    @property
    def power(self) -> str:
        """Its power state in vSphere's words."""
        return str(self.row.get("runtime.powerState", ""))


_ONE_PATHS = (*inventory.MACHINE_PATHS, "config.hardware.device", "config.extraConfig", "snapshot")


def find_machine(op: Op, identity: UUID) -> Machine | None:
    """Our machine of this identity, or None. Of several the one that keeps the identity."""
    found = find_all(op, identity)
    return found[0] if found else None


def find_all(op: Op, identity: UUID) -> list[Machine]:
    """All machines of this identity, the one that keeps it first.

    There is more than one only while two workers create it at the same moment. Found by either UUID,
    because vCenter may change the instance UUID of a machine; see `marks`.
    """
    index = op.session.content.searchIndex
    refs = {
        ref_id(machine): machine
        for instance in (False, True)
        for machine in index.FindAllByUuid(uuid=str(identity), vmSearch=True, instanceUuid=instance) or ()
    }
    kind = op.session.vim.VirtualMachine
    read = read_objects(op.session, kind, refs.values(), _ONE_PATHS)
    ours = [(m, row, marks) for m, row in read if (marks := _marks(m, row)).claim() == identity]
    ours.sort(key=lambda one: (one[2].instance_uuid != identity, one[2].order))
    return [Machine(machine, identity, row) for machine, row, _ in ours if not row.get("config.template")]


def _marks(machine: Any, row: Row) -> Marks:
    marks = inventory.marks_of(ref_id(machine), row)
    return marks._replace(noted=marks.noted or uuid_or_none(extra_config(row).get(IDENTITY_KEY)))


def extra_config(row: Row) -> dict[str, str]:
    """A machine's free settings."""
    return {option.key: str(option.value) for option in row.get("config.extraConfig", ())}


def need_machine(op: Op, identity: UUID) -> Machine:
    """Our machine of this identity. Raises NotFound."""
    found = find_machine(op, identity)
    if found is None:
        raise op.error(NotFound, f"there is no machine with identity {identity}")
    return found


def view_of(op: Op, machine: Machine) -> VmView:
    """The machine as the contract shows it."""
    hosts: dict[str, Properties] = {}
    host = machine.row.get("runtime.host")
    if host is not None:
        hosts[host] = read_object(
            op.session, op.session.object(op.session.vim.HostSystem, host), inventory.HOST_PATHS
        )
    place = Place.among(hosts, read_providers(op))
    exact = disks_gib(disks(op, machine.row))
    return inventory.machine_view(ref_id(machine.object), machine.row, machine.identity, place, exact)
