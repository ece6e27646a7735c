"""What reports are made of: a month's bill as rows, and what is known of those who appear in it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from chargeback.budgets import Budget
from chargeback.labels import labels_of
from chargeback.periods import BillingPeriod
from chargeback.report import InvalidReport

Row = Mapping[str, str | int]
"""A row of `chargeback.statements.COLUMNS`, with ``machine_name`` where that is known."""

NONE = "(none)"
"""What people read where a row has no value to be grouped by."""

LABEL = "label:"


@dataclass(frozen=True, slots=True)
class Directory:
    """Names and kinship that rows do not say. `parents` are child -> parent, roots left out.

    `showback` are the tenants whose cost is reported and not invoiced; `hypervisors` is pool -> kind;
    `cost_minor` is what a tier cost the provider in the month, in minor units.
    """

    tenant_titles: Mapping[str, str] = field(default_factory=dict)
    cost_centre_titles: Mapping[str, str] = field(default_factory=dict)
    tenant_parents: Mapping[str, str] = field(default_factory=dict)
    cost_centre_parents: Mapping[str, str] = field(default_factory=dict)
    showback: frozenset[str] = frozenset()
    hypervisors: Mapping[str, str] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    cost_minor: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Books:
    """One month's bill in one currency.

    `known_at` is the moment of its knowledge in UTC epoch seconds; `final` whether it was issued.
    `before` is the bill of the month before, for comparison. `by` is what the reader asked to group by.
    """

    period: BillingPeriod
    currency: str
    minor_digits: int
    rows: Sequence[Row]
    known_at: int
    final: bool = False
    note: str = ""
    before: Sequence[Row] = ()
    directory: Directory = Directory()
    by: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidReport where rows are in another currency."""
        strange = sorted({str(row["currency"]) for row in (*self.rows, *self.before)} - {self.currency})
        if strange:
            msg = f"amounts in {', '.join(strange)} cannot be added to {self.currency}; ask for one currency at a time"
            raise InvalidReport(msg)

    def where(self, conditions: Iterable[tuple[str, str]]) -> Self:
        """The books of only those rows that have all these values of dimensions."""
        tests = [(dimension(name, self.directory), value) for name, value in conditions]

        def kept(rows: Sequence[Row]) -> tuple[Row, ...]:
            return tuple(row for row in rows if all(key(row) == value for key, value in tests))

        return replace(self, rows=kept(self.rows), before=kept(self.before))

    @property
    def total_minor(self) -> int:
        """The sum of all rows."""
        return sum(amount(row) for row in self.rows)


def amount(row: Row) -> int:
    """A row's amount in minor units."""
    found = row["amount_minor"]
    assert isinstance(found, int), f"amount_minor is no whole number: {row}"
    return found


def _column(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


DIMENSIONS: Mapping[str, str] = {
    "tenant": "who owns the machines",
    "cost-centre": "who pays",
    "tier": "the tier",
    "hypervisor": "the kind of hypervisor that the pool runs on",
    "pool": "the pool",
    "class": "the workload class, the label `class`",
    "machine": "the machine's identity",
    "metric": "what is charged for",
    "period": "the month that a row is about; a correction's is an earlier one",
    "category": "`Usage`, `Purchase`, `Credit` or `Adjustment`",
    "label:KEY": "the value of the label KEY",
}
"""What rows can be grouped and selected by."""


def dimension(name: str, directory: Directory) -> Callable[[Row], str]:
    """What tells a row's value of a dimension; empty where it has none. Raises InvalidReport."""
    if name.startswith(LABEL):
        return _label(name.removeprefix(LABEL))
    if name == "class":
        return _label("class")
    if name == "hypervisor":
        return lambda row: directory.hypervisors.get(str(row["pool"]), "")
    if name not in DIMENSIONS:
        msg = f"rows cannot be grouped by '{name}'; known are {', '.join(DIMENSIONS)}"
        raise InvalidReport(msg)
    return _column({"category": "charge_category"}.get(name, name.replace("-", "_")))


def _label(key: str) -> Callable[[Row], str]:
    found: dict[str, str] = {}

    def value(row: Row) -> str:
        # A bill has few different texts of labels and many rows.
        text = str(row["labels"])
        if text not in found:
            found[text] = labels_of(text).get(key, "")
        return found[text]

    return value
