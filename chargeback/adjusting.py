"""Terms x lines of a tenant's month -> adjustments: amounts beside the lines, which stay as they are.

Each term sees what the terms before it left. Its one amount is split over what it applies to in
proportion to that, by largest remainder, so that adjustments add up to it exactly whatever they are
grouped by.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chargeback.adjustment import Cell, Outcome, Part, Run, Show, Step, Term, total
from chargeback.instants import utc_text
from chargeback.money import format_minor, split
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard

if TYPE_CHECKING:
    from chargeback.statements import Line, Row


@dataclass(frozen=True, slots=True)
class Shares:
    """Between which items a term's amount was split, and what they cost before; empty where it was not split.

    An item that is no line has an empty id. What was taken back counts as 0.
    """

    items: tuple[str, ...]
    before_minor: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What one term adds to a tenant's month (negative: takes off), or to one cell of it.

    `card` says in which currency; `whole_minor` is the term's amount for the whole month, of which this
    is the part of the items of `shares` with the places `mine`.
    """

    term: Term
    period: BillingPeriod
    tenant: str
    cell: Cell
    card: RateCard
    amount_minor: int
    whole_minor: int
    outcome: Outcome
    steps: tuple[Step, ...]
    shares: Shares
    mine: tuple[int, ...]

    @property
    def id(self) -> str:
        """Names the adjustment among all items of all periods, as `Line.id` does a line."""
        cell = self.cell
        parts = (
            self.period.name, self.tenant, cell.cost_centre, cell.tier, "adjustment", self.term.name,
            cell.machine, cell.pool, cell.labels,
        )  # fmt: skip
        return "/".join(part for part in parts if part)

    @property
    def cost_centre(self) -> str:
        """Whose cost it is; empty where it is of several."""
        return self.cell.cost_centre

    @property
    def list_amount_minor(self) -> int:
        """At list price: what takes off is no part of it, what is charged in addition is."""
        return max(0, self.amount_minor)

    @property
    def amount(self) -> str:
        """The amount with the currency's decimals."""
        return format_minor(self.amount_minor, self.card.minor_digits)

    @property
    def note(self) -> str:
        """The term's formula with its numbers, and the share where this is a part."""
        said = f"{self.term.title}: {self.outcome.note}"
        return said if self.amount_minor == self.whole_minor else f"{said}; share of this row {self.amount}"

    def row(self, statement: str) -> "Row":
        """The adjustment as a row of `COLUMNS`; what only usage has is empty."""
        cell, period = self.cell, self.period
        return {
            "statement": statement, "line": self.id, "charge_category": self.term.category,
            "charge_class": "", "charge_frequency": self.term.frequency, "corrects": "",
            "tenant": self.tenant, "cost_centre": cell.cost_centre, "period": period.name,
            "time_zone": period.time_zone, "charge_from": utc_text(period.t_from),
            "charge_to": utc_text(period.t_to), "tier": cell.tier, "pool": cell.pool,
            "machine": cell.machine, "labels": cell.labels, "metric": "", "quantity": "", "hours": "",
            "unit": "", "rate_id": self.term.name, "rate": self.outcome.rate,
            "rate_card": self.card.label, "currency": self.card.currency,
            "list_amount_minor": self.list_amount_minor, "amount": self.amount,
            "amount_minor": self.amount_minor, "note": self.note,
        }  # fmt: skip


def adjust(lines: Sequence["Line"], terms: Sequence[Term], run: Run) -> tuple[Adjustment, ...]:
    """What `terms`, in their order, add to the lines of one tenant's month; rows that are zero are left out."""
    parts = [_part(line) for line in sorted(lines, key=lambda line: line.id)]
    found: list[Adjustment] = []
    for place, term in enumerate(terms, 1):
        more, parts = _applied(term, parts, run, f"{place} of {len(terms)}")
        found += more
    return tuple(found)


def _part(line: "Line") -> Part:
    charge = line.charge
    cell = Cell(charge.cost_centre, charge.tier, charge.machine or "", charge.pool, charge.labels)
    return Part(cell, line, line.amount_minor)


def _applied(term: Term, parts: list[Part], run: Run, place: str) -> tuple[list[Adjustment], list[Part]]:
    matched = [part for part in parts if term.applies_to.matches(part)]
    outcome = term.outcome(matched, run)
    if outcome is None or not outcome.amount_minor:
        return [], parts
    _check(term, outcome, matched)
    weights = [max(0, part.amount_minor) for part in matched]
    if not any(weights):
        alone = Part(Cell(getattr(term, "cost_centre", "")), None, outcome.amount_minor)
        return _shown([alone], Shares((), ()), term, outcome, run, place), [*parts, alone]
    amounts = dict(zip(map(id, matched), split(outcome.amount_minor, weights), strict=True))
    booked = [replace(part, amount_minor=amounts[id(part)]) for part in matched]
    after = [replace(p, amount_minor=p.amount_minor + amounts.get(id(p), 0)) for p in parts]
    shares = Shares(tuple(part.line.id if part.line else "" for part in matched), tuple(weights))
    return _shown(booked, shares, term, outcome, run, place), after


def _check(term: Term, outcome: Outcome, matched: Sequence[Part]) -> None:
    base = total(matched)
    assert outcome.amount_minor >= min(0, -base), f"{term.title} takes {outcome.amount_minor} off {base}"


def _shown(
    booked: Sequence[Part], shares: Shares, term: Term, outcome: Outcome, run: Run, place: str
) -> list[Adjustment]:
    """One adjustment for each cell, machine by machine or coarser as the term says."""
    cells: dict[Cell, list[int]] = defaultdict(list)
    centres = {part.cell.cost_centre for part in booked if part.amount_minor}
    for i, part in enumerate(booked):
        cells[_cell(part.cell, term.show, centres)].append(i)
    first = Step(f"applied as {place}: {term.title}", "")
    whole = Step(outcome.note, run.shown(outcome.amount_minor))
    steps = (first, *outcome.steps, whole)
    found = []
    for cell, mine in sorted(cells.items()):
        amount = sum(booked[i].amount_minor for i in mine)
        share = () if amount == outcome.amount_minor else (_share(amount, shares, mine, run),)
        if amount:
            found.append(
                Adjustment(
                    term, run.period, run.tenant, cell, run.card, amount, outcome.amount_minor, outcome,
                    (*steps, *share), shares, tuple(mine) if shares.items else (),
                )
            )  # fmt: skip
    return found


def _cell(cell: Cell, show: Show, centres: set[str]) -> Cell:
    if show is Show.MACHINE:
        return cell
    if show is Show.COST_CENTRE or len(centres) == 1:
        return Cell(cell.cost_centre)
    return Cell()


def _share(amount_minor: int, shares: Shares, mine: Sequence[int], run: Run) -> Step:
    before = run.shown(sum(shares.before_minor[i] for i in mine))
    text = (
        f"share of this row, {before} of {run.shown(sum(shares.before_minor))} before (largest remainder)"
    )
    return Step(text, run.shown(amount_minor))
