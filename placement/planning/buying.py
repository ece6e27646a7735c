"""From units of scopes to packs, and what these cost, where the number of hosts is a decision.

The meaning is that of `placement.licensing.tally`; there, hosts are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.licensing.products import AddOn, Alternative
from placement.planning.columns import Columns, Sum, added, one


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
    columns.cost(bought.columns, np.array([way.pack_cost_micros], dtype=np.int64))
    return bought


def buy(columns: Columns, way: Alternative, hours: int, scopes: Sequence[Bought]) -> None:
    """Round parts to units and units to packs, by scope or over all; then pay for what is not owned, and the add-on."""
    if not scopes:
        return
    hours = hours if way.per_hour else 1
    packs = _packs_of(columns, way, hours, scopes)
    minimum = -(-max(way.order_minimum, way.principals * hours) // way.pack_size)
    if not (minimum or way.owned_packs or way.add_on):
        columns.cost(packs.columns, packs.factors * way.pack_cost_micros)
        return
    _buy_together(columns, way, packs, minimum, scopes)


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
    if way.add_on is not None:
        _buy_add_on(columns, way.add_on, scopes, one(bought, most))
    paid = bought
    if way.owned_packs:
        paid = columns.column(most)
        columns.below(one(bought, most), one(paid, most), way.owned_packs)
    columns.cost(np.array([paid]), np.array([way.pack_cost_micros], dtype=np.int64))


def _buy_add_on(columns: Columns, add_on: AddOn, scopes: Sequence[Bought], bought: Sum) -> None:
    """Packs of it for the units that those of the licences do not bring along."""
    needed = rounded(columns, added([scope.amount for scope in scopes]), add_on.unit_amount)
    most = -(-needed.most // add_on.pack_size)
    more = columns.column(most)
    columns.below(needed, added([one(more, most, add_on.pack_size), bought.times(add_on.granted)]))
    columns.cost(np.array([more]), np.array([add_on.pack_cost_micros], dtype=np.int64))


def _most_missing(add_on: AddOn, scopes: Sequence[Bought]) -> int:
    """Packs of the licences that would bring along all that can be needed."""
    needed = -(-sum(scope.amount.most for scope in scopes) // add_on.unit_amount)
    return -(-needed // add_on.granted) if add_on.granted else 0
