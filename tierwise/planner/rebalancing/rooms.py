"""A pool of an estate in columns: what its hosts have, what its machines take, and where each may be."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from catalog.estates.model import Estate, EstateHost, EstateMachine, PowerState
from placement.arrays import Bool, Int64
from tierwise.planner.rebalancing.wishes import Wishes

RESOURCES = ("vcpu", "memory_mib", "local_disk_mib")
"""Of hosts; disk that several hosts reach is not of one of them, and does not move."""
TRANSIENT = np.array([False, True, True])
"""What a machine takes at both ends while it moves: its vCPU run at one end only."""
EACH_MIB = 256
"""What a move counts beside what it copies, in MiB copied: of equal ways the one with fewer moves is taken."""
EVEN_POINTS = 2
"""Where a pool as a whole holds more than its hosts should, each may be so many points fuller than the pool."""
_TWO = 2


@dataclass(frozen=True, eq=False)
class Room:
    """M hosts and P machines of one pool that can be rebalanced."""

    pool: str
    hosts: tuple[EstateHost, ...]
    machines: tuple[EstateMachine, ...]
    capacity: Int64
    """[M, 3] what hosts promise, overcommit applied."""
    limit: Int64
    """[M, 3] what they should hold at most: less the share of hosts that may fail, less what stays free."""
    most_percent: tuple[Fraction, Fraction]
    """Of vCPU and memory: how full the pool should be at most, as hosts may fail; it may be fuller."""
    need: Int64
    """[P, 3]."""
    at: Int64
    """[P] the host of each today."""
    losses: int
    """How many hosts may fail."""
    may: Bool
    """[P, M] where its disks are reached and nothing is in maintenance; its own host always."""

    @property
    def copies_mib(self) -> Int64:
        """[P] what is copied when it moves: its memory if it runs, and its disks where only its host reaches them."""
        found: Int64 = self.need[:, 1] + self.need[:, 2]
        return found

    @property
    def costs_mib(self) -> Int64:
        """[P] what it counts that it moves, in MiB copied."""
        found: Int64 = self.copies_mib + EACH_MIB
        return found

    def used(self, at: Int64) -> Int64:
        """[M, 3] what is taken where machines are `at`."""
        found = np.zeros_like(self.capacity)
        np.add.at(found, at, self.need)
        return found


def room(estate: Estate, pool: str, wishes: Wishes) -> Room | str:
    """The pool's columns, or why nothing can be moved in it."""
    hosts = estate.hosts_of(pool)
    known = [one for one in hosts if one.cores and one.memory_mib]
    if not hosts:
        return "the estate names no hosts of it"
    if len(known) < len(hosts):
        names = ", ".join(one.name for one in hosts if one not in known)
        return f"cores or memory of {names} are not known"
    if len(hosts) < _TWO:
        return "it has one host"
    index = {one.name: m for m, one in enumerate(hosts)}
    stores = _Stores(estate, index)
    counted = [one for one in estate.machines if one.host in index]
    if not counted:
        return "no machine is on its hosts, as far as the estate says"
    capacity = np.array([_capacity(one, stores, wishes) for one in hosts], dtype=np.int64)
    need = np.array([_need(one, stores) for one in counted], dtype=np.int64)
    at = np.array([index[one.host] for one in counted], dtype=np.int64)
    resting = np.array([one.in_maintenance for one in hosts])
    may = np.array([stores.reach(one) for one in counted]) & ~resting
    may[np.arange(len(counted)), at] = True
    losses = _losses(estate, pool, wishes)
    used = np.zeros_like(capacity)
    np.add.at(used, at, need)
    parts = [_part(capacity[~resting, k], int(used[:, k].sum()), losses, wishes) for k in range(_TWO)]
    limit = np.zeros_like(capacity)
    for k, part in enumerate((*(one for one, _ in parts), Fraction(100 - wishes.free_percent, 100))):
        limit[:, k] = [int(one * part) for one in capacity[:, k].tolist()]
    limit[resting] = 0  # What is in maintenance should hold nothing.
    most = (100 * parts[0][1], 100 * parts[1][1])
    return Room(pool, hosts, tuple(counted), capacity, limit, most, need, at, losses, may)


def _losses(estate: Estate, pool: str, wishes: Wishes) -> int:
    if wishes.losses is not None:
        return wishes.losses
    said = next((one.ha_host_failures for one in estate.pools if one.name == pool), None)
    return 1 if said is None else said


def _capacity(host: EstateHost, stores: "_Stores", wishes: Wishes) -> tuple[int, int, int]:
    return int(host.cores * wishes.vcpu_per_core), host.memory_mib, stores.local_mib[host.name]


def _need(machine: EstateMachine, stores: "_Stores") -> tuple[int, int, int]:
    runs = machine.power is not PowerState.OFF
    local = (machine.in_use_mib or machine.provisioned_mib) if stores.is_local(machine) else 0
    return machine.vcpus if runs else 0, machine.memory_mib if runs else 0, local


def _part(capacity: Int64, used: int, losses: int, wishes: Wishes) -> tuple[Fraction, Fraction]:
    """How full each host should be at most, and how full if the pool were not too full as a whole.

    A host's share of what is left when the largest have failed, less what stays free. Of a pool that holds more, the
    same excess could be anywhere: it should be spread.
    """
    whole = int(capacity.sum())
    if not whole:
        return Fraction(0), Fraction(0)
    left = int(np.sort(capacity)[: max(0, len(capacity) - losses)].sum())
    strict = Fraction(left, whole) * Fraction(100 - wishes.free_percent, 100)
    full = Fraction(used, whole)
    part = max(strict, min(Fraction(1), full + Fraction(EVEN_POINTS, 100))) if full > strict else strict
    if wishes.within_points is not None:
        part = min(part, full + Fraction(wishes.within_points, 100))
    return part, strict


class _Stores:
    """Which hosts of a pool reach which datastores."""

    def __init__(self, estate: Estate, index: Mapping[str, int]) -> None:
        self.hosts = len(index)
        self.local_mib: Counter[str] = Counter()
        self.shared: dict[str, Bool] = {}
        self.local: set[str] = set()
        here = {one.name for one in estate.hosts}
        for store in estate.datastores:
            known = [name for name in store.hosts if name in here]
            if len(known) == 1 == len(store.hosts):
                self.local.add(store.name)
                self.local_mib[known[0]] += store.capacity_mib
            elif known:
                reach = np.zeros(self.hosts, dtype=np.bool_)
                reach[[index[name] for name in known if name in index]] = True
                self.shared[store.name] = reach

    def is_local(self, machine: EstateMachine) -> bool:
        """Whether any of its disks is where only one host reaches it; where the estate does not say, none is."""
        return any(name in self.local for name in machine.datastores)

    def reach(self, machine: EstateMachine) -> Bool:
        """[M] the hosts that reach all of its shared disks."""
        found = np.ones(self.hosts, dtype=np.bool_)
        for name in machine.datastores:
            if name in self.shared:
                found &= self.shared[name]
        return found
