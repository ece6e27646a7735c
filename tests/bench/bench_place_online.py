"""Online placement on 5,000 hosts in 12 zones: decisions a second on one core, each asked for alone, against numpy.

`numpy` filters all hosts and scores all that remain, as kube-scheduler does, with the same rules and counts kept up
to date. `of_kube_scheduler` is the ratio to the throughput that kube-scheduler's own performance tests ask for on
5,000 nodes (pods a second; API writes are in it, none are here).
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.constraint import Constraint
from placement.online import Online
from placement.problem import PlacementProblem
from placement.providers import Hosts

HOSTS, ZONES, POOLS, REQUESTS, GROUPS = 5000, 12, 20, 12_000, 300
RESOURCES = ("vcpu", "memory_mib", "disk_gib", "network_mbps")
FLAVOURS = np.array([[1, 2], [2, 4], [2, 8], [4, 8], [4, 16], [8, 32], [8, 16], [16, 64]])
SHARES = np.array([18, 22, 14, 16, 12, 8, 6, 4]) / 100
KUBE_SCHEDULER = {"basic": 680, "all_hard_rules": 140, "anti_affinity": 60, "affinity": 35}
"""SchedulingBasic, MixedSchedulingBasePod, SchedulingPodAntiAffinity and SchedulingPodAffinity with 5,000 nodes:
kubernetes/kubernetes, test/integration/scheduler_perf, misc and affinity/performance-config.yaml."""

Figures = dict[str, int | float | str]


@dataclass(frozen=True, eq=False)
class Rules:
    """What a scenario asks for, by request and by host; a group is a number, -1 for none."""

    zone: Int64
    anti: Int64
    """[R] members of a group on different hosts."""
    spread: Int64
    """[R] counts of a group over zones differ by at most 2."""
    near: Int64
    """[R] all of a group in one zone."""
    trait: Int64
    """[R] 0: any host, otherwise only those of this kind."""
    kind: Int64
    """[V]."""
    numa: bool
    quota: Int64 | None
    """[projects] vCPUs."""
    project: Int64
    """[R]."""


SCENARIO: dict[int, Rules] = {}


class Asked(Constraint):
    """A scenario's rules in the kernel's primitives."""

    number: int

    def labels(self, problem: PlacementProblem) -> Int64:
        rules = SCENARIO[self.number]
        return np.column_stack([rules.anti, rules.spread, rules.near, rules.trait, rules.project])

    def admit(self, kernel: Any) -> None:
        rules, one = SCENARIO[self.number], kernel.classes.one
        v = np.arange(HOSTS)
        trait = rules.trait[one]
        kernel.forbid((trait[:, None] > 0) & (trait[:, None] != rules.kind))
        for group in np.unique(rules.anti[rules.anti >= 0]):
            kernel.at_most((rules.anti[one] == group).astype(np.int64), v, np.ones(HOSTS, dtype=np.int64))
        for group in np.unique(rules.spread[rules.spread >= 0]):
            kernel.even(rules.spread[one] == group, rules.zone, np.ones(ZONES, dtype=np.bool_), 2, 0)
        for group in np.unique(rules.near[rules.near >= 0]):
            kernel.together(rules.near[one] == group, rules.zone)
        if rules.quota is not None:
            everywhere = np.zeros(HOSTS, dtype=np.int64)
            for project, limit in enumerate(rules.quota):
                weight = kernel.classes.demand[:, 0] * (rules.project[one] == project)
                kernel.at_most(weight, everywhere, np.array([limit]))
        if rules.numa:
            need = kernel.classes.demand * np.array([1, 1, 0, 0])
            free = np.repeat(kernel.problem.hosts.free[:, None] // 2, 2, axis=1)
            kernel.numa(need, (kernel.classes.demand[:, 0] > 2).astype(np.int64), free)


def main() -> Figures:
    """Each scenario with the kernel, `basic` and all rules with numpy too."""
    figures: Figures = {}
    warm = Online(scenario("all_hard_rules", 8, requests=200))
    for i in range(200):
        warm.decide(i)
    warm.decide_many([])
    for name in ("basic", "anti_affinity", "affinity", "max_skew", "all_hard_rules"):
        figures |= measured(name, scenario(name, 0), compare=name in {"basic", "all_hard_rules"})
    figures["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return figures


def scenario(name: str, seed: int, requests: int = REQUESTS) -> PlacementProblem:
    """Hosts of three sizes, filled to about 70 % in the end."""
    chance = np.random.default_rng(seed)
    everything = name == "all_hard_rules"
    flavour = chance.choice(len(FLAVOURS), requests, p=SHARES)
    group = chance.integers(0, GROUPS, requests)
    flavour = np.where(chance.random(requests) < 0.5, flavour, flavour[group % requests])
    demand = np.column_stack(
        [
            FLAVOURS[flavour] * [1, 1024],
            chance.choice([40, 100, 500], len(FLAVOURS))[flavour],
            FLAVOURS[flavour, 0] * 50,
        ]
    )
    base = np.array([[16, 48], [24, 96], [32, 96]])[np.arange(HOSTS) % 3]
    hosts = np.column_stack([base * [1, 1024], np.full(HOSTS, 2400), base[:, 0] * 80])
    pool_of = np.arange(HOSTS) * POOLS // HOSTS
    none, third = np.full(requests, -1), group % 3

    def when(wanted: bool, of: int) -> Int64:
        return np.where(third == of, group, -1) if everything else (group if wanted else none)

    project = group % 40
    quota = np.bincount(project, weights=demand[:, 0], minlength=40).astype(np.int64) * 9 // 10
    SCENARIO[len(SCENARIO)] = Rules(
        zone=np.arange(HOSTS) % ZONES,
        anti=np.where(third < 2, group, -1) if everything else when(name == "anti_affinity", 0),
        spread=when(name == "max_skew", 1),
        near=when(name == "affinity", 2),
        trait=np.where(group % 7 == 0, 1 + group % 2, 0)
        if everything
        else np.zeros(requests, dtype=np.int64),
        kind=chance.choice([0, 1, 2], HOSTS, p=[0.4, 0.3, 0.3]),
        numa=everything,
        quota=quota if everything else None,
        project=project if everything else np.zeros(requests, dtype=np.int64),
    )
    return PlacementProblem(
        resource_classes=RESOURCES,
        request_ids=tuple(f"r{i}" for i in range(requests)),
        demand=demand.astype(np.int64),
        pool_ids=tuple(f"p{n}" for n in range(POOLS)),
        tier_of=("tier-1",) * POOLS,
        free=np.array([hosts[pool_of == p].sum(axis=0) for p in range(POOLS)]),
        largest=np.full((POOLS, 4), 2**40),
        cost_micros=np.ones((requests, POOLS), dtype=np.int64),
        hosts=Hosts(tuple(f"h{n}" for n in range(HOSTS)), pool_of, hosts, hosts.copy()),
        constraints=(Asked(number=len(SCENARIO) - 1),),
    )


def measured(name: str, problem: PlacementProblem, *, compare: bool) -> Figures:
    """Every request decided alone, then all of them in one call; what was decided is counted again."""
    began = time.process_time()
    online = Online(problem)
    build_s = time.process_time() - began
    count = len(problem.request_ids)
    wall, processor = one_by_one(online.decide, count)
    check(problem, online.provider_of, SCENARIO[problem.constraints[0].number])
    rate = count * 1e9 / float(processor.sum())
    figures: Figures = {
        f"{name}_decisions_per_s": rate,
        f"{name}_decision_p50_ms": float(np.quantile(processor, 0.5)) / 1e6,
        f"{name}_decision_p99_ms": float(np.quantile(processor, 0.99)) / 1e6,
        f"{name}_wall_decision_p99_ms": float(np.quantile(wall, 0.99)) / 1e6,
        f"{name}_placed_share": float((online.provider_of >= 0).mean()),
    }
    if name in KUBE_SCHEDULER:
        figures[f"{name}_of_kube_scheduler"] = rate / KUBE_SCHEDULER[name]
    if compare:
        again = Online(problem)
        began = time.process_time()
        again.decide_many(np.arange(len(problem.request_ids)))
        figures[f"{name}_bulk_decisions_per_s"] = count / (time.process_time() - began)
        plain = Plain(problem)
        _, processor = one_by_one(plain.decide, 3000)
        figures[f"{name}_numpy_decisions_per_s"] = 3000 * 1e9 / float(processor.sum())
        figures[f"{name}_of_numpy"] = rate * float(processor.sum()) / 3000 / 1e9
        figures[f"{name}_build_s"] = build_s
        figures[f"{name}_kernel_mb"] = online.nbytes / 1e6
    return figures


def one_by_one(decide: Callable[[int], int], count: int) -> tuple[Int64, Int64]:
    """Nanoseconds of each decision, by the wall's clock and the processor's."""
    wall, processor = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for i in range(count):
        began, used = time.perf_counter_ns(), time.thread_time_ns()
        decide(i)
        processor[i], wall[i] = time.thread_time_ns() - used, time.perf_counter_ns() - began
    return wall, processor


def check(problem: PlacementProblem, where: Int64, rules: Rules) -> None:
    """Nothing that was decided breaks a rule, counted without the kernel."""
    assert problem.hosts is not None
    placed = np.flatnonzero(where >= 0)
    used = np.zeros_like(problem.hosts.free)
    np.add.at(used, where[placed], problem.demand[placed])
    assert (used <= problem.hosts.free).all()
    trait = rules.trait[placed]
    assert ((trait == 0) | (rules.kind[where[placed]] == trait)).all()
    for group in range(GROUPS):
        of = placed[rules.anti[placed] == group]
        assert len(set(where[of].tolist())) == len(of)
        of = placed[rules.spread[placed] == group]
        assert np.ptp(np.bincount(rules.zone[where[of]], minlength=ZONES)) <= 2
        of = placed[rules.near[placed] == group]
        assert len(set(rules.zone[where[of]].tolist())) <= 1
    if rules.quota is not None:
        taken = np.bincount(rules.project[placed], weights=problem.demand[placed, 0], minlength=40)
        assert (taken <= rules.quota).all()


class Plain:
    """Filter all hosts, score those that remain, take the best: numpy, one request at a time."""

    def __init__(self, problem: PlacementProblem) -> None:
        assert problem.hosts is not None
        self.demand, self.rules = problem.demand, SCENARIO[problem.constraints[0].number]
        self.free = problem.hosts.free.astype(np.int64)
        self.capacity = self.free.astype(np.float64)
        self.open = np.zeros(HOSTS, dtype=np.int64)
        self.anti = np.zeros((GROUPS, HOSTS), dtype=np.bool_)
        self.zones = np.zeros((2, GROUPS, ZONES), dtype=np.int64)
        self.nodes = np.repeat(self.free[:, None, :2] // 2, 2, axis=1)
        self.left = None if self.rules.quota is None else self.rules.quota.copy()

    def decide(self, i: int) -> int:
        rules, need = self.rules, self.demand[i]
        if self.left is not None and need[0] > self.left[rules.project[i]]:
            return -1
        fits = (self.free >= need).all(axis=1)
        if rules.trait[i]:
            fits &= rules.kind == rules.trait[i]
        if rules.anti[i] >= 0:
            fits &= ~self.anti[rules.anti[i]]
        if rules.spread[i] >= 0:
            counts = self.zones[0, rules.spread[i]]
            fits &= (counts + 1 - counts.min() <= 2)[rules.zone]
        if rules.near[i] >= 0 and self.zones[1, rules.near[i]].any():
            fits &= (self.zones[1, rules.near[i]] > 0)[rules.zone]
        if rules.numa and need[0] > 2:
            fits &= (self.nodes >= need[:2]).all(axis=2).any(axis=1)
        if not fits.any():
            return -1
        v = int(np.where(fits, self._score(need), -np.inf).argmax())
        self._take(i, v)
        return v

    def _score(self, need: Int64) -> Any:
        """The most allocated, and what is open before what is not."""
        return ((self.capacity - self.free + need) / self.capacity).mean(axis=1) + (self.open > 0)

    def _take(self, i: int, v: int) -> None:
        rules, need = self.rules, self.demand[i]
        self.free[v] -= need
        self.open[v] += 1
        if rules.anti[i] >= 0:
            self.anti[rules.anti[i], v] = True
        for n, group in enumerate((rules.spread[i], rules.near[i])):
            if group >= 0:
                self.zones[n, group, rules.zone[v]] += 1
        if rules.numa and need[0] > 2:
            node = int((self.nodes[v] >= need[:2]).all(axis=1).argmax())
            self.nodes[v, node] -= need[:2]
        if self.left is not None:
            self.left[rules.project[i]] -= need[0]


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:45} {value}")
