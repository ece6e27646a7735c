"""Which steps must wait for which others, so that every order that keeps to it is feasible too.

On a provider that cannot take all that will ever come beside what is there, arrivals keep their order, and each
waits for as many of those that left before it, in their order, as it needs the room of. Pools with a reserve are
counted the same way; a step within such a pool takes room in it twice while it lasts. Machines that must not
meet wait for each other. Other steps are free of each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from placement.arrays import Bool
from placement.waves.problem import NOWHERE, MoveProblem
from placement.waves.state import Amounts, Moving, Step


@dataclass(frozen=True)
class Needs:
    """By step, in their order: what must be before it."""

    begun: tuple[tuple[int, ...], ...]
    """Steps that must have begun."""
    ended: tuple[tuple[int, ...], ...]
    """Steps that must have ended, and whose old place must be free: where a copy is kept, only after its wave."""


def needs(problem: MoveProblem, steps: Sequence[Step]) -> Needs:
    """Of an order that is feasible one step after another; another is a bug."""
    of = Moving(problem, frozenset())
    ledgers = _Ledgers(of, steps)
    begun: list[tuple[int, ...]] = []
    ended: list[tuple[int, ...]] = []
    last: dict[int, int] = {}
    left: dict[tuple[int, int], list[int]] = {}
    for i, step in enumerate(steps):
        chained, freed = set[int](), {last[step.machine]} if step.machine in last else set[int]()
        for ledger in ledgers.entered(step):
            chained |= ledger.enter(i, of.demand[step.machine], freed)
        for ledger in ledgers.left(step):
            ledger.exits.append((i, of.demand[step.machine]))
        for g in of.groups_of.get(step.machine, ()):
            freed |= {j for j in left.get((g, step.target), ()) if steps[j].machine != step.machine}
            left.setdefault((g, step.source), []).append(i)
        last[step.machine] = i
        begun.append(tuple(sorted(chained)))
        ended.append(tuple(sorted(freed)))
    return Needs(tuple(begun), tuple(ended))


class _Ledger:
    """What one provider, or one pool with a reserve, holds while steps are gone through."""

    def __init__(self, limit: Amounts, load: Amounts) -> None:
        self.limit, self.load = limit, load
        self.exits: list[tuple[int, Amounts]] = []
        self.taken = 0
        self.last = -1

    def enter(self, i: int, demand: Amounts, freed: set[int]) -> set[int]:
        """The arrival before this one; `freed` gets those whose room it takes."""
        while any(t and n + t > most for n, t, most in zip(self.load, demand, self.limit, strict=True)):
            assert self.taken < len(self.exits), (i, self.load, demand, self.limit)
            j, room = self.exits[self.taken]
            self.load = [n - r for n, r in zip(self.load, room, strict=True)]
            self.taken += 1
            freed.add(j)
        self.load = [n + t for n, t in zip(self.load, demand, strict=True)]
        before, self.last = self.last, i
        return {before} - {-1}


class _Ledgers:
    """Those that could ever be too full; the others need none."""

    def __init__(self, of: Moving, steps: Sequence[Step]) -> None:
        self.of = of
        empty = [0] * of.problem.demand.shape[1]
        load, pool_load = [list(empty) for _ in of.capacity], [list(empty) for _ in of.limit]
        for m, v in enumerate(of.start):
            if v != NOWHERE:
                _add(load[v], of.demand[m])
                _add(pool_load[of.pool_of[v]], of.demand[m])
        most, pool_most = [list(row) for row in load], [list(row) for row in pool_load]
        for step in steps:
            if step.target != NOWHERE:
                _add(most[step.target], of.demand[step.machine])
                _add(pool_most[of.pool_of[step.target]], of.demand[step.machine])
        self.of_provider = {
            v: _Ledger(cap, load[v]) for v, cap in enumerate(of.capacity) if _over(most[v], load[v], cap)
        }
        self.of_pool = {
            p: _Ledger(limit, pool_load[p])
            for p, limit in enumerate(of.limit)
            if limit is not None and _over(pool_most[p], pool_load[p], limit)
        }

    def entered(self, step: Step) -> Iterator[_Ledger]:
        """Where a step takes room."""
        yield from self._of(step.target)

    def left(self, step: Step) -> Iterator[_Ledger]:
        """Where it frees room when it has ended."""
        yield from self._of(step.source)

    def _of(self, v: int) -> Iterator[_Ledger]:
        if v == NOWHERE:
            return
        if v in self.of_provider:
            yield self.of_provider[v]
        if self.of.pool_of[v] in self.of_pool:
            yield self.of_pool[self.of.pool_of[v]]


def _over(most: Amounts, load: Amounts, limit: Amounts) -> bool:
    """Whether all that ever comes, beside what is there, is too much of anything that comes."""
    return any(n > now and n > top for n, now, top in zip(most, load, limit, strict=True))


def _add(to: Amounts, more: Amounts) -> None:
    for k, n in enumerate(more):
        to[k] += n


def parts(
    problem: MoveProblem, steps: Sequence[Step], of: Needs, keeps_copy: Bool
) -> list[tuple[int, ...]]:
    """Steps that belong into one wave, by position: those of an application, and of all that wait for each other.

    Where a step needs room that a copy keeps until the wave is confirmed, its part is divided before it.
    """
    app_of = problem.app_of.tolist()
    apps = [app_of[step.machine] if app_of[step.machine] >= 0 else -1 - step.machine for step in steps]
    edges: dict[int, set[int]] = {app: set() for app in apps}
    for i, app in enumerate(apps):
        for j in (*of.begun[i], *of.ended[i]):
            edges[apps[j]].add(app)
    unit_of = _together(edges)
    keeps = keeps_copy.tolist()
    layer = [0] * len(steps)
    found: dict[tuple[int, int], list[int]] = {}
    for i, app in enumerate(apps):
        unit = unit_of[app]
        same = [(j, 0) for j in of.begun[i]] + [(j, int(keeps[steps[j].machine])) for j in of.ended[i]]
        layer[i] = max((layer[j] + more for j, more in same if unit_of[apps[j]] == unit), default=0)
        found.setdefault((unit, layer[i]), []).append(i)
    return sorted(map(tuple, found.values()))


def _together(edges: dict[int, set[int]]) -> dict[int, int]:
    """Node -> a number that it has in common with all it waits for and that wait for it (Tarjan 1972)."""
    number, low, unit, stack = dict[int, int](), dict[int, int](), dict[int, int](), list[int]()
    for root, following in edges.items():
        if root in number:
            continue
        work = [(root, iter(sorted(following)))]
        number[root] = low[root] = len(number)
        stack.append(root)
        while work:
            node, rest = work[-1]
            child = next((c for c in rest if c not in number or c not in unit), None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    _close(node, stack, unit)
            elif child in number:
                low[node] = min(low[node], number[child])
            else:
                number[child] = low[child] = len(number)
                stack.append(child)
                work.append((child, iter(sorted(edges[child]))))
    return unit


def _close(node: int, stack: list[int], unit: dict[int, int]) -> None:
    while True:
        member = stack.pop()
        unit[member] = node
        if member == node:
            return
