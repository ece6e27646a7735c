"""Rebalancing and forecasts on processes and on a real Dask cluster: the same answers as on one process."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from catalog.estates.generator import generate
from placement.rebalance.solve import Effort
from tierwise.planner.rebalancing.run import Whole, rebalanced
from tierwise.planner.rebalancing.telling import move_rows, pool_rows
from tierwise.planner.rebalancing.wishes import Wishes
from tierwise.usecases import forecast as use

distributed = pytest.importorskip("distributed")
EXAMPLE = Path(__file__).parents[2] / "examples" / "forecast" / "when-full.yaml"
ESTATE = generate(150, 3)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as one:
        yield one.scheduler_address


def _effort(moves: int, _: float) -> Effort:
    return Effort(seed=1, moves=moves)


def asked(**how: object) -> Whole:
    return rebalanced(ESTATE, Wishes(within_points=1), partial(_effort, 20_000), **how)  # type: ignore[arg-type] # jobs or cluster


def test_pools_are_rebalanced_alike_on_one_process_on_two_and_on_a_cluster(cluster: str) -> None:
    alone = asked()
    assert move_rows(alone)
    for other in (asked(jobs=2), asked(cluster=cluster)):
        assert move_rows(other) == move_rows(alone)
        assert pool_rows(other) == pool_rows(alone)


def test_runs_of_a_forecast_are_the_same_on_a_cluster(cluster: str) -> None:
    question = use.load(EXAMPLE)
    told: list[tuple[int, int]] = []
    found = use.run(question, runs=110, cluster=cluster, tell=lambda done, of: told.append((done, of)))
    assert found == use.run(question, runs=110)
    assert told[-1] == (110, 110)
