"""The month's statements: charges of the month, and corrections of months that were issued before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import select

from chargeback.charges import priced_quantity
from chargeback.money import exact_text, format_minor, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.rating import Grain, UnpricedUsage, rate
from chargeback.statements import Correction, Line, Statement, corrections, statements, with_corrections
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store.tables import IssuedPeriodRow, MachineRow
from tierwise.usecases.metering import epoch, interval_store, meter

Row = dict[str, Any]


@dataclass(frozen=True)
class Bill:
    """All tenants' statements of one period. `rows` are the lines as printed and exported."""

    period: BillingPeriod
    card: RateCard
    statements: tuple[Statement, ...]
    known_at: int
    issued: bool
    complete: bool
    """Whether the period was over when it was known; an unfinished one is billed so far."""
    names: Mapping[str, str]
    """Machine id -> name."""

    @property
    def rows(self) -> list[Row]:
        """One row per machine, metric and rate, then corrections; see `chargeback.statements.COLUMNS`."""
        return [row for statement in self.statements for row in self.rows_of(statement)]

    def rows_of(self, statement: Statement) -> list[Row]:
        """The rows of one tenant's statement, with the machine's name beside its id."""
        return [
            {**row, "machine_name": self.names.get(str(row["machine"]), "")} for row in statement.rows()
        ]

    @property
    def total_minor(self) -> int:
        """The sum of all statements, in minor units."""
        return sum(statement.total_minor for statement in self.statements)

    @property
    def note(self) -> str:
        """What kind of bill this is, in a sentence."""
        known = datetime.fromtimestamp(self.known_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        state = "issued, as known at" if self.issued else "not issued, as known at"
        so_far = "" if self.complete else "; the month is not over: this is what it cost so far"
        return f"{state} {known}{so_far}; lines are rounded once each ({self.card.rounding.value})"


def bill(app: App, month: str, *, known_at: datetime | None = None, issue: bool = False) -> Bill:
    """The statements of a month: as issued, or as known now or at a moment in the past.

    `issue` makes the present knowledge final: facts that come later become corrections on the
    statements of the next month. Raises InvalidInput for a month that cannot be issued.
    """
    card = app.documents.rate_card
    period = _period(month, card)
    meter(app)
    now = epoch(app.clock.now())
    with app.session() as session:
        rows = session.exec(select(IssuedPeriodRow).order_by(IssuedPeriodRow.period))
        issued = {row.period: epoch(row.known_at) for row in rows}
        names = {machine.id: machine.name for machine in session.exec(select(MachineRow))}
    if issue:
        _issue(app, period, card, issued, now)
    known = _known(period, issued, known_at, now)
    found = _statements(app, card, period, issued, known)
    return Bill(
        period,
        card,
        tuple(found),
        known,
        issued=period.name in issued and known_at is None,
        complete=period.t_to <= known,
        names=names,
    )


def _period(month: str, card: RateCard) -> BillingPeriod:
    try:
        return BillingPeriod.parse(month, card.time_zone)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def _known(period: BillingPeriod, issued: dict[str, int], known_at: datetime | None, now: int) -> int:
    if known_at is not None:
        return min(epoch(known_at), now)
    return issued.get(period.name, now)


def _issue(app: App, period: BillingPeriod, card: RateCard, issued: dict[str, int], now: int) -> None:
    if period.name in issued:
        return
    if period.t_to > now:
        msg = f"{period.name} is not over in {card.time_zone}; it can be issued when it is"
        raise InvalidInput(msg)
    later = max(issued, default="")
    if later > period.name:
        msg = f"{later} was issued already; {period.name} cannot be issued after it"
        raise InvalidInput(msg)
    due = _period(later, card).next.name if later else period.name
    if period.name != due:
        msg = f"{due} was not issued; issue it first, or what it cost would never be charged"
        raise InvalidInput(msg)
    # Rated before it is written down: a month that cannot be priced is not issued.
    _statements(app, card, period, issued, now)
    with app.session() as session:
        session.add(IssuedPeriodRow(period=period.name, rate_card=card.label, known_at=app.clock.now()))
        session.commit()
    issued[period.name] = now


def _statements(
    app: App, card: RateCard, period: BillingPeriod, issued: dict[str, int], known: int
) -> list[Statement]:
    usage = interval_store(app).read()
    own = _rated(usage, card, period, known)
    late: list[Correction] = []
    for name in sorted(issued):
        if name >= period.name:
            break
        stated_at = max(k for other, k in issued.items() if name <= other < period.name)
        if stated_at < known:
            earlier = _period(name, card)
            late += corrections(
                _rated(usage, card, earlier, stated_at), _rated(usage, card, earlier, known)
            )
    return with_corrections(own, late, period, card)


def _rated(usage: Any, card: RateCard, period: BillingPeriod, known: int) -> list[Statement]:
    try:
        return statements(rate(usage, card, [period], known, grain=Grain.MACHINE), card)
    except UnpricedUsage as error:
        msg, *details = str(error).splitlines()
        raise InvalidInput(msg, details=details) from None


def summary(statement: Statement) -> list[Row]:
    """A statement's lines added up per tier, metric and rate, then its corrections.

    `amount` is the sum of lines that were rounded one by one; `rounding` is what that adds to
    quantity x rate, shown to six digits.
    """
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in statement.lines:
        groups[line.charge.tier, line.charge.rate.id].append(line)
    corrected = [
        {**correction.row(statement.id), "machines": 1, "rounding": ""}
        for correction in statement.corrections
    ]
    return [_added_up(group, statement) for group in groups.values()] + corrected


def _added_up(group: Sequence[Line], statement: Statement) -> Row:
    card = statement.card
    first = group[0].charge
    amount_minor = sum(line.amount_minor for line in group)
    quantity_seconds = sum(line.charge.quantity_seconds for line in group)
    exact_minor = sum(line.charge.amount_nanos for line in group) * 10**card.minor_digits / 10**9
    return {
        "tier": first.tier,
        "metric": first.rate.metric.value,
        "machines": len({line.charge.machine for line in group}),
        "quantity": exact_text(priced_quantity(first.rate, quantity_seconds, first.per_s)),
        "unit": first.rate.unit,
        "rate_id": first.rate.id,
        "rate": first.rate.price_text,
        "amount": format_minor(amount_minor, card.minor_digits),
        "amount_minor": amount_minor,
        "rounding": format_minor(
            round_to_minor((amount_minor - exact_minor) / 10**card.minor_digits * 10**9, 6, card.rounding),
            6,
        ),
        "charge_class": "",
        "period": statement.period.name,
    }
