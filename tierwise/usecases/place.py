"""Where requests could go, what each place costs, and why not elsewhere. Decides; changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from catalog.orders import Request
from catalog.pools import Pool, PoolEntry
from catalog.resources import ResourceClass, Resources
from chargeback.quotes import cost_micros
from chargeback.rate_cards import RateCard
from connectors.contract import VmView
from placement.arrays import Int64
from placement.build import build
from placement.plan import Limits, Plan
from placement.problem import PlacementProblem
from placement.solve import solve
from policies.decide import check_quotas, decide
from policies.decisions import Rejection
from tierwise.app import App
from tierwise.documents import Documents
from tierwise.store import orders as order_store
from tierwise.usecases.observe import SeenPools, join, views

HORIZON_HOURS = 720
"""Quotes and plans compare prices over a 30-day month."""


@dataclass(frozen=True)
class Estate:
    """What a plan is made from, read at one moment.

    `allocated` is what orders hold plus what machines hold that tierwise did not make, per pool;
    `on_hosts` what all machines hold that were seen on a host, by pool and host.
    `version` tells whether allocations changed since.
    """

    pools: tuple[Pool, ...]
    unusable: Mapping[str, str]
    allocated: Mapping[str, Resources]
    used_by_tenant: Mapping[str, Resources]
    version: int
    moment: datetime
    on_hosts: Mapping[str, Mapping[str, Resources]]


@dataclass(frozen=True)
class Planned:
    """A plan, and the requests that quotas kept out of it (index -> reasons)."""

    plan: Plan
    requests: tuple[Request, ...]
    over_quota: Mapping[int, tuple[Rejection, ...]]


def estate(app: App) -> Estate:
    """The estate as last seen and as allocated."""
    moment = app.clock.now()
    seen_views = views(app)
    seen = join(app.documents.catalog, seen_views, moment)
    with app.session() as session:
        # Before the sums: what changes between the two makes the plan stale, not silently wrong.
        version = order_store.version(session)
        allocated = order_store.allocated(session)
        used = order_store.used_by_tenant(session)
    for pool in seen.pools:
        foreign = seen_views[pool.endpoint].foreign.get(pool.provider)
        if foreign is not None:
            allocated[pool.name] = allocated.get(pool.name, Resources()) + foreign
    on_hosts = {pool.name: _on_hosts(pool, seen_views[pool.endpoint].vms) for pool in seen.pools}
    return Estate(_sorted(seen), seen.unusable, allocated, used, version, moment, on_hosts)


def _on_hosts(pool: Pool, vms: Sequence[VmView]) -> dict[str, Resources]:
    """What the machines of a pool hold on each host, switched off or not: they will be switched on again there."""
    held: dict[str, Resources] = {}
    for vm in vms:
        if vm.provider == pool.provider and vm.host is not None:
            held[vm.host] = held.get(vm.host, Resources()) + vm.resources
    return held


def _sorted(seen: SeenPools) -> tuple[Pool, ...]:
    # The solver breaks ties by position; names make that independent of the catalog's layout.
    return tuple(sorted(seen.pools, key=lambda pool: pool.name))


def plan_requests(
    app: App, on: Estate, requests: Sequence[Request], limits: Limits | None = None
) -> Planned:
    """Place a batch: every request that rules, quotas and room allow, as cheaply as possible."""
    catalog, rules = app.documents.catalog, app.documents.rules
    over_quota = check_quotas(catalog, rules, requests, on.used_by_tenant)
    admitted = [request for i, request in enumerate(requests) if i not in over_quota]
    problem = problem_for(app, on, admitted, made=True)
    return Planned(solve(problem, limits or Limits()), tuple(requests), over_quota)


def problem_for(
    app: App, on: Estate, requests: Sequence[Request], *, made: bool, hosts: bool = True
) -> PlacementProblem:
    """The placement problem of these requests on this estate, at the present prices; on hosts or on pools alone.

    `made` is whether their machines are made anew, of their templates, or exist already.
    """
    catalog, rules = app.documents.catalog, app.documents.rules
    rejections = dict(decide(catalog, rules, requests, on.pools, made=made))
    for j, pool in enumerate(on.pools):
        why = on.unusable.get(pool.name)
        if why is not None:
            for i in range(len(requests)):
                rejections[i, j] = (_unreachable(pool, why), *rejections.get((i, j), ()))
    card = app.documents.rate_card
    # A pool that left the catalog, or was never reached, may still hold machines.
    known = {pool.name for pool in on.pools}
    return build(
        requests,
        on.pools,
        {name: amount for name, amount in on.allocated.items() if name in known},
        rejections,
        prices(card, on.pools, [request.resources for request in requests], on.moment),
        currency=card.currency,
        horizon_hours=HORIZON_HOURS,
        on_hosts=on.on_hosts if hosts else None,
    )


def forbidden(
    documents: Documents, on: Estate, pool: str, machine: Request, wanted: Resources
) -> list[Rejection]:
    """What quotas and rules say against giving a machine in `pool` the `wanted` size.

    Only what the change itself breaks: a rule that the machine broke before does not forbid it.
    """
    catalog, rules = documents.catalog, documents.rules
    growth = {rc.value: max(0, wanted.amount(rc) - machine.resources.amount(rc)) for rc in ResourceClass}
    more = machine.model_copy(update={"resources": Resources(**growth)})
    changed = machine.model_copy(update={"resources": wanted})
    reasons = decide(catalog, rules, [machine, changed], [p for p in on.pools if p.name == pool])
    return [
        *check_quotas(catalog, rules, [more], on.used_by_tenant).get(0, ()),
        *(r for r in reasons.get((1, 0), ()) if r not in reasons.get((0, 0), ())),
    ]


def prices(card: RateCard, pools: Sequence[Pool], resources: Sequence[Resources], at: datetime) -> Int64:
    """[R, P] the price of a 30-day month of each request in each pool, in micro-units."""
    tiers = tuple(dict.fromkeys(pool.tier for pool in pools))
    matrix = np.array(
        [[amount.amount(rc) for rc in ResourceClass] for amount in resources], dtype=np.int64
    ).reshape(len(resources), len(ResourceClass))
    per_tier = cost_micros(matrix, tiers, card, at=at, horizon_hours=HORIZON_HOURS)
    return np.ascontiguousarray(per_tier[:, [tiers.index(pool.tier) for pool in pools]])


def unseen(app: App, on: Estate) -> list[Rejection]:
    """Why the catalog's pools of which nothing was ever seen take no machine; plans do not know them."""
    known = {pool.name for pool in on.pools}
    entries = app.documents.catalog.pools
    return [_unreachable(entries[name], why) for name, why in on.unusable.items() if name not in known]


def _unreachable(pool: Pool | PoolEntry, why: str) -> Rejection:
    return Rejection(
        rule_id="endpoint",
        pool=pool.name,
        dimension="reachability",
        limit="unreachable",
        need="reachable",
        why=why,
        remedy=f"`tierwise doctor` says what is wrong with endpoint '{pool.endpoint}'",
    )
