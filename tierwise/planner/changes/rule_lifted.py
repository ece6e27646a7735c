"""A rule of the document does not hold."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, unknown
from tierwise.planner.world import World


class RuleLifted(Change):
    """One of the document's rules is left out."""

    summary: ClassVar[str] = "one of the document's rules does not hold"
    example: ClassVar[str] = "{kind: rule_lifted, rule: db-in-fra}"
    kind: Literal["rule_lifted"]
    rule: str

    def __str__(self) -> str:
        return f"rule {self.rule} lifted"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """An unknown rule."""
        yield from ((("rule",), why) for _, why in unknown((), (self.rule,), known.rules))

    def touches(self, known: Known) -> frozenset[str]:
        """The rule."""
        return frozenset({f"the rule {self.rule}"})

    def apply(self, world: World) -> World:
        """The world without the rule."""
        return replace(world, rules={name: one for name, one in world.rules.items() if name != self.rule})
