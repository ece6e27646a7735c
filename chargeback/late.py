"""Late facts: which machines' lines may have changed since a period was closed, and by what.

A bill of machines has one line per machine and rate, so a fact about one machine changes lines of that
machine alone, and only its usage is rated again. A changed price rates all of them again, and so does any
fact where machines are priced together: by a tenant's month, or by an adjustment of it.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from chargeback import basis
from chargeback.bills import bill, bill_month_by_month
from chargeback.engines.contract import Engine
from chargeback.passed_on import PassedOn
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard, Window
from chargeback.rating import DUCKDB
from chargeback.samples import STORED
from chargeback.statements import Correction, Statement, corrections, with_passed_on
from chargeback.targets import window_of
from chargeback.terms import NO_TERMS, Terms
from chargeback.usage import SCHEMA, checked_table

_TOUCHED = """
SELECT DISTINCT machine FROM usage_interval
WHERE recorded_at > $since AND recorded_at <= $until AND t_from < $t_to AND t_to > $t_from
ORDER BY machine
"""

_OF = "SELECT * FROM usage_interval WHERE t_from < $t_to AND t_to > $t_from"

_OF_MACHINES = _OF + " AND machine IN (SELECT unnest($machines))"


class Known(NamedTuple):
    """What a bill is made from: cards and terms, and all usage, samples and rates that were recorded until `at`."""

    card: RateCard
    at: int
    terms: Terms = NO_TERMS

    @property
    def cards(self) -> tuple[RateCard, ...]:
        """The card and those that are stacked on it."""
        layers = self.terms.stack.layers if self.terms.stack else ()
        return (self.card, *(layer.card for layer in layers))

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics, with their basis, that are charged as they were measured."""
        return tuple(
            sorted({rate.metric_key for card in self.cards for rate in card.rates if rate.is_measured})
        )

    @property
    def by_machine(self) -> bool:
        """Whether the usage of one machine changes what is stated of that machine alone."""
        together = any(window_of(rate) is Window.TENANT_MONTH for card in self.cards for rate in card.rates)
        return not together and not self.terms.adjustments

    def billing(self, period: BillingPeriod) -> "Known":
        """The same for a period that was billed in another time zone: it stays the month that it was."""
        return self._replace(card=self.card.model_copy(update={"time_zone": period.time_zone}))


class Usage(Protocol):
    """A history of usage that can be asked for parts of itself."""

    @property
    def rating_engine(self) -> Engine:
        """What rates it."""
        ...

    def touched(self, period: BillingPeriod, since: int, until: int) -> Sequence[str]:
        """The machines with rows or samples in the period that were recorded after `since`, not after `until`."""
        ...

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """All rows that overlap the period, of these machines or of all, as a `pyarrow.Table`."""
        ...

    def samples(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """All samples until the end of the period, as a `pyarrow.Table` of `chargeback.samples.STORED`."""
        ...

    def passed_on(self, period: BillingPeriod, known: Known) -> Sequence[PassedOn]:
        """What providers billed for the period, as far as it was taken in by then."""
        ...


class UsageTable:
    """`Usage` from a `pyarrow.Table` of `chargeback.usage.SCHEMA`, without samples. Raises InvalidUsage."""

    def __init__(self, table: Any) -> None:
        self.rating_engine: Engine = DUCKDB
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

    def samples(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """None."""
        return STORED.empty_table()

    def passed_on(self, period: BillingPeriod, known: Known) -> Sequence[PassedOn]:
        """None."""
        return ()

    def _ask(self, query: str, values: dict[str, Any], take: Any) -> Any:
        return take(self._engine.sql(query, params=values))


def rated(usage: Any, known: Known, period: BillingPeriod) -> list[Statement]:
    """The period's own statements with a line per machine and rate, as known then, of a table of usage.

    The usage must have what is charged by measure, and go back as far as the terms do. Raises
    UnpricedUsage, InvalidUsage.
    """
    return bill(usage, known.card, period, known.at, known.terms)


def stated(
    usage: Usage, known: Known, period: BillingPeriod, machines: Collection[str] | None = None
) -> list[Statement]:
    """The same of a history, with its samples, month by month as far back as the terms go.

    Of these machines only, which is right where `Known.by_machine`. Raises as `rated`.
    """

    def of(month: BillingPeriod) -> Any:
        return charged_usage(usage, known, month, machines)

    engine = usage.rating_engine
    found = bill_month_by_month(of, known.card, period, known.at, known.terms, engine=engine)
    return with_passed_on(found, usage.passed_on(period, known), period, known.card, known.terms)


def charged_usage(
    usage: Usage, known: Known, period: BillingPeriod, machines: Collection[str] | None = None
) -> Any:
    """The rows of a period that are charged: what was allocated, and what was measured where a rate wants that."""
    rows = usage.of(period, machines)
    if not known.measured:
        return rows
    options = basis.Options(missing=known.card.conventions.missing_sample)
    samples = usage.samples(period, machines)
    # Outside the period a row may stand without the one that takes it back.
    rows = _within(rows, period)
    return basis.effective(rows, samples, known.measured, options, known_at=known.at).table


def _within(rows: Any, period: BillingPeriod) -> Any:
    """Rows that overlap a period, cut to it."""
    for name, cut in (("t_from", pc.max_element_wise), ("t_to", pc.min_element_wise)):
        limit = pa.scalar(getattr(period, name), pa.int64())
        rows = rows.set_column(
            rows.schema.get_field_index(name), SCHEMA.field(name), cut(rows[name], limit)
        )
    return rows


def late(usage: Usage, period: BillingPeriod, before: Known, after: Known) -> list[Correction]:
    """What the statements of `period` must be corrected by that was learnt between two moments.

    The same as rating everything twice and comparing, but only what may differ is rated. Raises
    UnpricedUsage, InvalidUsage.
    """
    machines: Collection[str] | None = None
    before, after = before.billing(period), after.billing(period)
    if same_prices(period, before, after):
        months = {*before.terms.history(period), *after.terms.history(period), period}
        touched = {machine for month in months for machine in usage.touched(month, before.at, after.at)}
        billed = usage.passed_on(period, before) != usage.passed_on(period, after)
        if not touched and not billed:
            return []
        machines = sorted(touched) if before.by_machine and after.by_machine else None
    return corrections(stated(usage, before, period, machines), stated(usage, after, period, machines))


def same_prices(period: BillingPeriod, before: Known, after: Known) -> bool:
    """Whether cards and terms, each as known then, charge any usage of the period alike, rounding included."""
    if before.terms != after.terms or after.terms.learnt(before.at, after.at):
        return False
    if before.terms.stack or before.terms.history(period):
        return before.card == after.card and not _rates_learnt(after, before.at)
    rest = [known.card.model_dump(exclude={"name", "version", "rates"}) for known in (before, after)]
    return rest[0] == rest[1] and _in_force(period, before) == _in_force(period, after)


def _rates_learnt(known: Known, since: int) -> bool:
    return any(since < rate.recorded_at <= known.at for card in known.cards for rate in card.rates)


def _in_force(period: BillingPeriod, known: Known) -> set[tuple[Any, ...]]:
    return {
        # What other rates it replaces does not change what it charges.
        (segment.t_from, segment.t_to, segment.rate.model_copy(update={"replaces": ()}))
        for segment in known.card.segments(period.t_from, period.t_to, known.at)
    }
