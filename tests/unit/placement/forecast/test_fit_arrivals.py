"""Fits of arrivals and growth against streams whose law is known."""

from dataclasses import replace
from itertools import pairwise
from math import lgamma, log

import numpy as np
import pytest

from placement.forecast.arrivals import CountedSizes
from placement.forecast.fit_arrivals import (
    Arrived,
    fit_arrivals,
    fit_batch_sizes,
    fit_negative_binomial,
    gaps,
    largest_gap,
)
from placement.forecast.fit_growth import fit_growth
from placement.forecast.numbers import DAYS_PER_MONTH

WEIGHTS = np.array([2.0 if 9 <= h % 24 < 17 and h < 120 else 0.6 for h in range(168)])
WEIGHTS = WEIGHTS / WEIGHTS.mean()


def stream(days: int, per_day: float, growth: float, seed: int, *, variance: float = 0.0) -> Arrived:
    """Drawn hour by hour; the rate at the end of the days is `per_day`; day 0 is a Thursday."""
    chance = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    months = (hours / 24 - days) / DAYS_PER_MONTH
    own = chance.gamma(1 / variance, variance, days) if variance else np.ones(days)
    rate = per_day / 24 * WEIGHTS[(hours + 72) % 168] * (1 + growth) ** months * own[hours // 24]
    at = np.repeat(hours, chance.poisson(rate))
    size = 1 + chance.negative_binomial(0.8, 0.8 / (0.8 + 1.5), len(at))
    hours_of = at + chance.random(len(at))
    return Arrived(hours_of, np.zeros(len(at), dtype=np.int64), size, ("web",), days * 24.0, 3)


def test_level_trend_hours_and_sizes_of_a_known_stream_are_found() -> None:
    found = fit_arrivals(stream(70, 300, 0.15, 1)).arrivals["web"]
    assert found.batches_per_day == pytest.approx(300, abs=4 * 300 * found.level_error)
    assert found.growth_percent_per_month == pytest.approx(15, abs=4 * found.growth_error_points)
    assert found.growth_error_points < 3
    assert np.array(found.week()) == pytest.approx(WEIGHTS, abs=0.35)
    assert found.batch_size.moments()[0] == pytest.approx(2.5, abs=0.1)
    assert found.daily_variance < 0.002


def test_errors_that_are_told_are_the_errors_that_are_made() -> None:
    """Of 60 streams, level and trend are off by their standard errors: the mean square of the ratio is about 1."""
    fits = [fit_arrivals(stream(28, 100, 0.1, seed), hold_out_days=0).arrivals["web"] for seed in range(60)]
    level = [(f.batches_per_day / 100 - 1) / f.level_error for f in fits]
    growth = [(f.growth_percent_per_month - 10) / f.growth_error_points for f in fits]
    for ratios in (level, growth):
        assert 0.5 < float(np.mean(np.square(ratios))) < 1.6


def test_days_of_their_own_are_told_from_chance() -> None:
    found = fit_arrivals(stream(70, 300, 0.0, 2, variance=0.2)).arrivals["web"]
    assert found.daily_variance == pytest.approx(0.2, abs=0.1)


def test_days_held_out_fall_into_the_band_eight_times_in_ten() -> None:
    inside = []
    for seed in range(30):
        goodness = fit_arrivals(stream(35, 60, 0.05, seed, variance=0.05), hold_out_days=7).goodness
        assert goodness
        inside.append(goodness.inside_80_percent)
    assert float(np.mean(inside)) == pytest.approx(80, abs=6)


def test_a_week_has_no_trend_and_a_few_batches_have_no_hours() -> None:
    found = fit_arrivals(stream(7, 20, 0.5, 3)).arrivals["web"]
    assert (found.growth_percent_per_month, found.growth_error_points) == (0.0, 0.0)
    assert found.hour_weights == (1.0,)


def test_a_class_that_never_came_has_no_arrivals() -> None:
    one = stream(20, 10, 0.0, 4)
    two = Arrived(one.hours, one.workload_class, one.size, ("web", "db"), one.span_hours, 0)
    assert list(fit_arrivals(two).arrivals) == ["web"]


def test_a_negative_binomial_is_the_most_likely_of_all_shapes_and_means() -> None:
    sizes = np.random.default_rng(5).negative_binomial(0.6, 0.3, 400) + 1
    values, counts = np.unique(sizes, return_counts=True)
    found = fit_negative_binomial(values, counts)

    def likelihood(mean: float, shape: float) -> float:
        p = shape / (shape + mean - 1)
        return sum(
            n * (lgamma(x - 1 + shape) - lgamma(shape) - lgamma(x) + shape * log(p) + (x - 1) * log(1 - p))
            for x, n in zip(values.tolist(), counts.tolist(), strict=True)
        )

    best = likelihood(found.mean_size, found.shape)
    around = [
        likelihood(found.mean_size * a, found.shape * b) for a in (0.95, 1, 1.05) for b in (0.9, 1, 1.1)
    ]
    assert max(around) <= best + 1e-3
    assert largest_gap(values.tolist(), counts.tolist(), found) < 0.06


def test_many_batches_are_as_they_were_counted() -> None:
    assert fit_batch_sizes(np.array([1] * 400 + [7] * 200)) == CountedSizes(
        kind="counted", shares={1: 400, 7: 200}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"span_hours": 5.0}, "at least a whole day"),
        ({"hours": np.array([-1.0])}, "from 0 to below span_hours 48"),
        ({"size": np.array([0])}, "sizes must be at least 1"),
        ({"size": np.array([1, 2])}, "one length"),
    ],
)
def test_batches_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    fields = {"hours": np.array([1.0]), "workload_class": np.array([0]), "size": np.array([1])}
    rest = {"classes": ("web",), "span_hours": 48.0, "first_weekday": 0}
    with pytest.raises(ValueError, match=message):
        Arrived(**{**fields, **rest, **change})  # type: ignore[arg-type] # made wrong on purpose


def test_a_known_walk_is_found() -> None:
    steps = np.random.default_rng(8).normal(0.02, 0.05, 400)
    totals = 1000 * np.exp(np.concatenate([[0], np.cumsum(steps)]))
    found = fit_growth(np.column_stack([totals / 4, totals * 3 / 4]), hold_out_weeks=20)
    weeks = DAYS_PER_MONTH / 7
    assert log(1 + found.walk.percent_per_month / 100) == pytest.approx(0.02 * weeks, abs=0.04)
    assert found.walk.sd_percent == pytest.approx(5 * weeks**0.5, rel=0.15)
    assert found.walk.error_percent == pytest.approx(100 * 0.05 / 20 * weeks, rel=0.15)
    assert abs(found.goodness.echo) < 0.15


def test_use_that_returns_to_its_mean_has_an_echo() -> None:
    totals = 1000 + 300 * np.random.default_rng(9).normal(size=60)
    assert fit_growth(totals[:, None]).goodness.echo < -0.3


def test_too_few_weeks_are_refused() -> None:
    with pytest.raises(ValueError, match="5 weeks of which 5 have use; at least 6"):
        fit_growth(np.ones((5, 2)))


def test_more_weeks_held_out_never_use_them() -> None:
    """The fit that is judged knows only the weeks before: a jump at the end does not change what was told."""
    calm = np.exp(np.arange(12) * 0.01)[:, None]
    jump = calm.copy()
    jump[-1] *= 50
    errors = [fit_growth(use, hold_out_weeks=1).goodness.error_percent for use in (calm, jump)]
    assert [a < b for a, b in pairwise(errors)] == [True]
    assert errors[0] == pytest.approx(0.0, abs=1e-9)


def test_a_stream_with_weekends_a_trend_or_few_batches_has_no_gaps() -> None:
    for seed in range(40):
        assert gaps(stream(180, 2, 0.0, seed).hours) == []
        assert gaps(stream(180, 3, 0.0, seed, variance=0.3).hours) == []
        assert gaps(stream(360, 20, 0.6, seed).hours) == []
        assert gaps(stream(360, 0.2, 0.0, seed).hours) == []


def test_a_missing_stretch_leaves_level_trend_and_hours_as_they_are() -> None:
    whole = stream(140, 300, 0.1, 5)
    day = whole.hours // 24
    cut = (day < 60) | (day >= 95)
    assert gaps(whole.hours[cut]) == [range(60, 95)]
    left = replace(
        whole, hours=whole.hours[cut], workload_class=whole.workload_class[cut], size=whole.size[cut],
        unseen_days=tuple(range(60, 95)),
    )  # fmt: skip
    found = fit_arrivals(left)
    one = found.arrivals["web"]
    assert one.batches_per_day == pytest.approx(300, abs=4 * 300 * one.level_error)
    assert one.growth_percent_per_month == pytest.approx(10, abs=4 * one.growth_error_points)
    assert one.daily_variance < 0.01
    assert np.array(one.week()) == pytest.approx(WEIGHTS, abs=0.35)
    assert found.goodness
    assert (found.goodness.days, found.goodness.held_out_days) == (105, 3)


def test_hours_of_a_week_that_was_never_seen_whole_are_those_of_a_day() -> None:
    whole = stream(28, 200, 0.0, 6)
    fridays = (1, 8, 15, 22)
    seen = ~np.isin(whole.hours // 24, fridays)
    left = replace(
        whole, hours=whole.hours[seen], workload_class=whole.workload_class[seen], size=whole.size[seen],
        unseen_days=fridays,
    )  # fmt: skip
    assert len(fit_arrivals(left).arrivals["web"].hour_weights) == 24
