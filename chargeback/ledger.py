"""The ledger: what statements said when their period was closed, line by line, under numbers.

A statement's number is its place among the period's statements by tenant: ``ST-2026-10-0031``. Its
lines are numbered from 1, corrections of earlier periods after its own lines.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from chargeback.money import spelled
from chargeback.periods import BillingPeriod
from chargeback.statements import COLUMNS, Row, Statement

LEDGER_COLUMNS = (*COLUMNS, "machine_name", "number", "corrects_statement")
"""The columns of a booked line. `number` is its place on its statement, `corrects_statement` the number of
the statement that had the line which this one corrects; empty where no statement had it."""

SCHEMA: Any = pa.schema([
    pa.field(name, pa.int64() if name == "number" or name.endswith("_minor") else pa.string(), nullable=False)
    for name in LEDGER_COLUMNS
])  # fmt: skip
"""The Arrow form of booked lines."""


@dataclass(frozen=True, slots=True)
class Issued:
    """One numbered statement: what its lines add up to, and how many there are."""

    number: str
    position: int
    tenant: str
    lines: int
    total_minor: int
    currency: str
    minor_digits: int


class Sum(NamedTuple):
    """What rows of one kind and currency come to; a company may bill tenants in several currencies."""

    kind: str
    currency: str
    minor_digits: int
    amount_minor: int

    @property
    def text(self) -> str:
        """``EUR 1,412.60``."""
        return spelled(self.amount_minor, self.minor_digits, self.currency)


def sums(rows: Iterable[Row], kind: Callable[[Row], str] = lambda _row: "") -> tuple[Sum, ...]:
    """The amounts of rows added up by kind and currency, in the order in which these occur."""
    found: Counter[tuple[str, str, int]] = Counter()
    for row in rows:
        digits = len(str(row["amount"]).partition(".")[2])
        found[kind(row), str(row["currency"]), digits] += int(row["amount_minor"])
    return tuple(Sum(*key, amount) for key, amount in found.items())


def sums_text(found: Iterable[Sum]) -> str:
    """``EUR 412.60 and USD 3.00``."""
    return " and ".join(each.text for each in found)


@dataclass(frozen=True, slots=True)
class Check:
    """Three sums that must be one: of the lines, of the statements, and of what the ledger holds.

    Minor units of all currencies in one number: it says nothing but whether the three agree.
    """

    lines_minor: int
    statements_minor: int
    ledger_minor: int

    @property
    def difference_minor(self) -> int:
        """The largest difference between two of them."""
        sums = (self.lines_minor, self.statements_minor, self.ledger_minor)
        return max(sums) - min(sums)


def statement_number(period: BillingPeriod, position: int) -> str:
    """``ST-2026-10-0031`` for the 31st tenant of a period; more digits where there are more tenants."""
    return f"ST-{period.name}-{position:04d}"


def exact_number(text: str) -> Fraction:
    """What `chargeback.money.exact_text` wrote: ``529 59/60``. Raises ValueError for other text."""
    whole, _, part = text.partition(" ")
    sign = -1 if text.startswith("-") else 1
    return Fraction(whole) + (sign * Fraction(part) if part else 0)


def booked(
    statements: Sequence[Statement], names: Mapping[str, str], earlier: Mapping[str, str]
) -> tuple[list[Issued], list[Row]]:
    """The period's statements with their numbers, and all their lines as they are booked.

    `names` gives machines their names, `earlier` the number of the statement that had a line of an
    earlier period. Raises ValueError where statements are not of one period, by tenant, one each.
    """
    tenants = [statement.tenant for statement in statements]
    if tenants != sorted(set(tenants)) or len({statement.period for statement in statements}) > 1:
        msg = f"statements of one period must come by tenant, one each: {', '.join(tenants)}"
        raise ValueError(msg)
    found: list[Issued] = []
    rows: list[Row] = []
    for position, statement in enumerate(statements, 1):
        number = statement_number(statement.period, position)
        before = len(rows)
        for place, row in enumerate(statement.rows(), 1):
            rows.append({
                **row, "statement": number, "machine_name": names.get(str(row["machine"]), ""),
                "number": place, "corrects_statement": earlier.get(str(row["corrects"]), ""),
            })  # fmt: skip
        found.append(
            Issued(
                number, position, statement.tenant, len(rows) - before, statement.total_minor,
                statement.card.currency, statement.card.minor_digits,
            )
        )  # fmt: skip
    return found, rows


def to_table(rows: Iterable[Row]) -> Any:
    """Booked lines as a `pyarrow.Table` of `SCHEMA`."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def checked(rows: Iterable[Row], statements: Iterable[Issued], table: Any) -> Check:
    """The three sums; the ledger's is taken from the table that is kept."""
    return Check(
        lines_minor=sum(int(row["amount_minor"]) for row in rows),
        statements_minor=sum(statement.total_minor for statement in statements),
        ledger_minor=pc.sum(table["amount_minor"]).as_py() or 0,
    )


def disagreements(held: Iterable[Row], made: Iterable[Row]) -> Iterator[str]:
    """What booked lines (`held`) say that statements made again (`made`) do not, in words.

    Rows are compared in all columns that the ledger has: it may be older than a column.
    """
    old, new = ({str(row["line"]): row for row in rows} for rows in (held, made))
    for line, row in old.items():
        again = new.get(line)
        if again is None:
            yield f"{row['statement']} line {row['number']} ({line}): booked, and not charged now"
        else:
            yield from _differences(row, again)
    for line in new.keys() - old.keys():
        yield f"{line}: charged now ({new[line]['amount']}), and not booked"


def _differences(row: Row, again: Row) -> Iterator[str]:
    for column, value in row.items():
        if again[column] != value:
            yield (
                f"{row['statement']} line {row['number']} ({row['line']}): {column} is booked as '{value}', "
                f"and would be '{again[column]}' now"
            )


def misnumbered(statements: Sequence[Issued], rows: Iterable[Row], period: BillingPeriod) -> Iterator[str]:
    """Where the numbers of a closed period have gaps, or its sums are not those of its lines."""
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for row in rows:
        number = str(row["statement"])
        counts[number] += 1
        sums[number] += int(row["amount_minor"])
        if row["number"] != counts[number]:
            yield f"{number}: line {counts[number]} has the number {row['number']}"
    for position, statement in enumerate(statements, 1):
        number = statement.number
        if number != statement_number(period, position):
            yield f"{number} stands where {statement_number(period, position)} belongs"
        if (counts.pop(number, 0), sums[number]) != (statement.lines, statement.total_minor):
            yield f"{number}: its lines do not add up to what it says, {statement.total_minor} minor units"
    yield from (f"{number}: there are lines, and no such statement" for number in counts)
