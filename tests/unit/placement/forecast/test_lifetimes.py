"""Lifetimes against their closed forms, integrals by hand, and one million draws."""

from math import exp, inf

import numpy as np
import pytest
from pydantic import ValidationError

from placement.forecast.drawing import Law, LifetimeTable, fresh, in_balance, remaining
from placement.forecast.lifetimes import STAYS, Between, Exponential, Lifetimes, LogNormal, Stays

MIXED = Lifetimes(
    parts=(
        Exponential(kind="exponential", share=0.4, mean_hours=10, after_hours=2),
        LogNormal(kind="log_normal", share=0.35, median_hours=20, sigma=0.8),
        Between(kind="between", share=0.25, from_hours=5, to_hours=25),
    )
)
DRAWS = 200_000


def drawn(laws: list[Law], n: int = DRAWS) -> np.ndarray:
    return LifetimeTable([fresh(STAYS), laws, fresh(STAYS)]).draw(np.random.default_rng(1), np.full(n, 1))


def agree(hours: np.ndarray, survival: object, at: tuple[float, ...]) -> None:
    """Empirical survival within 4.5 standard errors of what is expected."""
    for t in at:
        expected = float(survival(t))  # type: ignore[operator] # a function of the test
        error = (expected * (1 - expected) / len(hours)) ** 0.5
        assert abs((hours > t).mean() - expected) < 4.5 * error + 1e-12, t


TIMES = (0.5, 2.0, 4.0, 8.0, 15.0, 24.0, 40.0, 90.0)


def of(lifetimes: Lifetimes, t: float) -> float:
    return float(lifetimes.survival(np.array([t]))[0])


def test_draws_live_as_long_as_the_survival_says() -> None:
    agree(drawn(fresh(MIXED)), lambda t: of(MIXED, t), TIMES)


def test_survival_and_mean_are_those_worked_by_hand() -> None:
    two = Lifetimes(
        parts=(
            Exponential(kind="exponential", share=0.5, mean_hours=4),
            Between(kind="between", share=0.5, from_hours=0, to_hours=8),
        )
    )
    assert of(two, 4.0) == pytest.approx(0.5 * exp(-1) + 0.25)
    assert two.mean_hours() == pytest.approx(4.0)
    assert of(Lifetimes(parts=(LogNormal(kind="log_normal", share=1, median_hours=7, sigma=2),)), 7) == 0.5


@pytest.mark.parametrize("age", [0.0, 1.0, 6.0, 20.0, 60.0])
def test_what_is_left_of_a_life_is_survival_beyond_the_age(age: float) -> None:
    hours = drawn(remaining(MIXED, age))
    agree(hours, lambda t: of(MIXED, age + t) / of(MIXED, age), TIMES)


def test_an_age_far_beyond_the_tail_leaves_numbers() -> None:
    old = Lifetimes(parts=(LogNormal(kind="log_normal", share=1, median_hours=1, sigma=0.1),))
    hours = drawn(remaining(old, 1000.0), 1000)
    assert np.isfinite(hours).all()
    # The hazard of a log-normal there is ln(x/m) / (s^2 x) to first order: 0.691 an hour.
    assert hours.mean() == pytest.approx(1 / 0.691, rel=0.15)


def test_a_short_life_has_nothing_to_say_about_an_old_machine() -> None:
    two = Lifetimes(
        parts=(
            Exponential(kind="exponential", share=0.999, mean_hours=0.1),
            Exponential(kind="exponential", share=0.001, mean_hours=1000),
        )
    )
    assert drawn(remaining(two, 8760.0)).mean() == pytest.approx(1000, rel=0.02)


def test_a_machine_older_than_any_life_is_refused() -> None:
    short = Lifetimes(parts=(Between(kind="between", share=1, from_hours=1, to_hours=2),))
    with pytest.raises(ValueError, match="age 3 hours is older than these lifetimes allow; add a part"):
        remaining(short, 3.0)


def test_in_balance_the_rest_of_a_life_has_survival_over_mean_as_its_density() -> None:
    grid = np.linspace(0, 4000, 400_001)
    density = MIXED.survival(grid) / MIXED.mean_hours()
    tail = 1 - np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    agree(drawn(in_balance(MIXED)), lambda t: np.interp(t, grid, tail), TIMES)


def test_where_some_never_leave_all_that_is_met_stays() -> None:
    some = Lifetimes(
        parts=(Exponential(kind="exponential", share=0.9, mean_hours=5), Stays(kind="stays", share=0.1))
    )
    assert some.mean_hours() == inf
    assert np.isinf(drawn(in_balance(some), 100)).all()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"kind": "exponential", "share": 0.5, "mean_hours": 3}], "sum to 0.5; they must sum to 1"),
        ([{"kind": "between", "share": 1, "from_hours": 3, "to_hours": 3}], "to_hours 3 must be above"),
        ([{"kind": "exponential", "share": 1, "mean_hours": True}], "must be a number: true"),
        ([{"kind": "exponential", "share": 1, "mean_hours": "inf"}], "finite"),
        ([{"kind": "log_normal", "share": 1, "median_hours": 0, "sigma": 1}], "greater than 0"),
        ([], "at least 1"),
    ],
)
def test_laws_that_cannot_be_are_refused(parts: list[object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Lifetimes.model_validate({"parts": parts})


def test_thirds_written_with_six_digits_are_whole() -> None:
    third = {"kind": "exponential", "share": 0.333333, "mean_hours": 1}
    assert of(Lifetimes.model_validate({"parts": [third] * 3}), 0.0) == 1.0
