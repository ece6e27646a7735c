"""A site is lost with all that stands there."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, unknown
from tierwise.planner.world import World


class SiteLoss(Change):
    """Every pool of a site is gone; its machines must run elsewhere."""

    summary: ClassVar[str] = "every pool of a site is lost, and its machines must run elsewhere"
    example: ClassVar[str] = "{kind: site_loss, site: fra-b}"
    kind: Literal["site_loss"]
    site: str

    def __str__(self) -> str:
        return f"site {self.site} lost"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """An unknown site."""
        yield from ((("site",), why) for _, why in unknown((), (self.site,), known.sites))

    def touches(self, known: Known) -> frozenset[str]:
        """The site."""
        return frozenset({f"whether site {self.site} is there"})

    def removes(self, known: Known) -> frozenset[str]:
        """Its pools."""
        return frozenset(name for name, one in known.pools.items() if one.site == self.site)

    def apply(self, world: World) -> World:
        """The world with the site's pools closed."""
        pools = frozenset(name for name, one in world.pools.items() if one.like.site == self.site)
        return world.closing(pools, f"site {self.site} is lost in this scenario", self.remedy)
