"""Ask the questions of a document: today, and each scenario against it."""

from collections.abc import Iterator, Sequence

import numpy as np

from catalog.wording import counted
from chargeback.money import Rounding, divided, spelled
from chargeback.rates import MissingRate
from placement.arrays import Int64
from placement.plan import Limits
from placement.planning.counted import pools_by_scope
from placement.planning.host_check import packed
from placement.planning.plan import PlanningPlan
from placement.planning.solve import solve
from tierwise.errors import InvalidInput
from tierwise.planner.accounts import MOVING, Accounts, accounts
from tierwise.planner.build import Built
from tierwise.planner.cash import against, cash_flow
from tierwise.planner.confidence import confidence
from tierwise.planner.document import Scenario
from tierwise.planner.grouping import MachineGroups
from tierwise.planner.moving import moves
from tierwise.planner.prepare import Prepared, changes_of
from tierwise.planner.recovery import recovered
from tierwise.planner.result import (
    TODAY,
    HostsOf,
    PoolResult,
    Room,
    ScenarioResult,
    TierCost,
    WhatIfResult,
)
from tierwise.planner.rooms import reserves
from tierwise.planner.stranding import stranded
from tierwise.planner.today import counts_today, licences_today
from tierwise.planner.unpriced import ADD, unpriced

_PACKING = Limits(deterministic_time=1.0)
"""How much is tried to fit a pool's machines onto its actual hosts, before it is told that they do not."""


def run(
    prepared: Prepared, names: Sequence[str] | None = None, limits: Limits | None = None
) -> WhatIfResult:
    """Today and the scenarios, in the document's order or that of `names`. Raises KeyError for an unknown name."""
    limits = limits or Limits()
    document = prepared.document
    today = solve_today(prepared, limits)
    wanted = list(document.scenarios) if names is None else list(names)
    results = [solve_scenario(prepared, prepared.scenario(name), limits, today) for name in wanted]
    return assembled(prepared, today, results)


def assembled(prepared: Prepared, today: ScenarioResult, results: Sequence[ScenarioResult]) -> WhatIfResult:
    """What was solved one by one, here or elsewhere, as one answer."""
    document = prepared.document
    return WhatIfResult(
        document=document.name,
        title=document.title,
        currency=prepared.economics.currency,
        start=document.start,
        months=document.months,
        today=today,
        scenarios=tuple(results),
        notes=prepared.notes,
    )


def solve_scenario(
    prepared: Prepared, scenario: Scenario, limits: Limits, today: ScenarioResult | None = None
) -> ScenarioResult:
    """One scenario, with its cash against `today`, which is solved where it is not given.

    The same prepared estate, scenario and limits give the same result in any process.
    """
    today = today or solve_today(prepared, limits)
    changes = changes_of(scenario)
    built = prepared.built(changes)
    plan = solve(built.problem, limits)
    sums = accounts(built, plan.counts, plan.hosts, plan.licences)
    assert sums.total == plan.cost_micros, (sums.terms, dict(plan.terms), plan.cost_micros)
    words = tuple(str(one) for one in changes)
    found = _result(prepared, built, plan, sums, scenario.name, scenario.title, words)
    unpacked = (str(one) for one in packed(built.problem, plan, _PACKING) if one.left_out)
    notes = (
        *unpacked,
        *_uncounted(built, plan.counts, plan.hosts),
        *_must_be_held(built, plan),
        *_undivided(built, plan),
        *_otherwise_moved(found),
        *_grown_twice(built, prepared.groups),
        *_put_out(built, plan),
    )
    paid = _paid(prepared, built, plan, sums, today.payments_micros)
    cash = against(today.payments_micros, paid, built, prepared.document)
    return found.model_copy(update={"payments_micros": paid, "cash": cash, "notes": notes})


def _undivided(built: Built, plan: PlanningPlan) -> Iterator[str]:
    """Products that cost something by whole hosts, of which their vendors would count a part that is divided off."""
    divisible = {name for terms, name in built.licensing.terms if "hard_partition" in terms.accepts}
    for licence in plan.licences:
        if licence.product in divisible and licence.hosts and licence.cost_micros:
            yield (
                f"{licence.product} accepts hard partitions, and plans divide no hosts: {licence.hosts} count as a whole for "
                f"{licence.machines:,} of the machines; where partitions exist, put their hosts into pools of their own, with "
                "the cores that count"
            )


def _uncounted(built: Built, counts: Int64, hosts: Int64) -> Iterator[str]:
    """What the plan has or does and the economics document has no price for."""
    for what, moved in unpriced(built, counts, hosts, built.machines.current).items():
        yield f"{what} for {counted(moved, 'machine')}; {ADD}" if moved else f"{what}; {ADD}"


def _grown_twice(built: Built, groups: MachineGroups) -> Iterator[str]:
    """Machines that grow by several changes, each by its own percentage of those that are there."""
    growth = built.world.growth
    times = np.zeros_like(groups.count)
    for one in growth:
        times += groups.selected[one.machines]
    twice = times > 1
    if twice.any():
        meant = counted(int(groups.count[twice].sum()), "machine", "grows", "grow")
        each = [
            f"'{one.percent:+}% {one.machines}'"
            for one in growth
            if (groups.selected[one.machines] & twice).any()
        ]
        yield f"{meant} by several changes, and each adds its own: {', '.join(each)}"


def _put_out(built: Built, plan: PlanningPlan) -> Iterator[str]:
    """Machines of today that have no place where some that come have one."""
    today = built.machines.of_estate
    for_room = built.problem.groups.allowed[:today].any(axis=1)
    out, come = int(plan.unplaced[:today][for_room].sum()), int(plan.counts[today:].sum())
    if out and come:
        yield (
            f"of the machines without a place {out:,} run today, and {counted(come, 'machine', 'has', 'have')} one that only "
            "come: as few as can be are left out, whichever these are; offer more hosts, or let fewer come"
        )


def _otherwise_moved(found: ScenarioResult) -> Iterator[str]:
    """What the machines cost that were chosen to move, where that is not what the plan counts of equal ones."""
    counted, each = found.terms.get(MOVING, 0), found.moving_micros
    if abs(counted - each) > len(found.moves):  # Each is rounded.
        yield (
            f"moving is counted at {found.currency} {_cents(counted)}, equal machines at the mean of what they copy; the "
            f"{len(found.moves):,} that move come to {found.currency} {_cents(each)}"
        )


def _cents(micros: int) -> str:
    return spelled(divided(micros, 10**4, Rounding.HALF_UP), 2)


def _must_be_held(built: Built, plan: PlanningPlan) -> Iterator[str]:
    """Rules without which more hosts would count: of products that accept them, where not all hosts in reach count."""
    problem = built.problem
    narrowed = {one.name: one for one in problem.products if one.parts and not one.whole_pool}
    for licence in plan.licences:
        if not licence.hosts or licence.product not in narrowed:
            continue
        scopes = pools_by_scope(problem, narrowed[licence.product])
        pools = [p for scope in licence.covered for p in scopes[scope]]
        there = int(plan.hosts[np.isin(problem.blocks.pool_of, pools)].sum())
        if licence.hosts < there:
            yield (
                f"{licence.product} is counted on {licence.hosts} of the {there} hosts of "
                f"{', '.join(problem.pools.ids[p] for p in pools)}: a must rule has to hold its machines on these, or all of "
                "them count"
            )


def _paid(
    prepared: Prepared, built: Built, plan: PlanningPlan, sums: Accounts, today: tuple[int, ...] = ()
) -> tuple[int, ...]:
    moved = _moved(built, plan.counts)
    flow = cash_flow(
        built, prepared.document, plan.counts, plan.hosts, plan.licences, sums.terms, moved, today
    )
    return flow.by_month


def _moved(built: Built, counts: Int64) -> int:
    current = built.machines.current
    elsewhere = (current >= 0)[:, None] & (current[:, None] != np.arange(counts.shape[1])[None, :])
    return int(counts[elsewhere].sum())


def solve_today(prepared: Prepared, limits: Limits) -> ScenarioResult:
    """The estate as it runs: all hosts are kept, nobody moves, and licences are counted in their cheapest legal way."""
    del limits  # There is nothing to search for.
    built = prepared.built(())
    counts, hosts = counts_today(built), built.room.existing
    licences = licences_today(built, counts)
    sums = accounts(built, counts, hosts, licences)
    adrift = np.where(built.machines.current < 0, built.machines.count, 0)
    plan = PlanningPlan(
        counts=counts,
        hosts=hosts,
        unplaced=adrift,
        terms=sums.terms,
        cost_micros=sums.total,
        bound_micros=sums.total,
        unplaced_bound=int(adrift.sum()),
        moves=0,
        licences=licences,
        headroom=(),
        impossible=(),
        solver="as it runs",
    )
    found = _result(prepared, built, plan, sums, TODAY, "as it runs", ())
    nowhere = {"reasons": (), "conflict": ("the estate does not say in which pool it runs",)}
    return found.model_copy(
        update={
            "stranded": tuple(one.model_copy(update=nowhere) for one in found.stranded),
            "notes": (
                *_uncounted(built, counts, hosts),
                *already_broken(built, counts),
                *_undivided(built, plan),
            ),
            "payments_micros": _paid(prepared, built, plan, sums),
        }
    )


def already_broken(built: Built, counts: Int64) -> list[str]:
    """Rules that machines break where they run today."""
    found: dict[str, int] = {}
    for (g, p), reasons in built.admission.rejections.items():
        if counts[g, p]:
            for one in reasons:
                text = f"{one.rule_id} on {one.pool}: {one.why}"
                found[text] = found.get(text, 0) + int(counts[g, p])
    return [
        f"already so today: {counted(count, 'machine', 'breaks', 'break')} {text}"
        for text, count in sorted(found.items())
    ]


def _result(
    prepared: Prepared,
    built: Built,
    plan: PlanningPlan,
    sums: Accounts,
    name: str,
    title: str,
    changes: tuple[str, ...],
) -> ScenarioResult:
    document, problem = prepared.document, built.problem
    sunk = sum(problem.sunk.values())
    trust = confidence(
        prepared.groups,
        classified=prepared.classified,
        needs_eye=prepared.needs_eye,
        age_days=prepared.age_days,
        terms=sums.terms,
        lines=built.lines,
    )
    return ScenarioResult(
        name=name,
        title=title,
        changes=changes,
        start=document.start,
        months=document.months,
        currency=problem.currency,
        cost_micros=plan.cost_micros,
        sunk_micros=sunk,
        bound_micros=plan.bound_micros,
        gap=plan.gap,
        terms=sums.terms,
        tiers=_tiers(built, plan, sums, _recovered(prepared, built, plan)),
        pools=_pools(built, plan, sums),
        hosts=_hosts(built, plan),
        machines=int(built.machines.count.sum()),
        unplaced=int(plan.unplaced.sum()),
        moves=moves(built, prepared.groups, plan.counts),
        moves_bound=_fewest(built, plan, len(prepared.groups.ids)),
        stranded=stranded(built, prepared.groups, plan),
        licences=plan.licences,
        rooms=_rooms(built, plan),
        binding=tuple(str(one) for one in plan.binding),
        confidence=trust,
        solver=plan.solver,
    )


def _fewest(built: Built, plan: PlanningPlan, groups: int) -> int:
    """Moves of machines of a pool, as is proven, and of those of no pool, which all move that have a place at all.

    The estate's machines are the first `groups`; those after them are to come, and move nowhere.
    """
    current, count = built.machines.current[:groups], built.machines.count[:groups]
    adrift = int(count[current < 0].sum())
    return plan.moves_bound + max(0, adrift - int(plan.unplaced.sum()))


def _recovered(prepared: Prepared, built: Built, plan: PlanningPlan) -> dict[str, int] | None:
    """Of each tier that has machines; None: nobody says what tiers charge. Raises InvalidInput."""
    if prepared.rates is None:
        return None
    document = prepared.document
    try:
        return recovered(built, plan.counts, prepared.rates, document.start, document.months)
    except MissingRate as error:
        msg = f"{document.rates}: {error}"
        raise InvalidInput(msg) from None


def _tiers(
    built: Built, plan: PlanningPlan, sums: Accounts, charges: dict[str, int] | None
) -> tuple[TierCost, ...]:
    pools = built.problem.pools
    found = []
    for tier, cost in sorted(sums.by_tier.items()):
        inside = [p for p, one in enumerate(pools.tier_of) if one == tier]
        found.append(
            TierCost(
                tier=tier,
                machines=int(plan.counts[:, inside].sum()),
                hosts=int(plan.hosts[np.isin(built.room.pool_of, inside)].sum()),
                cost_micros=cost,
                recovered_micros=charges.get(tier, 0) if charges is not None and inside else None,
            )
        )
    return tuple(found)


def _pools(built: Built, plan: PlanningPlan, sums: Accounts) -> tuple[PoolResult, ...]:
    found = []
    for p, pool in enumerate(built.room.pools):
        inside = [b for b, at in enumerate(built.room.pool_of.tolist()) if at == p]
        kept = sum(min(int(plan.hosts[b]), int(built.room.existing[b])) for b in inside)
        bought = sum(int(plan.hosts[b]) for b in inside) - kept
        certain = sum(int(built.room.existing[b]) for b in inside if built.room.blocks[b].paid)
        today = sum(built.room.blocks[b].today for b in inside)
        closing = built.world.closed.get(pool.like.name)
        found.append(
            PoolResult(
                pool=pool.like.name,
                tier=pool.like.tier,
                hypervisor=pool.like.hypervisor.value,
                site=pool.like.site,
                machines=int(plan.counts[:, p].sum()),
                hosts_today=today,
                hosts_kept=kept - min(kept, certain),
                hosts_bought=bought + min(kept, certain),
                hosts_given_up=max(0, today - (kept - min(kept, certain))),
                cost_micros=sums.by_pool[p],
                closed=closing.why if closing else "",
            )
        )
    return tuple(found)


def _hosts(built: Built, plan: PlanningPlan) -> tuple[HostsOf, ...]:
    found = []
    for b, block in enumerate(built.room.blocks):
        hosts, existing = int(plan.hosts[b]), int(built.room.existing[b])
        kept = 0 if block.paid else min(hosts, existing)
        if hosts or block.today:
            found.append(
                HostsOf(block=block.id, pool=block.pool, today=block.today, kept=kept, bought=hosts - kept)
            )
    return tuple(found)


def _rooms(built: Built, plan: PlanningPlan) -> tuple[Room, ...]:
    problem = built.problem
    found = reserves(
        built.room, plan.hosts, plan.counts, problem.groups.demand, built.machines.running.tolist()
    )
    boundless = {(name, "disk_gib") for name in built.room.boundless}
    return tuple(one for one in found if (one.pool, one.resource_class) not in boundless)
