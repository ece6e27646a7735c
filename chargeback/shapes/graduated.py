"""Each tier prices the part of the quantity that lies in it."""

from fractions import Fraction
from typing import Literal

from chargeback.shape import Step, TieredShape, money, times


class Graduated(TieredShape):
    """The sum over all tiers that the quantity reaches: flat amount + part x price."""

    kind: Literal["graduated"]

    def terms(self, quantity: Fraction) -> list[Step]:
        """Of each tier reached, what it charges."""
        found = []
        for above, to, tier in self.spans():
            if above and quantity <= above:
                break
            if tier.flat_nanos:
                found.append(Step(f"flat {money(tier.flat_nanos)}", Fraction(tier.flat_nanos)))
            part = (quantity if to is None else min(quantity, to)) - above
            if tier.price_nanos or not tier.flat_nanos:
                found.append(times(part, tier.price_nanos))
        return found

    def text(self) -> str:
        """``graduated: 0.3 to 10, 0.2 above``."""
        return self._text("graduated")
