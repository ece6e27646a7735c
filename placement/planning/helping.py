"""What single change would give machines a place that have none: the cheapest of those that are enough by themselves.

Each is verified: with that one change, all machines of the group that wait are seated beside all others, and every row holds.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from catalog.wording import counted
from placement.planning.facts import Facts
from placement.planning.improving import enough_hosts, license_all, paid
from placement.planning.plan import per_month
from placement.planning.problem import PlanningProblem
from placement.planning.seating import Seating

_MOST_HOSTS = 64
"""Hosts more of a block that are tried."""
_Change = tuple[str, PlanningProblem, int, int]
"""Words, the problem with it, and a block of which so many hosts more are kept; -1 for none."""


def would_help(seating: Seating, g: int) -> str:
    """In words with what it costs; empty where no single change was found to be enough."""
    now, best = paid(seating), (1 << 62, "")
    for words, problem, block, hosts in _changes(seating, g):
        trial = _with(seating, g, problem, block, hosts)
        if trial is not None:
            best = min(best, (paid(trial) - now, words))
    cost, words = best
    problem = seating.facts.problem
    if not words:
        return ""
    return f"{words}; then they cost at most {per_month(cost, problem.horizon_hours, problem.currency, up=True)}"


def _changes(seating: Seating, g: int) -> Iterator[_Change]:
    yield from _rules(seating, g)
    yield from _hosts(seating, g)
    problem, waiting = seating.facts.problem, int(seating.waiting()[g])
    if problem.most_moves is not None:
        more = replace(problem, most_moves=problem.most_moves + waiting)
        yield f"allow {waiting} more moves, {more.most_moves} in all", more, -1, 0


def _rules(seating: Seating, g: int) -> Iterator[_Change]:
    """Without one rule, in every pool that it alone closes."""
    problem, groups = seating.facts.problem, seating.facts.problem.groups
    by_rule: dict[str, list[int]] = {}
    for p in np.flatnonzero(~groups.allowed[g]).tolist():
        if rule := groups.alone_against(g, p):
            by_rule.setdefault(rule, []).append(p)
    for rule, pools in sorted(by_rule.items()):
        allowed = groups.allowed.copy()
        allowed[g, pools] = True
        lifted = replace(problem, groups=replace(groups, allowed=allowed))
        yield f"lift rule '{rule}' for '{groups.ids[g]}'", lifted, -1, 0


def _hosts(seating: Seating, g: int) -> Iterator[_Change]:
    """So many hosts more of one block, as few as are enough."""
    facts, blocks = seating.facts, seating.facts.problem.blocks
    for b in np.flatnonzero((blocks.capacity > 0).any(axis=1)).tolist():
        p = int(blocks.pool_of[b])
        if not facts.problem.groups.allowed[g, p] or not _fits(_more(seating, b, _MOST_HOSTS), g, b):
            continue

        def enough(hosts: int, b: int = b) -> bool:
            return _with(seating, g, _more(seating, b, hosts), b, hosts) is not None

        # More hosts have room for whom fewer have: where the most are not enough, no number is.
        if not enough(_MOST_HOSTS):
            continue
        hosts = bisect_left(range(1, _MOST_HOSTS), True, key=enough) + 1
        name = facts.problem.pools.ids[p]
        words = f"{counted(hosts, 'more host')} of '{blocks.ids[b]}' in pool '{name}'"
        yield words, _more(seating, b, hosts), b, hosts


def _more(seating: Seating, b: int, hosts: int) -> PlanningProblem:
    """The problem in which a block can have so many hosts more than are decided."""
    problem = seating.facts.problem
    most = problem.blocks.most.copy()
    most[b] = max(int(most[b]), int(seating.decided.hosts[b]) + hosts)
    return replace(problem, blocks=replace(problem.blocks, most=most))


def _fits(problem: PlanningProblem, g: int, b: int) -> bool:
    return bool(Facts(problem).fits[g, b])


def _with(seating: Seating, g: int, problem: PlanningProblem, block: int, hosts: int) -> Seating | None:
    """With the change, where it seats all machines of the group that wait, beside all that are there."""
    trial = seating.on(problem)
    decided = trial.decided.copy()
    if block >= 0:
        decided.hosts[block] += hosts
    enough_hosts(trial, decided)
    for p in range(len(problem.pools.ids)):
        license_all(trial, decided, p)
    trial.decide(decided)
    for p in np.argsort(trial.facts.cost[g], kind="stable").tolist():
        if trial.facts.possible[g, p]:
            _come(trial, g, p)
            while block < 0 and trial.waiting()[g] and _one_host_more(trial, g, p):
                _come(trial, g, p)
    return trial if not trial.waiting()[g] and trial.holds and _enough(trial) else None


def _enough(trial: Seating) -> bool:
    """Whether each pool has as many hosts as it has at least, or none."""
    facts, hosts = trial.facts, trial.decided.hosts
    number = np.array([int(hosts[inside].sum()) for inside in facts.blocks_of])
    return bool(((number == 0) | (number >= facts.least_hosts)).all())


def _come(trial: Seating, g: int, p: int) -> None:
    trial.add(g, p, min(int(trial.waiting()[g]), trial.room(g, p)))


def _one_host_more(trial: Seating, g: int, p: int) -> bool:
    """Of those that the pool could have without the change: the plan did not need it. Whether there was one."""
    facts, decided = trial.facts, trial.decided.copy()
    more = [b for b in facts.blocks_of[p].tolist() if facts.fits[g, b] and decided.hosts[b] < facts.most[b]]
    if not more or not (trial.moves_left > 0 or not facts.moved[g, p]):
        return False
    existing = facts.problem.blocks.existing
    price = facts.kept_cost + facts.bought_cost * (decided.hosts >= existing)
    decided.hosts[min(more, key=lambda b: int(price[b]))] += 1
    enough_hosts(trial, decided)
    license_all(trial, decided, p)
    trial.decide(decided, [p])
    return True
