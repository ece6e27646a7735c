"""What single thing would have to be otherwise for a request to have a place, and what that place would cost."""

from collections.abc import Iterator

import numpy as np

from catalog.base import Value
from placement.against import Against
from placement.arrays import Int64
from policies.decisions import Rejection


class WouldHelp(Value):
    """One change that admits a request, on the cheapest pool where one change is enough."""

    pool: str
    host: str | None
    cost_micros: int
    """What the request costs there."""
    change: Rejection
    """The one thing that stands against it; its `remedy` says what to do."""


def would_help(all_: Against) -> WouldHelp | None:
    """The cheapest single change, everything else in the plan staying as it is; None where no single one is enough."""
    problem, providers = all_.after.problem, all_.after.problem.providers
    once = np.flatnonzero(all_.count == 1)
    where = providers.pool_of[once]
    prices = problem.cost_micros[all_.request]
    some = np.flatnonzero(np.bincount(where, minlength=len(prices)))
    for pool in some[np.argsort(prices[some], kind="stable")].tolist():
        for provider, change in _single(all_, _roomiest_first(all_, once[where == pool])):
            return WouldHelp(
                pool=problem.pool_ids[pool],
                host=providers.ids[provider] if providers.are_hosts else None,
                cost_micros=int(prices[pool]),
                change=change,
            )
    return None


def _roomiest_first(all_: Against, providers: Int64) -> Int64:
    """By what is short there, the least first, as a share of what is wanted."""
    demand = all_.after.problem.demand[all_.request]
    short = np.maximum(demand - all_.after.left(all_.request)[providers], 0) / np.maximum(demand, 1)
    order: Int64 = np.argsort(short.sum(axis=1), kind="stable")
    return providers[order]


def _single(all_: Against, providers: Int64) -> Iterator[tuple[int, Rejection]]:
    for provider in providers.tolist():
        (one,) = [constraint for constraint, blocked in all_.blocking if blocked[provider]]
        reasons = list(one.why(all_.after, all_.request, provider))
        if len(reasons) == 1:
            yield provider, reasons[0]
