"""What pools hold: columns of hosts and of pools, with what is promised of them and what a failure takes away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

import numpy as np

from placement.arrays import Int64
from tierwise.planner.grouping import RESOURCES
from tierwise.planner.result import Room
from tierwise.planner.world import Block, PoolState, World

DISK = RESOURCES.index("disk_gib")


@dataclass(frozen=True, eq=False)
class Rooms:
    """Hosts and pools of a world as columns, in the order of its blocks and pools."""

    pools: tuple[PoolState, ...]
    blocks: tuple[Block, ...]
    pool_of: Int64
    existing: Int64
    most: Int64
    capacity: Int64
    """[B, 3]"""
    largest: Int64
    """[B, 3]"""
    shared: Int64
    """[P, 3]"""
    losses: Int64
    """[P] as the document has them, whether or not plans must keep them."""
    boundless: tuple[str, ...]
    """Pools of whose disk nobody knows the size."""

    @property
    def names(self) -> tuple[str, ...]:
        """The pools' names."""
        return tuple(one.like.name for one in self.pools)


def rooms(world: World, all_disk_gib: int) -> Rooms:
    """The columns. A pool of whose disk nobody knows the size has room for `all_disk_gib`, which is all there is."""
    names = list(world.pools)
    pools = tuple(world.pools.values())
    blocks = tuple(_present(world))
    room = [host_room(one, world.pools[one.pool]) for one in blocks]
    shared = np.zeros((len(pools), len(RESOURCES)), dtype=np.int64)
    boundless = []
    for p, pool in enumerate(pools):
        of_hosts = any(one.disk_gib for one in blocks if one.pool == names[p])
        if pool.disk_gib is not None:
            shared[p, DISK] = _floor(pool.disk_gib * pool.overcommit.disk)
        elif not of_hosts:
            shared[p, DISK] = all_disk_gib
            boundless.append(names[p])
    capacity = np.array([one for one, _ in room], dtype=np.int64).reshape(-1, len(RESOURCES))
    largest = np.array([one for _, one in room], dtype=np.int64).reshape(-1, len(RESOURCES))
    pool_of = np.array([names.index(one.pool) for one in blocks], dtype=np.int64)
    is_shared = shared[pool_of] > 0 if blocks else np.zeros_like(capacity, dtype=np.bool_)
    return Rooms(
        pools=pools,
        blocks=blocks,
        pool_of=pool_of,
        existing=np.array([one.existing for one in blocks], dtype=np.int64),
        most=np.array([one.most for one in blocks], dtype=np.int64),
        capacity=np.where(is_shared, 0, capacity),
        largest=np.where(is_shared, shared[pool_of], largest) if blocks else largest,
        shared=shared,
        losses=np.array([one.losses for one in pools], dtype=np.int64),
        boundless=tuple(boundless),
    )


def _present(world: World) -> list[Block]:
    """Blocks without those of today's hosts that are lost, largest first, and without those of closed pools."""
    left = dict(world.lost)
    found: dict[str, Block] = {}
    for one in sorted(world.blocks, key=lambda b: (-b.memory_mib, -b.cores, b.id)):
        lost = 0 if one.paid else min(left.get(one.pool, 0), one.existing)
        left[one.pool] = left.get(one.pool, 0) - lost
        existing, most = one.existing - lost, one.most - lost
        if one.pool in world.closed:
            existing = most = 0
        found[one.id] = replace(one, existing=existing, most=most)
    return [found[one.id] for one in world.blocks]


def host_room(block: Block, pool: PoolState) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What one host gives, and the most that one machine may have of it."""
    memory_mib = max(0, block.memory_mib - pool.reserved_memory_mib)
    gives = (
        _floor(block.cores * pool.overcommit.vcpu),
        _floor(memory_mib * pool.overcommit.memory),
        _floor(block.disk_gib * pool.overcommit.disk),
    )
    most = (min(gives[0], block.cores * pool.threads_per_core), min(gives[1], memory_mib), gives[2])
    return gives, most


def _floor(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_FLOOR))


def reserves(
    room: Rooms, hosts: Int64, counts: Int64, demand: Int64, running: Sequence[bool]
) -> tuple[Room, ...]:
    """The room of each pool that has machines, for each resource; in plain sums, to check solvers by.

    `hosts` is by block, `counts` [G, P]. The largest hosts are lost, by each resource for itself.
    """
    load = counts.T @ demand
    restarting = counts.T @ (demand * np.asarray(running, dtype=np.int64)[:, None])
    found = []
    for p, pool in enumerate(room.pools):
        if not counts[:, p].any():
            continue
        inside = [b for b in range(len(room.blocks)) if room.pool_of[b] == p]
        for k, name in enumerate(RESOURCES):
            sizes = sorted(
                (int(room.capacity[b, k]) for b in inside for _ in range(int(hosts[b]))), reverse=True
            )
            shared = int(room.shared[p, k])
            found.append(
                Room(
                    pool=pool.like.name,
                    resource_class=name,
                    losses=int(room.losses[p]),
                    capacity=sum(sizes) + shared,
                    without_losses=sum(sizes[int(room.losses[p]) :]) + shared,
                    load=int(load[p, k]),
                    restarting=int(restarting[p, k]),
                )
            )
    return tuple(found)
