"""DuckDB inside the process: the default. Its memory and threads can be bounded."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow.parquet as pq

from chargeback import rating_sql
from chargeback.engines import stretches
from chargeback.engines.contract import Values, exact
from chargeback.usage import SCHEMA, InvalidUsage, checked_table

_TYPES = {"int64": "BIGINT", "string": "VARCHAR", "boolean": "BOOLEAN"}
_BATCH = 500
_PART_ROWS = 1_000_000
"""Of a file that is looked at by itself; a look takes some 10 ms, however few they are."""


@dataclass(frozen=True)
class ParquetFiles:
    """Usage in Parquet files of `chargeback.usage.SCHEMA`; a file that stands twice counts twice.

    `payers` says that they have the column of `chargeback.payers` too, as that module made it: then totals
    by tenant are read from it, twice as fast. What is in it is not compared with the other columns.
    """

    paths: tuple[str, ...]
    payers: bool = False


@dataclass(frozen=True)
class DuckEngine:
    """Queries on an embedded DuckDB.

    Beyond `memory_limit_mib` it writes to `spill_folder`, or stops with duckdb.OutOfMemoryException where
    there is none; None leaves DuckDB its own limit, 80 % of the machine. `threads` None is every core.
    Usage may also be a `pyarrow.dataset.Dataset`, which is read as it streams, so that memory does not
    grow with it, or a ParquetFiles, which DuckDB reads itself, faster still.
    """

    memory_limit_mib: int | None = None
    threads: int | None = None
    spill_folder: str = ""

    @contextmanager
    def session(self, usage: Any) -> Iterator["DuckSession"]:
        """A session of its own, closed at the end.

        Opening a database takes 45 ms, but one that was kept would hang in a process that was forked.
        """
        with duckdb.connect(":memory:", config=self._config()) as connection:
            if isinstance(usage, ParquetFiles):
                connection.read_parquet(list(usage.paths)).create_view("usage_interval")
                yield DuckSession(connection, _parts(usage.paths), payers=usage.payers)
            else:
                connection.register("usage_interval", _readable(usage))
                yield DuckSession(connection)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "temp_directory": self.spill_folder,
            "preserve_insertion_order": False,
        }
        if self.memory_limit_mib is not None:
            config["memory_limit"] = f"{self.memory_limit_mib}MiB"
        if self.threads is not None:
            config["threads"] = self.threads
        return config


class DuckSession:
    """A session on one connection, on which a table or view ``usage_interval`` is, with payers or without."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        parts: Sequence[stretches.Part] = (),
        *,
        payers: bool = False,
    ) -> None:
        self.connection = connection
        self._parts = parts
        self._payers = payers
        self._segments: Sequence[Values] = ()
        self._ahead: stretches.Whole | None = None

    def expect(self, segments: Sequence[Values]) -> None:
        """As `Session.expect`: one look at all rows in place of two, where the stretches are few."""
        if stretches.worth_it(segments):
            self._ahead = stretches.whole(self.connection, segments, self._parts, payers=self._payers)

    def store(self, name: str, columns: Mapping[str, str], rows: Sequence[Values]) -> None:
        """As `Session.store`."""
        # By INSERT: building a small Arrow table from Python lists would import pandas (0.9 s).
        typed = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in columns.items())
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} ({typed})")
        one = f"({', '.join('?' * len(columns))})"
        for batch in (rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH)):
            # One statement for many rows: hourly windows of a month are thousands, a statement each 10 s.
            marks = ", ".join([one] * len(batch))
            values = [value for row in batch for value in row]
            self.connection.execute(f"INSERT INTO {name} VALUES {marks}", values)  # noqa: S608 - only our names and question marks are put in
        if name == "rate_segment":
            self._segments = rows

    def rows(self, query: str) -> list[Values]:
        """As `Session.rows`; sums by tenant add up first what needs no cutting."""
        if query == "SEEN" and self._ahead:
            return self._ahead.seen
        if query == "SUMS_BY_TENANT" and stretches.worth_it(self._segments):
            return stretches.sums_by_tenant(
                self.connection, self._segments, self._ahead, self._parts, payers=self._payers
            )
        return [exact(row) for row in self.connection.execute(getattr(rating_sql, query)).fetchall()]


def _parts(paths: Sequence[str]) -> list[stretches.Part]:
    """Each file, or all as one where they are small, by the statistics of their columns; none where these are missing."""
    found: dict[str, tuple[stretches.Part, int]] = {}
    for path in {*paths}:
        try:
            metadata = pq.read_metadata(path)
        except OSError:  # a pattern or an address, which DuckDB can read
            return []
        extent = _extent(path, metadata)
        if extent is None:
            return []
        quoted = path.replace("'", "''")
        found[path] = stretches.Part(f"read_parquet('{quoted}')", *extent), metadata.num_rows
    parts = [found[path][0] for path in paths]
    if sum(found[path][1] for path in paths) >= len(paths) * _PART_ROWS:
        return parts
    begins, ends, reversals = zip(*(part[1:] for part in parts), strict=True)
    return [stretches.Part("usage_interval", min(begins), max(ends), any(reversals))]


def _extent(path: str, metadata: Any) -> tuple[int, int, bool] | None:
    """From when to when usage lies, and whether any is taken back; None where the file does not tell."""
    _refuse_missing(metadata.schema.names, path)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    ends = []
    for name in ("t_from", "t_to", "quantity"):
        place = metadata.schema.names.index(name)
        known = [group.column(place).statistics for group in groups]
        if not known or any(each is None or not each.has_min_max for each in known):
            return None
        ends.append((min(each.min for each in known), max(each.max for each in known)))
    (t_from, _), (_, t_to), (least, _) = ends
    return t_from, t_to, least < 0


def _readable(usage: Any) -> Any:
    if hasattr(usage, "num_rows"):
        return checked_table(usage)
    _refuse_missing(usage.schema.names, "usage")
    return usage


def _refuse_missing(names: Sequence[str], what: str) -> None:
    missing = [name for name in SCHEMA.names if name not in names]
    if missing:
        msg = f"{what} has no column {', '.join(missing)}"
        raise InvalidUsage(msg)
