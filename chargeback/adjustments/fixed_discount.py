"""An amount off each month."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from chargeback.adjustment import MoneyNanos, Outcome, Part, Run, Stage, Term, total
from chargeback.rates import Currency


class FixedDiscount(Term):
    """Takes `amount` off what it applies to, each month and for each tenant, at most what that costs."""

    stage: ClassVar = Stage.FIXED
    frequency: ClassVar = "Recurring"

    kind: Literal["fixed_discount"]
    amount: MoneyNanos
    currency: Currency

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """The amount, or what there is."""
        base, agreed = total(matched), run.minor(self, self.amount, self.currency)
        off = min(base, agreed)
        if off <= 0:
            return None
        return Outcome(-off, "", f"{run.shown(agreed)} off {run.shown(base)} = {run.shown(-off)}")
