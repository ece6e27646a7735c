"""What if: changes of a placement problem, written as short texts such as ``price:tier-1=+50%``."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from catalog.base import Value
from placement.arrays import Int64
from placement.problem import InvalidProblem, Pair, PlacementProblem
from policies.decisions import Rejection

FORMS = (
    "price:<tier>=+50%",
    "capacity:<pool>=-25%",
    "capacity:<pool>.<resource>=+25%",
    "pool:<pool>=lost",
    "tier:<tier>=closed",
    "grow=+30%",
)
"""Every form of a change that `parse` accepts; percentages may have a fraction (``+12.5%``)."""

Percent = Annotated[Decimal, Field(ge=-100, le=10_000, max_digits=12, allow_inf_nan=False)]
"""By how much something changes: -100 takes all of it away."""


class ScenarioInvalid(ValueError):
    """Changes that cannot be read or applied; all that is wrong is in `problems`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PriceChange(Value):
    """Every price of a tier changes by a percentage; half a micro rounds up, pair by pair."""

    tier: str
    percent: Percent

    def __str__(self) -> str:
        return f"price:{self.tier}={self.percent:+}%"

    def apply(self, problem: PlacementProblem) -> PlacementProblem:
        """The problem with the changed prices."""
        pools = _pools_of(problem, self.tier, str(self))
        cost = problem.cost_micros.copy()
        cost[:, pools] = _scaled(cost[:, pools], self.percent, half_up=True)
        return replace(problem, cost_micros=cost)


class CapacityChange(Value):
    """What is free in a pool changes by a percentage, rounded down; of one resource, or of all.

    The largest host stays as it is: more or fewer hosts of the same size.
    """

    pool: str
    resource_class: str | None = None
    percent: Percent

    def __str__(self) -> str:
        what = f".{self.resource_class}" if self.resource_class else ""
        return f"capacity:{self.pool}{what}={self.percent:+}%"

    def apply(self, problem: PlacementProblem) -> PlacementProblem:
        """The problem with the changed capacity."""
        p = _known("pool", self.pool, problem.pool_ids, str(self))
        name = self.resource_class
        every = slice(None)
        k = every if name is None else _known("resource", name, problem.resource_classes, str(self))
        free = problem.free.copy()
        free[p, k] = _scaled(free[p, k], self.percent, half_up=False)
        return replace(problem, free=free)


class PoolLost(Value):
    """A pool is gone, and everything on it must go elsewhere."""

    pool: str

    def __str__(self) -> str:
        return f"pool:{self.pool}=lost"

    def apply(self, problem: PlacementProblem) -> PlacementProblem:
        """The problem in which no request may use the pool."""
        p = _known("pool", self.pool, problem.pool_ids, str(self))
        return _closed(problem, [p], f"{self.pool} is lost in this what-if", str(self))


class TierClosed(Value):
    """A tier is given up, and everything on its pools must go elsewhere."""

    tier: str

    def __str__(self) -> str:
        return f"tier:{self.tier}=closed"

    def apply(self, problem: PlacementProblem) -> PlacementProblem:
        """The problem in which no request may use a pool of the tier."""
        pools = _pools_of(problem, self.tier, str(self))
        return _closed(problem, pools, f"{self.tier} is closed in this what-if", str(self))


class Growth(Value):
    """More requests of the kinds that are there, in proportion; their ids end in ``+1``, ``+2``, ..."""

    percent: Annotated[Decimal, Field(ge=0, le=10_000, max_digits=12, allow_inf_nan=False)]

    def __str__(self) -> str:
        return f"grow={self.percent:+}%"

    def apply(self, problem: PlacementProblem) -> PlacementProblem:
        """The problem with every n-th request, in order of size and price, once more."""
        r = len(problem.request_ids)
        extra = int(Fraction(r) * Fraction(self.percent) / 100 + Fraction(1, 2))
        keys = np.concatenate([problem.cost_micros, problem.demand], axis=1)
        by_size = np.lexsort(keys.T[::-1]) if keys.size else np.arange(r)
        copied = [int(by_size[(2 * n + 1) * r // (2 * extra)]) for n in range(extra)]
        rows = np.array([*range(r), *copied], dtype=np.int64)
        more = {
            (r + n, p): why
            for n, i in enumerate(copied)
            for p in range(len(problem.pool_ids))
            if (why := problem.rejections.get((i, p)))
        }
        none = np.full(extra, -1, dtype=np.int64)
        return replace(
            problem,
            request_ids=(*problem.request_ids, *_new_ids(problem.request_ids, copied)),
            demand=problem.demand[rows],
            cost_micros=problem.cost_micros[rows],
            rejections={**problem.rejections, **more},
            current=None if problem.current is None else np.concatenate([problem.current, none]),
        )


Change = PriceChange | CapacityChange | PoolLost | TierClosed | Growth


def parse(texts: Sequence[str]) -> tuple[Change, ...]:
    """Changes from texts in one of `FORMS`. Raises ScenarioInvalid with everything that is wrong."""
    changes: list[Change] = []
    problems: list[str] = []
    for text in texts:
        change = _parse_one(text.strip())
        if change is None:
            problems.append(f"'{text}' is not a change; write one of {', '.join(FORMS)}")
        else:
            changes.append(change)
    if problems:
        raise ScenarioInvalid(problems)
    return tuple(changes)


def apply(problem: PlacementProblem, changes: Sequence[Change]) -> PlacementProblem:
    """The problem with all changes made, in their order.

    Raises ScenarioInvalid for unknown names, for two changes of the same, and for changes of what another takes away.
    """
    problems: list[str] = []
    contradictions = list(_contradictions(problem, changes))
    for change in changes:
        try:
            problem = change.apply(problem)
        except (ScenarioInvalid, InvalidProblem) as error:
            problems.append(str(error) if isinstance(error, ScenarioInvalid) else f"'{change}': {error}")
    problems += contradictions
    if problems:
        raise ScenarioInvalid(problems)
    return problem


def _contradictions(problem: PlacementProblem, changes: Sequence[Change]) -> Iterator[str]:
    first: dict[str, Change] = {}
    gone: dict[str, Change] = {}
    for change in changes:
        earlier = first.setdefault(str(change).partition("=")[0], change)
        if earlier is not change:
            yield f"'{change}' changes the same as '{earlier}'; keep one of them"
        for pool, tier in zip(problem.pool_ids, problem.tier_of, strict=True):
            lost = isinstance(change, PoolLost) and change.pool == pool
            if lost or (isinstance(change, TierClosed) and change.tier == tier):
                gone.setdefault(pool, change)
    for change in changes:
        if isinstance(change, CapacityChange):
            pools = [change.pool]
        elif isinstance(change, PriceChange):
            tiers = zip(problem.pool_ids, problem.tier_of, strict=True)
            pools = [pool for pool, tier in tiers if tier == change.tier]
        else:
            continue
        if pools and all(pool in gone for pool in pools):
            yield f"'{change}' contradicts '{gone[pools[0]]}': nothing is left of {', '.join(pools)}; leave one of them out"


_NAME = r"[^\s:=.][^\s:=]*?"
_PERCENT = r"(?P<percent>[+-]\d{1,5}(?:\.\d{1,6})?)%"
_READERS: tuple[tuple[re.Pattern[str], Callable[..., Change]], ...] = (
    (re.compile(rf"price:(?P<tier>{_NAME})={_PERCENT}"), PriceChange),
    (re.compile(rf"capacity:(?P<pool>[^\s:=.]+)(?:\.(?P<resource_class>\w+))?={_PERCENT}"), CapacityChange),
    (re.compile(rf"pool:(?P<pool>{_NAME})=lost"), PoolLost),
    (re.compile(rf"tier:(?P<tier>{_NAME})=closed"), TierClosed),
    (re.compile(rf"grow={_PERCENT}"), Growth),
)


def _parse_one(text: str) -> Change | None:
    for pattern, make in _READERS:
        match = pattern.fullmatch(text)
        if match:
            fields: dict[str, Any] = match.groupdict()
            if "percent" in fields:
                fields["percent"] = Decimal(fields["percent"])
            try:
                return make(**fields)
            except ValueError:  # A percentage out of its range; `parse` says what is accepted.
                return None
    return None


def _known(what: str, name: str, known: Sequence[str], change: str) -> int:
    if name not in known:
        msg = f"'{change}': there is no {what} '{name}'; known are {', '.join(sorted(set(known)))}"
        raise ScenarioInvalid([msg])
    return list(known).index(name)


def _pools_of(problem: PlacementProblem, tier: str, change: str) -> list[int]:
    _known("tier", tier, problem.tier_of, change)
    return [p for p, name in enumerate(problem.tier_of) if name == tier]


def _scaled(values: Int64, percent: Decimal, *, half_up: bool) -> Int64:
    """Values times (100 + percent) / 100, exactly: rounded once, half up or down."""
    factor = (Fraction(percent) + 100) / 100
    numerator, denominator = factor.numerator, factor.denominator
    rounding = denominator // 2 if half_up else 0
    # Half up for an odd denominator never meets a half; for an even one the half goes up.
    scaled = (values.astype(object) * numerator + rounding) // denominator
    try:
        return np.asarray(scaled).astype(np.int64)
    except OverflowError:
        msg = "the changed values do not fit into 63 bits"
        raise InvalidProblem(msg) from None


def _closed(problem: PlacementProblem, pools: list[int], why: str, change: str) -> PlacementProblem:
    rejections: dict[Pair, tuple[Rejection, ...]] = dict(problem.rejections)
    for p in pools:
        reason = Rejection(
            rule_id="what-if",
            pool=problem.pool_ids[p],
            dimension="what-if",
            limit="closed",
            need="open",
            why=why,
            remedy=f"leave out '{change}'",
        )
        for i in range(len(problem.request_ids)):
            rejections[i, p] = (reason, *rejections.get((i, p), ()))
    return replace(problem, rejections=rejections)


def _new_ids(ids: tuple[str, ...], copied: list[int]) -> list[str]:
    taken, new = set(ids), []
    for i in copied:
        number = 1
        while f"{ids[i]}+{number}" in taken:
            number += 1
        new.append(f"{ids[i]}+{number}")
        taken.add(new[-1])
    return new
