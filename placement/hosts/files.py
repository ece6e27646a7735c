"""The columns of host problems and plans by name, as `.npz` files have them; opening files is for others."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from placement.columns import integers
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
    demand, capacity, host_cost, host_type = (integers(name, npz[name]) for name in _COLUMNS)
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
