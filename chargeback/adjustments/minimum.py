"""The least that a month costs."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from catalog.base import Name
from chargeback.adjustment import MoneyNanos, Outcome, Part, Run, Stage, Term, total
from chargeback.json_forms import NEEDS_TENANTS
from chargeback.rates import Currency


class Minimum(Term):
    """Charges what a finished month lacks to `amount`, for each of its tenants, also one that used nothing.

    `cost_centre` is charged where there is no line to carry it.
    """

    stage: ClassVar = Stage.MINIMUM
    frequency: ClassVar = "Recurring"
    needs_no_line: ClassVar = True
    form: ClassVar = NEEDS_TENANTS

    kind: Literal["minimum"]
    amount: MoneyNanos
    currency: Currency
    cost_centre: Name

    @model_validator(mode="after")
    def _of_tenants(self) -> Self:
        if not self.applies_to.tenants:
            msg = "must name its tenants, as it is charged without usage too: applies_to: {tenants: [shop]}"
            raise ValueError(msg)
        return self

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """Nothing before the month is over: more may be used until then."""
        base, agreed = total(matched), run.minor(self, self.amount, self.currency)
        if not run.final or base >= agreed:
            return None
        lacks = agreed - base
        note = f"minimum {run.shown(agreed)} - {run.shown(base)} = {run.shown(lacks)}"
        return Outcome(lacks, "", note)
