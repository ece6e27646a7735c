"""Forecasts by chance: runs in columns against a plain event-by-event implementation of the same models.

The estate has eight pools of 20 hosts, 4,000 machines at the start and five classes that come in batches, grow and
leave; hosts fail. A machine-month is a machine (there at the start, or come within the horizon) times the months of
the horizon. Processor seconds of one process; two processes are timed by the clock.
"""

import os
import time
from collections.abc import Callable
from datetime import date

from catalog.resources import Resources
from placement.forecast.arrivals import Arrivals, NegativeBinomial
from placement.forecast.document import ForecastDocument
from placement.forecast.growth import DemandGrowth, HostFailures, Walk
from placement.forecast.lifetimes import Exponential, Lifetimes, LogNormal
from placement.forecast.problem import (
    ClassModel,
    ForecastPool,
    ForecastProblem,
    HostGroup,
    Models,
    Present,
)
from placement.forecast.runs import Simulation
from placement.forecast.simulate import summarise
from placement.forecast.streams import Streams
from tierwise.testing.forecast_events import run_events
from tierwise.usecases.forecast import run

Figures = dict[str, int | float | str]

MONTHS = 24
POOLS, CLASSES = 8, 5


def main() -> Figures:
    """Machine-months a second of both, their ratio, and a whole forecast of 300 runs."""
    problem = estate()
    machines = machines_of_a_run(problem)
    simulation = Simulation(problem)
    simulation.run(0, 0, 2)
    columns = processor(lambda: simulation.run(1, 0, 40)) / 40
    events = processor(lambda: [run_events(problem, seed) for seed in range(2)]) / 2
    began, spent = time.perf_counter(), time.process_time()
    found = summarise(problem, [simulation.run(2, 0, 300)], 2)
    wall, spent = time.perf_counter() - began, time.process_time() - spent
    assert any(pool.full.p50_months for pool in found.pools), "an estate where something happens"
    question = ForecastDocument(problem, 300, 2, ())
    run(question, runs=100, processes=2)  # the processes are started before the clock is
    two = clock(lambda: run(question, processes=2))
    return {
        "machines_in_a_run": round(machines),
        "machine_months_per_processor_s": round(machines * MONTHS / columns),
        "event_by_event_machine_months_per_processor_s": round(machines * MONTHS / events),
        "times_faster_than_event_by_event": events / columns,
        "ms_of_a_run_of_24_months": 1000 * columns,
        "forecast_of_300_runs_wall_s": wall,
        "forecast_of_300_runs_processor_s": spent,
        "forecast_of_300_runs_two_processes_wall_s": two,
    }


def processor(work: Callable[[], object]) -> float:
    """Processor seconds of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def clock(work: Callable[[], object]) -> float:
    """Seconds by the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def machines_of_a_run(problem: ForecastProblem) -> float:
    """Those at the start and those that come."""
    there = sum(one.count for present in problem.machines.values() for one in present)
    return there + Streams(problem).expected_machines()


def estate() -> ForecastProblem:
    """Pools and classes of several sizes; the later pools are fuller."""
    classes = {f"c{i}": kind(i) for i in range(CLASSES)}
    pools = tuple(
        ForecastPool(
            name=f"p{p}",
            hosts=(HostGroup(count=20, vcpu=160 - 12 * p, memory_mib=800_000, disk_gib=40_000),),
            arrivals=dict.fromkeys(classes, 1 / POOLS),
            keeps_hosts=1,
        )
        for p in range(POOLS)
    )
    present = tuple(Present(workload_class=name, count=100, age_hours=300.0) for name in classes)
    models = Models(
        classes=classes,
        growth=DemandGrowth(vcpu=Walk(percent_per_month=0.5, sd_percent=2, error_percent=0.5)),
        failures=HostFailures(mtbf_hours=20_000, repair_hours=48),
    )
    return ForecastProblem(pools, {pool.name: present for pool in pools}, models, date(2026, 12, 1), MONTHS)


def kind(i: int) -> ClassModel:
    """Small classes come often and in batches, large ones seldom."""
    return ClassModel(
        each=Resources(vcpu=2 + i, memory_mib=8192 * (1 + i), disk_gib=50 * (1 + i)),
        arrivals=Arrivals(
            batches_per_day=8 / (1 + i),
            batch_size=NegativeBinomial(kind="negative_binomial", mean_size=2.5, shape=0.5),
            hour_weights=tuple(3.0 if 8 <= h % 24 < 18 and h < 120 else 1.0 for h in range(168)),
            growth_percent_per_month=1.0,
            growth_error_points=1.0,
            daily_variance=0.3,
        ),
        lifetimes=Lifetimes(
            parts=(
                Exponential(kind="exponential", share=0.6, mean_hours=200),
                LogNormal(kind="log_normal", share=0.4, median_hours=4000, sigma=1.0),
            ),
            together=0.5,
        ),
    )


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores")
    for name, value in main().items():
        print(f"{name:55} {value:,.4g}" if isinstance(value, float) else f"{name:55} {value}")
