"""Made-up estates for tests and benches: realistic in shape, and the same for the same seed."""

from collections.abc import Collection

import numpy as np

from placement.arrays import Int64
from placement.estates.apps import MEAN_VCPU, RESOURCES, Apps, apps
from placement.estates.hosts import HYPERVISORS, TIERS, Layout, capacity, layout
from placement.estates.rules import rules, tenant_name
from placement.problem import Pair, PlacementProblem
from placement.providers import Hosts
from policies.decisions import Rejection

_PRICES = np.array([[12_000_000, 3_000, 100_000], [8_000_000, 2_000, 70_000], [5_000_000, 1_200, 40_000]])
"""[tier, K] micro-units for one unit of each resource and 720 hours."""


def estate(
    seed: int,
    requests: int,
    hosts: int,
    *,
    pools: int | None = None,
    sites: int = 2,
    fill_percent: int = 75,
    running_percent: int = 60,
    constraints: Collection[str] | None = None,
) -> PlacementProblem:
    """Machines of applications on hosts of four hypervisors in three tiers.

    Applications of 1 to 40 machines have a web, an application and a database component, a lowest tier, some a site
    that they must not leave. Disk is shared in each pool. All machines together ask for `fill_percent` of what is
    free; of the applications, `running_percent` run today, as far as they fit; they may break rules where they run.
    `pools` is a multiple of four, at most the hosts; without it there are about twelve hosts in each. `constraints`
    are names of kinds (of `placement.estates.rules`), used where they are installed; without it the usual ones, with
    () none. Raises ValueError for sizes that do not go together.
    """
    p = _pools(hosts, pools)
    if requests < 1 or not 1 <= fill_percent <= 1000 or not 0 <= running_percent <= 100 or sites < 1:
        msg = (
            f"requests {requests} >= 1, fill_percent {fill_percent} in 1 to 1000, "
            f"running_percent {running_percent} in 0 to 100 and sites {sites} >= 1 must hold"
        )
        raise ValueError(msg)
    chance = np.random.default_rng(seed)
    ground = layout(chance, hosts, p, min(sites, 6, p // len(HYPERVISORS)))
    average = requests * MEAN_VCPU * 100 // (fill_percent * hosts)
    made = apps(chance, requests, max(1, average // 6))
    component = made.component_of
    demand = made.demand[component]
    free, largest = capacity(ground, demand, fill_percent)
    of_pools = _by_pool(ground, free)
    own = np.arange(len(RESOURCES)) < 2  # Disk is the pool's.
    names = made.component_names()
    ids = tuple(
        f"{name}#{n + 1}"
        for name, count in zip(names, made.count.tolist(), strict=True)
        for n in range(count)
    )
    return PlacementProblem(
        resource_classes=RESOURCES,
        request_ids=ids,
        demand=demand,
        pool_ids=ground.pool_ids,
        tier_of=tuple(TIERS[t] for t in ground.tier.tolist()),
        free=of_pools,
        largest=_largest_of_pools(ground, largest, of_pools),
        cost_micros=_costs(chance, made, ground)[component],
        rejections=_rejections(made, ground),
        current=_current(chance, made, ground, free, running_percent),
        hosts=Hosts(
            ids=ground.host_ids,
            pool_of=ground.pool_of,
            free=np.where(own, free, 0),
            largest=np.where(own, largest, 0),
            labels={"rack": ground.rack, "power": ground.power},
            shared=frozenset({RESOURCES[2]}),
        ),
        labels={
            "site": tuple(ground.sites[s] for s in ground.site.tolist()),
            "hypervisor": ground.hypervisor_of,
        },
        groups=_groups(made, names, ids),
        constraints=rules(made, ground, constraints),
    )


def _pools(hosts: int, wanted: int | None) -> int:
    step = len(HYPERVISORS)
    pools = min(32, max(step, hosts // 12 // step * step)) if wanted is None else wanted
    if pools < step or pools % step or hosts < pools:
        msg = f"pools {pools}: must be a multiple of {step}, and there must be as many hosts at least ({hosts})"
        raise ValueError(msg)
    return pools


def _by_pool(ground: Layout, free: Int64) -> Int64:
    """[P, K] the sum over the hosts."""
    total = np.zeros((len(ground.pool_ids), free.shape[1]), dtype=np.int64)
    np.add.at(total, ground.pool_of, free)
    return total


def _largest_of_pools(ground: Layout, largest: Int64, of_pools: Int64) -> Int64:
    """[P, K] of the largest host; of disk, whatever the pool has."""
    found = np.zeros_like(of_pools)
    np.maximum.at(found, ground.pool_of, largest)
    found[:, 2] = of_pools[:, 2]
    return found


def _costs(chance: np.random.Generator, made: Apps, ground: Layout) -> Int64:
    """[C, P] by the pool's tier; pools of one tier differ by up to a tenth."""
    percent = chance.integers(95, 106, len(ground.pool_ids))
    prices = _PRICES[ground.tier] * percent[:, None] // 100
    cost: Int64 = made.demand @ prices.T
    return cost.astype(np.int64)


def _allowed(made: Apps, ground: Layout) -> tuple[Int64, Int64]:
    """[A, P] pools whose tier is too low, and pools that are not at home."""
    low = ground.tier[None, :] > made.floor[:, None]
    away = (made.home[:, None] == 1) & (ground.site[None, :] != 0)
    return low.astype(np.int64), away.astype(np.int64)


def _rejections(made: Apps, ground: Layout) -> dict[Pair, tuple[Rejection, ...]]:
    low, away = _allowed(made, ground)
    app_of = made.app_of[made.component_of]
    found: dict[Pair, tuple[Rejection, ...]] = {}
    for floor in range(len(TIERS)):
        for p, name in enumerate(ground.pool_ids):
            reasons = (_too_low(ground, p, floor), _not_at_home(ground, p))
            for both in ((1, 0), (0, 1), (1, 1)):
                there = (made.floor == floor) & (low[:, p] == both[0]) & (away[:, p] == both[1])
                why = tuple(reason for reason, holds in zip(reasons, both, strict=True) if holds)
                assert all(reason.pool == name for reason in why), "reasons are of their pool"
                found.update(dict.fromkeys(((i, p) for i in np.flatnonzero(there[app_of]).tolist()), why))
    return found


def _too_low(ground: Layout, p: int, floor: int) -> Rejection:
    tier = TIERS[int(ground.tier[p])]
    return Rejection(
        rule_id="tier-floor",
        pool=ground.pool_ids[p],
        dimension="tier",
        limit=tier,
        need=TIERS[floor],
        why=f"{tier} is below {TIERS[floor]}, the lowest tier of this application",
        remedy=f"choose a pool of {TIERS[floor]} or better",
    )


def _not_at_home(ground: Layout, p: int) -> Rejection:
    there, home = ground.sites[int(ground.site[p])], ground.sites[0]
    return Rejection(
        rule_id="data-residency",
        pool=ground.pool_ids[p],
        dimension="site",
        limit=there,
        need=home,
        why=f"the data of this application must stay at site {home}",
        remedy=f"choose a pool at site {home}",
    )


def _current(
    chance: np.random.Generator, made: Apps, ground: Layout, free: Int64, running_percent: int
) -> Int64:
    """[R] an application runs in one pool of its lowest tier, its components on one host after the other.

    On each host the first ones that fit run; the others wait, as do those of a component with more machines than
    the pool has hosts.
    """
    a = len(made.floor)
    low, away = _allowed(made, ground)
    fitting = (low == 0) & (away == 0) & (ground.tier[None, :] == made.floor[:, None])
    pool = np.argmax(np.where(fitting, chance.random((a, len(ground.pool_ids))), -1.0), axis=1)
    runs = chance.integers(0, 100, a) < running_percent
    component = made.component_of
    app = made.app_of[component]
    starts = np.cumsum(made.count) - made.count
    within = np.arange(len(component)) - starts[component]
    offset = chance.integers(0, 2**31, len(made.count))[component]
    of_pool = ground.count[pool[app]]
    at = ground.first[pool[app]] + (offset + within) % of_pool
    seated = runs[app] & (within < of_pool)
    return _fitting(np.where(seated, at, -1).astype(np.int64), made.demand[component], free)


def _fitting(at: Int64, demand: Int64, free: Int64) -> Int64:
    """[R] without those that would not fit after the ones before them on the same host."""
    order = np.argsort(at, kind="stable")
    taken = np.cumsum(demand[order], axis=0)
    hosts = at[order]
    first = np.searchsorted(hosts, hosts)
    before = np.where(first[:, None] > 0, taken[np.maximum(first - 1, 0)], 0)
    fits = (taken - before <= free[hosts]).all(axis=1) & (hosts >= 0)
    found = np.full(len(at), -1, dtype=np.int64)
    found[order[fits]] = hosts[fits]
    return found


def _groups(made: Apps, names: tuple[str, ...], ids: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Components, applications and tenants."""
    ends = np.cumsum(made.count)
    starts = ends - made.count
    spans = zip(names, starts.tolist(), ends.tolist(), strict=True)
    groups = {name: ids[first:end] for name, first, end in spans}
    tenants: dict[str, list[str]] = {}
    for a in range(len(made.floor)):
        members = made.members(a)
        whole = ids[int(starts[members][0]) : int(ends[members][-1])]
        groups[made.app_name(a)] = whole
        tenants.setdefault(tenant_name(int(made.tenant[a])), []).extend(whole)
    return groups | {name: tuple(members) for name, members in tenants.items()}
