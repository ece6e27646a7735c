"""The tier that contains the quantity prices all of it."""

from fractions import Fraction
from typing import Literal

from chargeback.shape import Step, TieredShape, money, times


class WholeQuantity(TieredShape):
    """Quantity x the tier's price, and the tier's flat amount. `volume` is another name for it.

    Such prices can fall when the quantity rises past a bound; `warnings` says where.
    """

    kind: Literal["whole_quantity", "volume"]

    def terms(self, quantity: Fraction) -> list[Step]:
        """The flat amount, if the tier has one, and the product."""
        tier = self.tier_of(quantity)
        flat = (
            [Step(f"flat {money(tier.flat_nanos)}", Fraction(tier.flat_nanos))] if tier.flat_nanos else []
        )
        return [*flat, times(quantity, tier.price_nanos)]

    def price_above(self, bound: Fraction) -> Fraction:
        """By the next tier's prices."""
        following = next(tier for above, _, tier in self.spans() if above == bound and above > 0)
        return following.flat_nanos + bound * following.price_nanos

    def text(self) -> str:
        """``whole quantity: 0.3 to 10, 0.2 above``."""
        return self._text("whole quantity")
