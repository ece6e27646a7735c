"""An amount promised for each month, and another price for what goes beyond it."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from catalog.base import Name
from chargeback.adjustment import (
    FactorNanos,
    MoneyNanos,
    Outcome,
    Part,
    Run,
    Stage,
    Step,
    Term,
    total,
)
from chargeback.json_forms import NEEDS_TENANTS
from chargeback.money import NANOS_PER_UNIT, nanos_to_text
from chargeback.rates import Currency


class Commitment(Term):
    """Each of its tenants pays `amount` a month in any case, and `overage_factor` times what goes beyond it.

    Without a factor what goes beyond costs what it costs.
    `cost_centre` is charged where there is no line to carry a shortfall.
    """

    stage: ClassVar = Stage.COMMITMENT
    frequency: ClassVar = "Recurring"
    needs_no_line: ClassVar = True
    form: ClassVar = NEEDS_TENANTS

    kind: Literal["commitment"]
    amount: MoneyNanos
    currency: Currency
    overage_factor: FactorNanos | None = None
    cost_centre: Name

    @model_validator(mode="after")
    def _of_tenants(self) -> Self:
        if not self.applies_to.tenants:
            msg = "must name its tenants, as it is charged without usage too: applies_to: {tenants: [shop]}"
            raise ValueError(msg)
        return self

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """The shortfall of a finished month, or what overage costs more or less than its list price."""
        base, agreed = total(matched), run.minor(self, self.amount, self.currency)
        if base < agreed:
            return self._shortfall(base, agreed, run)
        over = base - agreed
        if self.overage_factor is None:
            return None
        more = run.rounded(over, self.overage_factor - NANOS_PER_UNIT, NANOS_PER_UNIT)
        if not more:
            return None
        factor = nanos_to_text(self.overage_factor)
        steps = (
            Step("committed", run.shown(agreed)),
            Step("beyond it", run.shown(over)),
            Step(f"at {factor} times the price", run.shown(over + more)),
        )
        note = (
            f"{run.shown(over)} beyond {run.shown(agreed)} at {factor} times the price: {run.shown(more)}"
        )
        return Outcome(more, f"x {factor}", note, steps)

    def _shortfall(self, base: int, agreed: int, run: Run) -> Outcome | None:
        if not run.final:
            return None
        lacks = agreed - base
        note = f"committed {run.shown(agreed)} - {run.shown(base)} = shortfall {run.shown(lacks)}"
        return Outcome(lacks, "", note)
