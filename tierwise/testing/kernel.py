"""What the online kernel is tested against: its primitives with data made by chance, and a recount in plain Python."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from placement.arrays import Int64
from placement.constraint import Constraint
from placement.online import Online
from placement.online.admitted import TOGETHER
from placement.problem import PlacementProblem
from placement.providers import Hosts
from placement.verify import broken

RESOURCES = ("vcpu", "memory_mib")
SAID: dict[int, "Said"] = {}
"""What `Says` says, by its number: constraints are values, and arrays are none."""


@dataclass
class Said:
    """Primitives of the kernel as this test keeps them: by request where the kernel has classes."""

    labels: Int64
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Says(Constraint):
    """Calls the kernel's primitives as `SAID` has them."""

    terms: ClassVar[tuple[str, ...]] = ("penalties",)
    number: int

    def labels(self, problem: PlacementProblem) -> Int64:
        """As the test says."""
        return SAID[self.number].labels

    def admit(self, kernel: Any) -> None:
        """Its calls, with data by class."""
        one = kernel.classes.one
        for name, data in SAID[self.number].calls:
            of_classes = {k: v[one] if k in BY_REQUEST else v for k, v in data.items()}
            getattr(kernel, PRIMITIVE.get(name, name))(**of_classes)


PRIMITIVE = {"devices": "storage"}
"""What is told by a primitive of another name."""
BY_REQUEST = {"kind", "weight", "members", "cells", "need", "nodes", "allowed"}


def a_problem(chance: np.random.Generator) -> PlacementProblem:
    """Ten requests of up to four kinds on six hosts in two pools; some run somewhere today, some pairs are refused."""
    r, h, kinds = 10, 6, int(chance.integers(1, 5))
    of = chance.integers(0, kinds, r)
    pool_of = np.array([0, 0, 0, 0, 1, 1])
    free = chance.integers(8, 25, (h, 2))
    return PlacementProblem(
        resource_classes=RESOURCES,
        request_ids=tuple(f"r{i}" for i in range(r)),
        demand=chance.integers(0, 8, (kinds, 2))[of],
        pool_ids=("a", "b"),
        tier_of=("tier-1", "tier-2"),
        free=np.array([free[pool_of == p].sum(axis=0) - chance.integers(0, 5) for p in range(2)]),
        largest=np.full((2, 2), 99),
        cost_micros=chance.integers(0, 3, (kinds, 2))[of],
        hosts=Hosts(tuple(f"h{n}" for n in range(h)), pool_of, free, chance.integers(5, 20, (h, 2))),
        current=chance.integers(-1, h, r) if chance.random() < 0.5 else None,
        objective=({"price": 1, "penalties": 2, "moves": 3},),
    )


def with_primitives(
    problem: PlacementProblem, chance: np.random.Generator, names: list[str]
) -> PlacementProblem:
    """The problem with a constraint that calls these primitives with data made by chance."""
    labels = chance.integers(0, 3, len(problem.request_ids))
    said = Said(labels, [(name, MAKE[name](problem, chance, labels)) for name in names])
    number = len(SAID)
    SAID[number] = said
    return replace(problem, constraints=(Says(number=number),))


def _domains(problem: PlacementProblem, chance: np.random.Generator) -> tuple[Int64, int]:
    v, d = len(problem.providers.ids), int(chance.integers(1, 4))
    if chance.random() < 0.3:
        return chance.permutation(v), v
    return chance.integers(-1 if chance.random() < 0.5 else 0, d, v), d


def _at_most(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, d = _domains(problem, chance)
    weight = chance.integers(0, 3, 3)[labels]
    return {"weight": weight, "domain_of": domain_of, "limit": chance.integers(0, 5, d)}


def _together(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, _ = _domains(problem, chance)
    return {"members": labels == 0, "domain_of": domain_of}


def _even(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, d = _domains(problem, chance)
    return {
        "members": labels != 0,
        "domain_of": domain_of,
        "eligible": chance.random(d) < 0.8,
        "max_skew": int(chance.integers(0, 3)),
        "min_domains": int(chance.integers(0, 4)),
    }


def _apart(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, _ = _domains(problem, chance)
    return {"kind": chance.integers(-1, 2, 3)[labels], "domain_of": domain_of}


def _per_excess(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, d = _domains(problem, chance)
    return {
        "term": "penalties",
        "weight": chance.integers(0, 3, 3)[labels],
        "domain_of": domain_of,
        "free_of_charge": chance.integers(0, 4, d),
        "cost": chance.integers(0, 5, d),
    }


def _opening(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, d = _domains(problem, chance)
    return {
        "term": "penalties",
        "members": labels > 0,
        "domain_of": domain_of,
        "cost": chance.integers(0, 5, d),
    }


def _packs(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    domain_of, d = _domains(problem, chance)
    return {
        "term": "penalties",
        "weight": chance.integers(0, 3, 3)[labels],
        "domain_of": domain_of,
        "size": chance.integers(1, 4, d),
        "cost": chance.integers(0, 5, d),
        "most": chance.integers(0, 12, d),
    }


def _forbid(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    return {"cells": (chance.random((3, len(problem.providers.ids))) < 0.2)[labels]}


def _price(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    return {"term": "penalties", "cells": chance.integers(0, 3, (3, len(problem.providers.ids)))[labels]}


def _numa(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    nodes = chance.integers(0, 3, 3)
    need = np.where(nodes[:, None] > 0, chance.integers(0, 5, (3, 2)), 0)
    free = chance.integers(0, 10, (len(problem.providers.ids), 2, 2))
    return {"need": need[labels], "nodes": nodes[labels], "free": free}


def _storage(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    need = chance.integers(0, 5, (3, 2)) * chance.integers(0, 2, (3, 1))
    return {
        "name": "datastores",
        "need": need[labels],
        "reach": chance.random((len(problem.providers.ids), 3)) < 0.6,
        "allowed": (chance.random((3, 3)) < 0.7)[labels],
        "free": chance.integers(0, 15, (3, 2)),
        "choice_of": chance.permutation(3),
    }


def _devices(problem: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    """Two models in each provider, in any order, of which each provider reaches its own."""
    v = len(problem.providers.ids)
    owner, model = chance.permutation(np.argwhere(np.ones((v, 2), dtype=np.bool_))).T
    return {
        "name": "devices",
        "need": chance.integers(0, 3, (3, 1))[labels],
        "reach": np.arange(v)[:, None] == owner,
        "allowed": (chance.random((3, 2)) < 0.7)[labels],
        "free": chance.integers(0, 5, (2 * v, 1)),
        "choice_of": model,
    }


def _failover(_: PlacementProblem, chance: np.random.Generator, labels: Int64) -> dict[str, Any]:
    weight = chance.integers(0, 2, 3)[labels]
    return {"pool": 0, "losses": int(chance.integers(1, 3)), "weight": weight}


Maker = Callable[[PlacementProblem, np.random.Generator, Int64], dict[str, Any]]
MAKE: dict[str, Maker] = {
    "at_most": _at_most,
    "together": _together,
    "even": _even,
    "apart": _apart,
    "per_excess": _per_excess,
    "opening": _opening,
    "packs": _packs,
    "forbid": _forbid,
    "price": _price,
    "numa": _numa,
    "storage": _storage,
    "failover": _failover,
    "devices": _devices,
}


class Recount:
    """What the kernel's state should say, counted from its decisions alone."""

    def __init__(self, online: Online) -> None:
        self.online = online
        self.problem = online.problem
        self.calls = [
            call
            for one in self.problem.constraints
            if isinstance(one, Says)
            for call in SAID[one.number].calls
        ]

    def could(self, i: int, v: int) -> bool:
        """Whether request `i`, which is not placed, may go to `v`, given where the others are."""
        problem, where = self.problem, self.online.provider_of.tolist()
        seats = [*where[:i], v, *where[i + 1 :]]
        if broken(problem, replace(self.online.seats, provider_of=np.array(seats))):
            return False
        return all(
            getattr(self, f"_{name}", lambda **_: True)(i=i, v=v, seats=seats, **data)
            for name, data in self.calls
        )

    def costs(self, seats: list[int]) -> int:
        """The first level of the objective."""
        problem, total = self.problem, 0
        for i, v in enumerate(seats):
            if v >= 0:
                total += int(problem.cost_micros[i, problem.providers.pool_of[v]])
                if problem.current is not None and problem.current[i] not in {-1, v}:
                    total += 3
        for name, data in self.calls:
            if name == "price":
                total += 2 * sum(int(data["cells"][i, v]) for i, v in enumerate(seats) if v >= 0)
            if name not in {"per_excess", "opening", "packs"}:
                continue
            weight = data["weight"] if "weight" in data else data["members"]
            for d in range(len(data["cost"])):
                n, cost = self._in(seats, weight, data["domain_of"], d), int(data["cost"][d])
                if name == "per_excess":
                    total += 2 * cost * max(0, n - int(data["free_of_charge"][d]))
                elif name == "opening":
                    total += 2 * cost * (n > 0)
                else:
                    total += 2 * min(int(data["most"][d]), -(-n // int(data["size"][d])) * cost)
        return total

    def _in(self, seats: list[int], weight: Int64, domain_of: Int64, d: int) -> int:
        return sum(int(weight[i]) for i, v in enumerate(seats) if v >= 0 and domain_of[v] == d)

    def _at_most(
        self, *, i: int, v: int, seats: list[int], weight: Int64, domain_of: Int64, limit: Int64
    ) -> bool:
        d = int(domain_of[v])
        return d < 0 or weight[i] == 0 or self._in(seats, weight, domain_of, d) <= limit[d]

    def _together(self, *, i: int, v: int, seats: list[int], members: Int64, domain_of: Int64) -> bool:
        if not members[i] or domain_of[v] < 0:
            return True
        used = {int(domain_of[w]) for j, w in enumerate(seats) if w >= 0 and members[j]} - {-1}
        return len(used) == 1

    def _even(
        self,
        *,
        i: int,
        v: int,
        seats: list[int],
        members: Int64,
        domain_of: Int64,
        eligible: Int64,
        max_skew: int,
        min_domains: int,
    ) -> bool:
        d = int(domain_of[v])
        if not members[i] or d < 0 or not eligible[d]:
            return True
        counts = [self._in(seats, members, domain_of, e) for e in range(len(eligible)) if eligible[e]]
        least = 0 if sum(n > 0 for n in counts) < min_domains else min(counts)
        return self._in(seats, members, domain_of, d) - least <= max_skew

    def _apart(self, *, i: int, v: int, seats: list[int], kind: Int64, domain_of: Int64) -> bool:
        d = int(domain_of[v])
        if kind[i] < 0 or d < 0:
            return True
        return {int(kind[j]) for j, w in enumerate(seats) if w >= 0 and domain_of[w] == d} - {-1} == {
            kind[i]
        }

    def _forbid(self, *, i: int, v: int, seats: list[int], cells: Int64) -> bool:
        return not cells[i, v]

    def _numa(self, *, i: int, v: int, seats: list[int], need: Int64, nodes: Int64, free: Int64) -> bool:
        chosen = self.online.choices["numa"]
        fit = 0
        for n in range(free.shape[1]):
            left = free[v, n].copy()
            for j, w in enumerate(seats):
                if w == v and j != i and chosen[j] > 0 and chosen[j] >> n & 1:
                    left -= need[j]
            assert (left >= 0).all()
            fit += bool((left >= need[i]).all())
        return bool(fit >= nodes[i])

    def _storage(
        self,
        *,
        i: int,
        v: int,
        seats: list[int],
        name: str,
        need: Int64,
        reach: Int64,
        allowed: Int64,
        free: Int64,
        choice_of: Int64,
    ) -> bool:
        left = free.copy()
        for j, choice in enumerate(self.online.choices[name].tolist()):
            if seats[j] >= 0 and j != i:
                assert (choice >= 0) == need[j].any()
            if choice >= 0:
                (s,) = [s for s, c in enumerate(choice_of) if c == choice and reach[seats[j], s]]
                assert allowed[j, choice]
                left[s] -= need[j]
        assert (left >= 0).all()
        fits = (left >= need[i]).all(axis=1) & reach[v] & allowed[i, choice_of]
        return bool(fits.any()) or not need[i].any()

    _devices = _storage

    def _failover(self, *, i: int, v: int, seats: list[int], pool: int, losses: int, weight: Int64) -> bool:
        """With the restarts that the kernel has planned for the others."""
        problem, parts = self.problem, self.online.parts
        hosts = np.flatnonzero(problem.providers.pool_of == pool).tolist()
        if v not in hosts:
            return True
        others = [w if j != i else -1 for j, w in enumerate(seats)]
        left = {
            h: problem.providers.free[h] - sum(problem.demand[j] for j, w in enumerate(others) if w == h)
            for h in hosts
        }
        seen = dict.fromkeys(hosts, 0)
        peak = {h: np.zeros(2, dtype=np.int64) for h in hosts}
        ways = []
        for lost in combinations(range(len(hosts)), losses):
            load = {h: np.zeros(2, dtype=np.int64) for h in hosts}
            for n in lost:
                for j, w in enumerate(others):
                    if w == hosts[n] and weight[j]:
                        to = int(parts.target[j, seen[w]])
                        assert to >= 0
                        assert to not in lost
                        load[hosts[to]] += problem.demand[j]
                seen[hosts[n]] += 1
            assert all((load[h] <= left[h]).all() for h in hosts)
            for h in hosts:
                peak[h] = np.maximum(peak[h], load[h])
            if v in [hosts[n] for n in lost] and weight[i]:
                allowed = [h for n, h in enumerate(hosts) if n not in lost and self._static(i, h)]
                ways.append(any(self._fits(i, left[h] - load[h]) for h in allowed))
        return all(ways) and self._fits(i, left[v] - peak[v])

    def _fits(self, i: int, room: Int64) -> bool:
        need = self.problem.demand[i]
        return bool(((need <= room) | (need == 0)).all())

    def _static(self, i: int, v: int) -> bool:
        problem = self.problem
        forbidden = any(name == "forbid" and data["cells"][i, v] for name, data in self.calls)
        return not forbidden and bool((problem.demand[i] <= problem.providers.largest[v]).all())

    def best(self, i: int) -> int:
        """By the order that `best` documents, with the tightest fit counted in fractions of all that was free."""
        problem, seats = self.problem, self.online.provider_of.tolist()
        home = -1 if problem.current is None else int(problem.current[i])
        possible = [v for v in range(len(problem.providers.ids)) if self.could(i, v)]
        before = self.costs(seats)

        def key(v: int) -> tuple[int, bool, bool, int, int]:
            cost = self.costs([*seats[:i], v, *seats[i + 1 :]]) - before
            return (cost, v != home, v not in seats, self._left(i, v), v)

        return min(possible, key=key, default=-1)

    def _left(self, i: int, v: int) -> int:
        """The kernel's own measure of fit: what is left in all lanes, each worth alike in all."""
        parts = self.online.parts
        return sum(
            n * max(0, left) for n, left in zip(parts.scale.tolist(), parts.room[v].tolist(), strict=True)
        )


def same(one: Online, other: Online) -> bool:
    """Whether two kernels are in the same state; what a search noted for itself is none, nor is what nobody chose."""
    placed = one.provider_of >= 0
    for name in one.parts._fields:
        of_whom: Any = slice(None)
        if name in {"gate", "to_ask"}:
            continue
        if name in {"numa_of", "store_of", "target"}:
            of_whom = placed
        if name == "low":  # Where a group is says nothing while nobody of it is anywhere.
            of_whom = (one.parts.kind != TOGETHER) | (one.parts.total > 0)
        if (getattr(one.parts, name)[of_whom] != getattr(other.parts, name)[of_whom]).any():
            return False
    return True
