"""Hosts are bought for a pool, or could be."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from catalog.wording import known_names
from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, unknown
from tierwise.planner.world import Block, World


class HostsBought(Change):
    """Hosts of a type are bought for certain, or may be bought where that pays."""

    summary: ClassVar[str] = (
        "hosts of a type that the pool knows are bought for certain, or may be where it pays"
    )
    example: ClassVar[str] = "{kind: hosts_bought, pool: fra-kvm, type: r650, hosts: 4, certain: true}"
    kind: Literal["hosts_bought"]
    pool: str
    type: str = Field(description="A type under the pool's `hosts`, or one that it has today.")
    hosts: Annotated[int, Field(strict=True, ge=1, le=100_000)]
    certain: bool = Field(
        default=False, description="Whether they are bought and paid whatever the plan makes of them."
    )

    def __str__(self) -> str:
        return f"{self.hosts} x {self.type} {'bought' if self.certain else 'on offer'} for {self.pool}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """An unknown pool or type."""
        found = list(unknown((), (self.pool,), tuple(known.pools)))
        yield from ((("pool",), why) for _, why in found)
        types = known.blocks.get(self.pool, ())
        if not found and self.type not in types:
            yield (
                ("type",),
                f"there is no type '{self.type}' among the pool's hosts; {known_names(self.type, types)}",
            )

    def touches(self, known: Known) -> frozenset[str]:
        """Hosts of the type, for certain or on offer."""
        how = "bought" if self.certain else "offered"
        return frozenset({f"how many {self.type} are {how} for {self.pool}"})

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """The pool."""
        return (frozenset({self.pool}),)

    def apply(self, world: World) -> World:
        """The world with more hosts."""
        chosen = self._chosen(world.blocks)
        if not self.certain and chosen.today:
            # Those that stand were bought at another price.
            new = replace(
                chosen, id=f"{chosen.id} (new)", existing=0, most=self.hosts, today=0, type=self.type
            )
            return replace(world, blocks=(*world.blocks, new))
        if not self.certain:
            more = replace(chosen, most=chosen.most + self.hosts)
            return replace(world, blocks=tuple(more if one is chosen else one for one in world.blocks))
        # Named by its type: others of it may be on offer, too, and the order of changes does not matter.
        bought = replace(
            chosen, id=f"{self.pool}: {self.type} bought", existing=self.hosts, most=self.hosts, paid=True, today=0,
            type=self.type,
        )  # fmt: skip
        return replace(world, blocks=(*world.blocks, bought))

    def _chosen(self, blocks: tuple[Block, ...]) -> Block:
        """What the pool's document calls so; else its first hosts of that model."""
        here = [one for one in blocks if one.pool == self.pool and not one.paid]
        return next((one for one in here if one.type == self.type), None) or next(
            one for one in here if one.model == self.type
        )
