"""What a scenario changes: pools, hosts, rules, prices and machines to come, as plain values.

Changes are edits of a `World`; `build` makes columns of one. Edits of different things can be made in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from catalog.pools import Hypervisor
from tierwise.planner.document import Overcommit, Rule, SizedBy
from tierwise.planner.selecting import MachineSelector, PoolLike, PoolSelector


@dataclass(frozen=True)
class PoolState:
    """A pool, with all that the document leaves to the estate."""

    like: PoolLike
    new: bool
    manager: str
    losses: int
    overcommit: Overcommit
    reserved_memory_mib: int
    threads_per_core: int
    disk_gib: int | None
    """What its shared datastores hold; None: nobody says, and disk is not looked at."""
    least_hosts: int
    opened_on: date | None = None
    """When it was opened for this what-if; None: at the start of what is planned."""

    @property
    def hypervisor(self) -> Hypervisor:
        """What runs it."""
        return self.like.hypervisor


@dataclass(frozen=True)
class Block:
    """Equal hosts of a pool."""

    id: str
    pool: str
    model: str
    sockets: int
    cores: int
    """Of one host, all sockets."""
    memory_mib: int
    disk_gib: int
    """What one host has of its own; 0 where disk is the pool's."""
    existing: int
    most: int
    raw_storage_gib: int = 0
    """What licences count of one host, where they count raw storage."""
    paid: bool = False
    """Whether existing hosts are bought for this what-if, and paid whatever becomes of them."""
    orders: tuple[tuple[date, int], ...] = ()
    """When how many of those that are paid were bought; empty: all at the start of what is planned."""
    type: str = ""
    """What the document calls hosts that could be bought; empty for those that are there."""
    today: int = 0
    """How many of them there are today."""
    cores_are_threads: bool = False
    """Whether nobody knows their cores, so that no licence can count these."""


@dataclass(frozen=True)
class Closing:
    """Why nothing may run on a pool."""

    why: str
    """In words for the planner."""
    remedy: str


@dataclass(frozen=True)
class Factor:
    """Costs of some pools and terms, changed by a percentage."""

    percent: Decimal
    pools: PoolSelector | None = None
    term: str = ""


@dataclass(frozen=True)
class FigureEdit:
    """One figure of the economics document, by its path, scaled or set."""

    path: tuple[str, ...]
    percent: Decimal | None = None
    value: str | None = None


@dataclass(frozen=True)
class LicenceEdit:
    """What becomes of a product or one of its alternatives."""

    product: str
    alternative: str = ""
    percent: Decimal | None = None
    withdrawn: str = ""
    """Why it can no longer be had; empty: it can."""
    renewal: date | None = None
    """The day on which what is owned ends instead."""
    settings: Mapping[str, int] = field(default_factory=dict)
    """Fields of alternatives -> what they are instead: minimums, pack sizes."""


@dataclass(frozen=True)
class Growth:
    """More machines like those that are there."""

    machines: MachineSelector
    percent: Decimal
    seed: int


@dataclass(frozen=True)
class Stream:
    """New machines of a class, so many each month."""

    id: str
    workload_class: str
    size: str
    per_month: int
    first_month: int
    """1 is the first month of the horizon."""
    last_month: int | None
    software: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fixing:
    """Machines that stay where they are."""

    machines: MachineSelector
    why: str
    remedy: str


@dataclass(frozen=True)
class World:
    """Everything that a plan depends on beside the machines of the estate."""

    pools: Mapping[str, PoolState]
    blocks: tuple[Block, ...]
    rules: Mapping[str, Rule]
    sized_by: SizedBy
    closed: Mapping[str, Closing] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    """Pool -> hosts of it that are lost."""
    growth: tuple[Growth, ...] = ()
    streams: tuple[Stream, ...] = ()
    fixed: tuple[Fixing, ...] = ()
    factors: tuple[Factor, ...] = ()
    figures: tuple[FigureEdit, ...] = ()
    licences: tuple[LicenceEdit, ...] = ()
    rates: Mapping[str, Fraction] = field(default_factory=dict)
    """Tier -> what its rates are multiplied by."""
    most_moves: int | None = None
    reserve: bool = True
    """Whether plans must keep room for the loss of hosts; otherwise it is only told where they do not."""

    def closing(self, names: frozenset[str], why: str, remedy: str) -> "World":
        """The world with pools closed."""
        more = {name: Closing(why, remedy) for name in sorted(names)}
        return replace(self, closed={**more, **self.closed})
