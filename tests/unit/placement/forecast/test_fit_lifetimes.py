"""Fits of lifetimes against estimates worked by hand, closed forms and laws that are known."""

import numpy as np
import pytest

from placement.forecast.drawing import LifetimeTable, fresh
from placement.forecast.fit_lifetimes import (
    Lived,
    _tail,
    empirical_lifetimes,
    empirical_survival,
    fit_lifetimes,
    together,
)
from placement.forecast.lifetimes import Exponential, Lifetimes, LogNormal
from placement.forecast.numbers import normal_tail

TRUE = Lifetimes(
    parts=(
        LogNormal(kind="log_normal", share=0.7, median_hours=2, sigma=0.6),
        Exponential(kind="exponential", share=0.3, mean_hours=60),
    )
)


def watched(lifetimes: Lifetimes, n: int, seed: int, *, bin_hours: float = 0.0) -> Lived:
    """Machines that came evenly over 100 hours and were watched until hour 100; ends known to bins, or almost exactly."""
    chance = np.random.default_rng(seed)
    life = LifetimeTable([fresh(lifetimes)]).draw(chance, np.zeros(n, dtype=np.int64))
    seen = 100 * chance.random(n)
    low = np.floor(life / bin_hours) * bin_hours if bin_hours else life * (1 - 1e-9)
    high = np.minimum(low + bin_hours, seen) if bin_hours else life
    ended = life < seen
    return Lived(np.where(ended, low, seen), np.where(ended, high, np.inf), np.arange(n))


def test_the_estimate_without_a_law_is_kaplan_meiers_by_hand() -> None:
    """Ends at 1, 2, 2, 4, 6; last seen at 3 and 5: 6/7, x 4/6, x 2/3 (of 3 left), x 0/1."""
    ends, seen = np.array([1.0, 2, 2, 4, 6]), np.array([3.0, 5])
    lived = Lived(
        np.concatenate([ends - 1e-9, seen]), np.concatenate([ends, np.full(2, np.inf)]), np.arange(7)
    )
    hours, survival = empirical_survival(lived)
    for t, exact in ((1, 6 / 7), (2, 4 / 7), (4, 4 / 7 * 2 / 3), (6, 0.0)):
        at = np.searchsorted(hours, t + 0.05) - 1  # edges are of three digits
        assert survival[at] == pytest.approx(exact, abs=1e-6)


def test_one_exponential_is_the_time_lived_over_the_ends() -> None:
    lived = watched(Lifetimes(parts=(Exponential(kind="exponential", share=1, mean_hours=30),)), 2000, 1)
    found = fit_lifetimes(lived, kinds=("exponential",)).lifetimes
    exact = np.where(lived.ended, lived.high_hours, lived.low_hours).sum() / lived.ended.sum()
    # With more parts than the truth has, the mixture may split hairs, but its survival is that of one rate.
    at = np.array([5.0, 20.0, 60.0])
    assert found.survival(at) == pytest.approx(np.exp(-at / exact), abs=0.02)


@pytest.mark.parametrize("bin_hours", [0.0, 5.0])
def test_a_known_law_is_found_through_bins_and_ends_that_nobody_saw(bin_hours: float) -> None:
    found = fit_lifetimes(watched(TRUE, 5000, 3, bin_hours=bin_hours))
    # Within the first bin nothing is known.
    at = np.array([t for t in (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 80.0) if t >= bin_hours])
    assert found.lifetimes.survival(at) == pytest.approx(TRUE.survival(at), abs=0.025)
    assert found.goodness.gap < found.goodness.gap_of_chance + 0.02
    assert found.goodness.log_likelihood > found.goodness.log_likelihood_of_one_exponential + 0.1
    assert found.goodness.still_running_percent == pytest.approx(16, abs=3)


def test_the_law_of_what_was_counted_is_the_estimate_and_has_a_tail() -> None:
    lived = watched(TRUE, 8000, 4, bin_hours=0.5)
    found = empirical_lifetimes(lived)
    at = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 80.0])
    assert found.survival(at) == pytest.approx(TRUE.survival(at), abs=0.025)
    assert 30 < found.parts[-1].mean() - 80 < 120  # 60 hours beyond the last end, from few machines


@pytest.mark.parametrize("chance_together", [0.0, 0.35, 1.0])
def test_batches_that_leave_together_are_recognised(chance_together: float) -> None:
    chance = np.random.default_rng(6)
    batch = np.repeat(np.arange(3000), chance.integers(1, 8, 3000))
    life = np.ceil(chance.exponential(20, len(batch)))
    first = np.searchsorted(batch, batch)
    life = np.where((chance.random(3000) < chance_together)[batch], life[first], life)
    assert together(Lived(life - 1, life, batch)) == pytest.approx(chance_together, abs=0.03)


def test_the_quick_tail_of_the_normal_is_the_exact_one() -> None:
    z = np.linspace(-8, 30, 500)
    assert _tail(z) == pytest.approx(normal_tail(z), rel=1.3e-7)


def test_too_few_ends_are_refused() -> None:
    lived = Lived(np.ones(50), np.array([2.0] * 9 + [np.inf] * 41), np.arange(50))
    with pytest.raises(
        ValueError, match="9 machines ended; at least 10 are needed to fit lifetimes, so watch"
    ):
        fit_lifetimes(lived)
    with pytest.raises(ValueError, match="watch for longer"):
        empirical_lifetimes(lived)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([1.0], [1.0], "below high_hours"),
        ([-1.0], [1.0], "not be negative"),
        ([], [], "no machines"),
        ([1.0, 2.0], [3.0], "one length"),
    ],
)
def test_cells_that_cannot_be_are_refused(low: list[float], high: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lived(np.array(low), np.array(high), np.arange(len(low)))
