"""From units of scopes to packs, and what these cost, where the number of hosts is a decision.

The meaning is that of `placement.licensing.tally`; there, hosts are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from placement.amounts import Exact
from placement.licensing.products import AddOn, Alternative
from placement.planning.columns import Columns, Sum, added, one

_FINEST = 10**6
"""Parts of a micro-unit that prices are counted in at most."""


@dataclass(frozen=True, eq=False)
class Bought:
    """What one scope buys under an alternative."""

    parts: tuple[Sum, ...]
    """Parts of units, by core factor."""
    on: int
    """The column that is 1 where it buys any."""
    amount: Sum
    """What its licensed hosts have of what the add-on is for."""
    machines: Sum
    """How many it licenses."""


def buy_order(columns: Columns, hours: int, ways: Sequence[tuple[Alternative, Sequence[Bought]]]) -> None:
    """An alternative of one order at its prices."""
    if len(ways) > 1 and ways[0][0].shared:
        _buy_at_prices(columns, hours, ways)
        return
    for way, scopes in ways:
        buy(columns, way, hours, scopes)


def _buy_at_prices(
    columns: Columns, hours: int, ways: Sequence[tuple[Alternative, Sequence[Bought]]]
) -> None:
    """What is of the order counts once, of those prices that license anything; as `tally.packs_at_prices`."""
    way, every = ways[0][0], [scope for _, scopes in ways for scope in scopes]
    hours = hours if way.per_hour else 1
    at_once = way.pack_scope == "order"
    alone = [] if at_once else [_packs_of(columns, way, hours, scopes) for _, scopes in ways]
    together = _packs(columns, way, hours, every) if at_once else added(alone)
    minimum = -(-way.order_minimum // way.pack_size)
    most = max(together.most, minimum) + _most_beside(way, every)
    paid: list[tuple[Sum, Exact]] = []
    for n, (priced, scopes) in enumerate(ways):
        bought = one(columns.column(most), most)
        if at_once:
            units = _whole_units(columns, way, scopes).times(hours)
            columns.below(units, bought.times(way.pack_size), way.pack_size - 1)
        else:
            columns.below(alone[n], bought)
        columns.below(bought, added([one(scope.on, 1, most) for scope in scopes]))
        for scope in scopes:
            columns.below(one(scope.on, 1), scope.machines)
        paid.append((bought, priced.pack_cost))
    packs = added([bought for bought, _ in paid])
    if at_once:
        columns.below(together, packs)
    for scope in every if minimum else ():
        columns.below(one(scope.on, 1, minimum), packs)
    for (priced, scopes), (bought, _) in zip(ways, paid.copy(), strict=True):
        if priced.add_on is not None:
            paid.append((_packs_beside(columns, priced.add_on, scopes, bought), priced.add_on.pack_cost))
    _pay(columns, *paid)


def buy(columns: Columns, way: Alternative, hours: int, scopes: Sequence[Bought]) -> None:
    """Round parts to units and units to packs, by scope or over all; then pay for what is not owned, and the add-on."""
    if not scopes:
        return
    hours = hours if way.per_hour else 1
    minimum = -(-max(way.order_minimum, way.principals * hours) // way.pack_size)
    if minimum or way.owned_packs or way.add_on:
        _buy_together(columns, way, _packs_of(columns, way, hours, scopes), minimum, scopes)
        return
    for some in [scopes] if way.pack_scope == "order" else [[scope] for scope in scopes]:
        _pay(columns, (_packs(columns, way, hours, some), way.pack_cost))


def rounded(columns: Columns, units: Sum, size: int) -> Sum:
    """Divided by a size and rounded up; what comes in whole sizes anyway needs no column for that."""
    if not (units.factors % size).any():
        return Sum(units.columns, units.factors // size, units.most // size)
    most = -(-units.most // size)
    count = columns.column(most)
    columns.below(units, one(count, most, size))
    return one(count, most)


def _whole_units(columns: Columns, way: Alternative, scopes: Sequence[Bought]) -> Sum:
    """Units of some scopes, or fewer by less than one of each core factor."""
    found = []
    for some in zip(*(scope.parts for scope in scopes), strict=True):
        parts = added(list(some))
        if not (parts.factors % way.parts).any():
            found.append(Sum(parts.columns, parts.factors // way.parts, parts.most // way.parts))
            continue
        most = parts.most // way.parts
        found.append(one(columns.column(most), most))
        columns.below(parts, found[-1].times(way.parts), way.parts - 1)
    return added(found)


def _packs_of(columns: Columns, way: Alternative, hours: int, scopes: Sequence[Bought]) -> Sum:
    if way.pack_scope == "scope":
        return added([_packs(columns, way, hours, [scope]) for scope in scopes])
    return _packs(columns, way, hours, scopes)


def _packs(columns: Columns, way: Alternative, hours: int, scopes: Sequence[Bought]) -> Sum:
    by_factor = [added(list(some)) for some in zip(*(scope.parts for scope in scopes), strict=True)]
    whole = added([rounded(columns, part, way.parts) for part in by_factor])
    return rounded(columns, whole.times(hours), way.pack_size)


def _buy_together(
    columns: Columns, way: Alternative, packs: Sum, minimum: int, scopes: Sequence[Bought]
) -> None:
    most = max(packs.most, minimum, way.owned_packs) + _most_beside(way, scopes)
    bought = columns.column(most)
    columns.below(packs, one(bought, most))
    for scope in scopes if minimum else ():
        columns.below(one(scope.on, 1, minimum), one(bought, most))
    paid = []
    if way.add_on is not None:
        more = _packs_beside(columns, way.add_on, scopes, one(bought, most))
        paid.append((more, way.add_on.pack_cost))
    if way.owned_packs:
        beyond = columns.column(most)
        columns.below(one(bought, most), one(beyond, most), way.owned_packs)
        bought = beyond
    _pay(columns, (one(bought, most), way.pack_cost), *paid)


def _packs_beside(columns: Columns, add_on: AddOn, scopes: Sequence[Bought], bought: Sum) -> Sum:
    """Packs of it for the units that those of the licences do not bring along."""
    needed = rounded(columns, added([scope.amount for scope in scopes]), add_on.unit_amount)
    most = -(-needed.most // add_on.pack_size)
    more = columns.column(most)
    columns.below(needed, added([one(more, most, add_on.pack_size), bought.times(add_on.granted)]))
    return one(more, most)


def _pay(columns: Columns, *bought: tuple[Sum, Exact]) -> None:
    """Packs at their prices, together rounded half up to micro-units: what prices have beside whole ones has a column.

    Of prices in parts too fine for the model it pays less, and never more.
    """
    rests = []
    for packs, price in bought:
        whole, rest = divmod(Fraction(price), 1)
        columns.cost(packs.columns, packs.factors * whole)
        rests.append((packs, rest))
    size = min(_FINEST, lcm(*(rest.denominator for _, rest in rests)))
    parts = added([packs.times(int(rest * size)) for packs, rest in rests])
    if parts.empty:
        return
    most = (2 * parts.most + size) // (2 * size)
    rounded_up = columns.column(most, whole=False)
    columns.below(parts.times(2), one(rounded_up, most, 2 * size), size - 1)
    columns.cost(np.array([rounded_up]), np.array([1], dtype=np.int64))


def _most_beside(way: Alternative, scopes: Sequence[Bought]) -> int:
    """Packs that would bring along all that the add-on can be needed for."""
    if way.add_on is None or not way.add_on.granted:
        return 0
    needed = -(-sum(scope.amount.most for scope in scopes) // way.add_on.unit_amount)
    return -(-needed // way.add_on.granted)
