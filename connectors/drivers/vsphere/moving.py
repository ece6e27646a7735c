"""A machine to another host of its cluster: vMotion while it runs."""

from typing import Any, NamedTuple

from catalog.capabilities import Capability
from connectors.drivers.vsphere import gaps, inventory, tasks
from connectors.drivers.vsphere.estate import Machine, provider_of
from connectors.drivers.vsphere.inventory import Provider
from connectors.drivers.vsphere.session import Op, Properties, read_object, read_objects, ref_id
from connectors.errors import NotFound, Refused, Unsupported


class _Target(NamedTuple):
    """A host of the machine's provider."""

    object: Any
    row: Properties


def migrate(op: Op, machine: Machine, name: str) -> None:
    """Move the machine; nothing if it is there. Raises NotFound, Refused, or Unsupported where hosts stand alone.

    What can be told without moving is checked before; CPU features, networks, rules and room are vCenter's to
    judge, which it does before it moves anything.
    """
    here = str(machine.row.get("runtime.host", ""))
    provider = provider_of(op, here)
    target = _host(op, provider, name)
    if target is not None and ref_id(target.object) == here:
        return
    hosts = len(provider.row.get("host", ()))
    gap = gaps.live_migrate(provider.name, is_cluster=provider.is_cluster, hosts=hosts)
    if gap is not None:
        raise Unsupported(op.endpoint, Capability.LIVE_MIGRATE, gap)
    if target is None:
        hint = "the endpoint's probe lists the hosts there are"
        raise op.error(NotFound, f"cluster '{provider.name}' has no host '{name}'", hint=hint)
    _check(op, machine, target, name)
    spec = op.session.vim.vm.RelocateSpec(host=target.object)
    tasks.run(op, machine.object.RelocateVM_Task(spec=spec), machine.object)


def _host(op: Op, provider: Provider, name: str) -> _Target | None:
    kind = op.session.vim.HostSystem
    objects = [op.session.object(kind, ref) for ref in provider.row.get("host", ())]
    for host, row in read_objects(op.session, kind, objects, inventory.HOST_PATHS):
        if inventory.shown_name(row["name"]) == name:
            return _Target(host, row)
    return None


def _check(op: Op, machine: Machine, target: _Target, name: str) -> None:
    if not inventory.host_usable(target.row):
        why = f"host '{name}' is not connected, or in maintenance"
        raise op.error(Refused, why, hint="bring it back, or choose another one")
    vcpu, memory_mib = machine.row["config.hardware.numCPU"], machine.row["config.hardware.memoryMB"]
    has = inventory.host_resources(target.row)
    if vcpu > has.vcpu or memory_mib > has.memory_mib:
        why = f"host '{name}' has {has.vcpu} vCPU and {has.memory_mib} MiB, and the machine {vcpu} and {memory_mib}"
        raise op.error(Refused, why, hint="choose a larger host")
    needs = set(read_object(op.session, machine.object, ["datastore"]).get("datastore", ()))
    if not needs <= set(target.row.get("datastore", ())):
        why = f"host '{name}' does not mount all datastores of the machine"
        raise op.error(Refused, why, hint="mount them there, or move its disks in vCenter first")
