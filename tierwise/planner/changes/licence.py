"""A licence costs another price, is counted by other minimums, or is renewed on another day."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from catalog.licence_metrics import BELONGS_TO
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

    @property
    def _what(self) -> str:
        return f"{self.product}{f' ({self.alternative})' if self.alternative else ''}"

    def __str__(self) -> str:
        parts = [f"{self.percent:+}%"] if self.percent is not None else []
        parts += [f"renewed on {self.renewal}"] if self.renewal else []
        parts += [f"{name.replace('_', ' ')} {value}" for name, value in self.settings.items()]
        return f"licence {self._what}: {', '.join(parts)}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown products and alternatives, and what would change nothing of those that are known."""
        found = list(wrong_product(self.product, self.alternative, known))
        yield from found
        if not found:
            yield from self._idle(known)

    def _idle(self, known: Known) -> Iterator[Mistake]:
        ways = {(self.product, way) for way in self._ways(known)}
        if self.renewal is not None and not ways & known.owned:
            yield (
                ("renewal",),
                f"nothing is owned of {self._what}, so that nothing is renewed; say in the economics document what is owned",
            )
        for name in self.settings:
            counted = BELONGS_TO.get(name)
            if counted and not any(known.metrics[way] in counted for way in ways):
                yield (
                    (name,),
                    f"is of {' or '.join(counted)}, and {self._what} is counted {_metrics(known, ways)}; leave it out",
                )

    def _ways(self, known: Known) -> tuple[str, ...]:
        return (self.alternative,) if self.alternative else known.products.get(self.product, ())

    def touches(self, known: Known) -> frozenset[str]:
        """Each part of the product that changes."""
        parts = [
            *(["price"] if self.percent is not None else []),
            *(["renewal"] if self.renewal else []),
            *self.settings,
        ]
        return frozenset(
            f"the {part} of licence {self.product} ({way})" for part in parts for way in self._ways(known)
        )

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """For a price or a way of counting: an edition that has it, and a pool where the product is needed."""
        ways = self._ways(known)
        parts = [ways] if self.percent is not None else []
        for name in self.settings:
            counted = BELONGS_TO.get(name)
            parts.append(
                tuple(way for way in ways if not counted or known.metrics[self.product, way] in counted)
            )
        return tuple(one for part in parts for one in needs_of(self.product, part, known))

    def apply(self, world: World) -> World:
        """The world with the licence changed."""
        edit = LicenceEdit(
            self.product, self.alternative, self.percent, renewal=self.renewal, settings=self.settings
        )
        return replace(world, licences=(*world.licences, edit))


def _metrics(known: Known, ways: Iterable[tuple[str, str]]) -> str:
    return " or ".join(sorted({known.metrics[way] for way in ways}))


def editions(product: str, alternatives: Iterable[str]) -> frozenset[str]:
    """What changes say of the sale of alternatives in `removes` and `needs`."""
    return frozenset(f"licence {product} ({way})" for way in alternatives)


def needs_of(
    product: str, alternatives: Iterable[str], known: Known
) -> tuple[frozenset[str], frozenset[str]]:
    """What a change of the price or the counting of these alternatives needs: one of them, and a pool."""
    return editions(product, alternatives), known.needed_on.get(product, frozenset())


def not_in_contract(product: str) -> str:
    """Why a change of a product does nothing."""
    return (
        f"licence '{product}' has 'applies: false' in the economics document, so that nothing of it is paid and the change "
        "does nothing; set it to true there, or leave the change out"
    )


def wrong_product(product: str, alternative: str, known: Known) -> Iterator[Mistake]:
    """Mistakes about a product and one of its alternatives."""
    if product not in known.products:
        yield ("product",), f"there is no licence '{product}'; {known_names(product, known.products)}"
    elif product in known.not_in_contract:
        yield ("product",), not_in_contract(product)
    elif alternative and alternative not in known.products[product]:
        ways = known.products[product]
        yield (
            ("alternative",),
            f"'{product}' has no alternative '{alternative}'; {known_names(alternative, ways)}",
        )
