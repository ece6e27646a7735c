"""Rows that no plan needs and that bounds are better with: scopes that a class must use as a whole.

Members of a class that must be spread need several scopes. A program in parts would license each of these in part; what
other constraints say of themselves (`Constraint.crowding`) tells how many scopes it takes in whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement import constraints
from placement.arrays import Bool, Int64
from placement.crowding import Crowding
from placement.licensing.reach import Reach
from placement.matrix import NO_LIMIT
from placement.model import Model


@dataclass(frozen=True, eq=False)
class Crowds:
    """How many machines of each class there can be in a scope."""

    most: Int64
    """[classes, S] in any plan."""
    partly: Int64
    """[classes, S] in a plan that leaves any scope empty that the class could be in; at most `most`."""


@dataclass(frozen=True, eq=False)
class Licensed:
    """The machines of a scope by class, and the columns of which one is 1 where there are any."""

    s: int
    machines: Int64
    """[classes, n] columns that add up to the machines of each class."""
    most: Int64
    """[classes] of each class."""
    on: Int64


def crowds(model: Model, reach: Reach) -> Crowds:
    """By what all constraints say; where they are kept apart, by how many there are."""
    most = np.repeat(model.classes.count[reach.classes][:, None], reach.scopes, axis=1)
    partly = most.copy()
    others = np.ones(len(model.classes.one), dtype=np.bool_)
    others[reach.classes] = False
    for one in () if model.apart else constraints.of(model.problem):
        told = one.crowding(model.problem)
        group = None if told is None else told.members[model.classes.one]
        if told is None or group is None or not group[reach.classes].any():
            continue
        at = group[reach.classes]
        pairs, whole = _pairs(told, reach)
        most[at] = np.minimum(most[at], _summed(pairs, told.limit, reach.scopes))
        empties = bool(whole.all()) and not (group & others).any()
        limit = np.minimum(told.limit, told.limit_beside_empty) if empties else told.limit
        partly[at] = np.minimum(partly[at], _summed(pairs, limit, reach.scopes))
    return Crowds(most, partly)


def tighten(model: Model, reach: Reach, limits: Crowds, scopes: Sequence[Licensed]) -> None:
    """For each class that cannot be in one scope as a whole: the scopes that it takes."""
    for i, count in enumerate(model.classes.count[reach.classes].tolist()):
        there = [scope for scope in scopes if scope.most[i] > 0]
        each = np.array([min(scope.most[i], limits.partly[i, scope.s]) for scope in there], dtype=np.int64)
        if len(there) < 2 or each.max() >= count:
            continue
        total = _placed(model, there, i, count)
        if each.sum() >= count:
            _enough(model, total, there, count, np.sort(each)[::-1])
        else:
            for scope, rest in zip(there, (each.sum() - each).tolist(), strict=True):
                _needs(model, total, scope, count, int(rest))


def _pairs(told: Crowding, reach: Reach) -> tuple[Int64, Bool]:
    """[n, 2] each scope with each domain that it has a provider of; and of these scopes, which have one as a whole."""
    some = told.domain_of >= 0
    all_pairs = np.unique(np.column_stack([reach.scope_of, told.domain_of])[some], axis=0)
    scopes_of = np.bincount(all_pairs[:, 1], minlength=len(told.limit))
    pairs = all_pairs[all_pairs[:, 0] >= 0]
    has_one = np.zeros(reach.scopes, dtype=np.bool_)
    has_one[pairs[scopes_of[pairs[:, 1]] == 1, 0]] = True
    return pairs, has_one[np.unique(pairs[:, 0])]


def _summed(pairs: Int64, limit: Int64, scopes: int) -> Int64:
    """[S] the limits of the domains of each scope together."""
    total = np.zeros(scopes, dtype=np.int64)
    np.add.at(total, pairs[:, 0], limit[pairs[:, 1]])
    return total


def _placed(model: Model, scopes: Sequence[Licensed], i: int, count: int) -> int:
    """A column that is how many of a class are placed."""
    columns = np.concatenate([scope.machines[i] for scope in scopes])
    bounds = np.zeros(1, dtype=np.int64), np.array([count], dtype=np.int64)
    (total,) = model.variables(*bounds).tolist()
    signs = np.append(np.ones(len(columns), dtype=np.int64), -1)
    model.row(np.append(columns, total), signs, 0, 0)
    return int(total)


def _enough(model: Model, total: int, scopes: Sequence[Licensed], count: int, each: Int64) -> None:
    """With `full` scopes fewer than all that it takes, so many at most; every further scope takes no more than the rest.

    `each` are what the scopes have room for, the largest first: any so many have no more than the first ones, and what
    the last of those that it takes brings is no more than any of the others brings.
    """
    up_to = np.cumsum(each)
    full = int(np.searchsorted(up_to, count))
    before = int(up_to[full - 1])
    rest = count - before
    if rest == int(each[full]):
        return  # It says no more than the limits of the scopes themselves.
    on = np.concatenate([scope.on for scope in scopes])
    factors = np.append(np.full(len(on), -rest, dtype=np.int64), 1)
    model.row(np.append(on, total), factors, -NO_LIMIT, before - rest * full)


def _needs(model: Model, total: int, scope: Licensed, count: int, rest: int) -> None:
    """More than fit in the other scopes are placed only where this one is licensed."""
    factors = np.append(np.full(len(scope.on), rest - count, dtype=np.int64), 1)
    model.row(np.append(scope.on, total), factors, -NO_LIMIT, rest)
