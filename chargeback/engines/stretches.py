"""Sums by tenant with as little work per row as can be: added up first, cut and priced after.

The moments at which any rate begins or ends cut time into a few stretches. A usage row within one of
them needs no cutting: such rows are added up per payer and stretch, and the sums, a few thousand, are
joined with the rates. The others, one per machine and moment, take the general query. Every product
is of whole numbers of 64 bits, and DuckDB refuses one that does not fit: then all take that query.

Where usage has the column of `chargeback.payers`, rows are added up by it alone: a look for each stretch, where
these are few, is faster than one look by payer and stretch. What is in none of them takes another look.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import duckdb

from chargeback import rating_sql
from chargeback.engines.contract import Values, exact
from chargeback.payers import fields_of

STRETCHES_MAX = 24
"""Beyond, telling stretches apart costs as much as cutting (hourly windows make hundreds)."""

_LOOKS_MAX = 3
"""Stretches for each of which all rows are looked at; by payer and stretch one look takes as long as three."""

_NONE, _CUT = 0, -1
"""Of a row that no rate is near, and of one that some moment cuts."""


def worth_it(segments: Sequence[Values]) -> bool:
    """Whether these rows of ``rate_segment`` cut time into few enough stretches, all as known at once."""
    return 0 < len(_moments(segments)) <= STRETCHES_MAX and len({row[-1] for row in segments}) == 1


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
    connection: duckdb.DuckDBPyConnection, segments: Sequence[Values], *, payers: bool = False
) -> Whole | None:
    """What needs no cutting by these rows of ``rate_segment``; None where a product exceeds 64 bits.

    With `payers` usage has the column of `chargeback.payers`, and who pays for what is told by it.
    """
    # A column less to group by, where every rate is for machines that are off too.
    by_power = payers or not all(row[3] for row in segments)
    moments, known_at = _moments(segments), int(segments[0][-1])
    try:
        if payers:
            rows = list(_by_payer(connection, moments, known_at))
        else:
            rows = connection.execute(_whole_rows(moments, known_at, by_power=by_power)).fetchall()
    except duckdb.OutOfRangeException:
        return None
    return Whole(tuple(moments), known_at, by_power, rows)  # sums of integers come as int


def sums_by_tenant(
    connection: duckdb.DuckDBPyConnection,
    segments: Sequence[Values],
    ahead: Whole | None = None,
    *,
    payers: bool = False,
) -> list[Values]:
    """What ``SUMS_BY_TENANT`` gives, from ``usage_interval`` and these rows of ``rate_segment``."""
    added = ahead if ahead and ahead.serves(segments) else whole(connection, segments, payers=payers)
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


def _by_payer(
    connection: duckdb.DuckDBPyConnection, moments: Sequence[int], known_at: int
) -> Iterator[Values]:
    """The rows of `_whole_rows` by the column of payers."""
    spans = list(enumerate(pairwise(moments), 1)) if len(moments) <= _LOOKS_MAX + 1 else []
    counted = 0
    for stretch, (t_from, t_to) in spans:
        # By where rows begin, which is in one stretch only.
        within = f"t_from >= {t_from} AND t_from < {t_to} AND t_to <= {t_to}"
        for payer, amount, seconds, count in connection.execute(_payer_rows(known_at, within)).fetchall():
            counted += count
            yield (*fields_of(payer), stretch, amount, seconds)
    ((every,),) = connection.execute("SELECT COUNT(*) FROM usage_interval").fetchall()
    if counted == every:
        return
    # What is cut, beyond all moments or not known yet; all where no stretch was looked at.
    number, seen = _stretch(moments), ", ".join(str(stretch) for stretch, _ in spans)
    others = f"{number} NOT IN ({seen})" if seen else "TRUE"
    for payer, stretch, amount, seconds, _ in connection.execute(
        _payer_rows(known_at, others, number)
    ).fetchall():
        yield (*fields_of(payer), stretch, amount, seconds)


def _payer_rows(known_at: int, condition: str, stretch: str = "") -> str:
    return f"""
        SELECT payer, {stretch + " AS stretch, " if stretch else ""}SUM(quantity * (t_to - t_from)),
          SUM(CASE WHEN quantity < 0 THEN t_from - t_to ELSE t_to - t_from END), COUNT(*)
        FROM usage_interval WHERE recorded_at <= {known_at} AND {condition} GROUP BY ALL
    """  # noqa: S608 - only whole numbers are put in


def _whole_rows(moments: Sequence[int], known_at: int, *, by_power: bool) -> str:
    return f"""
        SELECT tenant, cost_centre, tier, metric, {"power" if by_power else "'on'"} AS power,
          {_stretch(moments)} AS stretch, SUM(quantity * (t_to - t_from)),
          SUM(CASE WHEN quantity < 0 THEN t_from - t_to ELSE t_to - t_from END)
        FROM usage_interval WHERE recorded_at <= {known_at} GROUP BY ALL
    """  # noqa: S608 - only whole numbers are put in


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
