"""Columns against a second implementation that goes event by event: the same answers up to chance."""

import numpy as np
import pytest

from placement.forecast.problem import ForecastProblem
from placement.forecast.runs import Runs, Simulation
from tierwise.testing.forecast_events import EventRun, run_events

RUNS, EVENT_RUNS = 500, 90


@pytest.fixture(scope="module")
def columns(everything: ForecastProblem) -> Runs:
    return Simulation(everything).run(21, 0, RUNS)


@pytest.fixture(scope="module")
def events(everything: ForecastProblem) -> list[EventRun]:
    return [run_events(everything, seed) for seed in range(EVENT_RUNS)]


def same_mean(a: np.ndarray, b: np.ndarray) -> None:
    """Within 4.7 standard errors of the difference, at each of the places; 1e-9 where nothing varies."""
    error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) <= 4.7 * error + 1e-9).all()


def test_demand_has_the_same_mean_and_spread(columns: Runs, events: list[EventRun]) -> None:
    theirs = np.array([run.demand for run in events]).transpose(0, 2, 1, 3)
    same_mean(columns.demand, theirs)
    same_mean((columns.demand - columns.demand.mean(axis=0)) ** 2, (theirs - theirs.mean(axis=0)) ** 2)


def test_resources_are_full_at_the_same_times(columns: Runs, events: list[EventRun]) -> None:
    theirs = np.array([run.full_hours for run in events])
    same_mean(np.isfinite(columns.full_hours).astype(float), np.isfinite(theirs).astype(float))
    horizon = 5000.0  # Growth is looked at every 12 hours there, exactly here: 6 hours on average.
    ours = np.minimum(columns.full_hours, horizon)
    error = np.sqrt(ours.var(axis=0) / RUNS + np.minimum(theirs, horizon).var(axis=0) / EVENT_RUNS)
    assert (np.abs(ours.mean(axis=0) - np.minimum(theirs, horizon).mean(axis=0)) <= 4.7 * error + 12).all()
    assert np.isfinite(theirs).any(axis=0).sum() >= 4, "the question is one where pools do become full"


def test_n_plus_1_holds_as_often(columns: Runs, events: list[EventRun]) -> None:
    theirs = np.array([run.spare for run in events]).transpose(0, 2, 1)
    assert 0.05 < theirs.mean() < 0.95
    same_mean(columns.spare.astype(float), theirs.astype(float))
