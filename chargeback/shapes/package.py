"""Packs of a size; a started pack is paid in full."""

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chargeback.money import exact_text
from chargeback.shape import Price, Quantity, Shape, Step, money, times


class Package(Shape):
    """Packs, rounded up, x price; no pack for a quantity of zero."""

    kind: Literal["package"]
    size: Quantity
    price_nanos: Annotated[Price, Field(alias="price", description="Per pack.")]

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if not self.size:
            msg = "size must be above zero"
            raise ValueError(msg)
        return self

    def terms(self, quantity: Fraction) -> list[Step]:
        """One product of packs."""
        step = times(Fraction(-(-quantity // self.size)), self.price_nanos)
        return [
            Step(f"{exact_text(quantity)} in packs of {exact_text(self.size)}: {step.text}", step.nanos)
        ]

    def text(self) -> str:
        """``5 per started pack of 10``."""
        return f"{money(self.price_nanos)} per started pack of {exact_text(self.size)}"
