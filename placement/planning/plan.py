"""The answer to a planning problem: who is where, which hosts and licences that takes, what it costs, how good it is."""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import Field

from catalog.base import Value
from catalog.frozen import FrozenMapping
from placement.arrays import Int64
from policies.decisions import Rejection


class Licence(Value):
    """What is bought of a product for the pools in one reach."""

    product: str
    scope: str
    """The pool, the label's value, or ``estate``; ``order`` where packs are rounded once over all."""
    alternative: str
    hosts: int
    """Hosts that are counted; 0 for ways that count machines or people."""
    machines: int
    units: int
    packs: int
    cost_micros: int
    rule: str
    """How it was counted, in words with the numbers."""
    blocks: FrozenMapping[str, int] = Field(default_factory=dict)
    """Of each block of hosts, how many are counted."""
    scopes: tuple[str, ...] = ()
    """What is counted together, where `scope` is ``order``: pools, values of the label, or ``estate``."""

    @property
    def covered(self) -> tuple[str, ...]:
        """The scopes that it is for."""
        return self.scopes or (self.scope,)


class Headroom(Value):
    """Room of a pool with its largest hosts lost; negative where it does not hold."""

    pool: str
    resource_class: str
    capacity: int
    """With all hosts."""
    without_losses: int
    """With the hosts lost that may fail at once."""
    load: int
    restarting: int
    """What must run after the loss."""

    @property
    def left(self) -> int:
        """What is free after the loss."""
        return self.without_losses - self.restarting


class Impossible(Value):
    """Machines that have no place, and the least that stands against it."""

    group: str
    machines: int
    reasons: tuple[Rejection, ...]
    """Against each pool: rules first; where rules allow it, what room lacks."""
    conflict: tuple[str, ...]
    """Facts of which leaving out any one would admit them, in words; minimal, found by deletion."""
    would_help: str = ""
    """The cheapest single change that gives all of them a place beside the others, in words with what it costs."""


HOURS_PER_MONTH = 730
"""Of a year of 8,760 hours."""
MICROS = 1_000_000


def per_month(micros: int, horizon_hours: int, currency: str, *, up: bool = False) -> str:
    """Money over the horizon as words for each month, rounded down, or up."""
    whole = horizon_hours * MICROS
    amount = (micros * HOURS_PER_MONTH + (whole - 1 if up else 0)) // whole
    return f"{amount:,} {currency} a month"


class Binding(Value):
    """One limit that makes the plan dearer, and what it would save at least to relax it: a plan that does was made."""

    kind: str
    """``moves``, ``rule``, ``hosts`` or ``failures``."""
    subject: str
    """The rule, the block or the pool; empty where it is about all."""
    words: str
    saving_micros: int
    """Over the horizon."""
    horizon_hours: int
    currency: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.words}: saves {per_month(self.saving_micros, self.horizon_hours, self.currency)} or more"


@dataclass(frozen=True, eq=False)
class PlanningPlan:
    """A verified plan. Money is micro-units over the horizon; `bound_micros` is proven for plans that place as many."""

    counts: Int64
    """[G, P]"""
    hosts: Int64
    """[B] kept and bought."""
    unplaced: Int64
    """[G]"""
    terms: FrozenMapping[str, int]
    """Term -> cost: those of hosts, pools and machines by their names, ``licences``, ``moving``, and what is sunk."""
    cost_micros: int
    bound_micros: int
    unplaced_bound: int
    """No plan leaves fewer machines out than this."""
    moves: int
    """Machines that run elsewhere than today."""
    licences: tuple[Licence, ...]
    headroom: tuple[Headroom, ...]
    impossible: tuple[Impossible, ...]
    solver: str
    moves_bound: int = 0
    """No plan moves fewer that leaves no more out and costs no more than this one."""
    binding: tuple[Binding, ...] = ()
    """What would have to change for less cost; the dearest limits first."""

    @property
    def gap(self) -> Decimal:
        """How far the cost may be above the least that is possible, as a share of the cost."""
        if not self.cost_micros:
            return Decimal(0)
        return Decimal(self.cost_micros - self.bound_micros) / Decimal(self.cost_micros)
