"""The placement problem as columns: requests x pools, in numpy arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from policies.decisions import Rejection

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


class InvalidProblem(ValueError):
    """A problem that cannot be solved as written; the message starts with the offending path."""


@dataclass(frozen=True, eq=False)
class PlacementProblem:
    """Requests to place on pools; R requests, P pools, K resource classes.

    Shapes are checked when made. Costs are what placing the request there costs over the stated
    horizon, in micro-units of the currency, so that plans compare like with like.
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
    rejections: Mapping[tuple[int, int], tuple[Rejection, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """(request, pool) -> why policies forbid it; a pair that is not here is allowed."""
    currency: str = "EUR"
    horizon_hours: int = 720

    def __post_init__(self) -> None:
        """Refuse wrong shapes, negative values and sums that would overflow int64."""
        r, p, k = len(self.request_ids), len(self.pool_ids), len(self.resource_classes)
        shapes = {"demand": (r, k), "free": (p, k), "largest": (p, k), "cost_micros": (r, p)}
        for name, shape in shapes.items():
            array = getattr(self, name)
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
            if array.size and float(array.sum(dtype=np.float64)) > 2.0**62:
                msg = f"{name}: the sum of its values does not fit into 63 bits"
                raise InvalidProblem(msg)
            array.setflags(write=False)
        if len(self.tier_of) != p:
            msg = f"tier_of: {len(self.tier_of)} tiers for {p} pools"
            raise InvalidProblem(msg)
        for name, ids in (("request_ids", self.request_ids), ("pool_ids", self.pool_ids)):
            if len(set(ids)) != len(ids):
                twice = sorted({i for i in ids if ids.count(i) > 1})
                msg = f"{name}: '{twice[0]}' stands twice"
                raise InvalidProblem(msg)
        for i, j in self.rejections:
            if not (0 <= i < r and 0 <= j < p):
                msg = f"rejections: no such pair ({i}, {j})"
                raise InvalidProblem(msg)

    def allowed(self) -> Bool:
        """[R, P] whether policies allow the pair; capacity is not looked at."""
        mask = np.ones((len(self.request_ids), len(self.pool_ids)), dtype=np.bool_)
        for pair, why in self.rejections.items():
            if why:
                mask[pair] = False
        return mask
