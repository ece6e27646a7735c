"""What each machine costs, by what is charged for."""

from chargeback.books import NONE, Books, Row
from chargeback.report import Column, Report, Table
from chargeback.report_sums import (
    SUM_COLUMNS,
    grouped,
    largest_first,
    report,
    stacked,
    sum_cells,
    sums,
)

COLUMNS = (
    Column("machine", "Machine"),
    Column("tenant", "Tenant"),
    Column("tier", "Tier"),
    Column("identity", "Identity"),
    *SUM_COLUMNS[1:],
)


def make(books: Books) -> Report:
    """One row a machine, largest first; what is of no machine stands in one row.

    A machine that changed its tenant or tier in the month names both.
    """
    groups = grouped(books.rows, lambda row: str(row["machine"]))
    parts = {machine: sums(rows) for machine, rows in groups.items()}
    order = largest_first({machine: part.amount for machine, part in parts.items()})
    names = {m: _joined(rows, "machine_name") or m or NONE for m, rows in groups.items()}
    table = Table(
        "Cost per machine",
        COLUMNS,
        tuple(
            (
                names[m],
                _joined(groups[m], "tenant"),
                _joined(groups[m], "tier"),
                m,
                *sum_cells(parts[m], books.total_minor)[1:],
            )
            for m in order
        ),
    )
    chart = stacked(
        "Machines by cost", [(names[m], groups[m]) for m in order], lambda row: str(row["metric"])
    )
    return report(books, "machine", table.title, table, charts=(chart,))


def _joined(rows: list[Row], name: str) -> str:
    return ", ".join(sorted({str(row.get(name, "")) for row in rows} - {""}))
