"""The first units of each window are free."""

from fractions import Fraction
from typing import ClassVar, Literal

from chargeback.money import exact_text
from chargeback.shape import InnerShape, Quantity, Shape, Step


class Allowance(Shape):
    """What `of` charges for the quantity above `free`."""

    inner: ClassVar[tuple[str, ...]] = ("of",)

    kind: Literal["allowance"]
    free: Quantity
    of: InnerShape

    def terms(self, quantity: Fraction) -> list[Step]:
        """The free part, and those of `of` for the rest."""
        free = min(quantity, self.free)
        return [Step(f"{exact_text(free)} free", Fraction(0)), *self.of.terms(quantity - free)]

    def warnings(self) -> list[str]:
        """Those of `of`, whose quantities count from the allowance on."""
        return [f"above {exact_text(self.free)} free: {warning}" for warning in self.of.warnings()]

    def text(self) -> str:
        """``0.02 above 10 free``."""
        return f"{self.of.text()} above {exact_text(self.free)} free"
