"""Late facts: which machines' lines may have changed since a period was closed, and by what.

A bill of machines has one line per machine and rate, so a fact about one machine changes lines of that
machine alone, and only its usage is rated again. Where machines are priced together, by a tenant's month
or by an adjustment of it, all machines of the tenants who pay for it are, and for terms that were agreed
late those of the tenants they name. A changed price, stack or exchange rate rates all of them again.
"""

from collections.abc import Collection, Iterable, Sequence
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

_MACHINES = """
SELECT DISTINCT machine FROM usage_interval
WHERE t_from < $t_to AND t_to > $t_from AND tenant IN (SELECT unnest($tenants))
ORDER BY machine
"""


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


class Scope(NamedTuple):
    """What is rated again: these machines, and what is stated of these tenants; None is all of them."""

    machines: Sequence[str] | None = None
    tenants: frozenset[str] | None = None


ALL = Scope()


def read_span(period: BillingPeriod) -> tuple[int, int]:
    """The half-open time whose rows bill a period: a second before it tells what existed from what is new in it."""
    return period.t_from - 1, period.t_to


class Usage(Protocol):
    """A history of usage that can be asked for parts of itself."""

    @property
    def rating_engine(self) -> Engine:
        """What rates it."""
        ...

    def touched(self, period: BillingPeriod, since: int, until: int) -> Sequence[str]:
        """The machines with rows in `read_span` or samples that were recorded after `since`, not after `until`."""
        ...

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """All rows that overlap the period's `read_span`, of these machines or of all, as a `pyarrow.Table`."""
        ...

    def machines(self, period: BillingPeriod, tenants: Collection[str]) -> Sequence[str]:
        """The machines with rows in the period that any of these tenants has to pay, whenever recorded."""
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
        t_from, t_to = read_span(period)
        values = {"t_from": t_from, "t_to": t_to, "since": since, "until": until}
        return [machine for (machine,) in self._ask(_TOUCHED, values, duckdb.DuckDBPyRelation.fetchall)]

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """See `Usage`."""
        t_from, t_to = read_span(period)
        values: dict[str, Any] = {"t_from": t_from, "t_to": t_to}
        if machines is None:
            return self._ask(_OF, values, duckdb.DuckDBPyRelation.to_arrow_table)
        values["machines"] = list(machines)
        return self._ask(_OF_MACHINES, values, duckdb.DuckDBPyRelation.to_arrow_table)

    def machines(self, period: BillingPeriod, tenants: Collection[str]) -> Sequence[str]:
        """See `Usage`."""
        values = {"t_from": period.t_from, "t_to": period.t_to, "tenants": list(tenants)}
        return [machine for (machine,) in self._ask(_MACHINES, values, duckdb.DuckDBPyRelation.fetchall)]

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


def stated(usage: Usage, known: Known, period: BillingPeriod, scope: Scope = ALL) -> list[Statement]:
    """The same of a history, with its samples, month by month as far back as the terms go.

    In a scope only: of machines alone that is right where `Known.by_machine`, else with their tenants
    and all machines of these. Raises as `rated`.
    """

    def of(month: BillingPeriod) -> Any:
        return charged_usage(usage, known, month, scope.machines)

    engine = usage.rating_engine
    found = bill_month_by_month(of, known.card, period, known.at, known.terms, engine=engine)
    if scope.tenants is not None:
        # Of other tenants only those of their machines were rated that these tenants had as well.
        found = [statement for statement in found if statement.tenant in scope.tenants]
    return with_passed_on(found, usage.passed_on(period, known), period, known.card, known.terms)


def charged_usage(
    usage: Usage, known: Known, period: BillingPeriod, machines: Collection[str] | None = None
) -> Any:
    """The rows of a period that are charged: what was allocated, and what was measured where a rate wants that."""
    # Outside the time that was read a row may stand without the one that takes it back.
    rows = _within(usage.of(period, machines), *read_span(period))
    if not known.measured:
        return rows
    options = basis.Options(missing=known.card.conventions.missing_sample)
    samples = usage.samples(period, machines)
    return basis.effective(rows, samples, known.measured, options, known_at=known.at).table


def _within(rows: Any, t_from: int, t_to: int) -> Any:
    """Rows that overlap a time, cut to it."""
    for name, cut, limit in (("t_from", pc.max_element_wise, t_from), ("t_to", pc.min_element_wise, t_to)):
        column = cut(rows[name], pa.scalar(limit, pa.int64()))
        rows = rows.set_column(rows.schema.get_field_index(name), SCHEMA.field(name), column)
    return rows


def late(usage: Usage, period: BillingPeriod, before: Known, after: Known) -> list[Correction]:
    """What the statements of `period` must be corrected by that was learnt between two moments.

    The same as rating everything twice and comparing, but only what may differ is rated. Raises
    UnpricedUsage, InvalidUsage.
    """
    before, after = before.billing(period), after.billing(period)
    scope = concerned(usage, period, before, after)
    if scope is None:
        return []
    return corrections(stated(usage, before, period, scope), stated(usage, after, period, scope))


def concerned(usage: Usage, period: BillingPeriod, before: Known, after: Known) -> Scope | None:
    """What of a period has to be rated again for what was learnt between two moments; None for nothing."""
    agreed = _agreed_for(period, before, after)
    if agreed is None or not _same_rates(period, before, after):
        return ALL
    months = sorted(
        {*before.terms.history(period), *after.terms.history(period), period}, key=lambda month: month.name
    )
    touched = sorted({machine for month in months for machine in usage.touched(month, before.at, after.at)})
    billed = usage.passed_on(period, before) != usage.passed_on(period, after)
    if not touched and not agreed and not billed:
        return None
    if before.by_machine and after.by_machine:
        return Scope(touched)
    return of_tenants(usage, months, agreed.union(*(_payers(usage.of(m, touched)) for m in months)))


def of_tenants(usage: Usage, months: Iterable[BillingPeriod], tenants: frozenset[str]) -> Scope:
    """All that the statements of these tenants depend on in these months: their machines, whoever else had them."""
    machines = {machine for month in months for machine in usage.machines(month, tenants)}
    return Scope(sorted(machines), tenants)


def _payers(rows: Any) -> Iterable[str]:
    return list(pc.unique(rows["tenant"]).to_pylist())


def _agreed_for(period: BillingPeriod, before: Known, after: Known) -> frozenset[str] | None:
    """The tenants whose terms were agreed between two moments; None where that may be any tenant."""
    old, new = before.terms, after.terms
    over = (known.at >= period.t_to for known in (before, after))
    ends = len(set(over)) > 1 and (old.adjustments or new.adjustments)  # some wait for the month's end
    alike = (old.fx, old.stack) == (new.fx, new.stack) and not new.of_lines.learnt(before.at, after.at)
    if ends or not alike or any(term not in new.adjustments for term in old.adjustments):
        return None
    came = [
        term
        for term in new.adjustments
        if before.at < term.recorded_at <= after.at or term not in old.adjustments
    ]
    gone = {name for term in came for name in new.replaced_by(term)}
    changed = [*came, *(term for term in new.adjustments if term.name in gone)]
    if not all(term.applies_to.tenants for term in changed):
        return None
    return frozenset(tenant for term in changed for tenant in term.applies_to.tenants)


def _same_rates(period: BillingPeriod, before: Known, after: Known) -> bool:
    """Whether the cards, each as known then, charge any usage of the period alike, rounding included."""
    if before.terms.stack or before.terms.history(period) or after.terms.history(period):
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
