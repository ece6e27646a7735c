"""A pool as a machine reassignment (ROADEF/EURO 2012): its hosts are the machines, its machines the processes.

| in the model | here |
| --- | --- |
| resources | vCPU with overcommit, memory, local disk; one more for each set of hosts that some machines may only be on |
| safety capacity | what hosts should hold at most: the share that may fail is left free, and some head-room |
| services, conflict | machines that shall not share a host; every other machine is a service of its own |
| spread | in as many sites as such a group is today |
| transient | memory and local disk, at both ends of a move |
| process move cost | what is copied, and a little for each move |
"""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.rebalance.reassignment import Reassignment
from tierwise.planner.rebalancing.parting import Parted
from tierwise.planner.rebalancing.rooms import RESOURCES, TRANSIENT, Room
from tierwise.planner.rebalancing.wishes import Wishes

SCALE = 10**9
"""What one mean host of a resource above the limit costs, so that a percent of each resource weighs the same."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What is counted, in one unit."""

    load: Int64
    """[3] of a unit above the limit."""
    copy: int
    """Of a MiB that is copied."""


def weights(room: Room, wishes: Wishes) -> Weights:
    """Each resource by the mean host, copies by memory."""
    means = np.maximum(1, room.capacity.mean(axis=0))
    load = np.maximum(1, np.rint(SCALE / means)).astype(np.int64)
    load[2] = min(load[2], load[1])  # A MiB of disk is never dearer than one of memory.
    return Weights(load, int(load[1]) * wishes.copy_percent // 100)


def reassignment(room: Room, parted: Parted, wishes: Wishes) -> Reassignment:
    """The model, from the state in which machines are parted.

    A host that holds more than it has today has as much capacity as it holds: it may be left, and not be come to.
    """
    m = len(room.hosts)
    weight = weights(room, wishes)
    moved = np.flatnonzero(parted.at != room.at)
    capacity = np.maximum(room.capacity, room.used(room.at))
    # What was parted is still held where it was.
    np.subtract.at(capacity, room.at[moved], np.where(TRANSIENT, room.need[moved], 0))
    fences, fenced = _fences(parted.may)
    cost = room.costs_mib
    cost[moved] = 0  # They move in any case.
    sites = sorted({one.site for one in room.hosts})
    location = np.array([sites.index(one.site) for one in room.hosts], dtype=np.int64)
    service, spread = _services(parted, location)
    extra = np.zeros(fences.shape[1], dtype=np.int64)
    return Reassignment(
        transient=np.concatenate([TRANSIENT, extra.astype(np.bool_)]),
        load_weight=np.concatenate([weight.load, extra]),
        neighbourhood=np.zeros(m, dtype=np.int64),
        location=location,
        capacity=np.hstack([capacity, fences]),
        safety=np.hstack([np.minimum(room.limit, capacity), fences]),
        machine_move_cost=np.zeros((m, m), dtype=np.int64),
        spread=spread,
        dependency=np.zeros((0, 2), dtype=np.int64),
        service=service,
        requirement=np.hstack([room.need, fenced]),
        process_move_cost=cost,
        balance=np.zeros((0, 4), dtype=np.int64),
        weights=np.array([weight.copy, 0, 0], dtype=np.int64),
        initial=parted.at.copy(),
    )


def _fences(may: Bool) -> tuple[Int64, Int64]:
    """[M, F] and [P, F]: for each set of hosts that some machines may only be on, room for them there and nowhere else."""
    sets, of = np.unique(may, axis=0, return_inverse=True)
    of = of.reshape(-1)
    kept = [f for f in range(len(sets)) if not sets[f].all()]
    fenced = (of[:, None] == np.array(kept, dtype=np.int64)).astype(np.int64)
    return (sets[kept].T * fenced.sum(axis=0)).astype(np.int64), fenced


def _services(parted: Parted, location: Int64) -> tuple[Int64, Int64]:
    """Groups first, then every other machine by itself; who is stuck shares a host, and so is by itself as well."""
    count = len(parted.names)
    service = parted.group.copy()
    service[list(parted.stuck)] = -1
    alone = np.flatnonzero(service < 0)
    service[alone] = count + np.arange(len(alone))
    spread = np.ones(count + len(alone), dtype=np.int64)
    for g in range(count):
        spread[g] = max(1, len(set(location[parted.at[service == g]].tolist())))
    return service, spread


assert len(RESOURCES) == len(TRANSIENT)
