"""What simulated hosts measure: each running machine does what `Load` says, minute by minute.

The archives, their steps and lengths are those of xapi's ``rrdd_shared.ml``: 5 s for 10 minutes, a minute for two
hours, an hour for a week, a day for a year. A row stands for the step that ends at its time. As in xapi, a row less
than half of which was measured is NaN, and otherwise the average of what was measured of it.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from connectors.simulators.xen.store import Record
from connectors.simulators.xen.world import World

ARCHIVES = ((5, 120), (60, 120), (3600, 168), (86400, 366))
"""Seconds of a row, and how many rows are kept."""
MINUTE_S = 60
KNOWN_PART = 0.5


class Load(NamedTuple):
    """A rate in even and in odd minutes since 1970, each in its unit a second."""

    even: float
    odd: float

    def total(self, begin_s: float, end_s: float) -> float:
        """What comes together from one moment to another."""
        total = 0.0
        while begin_s < end_s:
            minute = int(begin_s // MINUTE_S)
            until_s = min(end_s, (minute + 1) * MINUTE_S)
            total += (self.odd if minute % 2 else self.even) * (until_s - begin_s)
            begin_s = until_s
        return total


CPU = Load(0.25, 0.75)
"""Part of a processor that each vCPU takes."""
READ = Load(1000, 3000)
WRITTEN = Load(512, 512)
RECEIVED = Load(2000, 0)
SENT = Load(100, 300)
"""Bytes of each disk and card."""
FREE_PART = 4
"""A guest with tools says that one part in so many of its memory is free."""


class Column(NamedTuple):
    """A data source: its name in the legend, and its average over a span."""

    name: str
    average: Callable[[float, float], float]


def updates(world: World, hosts: Sequence[str], query: Mapping[str, str]) -> tuple[str, bytes]:
    """Type and content of an answer to ``/rrd_updates`` on a member."""
    end_s = world.seconds()
    start_s = int(query["start"])
    start_s = start_s if start_s >= 0 else int(end_s) + start_s
    step_s, kept = _archive(int(query.get("interval", "0")), end_s - start_s)
    last_s = int(end_s // step_s) * step_s
    times = range(last_s, max(start_s - 1, last_s - step_s * kept), -step_s)
    columns = [column for host in hosts for column in _columns(world, host, query)]
    rows = [(t, [column.average(t - step_s, t) for column in columns]) for t in times]
    first_s = (start_s // step_s + 1) * step_s
    meta = {"start": first_s, "step": step_s, "end": last_s, "rows": len(rows), "columns": len(columns)}
    legend = [f"AVERAGE:{column.name}" for column in columns]
    if "json" in query and not world.estate.rrd_in_xml:
        return "application/json", _json(meta, legend, rows)
    return "text/xml", _xml(meta, legend, rows)


def _archive(interval_s: int, age_s: float) -> tuple[int, int]:
    """The finest archive that has the interval at least and reaches back far enough, else the longest."""
    for step_s, rows in ARCHIVES:
        if step_s >= interval_s and step_s * rows >= age_s:
            return step_s, rows
    return ARCHIVES[-1]


def _columns(world: World, host: str, query: Mapping[str, str]) -> Iterator[Column]:
    if query.get("host") == "true":
        uuid = world.store.row("host", host)["uuid"]
        total = world.store.row("host_metrics", world.store.row("host", host)["metrics"])["memory_total"]
        yield Column(f"host:{uuid}:memory_total_kib", lambda _begin, _end: total / 1024)
    wanted = query.get("vm_uuid", "all")
    for ref, vm in world.store.rows("VM").items():
        if vm["resident_on"] == host and wanted in {"all", vm["uuid"]} and not vm["is_control_domain"]:
            yield from _machine(world, ref, vm)


def _machine(world: World, ref: str, vm: Record) -> Iterator[Column]:
    prefix, since_s = f"vm:{vm['uuid']}", world.measured_since.get(ref, math.inf)

    def column(name: str, load: Load) -> Column:
        return Column(f"{prefix}:{name}", _measured(load, since_s))

    memory = vm["memory_dynamic_max"]
    for number in range(vm["VCPUs_at_startup"]):
        yield column(f"cpu{number}", CPU)
    yield column("memory", Load(memory, memory))
    if world.estate.guest_tools:
        free_kib = memory // FREE_PART / 1024
        yield column("memory_internal_free", Load(free_kib, free_kib))
    for vbd in world.store.related("VBD", "VM", ref):
        device = "xvd" + chr(ord("a") + int(world.store.row("VBD", vbd)["userdevice"]))
        yield column(f"vbd_{device}_read", READ)
        yield column(f"vbd_{device}_write", WRITTEN)
    for vif in world.store.related("VIF", "VM", ref):
        device = world.store.row("VIF", vif)["device"]
        yield column(f"vif_{device}_rx", RECEIVED)
        yield column(f"vif_{device}_tx", SENT)


def _measured(load: Load, since_s: float) -> Callable[[float, float], float]:
    def average(begin_s: float, end_s: float) -> float:
        from_s = max(begin_s, since_s)
        if end_s - from_s < (end_s - begin_s) * KNOWN_PART:
            return math.nan
        return load.total(from_s, end_s) / (end_s - from_s)

    return average


Rows = Sequence[tuple[int, list[float]]]


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:.10g}"


def _json(meta: Mapping[str, int], legend: list[str], rows: Rows) -> bytes:
    data = [{"t": t, "values": [_text(value) for value in values]} for t, values in rows]
    return json.dumps({"meta": {**meta, "legend": legend}, "data": data}).encode()


def _xml(meta: Mapping[str, int], legend: list[str], rows: Rows) -> bytes:
    entries = "".join(f"<entry>{escape(one)}</entry>" for one in legend)
    told = "".join(f"<{name}>{value}</{name}>" for name, value in meta.items())
    data = "".join(
        f"<row><t>{t}</t>{''.join(f'<v>{_text(value)}</v>' for value in values)}</row>"
        for t, values in rows
    )
    text = f"<xport><meta>{told}<legend>{entries}</legend></meta><data>{data}</data></xport>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
