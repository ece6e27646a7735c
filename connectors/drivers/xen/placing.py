"""Where a new machine goes: storage, network, and a template whose settings it takes."""

from typing import NamedTuple

from connectors import templates
from connectors.contract import VmSpec
from connectors.drivers.xen import inventory
from connectors.drivers.xen.estate import disks, pool_record, provider_name, records
from connectors.drivers.xen.inventory import GIB
from connectors.drivers.xen.session import Op, Record, Records
from connectors.errors import NotFound, Refused


class Target(NamedTuple):
    """What VM.create and the calls after it need; `template` is empty where there is none.

    `source` is the template's disk, whose content the new one gets; empty where it gets none.
    """

    sr: str
    network: str | None
    template: Record
    source: str


def target(op: Op, spec: VmSpec) -> Target:
    """Choose. Raises NotFound for names that are not there, and Refused for want of room."""
    pool = pool_record(op)
    name = provider_name(op, pool)
    if spec.provider != name:
        why = f"there is no pool '{spec.provider}'"
        raise op.error(NotFound, why, hint=f"this endpoint's pool is '{name}'")
    _check_hosts(op, spec)
    template = _template(op, spec)
    return Target(
        sr=storage(op, pool, spec.resources.disk_gib),
        network=_network(op),
        template=template,
        source="" if spec.empty or not template else _source(op, spec, template),
    )


def _check_hosts(op: Op, spec: VmSpec) -> None:
    """One machine runs on one host, so it can never have more than the host has."""
    hosts, metrics = records(op, "host"), records(op, "host_metrics")
    op.session.learn([host["address"] for host in hosts.values() if host["address"]])
    sizes = [
        inventory.host_resources(host, metrics, ())
        for host in hosts.values()
        if inventory.usable(host, metrics)
    ]
    if not sizes:
        why = f"pool '{spec.provider}' has no host that is live and enabled"
        raise op.error(Refused, why, hint="bring a host back, or choose another pool")
    wanted = spec.resources
    if not any(wanted.vcpu <= s.vcpu and wanted.memory_mib <= s.memory_mib for s in sizes):
        largest = f"{max(s.vcpu for s in sizes)} vCPU and {max(s.memory_mib for s in sizes)} MiB"
        why = f"no host of '{spec.provider}' can hold {wanted.vcpu} vCPU and {wanted.memory_mib} MiB"
        raise op.error(Refused, f"{why}; the largest have {largest}", hint="order a smaller machine")


def storage(op: Op, pool: Record, disk_gib: int) -> str:
    """Where a new disk goes. Raises NotFound, and Refused for want of room."""
    srs = inventory.usable_srs(records(op, "SR"), records(op, "PBD"))
    wanted = op.session.settings.options.sr
    ref = inventory.chosen_sr(pool, srs, op.session.settings.options)
    if ref is None and wanted is not None:
        why = f"there is no usable storage repository '{wanted}'"
        raise op.error(NotFound, why, hint="correct the endpoint's option 'sr'")
    if ref is None:
        why = "the pool has no default and no shared storage repository"
        raise op.error(Refused, why, hint="set the pool's default, or the endpoint's option 'sr'")
    free_gib = inventory.free_bytes(srs[ref]) // GIB
    if disk_gib > free_gib:
        why = f"storage repository '{srs[ref]['name_label']}' has {free_gib} GiB free, not {disk_gib} GiB"
        raise op.error(Refused, why, hint="free space, or order a smaller disk", code="SR_FULL")
    return ref


def _network(op: Op) -> str | None:
    name = op.session.settings.options.network
    return None if name is None else _only(op, "network", name, op.call("network.get_by_name_label", name))


def _template(op: Op, spec: VmSpec) -> Record:
    """The order's template, or else the option's; nothing where the one that xapi brings by itself is missing."""
    options = op.session.settings.options
    name = None if spec.empty else templates.wanted(op.endpoint, spec, options.templates)
    own = options.template if name is None else options.templates[name]
    found: Records = {ref: op.call("VM.get_record", ref) for ref in op.call("VM.get_by_name_label", own)}
    there = [ref for ref, vm in found.items() if inventory.is_template(vm)]
    if not there and own == "Other install media":
        return {}
    if not there and name is not None:
        every = (records(op, kind) for kind in ("VM", "VBD", "VDI"))
        raise templates.gone(op.endpoint, name, own, inventory.offered(options.templates, *every)[0])
    return found[_only(op, "template" if name is None else f"templates.{name}", own, there, "template")]


def _source(op: Op, spec: VmSpec, template: Record) -> str:
    """The template's disk, where it has one. Raises Refused for what the template rules out."""
    found = disks(op, template)
    if not found:
        return ""
    name = template["name_label"]
    if len(found) > 1:
        why = inventory.too_many_disks(name, len(found))
        raise op.error(Refused, why, hint="choose a template with one disk")
    firmware = inventory.firmware(template)
    if spec.firmware not in {None, firmware}:
        why = f"template '{name}' starts by {firmware}, not by {spec.firmware}"
        raise op.error(Refused, why, hint="choose another template; a guest starts by one of them only")
    ref, disk = found[0]
    has_gib = -(-int(disk["virtual_size"]) // GIB)
    if spec.resources.disk_gib < has_gib:
        why = f"the disk of template '{name}' has {has_gib} GiB, not {spec.resources.disk_gib} GiB"
        raise op.error(Refused, why, hint=f"order at least {has_gib} GiB, or choose another template")
    return ref


def _only(op: Op, option: str, name: str, found: list[str], what: str = "") -> str:
    """XenAPI's names are not unique. Raises NotFound or Refused."""
    hint = f"correct the endpoint's option '{option}'"
    if not found:
        raise op.error(NotFound, f"there is no {what or option} '{name}'", hint=hint)
    if len(found) > 1:
        raise op.error(Refused, f"there are {len(found)} of {what or option} '{name}'", hint=hint)
    return str(found[0])
