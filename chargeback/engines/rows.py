"""Python itself, for a few rows: opening a database takes longer than a machine's month takes here."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

import pyarrow as pa

from chargeback.engines.contract import Values
from chargeback.usage import Metric, Power, checked_table

ROWS_MAX = 5_000
"""Up to how many rows this one is well ahead of opening DuckDB, 20 times for a machine's month; more are right here too."""


class _Thing(NamedTuple):
    """What rows have in common that differ in time and quantity alone."""

    machine: str
    tenant: str
    cost_centre: str
    tier: str
    pool: str
    metric: str
    power: str
    labels: str


class _Fact(NamedTuple):
    """The rest of a row that rating looks at."""

    quantity: int
    t_from: int
    t_to: int
    recorded_at: int


_Facts = list[tuple[int, int, int, int]]
"""`_Fact`s as bare tuples, which are made in a third of the time."""

_Things = Mapping[_Thing, _Facts]


def _getter(*names: str) -> Callable[[_Thing], Values]:
    return itemgetter(*(_Thing._fields.index(name) for name in names))


_PAYER = _getter("tenant", "cost_centre")
_MACHINE = _getter("tenant", "cost_centre", "machine", "pool", "labels")
_LEVEL = _getter("tenant", "cost_centre", "machine", "pool", "labels", "power")
_BIRTH = _getter("machine", "tenant", "cost_centre", "tier", "pool", "labels")


class RowsEngine:
    """Queries on a table that fits into memory as Python objects."""

    @contextmanager
    def session(self, usage: Any) -> Iterator["RowsSession"]:
        """As `Engine.session`."""
        yield RowsSession(_things(checked_table(usage)))


def _things(table: Any) -> _Things:
    found: dict[tuple[str, ...], _Facts] = defaultdict(list)
    texts, numbers = (
        zip(*(_values(table[name]) for name in kind._fields), strict=True) for kind in (_Thing, _Fact)
    )
    for thing, fact in zip(texts, numbers, strict=True):
        found[thing].append(fact)
    return {_Thing._make(thing): facts for thing, facts in found.items()}


def _values(column: Any) -> list[Any]:
    """A column as Python's objects, of texts each different one once: a tenth of the time of Arrow's own way."""
    if not pa.types.is_string(column.type):
        return list(column.to_numpy().tolist())
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    return [texts[place] for place in encoded.indices.to_numpy().tolist()]


class RowsSession:
    """The queries of `chargeback.rating_expressions`, once more and by hand."""

    def __init__(self, usage: _Things) -> None:
        self._usage = usage
        self._tables: dict[str, Sequence[Values]] = {}

    def expect(self, segments: Sequence[Values]) -> None:
        """As `Session.expect`; nothing is added up ahead."""

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
        return sorted({(thing.tier, thing.metric) for thing in self._usage})

    def _priced(self) -> Iterator[tuple[_Thing, _Facts, Values]]:
        """What each segment prices, as far as tier, metric and power tell."""
        segments: dict[tuple[str, str], list[Values]] = defaultdict(list)
        for segment in self._tables["rate_segment"]:
            segments[segment[1], segment[2]].append(segment)
        for thing, facts in self._usage.items():
            for segment in segments.get((thing.tier, thing.metric), ()):
                if segment[3] or thing.power == Power.ON.value:
                    yield thing, facts, segment

    def _sums(self, key_of: Callable[[_Thing], Values]) -> list[Values]:
        found: dict[Values, list[int]] = {}
        for thing, facts, segment in self._priced():
            quantity, seconds, any_fact = _sum(facts, *segment[4:])
            if any_fact:
                sums = found.setdefault((segment[0], *key_of(thing)), [0, 0])
                sums[0] += quantity
                sums[1] += seconds
        return [(*key, *sums) for key, sums in found.items()]

    def _by_level(self) -> list[Values]:
        found: Counter[Values] = Counter()
        for thing, facts, segment in self._priced():
            key = (segment[0], *_LEVEL(thing))
            for level, seconds in _levels(facts, *segment[4:]).items():
                found[*key, level] += seconds
        return [(*key, seconds) for key, seconds in found.items()]

    def _births(self) -> list[Values]:
        ((known_at,),) = self._tables["knowledge"]
        all_changes: Counter[tuple[str, int]] = Counter()
        payer_changes: Counter[Values] = Counter()
        for thing, facts in self._usage.items():
            known = [fact for fact in facts if fact[3] <= known_at and thing.metric == Metric.MACHINE.value]
            for quantity, t_from, t_to, _ in known:
                for at, change in ((t_from, quantity), (t_to, -quantity)):
                    all_changes[thing.machine, at] += change
                    payer_changes[*_BIRTH(thing), at] += change
        born: dict[str, int] = {}
        for (machine, at), change in all_changes.items():
            if change:
                born[machine] = min(at, born.get(machine, at))
        return [key for key, change in payer_changes.items() if change > 0 and born.get(key[0]) == key[-1]]


def _sum(facts: _Facts, t_from: int, t_to: int, known_at: int) -> tuple[int, int, bool]:
    """Quantity x seconds within a segment, seconds that count negative where they are taken back, and if there was any."""
    amount, seconds, found = 0, 0, False
    for quantity, begins, ends, recorded_at in facts:
        if begins < t_to and ends > t_from and recorded_at <= known_at:
            spent = min(ends, t_to) - max(begins, t_from)
            amount += quantity * spent
            seconds += spent if quantity >= 0 else -spent
            found = True
    return amount, seconds, found


def _levels(facts: _Facts, t_from: int, t_to: int, known_at: int) -> Counter[int]:
    """Seconds within a segment per quantity, taken back where that is negative."""
    found: Counter[int] = Counter()
    for quantity, begins, ends, recorded_at in facts:
        if begins < t_to and ends > t_from and recorded_at <= known_at:
            spent = min(ends, t_to) - max(begins, t_from)
            found[abs(quantity)] += spent if quantity >= 0 else -spent
    return found
