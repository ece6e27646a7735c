"""A problem -> its document; reading that gives an equal problem."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.constraint import Constraint
from placement.documents import kinds
from placement.documents.asks import refusal
from placement.documents.form import FORMAT
from placement.periods import Periods
from placement.problem import DEFAULT_OBJECTIVE, PlacementProblem
from policies.decisions import Rejection

Json = dict[str, Any]


def document_of(problem: PlacementProblem) -> Json:
    """Only what is not a default is written; equal requests that follow each other and form a group are counted."""
    writer = _Requests(problem)
    requests = list(writer.entries())
    found: Json = {
        "format": FORMAT,
        "currency": problem.currency,
        "horizon_hours": problem.horizon_hours,
        "resource_classes": list(problem.resource_classes),
        "pools": list(_pools(problem)),
        "flavors": writer.flavors,
        "requests": requests,
        "groups": writer.groups(),
        "periods": None if problem.periods is None else list(problem.periods.names),
        "reservations": [] if problem.periods is None else list(_reservations(problem, problem.periods)),
        "constraints": [_constraint(one) for one in problem.constraints],
    }
    needed = {"format", "currency", "horizon_hours", "resource_classes", "pools", "requests"}
    if problem.objective != DEFAULT_OBJECTIVE:
        found["objective"] = [dict(level) for level in problem.objective]
        needed.add("objective")  # Also where it has no level: then placing is all.
    return {name: part for name, part in found.items() if part or name in needed}


def money(micros: int) -> str:
    """``12.34``: exact, without zeros at the end."""
    return f"{Decimal(micros).scaleb(-6):f}".rstrip("0").rstrip(".") if micros else "0"


def _constraint(constraint: Constraint) -> Json:
    kind = kinds.declared(type(constraint))
    return {
        "kind": kind,
        **constraint.model_dump(mode="json", exclude_defaults=True, by_alias=True, exclude={"kind"}),
    }


def _pools(problem: PlacementProblem) -> Iterator[Json]:
    for p, name in enumerate(problem.pool_ids):
        inventories = dict(_pool_inventories(problem, p))
        pool: Json = {"id": name, "tier": problem.tier_of[p], **_labels(problem.labels, p)}
        if inventories:
            pool["inventories"] = inventories
        if problem.hosts is not None:
            pool["hosts"] = list(_hosts(problem, p))
        yield pool


def _pool_inventories(problem: PlacementProblem, p: int) -> Iterator[tuple[str, Json]]:
    """All of a pool without hosts; otherwise what its hosts do not say."""
    hosts = problem.hosts
    for k, name in enumerate(problem.resource_classes):
        said = int(problem.free[p, k]), int(problem.largest[p, k])
        if hosts is not None and name not in hosts.shared:
            inside = hosts.pool_of == p
            together = int(hosts.free[inside, k].sum()), int(hosts.largest[inside, k].max(initial=0))
            if said == together:
                continue
        yield name, _inventory(*said)


def _hosts(problem: PlacementProblem, p: int) -> Iterator[Json]:
    hosts = problem.hosts
    assert hosts is not None, "only called where there are hosts"
    own = [(k, name) for k, name in enumerate(problem.resource_classes) if name not in hosts.shared]
    for h in np.flatnonzero(hosts.pool_of == p).tolist():
        inventories = {name: _inventory(int(hosts.free[h, k]), int(hosts.largest[h, k])) for k, name in own}
        yield {"id": hosts.ids[h], **_labels(hosts.labels, h), "inventories": inventories}


def _inventory(free: int, largest: int) -> Json:
    return {"total": free} if largest == free else {"total": free, "max_unit": largest}


def _labels(labels: Mapping[str, tuple[str, ...]], at: int) -> Json:
    """A label that no one has a value of is kept by an empty value at the first."""
    found = {name: v[at] for name, v in labels.items() if v[at] or (at == 0 and not any(v))}
    return {"labels": found} if found else {}


def _reservations(problem: PlacementProblem, periods: Periods) -> Iterator[Json]:
    """One for each stretch of slots in which a provider's takings stay the same."""
    for v in np.flatnonzero(periods.taken.any(axis=(0, 2))).tolist():
        taken = periods.taken[:, v]
        starts = [0, *(np.flatnonzero(np.diff(taken, axis=0).any(axis=1)) + 1).tolist(), len(taken)]
        for first, end in pairwise(starts):
            amounts = zip(problem.resource_classes, taken[first].tolist(), strict=True)
            resources = {name: n for name, n in amounts if n}
            if resources:
                name = problem.providers.ids[v]
                yield {"provider": name, "resources": resources, **_span(periods, first, end)}


def _span(periods: Periods, first: int, end: int) -> Json:
    begins = {"from": periods.names[first]} if first else {}
    return begins | ({"until": periods.names[end]} if end < len(periods.names) else {})


@dataclass
class _Requests:
    """Writes requests; what several have in common becomes a flavor."""

    problem: PlacementProblem

    def entries(self) -> Iterator[Json]:
        """One for each request, or for each group of equal ones with the ids that a count gives."""
        i, ids = 0, self.problem.request_ids
        while i < len(ids):
            count = self._counted(i)
            said = self._entry(i, count or 1)
            yield (
                {"id": ids[i].rpartition("#")[0], "count": count, **said}
                if count
                else {"id": ids[i], **said}
            )
            i += count or 1

    @cached_property
    def flavors(self) -> dict[str, Json]:
        """Name -> what it says, for everything that at least two requests have in common."""
        return {name: self._said(int(self._first[f])) for f, name in self._names.items()}

    def groups(self) -> dict[str, list[str]]:
        """Without those that counts make; these stand for their members in others."""
        made = {self.problem.request_ids[i]: name for name, i in self._made.items()}
        found: dict[str, list[str]] = {}
        for name, ids in self.problem.groups.items():
            if name not in self._made:
                found[name] = list(self._short(ids, made))
        return found

    def _short(self, ids: tuple[str, ...], made: Mapping[str, str]) -> Iterator[str]:
        """A counted group's name in the place of its members, where all of them follow each other."""
        n = 0
        while n < len(ids):
            name = made.get(ids[n])
            whole = () if name is None else self.problem.groups[name]
            if name is not None and ids[n : n + len(whole)] == whole:
                yield name
                n += len(whole)
            else:
                yield ids[n]
                n += 1

    @cached_property
    def _made(self) -> dict[str, int]:
        """The groups that counts make, with their first request: equal but for where they run."""
        ids, position = self.problem.request_ids, self.problem.request_positions
        found = {}
        for name, members in self.problem.groups.items():
            first = position.get(f"{name}#1")
            if first is None or first + len(members) > len(ids) or not members:
                continue
            named = all(one == f"{name}#{n}" for n, one in enumerate(members, start=1))
            if named and ids[first : first + len(members)] == members and self._alike(first, len(members)):
                found[name] = first
        return found

    @cached_property
    def _counts(self) -> dict[int, int]:
        return {first: len(self.problem.groups[name]) for name, first in self._made.items()}

    def _counted(self, i: int) -> int:
        return self._counts.get(i, 0)

    def _alike(self, first: int, count: int) -> bool:
        same = bool((self._kinds[first : first + count] == self._kinds[first]).all())
        return same and self._seats(first, count) is not None

    def _seats(self, first: int, count: int) -> Json | None:
        """How many run where, the first ones on the first named; None where they run in no such order."""
        current = self.problem.current
        found: Json = {}
        if current is None:
            return found
        starts = [0, *(np.flatnonzero(np.diff(current[first : first + count])) + 1).tolist(), count]
        for at, end in pairwise(starts):
            v = int(current[first + at])
            name = self.problem.providers.ids[v]
            if v >= 0 and name not in found:
                found[name] = end - at
            elif v >= 0 or end < count:
                return None
        return found

    @cached_property
    def _flavor_of(self) -> Int64:
        """[R] numbers of what flavors hold: demand, prices, refusals."""
        problem = self.problem
        refused = np.zeros((len(problem.request_ids), 1), dtype=np.int64)
        number: dict[object, int] = {}
        for i, reasons in self._refused.items():
            key = tuple(sorted(reasons.items(), key=lambda item: item[0]))
            refused[i] = number.setdefault(key, len(number) + 1)
        columns = np.concatenate([problem.demand, problem.cost_micros, refused], axis=1)
        return _numbers(columns)

    @cached_property
    def _kinds(self) -> Int64:
        """[R] numbers of everything that an entry says."""
        problem = self.problem
        columns = [self._flavor_of]
        columns += [] if problem.priority is None else [problem.priority]
        if problem.periods is not None:
            columns += [problem.periods.first, problem.periods.end]
        return _numbers(np.column_stack(columns))

    @cached_property
    def _priced(self) -> bool:
        return bool(self.problem.cost_micros.any())

    @cached_property
    def _first(self) -> Int64:
        """The first request of each flavor's number."""
        _, first = np.unique(self._flavor_of, return_index=True)
        return first.astype(np.int64)

    @cached_property
    def _names(self) -> dict[int, str]:
        often = Counter(self._flavor_of[i] for i in self._starts)
        return {
            int(f): f"f{n}" for n, f in enumerate(sorted(f for f, c in often.items() if c > 1), start=1)
        }

    @cached_property
    def _starts(self) -> list[int]:
        inside = {i for first, count in self._counts.items() for i in range(first + 1, first + count)}
        return [i for i in range(len(self.problem.request_ids)) if i not in inside]

    @cached_property
    def _refused(self) -> dict[int, dict[int, tuple[Rejection, ...]]]:
        found: dict[int, dict[int, tuple[Rejection, ...]]] = {}
        for (i, p), reasons in self.problem.rejections.items():
            if reasons:
                found.setdefault(i, {})[p] = reasons
        return found

    def _entry(self, i: int, count: int) -> Json:
        name = self._names.get(int(self._flavor_of[i]))
        said = self._said(i) if name is None else {"flavor": name}
        return said | self._own(i) | self._running(i, count)

    def _said(self, i: int) -> Json:
        problem = self.problem
        amounts = zip(problem.resource_classes, problem.demand[i].tolist(), strict=True)
        said: Json = {"resources": {name: n for name, n in amounts if n}}
        if self._priced:
            said["prices"] = self._prices(problem.cost_micros[i].tolist())
        refused = {
            problem.pool_ids[p]: _reasons(why) for p, why in sorted(self._refused.get(i, {}).items())
        }
        return said | ({"refused": refused} if refused else {})

    def _prices(self, micros: list[int]) -> Json:
        """By tier where all of its pools cost the same, otherwise by pool."""
        problem = self.problem
        of_tier: dict[str, set[int]] = {}
        for tier, price in zip(problem.tier_of, micros, strict=True):
            of_tier.setdefault(tier, set()).add(price)
        found = {}
        for pool, tier, price in zip(problem.pool_ids, problem.tier_of, micros, strict=True):
            by_tier = len(of_tier[tier]) == 1 and tier not in problem.pool_ids
            found[tier if by_tier else pool] = money(price)
        return found

    def _own(self, i: int) -> Json:
        """What belongs to no flavor; a first value says that there is such a column, even where it is a default."""
        problem = self.problem
        said: Json = {}
        if problem.priority is not None and (i == 0 or problem.priority[i]):
            said["priority"] = int(problem.priority[i])
        if problem.periods is not None:
            said |= _span(problem.periods, int(problem.periods.first[i]), int(problem.periods.end[i]))
        return said

    def _running(self, i: int, count: int) -> Json:
        if self.problem.current is None:
            return {}
        seats = self._seats(i, count) or {}
        if not seats:
            return {"current": None} if i == 0 else {}
        (name, often), *more = seats.items()
        return {"current": seats if more or often < count else name}


def _reasons(why: tuple[Rejection, ...]) -> str | list[Json]:
    if len(why) == 1 and why[0] == refusal(why[0].pool, why[0].why):
        return why[0].why
    return [one.model_dump(mode="json", exclude={"pool"}) for one in why]


def _numbers(rows: Int64) -> Int64:
    """[R] equal rows have equal numbers, in the order in which they first stand; by hashing, for sorting takes minutes."""
    text, width = np.ascontiguousarray(rows).tobytes(), rows.shape[1] * rows.itemsize
    number: dict[bytes, int] = {}
    keys = (text[at : at + width] for at in range(0, len(text), width))
    return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
