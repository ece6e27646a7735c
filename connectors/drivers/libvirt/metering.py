"""Measured values of running machines, from libvirt's statistics."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.contract import UsageReading
from connectors.drivers.libvirt import documents, faults, views

NANOSECONDS_PER_MS = 1_000_000
KIB_PER_MIB = 1024

_DISKS = {"disk_read_bytes": "rd.bytes", "disk_written_bytes": "wr.bytes"}
_CARDS = {"net_received_bytes": "rx.bytes", "net_sent_bytes": "tx.bytes"}


def readings(vendor: Any, connection: Any, at: datetime) -> list[UsageReading]:
    """The present values of every running machine that tierwise made. Raises libvirtError."""
    flags = (
        vendor.VIR_DOMAIN_STATS_CPU_TOTAL
        | vendor.VIR_DOMAIN_STATS_BALLOON
        | vendor.VIR_DOMAIN_STATS_BLOCK
        | vendor.VIR_DOMAIN_STATS_INTERFACE
    )
    active = vendor.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    found = []
    for domain, stats in connection.getAllDomainStats(flags, active):
        try:
            if views.is_ours(domain):
                found += of_machine(UUID(domain.UUIDString()), stats, at)
        except vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:  # gone since it was listed
                raise
    return found


def container_readings(vendor: Any, connection: Any, at: datetime) -> list[UsageReading]:
    """The present values of every container that runs, of its disk none. Raises libvirtError."""
    found = []
    for domain in connection.listAllDomains(vendor.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            if views.is_ours(domain):
                own = {"cpu.time": domain.info()[4], "balloon.rss": domain.memoryStats()["rss"]}
                stats = own | _card_counters(domain)
                found += of_machine(UUID(domain.UUIDString()), stats, at)
        except vendor.libvirtError as error:
            if error.get_error_code() not in {faults.NO_DOMAIN, faults.OPERATION_INVALID}:
                raise  # else gone, or off, since it was listed
    return found


def xen_readings(vendor: Any, connection: Any, at: datetime) -> list[UsageReading]:
    """The present values of every machine of Xen that runs, whose memory is all in the host's. Raises libvirtError."""
    found = []
    for domain in views.machines(connection, vendor.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            if views.is_ours(domain):
                own = {"cpu.time": domain.info()[4], "balloon.rss": domain.memoryStats()["actual"]}
                stats = own | _card_counters(domain)
                found += of_machine(UUID(domain.UUIDString()), stats, at)
        except vendor.libvirtError as error:
            if error.get_error_code() not in {faults.NO_DOMAIN, faults.OPERATION_INVALID}:
                raise  # else gone, or off, since it was listed
    return found


def _card_counters(domain: Any) -> dict[str, int]:
    """The network counters of a machine that runs, as libvirt's statistics name them. Raises libvirtError.

    Emulated cards of Xen are left out, see `gaps.EMULATED_CARDS`.
    """
    found: dict[str, int] = {}
    targets = documents.parse(domain.XMLDesc(0)).findall("devices/interface/target")
    for name in (target.get("dev", "") for target in targets):
        if name.endswith("-emu"):
            continue
        received, _, _, _, sent, *_ = domain.interfaceStats(name)
        number = found.get("net.count", 0)
        found |= {
            f"net.{number}.rx.bytes": received,
            f"net.{number}.tx.bytes": sent,
            "net.count": number + 1,
        }
    return found


def of_machine(identity: UUID, stats: Mapping[str, Any], at: datetime) -> list[UsageReading]:
    """One machine's values; its counters begin anew each time it is powered on."""
    return [
        *(
            UsageReading(identity=identity, metric=m, value=v, at=at, counter=True, part=part)
            for m, part, v in _counters(stats)
        ),
        *(
            UsageReading(identity=identity, metric=m, value=v, at=at, counter=False)
            for m, v in _gauges(stats)
        ),
    ]


def _counters(stats: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Metric, part and value. Each disk has its own: without it, the sum over the others would begin anew."""
    if "cpu.time" in stats:
        yield "cpu_ms", "", stats["cpu.time"] // NANOSECONDS_PER_MS
    for metric, field in _DISKS.items():
        for disk in (f"block.{i}" for i in range(stats.get("block.count", 0))):
            if f"{disk}.{field}" in stats:
                yield metric, stats[f"{disk}.name"], stats[f"{disk}.{field}"]
    for metric, field in _CARDS.items():
        keys = [f"net.{i}.{field}" for i in range(stats.get("net.count", 0))]
        values = [stats[key] for key in keys if key in stats]
        if values:
            yield metric, "", sum(values)


def _gauges(stats: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if "balloon.rss" in stats:
        yield "memory_resident_mib", stats["balloon.rss"] // KIB_PER_MIB
    if (
        "balloon.available" in stats and "balloon.unused" in stats
    ):  # only a guest with the balloon driver tells
        yield "memory_used_mib", (stats["balloon.available"] - stats["balloon.unused"]) // KIB_PER_MIB
