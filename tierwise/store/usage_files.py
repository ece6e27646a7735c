"""One Parquet file of usage: how its rows are cut by month, ordered, written and read in part."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chargeback.sorting import ordered
from tierwise.store.manifest import UsageFile, flush

MERGE_AT = 8
"""Files of one size in a month that become one, so a month has at most about 7 files per size."""

_MONTHS_TRIED = np.timedelta64(24, "M")
"""Of rows of no more months each is looked for, which is faster than sorting the months of all rows."""

MERGED_ROWS_MAX = 4_000_000
"""What is merged into one file at most: it is in memory at once."""


@dataclass(frozen=True)
class Layout:
    """Which columns say when a row begins and ends, in which order rows stand, and when each was recorded.

    For moments, `end` is `start`. `recorded` is empty where rows do not say. `group_rows` are read and
    checked at once: what a reader of one machine pays per file, beside the list of all groups (8,192
    rows take 3 ms of each, for a file of 2.5 million rows).
    """

    start: str
    end: str
    order: tuple[str, ...]
    recorded: str = ""
    group_rows: int = 8_192

    def ends(self, table: Any) -> Any:
        """Per row, the first second after it."""
        return pc.add(table[self.end], 1) if self.end == self.start else table[self.end]


class Span(NamedTuple):
    """A half-open time, and after when rows were recorded; None is without limit."""

    t_from: int | None = None
    t_to: int | None = None
    recorded_after: int | None = None

    def touches(self, file: UsageFile) -> bool:
        """Whether some row of a file may overlap it."""
        after = self.t_to is not None and file.t_from >= self.t_to
        before = self.t_from is not None and file.t_to <= self.t_from
        known = self.recorded_after is not None and file.newest <= self.recorded_after
        return not (after or before or known)


def by_month(table: Any, layout: Layout) -> Iterator[tuple[str, Any]]:
    """The rows of each UTC month in which any begin, in the layout's order."""
    if not table.num_rows:
        return
    table = ordered(table, layout.order)
    starts = table[layout.start].to_numpy()
    months = starts.astype("datetime64[s]").astype("datetime64[M]")
    first, last = months.min(), months.max()
    if first == last:
        yield str(first), table
        return
    for month in np.arange(first, last + 1) if last - first < _MONTHS_TRIED else np.unique(months):
        found = months == month
        if found.any():
            yield str(month), table.filter(pa.array(found))


def described(table: Any, path: str, layout: Layout) -> UsageFile:
    """What the manifest says of a file with these rows."""
    if not table.num_rows:
        return UsageFile(path, 0, 0, 0, -1)
    return UsageFile(
        path=path,
        rows=table.num_rows,
        t_from=pc.min(table[layout.start]).as_py(),
        t_to=pc.max(layout.ends(table)).as_py(),
        newest=pc.max(table[layout.recorded]).as_py() if layout.recorded else -1,
    )


def write(table: Any, target: Path, layout: Layout | None = None) -> None:
    """A file that is whole when it has its name; it says by which column its rows stand. Raises OSError."""
    part = target.with_name(target.name + ".part")
    how = {} if layout is None else _how(table, layout)
    pq.write_table(table, part, compression="zstd", write_page_checksum=True, **how)
    flush(part)
    part.rename(target)
    flush(target.parent)


def _how(table: Any, layout: Layout) -> dict[str, Any]:
    place = table.schema.get_field_index(layout.order[0])
    found = {"row_group_size": layout.group_rows, "sorting_columns": [pq.SortingColumn(place)]}
    if layout.start != layout.end:
        return found
    # Moments one after another, all different: as differences a file is a third as long.
    others = [name for name in table.column_names if name != layout.start]
    return {**found, "use_dictionary": others, "column_encoding": {layout.start: "DELTA_BINARY_PACKED"}}


def read(
    path: Path,
    schema: Any,
    layout: Layout,
    defaults: Mapping[str, str | int],
    span: Span = Span(),  # noqa: B008 - an immutable value
    machines: Any = None,
    columns: Sequence[str] | None = None,
) -> Any:
    """The file's rows that overlap `span`, of `machines` (a sorted array); groups without any are not read.

    With `columns`, only these are read, and those that tell which rows are meant. Raises OSError or
    ArrowException for a file that is damaged or lacks columns.
    """
    if columns is not None:
        needed = {*columns, layout.start, layout.end, layout.order[0], layout.recorded}
        schema = pa.schema([field for field in schema if field.name in needed])
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        lacking = _lacking(file, schema, defaults)
        names = [name for name in schema.names if name not in lacking]
        groups = _groups(file, layout, span, machines)
        table = file.read_row_groups(groups, columns=names, use_threads=False)
    for name in lacking:
        field = schema.field(name)
        table = table.append_column(name, pa.repeat(pa.scalar(defaults[name], field.type), table.num_rows))
    return _cut(table.select(schema.names).cast(schema), layout, span, machines)


def _lacking(file: Any, schema: Any, defaults: Mapping[str, str | int]) -> set[str]:
    lacking = set(schema.names) - set(file.schema_arrow.names)
    missing = lacking - defaults.keys()
    if missing:
        msg = f"it has no column {', '.join(sorted(missing))}"
        raise pa.ArrowInvalid(msg)
    return lacking


def _groups(file: Any, layout: Layout, span: Span, machines: Any) -> list[int]:
    count = file.metadata.num_row_groups
    if span == Span() and machines is None:
        return list(range(count))
    columns = {name: i for i, name in enumerate(file.schema_arrow.names)}
    groups: Sequence[int] = range(count)
    if machines is not None:
        groups = _of_machines(file.metadata, columns["machine"], machines.to_pylist())
    found = []
    for i in groups:
        group = file.metadata.row_group(i)
        if span.recorded_after is not None and layout.recorded:
            _, newest = _extremes(group, columns[layout.recorded])
            if newest is not None and newest <= span.recorded_after:
                continue
        first, _ = _extremes(group, columns[layout.start]) if span.t_to is not None else (None, None)
        if span.t_to is not None and first is not None and first >= span.t_to:
            continue
        _, end = _extremes(group, columns[layout.end]) if span.t_from is not None else (None, None)
        if span.t_from is None or end is None or end >= span.t_from:
            found.append(i)
    return found


def _extremes(group: Any, column: int) -> tuple[Any, Any]:
    statistics = group.column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return None, None
    return statistics.min, statistics.max


_SOUGHT_MAX = 16
"""Machines that are looked for one by one, which needs a dozen groups' extremes for each, and not all."""


def _of_machines(metadata: Any, column: int, names: Sequence[str]) -> Sequence[int]:
    """The groups that may have rows of these machines, which stand in order."""
    count = metadata.num_row_groups

    def extremes(i: int) -> tuple[Any, Any]:
        return _extremes(metadata.row_group(i), column)

    if len(names) > _SOUGHT_MAX or not _is_ordered_by(metadata, column):
        return [i for i in range(count) if _any_between(names, *extremes(i))]
    found: set[int] = set()
    for name in names:
        place = bisect_left(range(count), name, key=lambda i: extremes(i)[1])
        while place < count and extremes(place)[0] <= name:
            found.add(place)
            place += 1
    return sorted(found)


def _is_ordered_by(metadata: Any, column: int) -> bool:
    """Whether the file says that its rows stand by this column, and of each end what it begins and ends with."""
    ends = {0, metadata.num_row_groups - 1} if metadata.num_row_groups else set()
    groups = [metadata.row_group(i) for i in ends]
    by = [group.sorting_columns[:1] for group in groups]
    said = all(order and order[0].column_index == column and not order[0].descending for order in by)
    return bool(groups) and said and all(_extremes(group, column)[1] is not None for group in groups)


def _any_between(names: Sequence[str], low: str | None, high: str | None) -> bool:
    if low is None or high is None:
        return bool(names)
    place = bisect_left(names, low)
    return place < len(names) and names[place] <= high


def _cut(table: Any, layout: Layout, span: Span, machines: Any) -> Any:
    if machines is not None:
        table = table.filter(pc.is_in(table["machine"], machines))
    if span.t_from is not None:
        table = table.filter(pc.greater(layout.ends(table), span.t_from))
    if span.t_to is not None:
        table = table.filter(pc.less(table[layout.start], span.t_to))
    if span.recorded_after is not None and layout.recorded:
        table = table.filter(pc.greater(table[layout.recorded], span.recorded_after))
    return table


def to_merge(files: Sequence[UsageFile]) -> list[list[UsageFile]]:
    """The groups of files to merge: of a month and about one size, and all of an older version."""
    key = _size_class
    groups = [list(group) for _, group in groupby(sorted(files, key=key), key=key)]
    found = []
    for group in groups:
        if not group[0].month:
            found += [[file] for file in group]
        elif len(group) >= MERGE_AT and sum(file.rows for file in group) <= MERGED_ROWS_MAX:
            found.append(group)
    return found


def _size_class(file: UsageFile) -> tuple[str, int]:
    """Its month, and how often 8 divides its rows: a merged file is of a higher class than its parts."""
    return file.month, (max(file.rows, 1).bit_length() - 1) // 3 if file.month else 0
