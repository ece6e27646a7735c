"""Where a new machine goes: folder, resource pool, datastore, host and network of one provider."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from connectors.contract import VmSpec
from connectors.drivers.vsphere import cloning, inventory, policies, privileges, resourcepools
from connectors.drivers.vsphere.cloning import Template
from connectors.drivers.vsphere.estate import read_providers
from connectors.drivers.vsphere.inventory import GIB, Provider, stored_name
from connectors.drivers.vsphere.policies import Policy
from connectors.drivers.vsphere.session import Op, Properties, read_objects, ref_id
from connectors.errors import NotFound, Refused

_HOST_PATHS = (*inventory.HOST_PATHS, "summary.quickStats.overallMemoryUsage")


class Target(NamedTuple):
    """Where the machine goes, and what it is made of; a `host` only where vCenter does not choose one itself.

    `profile` is the storage policy, if one is wanted, as vSphere wants to be told it.
    """

    folder: Any
    pool: Any
    store: Any
    datastore: str
    host: Any
    network: Any
    template: Template | None
    profile: list[Any]


def target(op: Op, spec: VmSpec) -> Target:
    """Choose the place. Raises NotFound for names that are not there and Refused for want of room."""
    provider = _provider(op, spec.provider)
    policy = policies.wanted(op, spec)
    store_ref, store = _datastore(op, provider, spec, policy)
    host = _host(op, provider, spec, store_ref)
    machines = cloning.machine_folder(op, provider.datacenter or "")
    return Target(
        folder=folder(op, machines),
        pool=_pool(op, provider, spec),
        store=op.session.object(op.session.vim.Datastore, store_ref),
        datastore=store["name"],
        host=None if _vcenter_places(provider) else host,
        network=network(op, provider),
        template=cloning.template(op, spec, machines),
        profile=[] if policy is None else policies.specs(op, policy.id),
    )


def _provider(op: Op, name: str) -> Provider:
    found = [provider for provider in read_providers(op).values() if provider.name == name]
    if not found:
        hint = "the endpoint's probe lists the clusters there are"
        raise op.error(NotFound, f"there is no cluster '{name}'", hint=hint)
    return found[0]


def _datastore(op: Op, provider: Provider, spec: VmSpec, policy: Policy | None) -> tuple[str, Properties]:
    wanted = op.session.settings.options.datastore
    kind = op.session.vim.Datastore
    objects = [op.session.object(kind, ref) for ref in provider.row.get("datastore", ())]
    read = read_objects(op.session, kind, objects, inventory.DATASTORE_PATHS)
    usable = {ref_id(store): row for store, row in read if inventory.datastore_usable(row)}
    if wanted is not None:
        usable = {ref: row for ref, row in usable.items() if inventory.shown_name(row["name"]) == wanted}
        if not usable:
            why = f"cluster '{provider.name}' has no usable datastore '{wanted}'"
            raise op.error(NotFound, why, hint="correct the endpoint's option 'datastore'")
    if policy is not None:
        usable = _satisfying(op, provider, policy, usable)
    return _roomiest(op, provider, spec, _permitted(op, usable))


def _permitted(op: Op, stores: dict[str, Properties]) -> dict[str, Properties]:
    """The datastores on which the user may take space; all where nobody tells, or none is, which vCenter then refuses."""
    if len(stores) < 2:
        return stores
    kind = op.session.vim.Datastore
    try:
        granted = privileges.granted(
            op, (op.session.object(kind, ref) for ref in stores), [privileges.ALLOCATE_SPACE]
        )
    except op.session.fault:
        return stores
    return {ref: row for ref, row in stores.items() if granted.get(ref)} or stores


def _satisfying(
    op: Op, provider: Provider, policy: Policy, stores: dict[str, Properties]
) -> dict[str, Properties]:
    found = policies.satisfying(op, policy, stores)
    if not found:
        names = ", ".join(sorted(inventory.shown_name(row["name"]) for row in stores.values())) or "none"
        why = f"no usable datastore of cluster '{provider.name}' satisfies storage policy '{policy.name}'"
        hint = f"looked at: {names}; let one satisfy it in vCenter, or choose another pool or policy"
        raise op.error(Refused, why, hint=hint)
    return {ref: row for ref, row in stores.items() if ref in found}


def _roomiest(
    op: Op, provider: Provider, spec: VmSpec, stores: dict[str, Properties]
) -> tuple[str, Properties]:
    """The datastore with most space free, a shared one before a host's own."""
    needed = spec.resources.disk_gib * GIB
    roomy = [
        (bool(row.get("summary.multipleHostAccess")), row["summary.freeSpace"], ref)
        for ref, row in stores.items()
        if row.get("summary.freeSpace", 0) >= needed
    ]
    if not roomy:
        most_gib = max((row.get("summary.freeSpace", 0) // GIB for row in stores.values()), default=0)
        why = (
            f"no datastore of cluster '{provider.name}' has {spec.resources.disk_gib} GiB free; "
            f"the most is {most_gib} GiB"
        )
        raise op.error(Refused, why, hint="free space, or order a smaller disk")
    ref = max(roomy)[2]
    return ref, stores[ref]


def _host(op: Op, provider: Provider, spec: VmSpec, store: str) -> Any:
    """The usable host with most memory not in use that mounts the datastore and can hold the machine."""
    kind = op.session.vim.HostSystem
    objects = [op.session.object(kind, ref) for ref in provider.row.get("host", ())]
    hosts = [
        (host, row)
        for host, row in read_objects(op.session, kind, objects, _HOST_PATHS)
        if inventory.host_usable(row) and store in row.get("datastore", ())
    ]
    if not hosts:
        why = f"cluster '{provider.name}' has no host that is connected and not in maintenance"
        raise op.error(Refused, why, hint="bring a host back, or choose another pool")
    fitting = [(host, row) for host, row in hosts if _fits(spec, row)]
    if not fitting:
        raise op.error(
            Refused, _too_big(provider, spec, (row for _, row in hosts)), hint="order a smaller machine"
        )
    return max(fitting, key=lambda one: _memory_free(one[1]))[0]


def _fits(spec: VmSpec, row: Properties) -> bool:
    """One machine runs on one host, so it can never have more than the host has."""
    has = inventory.host_resources(row)
    return spec.resources.vcpu <= has.vcpu and spec.resources.memory_mib <= has.memory_mib


def _too_big(provider: Provider, spec: VmSpec, rows: Iterable[Properties]) -> str:
    has = [inventory.host_resources(row) for row in rows]
    return (
        f"no host of '{provider.name}' can hold {spec.resources.vcpu} vCPU and "
        f"{spec.resources.memory_mib} MiB; the largest have {max(h.vcpu for h in has)} vCPU and "
        f"{max(h.memory_mib for h in has)} MiB"
    )


def _memory_free(row: Properties) -> int:
    used_mib: int = row.get("summary.quickStats.overallMemoryUsage", 0)
    return inventory.host_resources(row).memory_mib - used_mib


def _vcenter_places(provider: Provider) -> bool:
    """Without DRS vCenter wants to be told the host (CreateVM_Task, host)."""
    config = provider.row.get("configurationEx")
    return bool(getattr(getattr(config, "drsConfig", None), "enabled", None))


def _below(op: Op, top: Any, path: str | None, what: str, option: str) -> Any:
    """What stands at a path below an object; the object itself without a path. Raises NotFound."""
    found = top
    for name in path.split("/") if path else ():
        found = op.session.content.searchIndex.FindChild(found, stored_name(name))
        if found is None:
            hint = f"make it in vCenter, or correct the endpoint's option '{option}'"
            raise op.error(NotFound, f"there is no {what} '{path}'", hint=hint)
    return found


def _pool(op: Op, provider: Provider, spec: VmSpec) -> Any:
    if (required := resourcepools.wanted(op, spec, provider)) is not None:
        return required
    return resource_pool(op, provider)


def folder(op: Op, machines: Any) -> Any:
    """The folder of the option, or that of all machines of a datacenter. Raises NotFound."""
    return _below(op, machines, op.session.settings.options.folder, "machine folder", "folder")


def resource_pool(op: Op, provider: Provider) -> Any:
    """The resource pool of the option, or the provider's root pool. Raises NotFound."""
    root = op.session.object(op.session.vim.ResourcePool, provider.row["resourcePool"])
    path = op.session.settings.options.resource_pool
    return _below(op, root, path, f"resource pool of cluster '{provider.name}'", "resource_pool")


def network(op: Op, provider: Provider) -> Any:
    """The network or distributed port group of the option; None where the option is not set. Raises NotFound."""
    name = op.session.settings.options.network
    if name is None:
        return None
    networks = provider.row.get("network", ())
    for kind in {type(network) for network in networks}:
        alike = [network for network in networks if type(network) is kind]
        for network, row in read_objects(op.session, kind, alike, ["name"]):
            if inventory.shown_name(row["name"]) == name:
                return network
    why = f"cluster '{provider.name}' has no network '{name}'"
    raise op.error(NotFound, why, hint="correct the endpoint's option 'network'")
