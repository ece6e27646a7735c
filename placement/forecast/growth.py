"""How the demand of machines that are there changes, and how hosts fail."""

from typing import Annotated

from pydantic import Field

from catalog.base import Value
from catalog.resources import ResourceClass
from placement.forecast.numbers import Growth, Hours, Number

_Percent = Annotated[Number, Field(ge=0, le=1000)]


class Walk(Value):
    """Demand that is multiplied month by month: a random walk of its logarithm.

    Each month adds normal(ln(1 + percent / 100) + e, sd_percent / 100) to the logarithm, where e is drawn once a run with
    deviation error_percent / 100. So the median grows by `percent_per_month`; between months the logarithm is a straight line.
    """

    percent_per_month: Growth = 0.0
    sd_percent: _Percent = 0.0
    """How much one month differs from another."""
    error_percent: _Percent = 0.0
    """How uncertain the mean of the months is."""

    @property
    def is_still(self) -> bool:
        """Whether nothing ever changes."""
        return not (self.percent_per_month or self.sd_percent or self.error_percent)


NO_WALK = Walk()


class DemandGrowth(Value):
    """What the machines that are there at the start need, per resource, relative to the start."""

    vcpu: Walk = NO_WALK
    memory_mib: Walk = NO_WALK
    disk_gib: Walk = NO_WALK

    def walks(self) -> tuple[Walk, ...]:
        """In the order of `ResourceClass`."""
        return tuple(getattr(self, rc.value) for rc in ResourceClass)

    @property
    def is_still(self) -> bool:
        """Whether nothing ever changes."""
        return all(walk.is_still for walk in self.walks())


NO_GROWTH = DemandGrowth()


class HostFailures(Value):
    """Each host fails after an exponential time with mean `mtbf_hours`, and is back after one with mean `repair_hours`.

    Hosts fail independently of each other and are all up at the start.
    """

    mtbf_hours: Hours
    repair_hours: Hours

    @property
    def availability(self) -> float:
        """The part of a long time that a host is up."""
        return self.mtbf_hours / (self.mtbf_hours + self.repair_hours)
