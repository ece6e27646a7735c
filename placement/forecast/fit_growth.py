"""Growth of what machines use, fitted to weeks of the same machines."""

from math import expm1, sqrt

import numpy as np

from catalog.base import Value
from placement.forecast.growth import Walk
from placement.forecast.numbers import DAYS_PER_MONTH, Float64

WEEKS_LEAST = 6
WEEKS_PER_MONTH = DAYS_PER_MONTH / 7


class GrowthGoodness(Value):
    """How the first weeks told the last ones."""

    machines: int
    weeks: int
    held_out_weeks: int
    inside_80_percent: float
    """How many of the held-out weeks came out within the 80 % band of the weeks before them."""
    error_percent: float
    """The mean difference between a held-out week and the median that was told."""
    echo: float
    """Correlation of one week's change with the next: 0 for a random walk, below 0 where use returns to its mean, so
    that the walk's band is too wide."""


class FittedGrowth(Value):
    """A random walk and how good it is."""

    walk: Walk
    goodness: GrowthGoodness


def fit_growth(use: Float64, *, hold_out_weeks: int = 4) -> FittedGrowth:
    """The walk of the total of `use`, [W, M] weekly means of machines that are there in every week.

    The change of the logarithm from week to week has a mean and a deviation; months are 4.35 weeks of a random walk.
    Raises ValueError for fewer than six weeks, or a week without any use.
    """
    totals = use.sum(axis=1)
    if len(totals) < WEEKS_LEAST or not (totals > 0).all():
        msg = f"{len(totals)} weeks of which {int((totals > 0).sum())} have use; at least {WEEKS_LEAST} must, and all of them"
        raise ValueError(msg)
    logs = np.log(totals)
    early = max(WEEKS_LEAST - 2, len(logs) - hold_out_weeks)
    steps = np.diff(logs)
    mean, deviation, error = _steps(np.diff(logs[:early]))
    ahead = np.arange(1, len(logs) - early + 1)
    told = logs[early - 1] + mean * ahead
    band = 1.2815515655446004 * np.sqrt(ahead * deviation**2 + (ahead * error) ** 2)
    off = np.abs(logs[early:] - told)
    goodness = GrowthGoodness(
        machines=use.shape[1],
        weeks=len(logs),
        held_out_weeks=len(ahead),
        inside_80_percent=100 * float((off <= band).mean()) if len(ahead) else 0.0,
        error_percent=100 * float(np.expm1(off).mean()) if len(ahead) else 0.0,
        echo=_echo(steps),
    )
    mean, deviation, error = _steps(steps)
    walk = Walk(
        percent_per_month=100 * expm1(mean * WEEKS_PER_MONTH),
        sd_percent=100 * deviation * sqrt(WEEKS_PER_MONTH),
        error_percent=100 * error * WEEKS_PER_MONTH,
    )
    return FittedGrowth(walk=walk, goodness=goodness)


def _steps(steps: Float64) -> tuple[float, float, float]:
    """Mean, deviation and the standard error of the mean."""
    deviation = float(steps.std(ddof=1)) if len(steps) > 1 else 0.0
    return float(steps.mean()), deviation, deviation / sqrt(len(steps))


def _echo(steps: Float64) -> float:
    off = steps - steps.mean()
    total = float((off * off).sum())
    return float((off[1:] * off[:-1]).sum()) / total if total else 0.0
