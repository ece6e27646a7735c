"""What a forecast answers."""

from datetime import date, timedelta
from math import floor
from typing import Annotated

from pydantic import Field

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from catalog.resources import ResourceClass
from placement.forecast.numbers import DAYS_PER_MONTH

Probability = Annotated[float, Field(ge=0, le=1)]
_Months = Annotated[float, Field(ge=0)] | None


class Full(Value):
    """When a demand first exceeds what there is, in mean months from the start; None: not within the horizon.

    One run in ten is full by `p10_months`, half by `p50_months`, nine in ten by `p90_months`.
    """

    p10_months: _Months
    p50_months: _Months
    p90_months: _Months
    not_full: Probability
    """How likely it is not full within the horizon."""
    not_full_low: Probability
    not_full_high: Probability
    """Between these is the true value of the model in 95 of 100 forecasts: the error of so many runs (Wilson)."""


class Band(Value):
    """Demand at the times of the forecast, in the resource's unit, rounded to whole ones."""

    mean: tuple[int, ...]
    p10: tuple[int, ...]
    p50: tuple[int, ...]
    p90: tuple[int, ...]


class PoolForecast(Value):
    """The answer for one pool."""

    pool: Name
    limit: FrozenMapping[ResourceClass, int]
    """Demand above this is more than the pool has: hosts that are kept and pieces that are lost are taken off."""
    full: Full
    """Of the resource that is full first."""
    full_by_resource: FrozenMapping[ResourceClass, Full]
    binds: FrozenMapping[ResourceClass, Probability]
    """How often each resource is full first, of all runs; what is left of 1 is not full within the horizon."""
    demand: FrozenMapping[ResourceClass, Band]
    fits: tuple[Probability, ...]
    """How likely the hosts that are up carry the demand, at the times of the forecast."""
    n_plus_1: tuple[Probability, ...]
    """How likely they still would when the largest of them failed."""

    @property
    def binding(self) -> ResourceClass | None:
        """The resource that is full first most often; None where none ever is."""
        best = max(self.binds, key=lambda rc: self.binds[rc])
        return best if self.binds[best] else None

    def n_plus_1_until(self, probability: float, days: tuple[int, ...]) -> int | None:
        """The last of `days` before N+1 is first less likely than this; None: not even at the start."""
        first = next((i for i, p in enumerate(self.n_plus_1) if p < probability), len(self.n_plus_1))
        return days[first - 1] if first else None


class Forecast(Value):
    """The whole answer. Times are days from `start`; the last is the horizon."""

    start: date
    months: int
    runs: int
    seed: int
    days: tuple[int, ...]
    pools: tuple[PoolForecast, ...]

    def on(self, months: float) -> date:
        """The day that is so many mean months after the start."""
        return self.start + timedelta(days=floor(months * DAYS_PER_MONTH))
