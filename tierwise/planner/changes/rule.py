"""One more rule about where machines may go."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tierwise.planner.change import Change
from tierwise.planner.document import Rule as RuleEntry
from tierwise.planner.selecting import Known, MachineSelector, Mistake, PoolSelector, Text
from tierwise.planner.world import World


class Rule(Change):
    """A new policy: these machines only there, or never there."""

    summary: ClassVar[str] = "one more rule: some machines only on some pools, or never"
    example: ClassVar[str] = (
        "{kind: rule, name: db-in-fra, machines: {classes: [database]}, only: {sites: [fra]}, reason: data stays in DE}"
    )
    kind: Literal["rule"]
    name: Text
    machines: MachineSelector = MachineSelector()
    only: PoolSelector | None = None
    never: PoolSelector | None = None
    reason: Annotated[str, Field(min_length=3, max_length=300)]

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.only is None) == (self.never is None):
            msg = "must have one of 'only' and 'never', which say where these machines may go"
            raise ValueError(msg)
        return self

    def __str__(self) -> str:
        where = f"only {self.only}" if self.only else f"never {self.never}"
        return f"rule {self.name}: {self.machines} {where}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown names, and a rule of the same name."""
        if self.name in known.rules:
            yield (
                ("name",),
                f"the document has a rule '{self.name}' already; name it otherwise, and lift that one too if it replaces it",
            )
        yield from ((("machines", *path), why) for path, why in self.machines.mistakes(known))
        for field, pools in (("only", self.only), ("never", self.never)):
            if pools is not None:
                yield from (((field, *path), why) for path, why in pools.mistakes(known))

    def touches(self, known: Known) -> frozenset[str]:
        """The rule."""
        return frozenset({f"the rule {self.name}"})

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Where the machines may only go."""
        return (self.only.names(known),) if self.only else ()

    def apply(self, world: World) -> World:
        """The world with the rule."""
        entry = RuleEntry(
            name=self.name, machines=self.machines, only=self.only, never=self.never, reason=self.reason
        )
        return replace(world, rules={**world.rules, self.name: entry})
