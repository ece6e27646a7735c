"""An estate rebalanced pool by pool: machines move between hosts of their own pool and nowhere else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from catalog.estates.model import Estate, EstateMachine
from catalog.wording import first_few, known_names
from placement.arrays import Int64
from placement.rebalance.solve import Effort, Rebalanced, rebalance
from tierwise.errors import InvalidInput
from tierwise.planner.rebalancing.order import Ordered, cut, load_cost
from tierwise.planner.rebalancing.parting import Parted, part
from tierwise.planner.rebalancing.problem import Weights, reassignment, weights
from tierwise.planner.rebalancing.rooms import Room, room
from tierwise.planner.rebalancing.wishes import Wishes
from tierwise.planner.sweeps import Task, sweep

EffortOf = Callable[[float], Effort]
"""What may be spent on a pool that has this part of all that can move."""
Told = Callable[[int, int], None]
"""How many pools are done, and of how many."""


@dataclass(frozen=True, eq=False)
class OfPool:
    """A pool before and after."""

    room: Room
    parted: Parted
    weight: Weights
    ordered: Ordered
    bound: int
    """No way to place the machines costs less, moves counted as nothing."""
    after: Int64
    """[P] the host of each when all moves are made."""

    @property
    def before_cost(self) -> int:
        """Of today."""
        return self.ordered.costs[0]

    @property
    def after_cost(self) -> int:
        """Of load, and of what is copied for it."""
        return self.ordered.costs[-1]

    def __post_init__(self) -> None:
        """What is told is what the moves add up to."""
        copied = self.weight.copy * int(self.room.costs_mib[list(self.ordered.moves)].sum())
        assert self.after_cost == load_cost(self.room, self.weight, self.after) + copied


@dataclass(frozen=True, eq=False)
class Whole:
    """An estate's pools, those in which nothing can be moved, and what a planner should know."""

    estate: Estate
    wishes: Wishes
    pools: tuple[OfPool, ...]
    skipped: tuple[tuple[str, str], ...]
    """A pool, and why nothing can be moved in it."""
    notes: tuple[str, ...]


def rebalanced(
    estate: Estate,
    wishes: Wishes,
    effort: EffortOf,
    *,
    pools: Sequence[str] = (),
    most: int | None = None,
    jobs: int = 1,
    cluster: str = "",
    tell: Told | None = None,
) -> Whole:
    """The estate rebalanced. With `most`, only so many machines move, over all pools, those that help most.

    Pools are solved by themselves: on `jobs` processes or the workers of a Dask `cluster`, where `effort` must be
    picklable, with the same result wherever only moves that are tried limit it.
    Raises InvalidInput for a pool that the estate does not have, or where one could not be solved.
    """
    names = list(estate.pool_names())
    for name in pools:
        if name not in names:
            msg = f"--pool: there is no pool '{name}'; {known_names(name, names)}"
            raise InvalidInput(msg)
    asked = [(name, room(estate, name, wishes)) for name in names if not pools or name in pools]
    rooms = [one for _, one in asked if isinstance(one, Room)]
    skipped = tuple((name, why) for name, why in asked if isinstance(why, str))
    every = sum(len(one.machines) for one in rooms)
    tasks = [Task(one.pool, "", (one, effort(len(one.machines) / every))) for one in rooms]
    done = sweep(tasks, partial(_answered, wishes, most), jobs=jobs, cluster=cluster, tell=tell)
    if wrong := [f"{one.name}: {one.error}" for one in done if one.result is None]:
        msg = f"{len(wrong)} of {len(done)} pools could not be rebalanced"
        raise InvalidInput(msg, details=wrong)
    found: list[OfPool] = [one.result["pool"] for one in done if one.result is not None]
    if most is not None:
        found = _fewest(found, most)
    return Whole(estate, wishes, tuple(found), skipped, tuple(_notes(estate, rooms)))


def _answered(wishes: Wishes, most: int | None, work: tuple[Room, Effort]) -> dict[str, OfPool]:
    """A pool, wherever it is solved."""
    here, effort = work
    return {"pool": _solved(here, wishes, effort, most)}


def _solved(here: Room, wishes: Wishes, effort: Effort, most: int | None) -> OfPool:
    parted = part(here, wishes.apart)
    weight = weights(here, wishes)
    model = reassignment(here, parted, wishes)
    found: Rebalanced = rebalance(model, effort)
    ordered = cut(here, weight, parted, found.machine, most)
    return _ending(here, parted, weight, ordered, found.bound, found.machine)


def _ending(here: Room, parted: Parted, weight: Weights, ordered: Ordered, bound: int, to: Int64) -> OfPool:
    after = here.at.copy()
    moved = list(ordered.moves)
    after[moved] = to[moved]
    after.setflags(write=False)
    return OfPool(here, parted, weight, ordered, bound, after)


def _fewest(found: list[OfPool], most: int) -> list[OfPool]:
    """At most so many moves of all pools together: always the next one of the pool where it helps most."""
    taken = [0] * len(found)
    for _ in range(most):
        gains = [
            (one.ordered.costs[n] - one.ordered.costs[n + 1], -k)
            for k, (one, n) in enumerate(zip(found, taken, strict=True))
            if n < len(one.ordered.moves)
        ]
        if not gains:
            break
        taken[-max(gains)[1]] += 1
    return [_first(one, n) for one, n in zip(found, taken, strict=True)]


def _first(one: OfPool, count: int) -> OfPool:
    """The pool after its first moves; moves that only go together are all made, or none."""
    if count == len(one.ordered.moves):
        return one
    kept = count if one.ordered.whole else 0
    ordered = Ordered(one.ordered.moves[:kept], one.ordered.costs[: kept + 1])
    return _ending(one.room, one.parted, one.weight, ordered, one.bound, one.after)


def _notes(estate: Estate, rooms: Sequence[Room]) -> Iterator[str]:
    counted = {one.id for here in rooms for one in here.machines}
    pools = {here.pool for here in rooms}
    adrift = [one for one in estate.machines if _runs_unseen(estate, one, pools, counted)]
    if adrift:
        yield (
            f"{len(adrift)} running machines are on no host that the estate knows, and take no room here: "
            f"{first_few([one.name for one in adrift])}"
        )
    for here in rooms:
        used, capacity = here.used(here.at), here.capacity
        full = np.flatnonzero((used > capacity).any(axis=1)).tolist()
        if full:
            names = first_few([here.hosts[m].name for m in full])
            yield f"{here.pool}: {names} hold more than they have today; they may be left, and not be come to"


def _runs_unseen(estate: Estate, one: EstateMachine, pools: set[str], counted: set[str]) -> bool:
    return one.power == "on" and one.id not in counted and estate.pool_of(one) in pools
