"""The placement problem as columns: requests x pools, in numpy arrays."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from policies.decisions import Rejection

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

Pair = tuple[int, int]
"""(request, pool), as positions in the problem."""


class InvalidProblem(ValueError):
    """A problem that cannot be solved as written; the message starts with the offending path."""


@dataclass(frozen=True, eq=False)
class PlacementProblem:
    """Requests to place on pools; R requests, P pools, K resource classes.

    Shapes are checked when made, and the arrays become read-only. Costs are what placing the request
    there costs over the stated horizon, in micro-units of the currency, so that plans compare like
    with like. Where two pools cost the same, the one that stands first is preferred.
    """

    resource_classes: tuple[str, ...]
    request_ids: tuple[str, ...]
    demand: Int64
    """[R, K] amounts, each in its resource class's unit."""
    pool_ids: tuple[str, ...]
    tier_of: tuple[str, ...]
    """[P] the tier name of each pool."""
    free: Int64
    """[P, K] capacity (overcommit and reserve applied) less what is allocated already; >= 0."""
    largest: Int64
    """[P, K] the most a single machine may have: it must fit on one host."""
    cost_micros: Int64
    """[R, P] >= 0."""
    rejections: Mapping[Pair, tuple[Rejection, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """(request, pool) -> why policies forbid it; a pair that is not here is allowed."""
    currency: str = "EUR"
    horizon_hours: int = 720
    current: Int64 | None = None
    """[R] the pool where each request runs today, -1 for none; None where nothing runs yet.

    Among plans of equal cost the one that moves the fewest is looked for. `free` must then not count
    what these requests take today as allocated.
    """

    def __post_init__(self) -> None:
        """Refuse wrong shapes, negative values and sums that would overflow int64."""
        r, p, k = len(self.request_ids), len(self.pool_ids), len(self.resource_classes)
        _check_array("demand", self.demand, (r, k))
        _check_array("free", self.free, (p, k))
        _check_array("largest", self.largest, (p, k))
        _check_array("cost_micros", self.cost_micros, (r, p))
        if len(self.tier_of) != p:
            msg = f"tier_of: {len(self.tier_of)} tiers for {p} pools"
            raise InvalidProblem(msg)
        _check_names("request_ids", self.request_ids)
        _check_names("pool_ids", self.pool_ids)
        _check_names("resource_classes", self.resource_classes)
        for i, j in self.rejections:
            if not (0 <= i < r and 0 <= j < p):
                msg = f"rejections: no such pair ({i}, {j})"
                raise InvalidProblem(msg)
        if self.current is not None:
            _check_current(self.current, r, p)

    def allowed(self) -> Bool:
        """[R, P] whether policies allow the pair; capacity is not looked at."""
        mask = np.ones((len(self.request_ids), len(self.pool_ids)), dtype=np.bool_)
        refused = [pair for pair, why in self.rejections.items() if why]
        if refused:
            mask[tuple(np.array(refused, dtype=np.int64).T)] = False
        return mask


def _check_array(name: str, array: Int64, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.int64:
        msg = f"{name}: must be a numpy array of int64"
        raise InvalidProblem(msg)
    if array.shape != shape:
        msg = f"{name}: shape {array.shape} must be {shape}"
        raise InvalidProblem(msg)
    negative = np.argwhere(array < 0)
    if len(negative):
        at = "".join(f"[{i}]" for i in negative[0])
        msg = f"{name}{at}: {array[tuple(negative[0])]} must not be negative"
        raise InvalidProblem(msg)
    if array.size and float(array.sum(dtype=np.float64)) >= 2.0**62:
        msg = f"{name}: the sum of its values does not fit into 62 bits"
        raise InvalidProblem(msg)
    array.setflags(write=False)


def _check_names(name: str, names: tuple[str, ...]) -> None:
    twice = [one for one, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"{name}: '{min(twice)}' stands twice"
        raise InvalidProblem(msg)


def _check_current(current: Int64, requests: int, pools: int) -> None:
    if not isinstance(current, np.ndarray) or current.dtype != np.int64 or current.shape != (requests,):
        msg = f"current: must be a numpy array of int64 of shape ({requests},)"
        raise InvalidProblem(msg)
    wrong = np.argwhere((current < -1) | (current >= pools))
    if len(wrong):
        at = int(wrong[0][0])
        msg = f"current[{at}]: {current[at]} must be a pool's position, 0 to {pools - 1}, or -1"
        raise InvalidProblem(msg)
    current.setflags(write=False)
