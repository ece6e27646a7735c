"""What a provider billed, on the statements of those whose machines it was for: passed on, never priced again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargeback.money import format_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard

if TYPE_CHECKING:
    from chargeback.statements import Row


@dataclass(frozen=True, slots=True)
class PassedOn:
    """One row of a bill that was taken in (`chargeback.focus.bills`). `bill` tells the bill from all others."""

    values: Mapping[str, str | int]
    period: BillingPeriod
    card: RateCard
    bill: str

    @property
    def id(self) -> str:
        """Names the row among all items of all periods, as `Line.id` does a line."""
        return f"{self.values['line']}/bill-{self.bill}"

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return str(self.values["tenant"])

    @property
    def amount_minor(self) -> int:
        """What the provider asks, in minor units."""
        return int(self.values["amount_minor"])

    @property
    def list_amount_minor(self) -> int:
        """The same: a provider's list prices are not ours."""
        return self.amount_minor

    @property
    def amount(self) -> str:
        """The amount with the currency's decimals."""
        return format_minor(self.amount_minor, self.card.minor_digits)

    @property
    def note(self) -> str:
        """What was billed, by whom; a correction of theirs is no correction of ours, and says so here."""
        said = str(self.values["note"])
        return f"{said}; a correction by the provider" if self.values["charge_class"] else said

    def row(self, statement: str) -> "Row":
        """The row as one of `chargeback.statements.COLUMNS`."""
        own = {"statement": statement, "line": self.id, "charge_class": "", "note": self.note}
        return {name: value for name, value in self.values.items() if name not in self.allocated} | own

    @property
    def allocated(self) -> dict[str, str]:
        """What FOCUS 1.3 and later say of a split cost, where it is one."""
        return {name: str(value) for name, value in self.values.items() if name.startswith("Allocated")}


def of_tenant(items: Iterable[PassedOn]) -> dict[str, tuple[PassedOn, ...]]:
    """Tenant -> what is passed on to it, in its order."""
    found: dict[str, tuple[PassedOn, ...]] = {}
    for item in items:
        found[item.tenant] = (*found.get(item.tenant, ()), item)
    return found


def other_currency(items: Sequence[PassedOn], billed: RateCard) -> str:
    """Why these cannot stand on a statement by `billed`; empty where they can."""
    wrong = [item for item in items if item.values["currency"] != billed.currency]
    if not wrong:
        return ""
    return (
        f"a provider's bill for {wrong[0].tenant} is in {wrong[0].values['currency']}, and its statement in "
        f"{billed.currency}; have it billed in {wrong[0].values['currency']} (section fx), or map it to another tenant"
    )
