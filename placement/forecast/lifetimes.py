"""How long machines live: mixtures of simple laws, what is known of the old, and when a batch leaves together."""

from math import exp, inf, log
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from catalog.base import Value
from placement.forecast.numbers import Chance, Float64, Hours, HoursOrNone, Number, Share, normal_tail


class Exponential(Value):
    """Leaves at the same rate at any age, from `after_hours` on."""

    kind: Literal["exponential"]
    share: Share
    mean_hours: Hours
    """The mean of what comes after `after_hours`."""
    after_hours: HoursOrNone = 0.0

    def survival(self, hours: Float64) -> Float64:
        """P(lives longer than `hours`)."""
        return np.exp(-np.maximum(hours - self.after_hours, 0.0) / self.mean_hours)

    def mean(self) -> float:
        """In hours."""
        return self.after_hours + self.mean_hours


class LogNormal(Value):
    """Half live longer than the median; the logarithm of the lifetime is normal with deviation `sigma`."""

    kind: Literal["log_normal"]
    share: Share
    median_hours: Hours
    sigma: Annotated[Number, Field(gt=0, le=10)]

    def survival(self, hours: Float64) -> Float64:
        """P(lives longer than `hours`)."""
        with np.errstate(divide="ignore"):
            z = (np.log(hours) - log(self.median_hours)) / self.sigma
        return normal_tail(z)

    def mean(self) -> float:
        """In hours."""
        return self.median_hours * exp(self.sigma**2 / 2)


class Between(Value):
    """Any length between two is equally likely; many such are an empirical law."""

    kind: Literal["between"]
    share: Share
    from_hours: HoursOrNone
    to_hours: Hours

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.to_hours <= self.from_hours:
            msg = f"to_hours {self.to_hours:g} must be above from_hours {self.from_hours:g}"
            raise ValueError(msg)
        return self

    def survival(self, hours: Float64) -> Float64:
        """P(lives longer than `hours`)."""
        return np.clip((self.to_hours - hours) / (self.to_hours - self.from_hours), 0.0, 1.0)

    def mean(self) -> float:
        """In hours."""
        return (self.from_hours + self.to_hours) / 2


class Stays(Value):
    """Never leaves."""

    kind: Literal["stays"]
    share: Share

    def survival(self, hours: Float64) -> Float64:
        """P(lives longer than `hours`)."""
        return np.ones_like(hours)

    def mean(self) -> float:
        """In hours."""
        return inf


AnyPart = Exponential | LogNormal | Between | Stays
Part = Annotated[AnyPart, Field(discriminator="kind")]

SUM_SLACK = 1.5e-4
"""Shares are written with a few digits: thirds may miss 1 by this much and are scaled to it."""


class Lifetimes(Value):
    """A mixture of laws; shares sum to 1."""

    parts: Annotated[tuple[Part, ...], Field(min_length=1, max_length=200)]
    together: Chance = 0.0
    """The chance that the machines of one batch all leave at the same moment."""

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Self:
        total = sum(part.share for part in self.parts)
        if abs(total - 1) > SUM_SLACK:
            msg = f"the shares of the parts sum to {total:.6g}; they must sum to 1"
            raise ValueError(msg)
        return self

    def survival(self, hours: Float64) -> Float64:
        """P(lives longer than `hours`)."""
        total = sum(part.share for part in self.parts)
        found = np.zeros_like(np.asarray(hours, dtype=np.float64))
        for part in self.parts:
            found += part.share / total * part.survival(np.asarray(hours, dtype=np.float64))
        return found

    def mean_hours(self) -> float:
        """Infinite where a part stays."""
        return sum(part.share * part.mean() for part in self.parts)


STAYS = Lifetimes(parts=(Stays(kind="stays", share=1.0),))
"""Nobody ever leaves."""
