"""Python itself, for a few rows: opening a database takes longer than a machine's month takes here."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from chargeback.engines.contract import Values
from chargeback.usage import Metric, Power, checked_table

Row = Mapping[str, Any]

ROWS_MAX = 2_000
"""Up to how many rows this one is well ahead of DuckDB, 20 times for a machine's month; more are right here too."""

_PAYER = ("tenant", "cost_centre")
_MACHINE = (*_PAYER, "machine", "pool", "labels")
_BIRTH = ("machine", "tenant", "cost_centre", "tier", "pool", "labels")


class _Piece(NamedTuple):
    """A row within a segment, and for how many seconds; negative where it takes something back."""

    segment: int
    row: Row
    seconds: int


class RowsEngine:
    """Queries on a table that fits into memory as Python objects."""

    @contextmanager
    def session(self, usage: Any) -> Iterator["RowsSession"]:
        """As `Engine.session`."""
        yield RowsSession(checked_table(usage).to_pylist())


class RowsSession:
    """The queries of `chargeback.rating_expressions`, once more and by hand."""

    def __init__(self, usage: Sequence[Row]) -> None:
        self._usage = usage
        self._tables: dict[str, Sequence[Values]] = {}

    def store(self, name: str, columns: Mapping[str, str], rows: Sequence[Values]) -> None:
        """As `Session.store`."""
        self._tables[name] = rows

    def rows(self, query: str) -> list[Values]:
        """As `Session.rows`."""
        queries = {
            "SEEN": self._seen,
            "SUMS_BY_TENANT": lambda: self._sums(_PAYER),
            "SUMS_BY_MACHINE": lambda: self._sums(_MACHINE),
            "SUMS_BY_LEVEL": self._by_level,
            "BIRTHS": self._births,
        }
        return queries[query]()

    def _seen(self) -> list[Values]:
        return sorted({(row["tier"], row["metric"]) for row in self._usage})

    def _pieces(self) -> Iterator[_Piece]:
        segments: dict[tuple[str, str], list[Values]] = defaultdict(list)
        for segment in self._tables["rate_segment"]:
            segments[segment[1], segment[2]].append(segment)
        for row in self._usage:
            for number, _, _, when_off, t_from, t_to, known_at in segments[row["tier"], row["metric"]]:
                seconds = min(row["t_to"], t_to) - max(row["t_from"], t_from)
                charged = when_off or row["power"] == Power.ON.value
                if seconds > 0 and charged and row["recorded_at"] <= known_at:
                    yield _Piece(number, row, seconds if row["quantity"] >= 0 else -seconds)

    def _sums(self, names: Sequence[str]) -> list[Values]:
        quantities: Counter[Values] = Counter()
        seconds: Counter[Values] = Counter()
        for piece in self._pieces():
            key = (piece.segment, *(piece.row[name] for name in names))
            quantities[key] += abs(piece.row["quantity"]) * piece.seconds
            seconds[key] += piece.seconds
        return [(*key, quantities[key], seconds[key]) for key in quantities]

    def _by_level(self) -> list[Values]:
        found: Counter[Values] = Counter()
        for piece in self._pieces():
            key = (*(piece.row[name] for name in (*_MACHINE, "power")), abs(piece.row["quantity"]))
            found[piece.segment, *key] += piece.seconds
        return [(*key, seconds) for key, seconds in found.items()]

    def _births(self) -> list[Values]:
        ((known_at,),) = self._tables["knowledge"]
        all_changes: Counter[tuple[str, int]] = Counter()
        payer_changes: Counter[Values] = Counter()
        for row in self._usage:
            if row["metric"] != Metric.MACHINE.value or row["recorded_at"] > known_at:
                continue
            for at, change in ((row["t_from"], row["quantity"]), (row["t_to"], -row["quantity"])):
                all_changes[row["machine"], at] += change
                payer_changes[*(row[name] for name in _BIRTH), at] += change
        born: dict[str, int] = {}
        for (machine, at), change in all_changes.items():
            if change:
                born[machine] = min(at, born.get(machine, at))
        return [key for key, change in payer_changes.items() if change > 0 and born.get(key[0]) == key[-1]]
