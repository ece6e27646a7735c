"""Groups that differ in size and price only, taken together as if each machine were their average.

Such a crowd is what a linear program needs to say which pools and hosts are worth having, and what room is worth there.
It proves nothing of the groups: prices do (`placement.planning.bound`), and machines are put on hosts group by group.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from placement.arrays import Bool, Int64
from placement.planning.facts import Facts
from placement.planning.problem import Groups

_COARSER = (1.0, 1.3, 2.0, 4.0)
"""Ratios between sizes that are in one crowd at most, tried one after the other; 1 is equality."""
_SCALE = 256
"""Parts of a unit, so that averages are told well enough by whole numbers."""


@dataclass(frozen=True, eq=False)
class Fine(Facts):
    """Facts in parts of units: what `whole` says, with amounts so many times as large."""

    whole: Facts

    @cached_property
    def vcpu(self) -> Int64:
        """[G]."""
        return self.whole.vcpu


@dataclass(frozen=True, eq=False)
class Crowd(Facts):
    """Facts of crowds; `problem` is in parts of units."""

    whole: Facts
    """Of the groups."""
    first: Int64
    """[C] the first group of each crowd."""
    of: Int64
    """[G]"""
    price: Int64
    """[C, P]"""

    @cached_property
    def fits(self) -> Bool:
        """[C, B]."""
        return self.whole.fits[self.first]

    @cached_property
    def most(self) -> Int64:
        """[B]."""
        return self.whole.most

    @cached_property
    def cost(self) -> Int64:
        """[C, P]."""
        return self.price

    @cached_property
    def vcpu(self) -> Int64:
        """[C]."""
        return self.whole.vcpu[self.first]


def crowds_of(facts: Facts, most_cells: int) -> Crowd:
    """The finest crowds that have no more cells than that; the coarsest there are where none do."""
    structure = _structure(facts)
    of = np.arange(len(structure), dtype=np.int64)
    for ratio in _COARSER:
        of = _together(structure, _sizes(facts, ratio))
        if int(facts.possible[_first(of)].sum()) <= most_cells:
            break
    else:
        of = _together(structure, np.zeros((len(of), 0), dtype=np.int64))
    return _averaged(facts, of)


def _first(of: Int64) -> Int64:
    found: Int64 = np.unique(of, return_index=True)[1]
    return found


def _together(structure: Int64, sizes: Int64) -> Int64:
    rows = np.ascontiguousarray(np.concatenate([structure, sizes], axis=1))
    keys = rows.view([("", rows.dtype)] * rows.shape[1]).reshape(-1)
    found: Int64 = np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return found


def _structure(facts: Facts) -> Int64:
    """[G, n] what groups of one crowd have in common."""
    problem = facts.problem
    parts = [facts.possible, facts.fits, facts.restart[:, None], problem.groups.current[:, None]]
    parts.append(problem.groups.demand > 0)
    for product in problem.products:
        parts.append(product.groups[:, None])
        if any(way.metric == "per_vcpu" for way in product.alternatives):
            parts.append((facts.vcpu * product.groups)[:, None])
    return np.concatenate([part.astype(np.int64) for part in parts], axis=1)


def _sizes(facts: Facts, ratio: float) -> Int64:
    """[G, n] equal for groups of about the same size, or of the same amounts and prices."""
    groups = facts.problem.groups
    if ratio == 1.0:
        return np.concatenate([groups.demand, facts.cost], axis=1)
    given = facts.given.any(axis=0)
    logs = np.log(np.maximum(groups.demand[:, given], 1)) / np.log(ratio)
    # By ratios between resources, and less finely by size: machines that are merely larger pack alike.
    found: Int64 = np.rint(np.concatenate([logs - logs[:, :1], logs[:, :1] / 3], axis=1)).astype(np.int64)
    return found


def fine(facts: Facts) -> Fine:
    """The same in parts of units, as crowds are."""
    problem = facts.problem
    return Fine(
        replace(
            problem,
            groups=replace(problem.groups, demand=problem.groups.demand * _SCALE),
            blocks=replace(
                problem.blocks,
                capacity=problem.blocks.capacity * _SCALE,
                largest=problem.blocks.largest * _SCALE,
            ),
            pools=replace(problem.pools, shared=problem.pools.shared * _SCALE),
        ),
        facts,
    )


def _averaged(facts: Facts, of: Int64) -> Crowd:
    """Of facts that are fine."""
    problem, groups, first = facts.problem, facts.problem.groups, _first(of)
    count = np.bincount(of, weights=groups.count).astype(np.int64)
    frame = replace(
        problem,
        groups=Groups(
            ids=tuple(groups.ids[g] for g in first.tolist()),
            count=count,
            demand=_mean(groups.demand, groups.count, of, count),
            current=groups.current[first],
            allowed=groups.allowed[first],
            restart=None if groups.restart is None else groups.restart[first],
        ),
        products=tuple(replace(product, groups=product.groups[first]) for product in problem.products),
        sunk={},
    )
    return Crowd(frame, facts, first, of, _mean(facts.cost, groups.count, of, count))


def _mean(each: Int64, weight: Int64, of: Int64, count: Int64) -> Int64:
    """[C, n] rounded up, so that what fits as crowds does not fail by a rounding."""
    total = np.zeros((len(count), each.shape[1]))
    np.add.at(total, of, each.astype(np.float64) * weight[:, None])
    found: Int64 = np.ceil(total / count[:, None]).astype(np.int64)
    return found
