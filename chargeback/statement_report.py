"""A tenant's statement as a report: what is forwarded to whoever pays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from chargeback.books import NONE, Books, Row, amount
from chargeback.money import spelled
from chargeback.report import Cell, Chart, Column, InvalidReport, Kind, Report, Table
from chargeback.report_sums import MONTHS, grouped, report, stacked, sums
from chargeback.statements import COLUMNS

METRICS: Mapping[str, str] = {
    "vcpu": "vCPU", "memory_mib": "Memory", "disk_gib": "Disk", "machine": "Machine",
}  # fmt: skip
"""What people call the metrics; others keep their names."""

SUMMARY = (
    Column("tier", "Tier"),
    Column("machines", "Machines", Kind.COUNT),
    Column("charges", "Charges", Kind.MONEY, adds=True),
    Column("adjustments", "Adjustments", Kind.MONEY, adds=True),
    Column("corrections", "Corrections", Kind.MONEY, adds=True),
    Column("amount", "Amount", Kind.MONEY, adds=True),
    Column("share", "Share", Kind.SHARE),
)

LINES = (
    Column("tier", "Tier"),
    Column("machine", "Machine"),
    Column("item", "Item"),
    Column("quantity", "Quantity", Kind.NUMBER),
    Column("unit", "Unit"),
    Column("rate", "Rate", Kind.NUMBER),
    Column("amount", "Amount", Kind.MONEY, adds=True),
)

CORRECTIONS = (
    Column("period", "Month"),
    Column("machine", "Machine"),
    Column("item", "Item"),
    Column("change", "Stated -> known now"),
    Column("amount", "Amount", Kind.MONEY, adds=True),
)

NO_TIER = "without tier"
"""What a row is of that belongs to no tier."""

EXPORTED = (*COLUMNS, "machine_name")
"""The columns of the statement's CSV."""

_MINOR = frozenset({"amount_minor", "list_amount_minor"})
_NUMBERS = frozenset({"quantity", "hours", "rate", "amount"})


def statement_report(books: Books, tenant: str) -> Report:
    """The statement of one tenant: by tier, line by line, and corrections of earlier months.

    Raises InvalidReport for a tenant that has no statement in the month.
    """
    mine = books.where([("tenant", tenant)])
    if not mine.rows:
        tenants = sorted({str(row["tenant"]) for row in books.rows})
        msg = f"{tenant} has no statement of {books.period.name}; {', '.join(tenants) or 'nobody'} has"
        raise InvalidReport(msg)
    own = [row for row in mine.rows if not row["charge_class"]]
    late = [row for row in mine.rows if row["charge_class"]]
    lines, corrections = _lines(own), _corrections(late)
    booked = lines.total("amount") + corrections.total("amount")
    assert booked == mine.total_minor, (tenant, booked, mine.total_minor)
    found = report(
        mine, "statement", f"Statement {_numbers(mine.rows)}", _summary(mine), lines,
        *([corrections] if late else []), charts=(_chart(mine),), notes=_notes(corrected=bool(late)),
    )  # fmt: skip
    return replace(found, facts=_facts(mine, tenant), data=_data(mine.rows))


def _numbers(rows: Iterable[Row]) -> str:
    return ", ".join(sorted({str(row["statement"]) for row in rows}))


def _facts(books: Books, tenant: str) -> tuple[tuple[str, str], ...]:
    known, period, rows = books.directory, books.period, books.rows
    length_s = period.t_to - period.t_from
    days = (length_s + 43_200) // 86_400  # A month with a clock change is half an hour or an hour off.
    centres = sorted({str(row["cost_centre"]) for row in rows})
    listed = sum(int(row["list_amount_minor"]) for row in rows)
    reduced = books.total_minor - listed
    facts = [
        ("Tenant", _titled(tenant, known.tenant_titles)),
        ("Cost centre", ", ".join(_titled(name, known.cost_centre_titles) for name in centres)),
        ("Statement", _numbers(rows)),
        ("Period", f"1 to {days} {MONTHS[period.month - 1]} {period.year} ({period.time_zone})"),
        ("Currency", books.currency),
        ("Rate card", ", ".join(sorted({str(row["rate_card"]) for row in rows}))),
    ]
    if reduced:
        money = [spelled(minor, books.minor_digits, books.currency) for minor in (listed, reduced)]
        facts += [("At list price", money[0]), ("Reductions" if reduced < 0 else "Surcharges", money[1])]
    if tenant in known.showback:
        facts.append(("Billing", "showback: shown for information, not invoiced"))
    return tuple(facts)


def _titled(name: str, titles: Mapping[str, str]) -> str:
    title = titles.get(name, "")
    return f"{title} ({name})" if title and title != name else name


def _summary(books: Books) -> Table:
    tiers = _by_tier(books)
    total = books.total_minor
    rows: list[tuple[Cell, ...]] = []
    for tier, group in tiers.items():
        part = sums(group)
        share = Fraction(part.amount, total) if total else None
        money = (part.charges, part.adjustments, part.corrections, part.amount)
        rows.append((tier, part.machines, *money, share))
    return Table("By tier", SUMMARY, tuple(rows))


def _lines(rows: Sequence[Row]) -> Table:
    ordered = sorted(
        rows,
        key=lambda row: (
            not row["tier"],
            str(row["tier"]),
            _machine(row),
            _metric_place(row),
            str(row["line"]),
        ),
    )
    cells = tuple(
        (
            _tier(row), _machine(row), item(row), str(row["quantity"]), str(row["unit"]),
            str(row["rate"]), amount(row),
        )
        for row in ordered
    )  # fmt: skip
    return Table("Lines", LINES, cells, band="tier")


def _corrections(rows: Sequence[Row]) -> Table:
    ordered = sorted(rows, key=lambda row: (str(row["period"]), _machine(row), str(row["line"])))
    cells = tuple(
        (str(row["period"]), _machine(row), item(row), str(row["note"]), amount(row)) for row in ordered
    )
    return Table("Corrections of earlier months", CORRECTIONS, cells)


def _machine(row: Row) -> str:
    return str(row.get("machine_name") or row["machine"])


def item(row: Row) -> str:
    """What is charged for, in words: the metric, or what a row without one says of itself."""
    metric = str(row["metric"])
    return METRICS.get(metric, metric) or str(row["note"] or row["rate_id"] or NONE)


def _chart(books: Books) -> Chart:
    return stacked("What it is made of", list(_by_tier(books).items()), _kind)


def _by_tier(books: Books) -> dict[str, list[Row]]:
    """The rows of each tier; at the end those that are of none, such as a credit."""
    tiers = grouped(books.rows, _tier)
    return {tier: tiers[tier] for tier in sorted(tiers, key=lambda tier: (tier == NO_TIER, tier))}


def _tier(row: Row) -> str:
    return str(row["tier"]) or NO_TIER


def _metric_place(row: Row) -> int:
    known = list(METRICS)
    return known.index(str(row["metric"])) if row["metric"] in METRICS else len(known)


def _kind(row: Row) -> str:
    metric = str(row["metric"])
    return METRICS.get(metric, metric) or str(row["charge_category"])


def _notes(*, corrected: bool) -> tuple[str, ...]:
    notes = [
        "each line is quantity x rate, rounded once; the total is the sum of the lines as they are printed",
        "quantities are exact: 529 59/60 is 529 and 59 sixtieths",
    ]
    if corrected:
        notes.append(
            "a correction is the difference between a line of an earlier statement and what is known of it now"
        )
    return tuple(notes)


def _data(rows: Sequence[Row]) -> Table:
    return Table(
        "Data",
        tuple(_exported(name) for name in EXPORTED),
        tuple(tuple(_cell(row, name) for name in EXPORTED) for row in rows),
    )


def _exported(name: str) -> Column:
    if name in _MINOR:
        return Column(name, name, Kind.COUNT, adds=True)
    return Column(name, name, Kind.NUMBER if name in _NUMBERS else Kind.TEXT)


def _cell(row: Row, name: str) -> Cell:
    return row[name] if name in _MINOR else str(row.get(name, ""))
