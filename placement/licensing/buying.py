"""From units of scopes to packs, and what these cost: the end of what is posted for an alternative."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from placement.arrays import Int64
from placement.licensing.products import AddOn, Alternative
from placement.matrix import NO_LIMIT
from placement.model import Model


@dataclass(frozen=True, eq=False)
class Units:
    """A sum of columns that counts units, or parts of them, and the most that it can be."""

    columns: Int64
    coefficients: Int64
    most: int

    @classmethod
    def of(cls, column: int, coefficient: int, most: int) -> Self:
        """Of one column."""
        return cls(np.array([column], dtype=np.int64), np.array([coefficient], dtype=np.int64), most)

    @classmethod
    def nothing(cls) -> Self:
        """Of no column."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0)

    @classmethod
    def sum(cls, parts: Sequence["Units"]) -> Self:
        """All of them."""
        empty = np.empty(0, dtype=np.int64)
        return cls(
            np.concatenate([empty, *(part.columns for part in parts)]),
            np.concatenate([empty, *(part.coefficients for part in parts)]),
            sum(part.most for part in parts),
        )

    def times(self, factor: int) -> "Units":
        """So many times as much."""
        return Units(self.columns, self.coefficients * factor, self.most * factor)


@dataclass(frozen=True, eq=False)
class Bought:
    """What one scope buys under an alternative."""

    parts: tuple[Units, ...]
    """Parts of units, by core factor."""
    on: int | None
    """The column that is 1 where it buys any; None where nothing depends on that."""
    amount: int
    """What its hosts have of what the add-on is for."""


def buy(model: Model, way: Alternative, hours: int, scopes: Sequence[Bought]) -> None:
    """Round parts to units and units to packs, by scope or over all; then pay for what is not owned, and the add-on."""
    if not scopes:
        return
    hours = hours if way.per_hour else 1
    if way.pack_scope == "scope":
        packs = Units.sum([_packs(model, way, hours, [scope]) for scope in scopes])
    else:
        packs = _packs(model, way, hours, scopes)
    minimum = -(-max(way.order_minimum, way.principals * hours) // way.pack_size)
    if not (minimum or way.owned_packs or way.add_on):
        model.cost("licences", packs.columns, packs.coefficients * way.pack_cost_micros)
        return
    beside = 0 if way.add_on is None else _most_missing(way.add_on, scopes)
    bought = _column(model, max(packs.most, minimum, way.owned_packs) + beside)
    _at_least(model, bought, packs)
    for scope in scopes:
        if minimum and scope.on is not None:
            _at_least(model, bought, Units.of(scope.on, minimum, minimum))
    if way.add_on is not None:
        _buy_add_on(model, way.add_on, scopes, bought)
    if way.owned_packs:
        paid = _column(model, int(max(packs.most, minimum)) + beside)
        model.row(
            np.array([bought, paid], dtype=np.int64),
            np.array([1, -1], dtype=np.int64),
            -NO_LIMIT,
            way.owned_packs,
        )
        bought = paid
    model.cost("licences", np.array([bought]), np.array([way.pack_cost_micros], dtype=np.int64))


def stacked(model: Model, columns: Int64, coefficients: Int64, size: int, most: int) -> int:
    """A column that is at least ``sum / size``, in whole numbers."""
    count = _column(model, most)
    every = np.append(columns, count), np.append(coefficients, -size)
    model.row(*every, -NO_LIMIT, 0)
    return count


def _packs(model: Model, way: Alternative, hours: int, scopes: Sequence[Bought]) -> Units:
    """Packs of some scopes, rounded up once."""
    by_factor = [Units.sum(one) for one in zip(*(scope.parts for scope in scopes), strict=True)]
    whole = Units.sum([_rounded(model, part, way.parts) for part in by_factor])
    return _rounded(model, whole.times(hours), way.pack_size)


def _rounded(model: Model, units: Units, size: int) -> Units:
    """Divided by a size and rounded up; units that come in whole sizes anyway need no column for that."""
    if not (units.coefficients % size).any():
        return Units(units.columns, units.coefficients // size, units.most // size)
    most = -(-units.most // size)
    return Units.of(stacked(model, units.columns, units.coefficients, size, most), 1, most)


def _buy_add_on(model: Model, add_on: AddOn, scopes: Sequence[Bought], bought: int) -> None:
    """Packs of it for the units that those of the licences do not bring along."""
    amount = Units.sum(
        [Units.of(scope.on, scope.amount, scope.amount) for scope in scopes if scope.on is not None]
    )
    needed = _rounded(model, amount, add_on.unit_amount)
    more = _column(model, -(-needed.most // add_on.pack_size))
    columns = np.append(needed.columns, [more, bought])
    factors = np.append(needed.coefficients, [-add_on.pack_size, -add_on.granted])
    model.row(columns, factors, -NO_LIMIT, 0)
    model.cost("licences", np.array([more]), np.array([add_on.pack_cost_micros], dtype=np.int64))


def _most_missing(add_on: AddOn, scopes: Sequence[Bought]) -> int:
    """Packs of the licences that would bring along all that can be needed."""
    needed = -(-sum(scope.amount for scope in scopes) // add_on.unit_amount)
    return -(-needed // add_on.granted) if add_on.granted else 0


def _at_least(model: Model, column: int, units: Units) -> None:
    model.row(np.append(units.columns, column), np.append(units.coefficients, -1), -NO_LIMIT, 0)


def _column(model: Model, most: int) -> int:
    bounds = np.array([0], dtype=np.int64), np.array([most], dtype=np.int64)
    (column,) = model.variables(*bounds).tolist()
    return int(column)
