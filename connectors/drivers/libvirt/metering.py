"""Measured values of running machines, from libvirt's statistics."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.contract import UsageReading
from connectors.drivers.libvirt import faults, views

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
            cards = views.cards_of_ours(domain)
            if cards is not None:
                found += of_machine(UUID(domain.UUIDString()), stats, cards, at)
        except vendor.libvirtError as error:
            if error.get_error_code() != faults.NO_DOMAIN:  # gone since it was listed
                raise
    return found


def container_readings(vendor: Any, connection: Any, at: datetime) -> list[UsageReading]:
    """The present values of every container that runs, of its disk none. Raises libvirtError."""
    found = []
    for domain in connection.listAllDomains(vendor.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            cards = views.cards_of_ours(domain)
            if cards is not None:
                own = {"cpu.time": domain.info()[4], "balloon.rss": domain.memoryStats()["rss"]}
                stats = own | _card_counters(domain, cards)
                found += of_machine(UUID(domain.UUIDString()), stats, cards, at)
        except vendor.libvirtError as error:
            if error.get_error_code() not in {faults.NO_DOMAIN, faults.OPERATION_INVALID}:
                raise  # else gone, or off, since it was listed
    return found


def xen_readings(vendor: Any, connection: Any, at: datetime) -> list[UsageReading]:
    """The present values of every machine of Xen that runs, whose memory is all in the host's. Raises libvirtError."""
    found = []
    for domain in views.machines(connection, vendor.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            cards = views.cards_of_ours(domain)
            if cards is not None:
                own = {"cpu.time": domain.info()[4], "balloon.rss": domain.memoryStats()["actual"]}
                stats = own | _card_counters(domain, cards)
                found += of_machine(UUID(domain.UUIDString()), stats, cards, at)
        except vendor.libvirtError as error:
            if error.get_error_code() not in {faults.NO_DOMAIN, faults.OPERATION_INVALID}:
                raise  # else gone, or off, since it was listed
    return found


def _card_counters(domain: Any, cards: Mapping[str, str]) -> dict[str, Any]:
    """The network counters of a machine that runs, as libvirt's statistics name them. Raises libvirtError."""
    found: dict[str, Any] = {"net.count": len(cards)}
    for number, name in enumerate(cards):
        received, _, _, _, sent, *_ = domain.interfaceStats(name)
        found |= {
            f"net.{number}.name": name,
            f"net.{number}.rx.bytes": received,
            f"net.{number}.tx.bytes": sent,
        }
    return found


def of_machine(
    identity: UUID, stats: Mapping[str, Any], cards: Mapping[str, str], at: datetime
) -> list[UsageReading]:
    """One machine's values; its counters begin anew each time it is powered on.

    `cards` has the MAC of each interface.
    """
    return [
        *(
            UsageReading(identity=identity, metric=m, value=v, at=at, counter=True, part=part)
            for m, part, v in _counters(stats, cards)
        ),
        *(
            UsageReading(identity=identity, metric=m, value=v, at=at, counter=False)
            for m, v in _gauges(stats)
        ),
    ]


def _counters(stats: Mapping[str, Any], cards: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Metric, part and value.

    Each disk and each card has its own: one that is taken out would let a sum over them fall, as if it began anew.
    """
    if "cpu.time" in stats:
        yield "cpu_ms", "", stats["cpu.time"] // NANOSECONDS_PER_MS
    for metric, field in _DISKS.items():
        for disk in (f"block.{i}" for i in range(stats.get("block.count", 0))):
            if f"{disk}.{field}" in stats:
                yield metric, stats[f"{disk}.name"], stats[f"{disk}.{field}"]
    for metric, field in _CARDS.items():
        by_mac: Counter[str] = Counter()  # of which cards may share one
        for card in (f"net.{i}" for i in range(stats.get("net.count", 0))):
            mac = cards.get(stats[f"{card}.name"])
            if mac is not None and f"{card}.{field}" in stats:  # else gone since the statistics
                by_mac[mac] += stats[f"{card}.{field}"]
        for mac, value in by_mac.items():
            yield metric, mac, value


def _gauges(stats: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if "balloon.rss" in stats:
        yield "memory_resident_mib", stats["balloon.rss"] // KIB_PER_MIB
    if (
        "balloon.available" in stats and "balloon.unused" in stats
    ):  # only a guest with the balloon driver tells
        yield "memory_used_mib", (stats["balloon.available"] - stats["balloon.unused"]) // KIB_PER_MIB
