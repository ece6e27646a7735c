"""Room on hosts, with as many of them lost as may fail at once: of a pool, of a part of it, of the hosts that large machines fit on.

The hosts that remain in the worst case hold ``max over t of sum over b of min(c_b, t) h_b - L t``, where c_b is what
a host gives, h_b how many there are, and L how many fail: t ranges over the different c_b, and 0. (Linear programs:
what the L largest give is the least over t of ``L t + sum of max(0, c_b - t) h_b``.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.planning.columns import Columns, Sum, added, one


@dataclass(frozen=True, eq=False)
class Room:
    """Hosts by block, and the column that is 1 where there are any."""

    hosts: Int64
    """[n] columns, of n blocks."""
    most: Int64
    """[n]."""
    capacity: Int64
    """[n, K]."""
    on: int
    """-1 where it is 1 without any machine, too; then its losses are not asked for."""
    shared: Int64
    """[K] what there is beside hosts."""
    losses: int

    def sum_of(self, each: Int64) -> Sum:
        """So much of each host."""
        return Sum(self.hosts, each, int((each * self.most).sum()))


@dataclass(frozen=True, eq=False)
class Load:
    """What is on hosts, by resource class."""

    every: Sequence[Sum]
    """[K]"""
    restarting: Sequence[Sum]
    """[K] of it, what must run again after a failure."""
    all_restart: Sequence[bool]
    """[K] whether every machine restarts, and has some of the resource."""


def post_room(columns: Columns, room: Room, load: Load, *, with_losses: bool = True) -> None:
    """All hosts hold everything; those that remain hold what restarts."""
    _post_least(columns, room, load)
    for k, every in enumerate(load.every):
        each, beside = room.capacity[:, k], int(room.shared[k])
        if every.empty:
            continue
        lost = with_losses and room.losses and each.any()
        certain = load.all_restart[k] and len(np.unique(each)) == 1
        if not (lost and certain):  # Otherwise what follows says more.
            columns.below(every, room.sum_of(each), beside)
        if lost and not load.restarting[k].empty:
            sure = load.all_restart[k] and not beside
            _post_losses(columns, room, load.restarting[k], each, beside, certain=certain, sure=sure)


def _post_least(columns: Columns, room: Room, load: Load) -> None:
    """One host at least, and one for each that may fail where all machines restart: said for the linear program's sake."""
    if room.on < 0:
        return
    certain = any(
        sure and room.capacity[:, k].any() and not room.shared[k] and not load.every[k].empty
        for k, sure in enumerate(load.all_restart)
    )
    if certain:
        kept = Sum(room.hosts, np.ones_like(room.hosts), int(room.most.sum()))
        columns.below(one(room.on, 1, room.losses + 1), kept)


def _post_losses(
    columns: Columns, room: Room, load: Sum, each: Int64, beside: int, *, certain: bool, sure: bool
) -> None:
    losses = room.losses
    if certain:
        columns.below(added([load, one(room.on, 1, losses * int(each[0]))]), room.sum_of(each), beside)
        return
    levels = [int(t) for t in np.unique(each) if t > 0]
    chosen = columns.switch(len(levels))
    columns.below(Sum(chosen, np.ones_like(chosen), 1), one(room.on, 1))
    if sure:  # Where anything is, some of it must restart on hosts: the linear program then loses the least level at least.
        columns.below(one(room.on, 1), Sum(chosen, np.ones_like(chosen), 1))
    some = np.flatnonzero(each > 0)
    split = columns.add(np.repeat(room.most[some][:, None], len(levels), axis=1), whole=False)
    for n, b in enumerate(some.tolist()):
        columns.below(
            Sum(split[n], np.ones(len(levels), dtype=np.int64), 0),
            one(int(room.hosts[b]), int(room.most[b])),
        )
        for t in range(len(levels)):
            columns.below(one(int(split[n, t]), 1), one(int(chosen[t]), 1, int(room.most[b])))
    gives = np.minimum(each[some][:, None], np.array(levels)[None, :])
    total = Sum(split.reshape(-1), gives.reshape(-1), 0)
    taken = Sum(chosen, np.array([losses * t for t in levels], dtype=np.int64), 0)
    columns.below(added([load, taken]), total, beside)
