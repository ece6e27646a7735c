"""Rows added up: what every report by something has in common."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from chargeback.books import NONE, Books, Row, amount, dimension
from chargeback.money import spelled
from chargeback.report import Cell, Chart, Column, Kind, Report, Shape, Table

CHARTED = 12
"""How many bars a chart has at most; what is smaller stands together in the last one."""

_ADJUSTING = frozenset({"Credit", "Adjustment"})


@dataclass(frozen=True, slots=True)
class Sums:
    """What rows cost, in minor units: charges, credits and adjustments, corrections; and of how many machines."""

    machines: int = 0
    charges: int = 0
    adjustments: int = 0
    corrections: int = 0

    @property
    def amount(self) -> int:
        """All of it."""
        return self.charges + self.adjustments + self.corrections


def sums(rows: Iterable[Row]) -> Sums:
    """All rows added up."""
    machines: set[str] = set()
    parts = {"charges": 0, "adjustments": 0, "corrections": 0}
    for row in rows:
        parts[_part(row)] += amount(row)
        if row["machine"]:
            machines.add(str(row["machine"]))
    return Sums(machines=len(machines), **parts)


def _part(row: Row) -> str:
    if row["charge_class"]:
        return "corrections"
    return "adjustments" if row["charge_category"] in _ADJUSTING else "charges"


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """The rows by key, keys sorted."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return {name: found[name] for name in sorted(found)}


SUM_COLUMNS = (
    Column("machines", "Machines", Kind.COUNT),
    Column("charges", "Charges", Kind.MONEY, adds=True),
    Column("adjustments", "Adjustments", Kind.MONEY, adds=True),
    Column("corrections", "Corrections", Kind.MONEY, adds=True),
    Column("amount", "Amount", Kind.MONEY, adds=True),
    Column("share", "Share", Kind.SHARE),
)
"""The columns of `sum_cells`."""


def sum_cells(part: Sums, total_minor: int) -> tuple[Cell, ...]:
    """The cells of `SUM_COLUMNS`; there is no share of nothing."""
    share = Fraction(part.amount, total_minor) if total_minor else None
    return (part.machines, part.charges, part.adjustments, part.corrections, part.amount, share)


def largest_first(amounts: Mapping[str, int]) -> list[str]:
    """The keys by amount, the largest first; equal amounts by name."""
    return sorted(amounts, key=lambda name: (-amounts[name], name))


def shown(name: str, titles: Mapping[str, str] | None = None) -> str:
    """A key as people read it."""
    return (titles or {}).get(name, name) or NONE


def by_dimension(
    books: Books,
    name: str,
    title: str,
    *,
    key_title: str,
    titles: Mapping[str, str] | None = None,
    stack: str = "tier",
) -> Report:
    """What each value of a dimension costs; the chart stacks it by another dimension.

    With `titles`, the second column has them, for names that people know by another.
    """
    key = dimension(name, books.directory)
    groups = grouped(books.rows, key)
    parts = {group: sums(rows) for group, rows in groups.items()}
    order = largest_first({group: part.amount for group, part in parts.items()})
    named = (Column("title", "Title"),) if titles is not None else ()
    rows = tuple(
        (
            shown(group),
            *((titles.get(group, ""),) if titles is not None else ()),
            *sum_cells(parts[group], books.total_minor),
        )
        for group in order
    )
    columns = (Column(name.replace("-", "_").replace(":", "_"), key_title), *named, *SUM_COLUMNS)
    chart = stacked(
        f"{title} by {stack}" if stack else title,
        [(shown(group, titles), groups[group]) for group in order],
        dimension(stack, books.directory) if stack else None,
    )
    return report(books, name.partition(":")[0], title, Table(title, columns, rows), charts=(chart,))


def stacked(
    title: str, bars: Sequence[tuple[str, Sequence[Row]]], key: Callable[[Row], str] | None
) -> Chart:
    """A bar for each label, cut by `key`; bars after the first `CHARTED` are one."""
    if len(bars) > CHARTED:
        rest = [row for _, rows in bars[CHARTED - 1 :] for row in rows]
        bars = [*bars[: CHARTED - 1], (f"{len(bars) - CHARTED + 1} others", rest)]
    cut = [
        {part: sums(rows).amount for part, rows in grouped(rows, key or (lambda _: "")).items()}
        for _, rows in bars
    ]
    parts = sorted({part for bar in cut for part in bar})
    return Chart(
        title,
        tuple(label for label, _ in bars),
        tuple(
            ((shown(part) if key else "Amount"), tuple(bar.get(part, 0) for bar in cut)) for part in parts
        ),
        Shape.STACKED,
    )


def report(
    books: Books,
    name: str,
    title: str,
    *tables: Table,
    charts: tuple[Chart, ...] = (),
    notes: tuple[str, ...] = (),
    total_minor: int | None = None,
) -> Report:
    """A report on these books. What the first table's ``amount`` adds up to must be the total."""
    total = books.total_minor if total_minor is None else total_minor
    if "amount" in tables[0].names:
        assert tables[0].total("amount") == total, (name, tables[0].total("amount"), total)
    return Report(
        name=name, title=title, subtitle=subtitle(books), currency=books.currency,
        minor_digits=books.minor_digits, total_minor=total, tables=tables, charts=charts,
        notes=(*notes, *standing_notes(books)), status="" if books.final else "not issued",
        nothing=f"nothing was charged for in {subtitle(books)}",
    )  # fmt: skip


def subtitle(books: Books) -> str:
    """``October 2026, Europe/Berlin, 745 h``."""
    period = books.period
    return f"{MONTHS[period.month - 1]} {period.year}, {period.time_zone}, {period.hours} h"


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
"""The months' names, as nothing here asks the system for its language."""


def standing_notes(books: Books) -> tuple[str, ...]:
    """What every report says at its end."""
    corrected = sums(books.rows).corrections
    said = [books.note] if books.note else []
    if any(row["charge_class"] for row in books.rows):
        text = spelled(corrected, books.minor_digits, books.currency)
        said.append(f"corrections of earlier months are {text} of the amounts")
    return tuple(said)
