"""Which machines go where, when a plan only says how many."""

from collections.abc import Iterator, Sequence

from placement.arrays import Int64
from tierwise.planner.build import Built
from tierwise.planner.grouping import MachineGroups, Member
from tierwise.planner.result import Move


def moves(built: Built, groups: MachineGroups, counts: Int64) -> tuple[Move, ...]:
    """Every machine that runs elsewhere than today, in the order of its group and of what it copies.

    Of a group those with the least to copy move first, and pools are filled in their order, so that the same plan
    always moves the same machines.
    """
    return tuple(move for g in range(len(groups.ids)) for move in _of_group(built, groups, counts, g))


def _of_group(built: Built, groups: MachineGroups, counts: Int64, g: int) -> Iterator[Move]:
    pools = built.problem.pools.ids
    current = int(built.machines.current[g])
    left = iter(groups.members[g])
    for p, count in enumerate(counts[g].tolist()):
        if p == current:
            continue
        price = built.prices.move_prices.get((current, p))
        for _ in range(count):
            one = next(left)
            yield Move(
                machine=one.id,
                name=one.name,
                source=groups.pool[g],
                target=pools[p],
                copy_mib=one.copy_mib,
                cost_micros=price.of(one.copy_mib) if price else 0,
            )


def stranded_names(
    built: Built, groups: MachineGroups, counts: Int64, unplaced: Int64, g: int
) -> tuple[str, ...]:
    """The machines of a group of the estate that have no place: those that come after the ones that move."""
    if g >= len(groups.ids):
        return ()
    current = int(built.machines.current[g])
    moved = sum(count for p, count in enumerate(counts[g].tolist()) if p != current)
    gone: Sequence[Member] = groups.members[g][moved : moved + int(unplaced[g])]
    return tuple(one.name for one in gone)
