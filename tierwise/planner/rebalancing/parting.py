"""Machines that share a host today although they shall not: parted before anything else is asked.

A search starts from a state that keeps every rule. So such machines first get a host with room, one after the other,
the ones with the least to copy; who finds none stays, and is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from tierwise.planner.rebalancing.rooms import TRANSIENT, Room


@dataclass(frozen=True, eq=False)
class Parted:
    """Where machines are when those that must not share a host are parted as far as there is room."""

    at: Int64
    """[P]."""
    group: Int64
    """[P] the group of machines that are kept apart; -1: none."""
    names: tuple[str, ...]
    """Of groups."""
    stuck: tuple[int, ...]
    """Machines that share a host with one of their group and found no other."""
    may: Bool
    """[P, M] as in the room, less the hosts of stuck machines of the same group."""

    def sharing(self, p: int, at: Int64) -> list[int]:
        """The machines of its group on its host."""
        g = self.group[p]
        there = (self.group == g) & (at == at[p]) if g >= 0 else np.zeros(len(at), dtype=np.bool_)
        return [q for q in np.flatnonzero(there).tolist() if q != p]


def part(room: Room, groups: Mapping[str, Sequence[str]]) -> Parted:
    """The machines parted; nobody moves where nothing has to be."""
    index = {one.id: p for p, one in enumerate(room.machines)}
    group = np.full(len(room.machines), -1, dtype=np.int64)
    inside = {name: [index[one] for one in ids if one in index] for name, ids in groups.items()}
    names = tuple(name for name, members in inside.items() if len(members) > 1)
    for g, name in enumerate(names):
        group[inside[name]] = g
    at, may, stuck = room.at.copy(), room.may.copy(), []
    held = room.used(at)
    for g in range(len(names)):
        members = np.flatnonzero(group == g)
        for p in _too_many(room, members):
            host = _place(room, at, held, members, p)
            if host is None:
                stuck.append(p)
                continue
            at[p] = host
            held[host] += room.need[p]
            # What is copied is held at its old host too, until all is done.
            held[room.at[p]] -= np.where(TRANSIENT, 0, room.need[p])
        for p in stuck:
            if group[p] == g:
                others = members[at[members] != at[p]]
                may[others, at[p]] = False
                may[p] = False
                may[p, at[p]] = True
    return Parted(at, group, names, tuple(stuck), may)


def _too_many(room: Room, members: Int64) -> Iterator[int]:
    """Of the members on one host all but the one with most to copy; those with the least first."""
    copies = room.copies_mib
    for host in sorted(set(room.at[members].tolist())):
        there = members[room.at[members] == host].tolist()
        there.sort(key=lambda p: (int(copies[p]), p))
        yield from there[:-1]


def _place(room: Room, at: Int64, held: Int64, members: Int64, p: int) -> int | None:
    """The allowed host without one of the group that is the least full afterwards; None where none has room."""
    free = room.may[p].copy()
    free[at[members]] = False
    free[room.at[members]] = False
    after = held + room.need[p]
    free &= ((after <= room.capacity) | (room.need[p] == 0)).all(axis=1)
    if not free.any():
        return None
    full = (after / np.maximum(1, room.limit)).max(axis=1)
    return int(np.where(free, full, np.inf).argmin())
