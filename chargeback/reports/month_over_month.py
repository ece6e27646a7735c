"""What changed since the month before, the largest movers first; --by says what is compared."""

from fractions import Fraction

from chargeback.books import Books, dimension
from chargeback.report import Chart, Column, Kind, Report, Shape, Table
from chargeback.report_sums import CHARTED, grouped, report, shown, sums

COMPARES = True


def make(books: Books) -> Report:
    """One row for each value of the dimension (the tenant, unless asked for another).

    There is no change in percent from nothing. Each month's amount is what was billed with it,
    corrections included.
    """
    by = books.by or "tenant"
    key = dimension(by, books.directory)
    then, present = (
        {name: sums(rows).amount for name, rows in grouped(side, key).items()}
        for side in (books.before, books.rows)
    )
    moves = {name: present.get(name, 0) - then.get(name, 0) for name in {*then, *present}}
    order = sorted(moves, key=lambda name: (-abs(moves[name]), name))
    before = books.period.previous
    columns = (
        Column(by.replace("-", "_").replace(":", "_"), by.replace("-", " ").capitalize()),
        Column("before", before.name, Kind.MONEY, adds=True),
        Column("amount", books.period.name, Kind.MONEY, adds=True),
        Column("change", "Change", Kind.MONEY, adds=True),
        Column("change_share", "Change in %", Kind.SHARE),
    )
    rows = tuple(
        (
            shown(name), then.get(name, 0), present.get(name, 0), moves[name],
            Fraction(moves[name], abs(then[name])) if then.get(name) else None,
        )
        for name in order
    )  # fmt: skip
    table = Table(f"Change by {by.replace('-', ' ')}", columns, rows)
    movers = order[:CHARTED]
    chart = Chart(
        "Largest movers",
        tuple(map(shown, movers)),
        (
            (before.name, tuple(then.get(name, 0) for name in movers)),
            (books.period.name, tuple(present.get(name, 0) for name in movers)),
        ),
        Shape.GROUPED,
    )
    note = f"{before.name} had {before.hours} h, {books.period.name} has {books.period.hours} h"
    return report(books, "month-over-month", "Month over month", table, charts=(chart,), notes=(note,))
