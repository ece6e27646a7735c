"""From hypervisors' meters to samples: differences of counters, whole and without loss.

A counter only grows (one that is rounded may fall a little), until its machine restarts (it begins at 0 again) or its 64
bits are used up (it goes on from 0). What it gained between two readings is spread over the time between them in whole
quantities that add up to the gain exactly; what is less than one unit for one second waits for the next.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa

from chargeback.instants import utc_text
from chargeback.samples import SCHEMA
from chargeback.usage import Metric

_PER_UNIT_SECOND = 1000
"""Milliseconds of a processor in a second, and bytes in a kB: what counters gained is added up in thousandths."""

_LIMIT = 2**64
"""Where counters go on from 0. Those of 32 bits would look like a restart; no driver has any."""


_BEGUN_WITHIN_S = 5
"""How exactly the moment is told at which a counter was at 0."""


class _Source(NamedTuple):
    """The metric that a counter is a part of, and how many thousandths of its unit for one second the counter's one is."""

    metric: Metric
    thousandths: int = 1


_MB = 2**20
"""Hyper-V's, in bytes."""

COUNTERS: Mapping[str, _Source] = {
    "cpu_ms": _Source(Metric.VCPU),
    "cpu_mhz_s": _Source(Metric.CPU_MHZ, 1000),
    "disk_bytes": _Source(Metric.DISK_IO_KBPS),
    "disk_read_bytes": _Source(Metric.DISK_IO_KBPS),
    "disk_written_bytes": _Source(Metric.DISK_IO_KBPS),
    "disk_read_mb": _Source(Metric.DISK_IO_KBPS, _MB),
    "disk_written_mb": _Source(Metric.DISK_IO_KBPS, _MB),
    "net_received_bytes": _Source(Metric.NET_IO_KBPS),
    "net_sent_bytes": _Source(Metric.NET_IO_KBPS),
    "net_received_mb": _Source(Metric.NET_IO_KBPS, _MB),
    "net_sent_mb": _Source(Metric.NET_IO_KBPS, _MB),
}

GAUGES = (
    "memory_used_mib",
    "memory_consumed_mib",
    "memory_resident_mib",
    "memory_assigned_mib",
    "memory_mib",
)
"""Of memory, the best first: what the guest uses says more than what it was given."""

ABSURD = 2**40
"""No machine has so many processors or kB a second; such a difference is a broken meter."""

LAST: Any = pa.schema([
    pa.field("endpoint", pa.string(), nullable=False), pa.field("machine", pa.string(), nullable=False),
    pa.field("meter", pa.string(), nullable=False), pa.field("value", pa.string(), nullable=False),
    pa.field("at", pa.int64(), nullable=False),
])  # fmt: skip
"""What the next reading is compared with: each counter's value (text, as it may have 64 bits), and for each
metric until when there are samples, with the thousandths that wait."""


class Reading(NamedTuple):
    """One value of one meter of one machine; `counter` ones are cumulative."""

    machine: str
    meter: str
    value: int
    at: int
    counter: bool
    part: str = ""
    """The disk or network card whose counter it is; counters of a meter for several parts add up."""
    begun: int | None = None
    """When the counter was at 0, where that is told."""

    @property
    def key(self) -> str:
        """Under what its value is kept."""
        return f"{self.meter}/{self.part}" if self.part else self.meter


class _Kept(NamedTuple):
    value: int
    at: int


@dataclass
class Sampled:
    """The samples that readings gave, for how long each counts, what to keep, and what to tell."""

    rows: list[tuple[str, str, int, int]] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)
    divided: frozenset[tuple[str, str]] = frozenset()
    """Machines and meters of which parts were read before."""

    def table(self) -> Any:
        """The samples, of `chargeback.samples.SCHEMA`."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(SCHEMA)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)

    def add(self, machine: str, metric: str, at: int, quantity: int, seconds: int) -> None:
        """One sample."""
        self.rows.append((machine, metric, at, quantity))
        self.seconds.append(seconds)


def sampled(
    readings: Iterable[Reading],
    last: Any,
    *,
    endpoint: str,
    since: int | None = None,
    since_of: Mapping[str, int] = MappingProxyType({}),
    on_since: Mapping[str, int] = MappingProxyType({}),
    expected_interval_s: int = 3600,
) -> tuple[Sampled, Any]:
    """The samples between the last readings (a table of `LAST`) and these, and the last readings from now on.

    With `since`, counters began at 0 then, those of machines in `since_of` at their own moment; where one began before
    what is counted already, it is left for the next time. What a machine in `on_since` gained, it gained from then on: it
    was off before, though it may have run before that. A machine's first reading of an ordinary counter is only where
    counting begins. Readings that are not newer than the last change nothing, so giving them again is harmless.
    """
    before = _kept(last, endpoint)
    parted = (key for key in before if "/" in key[1])
    divided = frozenset((machine, meter.partition("/")[0]) for machine, meter in parted)
    found = Sampled(kept=dict(before), divided=divided)
    machines: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        machines[reading.machine].append(reading)
    for machine in sorted(machines):
        start = None if since is None else since_of.get(machine, since)
        counters = [reading for reading in machines[machine] if reading.counter]
        _counted(found, counters, start, on_since.get(machine, 0), expected_interval_s)
        _gauged(found, machine, {r.meter: r for r in machines[machine] if not r.counter})
    rows = [(endpoint, *key, str(kept.value), kept.at) for key, kept in sorted(found.kept.items())]
    others = last.filter(pa.array([name != endpoint for name in last["endpoint"].to_pylist()], pa.bool_()))
    columns = list(zip(*rows, strict=True)) or [()] * len(LAST)
    own = pa.table([pa.array(c, f.type) for c, f in zip(columns, LAST, strict=True)], schema=LAST)
    return found, pa.concat_tables([others, own])


def _kept(last: Any, endpoint: str) -> dict[tuple[str, str], _Kept]:
    return {
        (row["machine"], row["meter"]): _Kept(int(row["value"]), row["at"])
        for row in last.to_pylist()
        if row["endpoint"] == endpoint
    }


def _counted(
    found: Sampled, readings: list[Reading], since: int | None, on_since: int, expected_interval_s: int
) -> None:
    for metric, parts in _by_metric(readings).items():
        machine = parts[0].machine
        at = max(reading.at for reading in parts)
        until = found.kept.get((machine, metric.value))
        if until is not None and at <= until.at:
            if at < until.at:
                found.notes.append(
                    f"machine {machine}: {metric} was read at {utc_text(at)}, before the last reading at "
                    f"{utc_text(until.at)}; left out"
                )
            continue
        if since is not None and until is not None and since < until.at:
            continue  # another collection counted it meanwhile
        gain = sum(
            _gain(found, machine, reading, since) * COUNTERS[reading.meter].thousandths for reading in parts
        )
        rest = 0 if until is None else until.value
        known = since if until is None else until.at
        begin = None if known is None else max(known, since or 0, on_since if on_since < at else 0)
        if until is not None and begin is not None and until.at < begin:
            found.add(machine, metric, until.at, 0, begin - until.at)
        for reading in parts:
            last = found.kept.get((machine, reading.key))
            value = last.value if last is not None and _rounded(reading, last) else reading.value
            found.kept[machine, reading.key] = _Kept(value, at)
        if begin is not None and begin < at:
            rest = _spread(found, machine, metric, begin, at, gain + rest, expected_interval_s)
        found.kept[machine, metric.value] = _Kept(rest, at)


def _by_metric(readings: list[Reading]) -> Mapping[Metric, list[Reading]]:
    found: dict[Metric, list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.meter in COUNTERS:
            found[COUNTERS[reading.meter].metric].append(reading)
    return found


def _gain(found: Sampled, machine: str, reading: Reading, since: int | None) -> int:
    """What a counter gained since it was last read; nothing for its first reading.

    The first reading of a part is all gain where other parts were read before: it was added since.
    """
    if since is not None:
        return reading.value
    last = found.kept.get((machine, reading.key))
    if last is None:
        return reading.value if (machine, reading.meter) in found.divided else 0
    if reading.begun is not None and reading.begun > last.at:
        return reading.value
    if reading.value >= last.value or _rounded(reading, last):
        return max(0, reading.value - last.value)
    return _fallen(found, reading, last)


def _fallen(found: Sampled, reading: Reading, last: _Kept) -> int:
    """The gain of a counter that is lower than before."""
    machine = reading.machine
    if last.value * 4 > _LIMIT * 3 and reading.value * 4 < _LIMIT:
        found.notes.append(f"machine {machine}: {reading.key} went over {_LIMIT - 1} and on from 0")
        return reading.value + _LIMIT - last.value
    if reading.begun is not None and reading.begun < last.at - _BEGUN_WITHIN_S:
        found.notes.append(
            f"machine {machine}: {reading.key} fell from {last.value} to {reading.value} and began no later than before, "
            "as where a machine is put back to an older state; it is counted from there on"
        )
        return 0
    found.notes.append(
        f"machine {machine}: {reading.key} fell from {last.value} to {reading.value}, so it began anew; "
        "what it gained before that is not known"
    )
    return reading.value


def _rounded(reading: Reading, last: _Kept) -> bool:
    """Whether a counter fell without having begun anew."""
    began_before = reading.begun is not None and reading.begun <= last.at
    return began_before and reading.value < last.value <= 2 * reading.value


def _spread(
    found: Sampled,
    machine: str,
    metric: Metric,
    t_from: int,
    t_to: int,
    gain: int,
    expected_interval_s: int,
) -> int:
    """Samples that add up to the gain over a stretch of time; gives the thousandths that are left."""
    unit_seconds, rest = divmod(gain, _PER_UNIT_SECOND)
    quantity, extra = divmod(unit_seconds, t_to - t_from)
    if quantity > ABSURD:
        found.notes.append(
            f"machine {machine}: {metric} of {quantity} between two readings cannot be; left out"
        )
        return 0
    if t_to - t_from > expected_interval_s:
        found.notes.append(
            f"machine {machine}: {metric} was not read from {utc_text(t_from)} to {utc_text(t_to)}; "
            "what it gained is spread evenly"
        )
    if extra:
        found.add(machine, metric.value, t_from, quantity + 1, extra)
    found.add(machine, metric.value, t_from + extra, quantity, t_to - t_from - extra)
    return rest


def _gauged(found: Sampled, machine: str, gauges: Mapping[str, Reading]) -> None:
    reading = next((gauges[name] for name in GAUGES if name in gauges), None)
    if reading is None:
        return
    key = machine, Metric.MEMORY_MIB.value
    until = found.kept.get(key)
    if until is not None and reading.at <= until.at:
        return
    if not 0 <= reading.value <= ABSURD:
        found.notes.append(f"machine {machine}: {reading.meter} of {reading.value} cannot be; left out")
        return
    found.kept[key] = _Kept(0, reading.at)
    found.add(machine, Metric.MEMORY_MIB.value, reading.at, reading.value, 0)
