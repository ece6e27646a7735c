"""Runs -> a forecast: quantiles, probabilities and their errors."""

from collections.abc import Mapping, Sequence
from datetime import date
from math import sqrt

import numpy as np

from placement.forecast.numbers import HOURS_PER_MONTH, Float64
from placement.forecast.problem import (
    RESOURCES,
    RUNS_MAX,
    ForecastPool,
    ForecastProblem,
    InvalidForecast,
    Models,
    Present,
)
from placement.forecast.result import Band, Forecast, Full, PoolForecast
from placement.forecast.runs import Runs, Simulation

_Z95 = 1.959963984540054


def simulate(
    pools: Sequence[ForecastPool],
    machines: Mapping[str, Sequence[Present]],
    models: Models,
    *,
    start: date,
    months: int,
    runs: int,
    seed: int,
    step_days: int = 7,
) -> Forecast:
    """Forecast the pools over whole months from `start`; the same seed gives the same forecast.

    Raises InvalidForecast where the parts do not go together.
    """
    there = {name: tuple(present) for name, present in machines.items()}
    problem = ForecastProblem(tuple(pools), there, models, start, months, step_days)
    if not 1 <= runs <= RUNS_MAX:
        raise InvalidForecast(((("runs",), f"runs must be from 1 to {RUNS_MAX:,}: {runs}"),))
    return summarise(problem, [Simulation(problem).run(seed, 0, runs)], seed)


def summarise(problem: ForecastProblem, parts: Sequence[Runs], seed: int) -> Forecast:
    """All runs together, whoever made them in whichever parts; they are put in the order of their numbers."""
    ordered = sorted(parts, key=lambda part: part.first)
    full, demand, fits, spare = (
        np.concatenate([getattr(part, name) for part in ordered])
        for name in ("full_hours", "demand", "fits", "spare")
    )
    pools = [
        PoolForecast(
            pool=pool.name,
            limit={rc: int(limit) for rc, limit in zip(RESOURCES, pool.limits().tolist(), strict=True)},
            full=_full(full[:, p].min(axis=1)),
            full_by_resource={rc: _full(full[:, p, k]) for k, rc in enumerate(RESOURCES)},
            binds=dict(zip(RESOURCES, _binding(full[:, p]), strict=True)),
            demand={rc: _band(demand[:, p, :, k]) for k, rc in enumerate(RESOURCES)},
            fits=tuple(fits[:, p].mean(axis=0).tolist()),
            n_plus_1=tuple(spare[:, p].mean(axis=0).tolist()),
        )
        for p, pool in enumerate(problem.pools)
    ]
    return Forecast(
        start=problem.start,
        months=problem.months,
        runs=len(full),
        seed=seed,
        days=tuple(problem.grid_days().tolist()),
        pools=tuple(pools),
    )


def _full(hours: Float64) -> Full:
    """Quantiles are values of a run: between a time and never there is nothing to interpolate."""
    p10, p50, p90 = (
        _months(q) for q in np.quantile(hours, (0.1, 0.5, 0.9), method="inverted_cdf").tolist()
    )
    never = int(np.isinf(hours).sum())
    low, high = wilson(never, len(hours))
    return Full(
        p10_months=p10, p50_months=p50, p90_months=p90,
        not_full=never / len(hours), not_full_low=low, not_full_high=high,
    )  # fmt: skip


def _months(hours: float) -> float | None:
    return None if np.isinf(hours) else hours / HOURS_PER_MONTH


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """The 95 % interval of a probability (Wilson 1927): right also where none or all of few runs hit."""
    share, z2 = hits / runs, _Z95 * _Z95
    middle = share + z2 / (2 * runs)
    half = _Z95 * sqrt(share * (1 - share) / runs + z2 / (4 * runs * runs))
    low, high = (middle - half) / (1 + z2 / runs), (middle + half) / (1 + z2 / runs)
    return (0.0 if hits == 0 else max(0.0, low)), (1.0 if hits == runs else min(1.0, high))


def _binding(hours: Float64) -> list[float]:
    """How often each resource is first; where several are full at the same moment, the run counts in equal parts."""
    first = hours.min(axis=1, keepdims=True)
    ties = (hours == first) & np.isfinite(first)
    weight = ties / np.maximum(ties.sum(axis=1, keepdims=True), 1)
    return [min(1.0, float(one)) for one in weight.mean(axis=0)]


def _band(demand: Float64) -> Band:
    low, middle, high = np.quantile(demand, (0.1, 0.5, 0.9), axis=0, method="inverted_cdf")
    mean = demand.mean(axis=0)
    return Band(mean=_whole(mean), p10=_whole(low), p50=_whole(middle), p90=_whole(high))


def _whole(amounts: Float64) -> tuple[int, ...]:
    return tuple(np.rint(amounts).astype(np.int64).tolist())
