"""Small placement problems, written as the few figures that a test is about."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from placement.problem import Pair, PlacementProblem
from policies.decisions import Rejection

ProblemOf = Callable[..., PlacementProblem]
RESOURCES = ("vcpu", "memory_mib", "disk_gib")
ROOMY = 10**9


def refusal(pool: str) -> Rejection:
    return Rejection(
        rule_id="data-residency",
        pool=pool,
        dimension="country",
        limit="NL",
        need="DE",
        why="confidential data must stay in DE",
        remedy="choose a pool in DE",
    )


def _columns(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    return np.array(rows, dtype=np.int64).reshape(len(rows), width)


@pytest.fixture
def problem_of() -> ProblemOf:
    def make(
        demand: Sequence[Sequence[int]],
        free: Sequence[Sequence[int]],
        cost: Sequence[Sequence[int]],
        *,
        largest: Sequence[Sequence[int]] | None = None,
        refused: Sequence[Pair] = (),
        tiers: Sequence[str] | None = None,
        current: Sequence[int] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> PlacementProblem:
        """Requests r0, r1, ... and pools a, b, ..., the first in tier-1, the others in tier-2."""
        k = len(free[0]) if free else 3
        pools = tuple("abcdefgh"[: len(free)])
        fields = {
            "resource_classes": RESOURCES[:k],
            "request_ids": tuple(f"r{i}" for i in range(len(demand))),
            "demand": _columns(demand, k),
            "pool_ids": pools,
            "tier_of": tuple(tiers or ("tier-1" if j == 0 else "tier-2" for j in range(len(free)))),
            "free": _columns(free, k),
            "largest": _columns(largest or [[ROOMY] * k for _ in free], k),
            "cost_micros": _columns(cost, len(free)),
            "rejections": {(i, j): (refusal(pools[j]),) for i, j in refused},
            "current": None if current is None else np.array(current, dtype=np.int64),
        }
        return PlacementProblem(**{**fields, **(more or {})})

    return make
