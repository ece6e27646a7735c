"""Figures: a number that may change on a date or differ by region, and where it comes from.

``figure: 0.21`` is short for ``figure: {value: 0.21}``. Of all statements that hold on a day in a region,
one for the region goes before one for everywhere, and of equal ones the one that began last.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from catalog.base import Value
from chargeback.money import exact_text
from chargeback.shape import JSON_NUMBER, quantity_of

MICROS = 10**6
"""Micro-units of the currency in a unit of it."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    msg = "must be a day like 2027-03-31"
    raise ValueError(msg)


Day = Annotated[
    date,
    PlainValidator(_day),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY.pattern}),
]
"""A day; half-open ranges end on the first day that is no longer in them."""

Number = Annotated[
    Fraction,
    PlainValidator(quantity_of),
    PlainSerializer(exact_text, return_type=str),
    WithJsonSchema({**JSON_NUMBER, "description": "A plain decimal, kept exactly; not negative."}),
]


class Evidence(StrEnum):
    """How good a figure is, best first. `ASSUMPTION` is nobody's figure: replace it by your own."""

    INVOICE = "invoice"
    CONTRACT = "contract"
    MEASURED = "measured"
    VENDOR = "vendor"
    TOOL = "tool"
    THIRD_PARTY = "third-party"
    CONTESTED = "contested"
    ASSUMPTION = "assumption"


class Sourced(Value):
    """Where something comes from and when and where it holds."""

    since: Day | None = Field(default=None, alias="from", description="The first day on which it holds.")
    until: Day | None = Field(default=None, description="The first day on which it no longer holds.")
    region: Text | None = Field(default=None, description="Where it holds; left out: everywhere.")
    source: Text | None = Field(default=None, description="Where it comes from, for the person who asks.")
    evidence: Evidence | None = Field(default=None, description="How good it is.")
    as_of: Day | None = Field(default=None, description="When the source said so.")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.since and self.until and self.until <= self.since:
            msg = f"until: {self.until} must be after from, {self.since}"
            raise ValueError(msg)
        return self

    def holds(self, day: date | None, region: str | None) -> bool:
        """Whether it holds; None: on whatever day, and only where no region is asked for."""
        in_time = day is None or (
            (self.since is None or self.since <= day) and (self.until is None or day < self.until)
        )
        return in_time and self.region in {None, region}


class Statement(Sourced):
    """One value of a figure."""

    value: Number
    price: Literal["list", "street"] | None = Field(default=None, description="What kind of price it is.")

    @property
    def assumed(self) -> bool:
        """Whether nothing stands behind it: called an assumption, or without source and evidence."""
        return self.evidence is Evidence.ASSUMPTION or (self.evidence is None and self.source is None)


class Figure(Statement):
    """A number with all the values that it has over time and regions."""

    changes: tuple[Statement, ...] = Field(
        default=(), description="Other values: from a day on, or of a region."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return data if isinstance(data, dict | Figure) else {"value": data}

    @model_validator(mode="after")
    def _one_at_a_time(self) -> Self:
        known = {(self.since, self.region)}
        for change in self.changes:
            key = (change.since, change.region)
            if key in known:
                msg = (
                    f"changes: two values begin {change.since or 'always'} in "
                    f"{change.region or 'every region'}; give one of them another 'from' or 'region'"
                )
                raise ValueError(msg)
            known.add(key)
        return self

    def at(self, day: date | None, region: str | None) -> tuple[str, Statement] | None:
        """What it is on a day in a region, and where below the figure that stands; None: it says nothing."""
        found = [(place, one) for place, one in self.statements() if one.holds(day, region)]
        return max(found, key=lambda item: _rank(item[1]), default=None)

    def statements(self) -> Iterator[tuple[str, Statement]]:
        """All values, each with its place below the figure."""
        yield "", self
        for n, change in enumerate(self.changes):
            yield f".changes.{n}", change

    def days(self) -> Iterator[date]:
        """The days on which it may change."""
        for _, one in self.statements():
            yield from (day for day in (one.since, one.until) if day is not None)


def _rank(one: Statement) -> tuple[bool, date]:
    return one.region is not None, one.since or date.min


def _checked(right: Callable[[Fraction], bool], words: str) -> AfterValidator:
    def check(figure: Figure) -> Figure:
        for place, one in figure.statements():
            if not right(one.value):
                at = f"{place.removeprefix('.')}: " if place else ""
                msg = f"{at}must be {words}: {exact_text(one.value)}"
                raise ValueError(msg)
        return figure

    return AfterValidator(check)


MOST = 10**9

Amount = Annotated[Figure, _checked(lambda value: value <= MOST, "at most a thousand million")]
"""An amount of money, in units of the currency."""

Percent = Annotated[Figure, _checked(lambda value: value <= 1000, "at most 1000")]
"""Hundredths; 15 is 15 %."""

Share = Annotated[Figure, _checked(lambda value: 0 < value <= 100, "above 0 and at most 100")]
"""Hundredths of a whole that is never passed."""

Positive = Annotated[Figure, _checked(lambda value: 0 < value <= MOST, "above 0")]
"""A number that something is divided by."""

AtLeastOne = Annotated[Figure, _checked(lambda value: 1 <= value <= 100, "from 1 to 100")]

Months = Annotated[
    Figure,
    _checked(lambda value: value.denominator == 1 and 1 <= value <= 600, "whole months from 1 to 600"),
]

Patterns = Annotated[
    tuple[Text, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "minLength": 1}}],
        "description": "Names with * and ? for any characters, upper or lower case; left out: all.",
    }),
]  # fmt: skip
