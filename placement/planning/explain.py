"""Why machines have no place: against each pool what stands, and the least of all that which could not be left as it is.

Facts of a conflict are what a person could change: who may be in a pool, on which hosts machines fit, how many hosts
there could be, how many fail at once, how much the pool shares, how many machines may move. A conflict is found by
leaving facts out one by one as long as one machine more still has no place; so each that remains is needed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from catalog.wording import counted
from placement.arrays import Int64
from placement.planning.facts import Facts
from placement.planning.helping import would_help
from placement.planning.plan import Headroom, Impossible
from placement.planning.problem import PlanningProblem
from placement.planning.seating import Seating, left_after
from policies.decisions import Rejection

_ALLOWED, _FITS, _HOSTS, _LEAST, _LOSSES, _SHARED = "allowed", "fits", "hosts", "least", "losses", "shared"
_Fact = tuple[str, int]
"""Kind, and pool; -1 where it is about all."""
_HELPED = 10
"""Groups of which it is told what would help them: those with the most machines."""
_MOVES: _Fact = ("moves", -1)


def impossible_of(seating: Seating) -> tuple[Impossible, ...]:
    """Of each group with machines that have no place, in the problem's order."""
    waiting = seating.waiting()
    some = np.flatnonzero(waiting)
    helped = set(some[np.argsort(-waiting[some], kind="stable")][:_HELPED].tolist())
    return tuple(_impossible(seating, g, int(waiting[g]), g in helped) for g in some.tolist())


def ha_verdict(problem: PlanningProblem, headroom: tuple[Headroom, ...]) -> Mapping[str, str]:
    """Pool -> whether what must restart is held with the hosts lost that may fail, in words with what is tightest."""
    losses = dict(zip(problem.pools.ids, problem.pools.losses.tolist(), strict=True))
    found: dict[str, str] = {}
    for pool in dict.fromkeys(one.pool for one in headroom):
        used = [one for one in headroom if one.pool == pool and (one.restarting or one.without_losses)]
        short = [one for one in used if one.left < 0]
        tight = min(short or used, key=lambda one: one.left / max(1, one.without_losses), default=None)
        if tight is None:
            found[pool] = "nothing is there that would have to restart"
        elif short:
            found[pool] = (
                f"no: {-tight.left} {tight.resource_class} short with {counted(losses[pool], 'host')} lost"
            )
        else:
            found[pool] = (
                f"yes: {tight.left} of {tight.without_losses} {tight.resource_class} left with {counted(losses[pool], 'host')} lost"
            )
    return found


def _impossible(seating: Seating, g: int, machines: int, helped: bool) -> Impossible:
    problem = seating.facts.problem
    reasons = [reason for p in range(len(problem.pools.ids)) for reason in _against(seating, g, p)]
    conflict = _conflict(seating, g)
    return Impossible(
        group=problem.groups.ids[g],
        machines=machines,
        reasons=tuple(reasons),
        conflict=tuple(_words(problem, g, fact) for fact in conflict),
        would_help=would_help(seating, g) if helped else "",
    )


def _against(seating: Seating, g: int, p: int) -> Iterator[Rejection]:
    """Rules first; where they allow it, what room lacks for one machine more."""
    facts, problem = seating.facts, seating.facts.problem
    pool = problem.pools.ids[p]
    if not problem.groups.allowed[g, p]:
        yield from problem.groups.rejections.get((g, p)) or (_not_allowed(pool, problem.groups.ids[g]),)
        return
    inside = facts.blocks_of[p]
    if not facts.fits[g, inside].any():
        yield _too_large(problem, g, p)
        return
    if seating.moves_left < 1 and facts.moved[g, p]:
        yield _rejected(
            "most-moves",
            pool,
            "moves",
            0,
            1,
            "all moves that are allowed are made",
            "allow more moves",
        )
    there, least = int(problem.blocks.most[inside].sum()), int(facts.least_hosts[p])
    if there < least:
        why = f"pool '{pool}' has {counted(least, 'host')} at least if it has any, and could have {there}"
        yield _rejected(
            "least-hosts", pool, "hosts", there, least, why, f"offer {least - there} more for it"
        )
    every = _Out(frozenset(_all_facts(seating)))
    for k, resource in enumerate(problem.resource_classes):
        need = int(problem.groups.demand[g, k])
        free = _free(seating, g, p, k, every)
        if need > free:
            lost = int(problem.pools.losses[p]) if problem.blocks.capacity[inside, k].any() else 0
            large = " and that are large enough" if free < _free_of(seating, g, p, k, every, inside) else ""
            hosts = f"all hosts that it could have{large}{f' and room kept for the loss of {lost}' if lost else ''}"
            words = f"{resource} in pool '{pool}': {max(0, free)} is free with {hosts}, {need} is needed"
            remedy = f"give the pool {need - free} {resource} more"
            yield _rejected("room", pool, resource, free, need, words, remedy)


def _not_allowed(pool: str, group: str) -> Rejection:
    why = f"group '{group}' may not be in pool '{pool}'"
    return _rejected("allowed", pool, "rule", "not allowed", group, why, "change the rules that say so")


def _too_large(problem: PlanningProblem, g: int, p: int) -> Rejection:
    inside = np.flatnonzero((problem.blocks.pool_of == p) & (problem.blocks.most > 0))
    if not len(inside):
        pool = problem.pools.ids[p]
        return _rejected("hosts", pool, "hosts", 0, 1, f"pool '{pool}' has no hosts", "offer hosts for it")
    largest = problem.blocks.largest[inside].max(axis=0)
    demand = problem.groups.demand[g]
    k = int(np.argmax(np.where(largest > 0, demand / np.maximum(largest, 1), 0)))
    resource, pool = problem.resource_classes[k], problem.pools.ids[p]
    why = f"one machine needs {int(demand[k])} {resource}, and no host of pool '{pool}' can give more than {int(largest[k])}"
    return _rejected("largest", pool, resource, int(largest[k]), int(demand[k]), why, "add larger hosts")


def _rejected(
    rule: str, pool: str, dimension: str, limit: object, need: object, why: str, remedy: str
) -> Rejection:
    return Rejection(
        rule_id=rule,
        pool=pool,
        dimension=dimension,
        limit=str(limit),
        need=str(need),
        why=why,
        remedy=remedy,
    )


@dataclass(frozen=True)
class _Out:
    """Facts that hold."""

    facts: frozenset[_Fact]

    def __contains__(self, fact: _Fact) -> bool:
        return fact in self.facts


def _all_facts(seating: Seating) -> list[_Fact]:
    kinds = (_ALLOWED, _FITS, _LEAST, _LOSSES, _SHARED, _HOSTS)
    facts: list[_Fact] = [(kind, p) for kind in kinds for p in range(len(seating.pools))]
    return [*facts, _MOVES] if seating.facts.problem.most_moves is not None else facts


def _conflict(seating: Seating, g: int) -> list[_Fact]:
    """Facts without any of which one machine more would have a place, beside those that have one."""
    kept = _all_facts(seating)
    if _possible(seating, g, _Out(frozenset(kept))):
        return []  # By itself it would: what it lacks, others of the plan have.
    for fact in reversed(list(kept)):  # Rules are kept before room, where both stand against a pool.
        fewer = [one for one in kept if one != fact]
        if not _possible(seating, g, _Out(frozenset(fewer))):
            kept = fewer
    return kept


def _possible(seating: Seating, g: int, holding: _Out) -> bool:
    """Whether a pool could take one machine more, were only these facts so."""
    facts, problem = seating.facts, seating.facts.problem
    for p in range(len(seating.pools)):
        inside = facts.blocks_of[p]
        if (_ALLOWED, p) in holding and not problem.groups.allowed[g, p]:
            continue
        if (_FITS, p) in holding and not facts.fits[g, inside].any():
            continue
        if _MOVES in holding and facts.moved[g, p] and seating.moves_left < 1:
            continue
        short = problem.blocks.most[inside].sum() < facts.least_hosts[p]
        if short and (_LEAST, p) in holding and (_HOSTS, p) in holding:
            continue
        needs = enumerate(problem.groups.demand[g].tolist())
        if all(need <= _free(seating, g, p, k, holding) for k, need in needs if need):
            return True
    return False


def _free(seating: Seating, g: int, p: int, k: int, holding: _Out) -> int:
    """What is free of a resource for a group with all hosts that a pool could have, beside what is there."""
    facts = seating.facts
    fewer = [some for held, some in facts.fit_sets(p) if held[g]] if (_FITS, p) in holding else []
    return min(_free_of(seating, g, p, k, holding, some) for some in (facts.blocks_of[p], *fewer))


def _free_of(seating: Seating, g: int, p: int, k: int, holding: _Out, some: Int64) -> int:
    """On some of the pool's blocks, beside the machines that fit on these alone."""
    facts, problem = seating.facts, seating.facts.problem
    inside = facts.blocks_of[p]
    by_hosts = bool(problem.blocks.capacity[inside, k].any())
    if ((_HOSTS, p) not in holding and by_hosts) or ((_SHARED, p) not in holding and not by_hosts):
        return 1 << 60
    each, hosts = problem.blocks.capacity[some, k], problem.blocks.most[some]
    held = ~facts.fits[:, np.setdiff1d(inside, some)].any(axis=1)
    load = seating.counts[:, p] * problem.groups.demand[:, k] * held
    shared = int(problem.pools.shared[p, k])
    total = int(each @ hosts) + shared - int(load.sum())
    losses = int(problem.pools.losses[p])
    if not (by_hosts and losses and (_LOSSES, p) in holding and facts.restart[g]):
        return total
    left = left_after(each, hosts, losses) + shared - int((load * facts.restart).sum())
    return min(total, left)


_WORDS: Mapping[str, Callable[[PlanningProblem, int, int], str]] = {
    _ALLOWED: lambda problem, g, p: (
        f"rules: group '{problem.groups.ids[g]}' may not be in pool '{problem.pools.ids[p]}'"
    ),
    _FITS: lambda problem, g, p: (
        f"size: {_large(problem, g, p)} '{problem.pools.ids[p]}' is large enough for a machine of "
        f"'{problem.groups.ids[g]}'"
    ),
    _HOSTS: lambda problem, _g, p: (
        f"hosts: pool '{problem.pools.ids[p]}' cannot have more than "
        f"{int(problem.blocks.most[problem.blocks.pool_of == p].sum())}"
    ),
    _LEAST: lambda problem, _g, p: (
        f"least: pool '{problem.pools.ids[p]}' has {counted(_least_hosts(problem, p), 'host')} at least, if it has any"
    ),
    _LOSSES: lambda problem, _g, p: (
        f"failures: pool '{problem.pools.ids[p]}' must hold what restarts with {counted(int(problem.pools.losses[p]), 'host')} lost"
    ),
    _SHARED: lambda problem, _g, p: (
        f"shared: pool '{problem.pools.ids[p]}' has no more of what its hosts share"
    ),
    "moves": lambda problem, _g, _p: (
        f"moves: no more than {counted(problem.most_moves or 0, 'machine')} may move"
    ),
}


def _least_hosts(problem: PlanningProblem, p: int) -> int:
    return 1 if problem.pools.least_hosts is None else int(problem.pools.least_hosts[p])


def _large(problem: PlanningProblem, g: int, p: int) -> str:
    facts = Facts(problem)
    return "not every host of pool" if facts.fits[g, facts.blocks_of[p]].any() else "no host of pool"


def _words(problem: PlanningProblem, g: int, fact: _Fact) -> str:
    kind, p = fact
    return _WORDS[kind](problem, g, p)
