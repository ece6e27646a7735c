"""Orders against every order there is, and waves against the checker and against instants that it does not look at."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.waves.order import Order, order
from placement.waves.problem import Calendar, Carriage, MoveProblem
from placement.waves.result import WavePlan
from placement.waves.verify import breaches, order_breaches
from placement.waves.waves import waves

Places = tuple[int, ...]


def ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def made_up(seed: int, machines: int, providers: int) -> MoveProblem:
    """Tight more often than not: capacities are what one of both ends needs, and a little."""
    rng = np.random.default_rng(seed)
    r, v, p = int(rng.integers(2, machines)), int(rng.integers(2, providers)), int(rng.integers(1, 3))
    first = -1 if seed % 4 == 0 else 0
    demand = rng.integers(seed % 2, 5, (r, 2))
    before = rng.integers(first, v, r)
    after = rng.permutation(before) if seed % 3 else rng.integers(first, v, r)
    loads = np.zeros((2, v + 1, 2), dtype=np.int64)
    np.add.at(loads[0], before, demand)
    np.add.at(loads[1], after, demand)
    needed = np.maximum(loads[0] if seed % 5 else 0, loads[1])[:v]
    capacity = ints(needed + rng.integers(0, 1 + seed % 4, (v, 2)))
    return MoveProblem(
        demand=ints(demand),
        before=ints(before),
        after=ints(after),
        capacity=capacity,
        largest=np.maximum(0, capacity - int(rng.integers(0, 2))),
        pool_of=ints(rng.integers(0, p, v)),
        losses=ints(rng.integers(0, 2, p) * (seed % 7 == 0)),
        app_of=ints(rng.integers(-1, int(rng.integers(1, 6)), r)),
        apart=tuple(ints(rng.choice(r, 2, replace=False)) for _ in range(seed % 3)),
    )


@dataclass
class EveryOrder:
    """Breadth over all places of all machines, in plain Python: the most that arrive, then the fewest stops."""

    problem: MoveProblem

    def best(self) -> tuple[int, int]:
        p = self.problem
        begin: Places = tuple(p.before.tolist())
        stops, queue, best = {begin: 0}, deque([begin]), (0, 0)
        while queue:
            at = queue.popleft()
            if all(at[m] in {p.before[m], p.after[m]} for m in range(len(at))):
                arrived = sum(at[m] == p.after[m] != p.before[m] for m in range(len(at)))
                best = max(best, (arrived, -stops[at]))
            for m, v in self.steps(at):
                after, cost = (*at[:m], v, *at[m + 1 :]), stops[at] + (v != p.after[m])
                if after not in stops or cost < stops[after]:
                    stops[after] = cost
                    (queue.append if v != p.after[m] else queue.appendleft)(after)
        return best[0], -best[1]

    def steps(self, at: Places) -> Iterator[tuple[int, int]]:
        p = self.problem
        for m in range(len(at)):
            if p.before[m] == p.after[m] or at[m] == p.after[m]:
                continue
            stops = range(len(p.capacity)) if min(p.before[m], p.after[m]) >= 0 else ()
            for v in {int(p.after[m]), *stops} - {at[m]}:
                if v < 0 or self.fits(at, m, v):
                    yield m, v

    def fits(self, at: Places, m: int, v: int) -> bool:
        p, demand = self.problem, self.problem.demand.tolist()
        pool = int(p.pool_of[v])
        for k, takes in enumerate(demand[m]):
            on = sum(d[k] for d, place in zip(demand, at, strict=True) if place == v)
            around = sum(d[k] for d, u in zip(demand, at, strict=True) if u >= 0 and p.pool_of[u] == pool)
            if takes > p.largest[v][k] or (takes and on + takes > p.capacity[v][k]):
                return False
            if takes and p.losses[pool] and around + takes > self.reserve(pool, k):
                return False
        return not any(m in g and any(at[o] == v for o in g.tolist() if o != m) for g in p.apart)

    def reserve(self, pool: int, k: int) -> int:
        rows = sorted(
            int(n)
            for n, of in zip(self.problem.capacity[:, k], self.problem.pool_of, strict=True)
            if of == pool
        )
        return sum(rows[: max(0, len(rows) - int(self.problem.losses[pool]))])


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_as_many_machines_arrive_with_as_few_stops_as_in_the_best_of_all_orders(seed: int) -> None:
    problem = made_up(seed, 6, 5)
    found = order(problem)
    assert found.proven
    assert (int(problem.moving.sum()) - len(found.left_out), found.stops) == EveryOrder(problem).best()
    assert order_breaches(problem, found.steps) == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_large_orders_hold_and_machines_that_are_left_out_have_not_moved(seed: int) -> None:
    problem = made_up(seed, 60, 12)
    found = order(problem)
    at = problem.before.copy()
    for step in found.steps:
        at[step.machine] = step.target
    rest = np.flatnonzero(problem.moving)[~np.isin(np.flatnonzero(problem.moving), found.left_out)]
    assert order_breaches(problem, found.steps) == ()
    assert (at[rest] == problem.after[rest]).all()
    assert (at[list(found.left_out)] == problem.before[list(found.left_out)]).all()


def carriage(seed: int, problem: MoveProblem) -> Carriage:
    rng = np.random.default_rng(seed + 1)
    (r, _), (v, _) = problem.demand.shape, problem.capacity.shape
    return Carriage(
        site_of=ints(rng.integers(0, 2, v)),
        endpoint_of=ints(rng.integers(0, 2, v)),
        storage_of=ints(rng.integers(-1, 2, v)),
        copy_gib=ints(rng.integers(0, 50, r)),
        mode=ints(rng.integers(0, 3, r)),
        switch_s=ints(rng.integers(0, 60, r)),
        keeps_copy=rng.random(r) < (0.5 if seed % 2 else 0),
        keeps_between=rng.random(r) < 0.5 if seed % 5 == 0 else None,
        at_once=ints(rng.integers(0, 4, 2)),
        stream_mib_s=int(rng.integers(20, 200)),
        passes=int(rng.integers(1, 3)),
        provider_mib_s=ints(rng.integers(0, 300, v)) if seed % 2 else None,
        link_mib_s={(0, 1): int(rng.integers(10, 300))} | ({(0, 0): 150} if seed % 3 else {}),
    )


def calendar(seed: int) -> Calendar:
    rng = np.random.default_rng(seed + 2)
    length = int(rng.integers(600, 20_000))
    windows = tuple((n * 100_000, n * 100_000 + length + int(rng.integers(0, 9_000))) for n in range(12))
    return Calendar(windows, int(rng.integers(1, 12)), ints(rng.integers(-1, 9_000, 6)))


def planned(seed: int) -> tuple[MoveProblem, Carriage, Calendar, WavePlan]:
    problem = made_up(seed, 25, 8)
    how, when = carriage(seed, problem), calendar(seed)
    return problem, how, when, waves(problem, how, when)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_every_plan_of_waves_holds(seed: int) -> None:
    problem, how, when, plan = planned(seed)
    assert breaches(problem, how, when, plan) == ()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_wave_that_is_cut_off_at_any_instant_can_be_undone(seed: int, instant: int) -> None:
    problem, _, _, plan = planned(seed)
    before = problem.before.tolist()
    for wave in plan.waves:
        cut = wave.begin_s + instant % (wave.end_s - wave.begin_s + 1)
        ended = [move.step for move in wave.moves if move.end_s <= cut]  # Those under way are called off.
        at = list(before)
        for step in sorted(ended, key=lambda step: [m.end_s for m in wave.moves if m.step == step]):
            at[step.machine] = step.target
        undo = [
            (s.machine, s.target, s.source) for s in (m.step for m in reversed(wave.moves)) if s in ended
        ]
        assert order_breaches(problem, undo, at, before) == ()
        before = wave.position.tolist()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_the_same_arguments_give_the_same_plan(seed: int) -> None:
    one, other = planned(seed)[3], planned(seed)[3]
    assert [wave.moves for wave in one.waves] == [wave.moves for wave in other.waves]
    assert (one.left_out, one.unscheduled, one.torn) == (other.left_out, other.unscheduled, other.torn)


def test_an_order_is_not_believed_on_its_word() -> None:
    problem = MoveProblem(
        demand=ints([[4], [4], [1]]), before=ints([0, 1, 2]), after=ints([1, 0, 2]),
        capacity=ints([[4], [4], [5]]), largest=ints([[9], [9], [9]]), pool_of=ints([0, 0, 0]),
        losses=ints([0]), app_of=ints([-1, -1, -1]),
    )  # fmt: skip
    found: Order = order(problem)
    assert [tuple(step) for step in found.steps] == [(0, 0, 2), (1, 1, 0), (0, 2, 1)]
    assert order_breaches(problem, [(0, 0, 1)]) == ("step 0: provider 1 lacks 4 of resource 0",)
    assert order_breaches(problem, [(0, 1, 2)]) == ("step 0: machine 0 is on 0, not on 1",)
