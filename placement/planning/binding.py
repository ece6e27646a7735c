"""What stands in the way of a cheaper plan, and what that comes to: single limits relaxed, in the order of their shadow prices.

Machines on decided hosts are a linear program; its prices say what one unit more of each limit would be worth. What is
told is not the price but what a plan saves that was made with that one limit relaxed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from catalog.wording import counted
from placement.arrays import Int64
from placement.planning import mip
from placement.planning.improving import more_hosts, paid
from placement.planning.mip import Float64
from placement.planning.plan import Binding
from placement.planning.problem import PlanningProblem
from placement.planning.rounding import (
    Seats,
    largest_first,
    seat,
    seat_in_parts,
    seats_of,
    unseat_what_breaks,
)
from placement.planning.seating import Seating
from placement.planning.shifting import shift
from placement.planning.tidying import tidy

_TRIED, _TRIED_OF_MANY, _FEW_CELLS = 4, 1, 6_000
"""Relaxations of which a plan is made; fewer where there are more cells than that."""
_MOVES_MORE = 10
_WORTH = 10_000
"""What saves less than this part of the cost is not told."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A problem with one limit relaxed, and what its shadow price promises."""

    kind: str
    subject: str
    words: str
    promised: float
    problem: PlanningProblem
    block: int = -1
    """The block that could have a host more."""


def bindings_of(seating: Seating, seconds: float) -> tuple[Binding, ...]:
    """The limits that cost the most, dearest first."""
    seats = seats_of(seating)
    matrix = seats.columns.matrix()
    found = mip.solve(matrix, matrix.terms["cost"], None, mip.Effort(seconds))
    if found is None or not len(found.prices):
        return ()
    few = int(seating.facts.possible.sum()) <= _FEW_CELLS
    some = [one for one in _candidates(seating, seats, found.prices, few=few) if one.promised > 0]
    some.sort(key=lambda one: (-one.promised, one.kind, one.subject))
    told = [_told(seating, one, seconds) for one in some[: _TRIED if few else _TRIED_OF_MANY]]
    worth = [one for one in told if one.saving_micros * _WORTH > paid(seating)]
    return tuple(sorted(worth, key=lambda one: -one.saving_micros))


def _candidates(seating: Seating, seats: Seats, prices: Float64, *, few: bool) -> Iterator[Relaxed]:
    problem = seating.facts.problem
    if problem.most_moves is not None:
        more = replace(problem, most_moves=problem.most_moves + _MOVES_MORE)
        words = f"{_MOVES_MORE} more machines could move, {more.most_moves} in all"
        # Where hosts are full, too, the price may be all theirs; so it is tried in any case.
        promised = max(1.0, -float(prices[-1]) * _MOVES_MORE) if seating.moves_left < _MOVES_MORE else 0.0
        yield Relaxed("moves", "", words, promised, more)
    yield from _rules(seating, seats, prices)
    if few:
        yield from _hosts(seating, prices)
        yield from _losses(seating)


def _rows_of(seating: Seating, p: int) -> slice:
    before = len(seating.facts.problem.groups.ids) + sum(len(pool.limit) for pool in seating.pools[:p])
    return slice(before, before + len(seating.pools[p].limit))


def _rules(seating: Seating, seats: Seats, prices: Float64) -> Iterator[Relaxed]:
    """By rule: machines that it alone keeps from a pool where they would be cheaper."""
    problem, groups = seating.facts.problem, seating.facts.problem.groups
    worth = np.zeros(groups.allowed.shape)
    for p, pool in enumerate(seating.pools):
        fits = seating.facts.fits[:, seating.facts.blocks_of[p]].any(axis=1)
        if seating.decided.hosts[seating.facts.blocks_of[p]].any():
            paid_for = prices[: len(groups.ids)] + prices[_rows_of(seating, p)] @ pool.factors
            if problem.most_moves is not None:
                paid_for = paid_for + prices[-1] * seating.facts.moved[:, p]
            worth[:, p] = np.maximum(0, paid_for - seats.cost[:, p]) * groups.count * fits
    worth[groups.allowed] = 0
    by_rule: dict[str, list[tuple[int, int]]] = {}
    for g, p in np.argwhere(worth > 0).tolist():
        if rule := groups.alone_against(g, p):
            by_rule.setdefault(rule, []).append((g, p))
    for rule, pairs in by_rule.items():
        allowed = groups.allowed.copy()
        at = tuple(np.array(pairs).T)
        allowed[at] = True
        promised = float(np.where(allowed & ~groups.allowed, worth, 0).max(axis=1).sum())
        lifted = replace(problem, groups=replace(groups, allowed=allowed))
        yield Relaxed("rule", rule, f"rule '{rule}' did not hold", promised, lifted)


def _hosts(seating: Seating, prices: Float64) -> Iterator[Relaxed]:
    """Blocks of which all hosts that there could be are kept: one more."""
    facts, blocks = seating.facts, seating.facts.problem.blocks
    for b in np.flatnonzero((seating.decided.hosts == blocks.most) & (blocks.most > 0)).tolist():
        p = int(blocks.pool_of[b])
        most = blocks.most.copy()
        most[b] += 1
        more = replace(facts.problem, blocks=replace(blocks, most=most))
        gained = _gain(seating, more, p, prices, block=b) - float(facts.kept_cost[b] + facts.bought_cost[b])
        words = f"there were one more host of '{blocks.ids[b]}' in pool '{facts.problem.pools.ids[p]}'"
        yield Relaxed("hosts", blocks.ids[b], words, gained, more, b)


def _losses(seating: Seating) -> Iterator[Relaxed]:
    """Pools that hold what restarts with hosts lost: one lost host fewer spares a host."""
    facts, pools = seating.facts, seating.facts.problem.pools
    for p in np.flatnonzero(pools.losses > 0).tolist():
        inside = facts.blocks_of[p]
        if seating.decided.hosts[inside].any():
            losses = pools.losses.copy()
            losses[p] -= 1
            fewer = replace(facts.problem, pools=replace(pools, losses=losses))
            spared = float((facts.kept_cost + facts.bought_cost)[inside].min(initial=0))
            words = (
                f"pool '{pools.ids[p]}' had to survive the loss of {counted(int(losses[p]), 'host')} only"
            )
            yield Relaxed("failures", pools.ids[p], words, spared, fewer)


def _gain(seating: Seating, problem: PlanningProblem, p: int, prices: Float64, block: int = -1) -> float:
    """What the rows of a pool that allow more then are worth at their prices."""
    trial = _trial(seating, problem, block)
    more: Int64 = trial.pools[p].limit - seating.pools[p].limit
    return -float(prices[_rows_of(seating, p)] @ more)


def _trial(seating: Seating, problem: PlanningProblem, block: int = -1) -> Seating:
    trial = seating.on(problem)
    if block >= 0:
        trial.decided.hosts[block] += 1
        trial.decide(trial.decided)
    return trial


def _told(seating: Seating, one: Relaxed, seconds: float) -> Binding:
    """What a plan saves that was made with the limit relaxed; 0 where none was found that saves anything."""
    now, out = paid(seating), int(seating.waiting().sum())
    saving = 0
    for more in (
        0,
        1,
    ):  # Hosts that the plan could have more: machines may then come from elsewhere, and tidying gives back the rest.
        trial = _trial(seating, one.problem, one.block)
        blocks = one.problem.blocks
        there = np.bincount(blocks.pool_of, weights=trial.decided.hosts, minlength=len(trial.pools)) > 0
        trial.decided.hosts = np.minimum(trial.decided.hosts + more * there[blocks.pool_of], blocks.most)
        trial.decide(trial.decided)
        _seat(trial, out, seconds)
        if trial.holds and int(trial.waiting().sum()) <= out:
            saving = max(saving, now - paid(trial))
    problem = seating.facts.problem
    return Binding(
        kind=one.kind,
        subject=one.subject,
        words=one.words,
        saving_micros=saving,
        horizon_hours=problem.horizon_hours,
        currency=problem.currency,
    )


def _seat(trial: Seating, out: int, seconds: float) -> None:
    seat_in_parts(trial, seconds)
    unseat_what_breaks(trial)
    seat(trial, largest_first(trial))
    shift(trial)
    more_hosts(trial, out)
    tidy(trial)
