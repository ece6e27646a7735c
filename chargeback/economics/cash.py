"""Cash: what is paid in which month, and when a plan that costs more at first has paid off.

Costs elsewhere are those of the months that something serves; cash is paid at once for a purchase, by the year or term
for subscriptions, in the months in which machines move for migration, and by the month for all else. What is sunk was
paid or is owed whatever is decided, and is no part of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import accumulate

from catalog.wording import counted
from chargeback.economics.terms import LicenceTerms
from chargeback.economics.trace import Line, micros_of, month_number, share
from chargeback.money import Rounding, divided, split

ONE = Fraction(1)
ROUNDING_MICROS = 10_000
"""Plans that are less apart than this cost the same: each month of each line is rounded by itself, to a micro-unit."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What is paid in a month of the horizon, from 0, and what for."""

    month: int
    term: str
    micros: int
    what: str = ""


@dataclass(frozen=True, slots=True)
class CashFlow:
    """All payments of a plan over so many months."""

    months: int
    payments: tuple[Payment, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for a payment outside of the months."""
        for one in self.payments:
            if not 0 <= one.month < self.months:
                msg = f"{one.what or one.term} is paid in month {one.month}, outside of {counted(self.months, 'month')}"
                raise ValueError(msg)

    @property
    def by_month(self) -> tuple[int, ...]:
        """What each month pays."""
        found = [0] * self.months
        for one in self.payments:
            found[one.month] += one.micros
        return tuple(found)

    @property
    def by_term(self) -> Mapping[str, tuple[int, ...]]:
        """The same by term."""
        terms = dict.fromkeys(one.term for one in self.payments)
        return {
            term: CashFlow(self.months, tuple(one for one in self.payments if one.term == term)).by_month
            for term in terms
        }

    @property
    def total(self) -> int:
        """What is paid altogether."""
        return sum(one.micros for one in self.payments)


def running(lines: Iterable[Line], start: date, quantity: int = 1) -> Iterator[Payment]:
    """What lines that recur cost in each month, of so many equal things; what is written off or sunk is left out.

    Lines of a unit of a resource are added up exactly, and each month rounds what has come together so far.
    """
    first = month_number(start)
    for line in lines:
        if line.purchase or line.part == "sunk" or not quantity:
            continue
        of_unit = line.part not in {"kept", "bought", "open", "machine"}
        amount = line.amount * (10**6 * quantity) if of_unit else Fraction(micros_of(line.amount))
        begin = month_number(line.since) - first
        for n in range(line.months):
            at = line.begin + n
            if of_unit:
                micros = _up_to(amount, at + 1, line.over) - _up_to(amount, at, line.over)
            else:
                micros = share(int(amount), at, at + 1, line.over) * quantity
            yield Payment(begin + n, line.term, micros, line.what)


def _up_to(amount: Fraction, months: int, over: int) -> int:
    whole = amount * Fraction(months, over)
    return whole.numerator // whole.denominator


def purchases(lines: Iterable[Line], quantity: int = 1) -> Iterator[Payment]:
    """What is paid in the first month for so many things that are bought: the whole of each purchase."""
    for line in lines:
        if line.purchase and line.part in {"bought", "open"} and quantity:
            yield Payment(0, line.term, micros_of(line.amount) * quantity, line.what)


def subscriptions(
    terms: LicenceTerms, alternative: str, packs: int, *, add_on: str = "", factor: Fraction = ONE
) -> Iterator[Payment]:
    """What so many packs of an alternative cost when they fall due; what is owned is paid for already.

    `add_on` names what is bought beside them instead: `packs` are then its own. Prices are multiplied by `factor`. What falls
    due rounds what has come together so far, half up.
    """
    owned = next(way.owned_packs for way in terms.alternatives if way.name == alternative)
    more = packs if add_on else max(0, packs - owned)
    key = f"{alternative} + {add_on}" if add_on else alternative
    exact, paid = Fraction(0), 0
    for due in sorted(terms.dues[key], key=lambda due: due.month) if more else ():
        exact += due.micros * more * factor
        micros = divided(exact.numerator, exact.denominator, Rounding.HALF_UP) - paid
        paid += micros
        if micros:
            yield Payment(due.month, "licences", micros, f"{terms.name}: {key}")


def migration(micros: int, moved: Sequence[int]) -> Iterator[Payment]:
    """What moving costs, in the months in which so many machines move; all at once where none is said to."""
    for month, part in enumerate(split(micros, moved if any(moved) else (1,))):
        if part:
            yield Payment(month, "migration", part, "moving machines")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A plan against going on as it is. Money saved is above zero."""

    saved: tuple[int, ...]
    """In each month."""

    @property
    def cumulative(self) -> tuple[int, ...]:
        """By the end of each month."""
        return tuple(accumulate(self.saved))

    @property
    def break_even_month(self) -> int | None:
        """The first month, from 1, from whose end on it has cost no more for good; None: not within the horizon.

        1 for a plan that never costs more, but for rounding.
        """
        behind = [n for n, saved in enumerate(self.cumulative, start=1) if saved <= -ROUNDING_MICROS]
        if not behind:
            return 1
        return behind[-1] + 1 if behind[-1] < len(self.saved) else None

    def present_value(self, percent_per_year: Fraction) -> int:
        """All savings in today's money."""
        return present_value(self.saved, percent_per_year)


def compared(base: CashFlow, plan: CashFlow) -> Comparison:
    """What a plan saves against the base. Raises ValueError where they are of different times."""
    if base.months != plan.months:
        msg = f"a plan over {counted(plan.months, 'month')} cannot be compared with one over {base.months}"
        raise ValueError(msg)
    return Comparison(tuple(a - b for a, b in zip(base.by_month, plan.by_month, strict=True)))


def present_value(by_month: Sequence[int], percent_per_year: Fraction) -> int:
    """Payments in today's money, rounded half up once, to a micro-unit.

    Month n, from 0, counts ``1 / (1 + r/12) ** n`` of itself: a yearly rate of 12 percent is 1 a month, as banks quote it.
    """
    factor = Fraction(1, 1 + percent_per_year * Fraction(1, 1200))
    found, weight = Fraction(0), Fraction(1)
    for micros in by_month:
        found += micros * weight
        weight *= factor
    return divided(found.numerator, found.denominator, Rounding.HALF_UP)
