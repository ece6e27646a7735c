"""An edition of a product is no longer on sale."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

from tierwise.planner.change import Change
from tierwise.planner.changes.licence import editions, wrong_product
from tierwise.planner.selecting import Known, Mistake
from tierwise.planner.world import LicenceEdit, World


class Withdrawn(Change):
    """One alternative of a product can no longer be had."""

    summary: ClassVar[str] = (
        "an edition of a product is no longer on sale; what is owned of it stays until it ends"
    )
    example: ClassVar[str] = "{kind: withdrawn, product: hypervisor-suite, alternative: standard}"
    kind: Literal["withdrawn"]
    product: str
    alternative: str

    def __str__(self) -> str:
        return f"{self.product} ({self.alternative}) no longer on sale"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown names, and the last alternative of a product."""
        found = list(wrong_product(self.product, self.alternative, known))
        yield from found
        if not found and len(known.products[self.product]) == 1:
            yield (
                ("alternative",),
                f"'{self.product}' has no other alternative; close the pools or forbid the machines instead",
            )

    def touches(self, known: Known) -> frozenset[str]:
        """The alternative."""
        return frozenset({f"the sale of {self.product} ({self.alternative})"})

    def removes(self, known: Known) -> frozenset[str]:
        """The alternative, unless packs of it are owned: with these it can be had until they end."""
        owned = (self.product, self.alternative) in known.running
        return frozenset() if owned else editions(self.product, (self.alternative,))

    def apply(self, world: World) -> World:
        """The world without the alternative."""
        edit = LicenceEdit(self.product, self.alternative, withdrawn=str(self))
        return replace(world, licences=(*world.licences, edit))
