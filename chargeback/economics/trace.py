"""How an amount came about: figures times quantities times months, which recompute to the micro-unit.

What recurs is spread over whole months by `share`: of an amount for `over` months, the months from `begin` to
`end` get ``floor(amount * end / over) - floor(amount * begin / over)``. So months always add up to the whole, however
a time is cut, and a line of n equal things is n times the line of one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from chargeback.economics.figures import MICROS, Evidence, Figure
from chargeback.money import Rounding, divided


class MissingFigure(ValueError):
    """A figure says nothing of a day or a region; the message names it and what to add."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A figure of the document, or a fact or convention where `path` is empty."""

    what: str
    value: Fraction
    path: str = ""
    source: str = ""
    evidence: Evidence | None = None
    divides: bool = False
    assumed: bool = False


NOTHING = Factor("nothing", Fraction(0))
"""In the place of a price that no document gives."""


@dataclass(frozen=True, slots=True)
class Line:
    """One amount. The product of the factors is what `over` months cost; of these it has those from `begin` to `end`.

    `part` says whose cost it is: of a host ``kept``, ``bought`` or ``sunk``; of a ``machine``; of a unit of a resource
    class; ``open`` for a pool; ``move`` and ``move-tib``; ``pack`` for a licence.
    """

    term: str
    part: str
    what: str
    factors: tuple[Factor, ...]
    since: date
    begin: int
    end: int
    over: int = 1
    note: str = ""
    purchase: bool = False
    """Whether it writes off something that was bought, for all of its amount at once."""

    @property
    def uncounted(self) -> bool:
        """Whether it stands for what the document has no price for."""
        return self.factors == (NOTHING,)

    @property
    def months(self) -> int:
        """How many months it has."""
        return self.end - self.begin

    @property
    def amount(self) -> Fraction:
        """What `over` months cost, in units of the currency, exactly."""
        found = Fraction(1)
        for factor in self.factors:
            found *= Fraction(1, factor.value) if factor.divides else factor.value
        return found

    @property
    def exact_micros(self) -> Fraction:
        """What it comes to before anything is rounded."""
        return self.amount * MICROS * Fraction(self.months, self.over)

    @property
    def micros(self) -> int:
        """What it comes to."""
        return share(micros_of(self.amount), self.begin, self.end, self.over)


def micros_of(amount: Fraction) -> int:
    """An amount in units of the currency, rounded half up to micro-units."""
    return divided(amount.numerator * MICROS, amount.denominator, Rounding.HALF_UP)


def share(amount: int, begin: int, end: int, over: int) -> int:
    """What the months from `begin` to `end` have of an amount for `over` months."""
    return amount * end // over - amount * begin // over


@dataclass(frozen=True, slots=True)
class Span:
    """So many months, each of which begins on the start's day of the month, or on the month's last day.

    The first of them is the month with the number `first` after the start, from 0.
    """

    start: date
    months: int
    first: int = 0
    on_day: int = 0
    """The day of the month instead of the start's, where the start is a later month of what began then; 0: the start's."""

    def __post_init__(self) -> None:
        """Raises ValueError for no months, and for more than a hundred years."""
        if not 0 < self.months <= 1200:
            msg = f"months must be from 1 to 1200: {self.months}"
            raise ValueError(msg)

    def day(self, month: int) -> date:
        """The first day of the n-th month, from 0."""
        return later(self.start, self.first + month, self.on_day)

    @property
    def number(self) -> int:
        """The first month's number since the year 0, so that amounts for a year share out over months."""
        return month_number(self.start) + self.first

    def first_at(self, day: date) -> int:
        """The first month that begins on a day or later; 0 to `months`."""
        return next((n for n in range(self.months) if self.day(n) >= day), self.months)


LAST_START = date(9000, 12, 31)
"""The last day on which a horizon may begin, so that none reaches the end of the calendar."""


def month_number(day: date) -> int:
    """A month's number since the year 0."""
    return day.year * 12 + day.month - 1


def later(day: date, months: int, on_day: int = 0) -> date:
    """The same day so many months later, or another one, or that month's last day."""
    year, month = divmod(month_number(day) + months, 12)
    following = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(on_day or day.day, (following - timedelta(days=1)).day))


@dataclass(frozen=True, slots=True)
class Use:
    """A figure that a line is made of, with its place in the document."""

    path: str
    figure: Figure
    what: str
    divides: bool = False

    def on(self, day: date | None, region: str | None) -> Factor:
        """What it is then and there. Raises MissingFigure."""
        found = self.figure.at(day, region)
        if found is None:
            when = f"on {day}" if day else "without a day"
            where = f" in region {region}" if region else " without a region"
            msg = f"{self.path}: says nothing {when}{where}; add a value that holds there and then"
            raise MissingFigure(msg)
        place, one = found
        return Factor(
            self.what, one.value, self.path + place, one.source or "", one.evidence, self.divides, one.assumed
        )  # fmt: skip


Part = Use | Factor | Callable[[date | None, str | None], Factor]
"""What a factor is taken from: a figure, a fact, or something computed of several figures."""


@dataclass(frozen=True, slots=True)
class Recurring:
    """What is paid again and again: an amount for `over` months, of as many as there are."""

    term: str
    part: str
    what: str
    parts: tuple[Part, ...]
    over: int = 1
    figures: tuple[Figure, ...] = ()
    """Those that computed factors look at, so that their changes are seen."""


def recurring(
    wanted: Recurring, span: Span, region: str | None, offset: int | None = None
) -> Iterator[Line]:
    """A line for each stretch of months in which no figure changes.

    `offset` is the number of the span's first month, from where shares of amounts for several months are counted; None:
    from the year 0.
    """
    if offset is None:
        offset = span.number if wanted.over > 1 else 0
    cuts = {0, span.months}
    for figure in (*(part.figure for part in wanted.parts if isinstance(part, Use)), *wanted.figures):
        cuts |= {span.first_at(day) for day in figure.days()}
    ends = sorted(cuts)
    for begin, end in pairwise(ends):
        day = span.day(begin)
        yield Line(
            wanted.term, wanted.part, wanted.what, resolved(wanted.parts, day, region), day,
            offset + begin, offset + end, wanted.over,
        )  # fmt: skip


def resolved(parts: Iterable[Part], day: date | None, region: str | None) -> tuple[Factor, ...]:
    """The factors on a day in a region."""
    return tuple(_factor(part, day, region) for part in parts)


def _factor(part: Part, day: date | None, region: str | None) -> Factor:
    if isinstance(part, Factor):
        return part
    return part.on(day, region) if isinstance(part, Use) else part(day, region)


def summed(lines: Sequence[Line], *parts: str) -> dict[str, int]:
    """Term -> micro-units of the lines of these parts, in the lines' order."""
    found: dict[str, int] = {}
    for line in lines:
        if line.part in parts:
            found[line.term] = found.get(line.term, 0) + line.micros
    return found
