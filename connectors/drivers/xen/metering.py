"""Measured values of running machines, from the round-robin archives that every host keeps of its own.

xapi tells rates averaged over steps: 5 s for 10 minutes, a minute for two hours, an hour for a week, a day for a
year. A rate times its step is what was used in it, and their sum is a counter. A counter counts from the first
look of its connector on, or from `since` where that is earlier; a new connector begins anew, at zero. Each step is
counted once; of one that began before the part that is to be counted, the average stands for that part. A step of
which xapi knows nothing (NaN) counts nothing.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import NamedTuple
from uuid import UUID
from xml.etree import ElementTree as ET

from connectors.contract import UsageReading
from connectors.drivers.xen import estate, marks
from connectors.drivers.xen.inventory import MIB
from connectors.drivers.xen.session import NULL, Op, Record
from connectors.drivers.xen.web import Wanted, exchange

MS_PER_S = 1000
KIB_PER_MIB = 1024
READ_AT_ONCE = 1 << 20
ARCHIVES = ((5, 600), (60, 7200), (3600, 7 * 86400))
"""Seconds of a step, and for how long xapi keeps it; what is older has steps of a day."""
DAY_S = 86400
MARGIN_S = 10
"""Asking takes time, and clocks differ; an archive is used while what is wanted is younger by this."""

COUNTERS = ("cpu_ms", "disk_read_bytes", "disk_written_bytes", "net_received_bytes", "net_sent_bytes")
MEMORY, MEMORY_FREE = "memory", "memory_internal_free"


class Updates(NamedTuple):
    """An answer to rrd_updates: rows by the end of their step, oldest first."""

    step_s: int
    end_s: int
    legend: Sequence[str]
    rows: Sequence[tuple[int, Sequence[float]]]


class _Running(NamedTuple):
    """A machine of ours that runs."""

    identity: UUID
    record: Record


@dataclass
class _Meter:
    """One machine's counters, and until when they are counted, in seconds since 1970."""

    until_s: int
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0.0))


class Meters:
    """The counters of all machines, for as long as one connector lives."""

    def __init__(self) -> None:
        self._meters: dict[UUID, _Meter] = {}

    def count_from(self, moments: Mapping[UUID, datetime]) -> None:
        """Where the counters of some machines begin; those of others begin at the first look's `since`."""
        self._meters = {identity: _Meter(math.floor(at.timestamp())) for identity, at in moments.items()}

    def readings(self, op: Op, since: datetime, now: datetime) -> list[UsageReading]:
        """The values of every running machine of ours, each at the end of the last step that was counted."""
        now_s = int(now.timestamp())
        found: list[UsageReading] = []
        for (address, step_s), machines in self._requests(op, math.floor(since.timestamp()), now_s).items():
            start_s = min(self._meters[machine.identity].until_s for machine in machines)
            updates = _read(op, address, start_s, step_s)
            for machine in machines:
                found += self.counted(machine.identity, machine.record, updates)
        return [reading for reading in found if reading.at >= since]

    def _requests(self, op: Op, since_s: int, now_s: int) -> dict[tuple[str, int], list[_Running]]:
        """What to ask: of each host, what is wanted in steps of one length.

        So one machine's long past does not make the others' counters coarse.
        """
        wanted = defaultdict(list)
        for address, machine in _running(op):
            meter = self._meters.setdefault(machine.identity, _Meter(since_s))
            wanted[address, _step_s(now_s - meter.until_s)].append(machine)
        return wanted

    def counted(self, identity: UUID, record: Record, updates: Updates) -> Iterator[UsageReading]:
        """One machine's values after one more look; its counters never fall."""
        meter = self._meters.setdefault(identity, _Meter(updates.end_s))
        sources = _sources(str(record["uuid"]), updates.legend)
        for end_s, values in updates.rows:
            span_s = min(updates.step_s, end_s - meter.until_s)
            if span_s <= 0:
                continue
            meter.until_s = end_s
            for column, metric, factor in sources.counted:
                if math.isfinite(values[column]):
                    meter.sums[metric] += values[column] * factor * span_s
        at = datetime.fromtimestamp(meter.until_s, UTC)
        for metric, value in meter.sums.items():
            yield UsageReading(identity=identity, metric=metric, value=int(value), at=at, counter=True)
        for metric, value in _gauges(sources, record, updates):
            yield UsageReading(identity=identity, metric=metric, value=value, at=at, counter=False)


class _Sources(NamedTuple):
    """Where one machine's values stand in rows. `counted` has the metric and what a rate is multiplied by."""

    counted: Sequence[tuple[int, str, float]]
    gauges: Mapping[str, int]


def _sources(uuid: str, legend: Sequence[str]) -> _Sources:
    counted, gauges = [], {}
    for column, entry in enumerate(legend):
        form, kind, owner, name = (*entry.split(":", 3), "", "", "", "")[:4]
        if (form, kind, owner) != ("AVERAGE", "vm", uuid):
            continue
        metric = _metric(name)
        if metric:
            counted.append((column, metric, MS_PER_S if metric == "cpu_ms" else 1))
        elif name in {MEMORY, MEMORY_FREE}:
            gauges[name] = column
    return _Sources(counted, gauges)


def _metric(name: str) -> str:
    """Our counter for a data source; empty for none. vCPUs are parts of one processor, the rest bytes a second."""
    if name.startswith("cpu") and name[3:].isdigit():
        return "cpu_ms"
    kind, _, way = name.partition("_")[0], *name.rpartition("_")[1:]
    return {
        ("vbd", "read"): "disk_read_bytes",
        ("vbd", "write"): "disk_written_bytes",
        ("vif", "rx"): "net_received_bytes",
        ("vif", "tx"): "net_sent_bytes",
    }.get((kind, way), "")


def _gauges(sources: _Sources, record: Record, updates: Updates) -> Iterator[tuple[str, int]]:
    """Memory now: what it has, and what its guest uses of that where it tells. The record's before the first row."""
    last = updates.rows[-1][1] if updates.rows else ()
    told = {
        name: last[column]
        for name, column in sources.gauges.items()
        if last and math.isfinite(last[column])
    }
    memory = told.get(MEMORY, float(record["memory_dynamic_max"]))
    yield "memory_assigned_mib", int(memory) // MIB
    if MEMORY in told and MEMORY_FREE in told:
        yield "memory_used_mib", max(0, int(memory / MIB - told[MEMORY_FREE] / KIB_PER_MIB))


def _running(op: Op) -> Iterator[tuple[str, _Running]]:
    """Our machines that run, each with the address of the host that measures it."""
    hosts, every = estate.records(op, "host"), estate.records(op, "VM")
    machines = {ref: record for ref, record in every.items() if marks.is_machine(record)}
    for ref, identity in marks.identities(machines).items():
        record = machines[ref]
        if record["resident_on"] != NULL and record["resident_on"] in hosts:
            yield str(hosts[record["resident_on"]]["address"]), _Running(identity, record)


def _step_s(age_s: int) -> int:
    """The shortest step that xapi still has for what is so old."""
    return next((step for step, kept in ARCHIVES if age_s + MARGIN_S <= kept), DAY_S)


def _read(op: Op, address: str, start_s: int, step_s: int) -> Updates:
    """What a host measured since a time. Raises HTTPException for an answer that is not one."""
    # Without the host's own values a host that measures no machine yet has no archive, and xapi fails.
    query = {
        "start": str(start_s),
        "interval": str(step_s),
        "cf": "AVERAGE",
        "host": "true",
        "json": "true",
    }
    with exchange(op, address, Wanted("GET", "/rrd_updates", query)) as found:
        text = found.answer.read()
    try:
        return parsed(text)
    except (ValueError, KeyError, TypeError, ET.ParseError) as error:
        msg = f"measurements that cannot be read ({type(error).__name__})"
        raise HTTPException(msg) from error


def parsed(text: bytes) -> Updates:
    """An answer in JSON, or in XML as older versions give whatever they are asked. Raises ValueError and others."""
    if text.lstrip()[:1] == b"<":
        return _of_xml(text)
    found = json.loads(text)
    rows = ((int(row["t"]), [float(value) for value in row["values"]]) for row in found["data"])
    return _updates(found["meta"], found["meta"]["legend"], rows)


def _of_xml(text: bytes) -> Updates:
    root = ET.fromstring(text)  # noqa: S314 -- from a member whose certificate was verified, and without entities
    legend = [entry.text or "" for entry in root.iterfind("meta/legend/entry")]
    meta = {name: root.findtext(f"meta/{name}") for name in ("step", "end")}
    rows = (
        (int(row.findtext("t", "")), [float(value.text or "") for value in row.iterfind("v")])
        for row in root.iterfind("data/row")
    )
    return _updates(meta, legend, rows)


def _updates(
    meta: Mapping[str, str | int | None], legend: Sequence[str], rows: Iterable[tuple[int, Sequence[float]]]
) -> Updates:
    """Check that every row has the legend's width. Raises ValueError."""
    ordered = sorted(rows, key=lambda row: row[0])
    widths = Counter(len(values) for _, values in ordered)
    if set(widths) - {len(legend)}:
        msg = f"rows of {sorted(widths)} values under a legend of {len(legend)}"
        raise ValueError(msg)
    return Updates(int(meta["step"] or 0), int(meta["end"] or 0), legend, ordered)
