"""From XenAPI's records to providers, hosts and machines. Knows no vendor library and makes no call."""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

from catalog.capabilities import Capability, CapabilityReport, Gap
from catalog.pools import Firmware, Host, Hypervisor, Template
from catalog.resources import Resources
from connectors import templates
from connectors.contract import PoolSnapshot, PowerState, VmView
from connectors.drivers.xen import gaps, marks
from connectors.drivers.xen.session import NULL, Record, Records
from connectors.drivers.xen.settings import Options

if TYPE_CHECKING:
    from connectors.drivers.xen.estate import Everything

MIB = 1 << 20
GIB = 1 << 30

POWER = {
    "Running": PowerState.ON,
    "Halted": PowerState.OFF,
    "Suspended": PowerState.SUSPENDED,
    "Paused": PowerState.SUSPENDED,
}
HA_PLAN = "HA_FAILOVER_PLAN"
"""The trait of a pool that has a plan for the failure of a host."""
WITHOUT_DISKS = frozenset({"iso", "udev"})
"""Types of storage repositories that hold no disks of machines: images, and a host's own drives."""


def machine_view(
    record: Record, identity: UUID | None, provider: str, host: str | None, disk_bytes: int
) -> VmView:
    """One machine."""
    return VmView(
        identity=identity,
        native_id=record["uuid"],
        name=record["name_label"],
        provider=provider,
        host=host,
        power=POWER.get(record["power_state"], PowerState.UNKNOWN),
        resources=resources_of(record, disk_bytes),
        annotations={} if identity is None else marks.shown_annotations(record),
    )


def resources_of(record: Record, disk_bytes: int) -> Resources:
    """Its memory is what it may use (dynamic_max), its vCPUs those it starts with."""
    return Resources(
        vcpu=int(record["VCPUs_at_startup"]),
        memory_mib=int(record["memory_dynamic_max"]) // MIB,
        disk_gib=-(-disk_bytes // GIB),
    )


def views(found: "Everything", provider: str) -> list[VmView]:
    """All machines, in order of name and native id."""
    owners = marks.identities(found.machines)
    names = host_names(found.hosts)
    sizes = _disk_bytes(found)
    listed = [
        machine_view(record, owners.get(ref), provider, names.get(record["resident_on"]), sizes[ref])
        for ref, record in found.machines.items()
    ]
    return sorted(listed, key=lambda view: (view.name, view.native_id))


def _disk_bytes(found: "Everything") -> Counter[str]:
    sizes: Counter[str] = Counter()
    for vbd in found.vbds.values():
        if vbd["type"] == "Disk" and vbd["VDI"] in found.vdis:
            sizes[vbd["VM"]] += int(found.vdis[vbd["VDI"]]["virtual_size"])
    return sizes


def host_names(hosts: Records) -> dict[str, str]:
    """Names by reference; XenAPI lets two hosts have one name, so those get their uuid with it."""
    often = Counter(host["name_label"] for host in hosts.values())
    return {
        ref: host["name_label"]
        if often[host["name_label"]] == 1
        else f"{host['name_label']} {host['uuid']}"
        for ref, host in hosts.items()
    }


def usable(host: Record, metrics: Records) -> bool:
    """Whether machines can be started on the host now."""
    return bool(host["enabled"]) and bool(metrics.get(host["metrics"], {}).get("live"))


def host_resources(host: Record, metrics: Records, domains: Iterable[Record]) -> Resources:
    """A host's threads, and its memory without what Xen and its control domain keep for themselves."""
    total = int(metrics.get(host["metrics"], {}).get("memory_total", 0))
    kept = int(host["memory_overhead"]) + sum(int(domain["memory_dynamic_max"]) for domain in domains)
    return Resources(vcpu=int(host["cpu_info"].get("cpu_count", 0)), memory_mib=max(0, total - kept) // MIB)


def usable_srs(srs: Records, pbds: Records) -> dict[str, Record]:
    """Storage repositories that hold disks and are attached to a host."""
    attached = {pbd["SR"] for pbd in pbds.values() if pbd["currently_attached"]}
    return {
        ref: sr
        for ref, sr in srs.items()
        if ref in attached and sr["type"] not in WITHOUT_DISKS and sr["content_type"] != "iso"
    }


def has_second_sr(srs: Mapping[str, Record], pbds: Records) -> bool:
    """Whether a host sees two of these, as it must to bring a disk from one to the other."""
    seeing = Counter(pbd["host"] for pbd in pbds.values() if pbd["currently_attached"] and pbd["SR"] in srs)
    return any(count > 1 for count in seeing.values())


def free_bytes(sr: Record) -> int:
    """What no disk takes; thin disks may have been promised more."""
    return int(sr["physical_size"]) - int(sr["physical_utilisation"])


def chosen_sr(pool: Record, srs: Mapping[str, Record], options: Options) -> str | None:
    """Where new disks go: the option's, else the pool's default, else the roomiest that is shared."""
    if options.sr is not None:
        return next((ref for ref, sr in srs.items() if sr["name_label"] == options.sr), None)
    if pool["default_SR"] in srs:
        return str(pool["default_SR"])
    shared = [ref for ref, sr in srs.items() if sr["shared"]]
    return max(shared, key=lambda ref: (free_bytes(srs[ref]), ref), default=None)


def can_resize_online(sr: Record | None, types: Records) -> bool:
    """Whether the SR's type says that it can grow a disk in use."""
    if sr is None:
        return False
    return any(sm["type"] == sr["type"] and "VDI_RESIZE_ONLINE" in sm["features"] for sm in types.values())


def pool_snapshot(
    found: "Everything",
    provider: str,
    options: Options,
    declared: CapabilityReport,
    chosen: tuple[Template, ...] = (),
    forbidden: Mapping[Capability, Gap] = MappingProxyType({}),
) -> PoolSnapshot:
    """The pool as it is now; `chosen` are the templates that orders can choose, `forbidden` what the login may not do."""
    names = host_names(found.hosts)
    hosts = sorted(
        (
            Host(
                name=names[ref],
                resources=host_resources(host, found.metrics, _domains_on(ref, found.domains)),
                usable=usable(host, found.metrics),
                # xapi says how many threads a host has, not how many cores.
                sockets=int(host["cpu_info"].get("socket_count", 0)),
            )
            for ref, host in found.hosts.items()
        ),
        key=lambda host: host.name,
    )
    srs = usable_srs(found.srs, found.pbds)
    disk_gib = sum(int(sr["physical_size"]) // GIB for sr in srs.values())
    total = sum((host.resources for host in hosts if host.usable), Resources(disk_gib=disk_gib))
    return PoolSnapshot(
        provider=provider,
        hypervisor=Hypervisor.XEN,
        total=total,
        used=_used(found),
        hosts=tuple(hosts),
        traits=_traits(found.pool) | templates.traits(chosen),
        templates=chosen,
        capabilities=declared.narrowed({**forbidden, **_live_gaps(found, provider, srs, options)}),
    )


def is_template(record: Record) -> bool:
    """Whether machines can be made of it; snapshots are templates to xapi too."""
    return bool(record["is_a_template"] and not record["is_a_snapshot"])


def offered(
    named: Mapping[str, str], vms: Records, vbds: Records, vdis: Records
) -> tuple[dict[str, Template], dict[str, str]]:
    """Which of the option's templates orders can choose, and what is wrong with the others, by name."""
    chosen: dict[str, Template] = {}
    wrong: dict[str, str] = {}
    for name, own in named.items():
        found = [vm for vm in vms.values() if is_template(vm) and vm["name_label"] == own]
        devices = [vbds[vbd] for vm in found for vbd in vm["VBDs"] if vbd in vbds]
        held = [device["VDI"] for device in devices if device["type"] == "Disk"]
        disks = len(held)
        if not found:
            wrong[name] = f"there is no template '{own}'"
        elif len(found) > 1:
            wrong[name] = f"there are {len(found)} of template '{own}'"
        elif disks > 1:
            wrong[name] = too_many_disks(own, disks)
        else:
            size_bytes = sum(int(vdis[ref]["virtual_size"]) for ref in held if ref in vdis)
            chosen[name] = templates.described(name, size_bytes, firmware(found[0]))
    return chosen, wrong


def firmware(record: Record) -> Firmware:
    """What a machine, or one of a template, starts by."""
    uefi = record["HVM_boot_params"].get("firmware") == Firmware.UEFI
    return Firmware.UEFI if uefi else Firmware.BIOS


def too_many_disks(template: str, disks: int) -> str:
    """Why no machine can be made of a template."""
    return f"template '{template}' has {disks} disks, and only one is copied by this driver"


def _traits(pool: Record) -> frozenset[str]:
    """Whether xapi knows where to restart all protected machines when one host fails."""
    planned = pool["ha_enabled"] and int(pool["ha_plan_exists_for"]) > 0
    return frozenset({HA_PLAN} if planned else ())


def _domains_on(host: str, domains: Records) -> list[Record]:
    return [domain for domain in domains.values() if domain["resident_on"] == host]


def _live_gaps(
    found: "Everything", provider: str, srs: Mapping[str, Record], options: Options
) -> dict[Capability, Gap]:
    chosen = chosen_sr(found.pool, srs, options)
    more = gaps.of_pool(provider, ha=bool(found.pool["ha_enabled"]), hosts=len(found.hosts))
    online = can_resize_online(srs[chosen] if chosen else None, found.types)
    for capability in (Capability.RESIZE_HOT, Capability.RESIZE_MEMORY_HOT):
        gap = gaps.hot_add(capability, factor=options.hot_add_factor, online_resize=online)
        more |= {} if gap is None else {capability: gap}
    if not online:
        more[Capability.GROW_DISK_HOT] = gaps.NO_ONLINE_RESIZE
    if not has_second_sr(srs, found.pbds):
        more[Capability.STORAGE_MIGRATE] = gaps.one_storage(provider)
    if not options.templates:
        more[Capability.TEMPLATE] = templates.NONE
    return more


def _used(found: "Everything") -> Resources:
    """Paused machines keep their memory, so they count as running."""
    on = [vm for vm in found.machines.values() if vm["resident_on"] != NULL]
    return Resources(
        vcpu=sum(int(vm["VCPUs_at_startup"]) for vm in on),
        memory_mib=sum(int(vm["memory_dynamic_max"]) // MIB for vm in on),
        disk_gib=sum(-(-size // GIB) for vm, size in _disk_bytes(found).items() if vm in found.machines),
    )
