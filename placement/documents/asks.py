"""Requests of a document as columns: one row an entry, repeated as often as it counts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from catalog.wording import known_names
from placement.arrays import Int64
from placement.documents.form import Document, Flavor, Prices, Reason, Refused, Request
from placement.documents.rooms import LIMIT, unknown_class
from placement.problem import Pair
from policies.decisions import Rejection

T = TypeVar("T")
_UNIT = 10**12
"""Unit prices are counted in this part of the currency."""
_MOST_REQUESTS = 1_000_000
_TOLD_BY = "refused"
"""The rule of a refusal that the document states as a text alone."""

Row = tuple[int, ...]


@dataclass
class Asks:
    """Reads entry after entry; what is wrong goes into `problems`, with the path where it is written."""

    form: Document
    problems: list[str] = field(default_factory=list)
    _checked: set[str] = field(default_factory=set)
    _told: set[int] = field(default_factory=set)
    _refused: dict[str, dict[int, tuple[Rejection, ...]]] = field(default_factory=dict)
    _rows: dict[tuple[Row, str], Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pools = self.form.pools
        self.pools_named = {
            pool.tier: [p for p, one in enumerate(pools) if one.tier == pool.tier] for pool in pools
        }
        self.pools_named |= {pool.id: [p] for p, pool in enumerate(pools)}
        flavors = self.form.flavors.values()
        said = (
            *(pool.unit_prices for pool in pools),
            *(one.prices for one in (*flavors, *self.form.requests)),
        )
        self.priced = any(one is not None for one in said)
        self.unit_prices = [
            None
            if pool.unit_prices is None
            else [int(pool.unit_prices.get(name, 0) * _UNIT) for name in self.form.resource_classes]
            for pool in pools
        ]
        self.counts = [request.count or 1 for request in self.form.requests]

    def too_many(self) -> Iterator[str]:
        """Where counts make more requests than memory would hold."""
        if sum(self.counts) > _MOST_REQUESTS:
            yield f"requests: {sum(self.counts)} machines are more than {_MOST_REQUESTS}; split the problem"

    def ids(self) -> tuple[str, ...]:
        """Of every single request."""
        self._twice()
        found: list[str] = []
        for request in self.form.requests:
            found += _ids_of(request)
        if len(set(found)) < len(found):
            self._clash()
        return tuple(found)

    def demand(self) -> Int64:
        """[R, K]."""
        rows = [self._demand(n, request) for n, request in enumerate(self.form.requests)]
        self._sum("resources", rows)
        return self._repeated(rows, len(self.form.resource_classes))

    def costs(self) -> Int64:
        """[R, P] micro-units."""
        rows = [self._costs(n, request) for n, request in enumerate(self.form.requests)]
        self._sum("prices", rows)
        return self._repeated(rows, len(self.form.pools))

    def priority(self) -> Int64 | None:
        """[R]; None where no request says anything."""
        if not any(request.priority is not None for request in self.form.requests):
            return None
        return np.repeat(
            np.array([r.priority or 0 for r in self.form.requests], dtype=np.int64), self.counts
        )

    def current(self, provider: Callable[[str, str], int | None]) -> Int64 | None:
        """[R] where they run; None where no request says anything. `provider` finds a name, or tells of it."""
        if not any("current" in request.model_fields_set for request in self.form.requests):
            return None
        at: list[int] = []
        often: list[int] = []
        for n, request in enumerate(self.form.requests):
            seats = self._seats(n, request)
            left = self.counts[n] - sum(seats.values())
            for name, count in seats.items():
                path = f"requests[{n}].current" + ("" if isinstance(request.current, str) else f".{name}")
                found = provider(path, name)
                at.append(-1 if found is None else found)
                often.append(count)
            at.append(-1)
            often.append(max(0, left))
        return np.repeat(np.array(at, dtype=np.int64), often)

    def rejections(self) -> dict[Pair, tuple[Rejection, ...]]:
        """Why policies refuse pairs."""
        found: dict[Pair, tuple[Rejection, ...]] = {}
        first = 0
        for n, request in enumerate(self.form.requests):
            refused, at = self._said(n, request, lambda one: one.refused, "refused")
            if at not in self._refused:  # What a flavor says is the same for all of its requests.
                self._refused[at] = self._refusals(refused or {}, at)
            for p, reasons in self._refused[at].items():
                found.update(dict.fromkeys(((i, p) for i in range(first, first + self.counts[n])), reasons))
            first += self.counts[n]
        return found

    def _said(
        self, n: int, request: Request, part: Callable[[Flavor], T | None], name: str
    ) -> tuple[T | None, str]:
        """What a request says itself or by its flavor, and where that is written."""
        own, at = part(request), f"requests[{n}].{name}"
        if own is not None or request.flavor is None or request.flavor not in self.form.flavors:
            return own, at
        return part(self.form.flavors[request.flavor]), f"flavors.{request.flavor}.{name}"

    def _demand(self, n: int, request: Request) -> Row:
        if request.flavor is not None and request.flavor not in self.form.flavors:
            names = known_names(request.flavor, self.form.flavors)
            self.problems.append(f"requests[{n}].flavor: there is no flavor '{request.flavor}'; {names}")
            return (0,) * len(self.form.resource_classes)
        resources, at = self._said(n, request, lambda one: one.resources, "resources")
        if resources is None:
            self.problems.append(f"{at}: is required and missing; state it here or in a flavor")
            return (0,) * len(self.form.resource_classes)
        for name in resources:
            if name not in self.form.resource_classes:
                self._once(unknown_class(self.form, f"{at}.{name}", name))
        return tuple(resources.get(name, 0) for name in self.form.resource_classes)

    def _costs(self, n: int, request: Request) -> Row:
        if request.flavor is not None and request.flavor not in self.form.flavors:
            return (0,) * len(self.form.pools)  # Its prices are not known either; told already.
        prices, at = self._said(n, request, lambda one: one.prices, "prices")
        resources, _ = self._said(n, request, lambda one: one.resources, "resources")
        demand = tuple((resources or {}).get(name, 0) for name in self.form.resource_classes)
        key = demand, at if prices is not None else ""
        if key not in self._rows:
            self._rows[key] = self._row(demand, prices, at)
        return self._rows[key]

    def _row(self, demand: Row, prices: Prices | None, at: str) -> Row:
        found = [None if units is None else _priced(demand, units) for units in self.unit_prices]
        ids = {pool.id for pool in self.form.pools}
        for name in sorted(
            prices or {}, key=ids.__contains__
        ):  # A pool's own price goes before its tier's.
            for p in self._named(f"{at}.{name}", name):
                found[p] = int((prices or {})[name] * 10**6)
        for p, price in enumerate(found):
            if self.priced and price is None:
                self._unpriced(p, at, states_some=prices is not None)
        return tuple(price or 0 for price in found)

    def _unpriced(self, p: int, at: str, *, states_some: bool) -> None:
        """A machine for nothing would go there first: where anything has a price, all must have one."""
        pool = self.form.pools[p]
        if states_some:
            way_out = f"state one for it or its tier '{pool.tier}', or give the pool unit_prices"
            self._once(f"{at}: there is no price for pool '{pool.id}'; {way_out}")
        elif p not in self._told:
            self._told.add(p)
            request = at.removesuffix(".prices")
            self.problems.append(
                f"pools[{p}].unit_prices: is missing, and {request} has no prices; state one or the other"
            )

    def _named(self, at: str, name: str) -> list[int]:
        """The pools that a pool's or a tier's name stands for."""
        if name not in self.pools_named:
            self._once(f"{at}: there is no pool or tier '{name}'; {known_names(name, self.pools_named)}")
        return self.pools_named.get(name, [])

    def _refusals(self, refused: Refused, at: str) -> dict[int, tuple[Rejection, ...]]:
        found: dict[int, tuple[Rejection, ...]] = {}
        for name, said in refused.items():
            for p in self._named(f"{at}.{name}", name):
                pool = self.form.pools[p].id
                reasons = (refusal(pool, said),) if isinstance(said, str) else _in_full(pool, said)
                found[p] = (*found.get(p, ()), *reasons)
        return {p: reasons for p, reasons in found.items() if reasons}

    def _seats(self, n: int, request: Request) -> Mapping[str, int]:
        count = self.counts[n]
        seats = {request.current: count} if isinstance(request.current, str) else request.current or {}
        if sum(seats.values()) > count:
            self.problems.append(
                f"requests[{n}].current: says where {sum(seats.values())} run, but there are {count}"
            )
        return seats

    def _repeated(self, rows: list[Row], width: int) -> Int64:
        if self.problems:
            return np.zeros((0, width), dtype=np.int64)
        return np.repeat(np.array(rows, dtype=np.int64).reshape(-1, width), self.counts, axis=0)

    def _sum(self, what: str, rows: list[Row]) -> None:
        total = sum(sum(row) * count for row, count in zip(rows, self.counts, strict=True))
        if total >= LIMIT:
            self.problems.append(
                f"requests: the {what} of all of them together are more than 62 bits hold"
                + ("" if what == "resources" else " in millionths of the currency")
            )

    def _twice(self) -> None:
        first: dict[str, int] = {}
        for n, request in enumerate(self.form.requests):
            if request.id in first:
                other = first[request.id]
                self.problems.append(
                    f"requests[{n}].id: '{request.id}' is requests[{other}] too; use each id once, or `count`"
                )
            first.setdefault(request.id, n)

    def _clash(self) -> None:
        """An id that a count makes, and that another request has."""
        if self.problems:
            return
        alone = {r.id: n for n, r in enumerate(self.form.requests) if r.count is None}
        for n, request in enumerate(self.form.requests):
            taken = [one for one in _ids_of(request) if one in alone] if request.count else []
            if taken:
                self.problems.append(
                    f"requests[{n}].count: makes '{taken[0]}', which is requests[{alone[taken[0]]}] already"
                )

    def _once(self, problem: str) -> None:
        """A mistake in a flavor is told once, however many requests have it."""
        if problem not in self._checked:
            self._checked.add(problem)
            self.problems.append(problem)


def _priced(demand: Row, units: list[int]) -> int:
    """Micro-units: each amount times its unit price, added up exactly, and rounded once, half up."""
    total = sum(n * price for n, price in zip(demand, units, strict=True))
    part = _UNIT // 10**6
    return (2 * total + part) // (2 * part)


def _ids_of(request: Request) -> list[str]:
    """The ids of what an entry counts."""
    if request.count is None:
        return [request.id]
    return [f"{request.id}#{n}" for n in range(1, request.count + 1)]


def refusal(pool: str, why: str) -> Rejection:
    """What a refusal that is stated as a text alone means."""
    return Rejection(
        rule_id=_TOLD_BY,
        pool=pool,
        dimension="policy",
        limit="refused",
        need="allowed",
        why=why,
        remedy="take the refusal out of the document if it no longer holds",
    )


def _in_full(pool: str, reasons: tuple[Reason, ...]) -> tuple[Rejection, ...]:
    return tuple(Rejection(pool=pool, **reason.model_dump()) for reason in reasons)
