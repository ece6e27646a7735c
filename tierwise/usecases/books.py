"""What was closed until now, and the statements that follow from usage, rates and that."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import Session, select

from chargeback.adjustment import Inapplicable
from chargeback.adjustment_documents import References, load_terms
from chargeback.late import Known, Usage, UsageTable, late, read_span, stated
from chargeback.ledger import Issued, Sum, sums_text
from chargeback.passed_on import PassedOn
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import RateCard
from chargeback.rating import UnpricedUsage
from chargeback.statements import Correction, Statement, with_corrections
from chargeback.terms import Terms
from tierwise.app import App
from tierwise.documents import Documents
from tierwise.errors import InvalidInput
from tierwise.rating_engine import engine_of
from tierwise.store import ledger as ledger_store
from tierwise.store.ledger_files import LedgerFiles
from tierwise.store.tables import BillingPeriodRow, MachineRow, PeriodState
from tierwise.usecases.metering import epoch, interval_store
from tierwise.usecases.provider_bills import passed_on
from tierwise.usecases.samples import sample_store


@dataclass(frozen=True)
class Final:
    """A period whose knowledge is final: under review, or closed."""

    row: BillingPeriodRow
    documents: str | None
    """What its statements were made by; None where a version without ledger closed it."""
    present: RateCard
    statements: Sequence[Issued]

    @cached_property
    def known(self) -> Known:
        """What its statements were made from: by the documents of then, as far as they were kept."""
        assert self.row.known_at is not None, self.row
        at = epoch(self.row.known_at)
        if self.documents is None:
            return Known(self.present, at)
        card, terms = agreed_of(self.documents)
        return Known(card, at, terms)

    @cached_property
    def period(self) -> BillingPeriod:
        """The month, in the time zone of the card of then."""
        return month_of(self.row.period, self.known.card)

    @property
    def name(self) -> str:
        """``2026-10``."""
        return self.row.period

    @property
    def closed(self) -> bool:
        """Whether it is closed, not only under review."""
        return self.row.state == PeriodState.CLOSED

    @property
    def total(self) -> str:
        """What its statements come to, per currency."""
        return sums_text(total_of(self.statements)) or "0"

    @property
    def booked(self) -> bool:
        """Whether the ledger has its lines; one that a version without ledger closed has none yet."""
        return self.row.ledger is not None


@dataclass(frozen=True)
class Late:
    """Corrections of one closed period: what its statements were made from, and what is known now."""

    period: BillingPeriod
    before: Known
    after: Known
    corrections: tuple[Correction, ...]


class Books:
    """The periods as they stand when this is made; usage is read when it is first needed."""

    def __init__(self, app: App, session: Session, card: RateCard) -> None:
        self.card = card
        self.terms = app.documents.terms
        self.files = ledger_files(app)
        self.finals: Mapping[str, Final] = {
            row.period: _final(session, row, card) for row in ledger_store.periods(session) if row.known_at
        }
        self.names: Mapping[str, str] = {
            machine.id: machine.name for machine in session.exec(select(MachineRow))
        }
        self._app = app

    @property
    def due(self) -> str:
        """The month to be closed next: after the last closed one, or where usage begins; empty where there is neither."""
        if self.closed:
            return self.closed[-1].period.next.name
        begins = interval_store(self._app).begins()
        return "" if begins is None else BillingPeriod.of(begins, self.card.time_zone).name

    @cached_property
    def usage(self) -> Usage:
        """The stored usage."""
        return StoredUsage(self._app)

    def now(self, at: int) -> Known:
        """What is known at a moment by the documents of today."""
        return Known(self.card, at, self.terms)

    @property
    def closed(self) -> Sequence[Final]:
        """The closed periods, in their order."""
        return [final for final in self.finals.values() if final.closed]

    def statements(
        self, period: BillingPeriod, known: Known, corrected: Sequence[Late] | None = None
    ) -> list[Statement]:
        """The period's statements, with corrections of what was closed before it, as known then.

        `corrected` is what `late` gives, where it is known already. Raises InvalidInput where usage
        has no rate, or an amount no exchange rate.
        """
        corrected = self.late(period, known) if corrected is None else corrected
        found = [correction for each in corrected for correction in each.corrections]
        with _unpriced_is_invalid():
            own = stated(self.usage, known, period)
            return with_corrections(own, found, period, known.card, known.terms)

    def late(self, period: BillingPeriod, known: Known) -> list[Late]:
        """What each earlier period must be corrected by on this period's statements.

        Corrections stand on the first period after the last closed one, so that no two open periods show them.
        """
        if self.closed and period.name > self.closed[-1].period.next.name:
            return []
        found = []
        for final in takewhile(lambda final: final.name < period.name, self.closed):
            before = self.stated(final.period, period)
            if before.at < known.at:
                with _unpriced_is_invalid():
                    corrections = late(self.usage, final.period, before, known)
                found.append(Late(final.period, before, known, tuple(corrections)))
        return found

    def stated(self, earlier: BillingPeriod, period: BillingPeriod) -> Known:
        """What the statements of `earlier`, with all corrections before `period`, were made from."""
        between = [f for f in self.closed if earlier.name <= f.name < period.name]
        return between[-1].known

    def rows(self, final: Final, columns: list[str] | None = None) -> list[dict[str, Any]]:
        """The booked lines of a period; none where it has no ledger. Raises TierwiseError."""
        if final.row.ledger is None:
            return []
        table = self.files.read(final.name, final.row.ledger, columns)
        return list(table.to_pylist())

    def numbers(self, periods: Collection[str]) -> dict[str, str]:
        """Line id -> the number of the statement that has it, of the booked lines of these periods."""
        return {
            row["line"]: row["statement"]
            for final in self.closed
            if final.name in periods
            for row in self.rows(final, ["line", "statement"])
        }


_FEW = 1_000
"""Machines whose rows are looked for in the files one by one; for more of them the month is read."""

_KEPT = 4
"""Answers about few machines that are kept: each is rated as it was known before and after."""


class StoredUsage:
    """The usage of this data directory, as rating asks for it; a whole month is read once.

    Where few machines are asked for, only their rows are read: a late fact of one machine must not
    cost a month of ten million rows.
    """

    def __init__(self, app: App) -> None:
        self._intervals, self._samples = interval_store(app), sample_store(app)
        self._data_dir = app.settings.data_dir
        self.rating_engine = engine_of(app.settings)
        self._months: dict[BillingPeriod, UsageTable] = {}
        self._kept: dict[tuple[object, ...], Any] = {}

    def touched(self, period: BillingPeriod, since: int, until: int) -> Sequence[str]:
        """See `chargeback.late.Usage`."""
        names = ("machine", "recorded_at")
        found: set[str] = set()
        begin, t_to = read_span(period)
        for store, t_from in ((self._samples, None), (self._intervals, begin)):
            table = store.distinct(names, t_from=t_from, t_to=t_to, recorded_after=since)
            known = table.filter(pc.less_equal(table["recorded_at"], until))
            found.update(pc.unique(known["machine"]).to_pylist())
        return sorted(found)

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """See `chargeback.late.Usage`."""
        if machines is None or len(machines) > _FEW or period in self._months:
            return self._month(period).of(period, machines)

        def rows() -> Any:
            t_from, t_to = read_span(period)
            return self._intervals.read(t_from=t_from, t_to=t_to, machines=machines)

        return self._answer(("rows", period, *sorted(machines)), rows)

    def machines(self, period: BillingPeriod, tenants: Collection[str]) -> Sequence[str]:
        """See `chargeback.late.Usage`."""
        if period in self._months:
            return self._months[period].machines(period, tenants)
        wanted = pa.array(sorted(tenants), pa.string())
        owned = self._intervals.distinct(("machine", "tenant"), t_from=period.t_from, t_to=period.t_to)
        found = owned.filter(pc.is_in(owned["tenant"], wanted))
        return sorted(pc.unique(found["machine"]).to_pylist())

    def samples(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """See `chargeback.late.Usage`."""
        if machines is None or len(machines) > _FEW:
            return self._samples.read(t_to=period.t_to, machines=machines)

        def rows() -> Any:
            return self._samples.read(t_to=period.t_to, machines=machines)

        return self._answer(("samples", period, *sorted(machines)), rows)

    def _answer(self, key: tuple[object, ...], read: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept = dict([*self._kept.items(), (key, read())][-_KEPT:])
        return self._kept[key]

    def passed_on(self, period: BillingPeriod, known: Known) -> Sequence[PassedOn]:
        """See `chargeback.late.Usage`."""
        return passed_on(self._data_dir, period, known.card, known.at)

    def _month(self, period: BillingPeriod) -> UsageTable:
        if period not in self._months:
            t_from, t_to = read_span(period)
            self._months[period] = UsageTable(self._intervals.read(t_from=t_from, t_to=t_to))
        return self._months[period]


def total_of(statements: Iterable[Issued]) -> tuple[Sum, ...]:
    """What statements come to, per currency."""
    found: Counter[tuple[str, int]] = Counter()
    for each in statements:
        found[each.currency, each.minor_digits] += each.total_minor
    return tuple(Sum("total", *key, amount) for key, amount in found.items())


def load(app: App, card: RateCard) -> Books:
    """The books as they stand."""
    with app.session() as session:
        return Books(app, session, card)


def ledger_files(app: App) -> LedgerFiles:
    """The ledger's files of this data directory."""
    return LedgerFiles(app.settings.ledger_dir)


def month_of(month: str, card: RateCard) -> BillingPeriod:
    """The period of a text like ``2026-10``. Raises InvalidInput."""
    try:
        return BillingPeriod.parse(month, card.time_zone)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def content_of(documents: Documents) -> str:
    """The documents as they are kept with a period: enough to make its statements again."""
    catalog = documents.catalog
    content = {
        "tiers": list(catalog.tiers),
        "tenants": list(catalog.tenants),
        "cost_centres": list(catalog.cost_centres),
        "files": dict(documents.texts),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    assert agreed_of(text) == (documents.rate_card, documents.terms), (
        "the rate cards and terms in use are not those of the files they were read from"
    )
    return text


def agreed_of(content: str) -> tuple[RateCard, Terms]:
    """The rate card and the terms of documents that were kept."""
    kept = json.loads(content)
    cards = load_rate_cards(kept["files"], kept["tiers"])
    known = References(kept.get("tenants", ()), kept.get("cost_centres", ()), kept["tiers"], cards)
    terms = load_terms(kept["files"], known)
    return terms.stack.base if terms.stack else cards[0], terms


def _final(session: Session, row: BillingPeriodRow, present: RateCard) -> Final:
    return Final(
        row,
        ledger_store.documents(session, row),
        present,
        ledger_store.statements(session, row.period),
    )


@contextmanager
def _unpriced_is_invalid() -> Iterator[None]:
    """Usage without a rate, or an amount without one of exchange, as an error for the person who asked."""
    try:
        yield
    except Inapplicable as error:
        raise InvalidInput(str(error)) from None
    except UnpricedUsage as error:
        msg, *details = str(error).splitlines()
        raise InvalidInput(msg, details=details) from None
