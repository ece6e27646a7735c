"""Where a line of a statement comes from, and whether the ledger is still what usage and rates give."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chargeback.adjustment_explained import TermExplanation, explain_adjustment, recompute_adjustment
from chargeback.explain import Cause, Explanation, Unexplained, explain, recompute
from chargeback.late import Known, Scope, charged_usage, of_tenants, stated
from chargeback.ledger import booked, disagreements, misnumbered
from chargeback.periods import BillingPeriod
from chargeback.statements import Correction, Item, Line, Statement, corrections
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.store.tables import MachineEventRow
from tierwise.usecases.books import Books, Final, load, month_of
from tierwise.usecases.causes import events_of, in_words
from tierwise.usecases.metering import epoch, meter

Row = dict[str, Any]

_NUMBER = re.compile(r"ST-(\d{4}-\d{2})-(\d{4,})", re.ASCII)
_LINE_ID = re.compile(r"(\d{4}-\d{2})/.+", re.ASCII)


@dataclass(frozen=True)
class Explained:
    """A line as it stands on its statement, and why."""

    row: Row
    explanation: Explanation | TermExplanation


@dataclass(frozen=True)
class Verified:
    """What making a closed period's statements again gave. No `problems`: the same, to the last byte."""

    period: str
    statements: int
    lines: int
    problems: Sequence[str]


def explain_line(app: App, wanted: str, number: int | None = None) -> Explained:
    """Why a line costs what it costs: line `number` of the statement ``ST-2026-10-0031``, or a line's id.

    Raises InvalidInput where there is no such line, and TierwiseError where usage and rates do not give
    what the ledger holds.
    """
    card = app.documents.rate_card
    meter(app)
    books = load(app, card)
    final, row, known = _found(app, books, wanted, number)
    period = final.period if final else month_of(row["line"][:7], known.card)
    item, before = _made(books, period, known, row)
    if item.amount_minor != row["amount_minor"]:
        msg = (
            f"{wanted}: {row['amount']} is booked, and usage and rates give {item.amount_minor} minor units now; "
            "`tierwise charge verify` says what else differs"
        )
        raise TierwiseError(msg)
    of_usage = item.item if isinstance(item, Correction) else item
    if not isinstance(item, Line | Correction) or not isinstance(of_usage, Line):
        term = explain_adjustment(item)
        assert recompute_adjustment(term) == item.amount_minor, f"{wanted}: {term}"
        return Explained(row, term)
    machine, of = str(row["machine"]), _period_of(row)
    known = known.billing(of)
    usage = charged_usage(books.usage, known, of, [machine])
    then = charged_usage(books.usage, before, of, [machine]) if before else None
    causes = _causes(events_of(app, [machine]))
    try:
        found = explain(item, usage, known, before=before, usage_before=then, causes=causes)
    except Unexplained as error:
        raise TierwiseError(str(error)) from None
    assert recompute(found) == item.amount_minor, f"{wanted}: the explanation gives {recompute(found)}"
    return Explained(row, found)


def verify(app: App, month: str | None = None) -> list[Verified]:
    """Make the statements of closed months again and compare them with the ledger; of one, or of all.

    Raises InvalidInput for a month that is not closed, and TierwiseError for a ledger that is damaged.
    """
    books = load(app, app.documents.rate_card)
    chosen = [final for final in books.closed if month in {None, final.name}]
    if month is not None and not chosen:
        msg = f"{month} is not closed; there is nothing to compare with"
        raise InvalidInput(msg)
    return [_verified(books, final) for final in chosen]


def _verified(books: Books, final: Final) -> Verified:
    if not final.booked:
        problem = (
            "closed by a version that kept no ledger; "
            f"`tierwise charge close {final.name}` books what it stated"
        )
        return Verified(final.name, 0, 0, [problem])
    held = books.rows(final)
    late = books.late(final.period, final.known)
    made = books.statements(final.period, final.known, late)
    earlier = books.numbers({each.period.name for each in late if each.corrections})
    issued, rows = booked(made, books.names, earlier)
    problems = [*disagreements(held, rows), *misnumbered(final.statements, held, final.period)]
    total = sum(row["amount_minor"] for row in held)
    if (final.row.lines, final.row.total_minor) != (len(held), total):
        problems.append(
            f"the period says {final.row.lines} lines and {final.row.total_minor} minor units, the ledger has "
            f"{len(held)} and {total}"
        )
    if not problems and [row["line"] for row in held] != [row["line"] for row in rows]:
        problems.append("the lines stand in another order")
    if not problems and issued != list(final.statements):
        problems.append("the statements have other numbers")
    return Verified(final.name, len(final.statements), len(held), problems)


def _found(app: App, books: Books, wanted: str, number: int | None) -> tuple[Final | None, Row, Known]:
    """The close that booked the line, or None; the line's row; and what it was made from."""
    by_number, by_id = _NUMBER.fullmatch(wanted), _LINE_ID.fullmatch(wanted)
    match = by_number or by_id
    if match is None or (by_number and number is None):
        msg = f"'{wanted}' names no line; give a statement and a line, like ST-2026-10-0031 --line 118, or a line's id"
        raise InvalidInput(msg)
    final = books.finals.get(match[1])
    if final and final.booked:
        rows = books.rows(final)
    elif by_number:
        msg = f"there is no statement {wanted}: {match[1]} is not closed; `tierwise charge periods` lists what is"
        raise InvalidInput(msg)
    else:
        rows = _rows_of_open(app, books, match[1])
    key = ("statement", "number") if by_number else ("line",)
    value = (wanted, number) if by_number else (wanted,)
    row = next((row for row in rows if tuple(row[name] for name in key) == value), None)
    if row is None:
        raise InvalidInput(_no_such_line(wanted, number, rows))
    known = final.known if final else books.now(epoch(app.clock.now()))
    return final, row, known


def _no_such_line(wanted: str, number: int | None, rows: Iterable[Row]) -> str:
    lines = [row["number"] for row in rows if row["statement"] == wanted] if number is not None else []
    if number is None:
        return f"there is no line '{wanted}'; `tierwise charge statement MONTH -o csv` lists the ids"
    if not lines:
        return f"there is no statement {wanted}; `tierwise charge statement MONTH` shows their numbers"
    return f"{wanted} has no line {number}; its lines are 1 to {max(lines)}"


def _rows_of_open(app: App, books: Books, month: str) -> list[Row]:
    period = month_of(month, books.card)
    final = books.finals.get(month)
    known = final.known if final else books.now(epoch(app.clock.now()))
    return booked(books.statements(period, known), books.names, {})[1]


def _made(
    books: Books, period: BillingPeriod, known: Known, row: Row
) -> tuple[Item | Correction, Known | None]:
    """The item of a row, made again; for a correction, with what was known before.

    From the usage of its machine alone, where that is all it depends on, else of its tenant's machines.
    """
    if row["charge_class"] != "Correction":
        items = {item.id: item for s in _stated(books, known, period, row) for item in s.items}
        return _one(items, str(row["line"])), None
    earlier = _period_of(row)
    known, before = known.billing(earlier), books.stated(earlier, period).billing(earlier)
    late = corrections(_stated(books, before, earlier, row), _stated(books, known, earlier, row))
    return _one({each.corrects: each for each in late}, str(row["corrects"])), before


def _stated(books: Books, known: Known, period: BillingPeriod, row: Row) -> list[Statement]:
    """The statements that have the row's item, or only what is needed of them."""
    if row["metric"]:  # no adjustment: those come after it
        known = known._replace(terms=known.terms.of_lines)
    if known.by_machine and row["machine"]:
        return stated(books.usage, known, period, Scope([str(row["machine"])]))
    months = (*known.terms.history(period), period)
    scope = of_tenants(books.usage, months, frozenset([str(row["tenant"])]))
    return stated(books.usage, known, period, scope)


def _period_of(row: Row) -> BillingPeriod:
    return BillingPeriod.parse(str(row["period"]), str(row["time_zone"]))


def _one(found: Mapping[str, Any], wanted: str) -> Any:
    if wanted not in found:
        msg = f"{wanted} does not follow from usage and rates any more; `tierwise charge verify` says what differs"
        raise TierwiseError(msg)
    return found[wanted]


def _causes(rows: Iterable[MachineEventRow]) -> list[Cause]:
    return [
        Cause(
            machine=row.machine, at=epoch(row.at), what=in_words(row), source=row.source, reference=row.key,
            recorded_at=epoch(row.recorded_at),
        )
        for row in rows
    ]  # fmt: skip
