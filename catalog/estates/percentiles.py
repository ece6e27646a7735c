"""Percentiles of usage samples, machine by machine.

The percentile is the one with linear interpolation between the two samples around it (Hyndman and Fan 1996,
"Sample Quantiles in Statistical Packages", definition 7): what numpy, pandas and the function PERCENTILE.INC of
spreadsheets give. With n samples in order, it stands at (n - 1) x p / 100, counted from 0.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.estates.model import Utilization

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_SECONDS_PER_HOUR = 3600
_DECIMALS = 12
"""Of a percentage: sums in binary end a hair above 55, and sizes are rounded up."""


class Series(NamedTuple):
    """Samples of one quantity, in percent of each machine's size: whose (0, 1, ...), when (epoch seconds), how much."""

    machine: Counts
    at: Counts
    percent: Floats


class Summary(NamedTuple):
    """One number a machine: the percentile (NaN without samples), how many samples, and the hours they span."""

    percent: Floats
    samples: Counts
    hours: Counts


def summarised(series: Series, machines: int, percentile: float) -> Summary:
    """Of each of so many machines. Samples that are NaN say nothing and are left out.

    Raises ValueError where columns differ in length, a machine is not one of those, or the percentile is none.
    """
    if not 0 < percentile <= 100:
        msg = f"percentile {percentile} must be above 0 and at most 100"
        raise ValueError(msg)
    series = _grouped(_known(series, machines))
    counts = np.bincount(series.machine, minlength=machines).astype(np.int64)
    start = np.cumsum(counts) - counts
    found = np.full(machines, np.nan)
    share = percentile / 100
    for i in np.flatnonzero(counts):
        found[i] = _quantile(series.percent[start[i] : start[i] + counts[i]], share)
    return Summary(found, counts, _hours(series.at, start, counts))


def _quantile(values: Floats, share: float) -> float:
    """Of samples in any order, without sorting all of them."""
    place = (len(values) - 1) * share
    below = int(place)
    above = min(below + 1, len(values) - 1)
    parted = np.partition(values, (below, above))
    low, high = float(parted[below]), float(parted[above])
    # As between two equal samples nothing must be added, and at the upper one nothing may be lost.
    return min(low + (high - low) * (place - below), high)


def _grouped(series: Series) -> Series:
    """With each machine's samples beside each other; a store gives them so."""
    if (np.diff(series.machine) >= 0).all():
        return series
    order = np.argsort(series.machine, kind="stable")
    return Series(series.machine[order], series.at[order], series.percent[order])


def _known(series: Series, machines: int) -> Series:
    lengths = {len(column) for column in series}
    if len(lengths) > 1:
        msg = f"machine, at and percent must have as many entries; they have {sorted(lengths)}"
        raise ValueError(msg)
    if len(series.machine) and not 0 <= series.machine.min() <= series.machine.max() < machines:
        msg = f"machines must be numbers from 0 to {machines - 1}"
        raise ValueError(msg)
    there = ~np.isnan(series.percent)
    if there.all():
        return series
    return Series(series.machine[there], series.at[there], series.percent[there])


def _hours(at: Counts, start: Counts, counts: Counts) -> Counts:
    """From the first sample to the end of the last, which is taken to last as long as the others do on average."""
    hours = np.zeros(len(counts), dtype=np.int64)
    some = counts > 0
    if some.any():
        first, last = np.minimum.reduceat(at, start[some]), np.maximum.reduceat(at, start[some])
        intervals = np.maximum(counts[some] - 1, 1)
        hours[some] = (last - first) * counts[some] // intervals // _SECONDS_PER_HOUR
    return hours


def utilization(cpu: Series, memory: Series, machines: int, percentile: float) -> tuple[Utilization, ...]:
    """Both quantities of each machine, as the estate keeps them; samples and hours are the fewest that stand behind one.

    A quantity without samples is not known. Raises ValueError as `summarised`.
    """
    of_cpu, of_memory = summarised(cpu, machines, percentile), summarised(memory, machines, percentile)
    found = []
    for i in range(machines):
        known = [one for one in (of_cpu, of_memory) if one.samples[i]]
        found.append(
            Utilization(
                cpu_percent=_percent(of_cpu, i),
                memory_percent=_percent(of_memory, i),
                percentile=percentile if known else None,
                samples=min((int(one.samples[i]) for one in known), default=0),
                hours=min((int(one.hours[i]) for one in known), default=0),
            )
        )
    return tuple(found)


def _percent(summary: Summary, i: int) -> float | None:
    return round(float(summary.percent[i]), _DECIMALS) if summary.samples[i] else None
