"""Many requests on pools that cost something to open and to license, with applications that must be spread: in three stages.

The pool solver (`placement.pool_instances`) decides which pools to open and how many licence packs to buy as
a relaxation, fills, and searches. This way translates problems that ask for nothing else than it knows.
"""

from dataclasses import dataclass
from math import gcd

import numpy as np

from placement.arrays import Int64
from placement.constraint import Constraint
from placement.constraints.anti_affinity import AntiAffinity
from placement.constraints.hosts_on import HostsOn
from placement.constraints.licences import Licences
from placement.licensing.products import Product
from placement.model import Model
from placement.outcome import Clock, Listener, Outcome, Proven
from placement.plan import Limits
from placement.pool_instances.incumbent import PoolListener, PoolProgress
from placement.pool_instances.instance import PoolInstance
from placement.problem import DEFAULT_OBJECTIVE, InvalidProblem, PlacementProblem
from placement.references import members
from placement.telling import Telling

RANK = 1
_SOLVER = "pools in three stages"
_CELLS = 20_000
"""Requests x pools up to which the exact way proves more."""
_ROUNDS_PER_UNIT = 2
"""Rounds of search for a deterministic second, where no clock says when to stop."""


@dataclass(frozen=True)
class _Asked:
    """The constraints of a problem, where all of them are of the kinds that the pool solver knows."""

    opening: HostsOn | None
    product: Product | None
    apart: tuple[AntiAffinity, ...]


def fits(model: Model) -> bool:
    """Pools without hosts, one priority, the usual objective; opening costs, one licence by vCPU, and shares of pools."""
    problem = model.problem
    large = len(problem.request_ids) * len(problem.pool_ids) > _CELLS
    asked = _asked(problem) if large and _usual(model) else None
    return asked is not None and _instance(model, asked) is not None


def _usual(model: Model) -> bool:
    """Whether pools are asked for, at one time, and nothing but what they cost and hold counts."""
    problem = model.problem
    plain = problem.objective == DEFAULT_OBJECTIVE and problem.periods is None and problem.current is None
    return plain and not problem.providers.are_hosts and len(set(model.classes.priority.tolist())) <= 1


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The cheapest plan found in the time; proven where it places all requests."""
    from placement.pool_instances.solve import PoolLimits  # noqa: PLC0415 - numba takes seconds; most plans need none
    from placement.pool_instances.solve import solve as solve_pools  # noqa: PLC0415 - as above

    asked = _asked(model.problem) if _usual(model) else None
    assert asked is not None, "only problems that fit are solved this way"
    made = _instance(model, asked)
    assert made is not None, "only problems that fit are solved this way"
    instance, unit = made
    rounds = None if clock else max(1, round(limits.deterministic_time * _ROUNDS_PER_UNIT))
    allowed = PoolLimits(time_limit_s=limits.time_limit_s, seed=limits.seed, rounds=rounds)
    heard = _told(tell, instance, unit) if tell else None
    answer = solve_pools(instance, allowed, clock or _stopped, tell=heard)
    counts = np.zeros(model.shape, dtype=np.int64)
    placed = np.flatnonzero(answer.assignment >= 0)
    np.add.at(counts, (model.classes.of[placed], answer.assignment[placed]), 1)
    last = PoolProgress(answer.objective, answer.bound, answer.unplaced)
    return Outcome(
        counts=counts,
        unplaced=(Proven(answer.unplaced, 0),),
        levels=(_paid(last, instance, unit),),
        solver=_SOLVER,
    )


def _paid(found: PoolProgress, instance: PoolInstance, unit: int) -> Proven:
    """What those cost that are placed; the solver's bound is of plans that place all."""
    paid = (found.objective - found.unplaced * instance.unplaced_cost) * unit
    proven = found.bound * unit if found.unplaced == 0 else 0
    return Proven(paid, min(proven, paid))


def _told(tell: Listener, instance: PoolInstance, unit: int) -> PoolListener:
    """The solver's progress as everyone's: whenever fewer stay out, how many, and then what the others cost."""
    telling, out = Telling(tell), len(instance.klass) + 1

    def told(found: PoolProgress) -> None:
        nonlocal out
        if found.unplaced < out:
            telling(_SOLVER, "unplaced", found.unplaced, 0)
            out = found.unplaced
        paid = _paid(found, instance, unit)
        telling(_SOLVER, "level 1", paid.value, paid.bound)

    return told


def _stopped() -> float:
    return 0.0


def _asked(problem: PlacementProblem) -> _Asked | None:
    kinds: dict[type[Constraint], list[Constraint]] = {HostsOn: [], Licences: [], AntiAffinity: []}
    for one in problem.constraints:
        if type(one) not in kinds:
            return None
        kinds[type(one)].append(one)
    opening = [one for one in kinds[HostsOn] if isinstance(one, HostsOn)]
    licences = [one for one in kinds[Licences] if isinstance(one, Licences)]
    apart = tuple(one for one in kinds[AntiAffinity] if isinstance(one, AntiAffinity))
    products = [product for one in licences for product in one.to_be_had()]
    each_pool = all(one.label in {"pool", "host"} and one.penalty_micros is None for one in apart)
    if len(opening) > 1 or len(products) > 1 or not each_pool or not all(map(_by_vcpu, products)):
        return None
    return _Asked(opening[0] if opening else None, products[0] if products else None, apart)


_KNOWN = {"name", "metric", "per_machine_minimum", "pack_size", "pack_cost_micros"}
"""The fields of an alternative that an instance has a place for."""


def _by_vcpu(product: Product) -> bool:
    """Packs of vCPU, bought for each pool by itself, with no floor for a machine."""
    (way, *others) = product.alternatives
    alone = all(len(pools) == 1 for pools in product.scopes.values()) and not product.accepted
    plain = way.told_fields() <= _KNOWN and way.per_machine_minimum <= 1
    return alone and not others and way.metric == "per_vcpu" and plain


def _instance(model: Model, asked: _Asked) -> tuple[PoolInstance, int] | None:
    """The instance and what one of its units of cost is in micro-units; None where it cannot be written as one."""
    problem, classes = model.problem, model.classes
    if "vcpu" not in problem.resource_classes:
        return None
    first = problem.resource_classes.index("vcpu")
    order = [first, *(k for k in range(len(problem.resource_classes)) if k != first)]
    opening = np.zeros(len(problem.pool_ids), dtype=np.int64)
    if asked.opening is not None:
        costs = asked.opening.costs_of(problem)
        if costs is None:
            return None
        opening = costs
    app, most = _apps(problem, asked.apart)
    if app is None:
        return None
    allowed = (model.upper > 0) | (classes.count[:, None] == 0)
    windows = np.zeros(len(classes.count), dtype=np.int64)
    pack_size, pack_cost = 1, 0
    if asked.product is not None:
        pools = {name for scope in asked.product.scopes.values() for name in scope}
        if pools != set(problem.pool_ids):
            return None
        windows = members(problem, asked.product.requests)[classes.one].astype(np.int64)
        pack_size, pack_cost = (
            asked.product.alternatives[0].pack_size,
            asked.product.alternatives[0].pack_cost_micros,
        )
    unit = gcd(pack_cost, *classes.cost.reshape(-1).tolist(), *opening.tolist()) or 1
    cost = classes.cost // unit
    dearest = int(cost.max(initial=0)) + int((opening // unit).max(initial=0)) + pack_cost // unit
    try:
        return PoolInstance(
            demand=np.ascontiguousarray(classes.demand[:, order]),
            klass=classes.of,
            app=app,
            capacity=np.ascontiguousarray(problem.free[:, order]),
            allowed=allowed,
            unit_cost=cost,
            open_cost=opening // unit,
            windows=windows,
            app_spread=most >= 0,
            licence_pack_vcpus=pack_size,
            licence_pack_cost=pack_cost // unit,
            app_max_share=1.0,
            unplaced_cost=10 * dearest + 1,
            app_most=most,
        ), unit
    except InvalidProblem:  # Its sums must fit into 53 bits; other ways count further.
        return None


def _apps(problem: PlacementProblem, apart: tuple[AntiAffinity, ...]) -> tuple[Int64 | None, Int64]:
    """[R] the application of each request, the last for those in none, and [A] the most of each in a pool; None where two share a request."""
    app = np.full(len(problem.request_ids), len(apart), dtype=np.int64)
    for a, one in enumerate(apart):
        group = members(problem, one.requests)
        if (app[group] != len(apart)).any():
            return None, app
        app[group] = a
    return app, np.array([*(one.most for one in apart), -1], dtype=np.int64)
