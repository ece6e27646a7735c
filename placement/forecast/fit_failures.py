"""Failures of hosts fitted to a log of them."""

from collections.abc import Sequence
from math import sqrt

from catalog.base import Value
from placement.forecast.growth import HostFailures

_Z95 = 1.959963984540054


class FittedFailures(Value):
    """Mean times and how sure the first of them is."""

    failures: HostFailures
    seen: int
    mtbf_low_hours: float
    mtbf_high_hours: float
    """Between these is the true mean in 95 of 100 logs."""


def fit_failures(up_hours: float, repairs_hours: Sequence[float]) -> FittedFailures:
    """Hours that all hosts together were up, over the failures in that time; repairs are one number for each failure.

    The interval is that of a Poisson number of failures (chi-squared with 2n and 2n + 2 degrees of freedom: Garwood 1936),
    whose quantiles are approximated after Wilson and Hilferty (1931). Raises ValueError where no failure was seen.
    """
    n = len(repairs_hours)
    if up_hours <= 0 or any(hours <= 0 for hours in repairs_hours):
        msg = f"up_hours {up_hours:g} and all repairs must be above 0"
        raise ValueError(msg)
    if n == 0:
        # With 3 expected failures, none is seen once in twenty times.
        msg = (
            f"no failure was seen in {up_hours:g} hours: the mean time between failures is above {up_hours / 3:g} hours "
            "with 95 %; give a number of your own, or leave failures out"
        )
        raise ValueError(msg)
    return FittedFailures(
        failures=HostFailures(mtbf_hours=up_hours / n, repair_hours=sum(repairs_hours) / n),
        seen=n,
        mtbf_low_hours=2 * up_hours / _chi_squared(2 * n + 2, _Z95),
        mtbf_high_hours=2 * up_hours / _chi_squared(2 * n, -_Z95),
    )


def _chi_squared(freedom: int, z: float) -> float:
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + z * sqrt(part)) ** 3)
