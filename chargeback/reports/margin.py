"""What each tier cost and what was recovered for it; --cost says what a tier cost."""

from fractions import Fraction

from chargeback.books import Books
from chargeback.report import Chart, Column, InvalidReport, Kind, Report, Shape, Table
from chargeback.report_sums import grouped, report, shown, sums

COLUMNS = (
    Column("tier", "Tier"),
    Column("cost", "Cost", Kind.MONEY, adds=True),
    Column("amount", "Recovered", Kind.MONEY, adds=True),
    Column("margin", "Margin", Kind.MONEY, adds=True),
    Column("recovered_share", "Recovered in %", Kind.SHARE),
)


def make(books: Books) -> Report:
    """One row a tier that cost anything or was charged for."""
    cost = books.directory.cost_minor
    if not cost:
        msg = "nothing is known of what the tiers cost; say it, as in --cost tier-1=12000.00"
        raise InvalidReport(msg)
    recovered = {
        tier: sums(rows).amount for tier, rows in grouped(books.rows, lambda r: str(r["tier"])).items()
    }
    tiers = sorted({*cost, *recovered})
    rows = tuple(
        (
            shown(tier), cost.get(tier, 0), recovered.get(tier, 0),
            recovered.get(tier, 0) - cost.get(tier, 0),
            Fraction(recovered.get(tier, 0), cost[tier]) if cost.get(tier) else None,
        )
        for tier in tiers
    )  # fmt: skip
    table = Table("Margin per tier", COLUMNS, rows)
    chart = Chart(
        "Cost and recovery",
        tuple(map(shown, tiers)),
        (
            ("Cost", tuple(cost.get(tier, 0) for tier in tiers)),
            ("Recovered", tuple(recovered.get(tier, 0) for tier in tiers)),
        ),
        Shape.GROUPED,
    )
    missing = [shown(tier) for tier in tiers if tier not in cost]
    notes = (f"no cost is known of {', '.join(missing)}; it counts as 0",) if missing else ()
    return report(books, "margin", table.title, table, charts=(chart,), notes=notes)
