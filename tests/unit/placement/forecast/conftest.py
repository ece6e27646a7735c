"""Small questions that tests of forecasts are asked about."""

from datetime import date

import pytest

from catalog.resources import Resources
from placement.forecast.arrivals import Arrivals, NegativeBinomial
from placement.forecast.growth import DemandGrowth, HostFailures, Walk
from placement.forecast.lifetimes import Between, Exponential, Lifetimes, LogNormal
from placement.forecast.problem import (
    ClassModel,
    ForecastPool,
    ForecastProblem,
    HostGroup,
    Models,
    Present,
)


@pytest.fixture(scope="session")
def everything() -> ForecastProblem:
    """One question that uses all there is."""
    lifetimes = Lifetimes(
        parts=(
            Exponential(kind="exponential", share=0.5, mean_hours=60, after_hours=5),
            LogNormal(kind="log_normal", share=0.3, median_hours=200, sigma=1.0),
            Between(kind="between", share=0.2, from_hours=100, to_hours=900),
        ),
        together=0.4,
    )
    weights = tuple(3.0 if 8 <= hour % 24 < 18 and hour < 120 else 0.5 for hour in range(168))
    web = ClassModel(
        each=Resources(vcpu=2, memory_mib=4096, disk_gib=20),
        lifetimes=lifetimes,
        arrivals=Arrivals(
            batches_per_day=1.5,
            batch_size=NegativeBinomial(kind="negative_binomial", mean_size=2.5, shape=0.7),
            hour_weights=weights,
            growth_percent_per_month=6,
            growth_error_points=4,
            level_error=0.1,
            daily_variance=0.5,
        ),
    )
    large = ClassModel(
        each=Resources(vcpu=8, memory_mib=65536, disk_gib=500),
        lifetimes=Lifetimes(parts=(Exponential(kind="exponential", share=1, mean_hours=1500),)),
        arrivals=Arrivals.model_validate(
            {"batches_per_day": 0.2, "batch_size": {"kind": "counted", "shares": {1: 6, 2: 3, 5: 1}}}
        ),
    )
    return ForecastProblem(
        pools=(
            ForecastPool(
                name="a",
                hosts=(
                    HostGroup(count=3, vcpu=64, memory_mib=400_000),
                    HostGroup(count=1, vcpu=96, memory_mib=700_000),
                ),
                shared=Resources(disk_gib=11_000),
                arrivals={"web": 0.6, "large": 0.5},
                usable_percent=95,
            ),
            ForecastPool(
                name="b",
                hosts=(HostGroup(count=4, vcpu=48, memory_mib=300_000, disk_gib=3_000),),
                arrivals={"web": 0.4, "large": 0.3},
                keeps_hosts=1,
            ),
        ),
        machines={
            "a": (
                Present(workload_class="web", count=20),
                Present(workload_class="large", count=5, stay=True),
            ),
            "b": (
                Present(workload_class="web", count=15, age_hours=120.0),
                Present(workload_class="large", count=3, age_hours=0.0),
            ),
        },
        models=Models(
            classes={"web": web, "large": large},
            growth=DemandGrowth(
                vcpu=Walk(percent_per_month=2, sd_percent=6, error_percent=2),
                memory_mib=Walk(percent_per_month=3),
            ),
            failures=HostFailures(mtbf_hours=1500, repair_hours=72),
        ),
        start=date(2026, 1, 31),
        months=6,
        step_days=10,
    )
