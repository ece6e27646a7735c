"""Samples -> usage intervals: neighbouring equal samples become one row (46 times fewer on real data)."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chargeback import samples as sampled
from chargeback.sorting import ordered as in_order
from chargeback.usage import SCHEMA, InvalidUsage, Power, checked_table

STAMPS: Any = pa.schema([
    pa.field(name, pa.string(), nullable=name == "labels")
    for name in ("machine", "tenant", "cost_centre", "tier", "pool", "labels")
])  # fmt: skip
"""Who is to pay for each sampled machine, and its labels; one row a machine."""

Flags = npt.NDArray[np.bool_]


def intervals_from_samples(
    samples: Any, stamps: Any, *, interval_s: int, recorded_at: int, source: str
) -> Any:
    """The usage that samples stand for, as a `pyarrow.Table` of `chargeback.usage.SCHEMA`.

    `samples` is a table of `chargeback.samples.SCHEMA` in any order, `stamps` one of `STAMPS`. A
    sample says that the machine ran and had this quantity until its next sample, or for `interval_s`
    if that comes later or never: a missing sample is zero, not the last one carried forward. Samples
    of zero give no interval. Raises InvalidUsage for two samples at one moment, a machine without
    stamps or with several, and values that `chargeback.usage` refuses.
    """
    ordered = samples.select(sampled.SCHEMA.names).cast(sampled.SCHEMA)
    if not ordered.num_rows:
        return SCHEMA.empty_table()
    ordered = in_order(ordered, ("machine", "metric", "at"))
    at, quantity = (ordered[name].to_numpy() for name in ("at", "quantity"))
    fresh = _differs(ordered["machine"]) | _differs(ordered["metric"])
    _refuse_twice(ordered, at, fresh)
    end = _ends(at, fresh, interval_s)
    starts = fresh.copy()
    starts[1:] |= (quantity[1:] != quantity[:-1]) | (at[1:] != end[:-1])
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(starts)) - 1
    chosen = quantity[first] != 0
    runs = ordered.take(pa.array(first[chosen])).drop_columns(["at"])
    runs = runs.append_column("t_from", pa.array(at[first[chosen]]))
    runs = runs.append_column("t_to", pa.array(end[last[chosen]]))
    return checked_table(_stamped(runs, stamps, recorded_at, source))


def _differs(column: Any) -> Flags:
    """Per row, whether its text is not that of the row before; the first always differs."""
    combined = column.combine_chunks()
    flags = np.ones(len(combined), dtype=np.bool_)
    if len(combined) > 1:
        unequal = pc.not_equal(combined.slice(1), combined.slice(0, len(combined) - 1))
        flags[1:] = unequal.to_numpy(zero_copy_only=False)
    return flags


def _refuse_twice(ordered: Any, at: npt.NDArray[np.int64], fresh: Flags) -> None:
    twice = np.flatnonzero((at[1:] == at[:-1]) & ~fresh[1:])
    if len(twice):
        row = ordered.slice(int(twice[0]), 1).to_pylist()[0]
        msg = f"machine {row['machine']} has two samples of {row['metric']} at {row['at']}; keep one"
        raise InvalidUsage(msg)


def _ends(at: npt.NDArray[np.int64], fresh: Flags, interval_s: int) -> npt.NDArray[np.int64]:
    """Until when each sample counts: its own interval, or less where the next one comes earlier."""
    end = at + interval_s
    end[:-1] = np.where(fresh[1:], end[:-1], np.minimum(end[:-1], at[1:]))
    return end


def _stamped(runs: Any, stamps: Any, recorded_at: int, source: str) -> Any:
    if "labels" not in stamps.column_names:
        stamps = stamps.append_column("labels", pa.nulls(stamps.num_rows, pa.string()))
    owners = stamps.select(STAMPS.names).cast(STAMPS)
    if pc.count_distinct(owners["machine"]).as_py() != owners.num_rows:
        msg = "stamps: a machine has several rows; give each machine one owner"
        raise InvalidUsage(msg)
    unknown = pc.filter(runs["machine"], pc.invert(pc.is_in(runs["machine"], owners["machine"])))
    if len(unknown):
        msg = f"machine {unknown[0].as_py()} is not in stamps; say who is to pay for it"
        raise InvalidUsage(msg)
    owner = pc.index_in(runs["machine"], owners["machine"])
    columns = {name: runs[name] for name in ("machine", "metric", "quantity", "t_from", "t_to")}
    columns |= {name: owners[name].take(owner) for name in STAMPS.names if name != "machine"}
    count = runs.num_rows
    columns["labels"] = pc.fill_null(columns["labels"], "")
    columns |= {
        "power": pa.repeat(Power.ON.value, count),
        "recorded_at": pa.repeat(pa.scalar(recorded_at, pa.int64()), count),
        "source": pa.repeat(source, count),
        "sequence": pa.array(_numbered(runs["machine"], count)),
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _numbered(machines: Any, count: int) -> npt.NDArray[np.int64]:
    """0, 1, 2, ... within each machine; rows of one machine stand together."""
    starts = np.flatnonzero(_differs(machines)) if count else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.append(starts, count))
    return np.arange(count, dtype=np.int64) - np.repeat(starts, lengths)
