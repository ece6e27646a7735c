"""The columns of host problems and plans by name, as `.npz` files have them; opening files is for others."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from placement.hosts.problem import HostProblem
from placement.hosts.result import HostPlan
from placement.problem import InvalidProblem

KIND = "hosts"
_COLUMNS = ("demand", "capacity", "host_cost", "host_type")


def read(npz: Mapping[str, npt.NDArray[np.generic]]) -> HostProblem:
    """The problem in `kind`, `demand`, `capacity`, `host_cost`, `host_type`. Raises InvalidProblem."""
    kind = str(npz["kind"]) if "kind" in npz else "missing"
    if kind != KIND:
        msg = f"kind: '{kind}' must be '{KIND}'"
        raise InvalidProblem(msg)
    missing = [name for name in _COLUMNS if name not in npz]
    if missing:
        msg = f"{', '.join(missing)}: missing"
        raise InvalidProblem(msg)
    demand, capacity, host_cost, host_type = (_integers(name, npz[name]) for name in _COLUMNS)
    return HostProblem(demand, capacity, host_cost, host_type)


def write(plan: HostPlan) -> dict[str, npt.NDArray[np.generic]]:
    """The plan as columns: `assignment` [R], -1 for none, and scalars."""
    return {
        "kind": np.array(KIND),
        "assignment": plan.host_of,
        "objective": np.array(plan.objective),
        "bound": np.array(plan.bound),
        "unplaced": np.array(plan.unplaced),
        "cost": np.array(plan.cost),
        "solver": np.array(plan.solver),
    }


def _integers(name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    if array.dtype.kind not in "iu":
        msg = f"{name}: must be integers, not {array.dtype}"
        raise InvalidProblem(msg)
    if array.dtype == np.uint64 and array.size and int(array.max()) >= 2**63:
        msg = f"{name}: a value does not fit into 63 bits"
        raise InvalidProblem(msg)
    return np.array(array, dtype=np.int64, order="C")
