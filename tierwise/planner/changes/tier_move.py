"""Machines go to another tier."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from tierwise.planner.change import Change
from tierwise.planner.document import Rule
from tierwise.planner.selecting import Known, MachineSelector, Mistake, PoolSelector, Text, unknown
from tierwise.planner.world import World


class TierMove(Change):
    """Some machines must run on one tier."""

    summary: ClassVar[str] = "some machines must run on one tier, wherever they run today"
    example: ClassVar[str] = "{kind: tier_move, machines: {tiers: [tier-2]}, to: tier-1}"
    kind: Literal["tier_move"]
    machines: MachineSelector = MachineSelector()
    to: Text = Field(description="The tier.")

    def __str__(self) -> str:
        return f"{self.machines} to {self.to}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown names."""
        yield from ((("machines", *path), why) for path, why in self.machines.mistakes(known))
        yield from ((("to",), why) for _, why in unknown((), (self.to,), known.tiers))

    def touches(self, known: Known) -> frozenset[str]:
        """The tier of these machines."""
        return frozenset({f"the tier of {self.machines.in_order()}"})

    def only_of(self) -> MachineSelector:
        """Its machines."""
        return self.machines

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """The tier's pools."""
        return (frozenset(name for name, one in known.pools.items() if one.tier == self.to),)

    def apply(self, world: World) -> World:
        """The world with a rule that holds them to the tier."""
        name = f"what-if: {self}"
        only = PoolSelector(tiers=(self.to,))
        rule = Rule(
            name=name, machines=self.machines, only=only, reason=f"{self.machines} go to {self.to}"[:300]
        )
        return replace(world, rules={**world.rules, name: rule})
