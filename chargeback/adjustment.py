"""What an adjustment term is: one file of `chargeback/adjustments/` that says all about one kind of agreement.

A term is a frozen value as finance wrote it: a discount, a credit, a minimum. It looks at the lines of one
tenant's month that it applies to, with what earlier terms made of them, and says one amount for all of
them. The parts of that amount, and the rows that show them, are made in `chargeback.adjusting`.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from chargeback.instants import EpochSeconds
from chargeback.json_forms import DECIMAL, MONEY, SIGNED_PERCENT, UP_TO_100, Form
from chargeback.labels import labels_of, labels_text
from chargeback.money import NANOS_PER_UNIT, divided, format_minor, nanos_from_text, nanos_to_text
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.usage import Metric

if TYPE_CHECKING:
    from chargeback.statements import Line

PERCENT = 100 * NANOS_PER_UNIT
"""100 % in nano-percent: percentages are kept exactly to nine decimals, like prices."""


class Inapplicable(ValueError):
    """Terms that cannot be applied to a tenant's month as they are; the message says which, and what to do."""


class Stage(IntEnum):
    """The order in which kinds of terms are applied to a tenant's month; a later one sees what earlier ones left.

    What belongs to single lines comes first, what looks at the whole month after it, and credits pay
    what is left then.
    """

    ALLOWANCE = 1
    TAG_FACTOR = 2
    PERCENTAGE = 3
    FIXED = 4
    COMMITMENT = 5
    MINIMUM = 6
    MAXIMUM = 7
    CREDIT = 8


class Show(StrEnum):
    """What gets a row of its own: each machine of each tier, each cost centre, or the tenant."""

    MACHINE = "machine"
    COST_CENTRE = "cost-centre"
    TENANT = "tenant"


def _month(text: str) -> str:
    try:
        return BillingPeriod.parse(text, "UTC").name
    except ValueError:
        msg = "must be a month like 2026-10: adjustments apply to whole months"
        raise ValueError(msg) from None


def _nanos(value: object) -> object:
    """A number as documents write it, in billionths; what is no text or whole number is left as it is."""
    return (
        nanos_from_text(str(value))
        if isinstance(value, str | int) and not isinstance(value, bool)
        else value
    )


def _labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    labels_text(labels)
    return labels


Month = Annotated[str, AfterValidator(_month)]
"""A calendar month like ``2026-10``, in the rate card's time zone."""

AMOUNT_MAX_NANOS = 10**12 * NANOS_PER_UNIT

Nanos = Annotated[
    int,
    BeforeValidator(_nanos),
    PlainSerializer(nanos_to_text),
    Field(strict=True),
    WithJsonSchema(DECIMAL),
]
"""Billionths: written, in documents and when dumped, as the plain decimal that they are."""


def within(low: int, high: int, words: str) -> AfterValidator:
    """Bounds in billionths, said in the words of what is written: ``from 0 to 100 %``."""

    def check(nanos: int) -> int:
        if low <= nanos <= high:
            return nanos
        msg = f"must be {words}, not {nanos_to_text(nanos)}"
        raise ValueError(msg)

    return AfterValidator(check)


MoneyNanos = Annotated[
    Nanos, within(1, AMOUNT_MAX_NANOS, "above 0 and at most 10^12"), WithJsonSchema(MONEY)
]
"""An amount above zero, as a plain decimal in documents, kept in nano-units of the currency."""

PercentNanos = Annotated[Nanos, within(0, PERCENT, "from 0 to 100 %"), WithJsonSchema(UP_TO_100)]
"""A percentage, as a plain decimal in documents, kept in nano-percent."""

SignedPercentNanos = Annotated[
    Nanos, within(-PERCENT, 100 * PERCENT, "from -100 to 10000 %"), WithJsonSchema(SIGNED_PERCENT)
]
"""A percentage that may take off or add, kept in nano-percent."""

FactorNanos = Annotated[
    Nanos, within(0, 100 * NANOS_PER_UNIT, "a factor from 0 to 100"), WithJsonSchema(UP_TO_100)
]
"""A factor in billionths: 1.2 is a fifth more."""


class Selector(Value):
    """Which lines a term applies to: those that match every list which is not empty.

    A line has the labels if it has each of them with just this value.
    """

    tenants: tuple[Name, ...] = ()
    cost_centres: tuple[Name, ...] = ()
    tiers: tuple[Name, ...] = ()
    metrics: tuple[Metric, ...] = ()
    rates: tuple[Name, ...] = ()
    labels: Annotated[FrozenMapping[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict, validate_default=True
    )

    def has_tenant(self, tenant: str) -> bool:
        """Whether any line of this tenant can match."""
        return not self.tenants or tenant in self.tenants

    def matches(self, part: "Part") -> bool:
        """Whether a part of the tenant's month does; what belongs to no line has only a cost centre."""
        cell, of = part.cell, part.line
        if self.cost_centres and cell.cost_centre not in self.cost_centres:
            return False
        if of is None:
            return not (self.tiers or self.metrics or self.rates or self.labels)
        rate = of.charge.rate
        return (
            (not self.tiers or cell.tier in self.tiers)
            and (not self.metrics or rate.metric in self.metrics)
            and (not self.rates or rate.id in self.rates)
            and (not self.labels or self.labels.items() <= labels_of(cell.labels).items())
        )


class Cell(NamedTuple):
    """What an amount can be grouped by; every field is empty where it does not apply."""

    cost_centre: str = ""
    tier: str = ""
    machine: str = ""
    pool: str = ""
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A line with what the terms so far made of its amount, or an amount that belongs to no line."""

    cell: Cell
    line: "Line | None"
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Run:
    """Whose month is looked at, as known when.

    `card` is the tenant's rate card in the currency that the tenant is billed in. `used_minor` is what
    each term that carries over, by name, and those that it replaces took off this tenant's earlier months.
    """

    period: BillingPeriod
    tenant: str
    card: RateCard
    known_at: int
    used_minor: Mapping[str, int]

    @property
    def final(self) -> bool:
        """Whether the month was over; before that, what only its end can tell is not charged."""
        return self.known_at >= self.period.t_to

    def shown(self, amount_minor: int) -> str:
        """``EUR 12.50``."""
        return format_minor(amount_minor, self.card.minor_digits, self.card.currency)

    def rounded(self, amount_minor: int, numerator: int, denominator: int) -> int:
        """`amount_minor` times a fraction, rounded once by the card's rule."""
        return divided(amount_minor * numerator, denominator, self.card.rounding)

    def minor(self, term: "Term", nanos: int, currency: str) -> int:
        """A term's amount in minor units. Raises Inapplicable in another currency, or where it has more decimals."""
        if currency != self.card.currency:
            msg = (
                f"adjustment '{term.name}' is in {currency}, but tenant {self.tenant} is billed in "
                f"{self.card.currency}; name the tenants it is for, and write one in {self.card.currency}"
            )
            raise Inapplicable(msg)
        unit: int = NANOS_PER_UNIT
        whole, rest = divmod(nanos * int(10**self.card.minor_digits), unit)
        if rest:
            msg = (
                f"adjustment '{term.name}': {currency} {nanos_to_text(nanos)} has more than the "
                f"{self.card.minor_digits} decimals of {currency}; round it yourself"
            )
            raise Inapplicable(msg)
        return whole


class Step(NamedTuple):
    """One step of how an amount came about: what was done, and the amount it gave (with its currency)."""

    text: str
    amount: str


class Outcome(NamedTuple):
    """What a term does to a tenant's month: one amount for all that it applies to.

    `rate` is what its rows print as the rate (``-10 %``), `note` the formula with its numbers.
    """

    amount_minor: int
    rate: str
    note: str
    steps: tuple[Step, ...] = ()


class Term(Value):
    """What every term says; a kind is a subclass with a field ``kind: Literal["..."]``, named as its file.

    It applies to months that begin in [`valid_from`, `valid_to`), known from `recorded_at` on;
    `valid_to` None means that no end is known. `replaces` names terms whose place it takes in those
    months. `order` is its place among the terms of its stage, smaller first, then by name.
    """

    stage: ClassVar[Stage]
    category: ClassVar[str] = "Adjustment"
    frequency: ClassVar[str] = "Usage-Based"
    carries_over: ClassVar[bool] = False
    """Whether what it did in earlier months counts."""
    needs_no_line: ClassVar[bool] = False
    """Whether it may charge a tenant that used nothing."""
    form: ClassVar[Form] = {}
    """What the JSON Schema of its documents demands beyond the types of its fields."""

    name: Name
    applies_to: Selector = Selector()
    valid_from: Month
    valid_to: Month | None = None
    recorded_at: EpochSeconds
    replaces: tuple[Name, ...] = ()
    order: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    show: Show = Show.MACHINE

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            msg = f"valid_to {self.valid_to} must be after valid_from {self.valid_from}"
            raise ValueError(msg)
        return self

    @property
    def title(self) -> str:
        """``percentage discount 'frame-2026'``."""
        kind: Any = getattr(self, "kind", "adjustment")
        return f"{str(kind).replace('_', ' ')} '{self.name}'"

    def valid_in(self, month: str) -> bool:
        """Whether it applies to this month."""
        return self.valid_from <= month and (self.valid_to is None or month < self.valid_to)

    def amounts(self) -> Iterable[int]:
        """Its amounts of money in nano-units, all in its field `currency`."""
        amount = getattr(self, "amount", None)
        return () if amount is None else (amount,)

    @property
    def hangs_on(self) -> str:
        """What its amount for one machine hangs on beside that machine's own lines; empty for nothing else."""
        return "it counts all that the tenant uses in the month"

    @abstractmethod
    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """The amount that it adds (negative: takes off), or None where it has nothing to do.

        What it takes off must not exceed the sum of `matched`. Raises Inapplicable.
        """


def total(parts: Iterable[Part]) -> int:
    """What these parts cost so far, in minor units."""
    return sum(part.amount_minor for part in parts)


def percent_text(percent_nanos: int) -> str:
    """``-7.5 %``."""
    return f"{nanos_to_text(percent_nanos)} %"
