"""pandas frames of bills, usage, budgets and reports: for notebooks and analysis, exact all the same.

Amounts are Arrow decimals with the currency's decimals, or whole minor units; quantities, rates and
hours are `fractions.Fraction`, as not all of them have a finite decimal. No column is a binary float,
so that every sum equals the bill to the last digit.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from chargeback.books import Row
from chargeback.budgets import Budget
from chargeback.labels import labels_of
from chargeback.money import format_minor, nanos_to_text
from chargeback.report import Kind, Report
from chargeback.statements import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

_FRACTIONS = ("quantity", "hours", "rate")
_MINOR = ("amount_minor", "list_amount_minor")
_DIGITS_MAX = 38
_USAGE_TIMES = ("t_from", "t_to", "recorded_at")


def charges(rows: Iterable[Row]) -> "pd.DataFrame":
    """The rows of a bill (`chargeback.statements.COLUMNS`, with ``machine_name`` where rows have it).

    ``amount`` and ``list_amount`` are decimals, ``quantity``, ``hours`` and ``rate`` fractions (None
    where a row has none), ``charge_from`` and ``charge_to`` UTC times. Each label is a column
    ``label:KEY`` too. Raises ValueError for amounts whose decimals differ within one currency.
    """
    import pandas as pd  # noqa: PLC0415 - a second that only this needs

    known = list(rows)
    names = (*COLUMNS, "machine_name") if any("machine_name" in row for row in known) else COLUMNS
    texts = (name for name in names if name not in _MINOR)
    columns: dict[str, Any] = {
        name: pd.Series([row.get(name, "") for row in known], dtype="str") for name in texts
    }
    digits = _digits(known)
    for name in _FRACTIONS:
        columns[name] = pd.Series([fraction(str(row[name])) for row in known], dtype=object)
    for name in _MINOR:
        columns[name] = _integers([row[name] for row in known])
    columns["amount"] = _decimals([str(row["amount"]) for row in known], digits)
    columns["list_amount"] = _decimals(
        [format_minor(int(row["list_amount_minor"]), digits) for row in known], digits
    )
    for name in ("charge_from", "charge_to"):
        columns[name] = pd.to_datetime(columns[name], utc=True)
    order = (*names, "list_amount")
    return pd.DataFrame({**{name: columns[name] for name in order}, **_labels(known)})


def usage(table: Any) -> "pd.DataFrame":
    """Usage intervals (`chargeback.usage.SCHEMA`) with whole quantities and UTC times.

    ``quantity_seconds`` is quantity x seconds, as Python integers: they may exceed 64 bits together.
    """
    import pandas as pd  # noqa: PLC0415 - a second that only this needs

    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    seconds = [to - begin for begin, to in zip(columns["t_from"], columns["t_to"], strict=True)]
    frame = pd.DataFrame(
        {name: _series(name, values) for name, values in columns.items()}, columns=table.column_names
    )
    worth = [quantity * s for quantity, s in zip(columns["quantity"], seconds, strict=True)]
    return frame.assign(seconds=_integers(seconds), quantity_seconds=pd.Series(worth, dtype=object))


def budgets(known: Sequence[Budget], minor_digits: Mapping[str, int]) -> "pd.DataFrame":
    """The budgets, ``amount`` as a decimal; `minor_digits` are the decimals of each currency."""
    import pandas as pd  # noqa: PLC0415 - a second that only this needs

    digits = max((minor_digits[budget.currency] for budget in known), default=2)
    fields = (
        "name",
        "title",
        "tenant",
        "cost_centre",
        "tier",
        "pool",
        "currency",
        "first_month",
        "last_month",
    )
    columns: dict[str, Any] = {
        field: pd.Series([getattr(budget, field) for budget in known], dtype=object) for field in fields
    }
    columns["amount"] = _decimals([nanos_to_text(budget.amount) for budget in known], digits)
    columns["labels"] = pd.Series([dict(budget.labels) for budget in known], dtype=object)
    columns["thresholds"] = pd.Series([budget.thresholds for budget in known], dtype=object)
    return pd.DataFrame(columns)


def report(found: Report) -> "pd.DataFrame":
    """What a report gives to programs: money as decimals, shares and quantities as fractions."""
    import pandas as pd  # noqa: PLC0415 - a second that only this needs

    table = found.export
    columns: dict[str, Any] = {}
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in table.rows]
        if column.kind is Kind.MONEY:
            texts = [None if c is None else format_minor(int(c), found.minor_digits) for c in cells]
            columns[column.name] = _decimals(texts, found.minor_digits)
        elif column.kind is Kind.COUNT:
            columns[column.name] = _integers(cells)
        elif column.kind is Kind.NUMBER:
            columns[column.name] = pd.Series([fraction(str(c or "")) for c in cells], dtype=object)
        else:
            columns[column.name] = pd.Series(cells, dtype=object)
    return pd.DataFrame(columns)


def fraction(text: str) -> Fraction | None:
    """The number of a text by `money.exact_text`: ``-529 59/60``, ``0.018``; None for an empty one."""
    if not text:
        return None
    size = sum((Fraction(part) for part in text.removeprefix("-").split()), Fraction(0))
    return -size if text.startswith("-") else size


def _digits(rows: Sequence[Row]) -> int:
    """How many decimals the amounts have; the most of any row, where currencies differ."""
    by_currency: dict[object, set[int]] = {}
    for row in rows:
        decimals = len(str(row["amount"]).partition(".")[2])
        by_currency.setdefault(row["currency"], set()).add(decimals)
    for currency, found in by_currency.items():
        if len(found) > 1:
            msg = f"amounts in {currency} have {sorted(found)} decimals; take the rows of one bill"
            raise ValueError(msg)
    return max((max(found) for found in by_currency.values()), default=2)


def _labels(rows: Sequence[Row]) -> dict[str, list[str]]:
    parsed = {text: labels_of(text) for text in {str(row["labels"]) for row in rows}}
    keys = sorted({key for found in parsed.values() for key in found})
    return {f"label:{key}": [parsed[str(row["labels"])].get(key, "") for row in rows] for key in keys}


def _decimals(texts: Sequence[str | None], digits: int) -> "pd.Series[Any]":
    import pandas as pd  # noqa: PLC0415 - as above
    import pyarrow as pa  # noqa: PLC0415 - as above

    kind = pa.decimal128(_DIGITS_MAX, digits)
    return pd.Series(pa.array(texts, pa.string()).cast(kind), dtype=pd.ArrowDtype(kind))


def _integers(values: Sequence[Any]) -> "pd.Series[Any]":
    import pandas as pd  # noqa: PLC0415 - as above
    import pyarrow as pa  # noqa: PLC0415 - as above

    return pd.Series(pa.array(values, pa.int64()), dtype=pd.ArrowDtype(pa.int64()))


def _series(name: str, values: Sequence[Any]) -> Any:
    import pandas as pd  # noqa: PLC0415 - as above

    if name in _USAGE_TIMES:
        return pd.to_datetime(pd.Series(values, dtype="int64"), unit="s", utc=True)
    return _integers(values) if name in {"quantity", "sequence"} else values
