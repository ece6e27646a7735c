"""Measured values of our machines, from vCenter's realtime samples: one each 20 s, kept for about an hour.

vCenter tells each interval's mean or sum. A mean times the interval is a sum, and sums added up are what a
counter is. So counters grow by the samples that were not counted yet; what is older than an hour when it is
asked for was never counted, and is missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from connectors.contract import UsageReading
from connectors.drivers.vsphere.session import Op, read_object

SAMPLE_S = 20
KEPT_SAMPLES = 180
"""An hour of samples of 20 s."""
BATCH = 100
"""Machines a query; a host is asked for many at once, and the answer stays small."""
_KIB = 1024
_KIB_PER_MIB = 1024


class _Source(NamedTuple):
    """A counter of vCenter's: its full name, the instance to ask for, and its reading."""

    counter: str
    instance: str
    metric: str
    per_unit: int
    """What one unit of it is in the metric's unit."""
    is_rate: bool = True


COUNTERS = (
    _Source("cpu.used.summation", "", "cpu_ms", 1, is_rate=False),
    _Source("virtualDisk.read.average", "*", "disk_read_bytes", _KIB),
    _Source("virtualDisk.write.average", "*", "disk_written_bytes", _KIB),
    _Source("net.received.average", "", "net_received_bytes", _KIB),
    _Source("net.transmitted.average", "", "net_sent_bytes", _KIB),
)
MEMORY = "mem.consumed.average"
"""In KiB; the host's memory that the machine takes."""


@dataclass
class _Meter:
    """What was counted of one machine."""

    at: datetime
    sums: dict[str, int] = field(default_factory=dict)


class Meters:
    """The counters of all machines, for as long as one connector lives; a new one may begin lower."""

    def __init__(self) -> None:
        self._meters: dict[UUID, _Meter] = {}
        self._ids: dict[str, int] = {}
        self._login: Any = None

    def count_from(self, moments: Mapping[UUID, datetime]) -> None:
        """Where the counters of some machines begin; those of others begin at the first look's `since`."""
        self._meters = {identity: _Meter(at=at) for identity, at in moments.items()}

    def readings(self, op: Op, machines: Mapping[str, UUID], since: datetime) -> list[UsageReading]:
        """Each machine's values at its newest sample; nothing where that is older than `since`."""
        for gone in self._meters.keys() - set(machines.values()):
            del self._meters[gone]
        if self._login is not op.session.content:
            # Once a login: the list is long, and only another vCenter numbers counters differently.
            self._ids, self._login = _counter_ids(op), op.session.content
        ids = self._ids
        now = op.session.now()
        found: list[UsageReading] = []
        refs = iter(machines)
        while batch := list(islice(refs, BATCH)):
            specs = [self._spec(op, ref, machines[ref], ids, since, now) for ref in batch]
            for answer in op.session.content.perfManager.QueryPerf(specs):
                identity = machines[str(answer.entity._moId)]  # noqa: SLF001 -- as in session.ref_id
                found += self._read(identity, answer, ids, since)
        return found

    def _spec(
        self, op: Op, ref: str, identity: UUID, ids: Mapping[str, int], since: datetime, now: datetime
    ) -> Any:
        """The newest samples, from the last one counted on; asked for by number, so that no clock is trusted."""
        types = op.session.vim.PerformanceManager
        meter = self._meters.get(identity)
        from_s = (now - (since if meter is None else meter.at)).total_seconds()
        samples = min(KEPT_SAMPLES, max(1, int(from_s) // SAMPLE_S + 2))
        wanted = [(ids[one.counter], one.instance) for one in COUNTERS if one.counter in ids]
        if MEMORY in ids:
            wanted.append((ids[MEMORY], ""))
        return types.QuerySpec(
            entity=op.session.object(op.session.vim.VirtualMachine, ref),
            metricId=[types.MetricId(counterId=counter, instance=name) for counter, name in wanted],
            intervalId=SAMPLE_S,
            maxSample=samples,
            format="normal",
        )

    def _read(
        self, identity: UUID, answer: Any, ids: Mapping[str, int], since: datetime
    ) -> Iterator[UsageReading]:
        samples = [(_utc(info.timestamp), info.interval) for info in answer.sampleInfo or ()]
        if not samples:
            return
        meter = self._meters.setdefault(identity, _Meter(at=since))
        fresh = [i for i, (at, _) in enumerate(samples) if at > meter.at]
        by_counter: dict[int, list[Any]] = {}
        for series in answer.value or ():
            by_counter.setdefault(series.id.counterId, []).append(series.value)
        for source in COUNTERS:
            values = by_counter.get(ids.get(source.counter, -1), ())
            if values:
                gained = sum(_gained(source, value, samples, fresh) for value in values)
                meter.sums[source.metric] = meter.sums.get(source.metric, 0) + gained
        newest = max(range(len(samples)), key=lambda i: samples[i][0])
        meter.at = max(meter.at, samples[newest][0])
        if samples[newest][0] < since:
            return
        yield from _told(identity, meter)
        memory = by_counter.get(ids.get(MEMORY, -1))
        if memory and memory[0][newest] >= 0:
            yield UsageReading(
                identity=identity,
                metric="memory_consumed_mib",
                value=memory[0][newest] // _KIB_PER_MIB,
                at=samples[newest][0],
                counter=False,
            )


def _told(identity: UUID, meter: _Meter) -> Iterator[UsageReading]:
    for metric, value in meter.sums.items():
        yield UsageReading(identity=identity, metric=metric, value=value, at=meter.at, counter=True)


def _gained(source: _Source, values: Any, samples: list[tuple[datetime, int]], fresh: Iterable[int]) -> int:
    """The sum of a series over fresh samples, in the metric's unit; vCenter writes -1 where it has none."""
    return sum(
        values[i] * source.per_unit * (samples[i][1] if source.is_rate else 1)
        for i in fresh
        if i < len(values) and values[i] >= 0
    )


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _counter_ids(op: Op) -> dict[str, int]:
    """The numbers that this vCenter gave the counters; they differ between vCenters."""
    known = {source.counter for source in COUNTERS} | {MEMORY}
    infos = read_object(op.session, op.session.content.perfManager, ["perfCounter"])["perfCounter"]
    found = {f"{i.groupInfo.key}.{i.nameInfo.key}.{i.rollupType}": i.key for i in infos}
    return {name: key for name, key in found.items() if name in known}
