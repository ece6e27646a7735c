"""Measured values of our machines, from Hyper-V's resource metering (Measure-VM).

Hyper-V tells averages and sums since metering began, of the network one for each metered address. An average times its duration is a sum, and a sum is
what a counter is. When somebody resets the metering, the counters begin anew; the duration says when that was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.contract import UsageReading
from connectors.drivers.hyperv.dispatcher import Command, Row
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import Op

_MEASURED = (
    "MeteringDuration",
    "AverageProcessorUsage",
    "AggregatedDiskDataRead",
    "AggregatedDiskDataWritten",
    "NetworkMeteredTrafficReport.Direction",
    "NetworkMeteredTrafficReport.TotalTraffic",
)
_SUMS = {"disk_read_mb": "AggregatedDiskDataRead", "disk_written_mb": "AggregatedDiskDataWritten"}
_DIRECTIONS = {"net_received_mb": "Inbound", "net_sent_mb": "Outbound"}
MS_PER_S = 1000


@dataclass
class _Segment:
    """What is known of one machine's metering since it began."""

    duration_ms: int = 0
    sums: dict[str, int] = field(default_factory=dict)

    def counted(self, duration_ms: int, sums: Mapping[str, int]) -> dict[str, int]:
        """The counters after one more look; they never fall while the metering goes on."""
        if duration_ms < self.duration_ms:
            self.sums = {}
        self.duration_ms = duration_ms
        for metric, value in sums.items():
            # An average is rounded, so average times duration may step back by a little.
            self.sums[metric] = max(value, self.sums.get(metric, 0))
        return {metric: self.sums[metric] for metric in sums}


class Meters:
    """The counters of all machines. One connector's never fall by rounding; a new one may begin a little lower."""

    def __init__(self) -> None:
        self._segments: dict[UUID, _Segment] = {}

    def readings(
        self, machines: Sequence[tuple[Machine, UUID]], rows: Sequence[Sequence[Row]], at: datetime
    ) -> Iterator[UsageReading]:
        """The values of machines whose `rows` are what Measure-VM told; what has no value yet is left out."""
        for (machine, identity), row in zip(machines, rows, strict=True):
            assigned = machine.memory_assigned_mib
            yield UsageReading(
                identity=identity, metric="memory_assigned_mib", value=assigned, at=at, counter=False
            )
            if not row or row[0]["MeteringDuration"] is None:
                continue
            duration_ms = int(row[0]["MeteringDuration"])
            segment = self._segments.setdefault(identity, _Segment())
            counters = segment.counted(duration_ms, _sums(duration_ms, row[0]))
            begun_at = at - timedelta(milliseconds=duration_ms)
            for metric, value in counters.items():
                yield UsageReading(
                    identity=identity, metric=metric, value=value, at=at, counter=True, begun_at=begun_at
                )


def _sums(duration_ms: int, row: Mapping[str, Any]) -> dict[str, int]:
    found = {metric: int(row[name]) for metric, name in _SUMS.items() if row[name] is not None}
    found |= _traffic(row)
    mhz = row["AverageProcessorUsage"]
    return found if mhz is None else {"cpu_mhz_s": int(mhz) * duration_ms // MS_PER_S, **found}


def _traffic(row: Mapping[str, Any]) -> dict[str, int]:
    """The sum of each direction, over cards and addresses; a machine without a card has carried nothing."""
    directions = row["NetworkMeteredTrafficReport.Direction"]
    lines = list(zip(directions, row["NetworkMeteredTrafficReport.TotalTraffic"], strict=True))
    return {
        metric: sum(int(value or 0) for name, value in lines if name == direction)
        for metric, direction in _DIRECTIONS.items()
    }


def measure(op: Op, machines: Sequence[tuple[Machine, UUID]]) -> list[list[Row]]:
    """What Measure-VM tells of each machine; nothing for one that is gone or not metered."""
    commands = []
    for index, (machine, _) in enumerate(machines):
        commands += [
            Command("Hyper-V\\Get-VM", {"Id": machine.id}, optional=True),
            Command("Hyper-V\\Measure-VM", refs={"VM": str(2 * index)}, select=_MEASURED, optional=True),
        ]
    return op.run(*commands)[1::2] if commands else []
