"""A plan counted again: no code is shared with the model, and whatever it says of itself must be so."""

from collections.abc import Iterator, Sequence

import numpy as np

from catalog.wording import counted
from placement.planning.counted import Chosen, cost_terms, licences_of, machines_by_scope, pools_by_scope
from placement.planning.plan import Licence, PlanningPlan
from placement.planning.problem import PlannedProduct, PlanningProblem


def verified(problem: PlanningProblem, plan: PlanningPlan) -> PlanningPlan:
    """The plan, if nothing is wrong with it; otherwise AssertionError: that is a bug."""
    wrong = list(breaches(problem, plan))
    if wrong:
        msg = "the plan does not hold: " + "; ".join(wrong[:10])
        raise AssertionError(msg)
    return plan


def breaches(problem: PlanningProblem, plan: PlanningPlan) -> Iterator[str]:
    """Everything that is wrong, in words."""
    shapes = (plan.counts.shape, plan.hosts.shape, plan.unplaced.shape)
    g, p, b = len(problem.groups.ids), len(problem.pools.ids), len(problem.blocks.ids)
    if shapes != ((g, p), (b,), (g,)):
        yield f"counts, hosts and unplaced have the shapes {shapes}, not {((g, p), (b,), (g,))}"
        return
    yield from _of_machines(problem, plan)
    yield from _of_hosts(problem, plan)
    for pool in range(p):
        yield from _of_pool(problem, plan, pool)
    yield from _of_licences(problem, plan)
    yield from _of_costs(problem, plan)


def _of_machines(problem: PlanningProblem, plan: PlanningPlan) -> Iterator[str]:
    groups, pools = problem.groups, problem.pools
    if bool((plan.counts < 0).any()) or bool((plan.unplaced < 0).any()):
        yield "there are fewer than no machines somewhere"
    for g in np.flatnonzero(plan.counts.sum(axis=1) + plan.unplaced != groups.count).tolist():
        total = int(plan.counts[g].sum() + plan.unplaced[g])
        yield f"group '{groups.ids[g]}' has {counted(int(groups.count[g]), 'machine')}, not {total}"
    for g, p in np.argwhere((plan.counts > 0) & ~groups.allowed).tolist():
        yield f"group '{groups.ids[g]}' may not be in pool '{pools.ids[p]}'"
    moves = sum(
        int(plan.counts[g, p])
        for g, p in np.argwhere(plan.counts > 0).tolist()
        if int(groups.current[g]) not in {-1, p}
    )
    if moves != plan.moves:
        yield f"{counted(moves, 'machine', 'is', 'are')} elsewhere than today, not {plan.moves}"
    if plan.moves_bound > moves:
        yield f"the bound of moves, {plan.moves_bound}, is above {moves}"
    if problem.most_moves is not None and moves > problem.most_moves:
        yield f"{counted(moves, 'machine', 'is', 'are')} elsewhere than today, more than {problem.most_moves}"


def _of_hosts(problem: PlanningProblem, plan: PlanningPlan) -> Iterator[str]:
    blocks, pools = problem.blocks, problem.pools
    for b, n in enumerate(plan.hosts.tolist()):
        least = 0 if blocks.least is None else int(blocks.least[b])
        if not least <= n <= int(blocks.most[b]):
            yield f"block '{blocks.ids[b]}' has {counted(n, 'host')}, not {least} to {int(blocks.most[b])}"
    for p, name in enumerate(pools.ids):
        number = sum(int(n) for n, of in zip(plan.hosts, blocks.pool_of, strict=True) if int(of) == p)
        least = 1 if pools.least_hosts is None else int(pools.least_hosts[p])
        if 0 < number < least:
            yield f"pool '{name}' has {counted(number, 'host')}, not {least} or more"


def _of_pool(problem: PlanningProblem, plan: PlanningPlan, p: int) -> Iterator[str]:
    name, blocks = problem.pools.ids[p], problem.blocks
    here = {g: int(plan.counts[g, p]) for g in np.flatnonzero(plan.counts[:, p]).tolist()}
    inside = [b for b in range(len(blocks.ids)) if int(blocks.pool_of[b]) == p and int(blocks.most[b])]
    hosts = {b: int(plan.hosts[b]) for b in inside}
    yield from _held(problem, p, here, hosts, f"pool '{name}'")
    yield from _fitting(problem, p, here, hosts, f"pool '{name}'")


def _fitting(
    problem: PlanningProblem, p: int, here: dict[int, int], hosts: dict[int, int], where: str
) -> Iterator[str]:
    """Machines that fit on some hosts only are held by these."""
    fits = {g: frozenset(b for b in hosts if _fits(problem, g, b)) for g in here}
    for some in sorted(set(fits.values()), key=sorted):
        if len(some) < len(hosts):
            held = {g: n for g, n in here.items() if fits[g] <= some}
            on = {b: n for b, n in hosts.items() if b in some}
            yield from _held(problem, p, held, on, f"{where}, on hosts that large machines fit on,")


def _fits(problem: PlanningProblem, g: int, b: int) -> bool:
    blocks = problem.blocks
    return all(
        int(need) <= int(largest)
        for need, largest, given in zip(
            problem.groups.demand[g], blocks.largest[b], blocks.capacity[b], strict=True
        )
        if int(largest) or int(given)
    )


def _held(
    problem: PlanningProblem, p: int, here: dict[int, int], hosts: dict[int, int], where: str
) -> Iterator[str]:
    """All hosts hold everything; those that remain hold what restarts."""
    groups = problem.groups
    if here and not sum(hosts.values()):
        yield f"{where} has {counted(sum(here.values()), 'machine')} and no host for them"
    again = [g for g in here if groups.restart is None or bool(groups.restart[g])]
    for k, resource in enumerate(problem.resource_classes):
        each = sorted(
            (int(problem.blocks.capacity[b, k]) for b, n in hosts.items() for _ in range(n)), reverse=True
        )
        shared = int(problem.pools.shared[p, k])
        load = sum(int(groups.demand[g, k]) * n for g, n in here.items())
        if load > sum(each) + shared:
            yield f"{where} has {sum(each) + shared} {resource}, and {load} is on it"
        losses = int(problem.pools.losses[p])
        left = sum(each[losses:]) + shared
        restarting = sum(int(groups.demand[g, k]) * here[g] for g in again)
        if restarting > left:
            yield f"{where} has {left} {resource} with {counted(losses, 'host')} lost, and {restarting} must restart"


def chosen_of(problem: PlanningProblem, licences: Sequence[Licence]) -> Iterator[Chosen]:
    """What licenses each scope, by what a plan says."""
    positions = {product.name: n for n, product in enumerate(problem.products)}
    block_of = {name: b for b, name in enumerate(problem.blocks.ids)}
    for one in licences:
        n = positions[one.product]
        names = [way.name for way in problem.products[n].alternatives]
        by_scope = pools_by_scope(problem, problem.products[n])
        for scope in one.covered:
            inside = set(by_scope[scope])
            hosts = {block_of[name]: number for name, number in one.blocks.items()}
            here = {b: k for b, k in hosts.items() if int(problem.blocks.pool_of[b]) in inside}
            yield Chosen(n, scope, names.index(one.alternative), here)


def _of_licences(problem: PlanningProblem, plan: PlanningPlan) -> Iterator[str]:
    chosen = list(chosen_of(problem, plan.licences))
    for n, product in enumerate(problem.products):
        for scope, machines in machines_by_scope(problem, product, plan.counts).items():
            found = [one for one in chosen if one.product == n and one.scope == scope]
            if len(found) != 1:
                yield f"{product.name} in '{scope}' is licensed {counted(len(found), 'time')} for {counted(sum(machines.values()), 'machine')}"
            elif product.alternatives[found[0].alternative].of_hosts:
                yield from _of_scope(problem, plan, product, found[0])
    again = licences_of(problem, plan.counts, chosen)
    if again != plan.licences:
        told = [f"{one.product} in '{one.scope}'" for one in plan.licences if one not in again]
        yield f"licences are counted otherwise: {', '.join(told) or 'some are missing'}"


def _of_scope(
    problem: PlanningProblem, plan: PlanningPlan, product: PlannedProduct, one: Chosen
) -> Iterator[str]:
    """The hosts that must be counted are; or the machines are held by those that are."""
    blocks = problem.blocks
    for p in pools_by_scope(problem, product)[one.scope]:
        here = {
            g: int(plan.counts[g, p])
            for g in np.flatnonzero(plan.counts[:, p]).tolist()
            if product.groups[g]
        }
        inside = [b for b in range(len(blocks.ids)) if int(blocks.pool_of[b]) == p and int(blocks.most[b])]
        kept = {b: int(plan.hosts[b]) for b in inside}
        licensed = {b: one.hosts.get(b, 0) for b in inside}
        where = f"{product.name} in pool '{problem.pools.ids[p]}'"
        for b in inside:
            if licensed[b] > kept[b]:
                yield f"{where} counts {counted(licensed[b], 'host')} of '{blocks.ids[b]}', and keeps {kept[b]}"
        if product.parts and not product.whole_pool:
            yield from _held(problem, p, here, licensed, f"{where}, on the hosts of its rule,")
            yield from _fitting(problem, p, here, licensed, f"{where}, on the hosts of its rule,")
        elif (here or not product.whole_pool) and licensed != kept:
            yield f"{where} counts {counted(sum(licensed.values()), 'host')} of {sum(kept.values())} that are kept"


def _of_costs(problem: PlanningProblem, plan: PlanningPlan) -> Iterator[str]:
    terms = cost_terms(problem, plan.counts, plan.hosts, plan.licences)
    if terms != plan.terms:
        wrong = sorted(name for name in {*terms, *plan.terms} if terms.get(name) != plan.terms.get(name))
        yield f"terms are counted otherwise: {', '.join(wrong)}"
    if sum(plan.terms.values()) != plan.cost_micros:
        yield f"terms come to {sum(plan.terms.values())}, not to {plan.cost_micros}"
    if plan.bound_micros > plan.cost_micros:
        yield f"the bound {plan.bound_micros} is above the cost {plan.cost_micros}"
    if plan.unplaced_bound > int(plan.unplaced.sum()):
        yield f"the bound of unplaced machines, {plan.unplaced_bound}, is above {int(plan.unplaced.sum())}"
