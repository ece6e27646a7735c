"""A machine's disk sits on one datastore that its host reaches, of a storage tier that suits, with room and IOPS left."""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.resources import Amount
from catalog.units import format_amount
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.options import entries, in_each_slot, meeting, misnamed, needs, post_options, presence, twice
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import seats_named, unknown_providers
from placement.seats import Seats
from policies.decisions import Rejection

_Text = Annotated[str, Field(min_length=1)]


class Datastore(Value):
    """What a datastore has free, and who can use it."""

    free_gib: Amount
    """Thin provisioning, if any, is in this figure."""
    free_iops: Amount
    """Input and output operations a second that are not promised yet."""
    tier: _Text
    """What its storage is called: ``gold``, ``nvme``."""
    reached_by: tuple[str, ...]
    """Hosts, or pools, which means all of their hosts."""


class Disk(Value):
    """What a request keeps on a datastore."""

    disk_gib: Annotated[Amount, Field(ge=1)]
    """All of its disks together."""
    iops: Amount = 0
    """Operations a second."""
    tiers: tuple[_Text, ...] = ()
    """Any one of these will do; none given: any storage will."""


class Datastores(Constraint):
    """Host and datastore are chosen together; both must have room. Requests that are not named here need no datastore."""

    kind: Literal["datastores"] = "datastores"
    datastores: FrozenMapping[_Text, Datastore]
    """By name."""
    requests: FrozenMapping[str, Disk]
    """By id or by group."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who needs how much of what."""
        return needs(self.requests, _needs, "a datastore")

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, and tiers that no datastore has."""
        yield from twice(problem, Datastores)
        for name, store in self.datastores.items():
            yield from unknown_providers(problem, f"datastores.{name}.reached_by", store.reached_by)
        yield from misnamed(problem, "requests", self.requests)
        tiers = sorted({store.tier for store in self.datastores.values()})
        for name, disk in self.requests.items():
            for n, tier in enumerate(disk.tiers):
                if tier not in tiers:
                    there = ", ".join(tiers) or "none"
                    yield f"requests.{name}.tiers[{n}]: no datastore is of tier '{tier}'; there are {there}"

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R, 2 + S] space, IOPS, and which datastores suit."""
        data = self._data(problem)
        return np.column_stack((data.need, data.suits)).astype(np.int64)

    def choice_name(self, problem: PlacementProblem, choice: int) -> str:
        """The datastore."""
        return tuple(self.datastores)[choice]

    def choice_count(self, problem: PlacementProblem) -> int:
        """Every datastore."""
        return len(self.datastores)

    def post(self, model: Model) -> None:
        """Columns for each datastore that a class can use from a host, and two packing rows for each datastore."""
        data, one = self._data(model.problem), model.classes.one
        need = data.need[one]
        able = data.reach[None] & data.suits[one][:, None, :]
        room = np.where(able, model.classes.count[:, None, None], 0)
        for q in range(need.shape[1]):
            each = data.free[None, :, q] // np.maximum(need[:, q], 1)[:, None]
            room = np.where((need[:, q] > 0)[:, None, None], np.minimum(room, each[:, None, :]), room)
        columns = post_options(model, "datastores", need[:, 0] > 0, room)
        g, v, s = np.nonzero(columns >= 0)
        lower = np.full(len(data.free), -NO_LIMIT, dtype=np.int64)
        for there in presence(model.problem, one):
            for q in range(need.shape[1]):
                model.rows(s, columns[g, v, s], need[g, q] * there[g], lower, data.free[:, q])

    def admit(self, kernel: Kernel) -> None:
        """The same; over time, as if everyone stayed for good, since the primitive knows no time."""
        data, one = self._data(kernel.problem), kernel.classes.one
        stores = np.arange(len(data.free))
        kernel.storage("datastores", data.need[one], data.reach, data.suits[one], data.free, stores)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each disk that is nowhere, out of reach or on the wrong tier, and each datastore that gives more than it has."""
        disks, chosen = entries(problem, self.requests), seats.choice("datastores")
        names, kept = tuple(self.datastores), dict[int, str]()
        for i, v in enumerate(seats.provider_of.tolist()):
            disk, choice = disks[i], -1 if chosen is None else int(chosen[i])
            if v < 0 or (disk is None and choice < 0):
                continue
            request, host = problem.request_ids[i], problem.providers.ids[v]
            if disk is None or choice < 0:
                on = "no datastore" if choice < 0 else names[choice]
                yield f"{request}: is on {on}, needs {'none' if disk is None else 'one'}"
                continue
            store, kept[i] = self.datastores[names[choice]], names[choice]
            if not {host, problem.pool_ids[problem.providers.pool_of[v]]} & set(store.reached_by):
                yield f"{request}: {host} does not reach {names[choice]}"
            if disk.tiers and store.tier not in disk.tiers:
                yield f"{request}: {names[choice]} is {store.tier}, needs {' or '.join(disk.tiers)}"
        yield from self._overfull(problem, kept)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider that reaches no datastore which suits and has room."""
        data = self._data(after.problem)
        if not data.need[request].any():
            return None
        room = (data.need[request] <= self._left(after, request, data)).all(axis=1)
        blocked: Bool = ~(data.reach & data.suits[request] & room).any(axis=1)
        return blocked

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """No datastore, none that suits, or what the best of those that suit is short of."""
        problem, data = after.problem, self._data(after.problem)
        disk, host = entries(problem, self.requests)[request], problem.providers.ids[provider]
        assert disk is not None, "only requests with a disk are blocked"
        pool = problem.pool_ids[problem.providers.pool_of[provider]]
        suits = np.flatnonzero(data.reach[provider] & data.suits[request])
        if not len(suits):
            yield self._out_of_reach(pool, host, disk, data.reach[provider])
            return
        left, need = self._left(after, request, data), data.need[request]
        missing = np.maximum(need - left[suits], 0)
        nearest = int(suits[np.lexsort((missing.sum(axis=1), (missing > 0).sum(axis=1)))[0]])
        name = tuple(self.datastores)[nearest]
        for q, (dimension, noun) in enumerate((("disk_gib", ""), ("iops", " IOPS"))):
            limit, asked = max(0, int(left[nearest, q])), int(need[q])
            if asked > limit:
                words = [format_amount("disk_gib", n) if q == 0 else f"{n:,}{noun}" for n in (asked, limit)]
                of = f"the {len(suits)} datastores that suit and {host} reaches" if len(suits) > 1 else name
                yield Rejection(
                    rule_id="datastores",
                    pool=pool,
                    dimension=dimension,
                    limit=words[1],
                    need=words[0],
                    why=f"{words[0]} would have to be free on {of}; {name} has {words[1]} left",
                    remedy=f"free room on {name}, or order less disk or another storage tier",
                )

    def _out_of_reach(self, pool: str, host: str, disk: Disk, reach: Bool) -> Rejection:
        stores = [(name, s.tier) for (name, s), r in zip(self.datastores.items(), reach, strict=True) if r]
        has = ", ".join(f"{name} ({tier})" for name, tier in stores) or "no datastore"
        wanted = " or ".join(disk.tiers) or "any"
        return Rejection(
            rule_id="datastores",
            pool=pool,
            dimension="storage_tier",
            limit=", ".join(sorted({tier for _, tier in stores})) or "none",
            need=wanted,
            why=f"{host} reaches {has}; a datastore of tier {wanted} is needed",
            remedy=f"connect {host} to such a datastore, or order a storage tier that it reaches",
        )

    def _data(self, problem: PlacementProblem) -> "_Data":
        stores = list(self.datastores.values())
        disks = entries(problem, self.requests)
        needs = [(0, 0) if disk is None else (disk.disk_gib, disk.iops) for disk in disks]
        suits = [[d is not None and (not d.tiers or s.tier in d.tiers) for s in stores] for d in disks]
        reach = [seats_named(problem, store.reached_by) for store in stores]
        return _Data(
            need=np.array(needs, dtype=np.int64).reshape(-1, 2),
            suits=np.array(suits, dtype=np.bool_).reshape(len(disks), -1),
            free=np.array([(s.free_gib, s.free_iops) for s in stores], dtype=np.int64).reshape(-1, 2),
            reach=np.array(reach, dtype=np.bool_).reshape(-1, len(problem.providers.ids)).T,
        )

    def _left(self, after: Placed, request: int, data: "_Data") -> Int64:
        """[S, 2] what is free while the request is there, its own disk not counted."""
        left, chosen = data.free, after.choices.get("datastores")
        if chosen is None:
            return left
        counted = (after.provider_of >= 0) & (chosen >= 0)
        counted[request] = False
        for there in meeting(after.problem, request):
            who, now = np.flatnonzero(counted & there), data.free.copy()
            np.subtract.at(now, chosen[who], data.need[who])
            left = np.minimum(left, now)
        return left

    def _overfull(self, problem: PlacementProblem, kept: dict[int, str]) -> Iterator[str]:
        disks = entries(problem, self.requests)
        for when, there in in_each_slot(problem):
            for name, store in self.datastores.items():
                here = [disk for i in there if kept.get(i) == name and (disk := disks[i]) is not None]
                gib, iops = sum(disk.disk_gib for disk in here), sum(disk.iops for disk in here)
                if gib > store.free_gib:
                    yield f"{name}: disk_gib {gib} is more than the {store.free_gib} that is free{when}"
                if iops > store.free_iops:
                    yield f"{name}: iops {iops} is more than the {store.free_iops} that is free{when}"


def _needs(name: str, disk: Disk) -> str:
    iops = f" and {disk.iops:,} IOPS" if disk.iops else ""
    tiers = f"{' or '.join(disk.tiers)} " if disk.tiers else ""
    return f"{name} needs {format_amount('disk_gib', disk.disk_gib)}{iops} on a {tiers}datastore"


class _Data(NamedTuple):
    """Space in GiB, then IOPS, where there are two of something."""

    need: Int64
    """[R, 2] nothing for requests without a disk."""
    suits: Bool
    """[R, S] whether the datastore's tier will do."""
    free: Int64
    """[S, 2]."""
    reach: Bool
    """[V, S]."""
