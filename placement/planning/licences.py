"""Licences as columns and rows, where hosts are columns too.

A scope is a product in the pools of one reach; at most one alternative is chosen in each. Each alternative has columns
for the hosts that it counts, and these must have room for the machines that it licenses: so the linear program cannot
license a part of the hosts under one alternative and a part of the machines under another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Bool, Int64
from placement.licensing.products import Alternative
from placement.planning.buying import Bought, buy_order, rounded
from placement.planning.columns import NOTHING, Columns, Sum, added, one
from placement.planning.facts import Facts
from placement.planning.hardware import amount, factors_of_hosts, most_covers, units_of_host
from placement.planning.problem import PlannedProduct
from placement.planning.rooms import Load, Room, post_room
from placement.planning.shares import Share, members_of, share_of


@dataclass(frozen=True, eq=False)
class Scope:
    """A product in the pools of one reach."""

    product: int
    name: str
    pools: tuple[int, ...]
    blocks: Int64


@dataclass(frozen=True, eq=False)
class PostedScope(Scope):
    """As columns."""

    on: Int64
    """[A] by alternative: 1 where it is chosen."""
    hosts: Int64
    """[A, n] hosts of each block that it counts; -1 where it counts no hosts."""


@dataclass(frozen=True, eq=False)
class Base:
    """The columns that licences are about."""

    cells: Int64
    """[G, P] machines; -1 where none can be."""
    hosts: Int64
    """[B]"""


@dataclass(frozen=True, eq=False)
class _Posting:
    columns: Columns
    facts: Facts
    base: Base
    product: PlannedProduct
    bought: Sequence[list[Bought]]
    """[A]"""
    several: bool
    """Whether its order has other prices, too."""
    scopes: list[PostedScope] = field(default_factory=list)

    @property
    def alone(self) -> bool:
        """Whether an alternative is on in a pool only where it licenses any machine there."""
        return self.product.parts or self.product.whole_pool or self.product.reach == "pool"

    def most(self, blocks: Int64) -> Int64:
        return self.facts.most[blocks]


def scopes_of(facts: Facts, n: int) -> Iterator[Scope]:
    """Every scope that any machine of a product could be in; named by the pool, the label's value, or ``estate``."""
    product, pools = facts.problem.products[n], facts.problem.pools
    every = {"pool": pools.ids, "estate": ("estate",) * len(pools.ids)}
    found: dict[str, tuple[int, ...]] = {}
    for p, name in enumerate(every.get(product.reach) or pools.labels[product.reach]):
        if product.pools is None or product.pools[p]:
            found[name] = (*found.get(name, ()), p)
    for name, some in found.items():
        if facts.possible[product.groups][:, list(some)].any():
            yield Scope(n, name, some, np.concatenate([facts.blocks_of[p] for p in some]))


def post_order(columns: Columns, facts: Facts, base: Base, members: Sequence[int]) -> list[PostedScope]:
    """Every scope that any machine could be in of the products of one order, and what all of them buy."""
    scopes: list[PostedScope] = []
    ways: dict[str, list[tuple[Alternative, list[Bought]]]] = {}
    for n in members:
        product = facts.problem.products[n]
        posting = _Posting(
            columns, facts, base, product, [[] for _ in product.alternatives], len(members) > 1
        )
        for scope in scopes_of(facts, n):
            _post_scope(posting, scope)
        for way, bought in zip(product.alternatives, posting.bought, strict=True):
            if bought:
                ways.setdefault(way.name, []).append((way, bought))
        scopes += posting.scopes
    for some in ways.values():
        buy_order(columns, facts.problem.horizon_hours, some)
    return scopes


def _post_scope(posting: _Posting, scope: Scope) -> None:
    columns, ways = posting.columns, posting.product.alternatives
    pools, blocks = scope.pools, scope.blocks
    on = columns.switch(len(ways))
    columns.row(Sum(on, np.ones_like(on), 1), upper=1)
    split = posting.product.whole_pool or posting.product.parts
    present = _within(columns, on, len(pools)) if split else np.repeat(on[:, None], len(pools), axis=1)
    hosts = _hosts(posting, pools, blocks, present)
    for i, p in enumerate(pools):
        _strongly(posting, p, present[:, i])
    shares = [_licensed(posting, p, blocks, hosts, present[:, i]) for i, p in enumerate(pools)]
    for a, way in enumerate(ways):
        machines = [share.machines[a] for share in shares]
        least = min(
            _least_hosts(posting, p, share.loads[a]) for p, share in zip(pools, shares, strict=True)
        )
        units = _units(posting, way, blocks, hosts[a], int(on[a]), machines, least)
        if way.of_machines:
            units = (added([share.weights[a] for share in shares]),)
        named = (
            NOTHING
            if way.add_on is None
            else _sum(posting, blocks, hosts[a], amount(posting.facts.problem.blocks, way.add_on.amount))
        )
        posting.bought[a].append(Bought(units, int(on[a]), named, added(machines)))
    posting.scopes.append(PostedScope(scope.product, scope.name, pools, blocks, on, hosts))


def _strongly(posting: _Posting, p: int, present: Int64) -> None:
    """No machine where nothing licenses it, group by group: the linear program is closer to whole numbers for it."""
    count, cells = posting.facts.problem.groups.count, posting.base.cells[:, p]
    groups = np.flatnonzero(posting.product.groups & (cells >= 0))
    posting.columns.at_most_where(cells[groups], count[groups], present)


def _within(columns: Columns, on: Int64, pools: int) -> Int64:
    """[A, n] 1 where an alternative counts a pool, as it may where it is chosen."""
    if pools == 1:
        return on[:, None]
    return np.stack([_below(columns, on) for _ in range(pools)], axis=1)


def _below(columns: Columns, on: Int64) -> Int64:
    """[A] columns that may be 1 where those are."""
    found = columns.switch(len(on))
    for less, more in zip(found.tolist(), on.tolist(), strict=True):
        columns.below(one(less, 1), one(more, 1))
    return found


def _hosts(posting: _Posting, pools: tuple[int, ...], blocks: Int64, present: Int64) -> Int64:
    """[A, n] hosts that are counted: all that are kept, or a part of them where a rule holds machines there."""
    columns, facts, ways = posting.columns, posting.facts, posting.product.alternatives
    hosts = np.full((len(ways), len(blocks)), -1, dtype=np.int64)
    counting = [a for a, way in enumerate(ways) if way.of_hosts]
    if not counting:
        return hosts
    part = posting.product.parts and not posting.product.whole_pool
    most = posting.most(blocks)
    hosts[counting] = columns.add(np.repeat(most[None, :], len(counting), axis=0), whole=part)
    for i, (b, n) in enumerate(zip(blocks.tolist(), most.tolist(), strict=True)):
        on = present[counting, pools.index(int(facts.problem.blocks.pool_of[b]))].tolist()
        counted = Sum(hosts[counting, i], np.ones(len(counting), dtype=np.int64), n)
        kept = one(int(posting.base.hosts[b]), n)
        columns.below(counted, kept)
        for a, chosen in zip(counting, on, strict=True):
            columns.below(one(int(hosts[a, i]), n), one(chosen, 1, n))
        if not part:
            columns.below(added([kept, *(one(chosen, 1, n) for chosen in on)]), counted, n)
    return hosts


def _licensed(posting: _Posting, p: int, blocks: Int64, hosts: Int64, present: Int64) -> Share:
    """The machines in a pool by alternative, on the hosts that it counts there; where these are a part, with N+k."""
    facts, product = posting.facts, posting.product
    share = _share(posting, product.groups, p, present)
    part = product.parts and not product.whole_pool
    _post_rooms(posting, p, (blocks, facts.blocks_of[p]), hosts, share, present, part=part)
    for groups, inside in facts.fit_sets(p) if part else ():
        there = _below(posting.columns, present)
        held = _share(posting, groups & product.groups, p, there)
        _post_rooms(posting, p, (blocks, inside), hosts, held, there, part=part)
    return share


def _post_rooms(
    posting: _Posting,
    p: int,
    places: tuple[Int64, Int64],
    hosts: Int64,
    share: Share,
    on: Int64,
    *,
    part: bool,
) -> None:
    """By alternative; `places` are the blocks of the scope, and those of them that hold the machines."""
    facts, (blocks, inside) = posting.facts, places
    at = np.flatnonzero(np.isin(blocks, inside))
    for a, way in enumerate(posting.product.alternatives):
        if way.of_hosts:
            room = Room(
                hosts=hosts[a, at],
                most=posting.most(blocks[at]),
                capacity=facts.problem.blocks.capacity[blocks[at]],
                on=int(on[a]) if posting.alone else -1,
                shared=facts.problem.pools.shared[p],
                losses=int(facts.problem.pools.losses[p]),
            )
            if (
                part
            ):  # Machines that take nothing of a host, such as those that are off, need one all the same.
                posting.columns.below(one(room.on, 1), room.sum_of(np.ones(len(at), dtype=np.int64)))
            post_room(posting.columns, room, share.loads[a], with_losses=part)


def _least_hosts(posting: _Posting, p: int, load: Load) -> int:
    """Hosts of a pool that has any of these machines: one more than may fail, where all restart and only hosts hold them."""
    pools = posting.facts.problem.pools
    given = posting.facts.given[p]
    certain = any(
        sure and given[k] and not pools.shared[p, k] and not load.every[k].empty
        for k, sure in enumerate(load.all_restart)
    )
    return int(pools.losses[p]) + 1 if certain else 1


def _share(posting: _Posting, groups: Bool, p: int, present: Int64) -> Share:
    members = members_of(posting.facts, groups, posting.base.cells, p)
    return share_of(posting.columns, members, posting.product.alternatives, present)


def _sum(posting: _Posting, blocks: Int64, hosts: Int64, each: Int64) -> Sum:
    """So much of each host that is counted; `each` [B]."""
    return Sum(hosts, each[blocks], int((each[blocks] * posting.most(blocks)).sum()))


def _units(
    posting: _Posting,
    way: Alternative,
    blocks: Int64,
    hosts: Int64,
    on: int,
    machines: Sequence[Sum],
    least: int,
) -> tuple[Sum, ...]:
    """Parts of units by core factor, of ways that count hosts."""
    if not way.of_hosts:
        return (NOTHING,)
    every = posting.facts.problem.blocks
    each = units_of_host(every, way)
    if "machines" in way.unit_covers:
        return (
            _covering(posting, blocks, hosts, each, (added(list(machines)), way.unit_covers["machines"])),
        )
    own = factors_of_hosts(every, way)
    weights = [each * np.where(own == factor, factor, 0) for factor in way.factors]
    if way.covers is None:
        return tuple(_sum(posting, blocks, hosts, weight) for weight in weights)
    covers = rounded_up(posting.columns, added(list(machines)), way.covers)
    shared = posting.several and way.shared
    cap = None if shared else most_covers(every, way, posting.product.alternatives, blocks)
    if cap is not None and cap < covers.most:
        posting.columns.row(covers, upper=cap)
        for some in machines:  # So the linear program sees it at once.
            posting.columns.below(some, one(on, 1, cap * way.covers))
        covers = Sum(covers.columns, covers.factors, cap)
    times = [
        _times(posting.columns, covers, one(int(h), int(n)))
        for h, n in zip(hosts, posting.most(blocks), strict=True)
    ]
    _post_least_times(posting, covers, hosts, on, added(times), least)
    return tuple(
        added([some.times(int(n)) for some, n in zip(times, weight[blocks], strict=True)])
        for weight in weights
    )


def _post_least_times(
    posting: _Posting, covers: Sum, hosts: Int64, on: int, times: Sum, least: int
) -> None:
    """Covers times hosts are at least what they are where covers or hosts are the fewest: ``(c - 1) (h - least) >= 0``.

    An alternative is on where it licenses a machine: so there is one cover, and there are as many hosts as a pool with
    machines has at least.
    """
    posting.columns.below(one(on, 1), covers)
    every = Sum(hosts, np.ones_like(hosts), 0)
    posting.columns.below(added([covers.times(least), every]), added([times, one(on, 1, least)]))


def rounded_up(columns: Columns, units: Sum, size: int) -> Sum:
    """A column of its own for what is divided and rounded up."""
    found = rounded(columns, units, size)
    if len(found.columns) == 1 and found.factors[0] == 1:
        return found
    column = one(columns.column(found.most), found.most)
    columns.equal(column, found)
    return column


def _covering(posting: _Posting, blocks: Int64, hosts: Int64, each: Int64, covered: tuple[Sum, int]) -> Sum:
    """Of each host the larger of the units that it needs anyway, and of those for all machines of the scope."""
    columns = posting.columns
    for_all = rounded_up(columns, *covered)
    more = {}
    for anyway in sorted(set(each[blocks].tolist())):
        most = max(0, for_all.most - anyway)
        more[anyway] = one(columns.column(most), most)
        columns.below(for_all, more[anyway], anyway)
    found = [_sum(posting, blocks, hosts, each)]
    for h, n, anyway in zip(
        hosts.tolist(), posting.most(blocks).tolist(), each[blocks].tolist(), strict=True
    ):
        found.append(_times(columns, more[anyway], one(h, n)))
    return added(found)


def _times(columns: Columns, a: Sum, b: Sum) -> Sum:
    """At least the product of two columns: b for each bit of a that is 1 (McCormick), and what the bounds say of it."""
    if not a.most or not b.most:
        return NOTHING
    size = a.most.bit_length()
    bits = columns.add(np.ones(size, dtype=np.int64))
    powers = 1 << np.arange(size, dtype=np.int64)
    columns.equal(Sum(bits, powers, a.most), a)
    parts = columns.add(np.full(size, b.most, dtype=np.int64), whole=False)
    for bit, part in zip(bits.tolist(), parts.tolist(), strict=True):
        columns.below(added([b, one(bit, 1, b.most)]), one(part, b.most), b.most)
    found = Sum(parts, powers, a.most * b.most)
    columns.below(added([a.times(b.most), b.times(a.most)]), found, a.most * b.most)
    return found
