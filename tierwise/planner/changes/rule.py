"""One more rule about where machines may go."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

from tierwise.planner.change import Change
from tierwise.planner.document import Rule as RuleEntry
from tierwise.planner.selecting import Known, Mistake
from tierwise.planner.world import World


class Rule(RuleEntry, Change):
    """A new policy: a rule as documents have them, in one scenario."""

    summary: ClassVar[str] = "one more rule: some machines only on some pools, or never"
    example: ClassVar[str] = (
        "{kind: rule, name: db-in-fra, machines: {classes: [database]}, only: {sites: [fra]}, reason: data stays in DE}"
    )
    kind: Literal["rule"]

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
        yield from super().mistakes(known)

    def touches(self, known: Known) -> frozenset[str]:
        """The rule."""
        return frozenset({f"the rule {self.name}"})

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Where the machines may only go."""
        return (self.only.names(known),) if self.only else ()

    def apply(self, world: World) -> World:
        """The world with the rule."""
        return replace(world, rules={**world.rules, self.name: self})
