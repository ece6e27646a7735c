"""At least an amount for each window."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from chargeback.shape import InnerShape, Price, Shape, Step, money
from chargeback.shapes.maximum import Maximum


class Minimum(Shape):
    """What `of` charges, or the amount where that is less. A window without any usage is not charged at all."""

    inner: ClassVar[tuple[str, ...]] = ("of",)

    kind: Literal["minimum"]
    amount_nanos: Annotated[Price, Field(alias="amount")]
    of: InnerShape

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if isinstance(self.of, Maximum) and self.of.amount_nanos < self.amount_nanos:
            msg = f"the minimum {money(self.amount_nanos)} is above the maximum {money(self.of.amount_nanos)}; one of them can never be kept"
            raise ValueError(msg)
        return self

    def terms(self, quantity: Fraction) -> list[Step]:
        """Those of `of`, and what is missing to the minimum."""
        found = self.of.terms(quantity)
        missing = self.amount_nanos - sum((step.nanos for step in found), Fraction(0))
        return (
            [*found, Step(f"up to the minimum {money(self.amount_nanos)}", missing)]
            if missing > 0
            else found
        )

    def warnings(self) -> list[str]:
        """Those of `of`."""
        return self.of.warnings()

    def text(self) -> str:
        """``0.02, at least 5``."""
        return f"{self.of.text()}, at least {money(self.amount_nanos)}"
