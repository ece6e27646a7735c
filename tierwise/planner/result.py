"""What a scenario comes to, as values that go into JSON and back. Money is in millionths of the currency over the horizon."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from catalog.base import Value
from catalog.frozen import FrozenMapping
from placement.planning.plan import Licence

FORMAT: Literal["tierwise-whatif-result/1"] = "tierwise-whatif-result/1"
TODAY = "today"
"""The name of what everything is compared with; no scenario may have it."""
SUNK = "sunk"
"""Of no tier: what is paid whatever is decided."""
NO_POOL = "no pool"
"""Where machines run of which the estate knows neither pool nor host."""
MIB_PER_TIB = 1024 * 1024


class TierCost(Value):
    """What one tier has and costs, sunk cost aside."""

    tier: str
    machines: int
    hosts: int
    cost_micros: int
    recovered_micros: int | None = None
    """What its machines are charged by the document's rates; None: it has none, or this is no tier of machines."""


class PoolResult(Value):
    """What becomes of one pool."""

    pool: str
    tier: str
    hypervisor: str
    site: str
    machines: int
    hosts_today: int
    hosts_kept: int
    hosts_bought: int
    hosts_given_up: int
    """Of today's: no longer needed, lost, or of a pool that is closed."""
    cost_micros: int
    closed: str = ""
    """Why nothing may run there; empty: something may."""


class HostsOf(Value):
    """Hosts of one kind that are kept or bought."""

    block: str
    pool: str
    today: int
    kept: int
    bought: int


class Move(Value):
    """A machine that runs elsewhere than today."""

    machine: str
    """Its id in the estate."""
    name: str
    source: str
    """The pool that it leaves; empty for one that is in none."""
    target: str
    copy_mib: int
    cost_micros: int = 0
    """Of this machine, by what it copies itself; 0 for one that is in no pool."""


class Against(Value):
    """One reason why a pool cannot have some machines."""

    pool: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.pool}: {self.why}; {self.remedy}"


class Stranded(Value):
    """Machines that have no place, and the least that stands against it."""

    group: str
    machines: int
    names: tuple[str, ...]
    """Of the estate's machines; those to come have none."""
    reasons: tuple[Against, ...]
    """Of each pool."""
    conflict: tuple[str, ...]
    """Facts of which leaving out any one would admit them."""
    would_help: str = ""
    """The cheapest single change that was found to be enough for all of them; empty: none was."""


class Room(Value):
    """Room of a pool for one resource, with as many hosts lost as may fail at once."""

    pool: str
    resource_class: str
    losses: int
    capacity: int
    without_losses: int
    load: int
    restarting: int

    @property
    def left(self) -> int:
        """What is free after the loss; negative: machines that cannot restart."""
        return self.without_losses - self.restarting

    @property
    def holds(self) -> bool:
        """Whether everything runs, before the loss and after it."""
        return self.left >= 0 and self.load <= self.capacity


class Confidence(Value):
    """How far a result can be trusted, from 0 to 1; docs/reference/whatif.md has the formula."""

    value: Annotated[float, Field(ge=0, le=1)]
    classification: float | None
    """None: no machine was classified, and nothing depends on classes."""
    age: float
    figures: float
    reasons: tuple[str, ...]


class Cash(Value):
    """Money as it is paid, against today going on as it is."""

    cumulative_micros: tuple[int, ...]
    """What it has saved by the end of each month; negative: what it has cost more."""
    break_even_month: int | None
    """The first month, from 1, from whose end on it has saved for good; None: not within the horizon."""
    present_value_micros: int | None = None
    """Of all savings, at the document's discount rate; None where it has none."""


class ScenarioResult(Value):
    """One scenario, or today."""

    name: str
    title: str
    changes: tuple[str, ...]
    start: date
    months: int
    currency: str
    cost_micros: int
    """All of it, over the horizon, with what is sunk."""
    sunk_micros: int
    bound_micros: int
    """No plan that places as many machines costs less."""
    gap: Decimal
    terms: FrozenMapping[str, int]
    """Term -> cost; those that begin with `sunk` are paid whatever is decided."""
    tiers: tuple[TierCost, ...]
    pools: tuple[PoolResult, ...]
    hosts: tuple[HostsOf, ...]
    machines: int
    """All that are asked about, placed or not."""
    unplaced: int
    moves: tuple[Move, ...]
    moves_bound: int = 0
    """No plan moves fewer that leaves no more machines out and costs no more; 0 where that is not known."""
    stranded: tuple[Stranded, ...]
    licences: tuple[Licence, ...]
    rooms: tuple[Room, ...]
    binding: tuple[str, ...] = ()
    """What would have to change for less cost, in words."""
    confidence: Confidence
    payments_micros: tuple[int, ...] = ()
    """What is paid in each month of the horizon; what is sunk is no longer paid."""
    cash: Cash | None = None
    solver: str
    notes: tuple[str, ...] = ()

    @property
    def recovered_micros(self) -> int | None:
        """What all machines are charged over the horizon; None: nobody says."""
        known = [one.recovered_micros for one in self.tiers if one.recovered_micros is not None]
        return sum(known) if known else None

    @property
    def unrecovered_micros(self) -> int | None:
        """What of the cost nobody is charged for; negative: more is charged than it costs."""
        return None if self.recovered_micros is None else self.cost_micros - self.recovered_micros

    @property
    def cost_per_year_micros(self) -> int:
        """The cost of the horizon for twelve months, rounded down."""
        return self.cost_micros * 12 // self.months

    @property
    def copied_mib(self) -> int:
        """What all moves copy."""
        return sum(one.copy_mib for one in self.moves)

    @property
    def moving_micros(self) -> int:
        """What the machines that move cost, each by what it copies itself."""
        return sum(one.cost_micros for one in self.moves)

    @property
    def short(self) -> tuple[Room, ...]:
        """Rooms that do not hold what must run; the worst first, by its share of what is missing."""
        broken = [one for one in self.rooms if not one.holds]
        return tuple(sorted(broken, key=lambda one: (-_missing(one), one.pool, one.resource_class)))

    @property
    def holds(self) -> bool:
        """Whether each pool runs everything, before and after the loss of as many hosts as may fail."""
        return not self.short


def _missing(one: Room) -> Decimal:
    needed = max(one.restarting, one.load, 1)
    return Decimal(max(-one.left, one.load - one.capacity)) / needed


class WhatIfResult(Value):
    """Everything that a run of a document answered."""

    format: Literal["tierwise-whatif-result/1"] = FORMAT
    document: str
    title: str
    currency: str
    start: date
    months: int
    today: ScenarioResult
    scenarios: tuple[ScenarioResult, ...]
    notes: tuple[str, ...] = ()
