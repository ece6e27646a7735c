"""Hosts that fail and come back."""

import numpy as np

from placement.arrays import Int64
from placement.forecast.growth import HostFailures
from placement.forecast.numbers import Float64


def ups_and_downs(chance: np.random.Generator, failures: HostFailures, hosts: int, grid: Float64) -> Int64:
    """[G, H] 1 where a host is up at a time, 0 where it is being repaired; all are up at the start."""
    end = float(grid[-1])
    changes = np.zeros((len(grid) + 1, hosts), dtype=np.int64)
    at = np.zeros(hosts)
    living = np.arange(hosts)
    while len(living):
        down = at[living] + failures.mtbf_hours * chance.standard_exponential(len(living))
        back = down + failures.repair_hours * chance.standard_exponential(len(living))
        np.add.at(changes, (np.searchsorted(grid, down), living), 1)
        np.add.at(changes, (np.searchsorted(grid, back), living), -1)
        at[living] = back
        living = living[back < end]
    return 1 - np.cumsum(changes[:-1], axis=0)
