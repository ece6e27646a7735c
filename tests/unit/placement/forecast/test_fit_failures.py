"""Failures of hosts against tables and by hand."""

import numpy as np
import pytest

from placement.forecast.fit_failures import fit_failures


def test_ten_failures_give_the_mean_and_the_interval_of_the_tables() -> None:
    found = fit_failures(100_000, [10.0] * 5 + [30.0] * 5)
    assert (found.failures.mtbf_hours, found.failures.repair_hours, found.seen) == (10_000, 20, 10)
    assert found.mtbf_low_hours == pytest.approx(
        200_000 / 36.781, rel=2e-3
    )  # chi-squared, 22 degrees, 97.5 %
    assert found.mtbf_high_hours == pytest.approx(200_000 / 9.591, rel=3e-3)  # 20 degrees, 2.5 %


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    numbers = np.random.default_rng(3).poisson(8, 4000)
    held = [
        fit.mtbf_low_hours <= 1000 <= fit.mtbf_high_hours
        for fit in (fit_failures(8000, [1.0] * n) for n in numbers.tolist() if n)
    ]
    assert 0.94 < float(np.mean(held)) < 0.98  # whole numbers cannot be exactly 0.95: it is at least that


def test_a_log_without_failures_says_what_it_does_say() -> None:
    with pytest.raises(ValueError, match="above 3000 hours with 95 %; give a number of your own"):
        fit_failures(9000, [])
    with pytest.raises(ValueError, match="must be above 0"):
        fit_failures(9000, [0.0])
