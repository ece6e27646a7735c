"""An order of moves that is feasible at every step, with stops where machines wait for each other.

1. Steps to a provider where all that will still come finds room beside what is there keep nothing from its place:
   they are made first, application after application, until none is left.
2. Where providers are too full for that, the step that sets the most others free is tried and kept.
3. Machines that wait for each other in a circle: one stops at a third provider, chosen so that the most others
   become possible for the fewest GiB. A stop from which a machine would not come on is taken back.
4. Of problems with few movers, every order is looked at, which proves the fewest stops.

What cannot be ordered stays where it is, and `reasons` says why.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

import numpy as np

from placement.waves import exact
from placement.waves.problem import NOWHERE, Carriage, MoveProblem
from placement.waves.state import Moving, State, Step
from placement.waves.stops import MOST_PLACES, Stops

FEW = 8
"""Movers up to which every order is looked at where the quick way needed stops or left machines out."""
MOST_STATES = 6_000
"""Of that search."""
TRIALS = 12
"""Steps and stops that are tried before the best of them is made."""
ATTEMPTS = 4
"""Orders that are looked for, with other ties, where the first has stops or leaves machines out."""
MANY = 300
"""Movers above which there is one attempt, unless it leaves machines out; ten times as many, and there is one anyway."""


@dataclass(frozen=True)
class Order:
    """Steps one after another, and who is left out."""

    steps: tuple[Step, ...]
    left_out: tuple[int, ...]
    """Machines that stay where they are, although they shall be elsewhere."""
    stops: int
    """Steps that do not end where their machine shall be."""
    proven: bool
    """Whether no order leaves out fewer machines, and of those none has fewer stops."""


def order(
    problem: MoveProblem,
    carriage: Carriage | None = None,
    barred: frozenset[int] = frozenset(),
    seed: int = 0,
    *,
    shuffled: bool = False,
) -> Order:
    """The best order found; `barred` machines stay where they are. The same arguments give the same order.

    Ties are decided by machines' numbers at first; by chance from the beginning where it is `shuffled`, which looks at no
    other orders: it is another way to what an order that was not shuffled has proven.
    """
    dead = barred | too_large(problem)
    of = Moving(problem, dead)
    stops = Stops(problem, carriage)
    out = np.flatnonzero(problem.moving)
    best: tuple[Step, ...] | None = None
    for attempt in range(ATTEMPTS if len(of.movers) <= 10 * MANY else 1):
        rng = np.random.default_rng(seed + attempt)
        ties = rng.permutation(len(problem.demand)).tolist() if attempt or shuffled else None
        steps = _Search(of, stops, ties).run()
        if best is None or _worth(steps, stops) > _worth(best, stops):
            best = steps
        if _all_direct(best, of) or (len(of.movers) > MANY and _arrived(best, stops) == len(of.movers)):
            break
    assert best is not None
    proven = _all_direct(best, of)
    if not proven and not shuffled and len(of.movers) <= FEW:
        found = exact.search(State(of), of.movers, stops.every, stops.copied, MOST_STATES)
        best = found.steps if _worth(found.steps, stops) > _worth(best, stops) else best
        proven = found.proven and len(problem.capacity) <= MOST_PLACES
    arrived = {step.machine for step in best if not stops.is_stop(step)}
    left_out = tuple(m for m in out.tolist() if m not in arrived)
    return Order(best, left_out, len(best) - len(arrived), proven)


def _arrived(steps: tuple[Step, ...], stops: Stops) -> int:
    return sum(not stops.is_stop(step) for step in steps)


def too_large(problem: MoveProblem) -> frozenset[int]:
    """Machines that are larger than one machine may be where they shall end."""
    moving = np.flatnonzero(problem.moving & (problem.after != NOWHERE))
    large = (problem.demand[moving] > problem.largest[problem.after[moving]]).any(axis=1)
    return frozenset(moving[large].tolist())


def _worth(steps: tuple[Step, ...], stops: Stops) -> tuple[int, int, int]:
    """More machines, fewer stops, fewer GiB for them: the greater the better."""
    asides = [step for step in steps if stops.is_stop(step)]
    return len(steps) - len(asides), -len(asides), -sum(stops.copied(step) for step in asides)


def _all_direct(steps: tuple[Step, ...], of: Moving) -> bool:
    return len(steps) == len(of.movers) == len({step.machine for step in steps})


class _Search:
    """One attempt; `ties` [R] decides between steps that are as good as each other, by number where it is None."""

    def __init__(self, of: Moving, stops: Stops, ties: Sequence[int] | None) -> None:
        self.of, self.state, self.stops = of, State(of), stops
        self.ties = ties or range(len(of.final))
        self.steps: list[Step] = []
        self.banned: set[int] = set()
        self.arrivals: dict[int, list[int]] = {}
        for m in sorted(of.movers, key=self.ties.__getitem__):
            self.arrivals.setdefault(of.final[m], []).append(m)
        self.top = {
            v: list(map(max, zip(*(of.demand[m] for m in movers), strict=True)))
            for v, movers in self.arrivals.items()
        }
        """Provider -> the most of each resource that any one takes who shall come."""
        self.of_pool: dict[int, list[int]] = {}
        for v in self.arrivals:
            if v != NOWHERE and of.limit[of.pool_of[v]] is not None:
                self.of_pool.setdefault(of.pool_of[v], []).append(v)
        app_of = of.problem.app_of.tolist()
        keys = [a if a >= 0 else -1 - m for m, a in enumerate(app_of)]
        turn: dict[int, int] = {}
        for m in sorted(range(len(keys)), key=self.ties.__getitem__):
            turn.setdefault(keys[m], len(turn))
        self.app = [turn[key] for key in keys]
        """[R] the turn of each machine's application; a machine without one has its own."""
        self.left: dict[int, int] = {}
        for m in of.movers:
            self.left[self.app[m]] = self.left.get(self.app[m], 0) + 1
        self.all_of, self.waiting = dict(self.left), len(of.movers)
        self.stale, self.possible = set(self.arrivals), dict[int, None]()

    def run(self) -> tuple[Step, ...]:
        """Steps until nothing more can be done."""
        self.settle(self.of.movers)
        while self.waiting:
            if not (self.try_direct() or self.try_stop() or self.give_up_stop()):
                break
        return tuple(self.steps)

    def go(self, m: int, target: int) -> Step:
        """One step, and what it makes worth looking at again."""
        step = Step(m, self.state.at[m], target)
        self.state.go(step)
        self.steps.append(step)
        self._count(m, -self.state.done(m))
        self._left_behind(step.source)
        return step

    def back_to(self, count: int) -> None:
        """Undo all but the first steps."""
        while len(self.steps) > count:
            step = self.steps.pop()
            self._count(step.machine, self.state.done(step.machine))
            self.state.back(step)
            self._left_behind(step.target)

    def settle(self, machines: Iterable[int]) -> int:
        """Make harmless steps, of these machines and of all whom that sets free; says how many."""
        begun, ready, queue = len(self.steps), dict[int, list[int]](), list[tuple[bool, bool, int, int]]()
        self._add_ready(machines, ready, queue)
        while queue:
            app = heappop(queue)[3]
            while ready.get(app):
                m = ready[app].pop(0)
                if self._is_ready(m):
                    step = self.go(m, self.of.final[m])
                    self._add_ready(self.set_free(step), ready, queue)
        return len(self.steps) - begun

    def set_free(self, step: Step) -> Iterator[int]:
        """Machines whose last step may have become possible or harmless, now that one has left its provider."""
        v, m = step.source, step.machine
        if v == NOWHERE:
            return
        pool = self.of.pool_of[v]
        if self.state.opened(v, m):
            yield from self.arrivals.get(v, ())
        elif m in self.of.groups_of:
            beside = {other for g in self.of.groups_of[m] for other in self.of.problem.apart[g].tolist()}
            yield from (other for other in self.arrivals.get(v, ()) if other in beside)
        if self.of.limit[pool] is not None:
            for beside_v in self.of_pool.get(pool, ()):
                yield from self.arrivals[beside_v]
        if not self.state.done(m):
            yield m

    def try_direct(self) -> bool:
        """Steps to providers for which more wait than they have room for.

        First all that leave room for whoever of the waiting is the largest. Where there are none, those that set
        others free, of `TRIALS`; and where there are none either, the best of these.
        """
        if self._make_easy():
            return True
        found = self._direct()
        trials: list[tuple[int, int]] = []
        for m in found:
            if not self.state.done(m) and self.state.block(m, self.of.final[m]) is None:
                gain = self._gain([(m, self.of.final[m])], keep=1)
                trials = [*trials, (-gain, m)] if gain < 1 else []
            if len(trials) == TRIALS:
                self._make_best(trials)
                trials = []
        self._make_best(trials)
        return bool(found)

    def try_stop(self) -> bool:
        """One machine aside, or as many as must leave a provider, so that others come on."""
        best: list[tuple[int, int]] = []
        most = 0
        asides = self.stops.asides(self.state, self.arrivals, self.banned)
        for aside in islice(asides, 4 * TRIALS):
            gain = self._gain(aside)
            if gain > most:
                best, most = aside, gain
        if not best:
            return False
        self._make(best)
        return True

    def give_up_stop(self) -> bool:
        """Take back the first stop from which a machine did not come on; it stops nowhere again."""
        for n, step in enumerate(self.steps):
            if self.stops.is_stop(step) and not self.state.done(step.machine):
                self.back_to(n)
                self.banned.add(step.machine)
                self.settle(self.of.movers)
                return True
        return False

    def _gain(self, steps: list[tuple[int, int]], keep: int = 2**31) -> int:
        """What a trial is worth: 2 for each machine that comes to its place by it, 1 if another could be tried then.

        It is taken back if it is worth less than `keep`.
        """
        count, before = len(self.steps), self.waiting
        self._make(steps)
        own = self.steps[count : count + len(steps)]
        reached = before - self.waiting - sum(not self.stops.is_stop(step) for step in own)
        gain = 2 * reached + any(self._could_come(step.source) for step in own)
        if gain < keep:
            self.back_to(count)
        return gain

    def _could_come(self, v: int) -> bool:
        waiting = (m for m in self.arrivals.get(v, ()) if not self.state.done(m))
        return any(self.state.block(m, v) is None for m in waiting)

    def _make(self, steps: list[tuple[int, int]]) -> bool:
        """Make steps, and all harmless ones that they set free."""
        free: dict[int, None] = {}
        for m, target in steps:
            free |= dict.fromkeys(self.set_free(self.go(m, target)))
        self.settle(free)
        return True

    def _make_best(self, trials: list[tuple[int, int]]) -> None:
        if trials:
            m = min(trials, key=lambda one: one[0])[1]
            self._make([(m, self.of.final[m])])
            self._make_easy()

    def _make_easy(self) -> bool:
        """Easy steps to providers that a machine left since they were last looked at."""
        count = len(self.steps)
        while self.stale:
            changed = sorted(self.stale)
            self.stale.clear()
            for v in changed:
                for m in self.arrivals.get(v, ()):
                    if self.state.done(m) or self.state.block(m, v) is not None:
                        continue
                    self.possible[m] = None
                    if self._is_easy(m):
                        self._make([(m, v)])
        return len(self.steps) > count

    def _direct(self) -> list[int]:
        """Movers that could come to their last place now; first those whose leaving others wait for."""
        for m in [m for m in self.possible if self.state.done(m) or self.state.block(m, self.of.final[m])]:
            del self.possible[m]
        return sorted(self.possible, key=self._rank)

    def _rank(self, m: int) -> tuple[bool, bool, int, int]:
        at, app = self.state.at[m], self.app[m]
        wanted = at != NOWHERE and not self.state.has_for_all(at)
        return not wanted, self.left[app] == self.all_of[app], sum(self.of.demand[m]), self.ties[m]

    def _is_easy(self, m: int) -> bool:
        """Whether a possible step leaves its provider with room for any one that waits for it."""
        final = self.of.final[m]
        rest = zip(
            self.state.load[final], self.of.demand[m], self.top[final], self.of.capacity[final], strict=True
        )
        return all(has + takes + next_ <= most for has, takes, next_, most in rest)

    def _is_ready(self, m: int) -> bool:
        final = self.of.final[m]
        return (
            not self.state.done(m) and self.state.harmless(m, final) and self.state.block(m, final) is None
        )

    def _add_ready(
        self, machines: Iterable[int], ready: dict[int, list[int]], queue: list[tuple[bool, bool, int, int]]
    ) -> None:
        """By application: first those that can be moved as a whole, then those that are begun, then the nearest to it."""
        touched: dict[int, None] = {}
        for m in machines:
            if self._is_ready(m):
                ready.setdefault(self.app[m], []).append(m)
                touched[self.app[m]] = None
        for app in touched:
            missing = self.left[app] - len(ready[app])
            heappush(queue, (missing > 0, self.left[app] == self.all_of[app], missing, app))

    def _count(self, m: int, more: int) -> None:
        self.left[self.app[m]] += more
        self.waiting += more

    def _left_behind(self, v: int) -> None:
        if v == NOWHERE:
            return
        self.stale.add(v)
        if self.of.limit[self.of.pool_of[v]] is not None:
            self.stale.update(self.of_pool.get(self.of.pool_of[v], ()))
