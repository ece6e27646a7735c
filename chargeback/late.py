"""Late facts: which machines' lines may have changed since a period was closed, and by what.

A bill of machines has one line per machine and rate, so a fact about one machine changes lines of that
machine alone, and only its usage is rated again. A changed price rates all of them again.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import duckdb

from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.rating import Grain, rate
from chargeback.statements import Correction, Statement, corrections, statements
from chargeback.usage import checked_table

_TOUCHED = """
SELECT DISTINCT machine FROM usage_interval
WHERE recorded_at > $since AND recorded_at <= $until AND t_from < $t_to AND t_to > $t_from
ORDER BY machine
"""

_OF = "SELECT * FROM usage_interval WHERE t_from < $t_to AND t_to > $t_from"

_OF_MACHINES = _OF + " AND machine IN (SELECT unnest($machines))"


class Known(NamedTuple):
    """What a bill is made from: a rate card, and all usage and rates that were recorded until `at`."""

    card: RateCard
    at: int

    def billing(self, period: BillingPeriod) -> "Known":
        """The same for a period that was billed in another time zone: it stays the month that it was."""
        return self._replace(card=self.card.model_copy(update={"time_zone": period.time_zone}))


class Usage(Protocol):
    """A history of usage that can be asked for parts of itself."""

    def touched(self, period: BillingPeriod, since: int, until: int) -> Sequence[str]:
        """The machines with rows in the period that were recorded after `since`, not after `until`."""
        ...

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """All rows that overlap the period, of these machines or of all, as a `pyarrow.Table`."""
        ...


class UsageTable:
    """`Usage` from a `pyarrow.Table` of `chargeback.usage.SCHEMA`. Raises InvalidUsage."""

    def __init__(self, table: Any) -> None:
        # One engine for all questions: opening one takes 40 ms, and an answer some 5.
        self._engine = duckdb.connect(":memory:")
        self._engine.register("usage_interval", checked_table(table))

    def touched(self, period: BillingPeriod, since: int, until: int) -> Sequence[str]:
        """See `Usage`."""
        values = {"t_from": period.t_from, "t_to": period.t_to, "since": since, "until": until}
        return [machine for (machine,) in self._ask(_TOUCHED, values, duckdb.DuckDBPyRelation.fetchall)]

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """See `Usage`."""
        values: dict[str, Any] = {"t_from": period.t_from, "t_to": period.t_to}
        if machines is None:
            return self._ask(_OF, values, duckdb.DuckDBPyRelation.to_arrow_table)
        values["machines"] = list(machines)
        return self._ask(_OF_MACHINES, values, duckdb.DuckDBPyRelation.to_arrow_table)

    def _ask(self, query: str, values: dict[str, Any], take: Any) -> Any:
        return take(self._engine.sql(query, params=values))


def rated(usage: Any, known: Known, period: BillingPeriod) -> list[Statement]:
    """The period's own statements with a line per machine and rate, as known then.

    Raises UnpricedUsage, InvalidUsage.
    """
    return statements(rate(usage, known.card, [period], known.at, grain=Grain.MACHINE), known.card)


def late(usage: Usage, period: BillingPeriod, before: Known, after: Known) -> list[Correction]:
    """What the statements of `period` must be corrected by that was learnt between two moments.

    The same as rating everything twice and comparing, but only what may differ is rated. Raises
    UnpricedUsage, InvalidUsage.
    """
    machines = None
    before, after = before.billing(period), after.billing(period)
    if same_prices(period, before, after):
        machines = usage.touched(period, before.at, after.at)
        if not machines:
            return []
    rows = usage.of(period, machines)
    return corrections(rated(rows, before, period), rated(rows, after, period))


def same_prices(period: BillingPeriod, before: Known, after: Known) -> bool:
    """Whether two cards, each as known then, charge any usage of the period alike, rounding included."""
    rest = [known.card.model_dump(exclude={"name", "version", "rates"}) for known in (before, after)]
    return rest[0] == rest[1] and _in_force(period, before) == _in_force(period, after)


def _in_force(period: BillingPeriod, known: Known) -> set[tuple[Any, ...]]:
    return {
        # What other rates it replaces does not change what it charges.
        (segment.t_from, segment.t_to, segment.rate.model_copy(update={"replaces": ()}))
        for segment in known.card.segments(period.t_from, period.t_to, known.at)
    }
