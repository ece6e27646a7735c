"""A committed quantity is paid whether it is used or not; what is used above it has its own price."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from chargeback.money import exact_text
from chargeback.shape import InnerShape, Price, Quantity, Shape, Step, money


class Commitment(Shape):
    """The amount for the committed quantity, and what `overage` charges for the quantity above it."""

    inner: ClassVar[tuple[str, ...]] = ("overage",)

    kind: Literal["commitment"]
    committed: Quantity
    amount_nanos: Annotated[Price, Field(alias="amount", description="For all of the committed quantity.")]
    overage: InnerShape

    def terms(self, quantity: Fraction) -> list[Step]:
        """The committed amount, and those of `overage` where there is any."""
        paid = Step(
            f"{exact_text(self.committed)} committed for {money(self.amount_nanos)}",
            Fraction(self.amount_nanos),
        )
        over = quantity - self.committed
        return [paid, *(self.overage.terms(over) if over > 0 else [])]

    def warnings(self) -> list[str]:
        """Those of `overage`, whose quantities count from the commitment on."""
        return [
            f"above {exact_text(self.committed)} committed: {warning}"
            for warning in self.overage.warnings()
        ]

    def text(self) -> str:
        """``50 for 100 committed, then 0.6``."""
        return f"{money(self.amount_nanos)} for {exact_text(self.committed)} committed, then {self.overage.text()}"
