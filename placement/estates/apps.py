"""Made-up applications: of one to forty machines, in components of one flavor each, for tenants."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64

RESOURCES = ("vcpu", "memory_mib", "disk_gib")
MOST_MACHINES = 40
_VCPU = np.array([1, 2, 4, 8, 16, 32, 64], dtype=np.int64)
"""Sizes as public clouds sell them."""
_OFTEN = np.array([20, 30, 24, 14, 7, 4, 1], dtype=np.int64)
MEAN_VCPU = 5
"""Roughly, of these sizes."""
_GIB_PER_VCPU = np.array([2, 4, 8], dtype=np.int64)
_DISK_GIB = np.array([32, 64, 128, 256, 512], dtype=np.int64)
_FLOORS = np.array([20, 55], dtype=np.int64)
"""Up to so many percent of all vCPU are those of applications that need tier 1, and at least tier 2."""
_AT_HOME = 20
"""Percent of small applications, whose data must stay at the first site."""
_WINDOWS = 30
_TOGETHER = 12
"""Percent of applications that stay at one site as a whole."""
_ROLES = ("web", "app", "db")


@dataclass(frozen=True, eq=False)
class Apps:
    """A applications with C components with R machines.

    Machines of a component, and components of an application, stand one after the other.
    """

    app_of: Int64
    """[C]."""
    role: Int64
    """[C] 0 web, 1 application, 2 database."""
    count: Int64
    """[C] machines."""
    demand: Int64
    """[C, K] of one machine."""
    floor: Int64
    """[A] the worst tier that is allowed."""
    home: Int64
    """[A] 1 where the first site alone is allowed."""
    windows: Int64
    """[A] 1 where machines need a Windows licence."""
    together: Int64
    """[A] 1 where all machines must be at one site."""
    tenant: Int64
    """[A]."""

    @property
    def component_of(self) -> Int64:
        """[R]."""
        return np.repeat(np.arange(len(self.count), dtype=np.int64), self.count)

    def component_names(self) -> tuple[str, ...]:
        """[C] ``app-0007-web``."""
        pairs = zip(self.app_of.tolist(), self.role.tolist(), strict=True)
        return tuple(f"{self.app_name(a)}-{_ROLES[r]}" for a, r in pairs)

    def app_name(self, app: int) -> str:
        """``app-0007``."""
        return f"app-{app + 1:04}"

    def members(self, app: int) -> slice:
        """The components of an application."""
        first, end = np.searchsorted(self.app_of, [app, app + 1]).tolist()
        return slice(first, end)


def apps(chance: np.random.Generator, machines: int, largest_vcpu: int) -> Apps:
    """Applications with so many machines in all, none with more than `largest_vcpu`."""
    sizes = _sizes(chance, machines)
    a = len(sizes)
    database = np.where(sizes < 4, sizes >= 2, np.minimum(3, sizes // 4)).astype(np.int64)
    web = (sizes + 1) // 2
    counts = np.column_stack([web, sizes - web - database, database])
    there = np.argwhere(counts > 0)
    count, demand = counts[counts > 0], _demand(chance, there[:, 1], largest_vcpu)
    return Apps(
        app_of=there[:, 0],
        role=there[:, 1],
        count=count,
        demand=demand,
        floor=_floors(chance, np.bincount(there[:, 0], demand[:, 0] * count).astype(np.int64)),
        home=((chance.integers(0, 100, a) < _AT_HOME) & (sizes <= 8)).astype(np.int64),
        windows=(chance.integers(0, 100, a) < _WINDOWS).astype(np.int64),
        together=(chance.integers(0, 100, a) < _TOGETHER).astype(np.int64),
        tenant=chance.integers(0, max(2, a // 25), a),
    )


def _sizes(chance: np.random.Generator, machines: int) -> Int64:
    """[A] many small ones and few large ones; the last is as large as what is left."""
    drawn = np.ceil(chance.lognormal(1.5, 0.9, machines)).clip(1, MOST_MACHINES).astype(np.int64)
    end = int(np.searchsorted(np.cumsum(drawn), machines))
    sizes = drawn[: end + 1].copy()
    sizes[-1] -= int(sizes.sum()) - machines
    return sizes


def _floors(chance: np.random.Generator, vcpu: Int64) -> Int64:
    """[A] drawn so that no tier is asked for more than it is likely to have, also where applications are few."""
    order = chance.permutation(len(vcpu))
    percent = np.empty_like(vcpu)
    percent[order] = np.cumsum(vcpu[order]) * 100 // vcpu.sum()
    return np.searchsorted(_FLOORS, percent).astype(np.int64)


def _demand(chance: np.random.Generator, role: Int64, largest_vcpu: int) -> Int64:
    """[C, K] databases have the most memory, web servers the least."""
    fitting = largest_vcpu >= _VCPU
    fitting[0] = True
    vcpu = chance.choice(_VCPU[fitting], len(role), p=_OFTEN[fitting] / _OFTEN[fitting].sum())
    kind = np.minimum(role, chance.integers(0, 3, len(role)))
    kind = np.where(
        vcpu * 2 > largest_vcpu, np.minimum(kind, 1), kind
    )  # Else no host has the memory for it.
    memory_mib = vcpu * _GIB_PER_VCPU[kind] * 1024
    disk_gib = chance.choice(_DISK_GIB, len(role)) * (1 + (role == 2))
    return np.column_stack([vcpu, memory_mib, disk_gib]).astype(np.int64)
