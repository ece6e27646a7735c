"""At most an amount for each window: a cap."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from chargeback.shape import InnerShape, Price, Shape, Step, money


class Maximum(Shape):
    """What `of` charges, or the amount where that is more. `cap` is another name for it."""

    inner: ClassVar[tuple[str, ...]] = ("of",)

    kind: Literal["maximum", "cap"]
    amount_nanos: Annotated[Price, Field(alias="amount")]
    of: InnerShape

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        least = self.of.price(Fraction(0))
        if least > self.amount_nanos:
            msg = (
                f"the maximum {money(self.amount_nanos)} is below the {money(least)} that nothing at all costs already; "
                "raise it, or leave the rest out"
            )
            raise ValueError(msg)
        return self

    def terms(self, quantity: Fraction) -> list[Step]:
        """Those of `of`, and what is taken off down to the maximum."""
        found = self.of.terms(quantity)
        excess = sum((step.nanos for step in found), Fraction(0)) - self.amount_nanos
        return (
            [*found, Step(f"down to the maximum {money(self.amount_nanos)}", -excess)]
            if excess > 0
            else found
        )

    def warnings(self) -> list[str]:
        """Those of `of`."""
        return self.of.warnings()

    def text(self) -> str:
        """``0.02, at most 50``."""
        return f"{self.of.text()}, at most {money(self.amount_nanos)}"
