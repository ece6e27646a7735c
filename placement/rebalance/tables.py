"""What the search looks up: the problem laid out for compiled loops, and the state that moves change."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.rebalance.reassignment import Reassignment

_ROOM_IN_LISTS = 4
"""A machine's list has room for so many times the mean number of processes, or twice what it has at first."""


ORDERS = 4
"""In so many orders processes have those beside them that need about the same."""
SIZES = 16
"""Classes of processes by their size, from the smallest."""
_FEW, _PAIRS = 25, 4_000_000
"""Where machines hold up to so many processes, and there are up to so many pairs of both, it is worth to list where each could come to."""


class Tables(NamedTuple):
    """What never changes. Costs have their weights in them.

    K is the number of resources R and up to three more that nobody needs: loops over four at a time are faster.
    """

    requirement: Int64
    """[P + 1, K]; the last is nobody, who needs nothing."""
    taking: Int64
    """[2 P + 2, K] what a process takes of a machine's room: row p elsewhere, row P + 1 + p where it was first.

    There, what is used twice was never given back.
    """
    weighted: Int64
    """[P + 1, K] requirements times their load weights."""
    reach: npt.NDArray[np.int32]
    """The machines that a process could come to, one process's after another's; empty where none are listed, and all may be tried.

    What is used twice is never given back, so that a machine has the same room for newcomers always: for the largest
    processes there are one or two machines of a hundred.
    """
    reach_from: Int64
    """[P + 1] where a process's part of `reach` begins."""
    home: Int64
    """[P + 1]."""
    service: Int64
    process_move: Int64
    capacity: Int64
    """[M, K]."""
    safety: Int64
    """[M, K] no more than all processes need together: above that it is the same."""
    load_weight: Int64
    """[K]."""
    lack_weight: Int64
    """[K] what lacking a unit counts while that is allowed: as load does, and where load costs nothing as much as a like part of the rest."""
    transient: Int64
    """[K] 0 or 1."""
    location: Int64
    neighbourhood: Int64
    machine_move: Int64
    spread: Int64
    needs_from: Int64
    """[S + 1] where a service's part of `needs` begins."""
    needs: Int64
    needed_from: Int64
    needed: Int64
    """The services that depend on a service, likewise."""
    row: Int64
    """[S] of a service in `State.here`; -1 for those with one process, which conflict with nothing."""
    balance: Int64
    service_move: Int64
    """[1]."""
    by_size: Int64
    """[P] small processes first, in `SIZES` equal parts."""
    alike: npt.NDArray[np.int32]
    """[A, P] orders in which processes that need about the same are near each other."""
    alike_at: npt.NDArray[np.int32]
    """[A, P] the place of a process in each of these."""


class State(NamedTuple):
    """What moves change; `totals` are (chance, objective, most moves of a service, how many are away)."""

    machine: Int64
    slack: Int64
    """[M, K] safety capacity less what is used, times load weights; what is below 0 costs so much."""
    free: Int64
    """[M, K] capacity less what is used."""
    room: Int64
    """[M, K] capacity less what is used once or twice; never below 0 in an answer."""
    cost: Int64
    """[M] load and balance."""
    excess: Int64
    """[M] what a machine lacks, times the weights of that; nothing in an answer."""
    here: npt.NDArray[np.uint8]
    at_location: npt.NDArray[np.int32]
    locations: Int64
    at_neighbourhood: npt.NDArray[np.int32]
    moved: Int64
    """[S]."""
    so_often: Int64
    """How many services have so many moves."""
    member: npt.NDArray[np.int32]
    members: Int64
    place: Int64
    away: npt.NDArray[np.int32]
    """The processes that are not where they were first, `totals[3]` of them."""
    away_at: Int64
    totals: Int64


def tables_of(problem: Reassignment, seed: int) -> Tables:
    """The problem for the loops."""
    w = problem.weights
    alike = _alike(problem.requirement, seed)
    needs_from, needs = _rows(problem.dependency[:, 0], problem.dependency[:, 1], problem.services)
    needed_from, needed = _rows(problem.dependency[:, 1], problem.dependency[:, 0], problem.services)
    several = np.bincount(problem.service, minlength=problem.services) > 1
    reach, reach_from = _reach(problem)
    requirement = _by_fours(np.vstack([problem.requirement, np.zeros_like(problem.capacity[:1])]))
    transient, load_weight = _by_fours(problem.transient), _by_fours(problem.load_weight)
    return Tables(
        requirement=requirement,
        taking=np.vstack([requirement, requirement * (1 - transient)]),
        weighted=requirement * load_weight,
        reach=reach,
        reach_from=reach_from,
        home=np.append(problem.initial, -1),
        service=_own(problem.service),
        process_move=np.append(problem.process_move_cost * w[0], 0),
        capacity=_by_fours(problem.capacity),
        safety=_by_fours(np.minimum(problem.safety, problem.requirement.sum(axis=0))),
        load_weight=load_weight,
        lack_weight=_lack_weight(requirement, load_weight),
        transient=transient,
        location=_numbered(problem.location),
        neighbourhood=_numbered(problem.neighbourhood),
        machine_move=problem.machine_move_cost * w[2],
        spread=_own(problem.spread),
        needs_from=needs_from,
        needs=needs,
        needed_from=needed_from,
        needed=needed,
        row=np.where(several, np.cumsum(several) - 1, -1).astype(np.int64),
        balance=_own(problem.balance),
        service_move=w[1:2].copy(),
        by_size=np.argsort(problem.requirement @ problem.load_weight, kind="stable"),
        alike=alike,
        alike_at=np.argsort(alike, axis=1, kind="stable").astype(np.int32),
    )


def _reach(problem: Reassignment) -> tuple[npt.NDArray[np.int32], Int64]:
    """Where each process could come to, were everybody else to go who may; nothing where that would be nearly anywhere."""
    few = problem.processes <= _FEW * problem.machines and problem.processes * problem.machines <= _PAIRS
    if not few or not problem.transient.any():
        return np.zeros(0, dtype=np.int32), np.zeros(problem.processes + 1, dtype=np.int64)
    staying = np.zeros_like(problem.capacity)
    np.add.at(staying, problem.initial, problem.requirement * problem.transient)
    room = problem.capacity - staying
    fits = np.array([(need <= room).all(axis=1) for need in problem.requirement])
    fits[np.arange(problem.processes), problem.initial] = False
    begin = np.append(0, np.cumsum(fits.sum(axis=1))).astype(np.int64)
    return np.nonzero(fits)[1].astype(np.int32), begin


def _lack_weight(requirement: Int64, load_weight: Int64) -> Int64:
    """[K] the weights of load, where there are any."""
    needed = requirement.sum(axis=0)
    weighed = (load_weight > 0) & (needed > 0)
    mean = int((needed * load_weight)[weighed].sum()) // max(1, int(weighed.sum()))
    return np.where(load_weight > 0, load_weight, np.maximum(1, mean // np.maximum(1, needed)))


def _alike(requirement: Int64, seed: int) -> npt.NDArray[np.int32]:
    """Some orders along curves that interleave the digits of what is needed, each from another origin (Morton, 1966)."""
    scale = np.log2(requirement + 1.0)
    scale = (scale - scale.min(axis=0)) / np.maximum(1e-9, np.ptp(scale, axis=0))
    chance, resources = np.random.default_rng(seed), requirement.shape[1]
    digits = min(10, 60 // resources)
    orders = []
    for _ in range(ORDERS):
        cell = ((scale / 2 + chance.random(resources) / 2) * (2**digits - 1)).astype(np.int64)
        key = np.zeros(len(requirement), dtype=np.int64)
        for digit in range(digits):
            for rank, r in enumerate(chance.permutation(resources)):
                key |= (cell[:, r] >> digit & 1) << (digit * resources + rank)
        orders.append(np.argsort(key, kind="stable").astype(np.int32))
    return np.array(orders)


def _own(array: Int64) -> Int64:
    """A copy: compiled loops know arrays by their layout, and by whether they may be written to."""
    return np.array(array, dtype=np.int64, order="C")


def _by_fours(array: npt.NDArray[Any]) -> Int64:
    """A copy whose last axis is filled up with zeros to a multiple of four."""
    more = [(0, 0)] * (array.ndim - 1) + [(0, -array.shape[-1] % 4)]
    return np.pad(array.astype(np.int64), more)


def _numbered(labels: Int64) -> Int64:
    """Labels as numbers from 0 without gaps."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _rows(of: Int64, values: Int64, count: int) -> tuple[Int64, Int64]:
    order = np.argsort(of, kind="stable")
    begin = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(of, minlength=count), out=begin[1:])
    return begin, np.append(values[order], 0)  # Never empty, so that its type is known.


def state_of(tables: Tables, machine: Int64, seed: int) -> State:
    """The state of an assignment."""
    machines, resources = tables.capacity.shape
    services, processes = len(tables.spread), len(machine)
    used = np.zeros((machines, resources), dtype=np.int64)
    np.add.at(used, machine, tables.requirement[:-1])
    home = tables.home[:-1]
    away = machine != home
    waiting = np.zeros_like(used)
    np.add.at(waiting, home[away], tables.requirement[:-1][away])
    free: Any = tables.capacity - used
    slack = (tables.safety - used) * tables.load_weight
    cost = np.maximum(0, -slack).sum(axis=1)
    for a, b, target, weight in tables.balance.tolist():
        cost += weight * np.maximum(0, target * free[:, a] - free[:, b])
    here = np.zeros((max(1, int(tables.row.max(initial=-1)) + 1), machines), dtype=np.uint8)
    several = tables.row[tables.service] >= 0
    here[tables.row[tables.service[several]], machine[several]] = 1
    at_location = _counts(
        tables.service, tables.location[machine], services, int(tables.location.max()) + 1
    )
    at_neighbourhood = _counts(
        tables.service, tables.neighbourhood[machine], services, int(tables.neighbourhood.max()) + 1
    )
    moved = np.bincount(tables.service[away], minlength=services).astype(np.int64)
    largest = int(np.bincount(tables.service, minlength=1).max(initial=0))
    moving = int(tables.process_move[:-1][away].sum() + tables.machine_move[home, machine].sum())
    most = int(moved.max(initial=0))
    objective = int(cost.sum()) + moving + int(tables.service_move[0]) * most
    members = np.bincount(machine, minlength=machines).astype(np.int64)
    width = min(
        processes, max(_ROOM_IN_LISTS * processes // machines, 2 * int(members.max(initial=0))) + 16
    )
    member = np.zeros((machines, max(1, width)), dtype=np.int32)
    order = np.argsort(machine, kind="stable")
    place = np.empty(processes, dtype=np.int64)
    place[order] = np.arange(processes) - np.repeat(np.cumsum(members) - members, members)
    member[machine, place] = np.arange(processes)
    listed = np.zeros(processes, dtype=np.int32)
    listed[: away.sum()] = np.flatnonzero(away)
    away_at = np.zeros(processes, dtype=np.int64)
    away_at[listed[: away.sum()]] = np.arange(away.sum())
    room = free - waiting * tables.transient
    return State(
        machine=machine.copy(),
        slack=slack,
        free=free,
        room=room,
        cost=cost,
        excess=(np.maximum(0, -room) * tables.lack_weight).sum(axis=1),
        here=here,
        at_location=at_location,
        locations=(at_location > 0).sum(axis=1).astype(np.int64),
        at_neighbourhood=at_neighbourhood,
        moved=moved,
        so_often=np.bincount(moved, minlength=largest + 2).astype(np.int64),
        member=member,
        members=members,
        place=place,
        away=listed,
        away_at=away_at,
        totals=np.array(
            [seed * 2654435761 + 88172645463325252, objective, most, int(away.sum())], dtype=np.int64
        ),
    )


def _counts(rows: Int64, columns: Int64, height: int, width: int) -> npt.NDArray[np.int32]:
    counted = np.bincount(rows * width + columns, minlength=height * width)
    return counted.reshape(height, width).astype(np.int32)
