"""A fixed amount for each window, and a price for each unit in it."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from chargeback.shape import Price, Shape, Step, money, times


class FixedVariable(Shape):
    """Fixed + quantity x price. In the window `moment` the fixed amount is per unit of time, like the price."""

    kind: Literal["fixed_variable"] = "fixed_variable"
    fixed_nanos: Annotated[Price, Field(alias="fixed")]
    price_nanos: Annotated[Price, Field(alias="price")]

    def terms(self, quantity: Fraction) -> list[Step]:
        """Both parts."""
        return [
            Step(f"fixed {money(self.fixed_nanos)}", Fraction(self.fixed_nanos)),
            times(quantity, self.price_nanos),
        ]

    def text(self) -> str:
        """``fixed 10 + 1``."""
        return f"fixed {money(self.fixed_nanos)} + {money(self.price_nanos)}"
