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
    """An alternative of one order at several prices: its minimum is asked once, of those prices that license anything."""
    if len(ways) == 1 or not ways[0][0].shared_minimum:
        for way, scopes in ways:
            buy(columns, way, hours, scopes)
        return
    minimum = -(-ways[0][0].shared_minimum // ways[0][0].pack_size)
    every = added([_bought_for(columns, way, hours, scopes, minimum) for way, scopes in ways])
    for _, scopes in ways:
        for scope in scopes:
            columns.below(one(scope.on, 1, minimum), every)


def _bought_for(
    columns: Columns, way: Alternative, hours: int, scopes: Sequence[Bought], minimum: int
) -> Sum:
    """Packs at one price: those that are needed or more, and none where no machine is licensed at it."""
    packs = _packs_of(columns, way, hours if way.per_hour else 1, scopes)
    most = max(packs.most, minimum)
    bought = one(columns.column(most), most)
    columns.below(packs, bought)
    columns.below(bought, added([one(scope.on, 1, most) for scope in scopes]))
    for scope in scopes:
        columns.below(one(scope.on, 1), scope.machines)
    _pay(columns, (bought, way.pack_cost))
    return bought


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
    beside = 0 if way.add_on is None else _most_missing(way.add_on, scopes)
    most = max(packs.most, minimum, way.owned_packs) + beside
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


def _most_missing(add_on: AddOn, scopes: Sequence[Bought]) -> int:
    """Packs of the licences that would bring along all that can be needed."""
    needed = -(-sum(scope.amount.most for scope in scopes) // add_on.unit_amount)
    return -(-needed // add_on.granted) if add_on.granted else 0
