"""Why a machine cannot be moved: what is missing where, and who would have to leave first.

Told of the state in which the order ends: what could be moved has moved, and nothing more can.
"""

from dataclasses import dataclass, replace

import numpy as np

from placement.arrays import Int64
from placement.waves.order import Order, order, too_large
from placement.waves.problem import NOWHERE, MoveProblem
from placement.waves.state import Moving, State
from placement.waves.stops import Stops

MOST_CIRCLES = 5
"""Circles for which it is tried how much more room would open them."""
MOST_STEPS = 500
"""Of orders for which that is tried."""
TRIED = 4


@dataclass(frozen=True)
class Short:
    """What a provider, or a pool with its reserve, lacks for one machine."""

    where: str
    """``provider`` or ``pool``."""
    position: int
    resource: int
    amount: int


@dataclass(frozen=True)
class Reason:
    """What stands in the way of one machine's last step; only what applies is filled."""

    machine: int
    kind: str
    """``barred``: the caller keeps it; ``large``: larger than one machine may be there; ``end``: even when all that leave
    have left, there is no room for all that come; ``apart``: it would meet one of its group; ``circle``: others wait for
    room that it takes, and it waits for theirs; ``wait``: for others that are left out."""
    short: tuple[Short, ...] = ()
    """What is missing now."""
    waits_for: tuple[int, ...] = ()
    """Machines on its last place that shall leave and cannot, or that it must not meet."""
    enough: tuple[Short, ...] = ()
    """Of a circle: with so much more there, one of it could stop there, and more machines would arrive. The least, by
    its share of what that machine takes, of the few nearest that were tried; empty where none of them helped."""


def reasons(problem: MoveProblem, found: Order, barred: frozenset[int] = frozenset()) -> tuple[Reason, ...]:
    """One for each machine that the order leaves out."""
    large = too_large(problem)
    of = Moving(problem, barred | large)
    state = State(of)
    for step in found.steps:
        state.go(step)
    waits = {m: _waits_for(problem, state, m) for m in found.left_out}
    circles = _circles(waits)
    enough = {
        circle: _enough(problem, state, circle, found, barred)
        for circle in sorted(set(circles.values()), key=min)[:MOST_CIRCLES]
    }
    told = _Told(problem, state, waits, circles, enough)
    return tuple(told.reason(m, barred=m in barred, large=m in large) for m in found.left_out)


@dataclass(frozen=True)
class _Told:
    """All that reasons are made of."""

    problem: MoveProblem
    state: State
    waits: dict[int, tuple[int, ...]]
    circles: dict[int, frozenset[int]]
    enough: dict[frozenset[int], tuple[Short, ...]]

    def reason(self, m: int, *, barred: bool, large: bool) -> Reason:
        """Of one machine."""
        target = int(self.problem.after[m])
        if barred:
            return Reason(m, "barred")
        if large:
            missing = self.problem.demand[m] - self.problem.largest[target]
            return Reason(m, "large", _shorts("provider", target, missing))
        block = self.state.block(m, target)
        if block is not None and block.kind == "apart":
            group = set(self.problem.apart[block.group].tolist()) - {m}
            return Reason(
                m, "apart", waits_for=tuple(o for o in sorted(group) if self.state.at[o] == target)
            )
        end = _short_in_the_end(self.problem, target)
        if end:
            return Reason(m, "end", end, self.waits[m])
        short = _short(self.state, m, target)
        if m in self.circles:
            return Reason(m, "circle", short, self.waits[m], self.enough.get(self.circles[m], ()))
        return Reason(m, "wait", short, self.waits[m])


def _shorts(where: str, position: int, missing: Int64) -> tuple[Short, ...]:
    return tuple(Short(where, position, k, int(missing[k])) for k in np.flatnonzero(missing > 0).tolist())


def _short(state: State, m: int, target: int) -> tuple[Short, ...]:
    if target == NOWHERE:
        return ()
    pool = state.of.pool_of[target]
    return tuple(
        Short("provider" if kind == "room" else "pool", target if kind == "room" else pool, k, amount)
        for kind, k, amount in state.missing(m, target)
    )


def _short_in_the_end(problem: MoveProblem, target: int) -> tuple[Short, ...]:
    """What a provider and its pool lack for all that shall be there in the end."""
    there = problem.demand[problem.after == target].sum(axis=0) - problem.capacity[target]
    found = _shorts("provider", target, there)
    reserve, pool = problem.reserve(), int(problem.pool_of[target])
    if reserve is not None:
        placed = problem.after != NOWHERE
        inside = placed & (problem.pool_of[np.where(placed, problem.after, 0)] == pool)
        around = problem.demand[inside].sum(axis=0) - reserve[pool]
        found += _shorts("pool", pool, around)
    return found


def _waits_for(problem: MoveProblem, state: State, m: int) -> tuple[int, ...]:
    """Machines that take room where it shall be, and shall leave."""
    target = int(problem.after[m])
    if target == NOWHERE:
        return ()
    block = state.block(m, target)
    if block is None or block.kind == "apart":
        return ()
    inside = {target}
    if block.kind == "reserve":
        inside = set(np.flatnonzero(problem.pool_of == block.where).tolist())
    leaving = (o for o in np.flatnonzero(problem.moving).tolist() if o != m and state.at[o] in inside)
    return tuple(o for o in leaving if int(problem.after[o]) not in inside)


def _circles(waits: dict[int, tuple[int, ...]]) -> dict[int, frozenset[int]]:
    """Machine -> itself and all that it waits for, and that wait for it, over any number of others."""
    reach = {m: _reached(m, waits) for m in waits}
    return {m: frozenset(o for o in reach[m] if m in reach.get(o, ())) for m in waits if m in reach[m]}


def _reached(m: int, waits: dict[int, tuple[int, ...]]) -> set[int]:
    found, rest = set[int](), list(waits[m])
    while rest:
        o = rest.pop()
        if o not in found:
            found.add(o)
            rest += waits.get(o, ())
    return found


def _enough(
    problem: MoveProblem, state: State, circle: frozenset[int], found: Order, barred: frozenset[int]
) -> tuple[Short, ...]:
    """The least room more with which one of a circle could stop somewhere and more would arrive: tried, not guessed."""
    if len(found.steps) > MOST_STEPS:
        return ()
    stops, near = Stops(problem, None), list[tuple[int, int, int, tuple[Short, ...]]]()
    for m in sorted(circle):
        for v in stops.every(m):
            short = tuple(one for one in _short(state, m, v) if one.where == "provider")
            if v != state.at[m] and short and len(short) == len(_short(state, m, v)):
                share = max(one.amount * 1_000_000 // state.of.demand[m][one.resource] for one in short)
                near.append((share, m, v, short))
    for _, _, v, short in sorted(near)[:TRIED]:
        capacity = problem.capacity.copy()
        for one in short:
            capacity[v, one.resource] += one.amount
        if len(order(replace(problem, capacity=capacity), None, barred).left_out) < len(found.left_out):
            return short
    return ()
