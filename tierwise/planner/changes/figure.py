"""One figure of the economics document is another."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tierwise.planner.change import Change
from tierwise.planner.changes.licence import needs_of, not_in_contract
from tierwise.planner.changes.price import Percent
from tierwise.planner.selecting import Known, Mistake
from tierwise.planner.world import FigureEdit, World


class Figure(Change):
    """A figure changes by a percentage, or to a value."""

    summary: ClassVar[str] = "one figure of the economics document changes by a percentage, or to a value"
    example: ClassVar[str] = "{kind: figure, path: sites.fra.price_per_kwh, percent: 50}"
    kind: Literal["figure"]
    path: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$", max_length=500)] = Field(
        description="Where it stands in the economics document, with dots."
    )
    percent: Percent | None = None
    value: str | int | None = Field(
        default=None, description="What it is instead, as the document would write it."
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.percent is None) == (self.value is None):
            msg = "must have one of 'percent' and 'value'"
            raise ValueError(msg)
        return self

    def __str__(self) -> str:
        return f"{self.path} {f'{self.percent:+}%' if self.percent is not None else f'= {self.value}'}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """A path that leads nowhere, and a value that the figure cannot have."""
        field, why = known.figure(self.path, self.percent, None if self.value is None else str(self.value))
        if why:
            yield (field,), why
        for product in sorted(known.not_in_contract):
            if self.path.startswith(f"licences.{product}."):
                yield ("path",), not_in_contract(product)

    def touches(self, known: Known) -> frozenset[str]:
        """The figure."""
        return frozenset({f"the figure {self.path}"})

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Pools that pay by it; for the price of an edition of which nothing is owned, that, and a pool for it."""
        if self.path in known.paying:
            return (known.paying[self.path],)
        for product, ways in known.products.items():
            for n, way in enumerate(ways):
                prices = f"licences.{product}.alternatives.{n}."
                if self.path.startswith(prices) and (product, way) not in known.running:
                    return needs_of(product, (way,), known)
        return ()

    def apply(self, world: World) -> World:
        """The world with the figure changed."""
        value = None if self.value is None else str(self.value)
        edit = FigureEdit(tuple(self.path.split(".")), self.percent, value)
        return replace(world, figures=(*world.figures, edit))
