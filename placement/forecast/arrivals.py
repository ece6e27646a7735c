"""How machines come: batches by the hour of the week, a trend, days better and worse than others."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from placement.forecast.numbers import Growth, Number, Spread

WEEK_HOURS = 168
BATCH_MAX = 100_000
"""Machines in one batch; more is a slip of the pen."""
_Size = Annotated[int, Field(ge=1, le=BATCH_MAX)]
_Weight = Annotated[Number, Field(ge=0, le=1e12)]


class CountedSizes(Value):
    """Batch sizes as they were counted: size -> how often, in any unit."""

    kind: Literal["counted"]
    shares: Annotated[FrozenMapping[_Size, _Weight], Field(min_length=1, max_length=2000)]

    @model_validator(mode="after")
    def _some_size_happens(self) -> Self:
        if not any(self.shares.values()):
            msg = "every share is 0; give at least one batch size a share"
            raise ValueError(msg)
        return self

    def moments(self) -> tuple[float, float]:
        """The mean of the size and of its square."""
        total = sum(self.shares.values())
        first = sum(size * share for size, share in self.shares.items()) / total
        return first, sum(size * size * share for size, share in self.shares.items()) / total


class NegativeBinomial(Value):
    """One machine and a negative binomial number of others: variance (mean-1) + (mean-1)^2 / shape."""

    kind: Literal["negative_binomial"]
    mean_size: Annotated[Number, Field(ge=1, le=BATCH_MAX)]
    shape: Annotated[Number, Field(gt=0, le=1e6)]
    """Small: most batches have one machine and a few have very many."""

    def moments(self) -> tuple[float, float]:
        """The mean of the size and of its square."""
        more = self.mean_size - 1
        return self.mean_size, more + more * more / self.shape + self.mean_size**2


BatchSizes = Annotated[CountedSizes | NegativeBinomial, Field(discriminator="kind")]

SINGLE = CountedSizes(kind="counted", shares={1: 1.0})
"""One machine at a time."""


class Arrivals(Value):
    """Batches of one class, all alike, as a Poisson stream whose rate changes.

    The rate at an hour is `batches_per_day` / 24, times the hour's weight (their mean is made 1), times the trend, times
    the day's own factor: gamma with mean 1 and variance `daily_variance`, drawn anew for each day.
    """

    batches_per_day: Annotated[Number, Field(ge=0, le=10_000_000)]
    """At the start, in a mean day."""
    batch_size: BatchSizes = SINGLE
    hour_weights: Annotated[tuple[_Weight, ...], Field(max_length=WEEK_HOURS)] = (1.0,)
    """One, 24 of a day, or 168 of a week from Monday 00:00."""
    growth_percent_per_month: Growth = 0.0
    daily_variance: Spread = 0.0
    level_error: Spread = 0.0
    """How uncertain `batches_per_day` is: its standard error over its value. Drawn once a run."""
    growth_error_points: Annotated[Number, Field(ge=0, le=1000)] = 0.0
    """How uncertain the growth is: its standard error in percentage points. Drawn once a run."""

    @field_validator("hour_weights")
    @classmethod
    def _of_a_day_or_week(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) not in {1, 24, WEEK_HOURS}:
            msg = f"must be 1, 24 (a day's) or {WEEK_HOURS} (a week's, from Monday 00:00) weights; there are {len(value)}"
            raise ValueError(msg)
        if not any(value):
            msg = "must have a weight above 0"
            raise ValueError(msg)
        return value

    def week(self) -> tuple[float, ...]:
        """The 168 weights from Monday 00:00, with mean 1."""
        mean = sum(self.hour_weights) / len(self.hour_weights)
        return tuple(w / mean for w in self.hour_weights) * (WEEK_HOURS // len(self.hour_weights))

    def machines_per_day(self) -> float:
        """The mean at the start."""
        return self.batches_per_day * self.batch_size.moments()[0]
