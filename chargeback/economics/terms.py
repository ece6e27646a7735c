"""Licences as a planner takes them: how they are counted, and what a pack costs over a stretch of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from chargeback.economics.licences import LicenceMatch
from chargeback.economics.trace import Line


@dataclass(frozen=True, slots=True)
class AddOnTerms:
    """What must be bought beside the licences; the fields are those of placement's add-ons."""

    name: str
    amount: str
    pack_cost_micros: int
    unit_amount: int = 1
    granted: int = 0
    pack_size: int = 1
    pack_cost_rest: Fraction = Fraction(0)

    @property
    def pack_cost(self) -> Fraction:
        """What a pack costs, in micro-units."""
        return self.pack_cost_micros + self.pack_cost_rest


@dataclass(frozen=True, slots=True)
class AlternativeTerms:
    """One legal way to license a product; the fields are those of placement's alternatives, and mean the same.

    What a pack costs is exact, as prices are shared out over months: whole micro-units, and the rest of one.
    """

    name: str
    metric: str
    pack_cost_micros: int
    per_socket_minimum: int = 0
    per_host_minimum: int = 0
    core_factor_thousandths: Mapping[str, int] = field(default_factory=dict)
    per_machine_minimum: int = 0
    unit_covers: Mapping[str, int] = field(default_factory=dict)
    amount: str | None = None
    unit_amount: int = 1
    principals: int = 0
    covers: int | None = None
    per_hour: bool = False
    pack_size: int = 1
    pack_scope: str = "scope"
    order_minimum: int = 0
    owned_packs: int = 0
    add_on: AddOnTerms | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    pack_cost_rest: Fraction = Fraction(0)

    @property
    def pack_cost(self) -> Fraction:
        """What a pack costs, in micro-units."""
        return self.pack_cost_micros + self.pack_cost_rest


@dataclass(frozen=True, slots=True)
class Due:
    """What one pack of an alternative costs in cash, exactly, in a month of the horizon, from 0.

    What is bought before a renewal is paid for until that; at the horizon's end whole years and terms are paid for.
    """

    month: int
    micros: Fraction


@dataclass(frozen=True, slots=True)
class LicenceTerms:
    """A product over a stretch of the horizon in which the same contracts and ways to count hold.

    Where contracts are renewed on the way there is one for each stretch: each is an order of its own, so their costs add
    up, and after a renewal another alternative may be taken. `name` is unlike every other; `product` is the document's.
    """

    name: str
    product: str
    layer: str
    match: LicenceMatch
    reach: str
    accepts: tuple[str, ...]
    whole_pool: bool
    alternatives: tuple[AlternativeTerms, ...]
    sunk: Mapping[str, int]
    """Alternative -> what its contracts cost that run in this stretch, whatever is decided: shown, and not avoidable."""
    start: date
    first_month: int
    """Of the horizon, from 0."""
    months: int
    lines: tuple[Line, ...]
    dues: Mapping[str, tuple[Due, ...]] = field(default_factory=dict)
    """Alternative, or ``alternative + add-on`` -> what one pack costs in cash in this stretch."""

    @property
    def sunk_micros(self) -> int:
        """What all contracts cost that run in this stretch."""
        return sum(self.sunk.values())

    @property
    def accepts_parts(self) -> bool:
        """Whether a rule that holds machines on some hosts of a pool narrows what must be licensed."""
        return "must_rule" in self.accepts
