"""So many percent more or less for machines with certain labels."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from chargeback.adjustment import (
    PERCENT,
    Outcome,
    Part,
    Run,
    SignedPercentNanos,
    Stage,
    Term,
    percent_text,
    total,
)


class TagFactor(Term):
    """Adds `percent` (negative: takes it off) to lines with the labels of `applies_to`."""

    stage: ClassVar = Stage.TAG_FACTOR
    form: ClassVar = {
        "required": ["applies_to"],
        "properties": {
            "applies_to": {"required": ["labels"], "properties": {"labels": {"minProperties": 1}}}
        },
    }

    kind: Literal["tag_factor"]
    percent: SignedPercentNanos

    @model_validator(mode="after")
    def _by_labels(self) -> Self:
        if not self.applies_to.labels:
            msg = "must name the labels it is for: applies_to: {labels: {os: windows}}"
            raise ValueError(msg)
        return self

    @property
    def hangs_on(self) -> str:
        """Nothing but the lines."""
        return ""

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """Rounded once for all lines of the tenant's month that have the labels."""
        base = total(matched)
        more = run.rounded(base, self.percent, PERCENT) if base > 0 else 0
        if not more:
            return None
        rate = percent_text(self.percent)
        return Outcome(more, rate, f"{rate} of {run.shown(base)} = {run.shown(more)}")
