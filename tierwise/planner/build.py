"""A world and grouped machines -> the planning problem, with what is needed to read its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from catalog.workload_classes import WorkloadClass
from chargeback.economics.costing import Line
from chargeback.economics.document import Economics
from chargeback.economics.trace import MissingFigure, Span
from placement.amounts import half_up
from placement.arrays import Bool, Int64
from placement.planning.problem import Blocks, Groups, PlanningProblem, Pools
from placement.problem import InvalidProblem
from tierwise.planner.admitting import Admission, admit
from tierwise.planner.document import WhatIf
from tierwise.planner.figures import edited
from tierwise.planner.grouping import RESOURCES, MachineGroups
from tierwise.planner.licensing import MEMORY, RAW_STORAGE, Licensing, Needs, licensing
from tierwise.planner.pricing import Prices, prices
from tierwise.planner.rooms import Rooms, rooms
from tierwise.planner.selecting import MachineFacts, MachineSelector
from tierwise.planner.world import Growth, Stream, World

HOURS_PER_MONTH = 730
SUNK = "sunk "
"""What terms begin with that are paid whatever is decided."""


@dataclass(frozen=True, eq=False)
class Machines:
    """G groups of machines: those of the estate, then those to come."""

    ids: tuple[str, ...]
    count: Int64
    demand: Int64
    current: Int64
    running: Bool
    copy_mib: Int64
    selected: Mapping[MachineSelector, Bool]
    licensed: Mapping[str, Bool]
    source: tuple[int, ...]
    """The estate's group that each is, or is like; -1 for those that are like nothing."""
    share: tuple[Fraction, ...]
    """The part of the horizon for which each costs."""

    @property
    def of_estate(self) -> int:
        """How many groups are those of the estate."""
        return sum(one == i for i, one in enumerate(self.source))


@dataclass(frozen=True, eq=False)
class Built:
    """A planning problem and where it comes from."""

    problem: PlanningProblem
    world: World
    machines: Machines
    room: Rooms
    prices: Prices
    licensing: Licensing
    admission: Admission
    economics: Economics
    """With the scenario's figures."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All that amounts are made of."""
        return (*self.prices.lines, *self.licensing.lines)


def build(
    world: World,
    groups: MachineGroups,
    economics: Economics,
    classes: Mapping[str, WorkloadClass],
    document: WhatIf,
    *,
    on_day: int = 0,
) -> Built:
    """The problem of a world; `on_day` as in `Span`. Raises MissingFigure and ValueError where the economics document lacks something."""
    changed = edited(economics, world.figures, world.licences)
    span = Span(document.start, document.months, on_day=on_day)
    machines = _machines(world, groups, changed, classes, document)
    room = rooms(world, int((machines.count * machines.demand[:, 2]).sum()))
    priced = prices(
        changed, world, room, machines.demand, machines.current, machines.copy_mib, machines.count, span,
    )  # fmt: skip
    licences = licensing(changed, world.licences, room.pools, machines.licensed, span)
    _cores_known(room, licences)
    admission = admit(world, machines.selected, machines.current, licences.nowhere)
    try:
        problem = PlanningProblem(
            resource_classes=RESOURCES,
            groups=Groups(
                ids=machines.ids,
                count=machines.count,
                demand=machines.demand,
                current=machines.current,
                allowed=admission.allowed,
                rejections=admission.rejections,
                costs=_for_their_time(priced.machine, machines.share),
                move_cost=priced.move,
                restart=machines.running,
            ),
            pools=_pools(world, room, priced),
            blocks=_blocks(room, priced),
            products=licences.products,
            sunk=_sunk(priced, licences),
            most_moves=world.most_moves,
            currency=changed.currency,
            horizon_hours=document.months * HOURS_PER_MONTH,
        )
    except InvalidProblem as error:
        path, _, said = str(error).partition(": ")
        if not path.startswith("products["):
            raise
        msg = f"licences: {said}"
        raise MissingFigure(msg) from None
    return Built(problem, world, machines, room, priced, licences, admission, changed)


def _cores_known(room: Rooms, licences: Licensing) -> None:
    """Raises MissingFigure where a product counts cores of hosts that only tell their threads."""
    for product in licences.products:
        counting = [
            way.name
            for way in product.alternatives
            if way.metric == "per_core" or "cores" in way.unit_covers
        ]
        silent = sorted(
            {
                block.pool
                for block, p in zip(room.blocks, room.pool_of.tolist(), strict=True)
                if block.cores_are_threads and (product.pools is None or product.pools[p])
            }
        )
        if counting and silent:
            msg = (
                f"licences.{licences.documents[product.name]}: '{counting[0]}' counts cores, and of the hosts of "
                f"{', '.join(silent)} their hypervisor tells threads alone; write the estate with `tierwise estate export "
                "live.json`, set there cores and sockets of these hosts and remove cores_are_threads, and name it under estate"
            )
            raise MissingFigure(msg)


def _pools(world: World, room: Rooms, priced: Prices) -> Pools:
    likes = [one.like for one in room.pools]
    return Pools(
        ids=room.names,
        tier_of=tuple(one.tier for one in likes),
        losses=room.losses if world.reserve else np.zeros_like(room.losses),
        shared=room.shared,
        labels={
            "site": tuple(one.site or "nowhere" for one in likes),
            "manager": tuple(one.manager for one in room.pools),
            "hypervisor": tuple(one.hypervisor.value for one in likes),
            "region": tuple(one.region for one in likes),
        },
        open_costs=priced.open,
        least_hosts=np.array([one.least_hosts for one in room.pools], dtype=np.int64),
    )


def _blocks(room: Rooms, priced: Prices) -> Blocks:
    return Blocks(
        ids=tuple(one.id for one in room.blocks),
        pool_of=room.pool_of,
        existing=room.existing,
        most=room.most,
        capacity=room.capacity,
        largest=room.largest,
        kept_costs=priced.kept,
        bought_costs=priced.bought,
        sockets=np.array([one.sockets for one in room.blocks], dtype=np.int64),
        cores_per_socket=np.array([-(-one.cores // one.sockets) for one in room.blocks], dtype=np.int64),
        families=tuple(one.model for one in room.blocks),
        amounts={
            MEMORY: np.array([-(-one.memory_mib // 1024) for one in room.blocks], dtype=np.int64),
            RAW_STORAGE: np.array([one.raw_storage_gib for one in room.blocks], dtype=np.int64),
        },
    )


def _sunk(priced: Prices, licences: Licensing) -> dict[str, int]:
    found = {f"{SUNK}{term}": micros for term, micros in priced.sunk.items()}
    if licences.sunk_micros:
        found[f"{SUNK}licences"] = found.get(f"{SUNK}licences", 0) + licences.sunk_micros
    return found


def _for_their_time(costs: Mapping[str, Int64], share: Sequence[Fraction]) -> dict[str, Int64]:
    """What machines that come later cost is for their part of the horizon, half up."""
    late = [g for g, one in enumerate(share) if one != 1]
    if not late:
        return dict(costs)
    found = {term: micros.copy() for term, micros in costs.items()}
    for micros in found.values():
        for g in late:
            micros[g] = [half_up(int(one) * share[g]) for one in micros[g]]
    return found


def _machines(
    world: World,
    groups: MachineGroups,
    economics: Economics,
    classes: Mapping[str, WorkloadClass],
    document: WhatIf,
) -> Machines:
    names = list(world.pools)
    rows = _rows(groups, world, names)
    rows += [
        _Row(f"{groups.ids[g]} (growth {n + 1})", more, rows[g].demand, -1, rows[g].running, 0, g)
        for n, growth in enumerate(world.growth)
        for g, more in enumerate(_grown(groups, growth))
        if more
    ]
    selected = {one: list(chosen) for one, chosen in groups.selected.items()}
    licensed = {one: list(chosen) for one, chosen in groups.licensed.items()}
    for row in rows[len(groups.ids) :]:
        for columns in (selected, licensed):
            for chosen in columns.values():
                chosen.append(bool(chosen[row.source]))
    needs = Needs(economics)
    for stream in world.streams:
        rows.append(_streamed(stream, classes, document.months))
        fact = _fact(stream, classes)
        for selector, chosen in selected.items():
            chosen.append(selector.fits(fact))
        for product in dict.fromkeys((*licensed, *needs(fact))):
            licensed.setdefault(product, [False] * (len(rows) - 1)).append(product in needs(fact))
    return Machines(
        ids=tuple(one.id for one in rows),
        count=np.array([one.count for one in rows], dtype=np.int64),
        demand=np.array([one.demand for one in rows], dtype=np.int64).reshape(-1, len(RESOURCES)),
        current=np.array([one.current for one in rows], dtype=np.int64),
        running=np.array([one.running for one in rows], dtype=np.bool_),
        copy_mib=np.array([one.copy_mib for one in rows], dtype=np.int64),
        selected={one: np.array(chosen, dtype=np.bool_) for one, chosen in selected.items()},
        licensed={one: np.array(chosen, dtype=np.bool_) for one, chosen in licensed.items()},
        source=tuple(one.source for one in rows),
        share=tuple(one.share for one in rows),
    )


@dataclass(frozen=True)
class _Row:
    id: str
    count: int
    demand: tuple[int, ...]
    current: int
    running: bool
    copy_mib: int
    source: int
    share: Fraction = Fraction(1)


def _rows(groups: MachineGroups, world: World, names: Sequence[str]) -> list[_Row]:
    """Those of the estate."""
    position = {name: p for p, name in enumerate(names)}
    columns = zip(
        groups.ids,
        groups.count.tolist(),
        groups.demand[world.sized_by].tolist(),
        groups.pool,
        groups.running.tolist(),
        groups.copy_mib.tolist(),
        strict=True,
    )
    return [
        _Row(name, count, tuple(demand), position.get(pool, -1), running, copy_mib, g)
        for g, (name, count, demand, pool, running, copy_mib) in enumerate(columns)
    ]


def _grown(groups: MachineGroups, growth: Growth) -> list[int]:
    """How many more machines of each group: every n-th of those that are meant, in the groups' order.

    With a seed the first is drawn, otherwise it is the middle one of the first n.
    """
    chosen = groups.selected[growth.machines]
    count = np.where(chosen, groups.count, 0)
    total = int(count.sum())
    extra = half_up(total * Fraction(growth.percent) / 100)
    if not extra:
        return [0] * len(count)
    offset = np.random.default_rng(growth.seed).integers(2 * total) if growth.seed else total
    positions = [(2 * n * total + int(offset)) // (2 * extra) for n in range(extra)]
    at = np.searchsorted(np.cumsum(count), np.array(positions), side="right")
    return [int(one) for one in np.bincount(at, minlength=len(count))]


def _streamed(stream: Stream, classes: Mapping[str, WorkloadClass], months: int) -> _Row:
    """All machines of the horizon, each of which costs from its month on."""
    last = min(stream.last_month or months, months)
    lasts = [months - month + 1 for month in range(stream.first_month, last + 1)]
    size = classes[stream.workload_class].sizes[stream.size]
    return _Row(
        id=stream.id,
        count=stream.per_month * len(lasts),
        demand=(size.vcpu, size.memory_mib, size.disk_gib),
        current=-1,
        running=True,
        copy_mib=0,
        source=-1,
        share=Fraction(sum(lasts), months * len(lasts)),
    )


def _fact(stream: Stream, classes: Mapping[str, WorkloadClass]) -> MachineFacts:
    size = classes[stream.workload_class].sizes[stream.size]
    return MachineFacts(
        id="", name="", workload_class=stream.workload_class, tier="", pool="", site="", hypervisor="", application="",
        tenant="", folder="", guest_os="", software=frozenset(stream.software), labels={},
        data=classes[stream.workload_class].data_classification.value,
        availability=classes[stream.workload_class].availability.value, required_tier="", powered_on=True,
        vcpus=size.vcpu, memory_mib=size.memory_mib,
    )  # fmt: skip
