"""So many percent off, more of them the more the tenant's month costs."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import WithJsonSchema, model_validator

from catalog.base import Value
from chargeback.adjustment import (
    AMOUNT_MAX_NANOS,
    PERCENT,
    Nanos,
    Outcome,
    Part,
    PercentNanos,
    Run,
    Stage,
    Step,
    Term,
    percent_text,
    total,
    within,
)
from chargeback.json_forms import MONEY_OR_NOTHING, only
from chargeback.money import divided
from chargeback.rates import Currency


class VolumeMode(StrEnum):
    """Whether the step that the month reaches counts for all of it, or each step for the amount within it."""

    WHOLE = "whole"
    GRADUATED = "graduated"


class VolumeStep(Value):
    """From which amount of the month on how many percent are taken off."""

    from_amount: Annotated[
        Nanos, within(0, AMOUNT_MAX_NANOS, "at least 0 and at most 10^12"), WithJsonSchema(MONEY_OR_NOTHING)
    ]
    percent: PercentNanos


class PercentageDiscount(Term):
    """Takes `percent` off what it applies to; with `steps`, by the tenant's amount of the month."""

    stage: ClassVar = Stage.PERCENTAGE
    form: ClassVar = {"oneOf": [only(("percent",), ("steps",)), only(("steps", "currency"), ("percent",))]}

    kind: Literal["percentage_discount"]
    percent: PercentNanos | None = None
    steps: tuple[VolumeStep, ...] = ()
    mode: VolumeMode = VolumeMode.WHOLE
    currency: Currency | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.percent is None) == (not self.steps):
            msg = "must have either percent or steps"
            raise ValueError(msg)
        if self.steps and self.currency is None:
            msg = "steps are amounts of money; add their currency"
            raise ValueError(msg)
        if any(low.from_amount >= high.from_amount for low, high in pairwise(self.steps)):
            msg = "steps must rise: each 'from_amount' larger than the one before"
            raise ValueError(msg)
        return self

    @property
    def hangs_on(self) -> str:
        """The month's amount where it has steps, else nothing but the lines."""
        return super().hangs_on if self.steps else ""

    def amounts(self) -> Iterable[int]:
        """Where its steps begin."""
        return (step.from_amount for step in self.steps)

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """Rounded once for the tenant's month; nothing where the month costs nothing."""
        base = total(matched)
        if base <= 0:
            return None
        bands = self._bands(base, run)
        off = divided(sum(amount * percent for amount, percent in bands), PERCENT, run.card.rounding)
        if not off:
            return None
        formula = " + ".join(f"{percent_text(percent)} of {run.shown(amount)}" for amount, percent in bands)
        steps = tuple(
            Step(f"reduced by {percent_text(percent)}", run.shown(amount)) for amount, percent in bands
        )
        rate = percent_text(-bands[0][1]) if len(bands) == 1 else ""
        return Outcome(-off, rate, f"{formula} = {run.shown(-off)}", steps)

    def _bands(self, base: int, run: Run) -> list[tuple[int, int]]:
        """Amounts of the month in minor units, and the nano-percent that each is reduced by."""
        if self.percent is not None:
            return [(base, self.percent)]
        assert self.currency is not None, "checked when made"
        edges = [(run.minor(self, step.from_amount, self.currency), step.percent) for step in self.steps]
        reached = [edge for edge in edges if edge[0] <= base]
        if not reached:
            return []
        if self.mode is VolumeMode.WHOLE:
            return [(base, reached[-1][1])]
        ends = [*(edge[0] for edge in reached[1:]), base]
        return [
            (end - low, percent) for (low, percent), end in zip(reached, ends, strict=True) if end > low
        ]
