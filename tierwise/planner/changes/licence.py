"""A licence costs another price, is counted by other minimums, or is renewed on another day."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from catalog.wording import known_names
from tierwise.planner.change import Change
from tierwise.planner.changes.price import Percent
from tierwise.planner.document import Day
from tierwise.planner.selecting import Known, Mistake
from tierwise.planner.world import LicenceEdit, World

Minimum = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Size = Annotated[int, Field(strict=True, ge=1, le=10**9)]
_COUNTED = ("per_socket_minimum", "per_host_minimum", "per_machine_minimum", "order_minimum", "pack_size")


class Licence(Change):
    """A product's price, way of counting or renewal is another."""

    summary: ClassVar[str] = (
        "a product's price changes by a percentage, its minimums or packs are others, or its renewal"
    )
    example: ClassVar[str] = (
        "{kind: licence, product: hypervisor-suite, percent: 30, per_socket_minimum: 16}"
    )
    kind: Literal["licence"]
    product: str
    alternative: str = Field(default="", description="Which edition; all of the product where not given.")
    percent: Percent | None = Field(default=None, description="By how much its price changes.")
    renewal: Day | None = Field(default=None, description="The day on which what is owned ends instead.")
    per_socket_minimum: Minimum | None = None
    per_host_minimum: Minimum | None = None
    per_machine_minimum: Minimum | None = None
    order_minimum: Minimum | None = None
    pack_size: Size | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.percent is None and self.renewal is None and not self.settings:
            msg = f"must say what changes: percent, renewal, {', '.join(_COUNTED)}"
            raise ValueError(msg)
        return self

    @property
    def settings(self) -> dict[str, int]:
        """The ways of counting that change."""
        return {name: value for name in _COUNTED if (value := getattr(self, name)) is not None}

    def __str__(self) -> str:
        what = f"{self.product}{f' ({self.alternative})' if self.alternative else ''}"
        parts = [f"{self.percent:+}%"] if self.percent is not None else []
        parts += [f"renewed on {self.renewal}"] if self.renewal else []
        parts += [f"{name.replace('_', ' ')} {value}" for name, value in self.settings.items()]
        return f"licence {what}: {', '.join(parts)}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown products and alternatives."""
        yield from wrong_product(self.product, self.alternative, known)

    def touches(self, known: Known) -> frozenset[str]:
        """Each part of the product that changes."""
        parts = [
            *(["price"] if self.percent is not None else []),
            *(["renewal"] if self.renewal else []),
            *self.settings,
        ]
        ways = (self.alternative,) if self.alternative else known.products.get(self.product, ())
        return frozenset(f"the {part} of licence {self.product} ({way})" for part in parts for way in ways)

    def apply(self, world: World) -> World:
        """The world with the licence changed."""
        edit = LicenceEdit(
            self.product, self.alternative, self.percent, renewal=self.renewal, settings=self.settings
        )
        return replace(world, licences=(*world.licences, edit))


def wrong_product(product: str, alternative: str, known: Known) -> Iterator[Mistake]:
    """Mistakes about a product and one of its alternatives."""
    if product not in known.products:
        yield ("product",), f"there is no licence '{product}'; {known_names(product, known.products)}"
    elif alternative and alternative not in known.products[product]:
        ways = known.products[product]
        yield (
            ("alternative",),
            f"'{product}' has no alternative '{alternative}'; {known_names(alternative, ways)}",
        )
