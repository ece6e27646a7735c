"""The planning problem as columns: groups of equal machines, blocks of equal hosts, products to license.

G groups, P pools, B blocks of hosts, K resource classes. All amounts of money are micro-units of one currency
over the problem's whole horizon, so that what is bought once and what is paid each month add up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from catalog.frozen import FrozenDict
from placement.arrays import Bool, Int64
from placement.licensing.products import Alternative
from placement.planning.checking import products_and_hosts
from placement.problem import InvalidProblem
from policies.decisions import Rejection


def _nothing() -> Mapping[str, Int64]:
    return FrozenDict()


@dataclass(frozen=True, eq=False)
class Groups:
    """Machines that are alike in all that planning looks at: size, rules, software, application, and where they run."""

    ids: tuple[str, ...]
    count: Int64
    """[G] > 0."""
    demand: Int64
    """[G, K] of one machine."""
    current: Int64
    """[G] the pool where all of them run today; -1 for machines that are yet to come."""
    allowed: Bool
    """[G, P]"""
    rejections: Mapping[tuple[int, int], tuple[Rejection, ...]] = field(default_factory=FrozenDict)
    """(group, pool) -> why it is not allowed; at least one reason for every pair that is not."""
    costs: Mapping[str, Int64] = field(default_factory=_nothing)
    """Term -> [G, P] what one machine costs there."""
    move_cost: Int64 | None = None
    """[G, P] what moving one machine there from where it runs costs; 0 where it runs. None: nothing."""
    restart: Bool | None = None
    """[G] machines that must restart after a host failure; None: all."""

    def alone_against(self, g: int, p: int) -> str:
        """The rule that alone keeps a group from a pool, and may be lifted; empty: there is no such one.

        A rejection of the dimension ``licence`` cannot be lifted: what a licence would cost that is not sold, nobody knows.
        """
        against = {one.rule_id: one.dimension for one in self.rejections.get((g, p), ())}
        rule, dimension = next(iter(against.items()), ("", ""))
        return rule if len(against) == 1 and dimension != "licence" else ""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Equal hosts of a pool: how many there are, how many more could be bought, what one gives and costs."""

    ids: tuple[str, ...]
    pool_of: Int64
    """[B]"""
    existing: Int64
    """[B] hosts that are there today, and may be given up."""
    most: Int64
    """[B] >= existing: what exceeds it can be bought."""
    capacity: Int64
    """[B, K] what one host gives, overcommit and its own reserve applied; 0 for what the pool shares."""
    largest: Int64
    """[B, K] the most that one machine may have."""
    kept_costs: Mapping[str, Int64] = field(default_factory=_nothing)
    """Term -> [B] what one host costs that is kept or bought: power, labour, space, support."""
    bought_costs: Mapping[str, Int64] = field(default_factory=_nothing)
    """Term -> [B] what one host costs on top that is bought."""
    sockets: Int64 | None = None
    """[B] of one host; needed where a product counts it, as the next two."""
    cores_per_socket: Int64 | None = None
    families: tuple[str, ...] = ()
    """[B] what core factors go by; () for none."""
    amounts: Mapping[str, Int64] = field(default_factory=_nothing)
    """Name -> [B] what else of one host licences count."""
    least: Int64 | None = None
    """[B] hosts that are kept or bought whatever becomes of them, at most `most`; None: none."""


@dataclass(frozen=True, eq=False)
class Pools:
    """Where machines can be: a cluster of one hypervisor at one site."""

    ids: tuple[str, ...]
    tier_of: tuple[str, ...]
    losses: Int64
    """[P] how many hosts may fail at once: capacity without that many of the largest hosts must hold what restarts."""
    shared: Int64
    """[P, K] what the pool gives beside its hosts: disk of shared datastores; 0 for what hosts give."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=FrozenDict)
    """Label -> value of each pool: site, country, hypervisor."""
    open_costs: Mapping[str, Int64] = field(default_factory=_nothing)
    """Term -> [P] what it costs that the pool is there at all: a manager, an array; paid if it has any host."""
    least_hosts: Int64 | None = None
    """[P] hosts that a pool has at least, if it has any; None: one."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some hosts of a pool that rules hold a product's machines to, so that only these must be licensed."""

    pool: int
    blocks: tuple[int, ...]
    """Blocks of the pool; the part takes some of their hosts, how many is decided."""


@dataclass(frozen=True, eq=False)
class PlannedProduct:
    """A product to license: of guests, or of hypervisors."""

    name: str
    groups: Bool
    """[G] whose machines need it."""
    alternatives: tuple[Alternative, ...]
    """Legal ways to count it (`placement.licensing.products`); packs cost what they cost over the horizon, also in parts of
    micro-units (`ExactAlternative`): what an order or a scope comes to is rounded once, half up."""
    pools: Bool | None = None
    """[P] where it must be licensed; None: wherever its machines are."""
    reach: str = "pool"
    """How far its machines reach: ``pool``, or a label of pools (``manager``), or ``estate``."""
    parts: bool = False
    """Whether the vendor accepts a rule that holds machines on some hosts of a pool, so that the number of hosts
    to license is a decision too."""
    whole_pool: bool = False
    """Whether all hosts of a pool must be licensed alike if any machine is there (hypervisors)."""
    order: str = ""
    """Products with the same are one order at several prices: what alternatives of the same name ask at least is asked
    once over all of them, and what the order rounds is rounded once (`Alternative.shared`). Empty: an order of its own."""


@dataclass(frozen=True, eq=False)
class PlanningProblem:
    """All that is asked. Shapes and ranges are checked when made; arrays become read-only.

    Raises InvalidProblem with the path of what is wrong.
    """

    resource_classes: tuple[str, ...]
    groups: Groups
    pools: Pools
    blocks: Blocks
    products: tuple[PlannedProduct, ...] = ()
    sunk: Mapping[str, int] = field(default_factory=FrozenDict)
    """Term -> what is paid whatever is decided: leases, subscriptions until their renewal. Added to every plan."""
    most_moves: int | None = None
    """The most machines that may be elsewhere than today; None: any number."""
    currency: str = "EUR"
    horizon_hours: int = 8760

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """The products of each order."""
        found: dict[tuple[str, int], list[int]] = {}
        for n, product in enumerate(self.products):
            found.setdefault((product.order, -1 if product.order else n), []).append(n)
        return tuple(map(tuple, found.values()))

    def __post_init__(self) -> None:
        """Refuse wrong shapes and values."""
        for problem in self._problems():
            raise InvalidProblem(problem)

    def _problems(self) -> Iterator[str]:
        for name, array, shape, least, most in self._arrays():
            yield from _shape(name, array, shape, least=least, most=most)
        groups, pools, blocks = self.groups, self.pools, self.blocks
        g, p = len(groups.ids), len(pools.ids)
        if groups.allowed.shape != (g, p):
            yield f"groups.allowed: has the shape {groups.allowed.shape}, not {(g, p)}"
        for label, values in {"tier_of": pools.tier_of, **pools.labels}.items():
            if len(values) != p:
                yield f"pools.{label}: {len(values)} values for {p} pools"
        if bool((blocks.most < blocks.existing).any()):
            yield "blocks.most: must be at least what exists"
        for n, product in enumerate(self.products):
            if product.groups.shape != (g,):
                yield f"products[{n}].groups: has the shape {product.groups.shape}, not {(g,)}"
            if product.reach not in {"pool", "estate", *pools.labels}:
                yield f"products[{n}].reach: there is no label '{product.reach}' of pools"
        yield from products_and_hosts(self)
        if self.most_moves is not None and self.most_moves < 0:
            yield f"most_moves: must be at least 0 (found {self.most_moves})"

    def _arrays(self) -> Iterator[tuple[str, Int64, tuple[int, ...], int, int | None]]:
        """Every array of amounts with its path, shape and range."""
        groups, pools, blocks = self.groups, self.pools, self.blocks
        g, p, b = len(groups.ids), len(pools.ids), len(blocks.ids)
        k = len(self.resource_classes)
        yield "groups.count", groups.count, (g,), 1, None
        yield "groups.demand", groups.demand, (g, k), 0, None
        yield "groups.current", groups.current, (g,), -1, p - 1
        for term, array in groups.costs.items():
            yield f"groups.costs.{term}", array, (g, p), 0, None
        if groups.move_cost is not None:
            yield "groups.move_cost", groups.move_cost, (g, p), 0, None
        yield "pools.losses", pools.losses, (p,), 0, None
        yield "pools.shared", pools.shared, (p, k), 0, None
        for term, array in pools.open_costs.items():
            yield f"pools.open_costs.{term}", array, (p,), 0, None
        yield "blocks.pool_of", blocks.pool_of, (b,), 0, p - 1
        yield "blocks.existing", blocks.existing, (b,), 0, None
        yield "blocks.most", blocks.most, (b,), 0, None
        yield "blocks.capacity", blocks.capacity, (b, k), 0, None
        yield "blocks.largest", blocks.largest, (b, k), 0, None
        if blocks.least is not None:
            yield "blocks.least", blocks.least, (b,), 0, None
        for name, costs in (("kept_costs", blocks.kept_costs), ("bought_costs", blocks.bought_costs)):
            for term, array in costs.items():
                yield f"blocks.{name}.{term}", array, (b,), 0, None


def _shape(
    name: str, array: Int64, shape: tuple[int, ...], *, least: int = 0, most: int | None = None
) -> Iterator[str]:
    if not isinstance(array, np.ndarray) or array.dtype != np.int64:
        yield f"{name}: must be an int64 array"
    elif array.shape != shape:
        yield f"{name}: has the shape {array.shape}, not {shape}"
    elif array.size and (int(array.min()) < least or (most is not None and int(array.max()) > most)):
        yield f"{name}: must be between {least} and {'any number' if most is None else most}"
    else:
        array.flags.writeable = False
