"""Ordering 1,000 and 10,000 moves on full hosts so that every step is feasible, and putting them into waves.

Machines of two resources trade places at random on hosts that are filled to 97 or 100 % of what the fuller of both
ends needs, with 10 or with 3 machines a host. Beside it, plain greedy: the first move of the list that is possible, over
and over, without stops. Each order and each plan is replayed by the checker. On small problems the length of one wave
is compared with the shortest that CP-SAT finds for the same moves, links and room, and proves where it can.

    python tests/bench/bench_planner_waves.py
"""

import json
import time

import numpy as np
from ortools.sat.python import cp_model

from placement.waves.order import order
from placement.waves.problem import Calendar, Carriage, MoveProblem
from placement.waves.result import Wave
from placement.waves.timing import run_of
from placement.waves.verify import breaches, order_breaches
from placement.waves.waves import waves

Figures = dict[str, int | float | str]
CASES = (
    (1_000, 10, 97),
    (1_000, 10, 100),
    (1_000, 3, 97),
    (1_000, 3, 100),
    (10_000, 10, 97),
    (10_000, 3, 100),
)


def main() -> Figures:
    """Measure and return figures."""
    figures: Figures = {}
    for machines, per_host, fill in CASES:
        figures |= _ordered(
            f"{machines}_moves_{per_host}_a_host_{fill}_percent", traded(0, machines, per_host, fill)
        )
    figures |= _planned(traded(0, 1_000, 10, 97))
    return figures | _beside_cp_sat()


def traded(seed: int, machines: int, per_host: int, fill: int) -> MoveProblem:
    """Machines that trade places; of the default seed nearly all move."""
    rng = np.random.default_rng(seed)
    hosts = machines // per_host
    demand = rng.integers(1, 9, (machines, 2))
    before = rng.integers(0, hosts, machines)
    after = rng.permutation(before)
    loads = np.zeros((2, hosts, 2), dtype=np.int64)
    np.add.at(loads[0], before, demand)
    np.add.at(loads[1], after, demand)
    capacity = loads.max(axis=0) * 100 // fill
    return MoveProblem(
        demand, before, after, capacity, capacity.copy(), np.zeros(hosts, dtype=np.int64),
        np.zeros(1, dtype=np.int64), np.arange(machines) // 10,
    )  # fmt: skip


def carriage(problem: MoveProblem, at_once: int = 4) -> Carriage:
    """Two sites, two endpoints, disks up to 200 GiB."""
    rng = np.random.default_rng(1)
    (r, _), (v, _) = problem.demand.shape, problem.capacity.shape
    site = (np.arange(v) % 2).astype(np.int64)
    return Carriage(
        site, site, np.full(v, -1, dtype=np.int64), rng.integers(10, 200, r), np.ones(r, dtype=np.int64),
        np.full(r, 60, dtype=np.int64), np.zeros(r, dtype=np.bool_), np.full(2, at_once, dtype=np.int64),
        100, link_mib_s={(0, 1): 250},
    )  # fmt: skip


def greedy(problem: MoveProblem) -> int:
    """How many machines plain greedy moves: pass after pass over the list, each that is possible now."""
    load = np.zeros_like(problem.capacity)
    np.add.at(load, problem.before, problem.demand)
    rest, moved = np.flatnonzero(problem.moving).tolist(), 0
    while True:
        left = []
        for m in rest:
            target = problem.after[m]
            if (load[target] + problem.demand[m] <= problem.capacity[target]).all():
                load[target] += problem.demand[m]
                load[problem.before[m]] -= problem.demand[m]
                moved += 1
            else:
                left.append(m)
        if len(left) == len(rest):
            return moved
        rest = left


def _ordered(name: str, problem: MoveProblem) -> Figures:
    wall, processor = time.perf_counter(), time.process_time()
    found = order(problem)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    assert order_breaches(problem, found.steps) == ()
    moving = int(problem.moving.sum())
    return {
        f"{name}_wall_s": round(wall, 3),
        f"{name}_processor_s": round(processor, 3),
        f"{name}_ordered_percent": round(100 * (1 - len(found.left_out) / moving), 2),
        f"{name}_stops": found.stops,
        f"{name}_greedy_ordered_percent": round(100 * greedy(problem) / moving, 2),
    }


def _planned(problem: MoveProblem) -> Figures:
    week = 7 * 86_400
    when = Calendar(tuple((n * week, n * week + 8 * 3_600) for n in range(60)))
    how = carriage(problem)
    processor = time.process_time()
    plan = waves(problem, how, when)
    processor = time.process_time() - processor
    assert breaches(problem, how, when, plan) == ()
    return {
        "waves_of_1000_moves_processor_s": round(processor, 3),
        "waves_of_1000_moves": len(plan.waves),
        "waves_of_1000_moves_torn_applications": len(plan.torn),
        "waves_of_1000_moves_unscheduled": len(plan.unscheduled),
    }


def _beside_cp_sat() -> Figures:
    ratios, proven = [], 0
    for seed in range(10):
        problem = traded(seed, 14, 3, 80)
        how = carriage(problem, at_once=3)
        plan = waves(problem, how, Calendar(((0, 10**7),), 1_000))
        if len(plan.waves) == 1 and not any(move.stop for move in plan.moves):
            shortest, is_best = _shortest(problem, how, plan.waves[0])
            ratios.append(plan.elapsed_s / shortest)
            proven += is_best
    return {
        "cp_sat_problems": len(ratios),
        "cp_sat_proven": proven,
        "wave_length_above_cp_sat_mean_percent": round(100 * (sum(ratios) / len(ratios) - 1), 2),
        "wave_length_above_cp_sat_most_percent": round(100 * (max(ratios) - 1), 2),
    }


def _shortest(problem: MoveProblem, how: Carriage, wave: Wave) -> tuple[int, bool]:
    """The shortest wave of the same moves: room as what is taken from a start and up to an end, links as what is used."""
    model = cp_model.CpModel()
    most = sum(move.end_s - move.begin_s for move in wave.moves)
    end = model.new_int_var(0, most, "end")
    moves = {}
    used: dict[object, tuple[int, list[tuple[cp_model.IntervalVar, int]]]] = {}
    for move in wave.moves:
        run = run_of(how, move.step)
        start = model.new_int_var(0, most, "")
        moves[move.step.machine] = (start, start + run.duration_s)
        model.add(start + run.duration_s <= end)
        for use in run.uses:
            interval = model.new_fixed_size_interval_var(start, run.duration_s, "")
            used.setdefault(use.of, (use.most, []))[1].append((interval, use.amount))
    for limit, rows in used.values():
        model.add_cumulative([row[0] for row in rows], [row[1] for row in rows], limit)
    for v, capacity in enumerate(problem.capacity.tolist()):
        _room(model, problem, v, capacity, moves, most)
    model.minimize(end)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = 5
    status = solver.solve(model)
    assert status in {cp_model.OPTIMAL, cp_model.FEASIBLE}
    return int(solver.objective_value), status == cp_model.OPTIMAL


def _room(
    model: cp_model.CpModel,
    problem: MoveProblem,
    v: int,
    capacity: list[int],
    moves: dict[int, tuple[object, object]],
    most: int,
) -> None:
    rows = []
    for m, (before, after) in enumerate(zip(problem.before.tolist(), problem.after.tolist(), strict=True)):
        if v not in {before, after}:
            continue
        begin = moves[m][0] if before != v else 0
        until = moves[m][1] if after != v else most
        rows.append(
            (model.new_interval_var(begin, model.new_int_var(0, most, ""), until, ""), problem.demand[m])
        )
    for k, limit in enumerate(capacity):
        model.add_cumulative([row[0] for row in rows], [int(row[1][k]) for row in rows], limit)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
