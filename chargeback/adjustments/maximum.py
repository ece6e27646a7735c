"""The most that a month costs."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from chargeback.adjustment import MoneyNanos, Outcome, Part, Run, Stage, Term, total
from chargeback.rates import Currency


class Maximum(Term):
    """Takes off what a tenant's month costs above `amount`."""

    stage: ClassVar = Stage.MAXIMUM

    kind: Literal["maximum"]
    amount: MoneyNanos
    currency: Currency

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """What lies above."""
        base, agreed = total(matched), run.minor(self, self.amount, self.currency)
        if base <= agreed:
            return None
        above = base - agreed
        note = f"maximum {run.shown(agreed)} - {run.shown(base)} = {run.shown(-above)}"
        return Outcome(-above, "", note)
