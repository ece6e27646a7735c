"""What a shape is: one file of `chargeback/shapes/` that says how the price follows from a quantity.

A shape is a frozen value in the form that documents have: prices are given as decimal text and kept as
whole nano-units, quantities as exact fractions of the rate's unit. It answers three readers: the bill
(`price`), the person who asks why (`steps`), and the writer of the card (`warnings`).
"""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializeAsAny,
    WithJsonSchema,
    model_validator,
)

from catalog.base import Value
from chargeback.money import NANOS_PER_UNIT, exact_text, nanos_from_text, nanos_to_text

PRICE_MAX_NANOS = 10**15
"""A million of the currency; more than that for one unit, pack or window is a slip of the pen."""

_DECIMAL = re.compile(r"\d{1,18}(?:\.\d{1,18})?", re.ASCII)


def price_nanos(value: object) -> int:
    """The nano-units of a price as documents write it. Raises ValueError, in words for its writer."""
    nanos = nanos_from_text(str(value))
    if nanos < 0:
        msg = f"must not be negative: {value}"
        raise ValueError(msg)
    if nanos > PRICE_MAX_NANOS:
        msg = f"must not exceed 1000000: {value}"
        raise ValueError(msg)
    return nanos


def quantity_of(value: object) -> Fraction:
    """An exact quantity as documents write it. Raises ValueError, in words for its writer."""
    if isinstance(value, Fraction) and value >= 0:
        return value
    if isinstance(value, bool) or not _DECIMAL.fullmatch(str(value)):
        msg = f"must be a plain number of at most 18 digits before and after the point, not {value}"
        raise ValueError(msg)
    return Fraction(str(value))


JSON_NUMBER: dict[str, Any] = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?$", "minimum": 0}
"""The JSON Schema of a number that is not negative, as text or not."""

Price = Annotated[
    int,
    BeforeValidator(price_nanos),
    PlainSerializer(nanos_to_text, return_type=str, when_used="json"),
    WithJsonSchema({**JSON_NUMBER, "description": "A plain decimal of at most 9 decimals, 0 to 1000000."}),
]
"""Nano-units of the currency; written as a decimal such as ``0.0042``."""

Quantity = Annotated[
    Fraction,
    PlainValidator(quantity_of),
    PlainSerializer(exact_text, return_type=str, when_used="json"),
    WithJsonSchema({**JSON_NUMBER, "description": "A quantity in the rate's unit, exactly."}),
]
"""How much, in the rate's unit; written as a decimal such as ``0.5``."""


class Step(NamedTuple):
    """One term of a price, for people: ``10 x 0.3`` and the nano-units that it comes to."""

    text: str
    nanos: Fraction


class Shape(Value):
    """The promises of every shape.

    `kind` is a field ``kind: Literal["..."]`` whose first word is the file's name; further words are
    other names for the same. Shapes that hold others name those fields in `inner`.
    """

    linear: ClassVar[bool] = False
    """Whether the price of a sum is the sum of the prices, so that quantities may be cut anywhere."""
    inner: ClassVar[tuple[str, ...]] = ()
    """The fields that hold another shape."""

    def price(self, quantity: Fraction) -> Fraction:
        """What the quantity costs, in nano-units, exactly.

        A negative quantity is one that is taken back: it costs what it had cost, negative.
        """
        return sum((step.nanos for step in self.steps(quantity)), Fraction(0))

    def steps(self, quantity: Fraction) -> list[Step]:
        """The terms that add up to the price, in the order in which a person would write them."""
        if quantity < 0:
            return [Step(f"taken back: {step.text}", -step.nanos) for step in self.terms(-quantity)]
        return self.terms(quantity)

    @abstractmethod
    def terms(self, quantity: Fraction) -> list[Step]:
        """`steps` of a quantity that is not negative."""

    def warnings(self) -> list[str]:
        """What is allowed and may surprise: a quantity that costs less than a smaller one."""
        found = []
        for bound in self.bounds():
            below, above = self.price(bound), self.price_above(bound)
            if above < below:
                found.append(
                    f"just above {exact_text(bound)} costs {money(above)}, less than {money(below)} for "
                    f"{exact_text(bound)}; buyers of a little less pay more"
                )
        return found

    def bounds(self) -> tuple[Fraction, ...]:
        """The quantities at which another tier begins; the quantity itself belongs below."""
        return ()

    def price_above(self, bound: Fraction) -> Fraction:
        """What the price comes down (or up) to just above a bound."""
        return self.price(bound)

    @abstractmethod
    def text(self) -> str:
        """The shape in a line, as the bill's `rate` shows it: ``graduated: 0.3 to 10, 0.2 above``."""


class Tier(Value):
    """A stretch of quantities, ``(above, to]``, and what is paid in it; 0 belongs to the first.

    `above` may be left out: it is where the tier before ends. `to` is left out of the last one only.
    """

    above: Quantity | None = None
    to: Quantity | None = None
    price_nanos: Annotated[Price, Field(alias="price", description="Per unit.")] = 0
    flat_nanos: Annotated[Price, Field(alias="flat", description="Once.")] = 0

    @property
    def text(self) -> str:
        """``0.2 + flat 3 to 10``."""
        parts = [money(self.price_nanos)] if self.price_nanos or not self.flat_nanos else []
        parts += [f"flat {money(self.flat_nanos)}"] if self.flat_nanos else []
        return f"{' + '.join(parts)} {'above' if self.to is None else f'to {exact_text(self.to)}'}"


class TieredShape(Shape):
    """A shape of tiers that start at 0, follow each other without gap or overlap, and have no end."""

    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wrong = list(_mistakes(self.tiers))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def spans(self) -> Iterator[tuple[Fraction, Fraction | None, Tier]]:
        """Each tier with its bounds."""
        above = Fraction(0)
        for tier in self.tiers:
            yield above, tier.to, tier
            above = tier.to if tier.to is not None else above

    def tier_of(self, quantity: Fraction) -> Tier:
        """The tier that contains the quantity."""
        return next(tier for tier in self.tiers if tier.to is None or quantity <= tier.to)

    def bounds(self) -> tuple[Fraction, ...]:
        """Where tiers end."""
        return tuple(tier.to for tier in self.tiers if tier.to is not None)

    def _text(self, kind: str) -> str:
        return f"{kind}: {', '.join(tier.text for tier in self.tiers)}"


def _mistakes(tiers: Sequence[Tier]) -> Iterator[str]:
    end: Fraction | None = Fraction(0)
    for number, tier in enumerate(tiers, 1):
        if end is None:
            yield f"tier {number} can never be reached: the tier before it has no end; give that one 'to'"
            return
        start = end if tier.above is None else tier.above
        if start > end:
            where = "the first tier starts at" if number == 1 else f"tier {number} starts at"
            yield f"{where} {exact_text(start)}, and {exact_text(end)} to there has no price; start it at {exact_text(end)}"
        elif start < end:
            yield f"tier {number} starts at {exact_text(start)}, inside the tier before it; start it at {exact_text(end)}"
        if tier.to is not None and tier.to <= start:
            yield f"tier {number} can never be reached: it ends at {exact_text(tier.to)}, not above {exact_text(start)}"
        end = tier.to
    if end is not None:
        yield f"there is no price above {exact_text(end)}; leave 'to' out of the last tier"


def any_shape(value: object) -> object:
    """A shape, or the one that a mapping with a `kind` says."""
    if isinstance(value, dict):
        from chargeback.shapes import shape_of  # noqa: PLC0415 - that package loads every file that needs this one

        return shape_of(value)
    return value


SHAPE_MARK: dict[str, Any] = {"x-tierwise": "shape"}
"""Where a JSON Schema is to have the union of all shapes, which no single file knows."""


def _document(shape: Shape) -> dict[str, Any]:
    return shape.model_dump(mode="json", by_alias=True, exclude_none=True)


InnerShape = Annotated[
    SerializeAsAny[Shape],
    BeforeValidator(any_shape),
    PlainSerializer(_document, when_used="json"),
    WithJsonSchema(SHAPE_MARK),
]
"""A field that holds another shape. As JSON it has the form of documents, from which it can be read again."""


def money(nanos: int | Fraction) -> str:
    """Nano-units as an exact decimal of the currency."""
    return exact_text(Fraction(nanos, NANOS_PER_UNIT))


def times(quantity: Fraction, nanos: int) -> Step:
    """The step of a quantity at a price: ``10 x 0.3``."""
    return Step(f"{exact_text(quantity)} x {money(nanos)}", quantity * nanos)
