"""The quantity is converted and rounded to whole units before it is priced."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from chargeback.money import Rounding, divided, exact_text
from chargeback.shape import InnerShape, Quantity, Shape, Step

_WORDS = {"none": "", "ceiling": " rounded up", "floor": " rounded down", "half-up": " rounded half up"}


class Rounded(Shape):
    """What `of` charges for quantity / `divide_by`, made whole by `rule`."""

    inner: ClassVar[tuple[str, ...]] = ("of",)

    kind: Literal["rounded"]
    rule: Literal["none", "ceiling", "floor", "half-up"]
    divide_by: Annotated[Quantity, Field(validate_default=True)] = Fraction(1)
    of: InnerShape

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if not self.divide_by:
            msg = "divide_by must be above zero"
            raise ValueError(msg)
        return self

    def billed(self, quantity: Fraction) -> Fraction:
        """The quantity that is priced."""
        exact = Fraction(quantity * self.divide_by.denominator, self.divide_by.numerator)
        match self.rule:
            case "none":
                return exact
            case "ceiling":
                return Fraction(-(-exact // 1))
            case "floor":
                return Fraction(exact // 1)
            case "half-up":
                return Fraction(divided(exact.numerator, exact.denominator, Rounding.HALF_UP))

    def terms(self, quantity: Fraction) -> list[Step]:
        """What is billed, and those of `of` for it."""
        billed = self.billed(quantity)
        by = "" if self.divide_by == 1 else f" by {exact_text(self.divide_by)}"
        return [
            Step(f"{exact_text(quantity)}{by}{_WORDS[self.rule]} is {exact_text(billed)}", Fraction(0)),
            *self.of.terms(billed),
        ]

    def warnings(self) -> list[str]:
        """Those of `of`."""
        return self.of.warnings()

    def text(self) -> str:
        """``0.02 per 1000, rounded up``."""
        by = "" if self.divide_by == 1 else f" per {exact_text(self.divide_by)}"
        return f"{self.of.text()}{by}{_WORDS[self.rule].replace(' ', ', ', 1)}"
