"""What single thing would have to be otherwise for a request to have a place, and what that place would cost."""

from collections.abc import Iterator, Sequence

import numpy as np

from catalog.base import Value
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.placed import Placed
from policies.decisions import Rejection


class WouldHelp(Value):
    """One change that admits a request, on the cheapest pool where one change is enough."""

    pool: str
    host: str | None
    cost_micros: int
    """What the request costs there."""
    change: Rejection
    """The one thing that stands against it; its `remedy` says what to do."""


def would_help(
    after: Placed, request: int, blocking: Sequence[tuple[Constraint, Bool]]
) -> WouldHelp | None:
    """The cheapest single change, everything else in the plan staying as it is; None where no single one is enough.

    `blocking` is every constraint that blocks any provider, with those [V] that it blocks.
    """
    problem, providers = after.problem, after.problem.providers
    count = sum(
        (blocked.astype(np.int64) for _, blocked in blocking), np.zeros(len(providers.ids), np.int64)
    )
    prices = problem.cost_micros[request]
    for pool in np.argsort(prices, kind="stable").tolist():
        once = np.flatnonzero((count == 1) & (providers.pool_of == pool))
        for provider, change in _single(after, request, _roomiest_first(after, request, once), blocking):
            return WouldHelp(
                pool=problem.pool_ids[pool],
                host=providers.ids[provider] if providers.are_hosts else None,
                cost_micros=int(prices[pool]),
                change=change,
            )
    return None


def _roomiest_first(after: Placed, request: int, providers: Int64) -> Int64:
    """By what is short there, the least first, as a share of what is wanted."""
    demand = np.maximum(after.problem.demand[request], 1)
    short = np.maximum(after.problem.demand[request] - after.left(request)[providers], 0) / demand
    order: Int64 = np.argsort(short.sum(axis=1), kind="stable")
    return providers[order]


def _single(
    after: Placed, request: int, providers: Int64, blocking: Sequence[tuple[Constraint, Bool]]
) -> Iterator[tuple[int, Rejection]]:
    for provider in providers.tolist():
        (one,) = [constraint for constraint, blocked in blocking if blocked[provider]]
        reasons = list(one.why(after, request, provider))
        if len(reasons) == 1:
            yield provider, reasons[0]
