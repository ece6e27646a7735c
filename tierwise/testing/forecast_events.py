"""A forecast run event by event with a heap and a list, as the words of the models say: slow, and written apart.

Tests compare what `placement.forecast` draws in columns with it; benches how long both take.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import exp, inf, log, log1p
from random import Random

from placement.forecast.arrivals import Arrivals, CountedSizes
from placement.forecast.growth import Walk
from placement.forecast.lifetimes import Between, Exponential, Lifetimes, LogNormal
from placement.forecast.numbers import HOURS_PER_MONTH
from placement.forecast.problem import RESOURCES, ForecastPool, ForecastProblem, Present


@dataclass
class EventRun:
    """What one run gave: by pool, when each resource is full, and by pool and time, demand and whether N+1 holds."""

    full_hours: list[list[float]]
    demand: list[list[list[float]]] = field(default_factory=list)
    spare: list[list[bool]] = field(default_factory=list)


class _World:
    """The state of one run while time goes by."""

    def __init__(self, problem: ForecastProblem, chance: Random) -> None:
        self.problem, self.chance = problem, chance
        self.end = problem.days * 24.0
        self.events: list[tuple[float, int, str, tuple[object, ...]]] = []
        self.number = 0
        self.old = [[0, 0, 0] for _ in problem.pools]
        self.new = [[0, 0, 0] for _ in problem.pools]
        self.hosts = [
            [group.amounts() for group in pool.hosts for _ in range(group.count)] for pool in problem.pools
        ]
        self.limits = [pool.limits().tolist() for pool in problem.pools]
        self.up = [[True] * len(hosts) for hosts in self.hosts]
        self.logs = [self._walk(walk) for walk in problem.models.growth.walks()]

    def push(self, at: float, what: str, *about: object) -> None:
        if at < self.end:
            self.number += 1
            heappush(self.events, (at, self.number, what, about))

    def _walk(self, walk: Walk) -> list[float]:
        mean = log1p(walk.percent_per_month / 100) + self.chance.gauss(0, walk.error_percent / 100)
        found = [0.0]
        while (len(found) - 1) * HOURS_PER_MONTH < self.end:
            found.append(found[-1] + mean + self.chance.gauss(0, walk.sd_percent / 100))
        return found

    def demand(self, p: int, at: float) -> list[float]:
        month = at / HOURS_PER_MONTH
        i = int(month)
        found = []
        for k in range(len(RESOURCES)):
            line = self.logs[k]
            low, high = line[i], line[min(i + 1, len(line) - 1)]
            found.append(self.new[p][k] + self.old[p][k] * exp(low + (high - low) * (month - i)))
        return found

    def holds_n_plus_1(self, p: int, demand: list[float]) -> bool:
        """Fail each host that is up in turn."""
        pool = self.problem.pools[p]
        for lost in range(len(self.hosts[p])):
            if not self.up[p][lost]:
                continue
            for k, rc in enumerate(RESOURCES):
                room = sum(host[k] for h, host in enumerate(self.hosts[p]) if self.up[p][h] and h != lost)
                if demand[k] > room * pool.usable_percent / 100 + pool.shared.amount(rc):
                    return False
        return True


def run_events(problem: ForecastProblem, seed: int) -> EventRun:
    """One run. Its chance is not that of `placement.forecast`: compare distributions, never single runs."""
    world = _World(problem, Random(seed))  # noqa: S311 - no secret hangs on it
    _begin(world)
    grid = [day * 24.0 for day in problem.grid_days().tolist()]
    found = EventRun(
        [[inf] * len(RESOURCES) for _ in problem.pools], [[] for _ in grid], [[] for _ in grid]
    )
    g = 0
    while g < len(grid):
        at, _, what, about = heappop(world.events) if world.events else (inf, 0, "", ())
        while g < len(grid) and grid[g] < at:
            demands = [world.demand(p, grid[g]) for p in range(len(problem.pools))]
            found.demand[g] = demands
            found.spare[g] = [world.holds_n_plus_1(p, demand) for p, demand in enumerate(demands)]
            g += 1
        if at < inf:
            for p in _happens(world, at, what, about):
                _note_full(world, at, p, found)
    return found


def _begin(world: _World) -> None:
    problem = world.problem
    for p, pool in enumerate(problem.pools):
        for there in problem.machines.get(pool.name, ()):
            for _ in range(there.count):
                _stands(world, p, there)
        if problem.models.failures:
            for h in range(len(world.hosts[p])):
                world.push(world.chance.expovariate(1 / problem.models.failures.mtbf_hours), "fails", p, h)
    for name, model in problem.models.classes.items():
        if model.arrivals:
            _stream(world, name, model.arrivals)
    for step in range(int(world.end / _LOOK_HOURS) + 1):
        world.push(step * _LOOK_HOURS, "look")


def _stands(world: _World, p: int, there: Present) -> None:
    model = world.problem.models.classes[there.workload_class]
    left = inf
    if not there.stay and there.age_hours is None:
        left = _met(model.lifetimes, world.chance)
    elif not there.stay and there.age_hours is not None:
        left = _older(model.lifetimes, there.age_hours, world.chance)
    for k, rc in enumerate(RESOURCES):
        world.old[p][k] += model.each.amount(rc)
    world.push(left, "old leaves", p, there.workload_class)


_LOOK_HOURS = 12.0
"""Growth between events is looked at so often."""


def _stream(world: _World, name: str, arrivals: Arrivals) -> None:
    """Thinning (Lewis and Shedler 1979): candidates at the highest rate of the day, kept as often as the rate says."""
    chance = world.chance
    week = arrivals.week()
    spread = log1p(arrivals.level_error**2)
    level = exp(chance.gauss(0, spread**0.5) - spread / 2)
    points = arrivals.growth_percent_per_month + chance.gauss(0, arrivals.growth_error_points)
    for day in range(world.problem.days):
        variance = arrivals.daily_variance
        factor = chance.gammavariate(1 / variance, variance) if variance else 1.0
        trend = exp(log1p(max(points, -99) / 100) * (day + 0.5) * 24 / HOURS_PER_MONTH)
        weekday = (world.problem.start.weekday() + day) % 7
        hours = week[weekday * 24 : weekday * 24 + 24]
        rate = arrivals.batches_per_day / 24 * level * factor * trend
        at, top = 0.0, rate * max(hours)
        while top > 0:
            at += chance.expovariate(top)
            if at >= 24:
                break
            if chance.random() * max(hours) < hours[int(at)]:
                world.push(day * 24 + at, "batch", name)


def _happens(world: _World, at: float, what: str, about: tuple[object, ...]) -> list[int]:
    """The pools whose demand may have grown."""
    problem = world.problem
    if what == "look":
        return list(range(len(problem.pools)))
    if what == "batch":
        return _batch(world, at, str(about[0]))
    p = about[0]
    assert isinstance(p, int), about
    if what in {"old leaves", "new leaves"}:
        state = world.old if what == "old leaves" else world.new
        each = problem.models.classes[str(about[1])].each
        for k, rc in enumerate(RESOURCES):
            state[p][k] -= each.amount(rc)
    else:
        _fails_or_is_back(world, at, what, p, about[1])
    return []


def _fails_or_is_back(world: _World, at: float, what: str, p: int, h: object) -> None:
    failures = world.problem.models.failures
    assert failures, "only what can fail does"
    assert isinstance(h, int), h
    is_back = what == "is back"
    world.up[p][h] = is_back
    mean = failures.mtbf_hours if is_back else failures.repair_hours
    world.push(at + world.chance.expovariate(1 / mean), "fails" if is_back else "is back", p, h)


def _batch(world: _World, at: float, name: str) -> list[int]:
    model = world.problem.models.classes[name]
    assert model.arrivals, name
    size = _size(model.arrivals, world.chance)
    p = _pool(world.problem.pools, name, world.chance)
    if p is None:
        return []
    together = world.chance.random() < model.lifetimes.together
    life = _life(model.lifetimes, world.chance)
    for _ in range(size):
        for k, rc in enumerate(RESOURCES):
            world.new[p][k] += model.each.amount(rc)
        world.push(at + (life if together else _life(model.lifetimes, world.chance)), "new leaves", p, name)
    return [p]


def _pool(pools: tuple[ForecastPool, ...], name: str, chance: Random) -> int | None:
    u = chance.random()
    for p, pool in enumerate(pools):
        u -= pool.arrivals.get(name, 0.0)
        if u < 0:
            return p
    return None


def _size(arrivals: Arrivals, chance: Random) -> int:
    law = arrivals.batch_size
    if isinstance(law, CountedSizes):
        return chance.choices(list(law.shares), list(law.shares.values()))[0]
    # Failures before `shape` successes, as a Poisson number whose mean is gamma.
    mean = chance.gammavariate(law.shape, (law.mean_size - 1) / law.shape) if law.mean_size > 1 else 0.0
    count, left = 1, chance.expovariate(1.0)
    while left < mean:
        count, left = count + 1, left + chance.expovariate(1.0)
    return count


def _life(lifetimes: Lifetimes, chance: Random) -> float:
    part = chance.choices(lifetimes.parts, [part.share for part in lifetimes.parts])[0]
    if isinstance(part, Exponential):
        return part.after_hours + chance.expovariate(1 / part.mean_hours)
    if isinstance(part, LogNormal):
        return chance.lognormvariate(log(part.median_hours), part.sigma)
    return chance.uniform(part.from_hours, part.to_hours) if isinstance(part, Between) else inf


def _older(lifetimes: Lifetimes, age: float, chance: Random) -> float:
    """Draw until one is older."""
    while (life := _life(lifetimes, chance)) <= age:
        pass
    return life - age


def _met(lifetimes: Lifetimes, chance: Random) -> float:
    """The life that covers a random moment of very many lives laid end to end."""
    lives = [_life(lifetimes, chance) for _ in range(200)]
    if inf in lives:
        return inf
    return chance.choices(lives, lives)[0] * chance.random()


def _note_full(world: _World, at: float, p: int, found: EventRun) -> None:
    for k, amount in enumerate(world.demand(p, at)):
        if amount > world.limits[p][k] and found.full_hours[p][k] == inf:
            found.full_hours[p][k] = at
