"""Machines as libvirt reports them, turned into ours."""

import functools
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from catalog.resources import Resources
from connectors.contract import PowerState, VmView
from connectors.drivers.libvirt import documents, faults, names, storage, xen
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

_KEPT = 2**15
"""Definitions whose reading is kept, as most are the same at the next look; of a real machine one is some 6 KB of text."""


@dataclass(frozen=True, eq=False, slots=True)
class _Definition:
    """What is taken of a definition; disks by target device, with their paths."""

    uuid: str
    name: str
    mark: names.Mark | None
    vcpu: int
    memory_mib: int
    disks: tuple[tuple[str, str], ...]
    cards: tuple[tuple[str, str], ...]
    """The host's interface, while the machine runs, and the MAC of each."""


def every(vendor: Any, connection: Any, host: HostFacts) -> list[VmView]:
    """All machines of the endpoint, in order of name and native id. Raises libvirtError."""
    if not host.has_statistics:
        rows = _by_state(vendor, machines(connection))
    else:
        flags = vendor.VIR_DOMAIN_STATS_STATE | vendor.VIR_DOMAIN_STATS_BLOCK
        rows = connection.getAllDomainStats(flags)
    return of_rows(vendor, connection, rows, host)


def of_rows(
    vendor: Any, connection: Any, rows: Iterable[tuple[Any, dict[str, Any]]], host: HostFacts
) -> list[VmView]:
    """Machines by their statistics, in order of name and native id. Raises libvirtError."""
    found = []
    saved = functools.cache(lambda: _with_saved_memory(vendor, connection))
    for domain, stats in rows:
        try:
            power = _power(domain, stats["state.state"], lambda domain: domain.UUIDString() in saved())
            found.append(_view(vendor, connection, domain, stats, power, host))
        except vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:  # gone since it was listed
                raise
    return sorted(found, key=lambda view: (view.name, view.native_id))


def one(vendor: Any, connection: Any, domain: Any, host: HostFacts) -> VmView:
    """One machine. Raises libvirtError."""
    if not host.has_statistics:
        return _view(vendor, connection, domain, {}, power_of(domain), host)
    flags = vendor.VIR_DOMAIN_STATS_STATE | vendor.VIR_DOMAIN_STATS_BLOCK
    ((_, stats),) = connection.domainListGetStats([domain], flags)
    power = _power(domain, stats["state.state"], has_saved_memory)
    return _view(vendor, connection, domain, stats, power, host)


def machines(connection: Any, flags: int = 0) -> list[Any]:
    """All domains but Xen's control domain, which is the host itself. Raises libvirtError."""
    return [domain for domain in connection.listAllDomains(flags) if domain.ID() != xen.CONTROL_DOMAIN]


def _by_state(vendor: Any, domains: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Containers and machines of Xen, of which libvirt has no statistics."""
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


def _with_saved_memory(vendor: Any, connection: Any) -> frozenset[str]:
    """The UUIDs of all machines whose memory waits in a file, by one call instead of one a machine. Raises libvirtError."""
    flags = vendor.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE
    return frozenset(domain.UUIDString() for domain in connection.listAllDomains(flags))


def power_of(domain: Any) -> PowerState:
    """Whether a machine runs; one whose memory libvirt saved to disk is suspended. Raises libvirtError."""
    return _power(domain, domain.state()[0], has_saved_memory)


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
    return _read(domain.XMLDesc(0)).mark is not None


def cards_of_ours(domain: Any) -> Mapping[str, str] | None:
    """The MAC of each card by the host's interface, whose name is another at each start.

    None of a machine that tierwise did not make. Raises libvirtError.
    """
    found = _read(domain.XMLDesc(0))
    return None if found.mark is None else dict(found.cards)


def _view(
    vendor: Any, connection: Any, domain: Any, stats: dict[str, Any], power: PowerState, host: HostFacts
) -> VmView:
    found = _read(domain.XMLDesc(0))
    disk_gib = _disk_gib(vendor, connection, found.disks, stats)
    return _seen(found, power, disk_gib, host.provider, host.name)


@functools.lru_cache(_KEPT)
def _read(text: str) -> _Definition:
    root = documents.parse(text)
    vcpu = root.find("vcpu")
    count = "0" if vcpu is None else vcpu.get("current") or vcpu.text or "0"
    memory_kib = int(root.findtext("memory") or "0")  # the daemon always writes KiB
    devices = root.find("devices")
    return _Definition(
        uuid=root.findtext("uuid", ""),
        name=root.findtext("name", ""),
        mark=None if root.find("metadata") is None else mark(root),
        vcpu=int(count),
        memory_mib=memory_kib // documents.KIB,
        disks=() if devices is None or not len(devices) else tuple(documents.disks(root)),
        cards=() if devices is None else tuple(_cards(devices)),
    )


def _cards(devices: ET.Element) -> Iterator[tuple[str, str]]:
    """Emulated cards of Xen are left out, see `gaps.EMULATED_CARDS`."""
    for card in devices.findall("interface"):
        target, mac = card.find("target"), card.find("mac")
        name = "" if target is None else target.get("dev", "")
        if mac is not None and name and not name.endswith("-emu"):
            yield name, mac.get("address", "")


@functools.lru_cache(_KEPT)
def _seen(definition: _Definition, power: PowerState, disk_gib: int, provider: str, host: str) -> VmView:
    found, name = definition.mark, definition.name
    return VmView(
        identity=None if found is None else UUID(definition.uuid),
        native_id=definition.uuid,
        name=found.name if found is not None and names.stored(found.name) == name else name,
        provider=provider,
        host=host,
        power=power,
        resources=_amounts(definition.vcpu, definition.memory_mib, disk_gib),
        annotations={} if found is None else found.annotations,
    )


@functools.lru_cache(_KEPT)
def _amounts(vcpu: int, memory_mib: int, disk_gib: int) -> Resources:
    return Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib)


def _power(domain: Any, state: int, is_saved: Callable[[Any], bool]) -> PowerState:
    if state == SHUT_OFF and xen.is_ending(domain):
        return PowerState.ON
    if state == SHUT_OFF:
        return PowerState.SUSPENDED if is_saved(domain) else PowerState.OFF
    return _STATES.get(state, PowerState.UNKNOWN)


def mark(root: ET.Element) -> names.Mark | None:
    """What a definition says of a machine of ours; None where it is not ours, or a clone that somebody made."""
    found = names.mark_of(root.findtext(f"metadata/{names.ELEMENT}"))
    if found is None or found.identity is None:
        return found
    return found if str(found.identity) == root.findtext("uuid") else None


def _disk_gib(
    vendor: Any, connection: Any, disks: tuple[tuple[str, str], ...], stats: dict[str, Any]
) -> int:
    if not disks:
        return 0
    targets = dict(disks)
    known = {
        stats[f"block.{i}.name"]: stats.get(f"block.{i}.capacity", 0)
        for i in range(stats.get("block.count", 0))
    }
    if targets.keys() <= known.keys():
        total: int = sum(known[target] for target in targets)
        return -(-total // storage.GIB)
    return storage.capacities_gib(vendor, connection, targets.values())
