"""Compile every inner loop once, so that the first plan of a new installation does not wait for it."""

import numpy as np

from placement.pool_instances.instance import PoolInstance
from placement.rebalance.reassignment import Reassignment


def warm() -> bool:
    """Compile and keep on disk what numba compiles; False where it is missing. Takes up to a minute of processor time.

    An installer calls it as who may write beside the files of this package.
    """
    from placement.generator import estate  # noqa: PLC0415 - numba and ortools take seconds: not for who only asks
    from placement.hosts import kernels  # noqa: PLC0415 - as above
    from placement.plan import Limits  # noqa: PLC0415 - as above
    from placement.pool_instances.solve import PoolLimits  # noqa: PLC0415 - as above
    from placement.pool_instances.solve import solve as solve_pools  # noqa: PLC0415 - as above
    from placement.rebalance.chain import Chain, Manner  # noqa: PLC0415 - as above
    from placement.rebalance.tables import tables_of  # noqa: PLC0415 - as above
    from placement.solve import solve  # noqa: PLC0415 - as above

    compiled = kernels.warm()
    solve(estate(0, 60, 8), Limits(deterministic_time=0.5), way="search")
    solve_pools(_pools(), PoolLimits(rounds=1), lambda: 0.0)
    running = _running()
    Chain(tables_of(running, 0), running.initial, 0, Manner(passing=0.4, replacing=0.4)).block(1.0, 100)
    return compiled


def _pools() -> PoolInstance:
    """More counts than are solved at once, so that the search runs."""
    classes, pools = 40, 10
    chance = np.random.default_rng(0)
    demand = chance.integers(1, 9, (classes, 2)).astype(np.int64)
    klass = np.arange(200, dtype=np.int64) % classes
    return PoolInstance(
        demand=demand,
        klass=klass,
        app=np.zeros(200, dtype=np.int64),
        capacity=np.full((pools, 2), int(demand[klass].sum(axis=0).max()) // 6, dtype=np.int64),
        allowed=np.ones((classes, pools), dtype=np.bool_),
        unit_cost=chance.integers(50, 99, (classes, pools)).astype(np.int64),
        open_cost=np.full(pools, 100, dtype=np.int64),
        windows=np.ones(classes, dtype=np.int64),
        app_spread=np.zeros(1, dtype=np.bool_),
        licence_pack_vcpus=8,
        licence_pack_cost=30,
        app_max_share=1.0,
        unplaced_cost=10_000,
    )


def _running() -> Reassignment:
    """Two processes on two machines, each of which has room for both."""
    ones = np.ones((2, 1), dtype=np.int64)
    return Reassignment(
        transient=np.ones(1, dtype=np.bool_),
        load_weight=np.ones(1, dtype=np.int64),
        neighbourhood=np.zeros(2, dtype=np.int64),
        location=np.zeros(2, dtype=np.int64),
        capacity=9 * ones,
        safety=ones,
        machine_move_cost=np.zeros((2, 2), dtype=np.int64),
        spread=np.zeros(2, dtype=np.int64),
        dependency=np.zeros((0, 2), dtype=np.int64),
        service=np.arange(2, dtype=np.int64),
        requirement=ones,
        process_move_cost=np.zeros(2, dtype=np.int64),
        balance=np.zeros((0, 4), dtype=np.int64),
        weights=np.ones(3, dtype=np.int64),
        initial=np.zeros(2, dtype=np.int64),
    )


if __name__ == "__main__":
    warm()
