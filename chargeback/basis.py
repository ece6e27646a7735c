"""What is charged where it is not what was allocated: measured use, reservations, and the larger of two.

    table = effective(usage, samples, ["vcpu:usage", "memory_mib:max-of-usage-and-allocation"], options,
                      known_at=now).table

The usage as it was known, with further rows whose metric is written with its basis. Owner, tier, pool,
labels and power of measured use are those that the machine had at each moment, whoever measured it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chargeback.instants import utc_text
from chargeback.rates import Allocated, MissingSample
from chargeback.sorting import Numbers, ordered, ranks
from chargeback.steps import FOREVER, Pieces, Steps, codes_of, joined, key, moments_of
from chargeback.usage import MEASURED, SCHEMA, InvalidUsage, Metric, checked_table

SOURCE = "samples"
STAMPS = ("tenant", "cost_centre", "tier", "pool", "labels", "power")
USAGE, RESERVATION = "usage", "reservation"
MAX_ALLOCATION, MAX_RESERVATION = "max-of-usage-and-allocation", "max-of-usage-and-reservation"
BASES = (USAGE, RESERVATION, MAX_ALLOCATION, MAX_RESERVATION)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How bases are computed; a rate card states them. `interval_s` is how long a sample counts that does not say.

    `periods` are the half-open stretches in which `Allocated.MAXIMUM` looks for the most.
    """

    missing: MissingSample = MissingSample.ZERO
    allocated: Allocated = Allocated.TIME_WEIGHTED
    interval_s: int = 3600
    periods: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.interval_s <= 0:
            msg = f"interval_s must be positive, not {self.interval_s}"
            raise ValueError(msg)
        if self.allocated is Allocated.MAXIMUM and not self.periods:
            msg = "the most that was allocated is looked for in periods; give them"
            raise ValueError(msg)


class Outside(NamedTuple):
    """Samples of a machine at times when it had no owner: before its creation, after its deletion, or unknown."""

    machine: str
    metric: str
    samples: int
    first: int

    def __str__(self) -> str:
        return (
            f"machine {self.machine}: {self.samples} samples of {self.metric}, the first at {utc_text(self.first)}, "
            "are outside its life, so nobody is charged for them; correct the machine's name, its creation or deletion"
        )


@dataclass(frozen=True)
class Effective:
    """Usage with all bases, as a `pyarrow.Table` of `chargeback.usage.SCHEMA`, and the samples left out."""

    table: Any
    outside: tuple[Outside, ...]


def effective(
    usage: Any,
    samples: Any,
    wanted: Iterable[str],
    options: Options | None = None,
    *,
    known_at: int,
    reservations: Any = None,
) -> Effective:
    """The usage known at `known_at`, with rows for each wanted metric with its basis, ``vcpu:usage``.

    A measured metric such as ``cpu_mhz`` is wanted by its name alone. `samples` are machine, metric, at and
    quantity, and where they say so `seconds` (for how long; 0: as the options say) and `recorded_at`.
    `reservations` are samples of what was set aside, each in force until the next; where there are none
    for a machine's metric, its allocation counts as reserved. Rows do not overlap per machine and metric.
    Raises InvalidUsage for a machine that has two owners or places at once, and for unknown bases.
    """
    options = options or Options()
    known = _known(checked_table(usage), known_at)
    estate = _Estate(known)
    measured = _Measured(estate, _known(samples, known_at), options)
    reserved = None if reservations is None else _Measured(
        estate, _known(reservations, known_at), Options(missing=MissingSample.CARRY_FORWARD)
    )  # fmt: skip
    tables = []
    if options.allocated is Allocated.MAXIMUM:
        kept = [metric.value for metric in Metric if metric not in _CAN_HAVE_MOST]
        tables.append(known.filter(pc.is_in(known["metric"], pa.array(kept, pa.string()))))
        tables += [estate.rows(m.value, estate.allocated(m.value, options)) for m in _CAN_HAVE_MOST]
    else:
        tables.append(known)
    for name in sorted(set(wanted)):
        tables += [
            estate.rows(name, steps) for steps in _quantities(name, estate, measured, reserved, options)
        ]
    return Effective(pa.concat_tables(tables), tuple(measured.outside()))


_CAN_HAVE_MOST = (Metric.VCPU, Metric.MEMORY_MIB, Metric.DISK_GIB)


def _known(table: Any, known_at: int) -> Any:
    if "recorded_at" not in table.column_names or not table.num_rows:
        return table
    if pc.max(table["recorded_at"]).as_py() <= known_at:
        return table
    return table.filter(pa.array(table["recorded_at"].to_numpy() <= known_at))


def _quantities(
    name: str, estate: "_Estate", measured: "_Measured", reserved: "_Measured | None", options: Options
) -> Iterator[Steps]:
    """What is charged of one metric with its basis; nothing for plain allocation, which is there already."""
    metric, _, basis = name.partition(":")
    if metric in MEASURED and not basis:
        basis = USAGE
    if not basis:
        return
    if basis not in BASES or metric not in set(Metric):
        msg = f"'{name}' is no metric with a basis; write a metric, a colon and one of {', '.join(BASES)}"
        raise InvalidUsage(msg)
    use = measured.steps(metric)
    if basis == USAGE:
        yield use
        return
    allocated = estate.allocated(metric, options)
    other = (
        allocated
        if basis == MAX_ALLOCATION or reserved is None
        else _set_aside(reserved, metric, allocated)
    )
    yield other if basis == RESERVATION else _larger(use, other)


def _set_aside(reserved: "_Measured", metric: str, allocated: Steps) -> Steps:
    """The reservations, and for machines that have none what is allocated."""
    own = reserved.steps(metric)
    without = ~np.isin(codes_of(allocated.keys), codes_of(own.keys))
    keys = np.concatenate([own.keys, allocated.keys[without]])
    values = np.concatenate([own.values, allocated.values[without]])
    order = np.argsort(keys, kind="stable")
    return Steps(keys[order], values[order])


def _larger(one: Steps, other: Steps) -> Steps:
    keys = np.union1d(one.keys, other.keys)
    return Steps(keys, np.maximum(one.at(keys), other.at(keys)))


class _Estate:
    """What machines were at each moment: whose, where, and how much of what they had."""

    def __init__(self, known: Any) -> None:
        self.machines = (
            pc.unique(known["machine"].combine_chunks()) if known.num_rows else pa.array([], pa.string())
        )
        self._known = known
        self._codes = self.codes(known["machine"])
        self._stamps, numbers = self._stamp_numbers(known)
        self.stamps = self._stamp_steps(numbers)
        self.horizon = int(known["t_to"].to_numpy().max(initial=0))
        """Until when usage is known at all; a later sample may still get its owner."""

    def codes(self, machines: Any) -> Numbers:
        """The machines' numbers; -1 for one of which nothing is known."""
        found = pc.fill_null(pc.index_in(machines, self.machines), -1)
        return np.asarray(
            pa.chunked_array(found).to_numpy() if isinstance(found, pa.ChunkedArray) else found,
            dtype=np.int64,
        )

    def _stamp_numbers(self, known: Any) -> tuple[Any, Numbers]:
        """The distinct owners and places, and per row the number of its own, from 0."""
        number = np.zeros(known.num_rows, dtype=np.int64)
        for name in STAMPS:
            rank = ranks(known[name])
            # Made dense each time, so that the product of the counts cannot grow too large.
            _, number = np.unique(number * (int(rank.max(initial=0)) + 1) + rank, return_inverse=True)
        first = np.unique(number, return_index=True)[1]
        return known.select(STAMPS).take(pa.array(first)), number

    def _pieces(self, values: Numbers) -> Pieces:
        return Pieces(self._codes, self._known["t_from"].to_numpy(), self._known["t_to"].to_numpy(), values)

    def _stamp_steps(self, numbers: Numbers) -> Steps:
        """Per machine and moment, the number of its stamp from 1; 0 where it is not there."""
        quantity = self._known["quantity"].to_numpy()
        count = max(self._stamps.num_rows, 1)
        pairs, dense = np.unique(self._codes * count + numbers, return_inverse=True)
        there = self._pieces(quantity)._replace(codes=dense).steps().pieces()
        there = there.where(there.values > 0)
        machine, stamp = np.divmod(pairs[there.codes], count)
        each = there._replace(codes=machine, values=np.ones_like(machine))
        steps = each.steps()
        twice = np.flatnonzero(steps.values > 1)
        if len(twice):
            at = steps.keys[twice[0]]
            name = self.machines[int(codes_of(at))].as_py()
            msg = (
                f"machine {name} has two owners or places at {utc_text(int(moments_of(at)))}; take one back"
            )
            raise InvalidUsage(msg)
        return each._replace(values=stamp + 1).steps()

    def allocated(self, metric: str, options: Options) -> Steps:
        """What was allocated of a metric, as the options say."""
        is_metric = pc.equal(self._known["metric"], metric).to_numpy()
        steps = (
            self._pieces(self._known["quantity"].to_numpy())
            .where(np.asarray(is_metric, dtype=np.bool_))
            .steps()
        )
        if options.allocated is Allocated.TIME_WEIGHTED:
            return steps
        pieces, there = steps.pieces(), self.stamps.pieces()
        ends = [0, *(t for period in sorted(options.periods) for t in period), FOREVER]
        parts = [pieces.within(t_from, t_to) for t_from, t_to in zip(ends[::2], ends[1::2], strict=True)]
        parts += [self._most(pieces.within(*period), there.within(*period)) for period in options.periods]
        return joined(*parts).steps()

    def _most(self, pieces: Pieces, there: Pieces) -> Pieces:
        most = np.zeros(len(self.machines), dtype=np.int64)
        np.maximum.at(most, pieces.codes, pieces.values)
        return there._replace(values=most[there.codes])

    def rows(self, name: str, quantities: Steps) -> Any:
        """The rows of `SCHEMA` that say what is charged, each stamped with whose and where it was."""
        keys = np.union1d(quantities.keys, self.stamps.keys)
        amount, stamp = quantities.at(keys), self.stamps.at(keys)
        amount = np.where(stamp > 0, amount, 0)
        stamp = np.where(amount > 0, stamp, 0)
        changes = np.ones(len(keys), dtype=np.bool_)
        changes[1:] = (
            (amount[1:] != amount[:-1])
            | (stamp[1:] != stamp[:-1])
            | (codes_of(keys[1:]) != codes_of(keys[:-1]))
        )
        held = Steps(keys[changes], amount[changes])
        pieces = held.pieces()
        return self._table(name, pieces, stamp[changes][np.flatnonzero(held.values)] - 1)

    def _table(self, name: str, pieces: Pieces, stamps: Numbers) -> Any:
        newest = np.zeros(len(self.machines), dtype=np.int64)
        np.maximum.at(newest, self._codes, self._known["recorded_at"].to_numpy())
        starts = np.searchsorted(pieces.codes, pieces.codes)
        owners = self._stamps.take(pa.array(stamps))
        count = len(pieces.codes)
        columns = {field: owners[field] for field in STAMPS} | {
            "machine": self.machines.take(pa.array(pieces.codes)),
            "metric": pa.repeat(name, count),
            "quantity": pa.array(pieces.values), "t_from": pa.array(pieces.t_from), "t_to": pa.array(pieces.t_to),
            "recorded_at": pa.array(newest[pieces.codes]),
            "source": pa.repeat(SOURCE, count),
            "sequence": pa.array(np.arange(count, dtype=np.int64) - starts),
        }  # fmt: skip
        return pa.table([columns[field] for field in SCHEMA.names], schema=SCHEMA)


class _Measured:
    """Samples as steps per metric."""

    def __init__(self, estate: _Estate, samples: Any, options: Options) -> None:
        self._estate = estate
        self._samples = ordered(samples, ("machine", "metric", "at"))
        self._options = options

    def steps(self, metric: str) -> Steps:
        """What was used of a metric: each sample until the next, or until its time is over."""
        own = self._samples.filter(pc.equal(self._samples["metric"], metric))
        codes = self._estate.codes(own["machine"])
        owned = codes >= 0
        codes, at, quantity = (
            column[owned] for column in (codes, own["at"].to_numpy(), own["quantity"].to_numpy())
        )
        end = np.full(len(at), FOREVER)
        if self._options.missing is MissingSample.ZERO:
            end = np.minimum(at + self._seconds(own)[owned], FOREVER)
        order = np.argsort(key(codes, at), kind="stable")
        codes, at, quantity, end = codes[order], at[order], quantity[order], end[order]
        same = codes[1:] == codes[:-1]
        end[:-1] = np.where(same, np.minimum(end[:-1], at[1:]), end[:-1])
        return Pieces(codes, at, end, quantity).where(end > at).steps()

    def _seconds(self, own: Any) -> Numbers:
        if "seconds" not in own.column_names:
            return np.full(own.num_rows, self._options.interval_s)
        said = own["seconds"].to_numpy()
        return np.where(said > 0, said, self._options.interval_s)

    def outside(self) -> Iterator[Outside]:
        """The samples without an owner, by machine and metric."""
        samples = self._samples
        codes, at = self._estate.codes(samples["machine"]), samples["at"].to_numpy()
        owned = (codes >= 0) & (self._estate.stamps.at(key(np.maximum(codes, 0), at)) > 0)
        lost = samples.filter(pa.array(~owned & (at < self._estate.horizon)))
        found: dict[tuple[str, str], list[int]] = {}
        for machine, metric, moment in zip(
            *(lost[name].to_pylist() for name in ("machine", "metric", "at")), strict=True
        ):
            found.setdefault((machine, metric), []).append(moment)
        for (machine, metric), moments in found.items():
            yield Outside(machine, metric, len(moments), min(moments))
