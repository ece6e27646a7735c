"""Many requests on hosts of which only those that are on cost anything: fitted into just as many as are proven to be needed.

The host packer (`placement.hosts`) knows room and what hosts cost while they are on. This way is for problems
that ask for nothing else, in which it does not matter for the price which host of which pool a request is on.
"""

from math import gcd

import numpy as np

from placement.arrays import Int64
from placement.constraints.hosts_on import HostsOn
from placement.hosts.problem import UNPLACED_COST, HostProblem
from placement.hosts.result import Listener as PackedListener
from placement.hosts.result import Progress as Packed
from placement.model import Model
from placement.outcome import Clock, Listener, Outcome, Progress, Proven
from placement.plan import Limits
from placement.problem import DEFAULT_OBJECTIVE

RANK = 1


def fits(model: Model) -> bool:
    """Room and hosts that are on, one price for each request wherever it goes, and nothing that forbids a place."""
    problem = model.problem
    asks = [type(one) for one in problem.constraints] == [HostsOn]
    usual = problem.objective == DEFAULT_OBJECTIVE and problem.periods is None and problem.current is None
    if not (asks and usual and problem.providers.are_hosts and problem.providers.own.all()):
        return False
    classes = model.classes
    same = bool((classes.cost == classes.cost[:, :1]).all()) and bool(classes.allowed.all())
    inside = np.zeros_like(problem.free)
    np.add.at(inside, problem.providers.pool_of, problem.providers.free)
    unbound = bool((inside <= problem.free).all())
    whole = bool(
        (problem.providers.largest >= np.minimum(problem.providers.free, classes.demand.max(axis=0))).all()
    )
    one = len(set(classes.priority.tolist())) <= 1
    return same and unbound and whole and one and _costs(model) is not None


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The most placed, then the cheapest hosts on; the bound is the packer's, and the price of all that are placed."""
    problem, classes = model.problem, model.classes
    found = _costs(model) if fits(model) else None
    assert found is not None, "only problems that fit are solved this way"
    from placement.hosts import solve as packer  # noqa: PLC0415 - numba takes seconds; most plans need none

    costs, unit = found
    free, cost = problem.providers.free, costs
    kinds = np.unique(np.column_stack([free, cost]), axis=0, return_inverse=True)[1].reshape(-1)
    instance = HostProblem(problem.demand, free, cost, kinds.astype(np.int64))
    plan = packer.solve(instance, limits, tell=_told(tell), clock=clock)
    counts = np.zeros(model.shape, dtype=np.int64)
    placed = np.flatnonzero(plan.host_of >= 0)
    np.add.at(counts, (classes.of[placed], plan.host_of[placed]), 1)
    out, rest = divmod(plan.bound, UNPLACED_COST)
    prices = np.sort(problem.cost_micros.min(axis=1))
    paid = int((counts * classes.cost).sum()) + plan.cost * unit
    # Where some stay out, the others are at least the cheapest ones.
    least = int(prices[: len(placed)].sum()) + (rest if out == plan.unplaced else 0) * unit
    return Outcome(
        counts=counts,
        unplaced=(Proven(plan.unplaced, min(out, plan.unplaced)),),
        levels=(Proven(paid, min(least, paid)),),
        solver=plan.solver,
    )


def _costs(model: Model) -> tuple[Int64, int] | None:
    """[V] what each host costs while it is on, in the largest unit that keeps them whole; None where the packer cannot count it."""
    (asked,) = model.problem.constraints
    assert isinstance(asked, HostsOn)
    micros = asked.costs_of(model.problem)
    if micros is None:
        return None
    unit = gcd(*micros.tolist()) or 1
    costs: Int64 = micros // unit
    return (costs, unit) if float(costs.sum()) < UNPLACED_COST else None


def _told(tell: Listener | None) -> PackedListener | None:
    """The packer's progress as everyone's: requests that stay out, until all that can be placed are."""

    def told(packed: Packed) -> None:
        assert tell is not None
        out, cost = divmod(packed.objective, UNPLACED_COST)
        least_out, least = divmod(packed.bound, UNPLACED_COST)
        if out:
            tell(Progress(packed.solver, "unplaced", out, min(out, least_out)))
        tell(Progress(packed.solver, "hosts_on", cost, least if out == least_out else 0))

    return told if tell else None
