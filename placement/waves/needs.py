"""Which steps must wait for which others, so that every order that keeps to it is feasible too.

The order shows that there is room for each arrival. Here each is given room of its own: of what is free before
anything moves, or of what certain machines leave, preferably of its own application; it waits for these, and no unit
of room is given twice. So arrivals are free of each other, whenever they come. Only providers that could ever be too
full are looked at. Pools with a reserve are counted the same way; a step within such a pool takes room in it twice
while it lasts. Machines that must not meet wait for each other.
"""

from collections.abc import Iterator, Sequence

from placement.waves.problem import NOWHERE, MoveProblem
from placement.waves.state import Amounts, Moving, Step

Needs = tuple[tuple[int, ...], ...]
"""By step, in their order: steps that must have ended, and whose old place must be free: where a copy is kept, only
after its wave."""

MOST_SOURCES = 200
"""Machines that left a provider and whose room is not taken up, up to which those of the own application are preferred."""


def needs(problem: MoveProblem, steps: Sequence[Step]) -> Needs:
    """Of an order that is feasible one step after another; another is a bug."""
    of = Moving(problem, frozenset())
    ledgers = _Ledgers(of, steps)
    apps = apps_of(problem, steps)
    ended: list[tuple[int, ...]] = []
    last: dict[int, int] = {}
    left: dict[tuple[int, int], list[int]] = {}
    for i, step in enumerate(steps):
        freed = {last[step.machine]} if step.machine in last else set[int]()
        for ledger in ledgers.of(step.target):
            freed |= ledger.enter(apps[i], of.demand[step.machine])
        for ledger in ledgers.of(step.source):
            ledger.exit(i, apps[i], of.demand[step.machine])
        for g in of.groups_of.get(step.machine, ()):
            freed |= {j for j in left.get((g, step.target), ()) if steps[j].machine != step.machine}
            left.setdefault((g, step.source), []).append(i)
        last[step.machine] = i
        ended.append(tuple(sorted(freed)))
    return tuple(ended)


def apps_of(problem: MoveProblem, steps: Sequence[Step]) -> list[int]:
    """The application of each step; a machine without one is its own, with a negative number."""
    app_of = problem.app_of.tolist()
    return [app_of[step.machine] if app_of[step.machine] >= 0 else -1 - step.machine for step in steps]


class _Ledger:
    """Whose room on one provider, or in one pool with a reserve, is not taken up yet."""

    def __init__(self, limit: Amounts, load: Amounts) -> None:
        self.free = [most - n for most, n in zip(limit, load, strict=True)]
        self.debtors: list[list[int]] = [[] for _ in limit]
        """[K] those whose leaving made good what was too much at first: nobody comes before them."""
        self.sources: list[tuple[int, int, Amounts]] = []

    def exit(self, i: int, app: int, demand: Amounts) -> None:
        """A step leaves; its room is there for others, unless there was too much before."""
        room = list(demand)
        for k, takes in enumerate(demand):
            if takes and self.free[k] < 0:
                self.debtors[k].append(i)
                paid = min(takes, -self.free[k])
                self.free[k] += paid
                room[k] -= paid
        if any(room):
            self.sources.append((i, app, room))

    def enter(self, app: int, demand: Amounts) -> set[int]:
        """Give room to an arrival; the steps that it is of."""
        freed = {i for k, takes in enumerate(demand) if takes for i in self.debtors[k]}
        short = list(demand)
        _take(short, self.free)
        own = len(self.sources) <= MOST_SOURCES
        for i, _, room in sorted(self.sources, key=lambda one: one[1] != app) if own else self.sources:
            if not any(short):
                break
            if _take(short, room):
                freed.add(i)
        assert not any(short), (short, demand)
        self.sources = [one for one in self.sources if any(one[2])]
        return freed


def _take(short: Amounts, room: Amounts) -> bool:
    """Cover what is short by what there is; whether there was anything."""
    taken = [max(0, min(s, r)) for s, r in zip(short, room, strict=True)]
    for k, amount in enumerate(taken):
        short[k] -= amount
        room[k] -= amount
    return any(taken)


class _Ledgers:
    """Those that could ever be too full; the others need none."""

    def __init__(self, of: Moving, steps: Sequence[Step]) -> None:
        self.moving = of
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

    def of(self, v: int) -> Iterator[_Ledger]:
        """Where a step to or from a provider takes or frees room."""
        if v == NOWHERE:
            return
        if v in self.of_provider:
            yield self.of_provider[v]
        pool = self.moving.pool_of[v]
        if pool in self.of_pool:
            yield self.of_pool[pool]


def _over(most: Amounts, load: Amounts, limit: Amounts) -> bool:
    """Whether all that ever comes, beside what is there, is too much of anything that comes."""
    return any(n > now and n > top for n, now, top in zip(most, load, limit, strict=True))


def _add(to: Amounts, more: Amounts) -> None:
    for k, n in enumerate(more):
        to[k] += n


def parts(
    problem: MoveProblem, steps: Sequence[Step], of: Needs, keeps: Sequence[bool]
) -> list[tuple[int, ...]]:
    """Steps that belong into one wave, by position: those of an application, and of all that wait for each other.

    Where a step needs room that a copy keeps until the wave is confirmed, or goes on with a machine whose last step keeps
    one, its part is divided before it. `keeps` is by step.
    """
    apps = apps_of(problem, steps)
    edges: dict[int, set[int]] = {app: set() for app in apps}
    for i, app in enumerate(apps):
        for j in of[i]:
            edges[apps[j]].add(app)
    unit_of = _together(edges)
    layer = [0] * len(steps)
    found: dict[tuple[int, int], list[int]] = {}
    for i, app in enumerate(apps):
        unit = unit_of[app]
        before = [j for j in of[i] if unit_of[apps[j]] == unit]
        layer[i] = max((layer[j] + keeps[j] for j in before), default=0)
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
