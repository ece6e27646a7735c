"""What a solve of the host problem answers, and what it tells while it works."""

from collections.abc import Callable
from dataclasses import dataclass

from placement.arrays import Int64
from placement.plan import PlanStatus


@dataclass(frozen=True)
class Progress:
    """An answer that is better, or a bound that is higher, than what was told before."""

    solver: str
    objective: int
    bound: int

    @property
    def gap(self) -> float:
        """(objective - bound) / objective; 0.0 is proven optimal."""
        return (self.objective - self.bound) / self.objective if self.objective else 0.0


@dataclass(frozen=True, eq=False)
class HostPlan:
    """Who is where, what that costs, and what no plan can be below.

    `objective` is `cost` and `UNPLACED_COST` for each request without a host; `bound` is a proven lower
    bound of it. `cost` is that of the hosts with a request, each once.
    """

    host_of: Int64
    """[R] positions of hosts; -1 for none."""
    unplaced: int
    cost: int
    objective: int
    bound: int
    solver: str

    @property
    def status(self) -> PlanStatus:
        """Optimal when the bound is met."""
        return PlanStatus.OPTIMAL if self.bound == self.objective else PlanStatus.FEASIBLE

    @property
    def gap(self) -> float:
        """(objective - bound) / objective; 0.0 is proven optimal."""
        return Progress(self.solver, self.objective, self.bound).gap


Listener = Callable[[Progress], None]
Clock = Callable[[], float]
