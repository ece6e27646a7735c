"""The Grid Workloads Archive's traces of virtual machines: one file a machine, a row every five minutes.

The columns have the same names in several traces, which differ in how they write numbers and times.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from catalog.documents import Problem
from catalog.wording import counted
from chargeback.importers import ImportOptions
from chargeback.instants import END_OF_TIME_S, utc_text
from chargeback.samples import SCHEMA, SampleGap, SampleImport, nothing
from chargeback.sorting import Numbers
from chargeback.usage import Metric

TIME, CORES = "timestamp", "cpu cores"
CPU_MHZ, CPU_PERCENT = "cpu usage [mhz]", "cpu usage [%]"
MEMORY_GIVEN, MEMORY_USED = "memory capacity provisioned [kb]", "memory usage [kb]"
DISK = ("disk read throughput [kb/s]", "disk write throughput [kb/s]")
NET = ("network received throughput [kb/s]", "network transmitted throughput [kb/s]")
NUMBERS = (CORES, CPU_MHZ, CPU_PERCENT, MEMORY_GIVEN, MEMORY_USED, *DISK, *NET)
_KIB_PER_MIB = 1024
_NUMBER = r"^\d{1,15}(\.\d+)?$"
_NUMBER_TYPE = pa.decimal128(36, 18)
"""Traces have up to 17 decimals; the sum of two has room too."""
_JAVA = re.compile(r"(\d)\.(\d{1,17})E(-?\d{1,2})", re.ASCII)
_MAX_PROBLEMS = 501

Flags = npt.NDArray[np.bool_]
Moments = Callable[[Any, ImportOptions], tuple[Numbers | None, str]]
"""The moments of a column of texts, or what is wrong with the first that is none."""


class Dialect(NamedTuple):
    """How a trace writes numbers and times. `time_type` is how a time is read, `moment` the pattern of one."""

    decimal_point: str
    time_type: Any
    moment: str
    moments: Moments


def header_of(head: bytes) -> list[str]:
    """The column names of a file's first line, in small letters and without units of time."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace")
    names = [name.strip().strip('"').lower() for name in first.split(";")]
    return [TIME if name.startswith(TIME) else name for name in names]


def is_gwa(head: bytes) -> bool:
    """Whether the columns are those of such a trace."""
    return {TIME, CORES, CPU_MHZ, MEMORY_USED} <= set(header_of(head))


def first_row(head: bytes) -> str:
    """The first line behind the header; empty where there is none."""
    return [*head.split(b"\n"), b"", b""][1].decode("utf-8", "replace").strip()


def read(content: bytes, file: str, options: ImportOptions, dialect: Dialect) -> SampleImport:
    """One machine's samples: what it used, or what it was given, each rounded half up to its metric's unit.

    Rows with no processors and no memory say that the machine was off, and give no samples.
    """
    if not options.machine:
        message = "the file does not say whose samples these are; name the file after its machine"
        return nothing([Problem(file, 1, 1, "", "", message)])
    cells, problems = _cells(content, file, dialect)
    if problems:
        return nothing(problems)
    at, why = dialect.moments(cells[TIME], options) if cells.num_rows else (None, "there is no row")
    if at is not None and (at.min() < 0 or at.max() >= END_OF_TIME_S - 366 * 86_400):
        at, why = None, "must be between 1970 and 9998"
    if at is None:
        return nothing([Problem(file, 1, 1, TIME, "", why)])
    return _samples(cells, at, file, options)


def _samples(cells: Any, at: Numbers, file: str, options: ImportOptions) -> SampleImport:
    """All metrics of a row are of its moment, so they are put in order, and looked at for doubles, by that alone."""
    on = np.flatnonzero(_above(cells[CORES], 0) | _above(cells[MEMORY_GIVEN], 0))
    taken = on[np.argsort(at[on], kind="stable")]
    times, lines = at[taken], taken + 2
    given = _given(cells) if options.provisioned else _used(cells)
    quantities = {metric: whole[taken] for metric, whole in sorted(given.items())}
    again = np.diff(times) == 0
    clashes = {
        metric: np.flatnonzero(again & (np.diff(whole) != 0)) for metric, whole in quantities.items()
    }
    if any(len(places) for places in clashes.values()):
        rows = _Rows(options.machine, times, lines, quantities)
        return nothing(islice(_clashes(rows, clashes, file), _MAX_PROBLEMS))
    first = np.append(True, ~again)[: len(times)]
    kept = _table_of(options.machine, times[first], {m: whole[first] for m, whole in quantities.items()})
    remarks = tuple(_remarks(cells, at.size - on.size, options.machine))
    return SampleImport(
        kept, (), _gaps(options, times[first], quantities),
        int(np.count_nonzero(again)) * len(quantities), remarks=remarks,
    )  # fmt: skip


def _table_of(machine: str, times: Numbers, quantities: Mapping[Metric, Numbers]) -> Any:
    """The samples by metric and time; the metrics are in order."""
    metrics = [pa.repeat(metric.value, len(times)) for metric in quantities]
    return pa.table(
        [
            pa.repeat(machine, len(times) * len(metrics)), pa.concat_arrays(metrics),
            pa.array(np.tile(times, len(metrics))), pa.array(np.concatenate([*quantities.values()])),
        ],
        schema=SCHEMA,
    )  # fmt: skip


def _gaps(options: ImportOptions, times: Numbers, metrics: Iterable[Metric]) -> tuple[SampleGap, ...]:
    """Where rows are further apart than expected, for each metric."""
    expected = options.expected_interval_s
    places = np.flatnonzero(np.diff(times) > expected)
    spans = list(zip((times[places] + expected).tolist(), times[places + 1].tolist(), strict=True))
    return tuple(SampleGap(options.machine, metric, *span) for metric in metrics for span in spans)


def _used(cells: Any) -> dict[Metric, Numbers]:
    return {
        Metric.CPU_MHZ: _rounded(cells[CPU_MHZ]),
        Metric.MEMORY_MIB: _mib(cells[MEMORY_USED]),
        Metric.DISK_IO_KBPS: _rounded(pc.add(*(cells[name] for name in DISK))),
        Metric.NET_IO_KBPS: _rounded(pc.add(*(cells[name] for name in NET))),
    }


def _given(cells: Any) -> dict[Metric, Numbers]:
    return {Metric.VCPU: _rounded(cells[CORES]), Metric.MEMORY_MIB: _mib(cells[MEMORY_GIVEN])}


def _rounded(column: Any) -> Numbers:
    """Decimals, half up to whole numbers; exactly, as no binary fraction is between."""
    nearest = pc.round(column, ndigits=0, round_mode="half_towards_infinity")
    return np.asarray(nearest.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _mib(kib: Any) -> Numbers:
    """KiB in MiB, half up; a fraction of a KiB decides nothing, as the half is a whole number of KiB."""
    whole = pc.floor(kib).cast(pa.int64()).to_numpy()
    return np.asarray((whole + _KIB_PER_MIB // 2) // _KIB_PER_MIB, dtype=np.int64)


def _above(column: Any, limit: int) -> Flags:
    return np.asarray(pc.greater(column, pa.scalar(limit, _NUMBER_TYPE)).to_numpy(), dtype=np.bool_)


def _remarks(cells: Any, off: int, machine: str) -> list[str]:
    over = int(np.count_nonzero(_above(cells[CPU_PERCENT], 100)))
    found = []
    if off:
        found.append(
            f"machine {machine}: {counted(off, 'row', 'says', 'say')} that it was off, with no sample"
        )
    if over:
        found.append(
            f"machine {machine}: {counted(over, 'row')} above 100 % of its processors, counted as told"
        )
    return found


class _Rows(NamedTuple):
    """The rows of a machine that is on, by time, each with its line."""

    machine: str
    times: Numbers
    lines: Numbers
    quantities: Mapping[Metric, Numbers]


def _clashes(rows: _Rows, places: Mapping[Metric, Any], file: str) -> Iterator[Problem]:
    for metric, whole in rows.quantities.items():
        for place in places[metric].tolist():
            message = (
                f"machine {rows.machine} has {whole[place + 1]} {metric} at "
                f"{utc_text(int(rows.times[place]))} here and {whole[place]} in line {rows.lines[place]}; "
                "keep the right one"
            )
            yield Problem(file, int(rows.lines[place + 1]), 1, "", "", message)


def _cells(content: bytes, file: str, dialect: Dialect) -> tuple[Any, list[Problem]]:
    """The columns that are needed, numbers as decimals; or what is wrong, by line."""
    names = header_of(content)
    missing = [name for name in (TIME, *NUMBERS) if name not in names]
    if missing:
        return None, [Problem(file, 1, 1, "", "", f"there is no column {', '.join(missing)}")]
    types = dict.fromkeys(NUMBERS, _NUMBER_TYPE) | {TIME: dialect.time_type}
    try:
        cells = _table(content, names, types, dialect.decimal_point)
        plain = all(_is_plain(cells[name]) for name in NUMBERS) and not cells[TIME].null_count
        if plain and not pa.types.is_string(dialect.time_type):
            return cells, []
    except pa.ArrowInvalid:
        pass  # Read as text below, which says what it is, or takes numbers that are only unusual.
    return _by_text(content, names, file, dialect)


def _is_plain(column: Any) -> bool:
    span = pc.min_max(column).as_py()
    return not column.null_count and (span["min"] is None or 0 <= span["min"] <= span["max"] < 10**15)


def _table(content: bytes, names: list[str], types: dict[str, Any], decimal_point: str = ".") -> Any:
    return csv.read_csv(
        io.BytesIO(content),
        read_options=csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
        parse_options=csv.ParseOptions(delimiter=";"),
        convert_options=csv.ConvertOptions(
            column_types=types, include_columns=[TIME, *NUMBERS], decimal_point=decimal_point
        ),
    )


def _by_text(content: bytes, names: list[str], file: str, dialect: Dialect) -> tuple[Any, list[Problem]]:
    try:
        table = _table(content, names, dict.fromkeys(names, pa.string()))
    except pa.ArrowInvalid as error:
        return None, [_named(f"not readable as CSV: {' '.join(str(error).split())}", file)]
    columns = {name: pc.utf8_trim_whitespace(table[name]) for name in table.column_names}
    for name in NUMBERS:
        columns[name] = _written_out(pc.replace_substring(columns[name], dialect.decimal_point, "."))
    texts = pa.table(columns)
    problems = _bad_cells(texts, file, dialect)
    if problems:
        return None, problems
    cells = {name: _decimals(column) for name, column in columns.items() if name != TIME}
    return pa.table({TIME: columns[TIME].cast(dialect.time_type), **cells}), []


def _decimals(column: Any) -> Any:
    """Texts of plain numbers as decimals; what is beyond the 18th digit is cut off."""
    cut = pc.replace_substring_regex(column, r"(\.\d{18})\d+", r"\1")
    return cut.cast(_NUMBER_TYPE)


def _written_out(column: Any) -> Any:
    """Numbers like 1.2582912E7, as Java writes those from ten million on, as 12582912."""
    if not pc.any(pc.match_substring(column, "E")).as_py():
        return column
    encoded = column.combine_chunks().dictionary_encode()
    texts = [_plain(text) for text in encoded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string()).take(encoded.indices)])


def _plain(text: str) -> str:
    match = _JAVA.fullmatch(text)
    if match is None:
        return text
    digits, power = match[1] + match[2], int(match[3])
    point = len(match[1]) + power
    digits = digits.rjust(len(digits) + max(1 - point, 0), "0").ljust(point, "0")
    point = max(point, 1)
    return f"{digits[:point]}.{digits[point:] or '0'}"


def _named(wrong: str, file: str) -> Problem:
    """A reader's complaint, at the row that it names."""
    row = re.search(r"Row #(\d+)", wrong)
    return Problem(file, int(row[1]) if row else 1, 1, "", "", wrong)


def _bad_cells(texts: Any, file: str, dialect: Dialect) -> list[Problem]:
    found: list[Problem] = []
    for name in (TIME, *NUMBERS):
        pattern = dialect.moment if name == TIME else _NUMBER
        good = pc.match_substring_regex(texts[name], pattern).to_numpy()
        for place in np.flatnonzero(~good)[:_MAX_PROBLEMS].tolist():
            cell = texts[name][place].as_py()
            what = (
                "must be a time like the others" if name == TIME else "must be a plain number, not negative"
            )
            found.append(Problem(file, place + 2, 1, name, repr(cell), what))
    return found
