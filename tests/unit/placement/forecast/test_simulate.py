"""Forecasts against queueing theory, compound interest and binomials by hand."""

from dataclasses import replace
from datetime import date
from math import comb, exp, log

import numpy as np
import pytest

from catalog.resources import ResourceClass, Resources
from placement.forecast.arrivals import Arrivals, CountedSizes
from placement.forecast.growth import DemandGrowth, HostFailures, Walk
from placement.forecast.lifetimes import Exponential, Lifetimes, LogNormal
from placement.forecast.numbers import DAYS_PER_MONTH
from placement.forecast.problem import (
    ClassModel,
    ForecastPool,
    ForecastProblem,
    HostGroup,
    InvalidForecast,
    Models,
    Present,
)
from placement.forecast.result import Forecast
from placement.forecast.runs import Simulation
from placement.forecast.simulate import simulate, summarise, wilson

START = date(2026, 3, 1)
ONE = Resources(vcpu=1, memory_mib=10, disk_gib=1)
LOG_NORMAL = Lifetimes(parts=(LogNormal(kind="log_normal", share=1, median_hours=30, sigma=0.9),))
VCPU = ResourceClass.VCPU


def pool(count: int = 10, vcpu: int = 1000, **more: object) -> ForecastPool:
    hosts = [HostGroup(count=count, vcpu=vcpu, memory_mib=10_000_000, disk_gib=10_000_000)]
    return ForecastPool.model_validate({"name": "a", "hosts": hosts, "arrivals": {"web": 1}, **more})


def coming(**arrivals: object) -> Models:
    web = ClassModel(each=ONE, arrivals=Arrivals.model_validate(arrivals), lifetimes=LOG_NORMAL)
    return Models(classes={"web": web})


def occupancy(models: Models, runs: int, machines: int = 0, months: int = 1) -> np.ndarray:
    """[N, G] machines in the pool."""
    there = {"a": (Present(workload_class="web", count=machines),)} if machines else {}
    problem = ForecastProblem((pool(),), there, models, START, months)
    return Simulation(problem).run(3, 0, runs).demand[:, 0, :, 0]


def near(found: np.ndarray, mean: float, variance: float) -> None:
    """Mean and variance of independent figures within 4.5 of their standard errors (normal in the middle)."""
    n = len(found)
    assert abs(found.mean() - mean) < 4.5 * (variance / n) ** 0.5
    assert abs(found.var() / variance - 1) < 4.5 * (2 / n) ** 0.5


def test_occupancy_in_balance_is_poisson_with_rate_times_mean_lifetime() -> None:
    """M/G/infinity: started empty, after a month of lifetimes of two days all is in balance."""
    last = occupancy(coming(batches_per_day=24), 1500)[:, -1]
    load = LOG_NORMAL.mean_hours()
    near(last, load, load)


def test_occupancy_of_batches_has_the_variance_of_a_compound_stream() -> None:
    """Independent lives: rate x (E[B(B-1)] x integral of S^2 + E[B] x mean); together: rate x E[B^2] x mean."""
    sizes = {"kind": "counted", "shares": {1: 1, 4: 1}}
    first, second = CountedSizes.model_validate(sizes).moments()
    assert (first, second) == (2.5, 8.5)
    grid = np.linspace(0, 3000, 300_001)
    squared = float((LOG_NORMAL.survival(grid) ** 2).sum() * 0.01)
    mean = LOG_NORMAL.mean_hours()
    apart = coming(batches_per_day=24, batch_size=sizes)
    near(occupancy(apart, 700)[:, -1], first * mean, (second - first) * squared + first * mean)
    web = apart.classes["web"]
    together = web.model_copy(update={"lifetimes": LOG_NORMAL.model_copy(update={"together": 1.0})})
    near(occupancy(Models(classes={"web": together}), 700)[:, -1], first * mean, second * mean)


def test_a_pool_in_balance_stays_in_balance_from_its_first_day() -> None:
    load = LOG_NORMAL.mean_hours()
    found = occupancy(coming(batches_per_day=24 * 4), 250, machines=round(4 * load))
    # The start has no variance of its own, so each time's variance is below that of the balance, 4 x load.
    error = (4 * load / len(found)) ** 0.5
    assert (np.abs(found.mean(axis=0) - 4 * load) < 4.5 * error + 0.5).all()


def test_a_stream_that_grows_is_its_integral() -> None:
    """Nobody leaves: the mean after t months at growth g is rate x (exp(at) - 1) / a, a = ln(1 + g) a month."""
    web = ClassModel(each=ONE, arrivals=Arrivals(batches_per_day=5, growth_percent_per_month=10))
    found = occupancy(Models(classes={"web": web}), 400, months=12)[:, -1]
    a = log(1.1) / DAYS_PER_MONTH
    mean = 5 * (exp(a * 365) - 1) / a
    near(found, mean, mean)


def test_the_error_of_the_level_and_days_of_their_own_widen_the_count_as_by_hand() -> None:
    """Var = m + m^2 l^2 + days x (m/days)^2 v (1 + l^2), of 31 days with mean m in all."""
    web = ClassModel(each=ONE, arrivals=Arrivals(batches_per_day=20, level_error=0.2, daily_variance=0.8))
    found = occupancy(Models(classes={"web": web}), 1200)[:, -1]
    mean = 20 * 31
    near_variance = mean + mean**2 * 0.04 + 31 * 20**2 * 0.8 * 1.04
    assert abs(found.mean() - mean) < 4.5 * (near_variance / 1200) ** 0.5
    assert found.var() == pytest.approx(
        near_variance, rel=0.12
    )  # log-normal: a wider error than a normal's


def test_machines_come_by_the_hour_of_the_week() -> None:
    """A class that comes on Mondays from 9 to 10 only; the forecast starts on a Sunday."""
    weights = tuple(float(hour == 9) for hour in range(168))
    web = ClassModel(each=ONE, arrivals=Arrivals(batches_per_day=100, hour_weights=weights))
    problem = ForecastProblem((pool(),), {}, Models(classes={"web": web}), START, 1, step_days=1)
    demand = Simulation(problem).run(1, 0, 20).demand[:, 0, :, 0].mean(axis=0)
    came = np.diff(demand)
    assert START.isoweekday() == 7
    assert [i for i in range(30) if came[i]] == [1, 8, 15, 22, 29]
    assert came[1] == pytest.approx(700, rel=0.03)


def grown(percent: float, count: int, limit_hosts: int, **walk: float) -> Forecast:
    models = Models(
        classes={"web": ClassModel(each=ONE)},
        growth=DemandGrowth(vcpu=Walk(percent_per_month=percent, **walk)),
    )
    there = {"a": [Present(workload_class="web", count=count)]}
    return simulate([pool(limit_hosts)], there, models, start=START, months=24, runs=200, seed=1)


@pytest.mark.parametrize("percent", [0.5, 3.0, 50.0])
def test_steady_growth_is_full_on_the_day_of_compound_interest(percent: float) -> None:
    found = grown(percent, 900, 1).pools[0]
    exact = log(1000 / 900) / log(1 + percent / 100)
    for months in (found.full.p10_months, found.full.p50_months, found.full.p90_months):
        assert months == (pytest.approx(exact, rel=1e-9) if exact <= 24 else None)
    assert found.binding is VCPU
    assert found.binds[VCPU] == 1.0


def test_growth_that_never_fills_the_pool_has_no_date() -> None:
    found = grown(1.0, 100, 1).pools[0]
    assert (found.full.p10_months, found.full.not_full, found.binding) == (None, 1.0, None)


def test_what_is_too_much_at_the_start_is_full_at_the_start() -> None:
    assert grown(-1.0, 1001, 1).pools[0].full.p90_months == 0.0


def test_uncertain_growth_is_log_normal() -> None:
    """After 12 knots the log is normal with mean 12 ln(1.02) and variance 12 s^2 + (12 e)^2."""
    models = Models(
        classes={"web": ClassModel(each=ONE)},
        growth=DemandGrowth(vcpu=Walk(percent_per_month=2, sd_percent=3, error_percent=1)),
    )
    problem = ForecastProblem(
        (pool(),), {"a": (Present(workload_class="web", count=100),)}, models, START, 12
    )
    demand = Simulation(problem).run(5, 0, 800).demand[:, 0, -1, 0]
    months = 365 / DAYS_PER_MONTH
    near(np.log(demand / 100), months * log(1.02), months * 0.03**2 + (months * 0.01) ** 2)


def failing(needed: int, hosts: int, failures: HostFailures | None) -> Forecast:
    models = Models(classes={"web": ClassModel(each=ONE)}, failures=failures)
    there = {"a": [Present(workload_class="web", count=needed)]}
    return simulate([pool(hosts)], there, models, start=START, months=6, runs=1500, seed=2, step_days=30)


def test_n_plus_1_is_the_binomial_of_hosts_that_are_up() -> None:
    """Of 8 hosts 5 are needed: at least 6 must be up, each with the two-state chain's probability at that hour."""
    failures = HostFailures(mtbf_hours=600, repair_hours=200)
    found = failing(4500, 8, failures)
    for day, n_plus_1, fits in zip(found.days, found.pools[0].n_plus_1, found.pools[0].fits, strict=True):
        down = (1 - failures.availability) * (1 - exp(-day * 24 * (1 / 600 + 1 / 200)))
        for share, least in ((n_plus_1, 6), (fits, 5)):
            exact = sum(comb(8, k) * down ** (8 - k) * (1 - down) ** k for k in range(least, 9))
            assert abs(share - exact) < 4.5 * (exact * (1 - exact) / 1500) ** 0.5 + 1e-12, (
                day,
                share,
                exact,
            )


def test_without_failures_n_plus_1_holds_up_to_the_room_without_the_largest_host() -> None:
    both = (HostGroup(count=2, vcpu=100), HostGroup(count=1, vcpu=300))
    for needed, holds in ((200, 1.0), (201, 0.0)):
        there = {"a": [Present(workload_class="web", count=needed)]}
        models = Models(classes={"web": ClassModel(each=Resources(vcpu=1))})
        one = ForecastPool(name="a", hosts=both)
        found = simulate([one], there, models, start=START, months=1, runs=2, seed=0).pools[0]
        assert set(found.n_plus_1) == {holds}
        assert set(found.fits) == {1.0}


def test_a_pool_that_keeps_hosts_is_full_without_the_largest_of_them() -> None:
    hosts = (HostGroup(count=2, vcpu=100, disk_gib=70), HostGroup(count=1, vcpu=300, disk_gib=10))
    one = ForecastPool(
        name="a", hosts=hosts, keeps_hosts=1, usable_percent=90, shared=Resources(disk_gib=5)
    )
    assert one.limits().tolist() == [180.0, 0.0, 77.0]


def test_one_seed_gives_one_forecast_however_the_runs_are_cut(everything: ForecastProblem) -> None:
    simulation = Simulation(everything)
    whole = summarise(everything, [simulation.run(9, 0, 12)], 9)
    parts = [Simulation(everything).run(9, first, first + 4) for first in (8, 0, 4)]
    assert summarise(everything, parts, 9) == whole
    assert summarise(everything, [simulation.run(10, 0, 12)], 10) != whole


def test_more_room_changes_no_demand_and_makes_no_run_full_earlier(everything: ForecastProblem) -> None:
    """Of one seed, what is asked for is the same whatever there is: two estates are compared without noise."""
    before = Simulation(everything).run(4, 0, 25)
    larger = [
        pool.model_copy(update={"hosts": (*pool.hosts, HostGroup(count=1, vcpu=96, memory_mib=700_000))})
        for pool in everything.pools
    ]
    after = Simulation(replace(everything, pools=tuple(larger))).run(4, 0, 25)
    assert (after.demand == before.demand).all()
    assert (after.full_hours >= before.full_hours).all()
    assert (after.full_hours > before.full_hours).any()


def test_run_i_draws_what_a_spawned_child_i_would(everything: ForecastProblem) -> None:
    child = np.random.SeedSequence(9).spawn(3)[2]
    assert (
        child.generate_state(4).tolist()
        == np.random.SeedSequence(9, spawn_key=(2,)).generate_state(4).tolist()
    )


def test_quantiles_and_their_errors_are_those_by_hand() -> None:
    low, high = wilson(3, 10)
    assert (round(low, 4), round(high, 4)) == (0.1078, 0.6032)  # Newcombe 1998, table I's method
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


def test_a_horizon_ends_on_the_same_day_of_a_later_month() -> None:
    ends = [
        ForecastProblem((pool(),), {}, coming(batches_per_day=0), date(2026, 1, 31), months).end
        for months in (1, 2, 12, 25)
    ]
    assert ends == [date(2026, 2, 28), date(2026, 3, 31), date(2027, 1, 31), date(2028, 2, 29)]


def test_everything_that_does_not_go_together_is_named() -> None:
    bad = ForecastPool(
        name="a", hosts=(HostGroup(count=1, vcpu=1),), arrivals={"wbe": 1.0, "web": 0.7}, keeps_hosts=1
    )
    short = Lifetimes(parts=(Exponential(kind="exponential", share=1, mean_hours=1),))
    models = Models(classes={"web": ClassModel(each=ONE, lifetimes=short)})
    with pytest.raises(InvalidForecast) as refused:
        ForecastProblem(
            (bad, bad),
            {"c": (), "a": (Present(workload_class="db", count=1),)},
            models, START, 0, step_days=99,
        )  # fmt: skip
    assert sorted(set(refused.value.problems)) == [
        "class 'wbe' arrives in pool 'a' but is not there; did you mean 'web'? known are web",
        "machines of class 'db' stand in pool 'a'; known are web",
        "machines stand in pool 'c', which is not there; known are a",
        "months must be from 1 to 240: 0",
        "pool 'a' keeps 1 of its 1 hosts free; it must keep fewer",
        "pool 'a' stands twice",
        "step_days must be from 1 to 31: 99",
        "the pools' shares of class 'web' sum to 1.4; they must sum to 1 at most",
    ]


def test_a_flood_of_machines_is_refused_with_a_way_out() -> None:
    web = ClassModel(each=ONE, arrivals=Arrivals(batches_per_day=1e6, growth_percent_per_month=900))
    problem = ForecastProblem((pool(),), {}, Models(classes={"web": web}), START, 24)
    with pytest.raises(InvalidForecast, match="lower growth, its error or the horizon"):
        Simulation(problem).run(0, 0, 1)
