"""Import of usage samples: checked as a whole, with every problem named by its line.

A file has the columns machine, metric, at, value, unit: one measured quantity at one moment each.
docs/reference/metering.md says what is taken, converted and refused.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa

from catalog.documents import Problem
from chargeback.instants import END_OF_TIME_S, epoch_s, utc_text
from chargeback.usage import QUANTITY_MAX, Metric

COLUMNS = ("machine", "metric", "at", "value", "unit")

SCHEMA: Any = pa.schema([
    pa.field("machine", pa.string(), nullable=False),
    pa.field("metric", pa.string(), nullable=False),
    pa.field("at", pa.int64(), nullable=False),
    pa.field("quantity", pa.int64(), nullable=False),
])  # fmt: skip
"""Samples after the import: `at` in UTC epoch seconds, `quantity` in the metric's unit."""

STORED: Any = pa.schema([
    *SCHEMA,
    pa.field("seconds", pa.int64(), nullable=False),
    pa.field("recorded_at", pa.int64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
])  # fmt: skip
"""Samples as they are kept: also for how long each counts at most (0: it does not say), when it became known,
and where it comes from."""

STORED_DEFAULTS: Mapping[str, str | int] = {"seconds": 0, "recorded_at": 0, "source": ""}
"""What a column that older files lack is filled with."""

UNITS: Mapping[Metric, Mapping[str, Fraction]] = {
    Metric.VCPU: {"vcpu": Fraction(1)},
    Metric.MEMORY_MIB: {
        "B": Fraction(1, 2**20), "KiB": Fraction(1, 2**10), "MiB": Fraction(1),
        "GiB": Fraction(2**10), "TiB": Fraction(2**20),
    },
    Metric.DISK_GIB: {
        "B": Fraction(1, 2**30), "KiB": Fraction(1, 2**20), "MiB": Fraction(1, 2**10),
        "GiB": Fraction(1), "TiB": Fraction(2**10), "PiB": Fraction(2**20),
    },
    Metric.MACHINE: {"machine": Fraction(1)},
    Metric.CPU_MHZ: {"MHz": Fraction(1), "GHz": Fraction(1000)},
    Metric.DISK_IO_KBPS: {"B/s": Fraction(1, 1000), "kB/s": Fraction(1), "MB/s": Fraction(1000)},
    Metric.NET_IO_KBPS: {"B/s": Fraction(1, 1000), "kB/s": Fraction(1), "MB/s": Fraction(1000)},
    Metric.STORAGE_USED_GIB: {
        "B": Fraction(1, 2**30), "KiB": Fraction(1, 2**20), "MiB": Fraction(1, 2**10),
        "GiB": Fraction(1), "TiB": Fraction(2**10), "PiB": Fraction(2**20),
    },
}  # fmt: skip
"""Per metric, the units that are taken, and how much of the metric each is. A kB of traffic is 1000 bytes."""

_AMBIGUOUS = {"kb", "mb", "gb", "tb", "pb", "k", "m", "g", "t", "p"}
_MAX_PROBLEMS = 500
_MAX_GAPS = 20
_MAX_DIGITS = 40
_YEAR_S = 366 * 86_400


class SampleGap(NamedTuple):
    """A time for which a machine's metric has no sample, longer than the expected interval."""

    machine: str
    metric: Metric
    t_from: int
    t_to: int

    def __str__(self) -> str:
        span = f"from {utc_text(self.t_from)} to {utc_text(self.t_to)}"
        return f"machine {self.machine}: no {self.metric} {span}; the rate card's missing_sample says what counts then"


@dataclass(frozen=True)
class SampleImport:
    """What a file gave: a table of `SCHEMA` by machine, metric and time, or problems.

    With any problem the table is empty: nothing is half imported. `converted` counts the values per
    (metric, unit) that were written in another unit than the metric's.
    """

    table: Any
    problems: tuple[Problem, ...]
    gaps: tuple[SampleGap, ...] = ()
    duplicates: int = 0
    converted: Mapping[tuple[Metric, str], int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about an import that went well, one sentence each."""
        found = [
            f"{count} {'value' if count == 1 else 'values'} of {metric} {'was' if count == 1 else 'were'} converted from {unit}"
            for (metric, unit), count in sorted(self.converted.items())
        ]
        if self.duplicates:
            rows, count = ("row", "counts") if self.duplicates == 1 else ("rows", "count")
            found.append(f"{self.duplicates} {rows} stood there twice and {count} once")
        shown = [str(gap) for gap in self.gaps[:_MAX_GAPS]]
        if len(self.gaps) > len(shown):
            shown.append(f"{len(self.gaps) - len(shown)} more gaps")
        return (*self.remarks, *found, *shown)


class _Row(NamedTuple):
    line: int
    cells: Mapping[str, object]


class _Sample(NamedTuple):
    line: int
    machine: str
    metric: Metric
    at: int
    quantity: int
    unit: str


class _Refused(ValueError):
    """One cell cannot be taken."""

    def __init__(self, *, column: str, message: str) -> None:
        self.column = column
        super().__init__(message)


def import_csv(text: str, file: str, *, expected_interval_s: int = 3600) -> SampleImport:
    """The samples of a CSV text: comma-separated, with a header, quoted as RFC 4180 says.

    A byte order mark is taken; further columns are refused, as they may be what was meant.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        wrong = _header_problem(header)
        if wrong:
            return nothing([Problem(file, 1, 1, "", "", wrong)])
        return _imported(_csv_rows(reader, header), file, expected_interval_s)
    except csv.Error as error:
        message = f"not readable as CSV: {error}"
        return nothing([Problem(file, max(1, reader.line_num), 1, "", "", message)])


def import_arrow(table: Any, name: str, *, expected_interval_s: int = 3600) -> SampleImport:
    """The samples of a `pyarrow.Table` with the same columns; problems name rows, the first being 1.

    `at` may be a timestamp with a time zone, `value` a whole number, a decimal or text.
    """
    wrong = _header_problem(table.column_names) or _wrong_types(table)
    if wrong:
        return nothing([Problem(name, 1, 1, "", "", wrong)])
    rows = (_Row(i, cells) for i, cells in enumerate(table.to_pylist(), start=1))
    return _imported(rows, name, expected_interval_s)


def _header_problem(header: list[str]) -> str:
    if len(header) == 1 and ";" in header[0]:
        return "the columns are separated by semicolons; save it as comma-separated CSV with decimal points"
    if sorted(header) == sorted(COLUMNS):
        return ""
    return f"the columns must be {', '.join(COLUMNS)}; found {', '.join(header) or 'none'}"


def _wrong_types(table: Any) -> str:
    if pa.types.is_floating(table.schema.field("value").type):
        return "column value holds binary floats; write whole numbers, decimals or text"
    is_bytes = [
        field.name
        for field in table.schema
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    ]
    return f"column {', '.join(is_bytes)} holds bytes; write text in UTF-8" if is_bytes else ""


def _csv_rows(reader: Any, header: list[str]) -> Iterator[_Row]:
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            # Kept as a row so that it is refused with its line, along with all others.
            yield _Row(reader.line_num, {"": f"{len(cells)} cells, {len(header)} columns"})
            continue
        yield _Row(reader.line_num, dict(zip(header, cells, strict=True)))


def _imported(rows: Iterable[_Row], file: str, expected_interval_s: int) -> SampleImport:
    problems: list[Problem] = []
    samples: list[_Sample] = []
    for row in rows:
        try:
            samples.append(_sample(row))
        except _Refused as error:
            shown = repr(row.cells.get(error.column, "")) if error.column else ""
            problems.append(Problem(file, row.line, 1, error.column, shown, str(error)))
    kept, duplicates, conflicts = _distinct(samples, file)
    problems += conflicts
    if problems:
        return nothing(problems)
    return SampleImport(
        _table(kept), (), tuple(_gaps(kept, expected_interval_s)), duplicates, _converted(kept)
    )


def nothing(problems: Iterable[Problem]) -> SampleImport:
    """An import that was refused: no samples, and the first problems by line."""
    problems = list(problems)
    shown = sorted(problems, key=lambda problem: problem.line)[:_MAX_PROBLEMS]
    if len(problems) > len(shown):
        last = shown[-1]
        more = f"{len(problems) - len(shown)} more problems after this line"
        shown.append(Problem(last.file, last.line, 1, "", "", more))
    return SampleImport(_table([]), tuple(shown))


def _sample(row: _Row) -> _Sample:
    if "" in row.cells:
        raise _Refused(column="", message=f"{row.cells['']}; quote cells that contain a comma")
    text = {name: str(row.cells[name]).strip() for name in COLUMNS if row.cells[name] is not None}
    for name in COLUMNS:
        if not text.get(name):
            raise _Refused(column=name, message="is empty; leave the row out where nothing was measured")
    metric = _metric(text["metric"])
    at = _at(row.cells["at"], text["at"])
    quantity = _quantity(text["value"], _factor(metric, text["unit"]), metric)
    return _Sample(row.line, text["machine"], metric, at, quantity, text["unit"])


def _metric(text: str) -> Metric:
    try:
        return Metric(text)
    except ValueError:
        raise _Refused(
            column="metric", message=f"there is no such metric; known are {', '.join(Metric)}"
        ) from None


def _factor(metric: Metric, unit: str) -> Fraction:
    factor = UNITS[metric].get(unit)
    if factor is not None:
        return factor
    known = ", ".join(UNITS[metric])
    if unit.lower() in _AMBIGUOUS and len(UNITS[metric]) > 1:
        message = f"'{unit}' can mean powers of 1000 or of 1024; write one of {known}"
    else:
        message = f"is no unit of {metric}; write one of {known}"
    raise _Refused(column="unit", message=message)


def _at(cell: object, text: str) -> int:
    try:
        moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(text)
    except ValueError as error:
        # "day is out of range for month", "hour must be in 0..23": of what is written as it should be.
        never = "" if "isoformat" in str(error) else f"is no moment: {error}; it "
        message = f"{never}must be a date-time with an offset like 2026-10-01T13:00:00+02:00"
        raise _Refused(column="at", message=message) from None
    if moment.tzinfo is None:
        message = "has no offset, so it could be any time zone's; write 2026-10-01T13:00:00Z or +02:00"
        raise _Refused(column="at", message=message)
    if moment.microsecond:
        raise _Refused(column="at", message="must be a whole second")
    seconds = epoch_s(moment)
    if not 0 <= seconds < END_OF_TIME_S - _YEAR_S:
        raise _Refused(column="at", message="must be between 1970 and 9998")
    return seconds


def _quantity(text: str, factor: Fraction, metric: Metric) -> int:
    if "," in text:
        raise _Refused(
            column="value", message="has a comma; write decimals with a point and no thousands separator"
        )
    whole, _, decimals = text.partition(".")
    digits = whole.removeprefix("-") + decimals
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise _Refused(column="value", message="must be a plain number like 8 or 0.5")
    if text.startswith("-"):
        raise _Refused(column="value", message="must not be negative")
    quantity = Fraction(int(digits), 10 ** len(decimals)) * factor
    if quantity.denominator != 1:
        raise _Refused(column="value", message=f"is not a whole number in the unit of {metric}")
    if quantity > QUANTITY_MAX:
        raise _Refused(column="value", message="is more than 2**53 in the metric's unit")
    return quantity.numerator


def _distinct(samples: list[_Sample], file: str) -> tuple[list[_Sample], int, list[Problem]]:
    """The samples in order, each moment once; how many were there twice; which disagree."""
    kept: dict[tuple[str, Metric, int], _Sample] = {}
    conflicts: list[Problem] = []
    for sample in samples:
        key = (sample.machine, sample.metric, sample.at)
        first = kept.setdefault(key, sample)
        if first.quantity != sample.quantity:
            message = (
                f"machine {sample.machine} has {sample.quantity} {sample.metric} at {utc_text(sample.at)} "
                f"here and {first.quantity} in line {first.line}; keep the right one"
            )
            conflicts.append(Problem(file, sample.line, 1, "value", "", message))
    ordered = sorted(kept.values(), key=lambda s: (s.machine, s.metric, s.at))
    return ordered, len(samples) - len(kept), conflicts


def _gaps(ordered: list[_Sample], expected_interval_s: int) -> Iterator[SampleGap]:
    for one, other in pairwise(ordered):
        same = (one.machine, one.metric) == (other.machine, other.metric)
        if same and other.at - one.at > expected_interval_s:
            yield SampleGap(one.machine, one.metric, one.at + expected_interval_s, other.at)


def _converted(samples: Iterable[_Sample]) -> Mapping[tuple[Metric, str], int]:
    counts: dict[tuple[Metric, str], int] = defaultdict(int)
    for sample in samples:
        if UNITS[sample.metric][sample.unit] != 1:
            counts[sample.metric, sample.unit] += 1
    return dict(counts)


def _table(samples: list[_Sample]) -> Any:
    rows = [
        {"machine": s.machine, "metric": s.metric.value, "at": s.at, "quantity": s.quantity}
        for s in samples
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)
