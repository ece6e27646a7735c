"""Huawei's topology-aware sequences: 4,998 requests on 1,710 servers of two NUMA nodes, as few servers used as can be.

Affinity in racks, anti-affinity over hosts, fault domains over racks and NUMA nodes are kept by all; what they are
taken for stands in `huawei.py`. First fit and best fit take requests as they come, and so does the kernel (`online`);
`consolidated` is its plan after ruin and recreate. `bound` is a linear program over kinds of servers and flavours
without the strategies: no plan uses fewer servers. `above_bound` is to the bound for just the requests that a plan has
placed, since the plain ways leave some out; `gap_closed` compares by it. `largest_first_fit` is first fit over
servers sorted for this measure, the strongest of the plain ways.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import huawei
import numpy as np

from placement.arrays import Int64
from placement.online import Online, consolidate

STEPS = 6000
Figures = dict[str, int | float | str]


class Dense(huawei.Topology):
    """The strategies, and a cost of having a server on: the fewest, and where that is equal the largest."""

    def admit(self, kernel: Any) -> None:
        super().admit(kernel)
        memory = huawei.SEQUENCES[self.number].nodes_free[:, :, 1].sum(axis=1)
        everyone = np.ones(len(kernel.classes.one), dtype=np.bool_)
        kernel.opening("hosts_on", everyone, np.arange(len(memory)), 1000 + memory.max() - memory)


def main() -> Figures:
    """The three sequences that are there."""
    if not huawei.FOLDER.exists():
        return {"skipped": "the data set is not here"}
    figures: Figures = {}
    for name in ("C1", "C2", "C3"):
        figures |= {f"{name}_{figure}": value for figure, value in measured(huawei.read(name)).items()}
    return figures


def measured(sequence: huawei.Sequence) -> Figures:
    """Every way on one sequence."""
    least = bound(sequence, np.arange(len(sequence.demand)))
    figures: Figures = {"bound_servers": least, "bound_empty_servers": len(sequence.rack) - least}
    for name, way in PLAIN.items():
        figures |= {f"{name}_{figure}": value for figure, value in told(sequence, *way(sequence)).items()}
    online = Online(huawei.problem_of(sequence, Dense))
    online.decide_many(np.arange(0))  # Compiled or loaded before the clock starts.
    began = time.process_time()
    online.decide_many(np.arange(len(sequence.demand)))
    figures["online_processor_s"] = time.process_time() - began
    plan = (online.provider_of.copy(), online.choices["numa"])
    figures |= {f"online_{figure}": value for figure, value in told(sequence, *plan).items()}
    began = time.process_time()
    consolidate(online, steps=STEPS)
    figures["consolidated_processor_s"] = time.process_time() - began
    plan = (online.provider_of.copy(), online.choices["numa"])
    figures |= {f"consolidated_{figure}": value for figure, value in told(sequence, *plan).items()}
    ours = float(figures["consolidated_above_bound_percent"])
    for way in PLAIN:
        plain = float(figures[f"{way}_above_bound_percent"])
        figures[f"gap_closed_of_{way}_percent"] = 100 * (1 - ours / plain)
    return figures


def told(sequence: huawei.Sequence, where: Int64, nodes: Int64) -> Figures:
    """What a plan comes to, once the checker has found nothing wrong with it."""
    wrong = check(sequence, where.tolist(), nodes.tolist())
    assert not wrong, wrong[:5]
    used = set(where.tolist()) - {-1}
    least = bound(sequence, np.flatnonzero(where >= 0))
    return {
        "unplaced": int((where < 0).sum()),
        "servers": len(used),
        "above_bound_percent": 100 * (len(used) - least) / least,
        "empty_servers": len(sequence.rack) - len(used),
        "stranded_vcpu": stranded(sequence, where.tolist(), nodes.tolist()),
    }


def check(sequence: huawei.Sequence, where: list[int], nodes: list[int]) -> list[str]:
    """Every breach of a plan, counted in plain Python from the data alone; `nodes` are bit masks."""
    wrong = []
    left = left_over(sequence, where, nodes)
    wrong += [
        f"host-{v} node {n} is overfull: {node}"
        for v, of in enumerate(left)
        for n, node in enumerate(of)
        if min(node) < 0
    ]
    placed = [i for i, v in enumerate(where) if v >= 0]
    wrong += [
        f"vm-{i} is on nodes {nodes[i]}"
        for i in placed
        if nodes[i] not in ({3} if sequence.nodes[i] == 2 else {1, 2})
    ]
    racks: dict[int, set[int]] = {}
    hosts: dict[int, list[int]] = {}
    domains: dict[tuple[int, int], set[int]] = {}
    for i in placed:
        rack = int(sequence.rack[where[i]])
        racks.setdefault(int(sequence.affinity[i]), set()).add(rack)
        hosts.setdefault(int(sequence.anti[i]), []).append(where[i])
        domains.setdefault((int(sequence.fault[i]), rack), set()).add(int(sequence.domain[i]))
    wrong += [
        f"affinity {group} in racks {of}" for group, of in racks.items() if group >= 0 and len(of) > 1
    ]
    wrong += [
        f"anti-affinity {group} shares hosts"
        for group, of in hosts.items()
        if group >= 0 and len(of) > len(set(of))
    ]
    wrong += [f"fault domains {of} of {at}" for at, of in domains.items() if at[0] >= 0 and len(of) > 1]
    return wrong


def left_over(sequence: huawei.Sequence, where: list[int], nodes: list[int]) -> list[list[list[int]]]:
    """[server][node][vCPU, GiB]."""
    left: list[list[list[int]]] = sequence.nodes_free.tolist()
    demand, halves = sequence.demand.tolist(), sequence.nodes.tolist()
    for i, v in enumerate(where):
        for n in range(2):
            if v >= 0 and nodes[i] >> n & 1:
                for k in range(2):
                    left[v][n][k] -= demand[i][k] // halves[i]
    return left


def stranded(sequence: huawei.Sequence, where: list[int], nodes: list[int]) -> int:
    """vCPUs left on used servers beyond what the memory beside them could serve, at 2 GiB each (no flavour has less)."""
    left = left_over(sequence, where, nodes)
    return sum(max(0, cpu - memory // 2) for v in set(where) - {-1} for cpu, memory in left[v])


class Plain:
    """The rules as a plain placer would keep them: which servers could take a request, all of them at once."""

    def __init__(self, sequence: huawei.Sequence) -> None:
        self.of = sequence
        self.free = sequence.nodes_free.copy()
        self.rack_of: dict[int, int] = {}
        self.taken: dict[int, set[int]] = {}
        self.domain_of: dict[tuple[int, int], int] = {}

    def fits(self, i: int) -> Any:
        """[V, nodes or 1] whether its part fits on a node, or on both."""
        one, need = self.of, self.of.demand[i] // self.of.nodes[i]
        fits = (self.free >= need).all(axis=2)
        if one.nodes[i] == 2:
            fits = fits.all(axis=1, keepdims=True)
        if one.affinity[i] in self.rack_of:
            fits[one.rack != self.rack_of[one.affinity[i]]] = False
        fits[list(self.taken.get(int(one.anti[i]), ()))] = False
        for (group, rack), domain in self.domain_of.items() if one.fault[i] >= 0 else ():
            if group == one.fault[i] and domain != one.domain[i]:
                fits[one.rack == rack] = False
        return fits

    def take(self, i: int, v: int, node: int) -> int:
        """Where it goes, as a bit mask of nodes."""
        one, two = self.of, self.of.nodes[i] == 2
        self.free[v, slice(None) if two else node] -= one.demand[i] // one.nodes[i]
        if one.affinity[i] >= 0:
            self.rack_of[int(one.affinity[i])] = int(one.rack[v])
        if one.anti[i] >= 0:
            self.taken.setdefault(int(one.anti[i]), set()).add(v)
        if one.fault[i] >= 0:
            self.domain_of[int(one.fault[i]), int(one.rack[v])] = int(one.domain[i])
        return 3 if two else 1 << node


def first_fit(sequence: huawei.Sequence) -> tuple[Int64, Int64]:
    """The first server and node that can."""
    order = np.arange(len(sequence.rack))
    return _one_after_another(sequence, lambda _: np.repeat(order[:, None], 2, axis=1))


def largest_first_fit(sequence: huawei.Sequence) -> tuple[Int64, Int64]:
    """The first that can, servers with the most memory first: what suits this measure best of the plain ways."""
    order = np.argsort(np.argsort(-sequence.nodes_free[:, :, 1].sum(axis=1), kind="stable"))
    return _one_after_another(sequence, lambda _: np.repeat(order[:, None], 2, axis=1))


def best_fit(sequence: huawei.Sequence) -> tuple[Int64, Int64]:
    """The server and node with the least memory left, then the fewest vCPUs."""

    def score(free: Int64) -> Int64:
        of_server = free[:, :, 1].sum(axis=1)[:, None]
        return (of_server * 1000 + free[:, :, 1]) * 1000 + free[:, :, 0]

    return _one_after_another(sequence, score)


def _one_after_another(sequence: huawei.Sequence, score: Callable[[Int64], Int64]) -> tuple[Int64, Int64]:
    """Each request goes where the score [V, nodes] is least; the first of equals."""
    plain = Plain(sequence)
    where, nodes = np.full((2, len(sequence.demand)), -1)
    for i in range(len(sequence.demand)):
        fits = plain.fits(i)
        if fits.any():
            scores = score(plain.free)[:, : fits.shape[1]]
            best = int(np.where(fits, scores, np.iinfo(np.int64).max).argmin())
            where[i], node = divmod(best, fits.shape[1])
            nodes[i] = plain.take(i, int(where[i]), node)
    return where, nodes


def bound(sequence: huawei.Sequence, requests: Int64) -> int:
    """The fewest servers for these requests: none gives more than it has, nor holds more of a flavour than fit alone.

    What a node has beyond a multiple of what all flavours are multiples of, nobody can use.
    """
    from ortools.linear_solver import pywraplp

    nodes_of, demand = sequence.nodes[requests], sequence.demand[requests]
    step = np.gcd.reduce(demand // nodes_of[:, None], axis=0)
    kinds, of = np.unique((sequence.nodes_free // step * step).reshape(-1, 4), axis=0, return_inverse=True)
    flavours, flavour = np.unique(
        np.column_stack([demand // nodes_of[:, None], nodes_of]), axis=0, return_inverse=True
    )
    solver: Any = pywraplp.Solver.CreateSolver("GLOP")
    on = [solver.NumVar(0, int(n), "") for n in np.bincount(of.reshape(-1))]
    cover = [solver.Constraint(float(n), solver.infinity()) for n in np.bincount(flavour.reshape(-1))]
    for kind, free in zip(on, kinds.reshape(-1, 2, 2).tolist(), strict=True):
        rows = [[_at_most(solver, kind, amount) for amount in node] for node in free]
        for covers, (*need, nodes) in zip(cover, flavours.tolist(), strict=True):
            for there in ((0, 1),) if nodes == 2 else ((0,), (1,)):
                fit = min(free[n][k] // need[k] for n in there for k in range(2))
                count = solver.NumVar(0, solver.infinity(), "")
                covers.SetCoefficient(count, 1.0)
                _at_most(solver, kind, fit).SetCoefficient(count, 1.0)
                for n in there:
                    for k in range(2):
                        rows[n][k].SetCoefficient(count, float(need[k]))
    solver.Minimize(solver.Sum(on))
    assert solver.Solve() == pywraplp.Solver.OPTIMAL
    return math.ceil(solver.Objective().Value() - 1e-6)


def _at_most(solver: Any, kind: Any, each: int) -> Any:
    row = solver.Constraint(-solver.infinity(), 0.0)
    row.SetCoefficient(kind, -float(each))
    return row


PLAIN = {"first_fit": first_fit, "best_fit": best_fit, "largest_first_fit": largest_first_fit}

if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:40} {value}")
