"""A flat amount for the block that the quantity reaches, however far it reaches into it."""

from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from chargeback.shape import Step, TieredShape, money


class Block(TieredShape):
    """The flat amount of the highest block reached, or with ``charged: each`` of every block reached."""

    kind: Literal["block"]
    charged: Literal["highest", "each"] = Field(
        default="highest", description="Which of the blocks reached."
    )

    @model_validator(mode="after")
    def _only_flat(self) -> Self:
        if any(tier.price_nanos for tier in self.tiers):
            msg = "a block has a flat amount and no price per unit; write flat, or use graduated or whole_quantity"
            raise ValueError(msg)
        return self

    def terms(self, quantity: Fraction) -> list[Step]:
        """Of each block that is charged, its amount."""
        reached = [tier for above, _, tier in self.spans() if not above or quantity > above]
        charged = reached if self.charged == "each" else reached[-1:]
        return [Step(f"flat {money(tier.flat_nanos)}", Fraction(tier.flat_nanos)) for tier in charged]

    def price_above(self, bound: Fraction) -> Fraction:
        """With the block that begins there."""
        following = next(tier for above, _, tier in self.spans() if above == bound and above > 0)
        below = self.price(bound) if self.charged == "each" else Fraction(0)
        return below + following.flat_nanos

    def text(self) -> str:
        """``block: flat 5 to 10, flat 9 above``."""
        return self._text("block" if self.charged == "highest" else "each block")
