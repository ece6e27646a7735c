"""What each budget has left, and what the month will cost at the rate of its days so far."""

from fractions import Fraction

from chargeback.books import Books, Row, amount
from chargeback.budgets import Budget
from chargeback.instants import utc_text
from chargeback.money import Rounding, divided
from chargeback.report import Chart, Column, InvalidReport, Kind, Report, Shape, Table
from chargeback.report_sums import report
from chargeback.report_trees import ancestors

COLUMNS = (
    Column("budget", "Budget"),
    Column("scope", "For"),
    Column("budgeted", "Budget", Kind.MONEY),
    Column("actual", "To date", Kind.MONEY),
    Column("used", "Used", Kind.SHARE),
    Column("forecast", "Forecast", Kind.MONEY),
    Column("forecast_used", "Forecast used", Kind.SHARE),
    Column("left", "Left", Kind.MONEY),
    Column("state", "State"),
)


def make(books: Books) -> Report:
    """One row a budget of the month, in the documents' order.

    The forecast is the amount to date, and for the rest of the month usage at the rate of the month
    so far: to date + usage to date x seconds left / seconds gone. Fees, credits and corrections are
    not repeated. When the month is over it is what the month cost.
    """
    due = [
        budget for budget in books.directory.budgets
        if budget.holds(books.period.name) and budget.currency == books.currency
    ]  # fmt: skip
    if not due:
        msg = (
            f"there is no budget in {books.currency} for {books.period.name}; write one under 'budgets:' "
            "in the catalog folder (docs/reference/reports.md)"
        )
        raise InvalidReport(msg)
    rows, spent, awaited = [], [], []
    for budget in due:
        mine = [row for row in books.rows if counts(budget, row, books)]
        spent.append(sum(map(amount, mine)))
        awaited.append(forecast(mine, books))
        rows.append(_cells(budget, budget.minor(books.minor_digits), spent[-1], awaited[-1]))
    chart = Chart(
        "Budgets",
        tuple(budget.title or budget.name for budget in due),
        (
            ("Budget", tuple(budget.minor(books.minor_digits) for budget in due)),
            ("To date", tuple(spent)),
            ("Forecast", tuple(awaited)),
        ),
        Shape.GROUPED,
    )
    table = Table("Budgets", COLUMNS, tuple(rows))
    notes = (_forecast_note(books), "a row may count for several budgets, so they are not added up")
    return report(books, "budgets", "Budgets", table, charts=(chart,), notes=notes)


def counts(budget: Budget, row: Row, books: Books) -> bool:
    """Whether a row counts for a budget; tenants and cost centres include all below them."""
    known = books.directory
    above = {
        "tenant": known.tenant_parents, "cost_centre": known.cost_centre_parents, "tier": {}, "pool": {},
    }  # fmt: skip
    for field, parents in above.items():
        wanted = getattr(budget, field)
        if wanted is not None and wanted not in ancestors(str(row[field]), parents):
            return False
    has = dict(part.partition("=")[::2] for part in str(row["labels"]).split(",") if part)
    return all(has.get(key) == value for key, value in budget.labels.items())


def forecast(rows: list[Row], books: Books) -> int:
    """What these rows will have come to at the end of the month, in minor units."""
    gone = min(max(books.known_at - books.period.t_from, 0), _length(books))
    to_date = sum(map(amount, rows))
    running = sum(
        amount(row) for row in rows
        if row["charge_frequency"] == "Usage-Based" and not row["charge_class"]
    )  # fmt: skip
    if not gone:
        return to_date
    return to_date + divided(running * (_length(books) - gone), gone, Rounding.HALF_UP)


def _length(books: Books) -> int:
    return books.period.t_to - books.period.t_from


def _cells(budget: Budget, limit: int, spent: int, awaited: int) -> tuple[str | int | Fraction | None, ...]:
    return (
        budget.title or budget.name, scope(budget), limit, spent, Fraction(spent, limit), awaited,
        Fraction(awaited, limit), limit - spent, state(budget, limit, spent, awaited),
    )  # fmt: skip


def scope(budget: Budget) -> str:
    """``tenant payroll, tier tier-1``; ``everything`` where it has no conditions."""
    fields = ("tenant", "cost_centre", "tier", "pool")
    said = [f"{field.replace('_', ' ')} {value}" for field in fields if (value := getattr(budget, field))]
    said += [f"{key}={value}" for key, value in sorted(budget.labels.items())]
    return ", ".join(said) or "everything"


def state(budget: Budget, limit: int, spent: int, awaited: int) -> str:
    """The highest threshold that is passed, and the highest that the forecast passes beyond it."""
    passed, coming = (
        max((step for step in budget.thresholds if 100 * value >= step * limit), default=0)
        for value in (spent, awaited)
    )
    said = [f"{passed} % passed"] if passed else []
    said += [f"{coming} % forecast"] if coming > passed else []
    return ", ".join(said) or "ok"


def _forecast_note(books: Books) -> str:
    if books.known_at >= books.period.t_to:
        return "the month is over: the forecast is what it cost"
    return (
        f"forecast: a projection, not a charge; to date ({utc_text(books.known_at)}) plus usage at the average "
        "rate of the month so far for its rest; fees, credits and corrections are not repeated"
    )
