"""Sums by tenant with as little work per row as can be: added up first, cut and priced after.

The moments at which any rate begins or ends cut time into a few stretches. A usage row within one of
them needs no cutting: such rows are added up per payer and stretch, and the sums, a few thousand, are
joined with the rates. The others, one per machine and moment, take the general query. Every product
is of whole numbers of 64 bits, and DuckDB refuses one that does not fit: then all take that query.

Where it is known how far usage reaches and few moments are within, nothing is told apart and nothing is cut: one
look adds up, per payer, what lies after each moment, and a stretch is the difference of two. Such usage is looked at
part by part, as DuckDB leaves out checks for 64 bits that the statistics of a file make idle, but of one file only.
Where usage has the column of `chargeback.payers`, who pays for what is told by it alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from operator import add
from typing import NamedTuple

import duckdb

from chargeback import rating_sql
from chargeback.engines.contract import Values, exact
from chargeback.payers import fields_of

STRETCHES_MAX = 24
"""Beyond, telling stretches apart costs as much as cutting (hourly windows make hundreds)."""

_AFTER_MAX = 3
"""Moments after each of which all rows are added up; by payer and stretch takes as long as four to six."""

_NONE, _CUT = 0, -1
"""Of a row that no rate is near, and of one that some moment cuts."""


def worth_it(segments: Sequence[Values]) -> bool:
    """Whether these rows of ``rate_segment`` cut time into few enough stretches, all as known at once."""
    return 0 < len(_moments(segments)) <= STRETCHES_MAX and len({row[-1] for row in segments}) == 1


class Part(NamedTuple):
    """One of the tables or files that ``usage_interval`` is made of.

    `relation` is it in SQL; `t_from`, `t_to` say from when to when its usage lies, in seconds, and
    `reversals` whether any of it is taken back.
    """

    relation: str
    t_from: int
    t_to: int
    reversals: bool


class Whole(NamedTuple):
    """The usage added up by payer and stretch, for rates that begin and end at these moments."""

    moments: tuple[int, ...]
    known_at: int
    by_power: bool
    rows: Sequence[Values]

    @property
    def seen(self) -> list[Values]:
        """The tiers and metrics that occur in it."""
        return sorted({(row[2], row[3]) for row in self.rows})

    def serves(self, segments: Sequence[Values]) -> bool:
        """Whether it has what sums of these rows of ``rate_segment`` need."""
        return (
            {*_moments(segments)} <= {*self.moments}
            and {row[-1] for row in segments} == {self.known_at}
            and (self.by_power or all(row[3] for row in segments))
        )


def whole(
    connection: duckdb.DuckDBPyConnection,
    segments: Sequence[Values],
    parts: Sequence[Part] = (),
    *,
    payers: bool = False,
) -> Whole | None:
    """What needs no cutting by these rows of ``rate_segment``; None where a product exceeds 64 bits.

    With `parts`, which are then all usage, it is everything where few moments are within each. With `payers`
    usage has the column of `chargeback.payers`, and who pays for what is told by it.
    """
    # A column less to group by, where every rate is for machines that are off too.
    by_power = payers or not all(row[3] for row in segments)
    moments, known_at = _moments(segments), int(segments[0][-1])
    power = "power" if by_power else "'on'"
    keys = "payer" if payers else f"tenant, cost_centre, tier, metric, {power}"
    few = all(sum(p.t_from < m < p.t_to for m in moments) <= _AFTER_MAX for p in parts)
    try:
        if parts and few:
            rows = _of_parts(connection, keys, parts, moments, known_at)
        else:
            rows = connection.execute(_whole_rows(keys, moments, known_at)).fetchall()
    except duckdb.OutOfRangeException:
        return None
    if payers:
        names = {row[0]: fields_of(row[0]) for row in rows}
        rows = [(*names[row[0]], *row[1:]) for row in rows]
    return Whole(tuple(moments), known_at, by_power, rows)  # sums of integers come as int


def sums_by_tenant(
    connection: duckdb.DuckDBPyConnection,
    segments: Sequence[Values],
    ahead: Whole | None = None,
    parts: Sequence[Part] = (),
    *,
    payers: bool = False,
) -> list[Values]:
    """What ``SUMS_BY_TENANT`` gives, from ``usage_interval`` and these rows of ``rate_segment``."""
    fits = ahead and ahead.serves(segments)
    added = ahead if fits else whole(connection, segments, parts, payers=payers)
    if added is None:
        return [exact(row) for row in connection.execute(rating_sql.SUMS_BY_TENANT).fetchall()]
    found: dict[Values, list[int]] = {}
    rates = _rates(segments, added.moments)
    for tenant, cost_centre, tier, metric, power, stretch, amount, seconds in added.rows:
        for segment, when_off in rates.get((tier, metric, stretch), ()):
            if when_off or power == "on":
                sums = found.setdefault((segment, tenant, cost_centre), [0, 0])
                sums[0] += amount
                sums[1] += seconds
    cut = any(row[5] == _CUT for row in added.rows)
    rest = connection.execute(_cut_rows(added.moments)).fetchall() if cut else []
    for row in rest:
        segment, tenant, cost_centre, amount, seconds = exact(row)
        sums = found.setdefault((segment, tenant, cost_centre), [0, 0])
        sums[0] += amount
        sums[1] += seconds
    return [(*key, *sums) for key, sums in found.items()]


def _moments(segments: Sequence[Values]) -> list[int]:
    return sorted({moment for row in segments for moment in row[4:6]})


def _stretch(moments: Sequence[int]) -> str:
    """SQL for the stretch that a row lies within: 1 for the first, `_NONE` or `_CUT` for no single one."""
    whens = "".join(
        f" WHEN t_from >= {t_from} AND t_to <= {t_to} THEN {i}"
        for i, (t_from, t_to) in enumerate(pairwise(moments), 1)
    )
    return f"CASE{whens} WHEN t_to <= {moments[0]} OR t_from >= {moments[-1]} THEN {_NONE} ELSE {_CUT} END"


def _of_parts(
    connection: duckdb.DuckDBPyConnection,
    keys: str,
    parts: Sequence[Part],
    moments: Sequence[int],
    known_at: int,
) -> list[Values]:
    """The rows of `_whole_rows`, none of them cut; each payer has one of no stretch, for its being there."""
    sums: defaultdict[Values, list[int]] = defaultdict(lambda: [0] * (2 * len(moments)))
    for part in parts:
        for row in connection.execute(_rows_after(keys, part, moments, known_at)).fetchall():
            added = sums[row[: -2 * len(moments)]]
            added[:] = map(add, added, row[-2 * len(moments) :])
    found: list[Values] = [(*key, _NONE, 0, 0) for key in sums]
    for key, after in sums.items():
        for stretch in range(1, len(moments)):
            (amount, seconds), (later, late) = (
                after[2 * stretch - 2 : 2 * stretch],
                after[2 * stretch :][:2],
            )
            if (amount, seconds) != (later, late):
                found.append((*key, stretch, amount - later, seconds - late))
    return found


def _rows_after(keys: str, part: Part, moments: Sequence[int], known_at: int) -> str:
    """SQL for quantity x seconds and seconds per payer, after each of the moments."""
    sums = ""
    for m in moments:
        seconds = f"GREATEST(t_to, {m}) - GREATEST(t_from, {m})" if m > part.t_from else "t_to - t_from"
        signed = (
            f"CASE WHEN quantity < 0 THEN -({seconds}) ELSE {seconds} END" if part.reversals else seconds
        )
        sums += ", 0, 0" if m >= part.t_to else f", SUM(quantity * ({seconds})), SUM({signed})"
    return f"SELECT {keys}{sums} FROM {part.relation} WHERE recorded_at <= {known_at} GROUP BY ALL"  # noqa: S608 - only our names and whole numbers are put in


def _whole_rows(keys: str, moments: Sequence[int], known_at: int) -> str:
    return f"""
        SELECT {keys}, {_stretch(moments)} AS stretch, SUM(quantity * (t_to - t_from)),
          SUM(CASE WHEN quantity < 0 THEN t_from - t_to ELSE t_to - t_from END)
        FROM usage_interval WHERE recorded_at <= {known_at} GROUP BY ALL
    """  # noqa: S608 - only our names and whole numbers are put in


def _cut_rows(moments: Sequence[int]) -> str:
    return f"""
        WITH usage_interval AS (SELECT * FROM usage_interval WHERE {_stretch(moments)} = {_CUT})
        {rating_sql.SUMS_BY_TENANT}
    """  # noqa: S608 - as above


def _rates(
    segments: Sequence[Values], moments: Sequence[int]
) -> dict[tuple[str, str, int], list[tuple[int, bool]]]:
    """(tier, metric, stretch) -> the segments in force, and whether they price a machine that is off."""
    numbers = {moment: i + 1 for i, moment in enumerate(moments)}
    found = defaultdict(list)
    for segment, tier, metric, when_off, t_from, t_to, _ in segments:
        for stretch in range(numbers[t_from], numbers[t_to]):
            found[tier, metric, stretch].append((segment, when_off))
    return found
