"""A machine's files to another datastore of its cluster: Storage vMotion while it runs."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from catalog.capabilities import Capability
from connectors.contract import Tell
from connectors.drivers.vsphere import inventory, policies, tasks
from connectors.drivers.vsphere.estate import Machine, disks, provider_of
from connectors.drivers.vsphere.inventory import MIB, Provider, shown_name
from connectors.drivers.vsphere.policies import Policy
from connectors.drivers.vsphere.session import Op, Properties, read_object, read_objects, ref_id
from connectors.errors import NotFound, Refused, Unsupported

_PERCENT = 100


class _Store(NamedTuple):
    """A datastore, by its name as people write it."""

    object: Any
    row: Properties
    name: str


def relocate(op: Op, machine: Machine, storage: str, tell: Tell) -> None:
    """Bring all files of the machine there; nothing if they are there. Raises NotFound, Refused, Unsupported.

    What can be told without moving is checked before; snapshots and licences are vCenter's to judge, which it
    does before it moves anything. Storage policies go along, for what is not told of vCenter may take away.
    """
    host = str(machine.row.get("runtime.host", ""))
    provider = provider_of(op, host)
    stores = _stores(op, provider)
    store = next((one for one in stores if one.name == storage), None)
    if store is not None and _is_there(op, machine, store):
        return
    mounts = _mounts(op, provider)
    gap = inventory.storage_migrate(
        provider, mounts.values(), {ref_id(one.object): one.row for one in stores}
    )
    if gap is not None:
        raise Unsupported(op.endpoint, Capability.STORAGE_MIGRATE, gap)
    if store is None:
        why = f"cluster '{provider.name}' has no datastore '{storage}'"
        raise op.error(NotFound, why, hint=f"it has {', '.join(sorted(one.name for one in stores))}")
    _check(op, machine, store, mounts.get(host, {}))
    held = disks(op, machine.row)
    size_bytes = sum(disk.capacityInKB * 1024 for disk in held)
    kept = policies.of_machine(op, machine, held)
    _check_policies(op, provider, stores, store, kept)
    relocation = op.session.vim.vm.RelocateSpec
    spec = relocation(datastore=store.object)
    if kept:
        spec.profile = _told(op, kept, None)
        spec.disk = [
            relocation.DiskLocator(
                diskId=disk.key, datastore=store.object, profile=_told(op, kept, disk.key)
            )
            for disk in held
        ]
    task = machine.object.RelocateVM_Task(spec=spec)
    tasks.run_long(op, task, machine.object, lambda percent: tell(size_bytes * percent // _PERCENT))
    op.session.deadline.begin()
    tell(size_bytes)


def _stores(op: Op, provider: Provider) -> list[_Store]:
    kind = op.session.vim.Datastore
    objects = [op.session.object(kind, ref) for ref in provider.row.get("datastore", ())]
    return [
        _Store(one, row, shown_name(row["name"]))
        for one, row in read_objects(op.session, kind, objects, inventory.DATASTORE_PATHS)
    ]


def _mounts(op: Op, provider: Provider) -> dict[str, Properties]:
    """What each of the provider's hosts mounts, by its managed object id."""
    kind = op.session.vim.HostSystem
    objects = [op.session.object(kind, ref) for ref in provider.row.get("host", ())]
    return {ref_id(host): row for host, row in read_objects(op.session, kind, objects, ["datastore"])}


def _check_policies(
    op: Op, provider: Provider, stores: list[_Store], store: _Store, kept: Mapping[int | None, Policy]
) -> None:
    """The datastore must satisfy the policies of the machine's own folder and of each disk. Raises Refused."""
    usable = {ref_id(one.object): one.name for one in stores if inventory.datastore_usable(one.row)}
    for policy in dict.fromkeys(kept.values()):
        found = policies.satisfying(op, policy, usable)
        if ref_id(store.object) not in found:
            why = f"the machine has storage policy '{policy.name}', which datastore '{store.name}' does not satisfy"
            names = ", ".join(sorted(usable[ref] for ref in found)) or "none"
            hint = f"of cluster '{provider.name}' these do: {names}; or give the machine another policy in vCenter"
            raise op.error(Refused, why, hint=hint)


def _told(op: Op, kept: Mapping[int | None, Policy], key: int | None) -> list[Any]:
    return policies.specs(op, kept[key].id) if key in kept else []


def _is_there(op: Op, machine: Machine, store: _Store) -> bool:
    """Whether the machine's own folder and all its disks are on the datastore."""
    home = read_object(op.session, machine.object, ["config.files.vmPathName"])
    names = [str(home.get("config.files.vmPathName", "")), *_files(disks(op, machine.row))]
    return all(shown_name(_store_of(name)) == store.name for name in names)


def _files(found: Iterable[Any]) -> list[str]:
    names = (getattr(disk.backing, "fileName", None) for disk in found)
    return [str(name) for name in names if name]


def _store_of(file_name: str) -> str:
    """The datastore in a file's name: ``[datastore] folder/file``."""
    return file_name.partition("]")[0].removeprefix("[")


def _check(op: Op, machine: Machine, store: _Store, host: Properties) -> None:
    if not inventory.datastore_usable(store.row):
        why = f"datastore '{store.name}' is not accessible, or in maintenance"
        raise op.error(Refused, why, hint="bring it back, or choose another one")
    if ref_id(store.object) not in host.get("datastore", ()):
        why = f"the machine's host does not mount datastore '{store.name}'"
        raise op.error(Refused, why, hint="mount it there, or move the machine to a host that does")
    takes_bytes = int(machine.row.get("summary.storage.committed", 0))
    free_bytes = int(store.row.get("summary.freeSpace", 0))
    if takes_bytes > free_bytes:
        why = f"datastore '{store.name}' has {free_bytes // MIB} MiB free, and the machine takes {takes_bytes // MIB}"
        raise op.error(Refused, why, hint="free some space there, or choose another one")
