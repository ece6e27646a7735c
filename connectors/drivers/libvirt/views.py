"""Machines as libvirt reports them, turned into ours."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from catalog.resources import Resources
from connectors.contract import PowerState, VmView
from connectors.drivers.libvirt import documents, faults, names, storage
from connectors.drivers.libvirt.host import HostFacts

_STATES = {
    1: PowerState.ON,  # running
    2: PowerState.ON,  # blocked on a resource
    3: PowerState.SUSPENDED,  # paused
    4: PowerState.ON,  # shutting down, and running until it has
    7: PowerState.SUSPENDED,  # suspended by its own guest
}
"""libvirt's virDomainState; one that crashed, or has no state, is unknown."""
SHUT_OFF = 5


def every(vendor: Any, connection: Any, host: HostFacts) -> list[VmView]:
    """All machines of the endpoint, in order of name and native id. Raises libvirtError."""
    if host.domain_type == "lxc":
        rows = _by_state(vendor, connection.listAllDomains(0))
    else:
        flags = vendor.VIR_DOMAIN_STATS_STATE | vendor.VIR_DOMAIN_STATS_BLOCK
        rows = connection.getAllDomainStats(flags)
    return of_rows(vendor, connection, rows, host)


def of_rows(
    vendor: Any, connection: Any, rows: Iterable[tuple[Any, dict[str, Any]]], host: HostFacts
) -> list[VmView]:
    """Machines by their statistics, in order of name and native id. Raises libvirtError."""
    found = []
    for domain, stats in rows:
        try:
            found.append(_view(vendor, connection, domain, stats, host))
        except vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:  # gone since it was listed
                raise
    return sorted(found, key=lambda view: (view.name, view.native_id))


def one(vendor: Any, connection: Any, domain: Any, host: HostFacts) -> VmView:
    """One machine. Raises libvirtError."""
    if host.domain_type == "lxc":
        return _view(vendor, connection, domain, {"state.state": domain.state()[0]}, host)
    flags = vendor.VIR_DOMAIN_STATS_STATE | vendor.VIR_DOMAIN_STATS_BLOCK
    ((_, stats),) = connection.domainListGetStats([domain], flags)
    return _view(vendor, connection, domain, stats, host)


def _by_state(vendor: Any, domains: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Containers, of which libvirt has no statistics."""
    for domain in domains:
        try:
            state = domain.state()[0]
        except vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:  # gone since it was listed
                raise
            continue
        yield domain, {"state.state": state}


def has_saved_memory(domain: Any) -> bool:
    """Whether the memory of a machine that is off waits in a file; of containers there is none. Raises libvirtError."""
    return domain.connect().getType() != "LXC" and bool(domain.hasManagedSaveImage(0))


def power_of(domain: Any) -> PowerState:
    """Whether a machine runs; one whose memory libvirt saved to disk is suspended. Raises libvirtError."""
    return _power(domain, domain.state()[0])


def find(vendor: Any, connection: Any, identity: UUID) -> Any:
    """The domain of this UUID, ours or not; None where there is none. Raises libvirtError."""
    try:
        return connection.lookupByUUIDString(str(identity))
    except vendor.libvirtError as error:
        if error.get_error_code() == faults.NO_DOMAIN:
            return None
        raise


def is_ours(domain: Any) -> bool:
    """Whether tierwise made the machine. Raises libvirtError."""
    return mark(documents.parse(domain.XMLDesc(0))) is not None


def resources(root: ET.Element, disk_gib: int) -> Resources:
    """What a definition gives its machine."""
    vcpu = root.find("vcpu")
    count = "0" if vcpu is None else vcpu.get("current") or vcpu.text or "0"
    memory_kib = int(root.findtext("memory") or "0")  # the daemon always writes KiB
    return Resources(vcpu=int(count), memory_mib=memory_kib // documents.KIB, disk_gib=disk_gib)


def _view(vendor: Any, connection: Any, domain: Any, stats: dict[str, Any], host: HostFacts) -> VmView:
    root = documents.parse(domain.XMLDesc(0))
    found = mark(root)
    name = domain.name()
    uuid = domain.UUIDString()
    return VmView(
        identity=None if found is None else UUID(uuid),
        native_id=uuid,
        name=found.name if found is not None and names.stored(found.name) == name else name,
        provider=host.provider,
        host=host.name,
        power=_power(domain, stats["state.state"]),
        resources=resources(root, _disk_gib(vendor, connection, root, stats)),
        annotations={} if found is None else found.annotations,
    )


def _power(domain: Any, state: int) -> PowerState:
    if state == SHUT_OFF:
        return PowerState.SUSPENDED if has_saved_memory(domain) else PowerState.OFF
    return _STATES.get(state, PowerState.UNKNOWN)


def mark(root: ET.Element) -> names.Mark | None:
    """What a definition says of a machine of ours; None where it is not ours."""
    return names.mark_of(root.findtext(f"metadata/{names.ELEMENT}"))


def _disk_gib(vendor: Any, connection: Any, root: ET.Element, stats: dict[str, Any]) -> int:
    targets = dict(documents.disks(root))
    known = {
        stats[f"block.{i}.name"]: stats.get(f"block.{i}.capacity", 0)
        for i in range(stats.get("block.count", 0))
    }
    if targets.keys() <= known.keys():
        total: int = sum(known[target] for target in targets)
        return -(-total // storage.GIB)
    return storage.capacities_gib(vendor, connection, targets.values())
