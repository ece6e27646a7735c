"""The Grid Workloads Archive's traces of virtual machines: one file a machine, a row every five minutes.

The columns have the same names in several traces, which differ in how they write numbers and times.
"""

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from catalog.documents import Problem
from chargeback.importers import ImportOptions
from chargeback.importers._clean import gaps, same_moment
from chargeback.instants import END_OF_TIME_S, utc_text
from chargeback.samples import SCHEMA, SampleImport, nothing
from chargeback.sorting import Numbers, ordered
from chargeback.usage import Metric

TIME, CORES = "timestamp", "cpu cores"
CPU_MHZ, CPU_PERCENT = "cpu usage [mhz]", "cpu usage [%]"
MEMORY_GIVEN, MEMORY_USED = "memory capacity provisioned [kb]", "memory usage [kb]"
DISK = ("disk read throughput [kb/s]", "disk write throughput [kb/s]")
NET = ("network received throughput [kb/s]", "network transmitted throughput [kb/s]")
NUMBERS = (CORES, CPU_MHZ, CPU_PERCENT, MEMORY_GIVEN, MEMORY_USED, *DISK, *NET)
_KIB_PER_MIB = 1024
_NUMBER = r"^\d{1,15}(\.\d+)?$"
_JAVA = re.compile(r"(\d)\.(\d{1,17})E(-?\d{1,2})", re.ASCII)
_MAX_PROBLEMS = 501

Flags = npt.NDArray[np.bool_]
Moments = Callable[[Any, ImportOptions], tuple[Numbers | None, str]]
"""The moments of a column of texts, or what is wrong with the first that is none."""


class Dialect(NamedTuple):
    """How a trace writes numbers and times. `moment` is the pattern of a time."""

    decimal_point: str
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
    texts, wrong = _texts(content, dialect)
    if texts is None:
        return nothing([_named(wrong, file)])
    bad = list(_bad_cells(texts, file, dialect))
    if bad:
        return nothing(bad)
    at, why = dialect.moments(texts[TIME], options) if texts.num_rows else (None, "there is no row")
    if at is not None and (at.min() < 0 or at.max() >= END_OF_TIME_S - 366 * 86_400):
        at, why = None, "must be between 1970 and 9998"
    if at is None:
        return nothing([Problem(file, 1, 1, TIME, "", why)])
    return _samples(texts, at, file, options)


def _samples(texts: Any, at: Numbers, file: str, options: ImportOptions) -> SampleImport:
    on = (_rounded(texts[CORES]) > 0) | (_rounded(texts[MEMORY_GIVEN]) > 0)
    quantities = _given(texts) if options.provisioned else _used(texts)
    count = int(np.count_nonzero(on))
    rows = pa.concat_tables(
        pa.table(
            [pa.repeat(options.machine, count), pa.repeat(metric.value, count), pa.array(at[on]), pa.array(q[on])],
            schema=SCHEMA,
        ).append_column("line", pa.array(np.flatnonzero(on) + 2))
        for metric, q in quantities.items()
    )  # fmt: skip
    rows = ordered(rows, ("machine", "metric", "at"))
    same = same_moment(rows)
    clash = np.flatnonzero(same & (np.diff(rows["quantity"].to_numpy()) != 0))
    if len(clash):
        return nothing(_clashes(rows, clash, file))
    kept = rows.filter(pa.array(np.append(True, ~same)[: rows.num_rows])).select(SCHEMA.names)
    return SampleImport(
        kept, (), gaps(kept, options.expected_interval_s) if kept.num_rows else (), int(np.count_nonzero(same)),
        remarks=tuple(_remarks(texts, on, options.machine)),
    )  # fmt: skip


def _used(texts: Any) -> dict[Metric, Numbers]:
    kib = _rounded(texts[MEMORY_USED])
    return {
        Metric.CPU_MHZ: _rounded(texts[CPU_MHZ]),
        Metric.MEMORY_MIB: (kib + _KIB_PER_MIB // 2) // _KIB_PER_MIB,
        Metric.DISK_IO_KBPS: sum((_rounded(texts[name]) for name in DISK), np.zeros(len(kib), np.int64)),
        Metric.NET_IO_KBPS: sum((_rounded(texts[name]) for name in NET), np.zeros(len(kib), np.int64)),
    }


def _given(texts: Any) -> dict[Metric, Numbers]:
    kib = _rounded(texts[MEMORY_GIVEN])
    return {
        Metric.VCPU: _rounded(texts[CORES]),
        Metric.MEMORY_MIB: (kib + _KIB_PER_MIB // 2) // _KIB_PER_MIB,
    }


def _rounded(column: Any) -> Numbers:
    """Plain numbers, half up to whole ones, by their digits: no binary fraction is between."""
    parts = pc.split_pattern(pc.binary_join_element_wise(column, ".0", ""), ".", max_splits=1)
    whole = pc.list_element(parts, 0).cast(pa.int64()).to_numpy()
    tenths = pc.utf8_slice_codeunits(pc.list_element(parts, 1), 0, 1).cast(pa.int64()).to_numpy()
    return np.asarray(whole + (tenths >= 5), dtype=np.int64)


def _remarks(texts: Any, on: Flags, machine: str) -> list[str]:
    off = int(np.count_nonzero(~on))
    over = int(np.count_nonzero(_rounded(texts[CPU_PERCENT]) > 100))
    found = []
    if off:
        found.append(f"machine {machine}: {off} rows say that it was off, and give no samples")
    if over:
        found.append(
            f"machine {machine}: {over} rows are above 100 % of its processors, and count as they are"
        )
    return found


def _clashes(rows: Any, clash: Numbers, file: str) -> list[Problem]:
    found = []
    for place in clash[:_MAX_PROBLEMS].tolist():
        first, second = rows.slice(place, 2).to_pylist()
        message = (
            f"machine {second['machine']} has {second['quantity']} {second['metric']} at "
            f"{utc_text(second['at'])} here and {first['quantity']} in line {first['line']}; keep the right one"
        )
        found.append(Problem(file, second["line"], 1, "", "", message))
    return found


def _texts(content: bytes, dialect: Dialect) -> tuple[Any, str]:
    """The cells of the columns that are needed, as trimmed texts with decimal points; or what is wrong."""
    names = header_of(content)
    missing = [name for name in (TIME, *NUMBERS) if name not in names]
    if missing:
        return None, f"there is no column {', '.join(missing)}"
    try:
        table = csv.read_csv(
            io.BytesIO(content),
            read_options=csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=csv.ParseOptions(delimiter=";"),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), include_columns=[TIME, *NUMBERS]
            ),
        )
    except pa.ArrowInvalid as error:
        return None, f"not readable as CSV: {' '.join(str(error).split())}"
    columns = {name: pc.utf8_trim_whitespace(table[name]) for name in table.column_names}
    if dialect.decimal_point != ".":
        for name in NUMBERS:
            columns[name] = pc.replace_substring(columns[name], dialect.decimal_point, ".")
    return pa.table(
        {name: column if name == TIME else _written_out(column) for name, column in columns.items()}
    ), ""


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
