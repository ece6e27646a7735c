"""Each unit costs the same."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from chargeback.shape import Price, Shape, Step, money, times


class Unit(Shape):
    """Quantity x price. A rate that has a plain `price` has this shape."""

    linear: ClassVar[bool] = True

    kind: Literal["unit"] = "unit"
    price_nanos: Annotated[Price, Field(alias="price")]

    def price(self, quantity: Fraction) -> Fraction:
        """Without the detour over steps, as most of a bill is priced here."""
        return quantity * self.price_nanos

    def terms(self, quantity: Fraction) -> list[Step]:
        """One product."""
        return [times(quantity, self.price_nanos)]

    def text(self) -> str:
        """The price alone: ``0.0042``."""
        return money(self.price_nanos)
