"""What a solver answers: assignments, how good they are, and why each alternative lost."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.base import Value
from catalog.frozen import FrozenMapping
from placement.counterfactual import WouldHelp
from policies.decisions import Rejection


class PlanStatus(StrEnum):
    """How far the solver got. `FEASIBLE`: stopped by a limit before the plan was proven best."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"


class Limits(Value):
    """What a solve may spend. The deterministic budget decides; wall time is only a safety net.

    The same problem, seed and `deterministic_time` give the same plan on any machine, as long as
    `time_limit_s` is not what stopped it.
    """

    deterministic_time: Annotated[float, Field(gt=0)] = 5.0
    time_limit_s: Annotated[float, Field(gt=0)] = 60.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class Candidate(Value):
    """One pool for one request: what it would cost there, and what speaks against it.

    `rejections` is empty for the chosen pool and for pools that are merely worse by the objective. Where a limit stopped
    the search, such a pool may also be one that it did not get to.
    """

    pool: str
    tier: str
    cost_micros: int
    rejections: tuple[Rejection, ...] = ()
    hosts: Annotated[int, Field(ge=0)] = 0
    """How many hosts were looked at; 0 where the problem does not look inside pools."""
    refused_hosts: FrozenMapping[str, int] = Field(default_factory=dict)
    """Of these, how many each constraint refuses; a host may be refused by several.

    `rejections` are then those of the host that comes closest.
    """

    @property
    def possible(self) -> bool:
        """Whether the request could be placed here as things stand after this plan."""
        return not self.rejections


class Assignment(Value):
    """Where one request goes; `pool` is None when no pool can take it.

    `candidates` holds every pool, cheapest possible first, then the refused ones by tier.
    """

    request_id: str
    pool: str | None
    candidates: tuple[Candidate, ...]
    host: str | None = None
    """Where the problem has hosts."""
    choices: FrozenMapping[str, str] = Field(default_factory=dict)
    """What else was chosen there, by constraint: a datastore, NUMA nodes."""
    would_help: WouldHelp | None = None
    """Of a request without a place: the cheapest single change that gives it one, if a single one is enough."""


class Level(Value):
    """One level of the objective: what it came to, and what no plan is below that is as good on the levels before."""

    terms: FrozenMapping[str, int]
    """Weight of each term."""
    value: int
    bound: int


class Plan(Value):
    """Assignments in the problem's order of requests, their cost, and a proven bound.

    Placing requests comes first in the objective, those of higher priority before the others; then its levels.
    `cost_micros` is the sum of the terms that are money, and counts placed requests only. Two things are proven:
    every plan leaves at least `unplaced_bound` requests out (that places as many of every higher priority), and
    every plan that leaves out no more of any priority than this one costs at least `bound_micros`; `gap` is the relative
    difference of cost and bound. The status is optimal when both bounds are met.
    """

    status: PlanStatus
    assignments: tuple[Assignment, ...]
    cost_micros: int
    bound_micros: int
    solver: str
    currency: str
    horizon_hours: int
    unplaced_bound: Annotated[int, Field(ge=0)] = 0
    terms: FrozenMapping[str, int] = Field(default_factory=dict)
    """Every term of the objective, unweighted: price, hosts_on, licences, moving, penalties, balance, moves."""
    levels: tuple[Level, ...] = ()
    """The objective after placing; empty where it is to pay the least, then to move the fewest."""
    preempted: tuple[str, ...] = ()
    """Requests that run today and have no place in this plan, so that those of higher priority have one."""

    @property
    def unplaced(self) -> tuple[Assignment, ...]:
        """The requests that no pool took."""
        return tuple(a for a in self.assignments if a.pool is None)

    @property
    def gap(self) -> float:
        """(cost - bound) / cost; 0.0 is proven optimal."""
        return (self.cost_micros - self.bound_micros) / self.cost_micros if self.cost_micros else 0.0
