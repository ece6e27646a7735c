"""The host problem as columns: requests x hosts, in numpy arrays."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.problem import InvalidProblem

UNPLACED_COST = 10**9
"""What a request without a host adds to the objective: more than all hosts together may cost."""


@dataclass(frozen=True, eq=False)
class HostProblem:
    """Requests to place on hosts; R requests, H hosts, K resources.

    Placing requests comes first, then the cost of the hosts that are on; a host is on when it has a
    request. Checked when made, and the arrays become read-only.
    """

    demand: Int64
    """[R, K] amounts, each in its resource's unit; the sum of a column must stay below 2**40."""
    capacity: Int64
    """[H, K] what may be allocated on each host: overcommit and reserve applied."""
    host_cost: Int64
    """[H] what it costs to have the host on; together below `UNPLACED_COST`."""
    host_type: Int64
    """[H] >= 0; hosts of one type have the same capacity and cost."""

    def __post_init__(self) -> None:
        """Refuse wrong shapes, negative values, sums that would overflow and types that are none."""
        hosts, resources = _shape("capacity", self.capacity)
        if _shape("demand", self.demand)[1] != resources:
            msg = f"demand: {self.demand.shape[1]} resources, but capacity has {resources}"
            raise InvalidProblem(msg)
        for name, array in (("host_cost", self.host_cost), ("host_type", self.host_type)):
            if array.shape != (hosts,):
                msg = f"{name}: shape {array.shape} must be {(hosts,)}"
                raise InvalidProblem(msg)
        for name in ("demand", "capacity", "host_cost", "host_type"):
            _check_values(name, getattr(self, name))
        if float(self.host_cost.sum(dtype=np.float64)) >= UNPLACED_COST:
            msg = f"host_cost: all hosts together must cost less than {UNPLACED_COST}; use a coarser unit"
            raise InvalidProblem(msg)
        self._check_types()

    def _check_types(self) -> None:
        rows = np.column_stack([self.host_type, self.capacity, self.host_cost])
        kinds = np.unique(rows, axis=0)[:, 0]
        mixed = kinds[1:][kinds[1:] == kinds[:-1]]
        if len(mixed):
            msg = f"host_type: hosts of type {mixed[0]} differ in capacity or cost; give them types of their own"
            raise InvalidProblem(msg)


def _shape(name: str, array: Int64) -> tuple[int, int]:
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        msg = f"{name}: must be a numpy array of two dimensions"
        raise InvalidProblem(msg)
    rows, columns = array.shape
    return rows, columns


def _check_values(name: str, array: Int64) -> None:
    if array.dtype != np.int64:
        msg = f"{name}: must be of type int64, not {array.dtype}"
        raise InvalidProblem(msg)
    negative = np.argwhere(array < 0)
    if len(negative):
        at = "".join(f"[{i}]" for i in negative[0])
        msg = f"{name}{at}: {array[tuple(negative[0])]} must not be negative"
        raise InvalidProblem(msg)
    if array.size and float(array.sum(axis=0, dtype=np.float64).max()) >= 2.0**40:
        msg = f"{name}: a sum of its values does not fit into 40 bits; use a coarser unit"
        raise InvalidProblem(msg)
    array.setflags(write=False)
