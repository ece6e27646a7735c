"""What is invoiced and what is only shown, per tenant."""

from chargeback.books import Books
from chargeback.report import Chart, Column, Kind, Report, Table
from chargeback.report_sums import grouped, largest_first, report, shown, sums

COLUMNS = (
    Column("tenant", "Tenant"),
    Column("title", "Title"),
    Column("billing", "Billing"),
    Column("invoiced", "Invoiced", Kind.MONEY, adds=True),
    Column("shown", "Only shown", Kind.MONEY, adds=True),
    Column("amount", "Amount", Kind.MONEY, adds=True),
)


def make(books: Books) -> Report:
    """One row a tenant; each amount stands under one of the two."""
    known = books.directory
    amounts = {
        tenant: sums(rows).amount
        for tenant, rows in grouped(books.rows, lambda row: str(row["tenant"])).items()
    }
    order = largest_first(amounts)
    free = [tenant in known.showback for tenant in order]
    rows = tuple(
        (
            shown(tenant), known.tenant_titles.get(tenant, ""), "showback" if only_shown else "chargeback",
            0 if only_shown else amounts[tenant], amounts[tenant] if only_shown else 0, amounts[tenant],
        )
        for tenant, only_shown in zip(order, free, strict=True)
    )  # fmt: skip
    table = Table("Showback and chargeback", COLUMNS, rows)
    chart = Chart(
        "Invoiced and only shown",
        ("Invoiced", "Only shown"),
        (("Amount", (table.total("invoiced"), table.total("shown"))),),
    )
    note = "tenants with `billing: showback` in the catalog are shown what they cost and not invoiced"
    return report(books, "showback", table.title, table, charts=(chart,), notes=(note,))
