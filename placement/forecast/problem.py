"""What a forecast is asked: pools, the machines in them, and how demand goes on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import numpy as np
from pydantic import Field

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from catalog.problems import Path
from catalog.resources import Amount, ResourceClass, Resources
from catalog.wording import known_names
from placement.arrays import Int64
from placement.forecast.arrivals import Arrivals
from placement.forecast.drawing import remaining
from placement.forecast.growth import NO_GROWTH, DemandGrowth, HostFailures
from placement.forecast.lifetimes import STAYS, SUM_SLACK, Lifetimes
from placement.forecast.numbers import Float64, HoursOrNone, Number, Share

RESOURCES = tuple(ResourceClass)
MONTHS_MAX = 240
YEAR_MAX = 9000
HOSTS_MAX = 100_000
RUNS_MAX = 1_000_000
_Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]


class HostGroup(Value):
    """Hosts of one size; amounts are of one host, overcommit applied."""

    count: _Count
    vcpu: Amount = 0
    memory_mib: Amount = 0
    disk_gib: Amount = 0

    def amounts(self) -> tuple[int, ...]:
        """In the order of `ResourceClass`."""
        return self.vcpu, self.memory_mib, self.disk_gib


class ForecastPool(Value):
    """Hosts, what they share, and which part of each class's batches comes here."""

    name: Name
    hosts: Annotated[tuple[HostGroup, ...], Field(min_length=1)]
    shared: Resources = Resources()
    """What does not go with a host when it fails, such as storage on the network."""
    arrivals: FrozenMapping[Name, Share] = Field(default_factory=dict)
    """Class -> the part of its batches that comes to this pool; what is left of 1 goes elsewhere."""
    usable_percent: Annotated[Number, Field(gt=0, le=100)] = 100.0
    """How full machines can be packed: pieces that are too small for any machine are lost."""
    keeps_hosts: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    """The pool is full when it would eat into the room of so many of its largest hosts."""

    def capacities(self) -> Int64:
        """[H, K] of each host, the largest of a group beside each other."""
        rows = [host.amounts() for host in self.hosts for _ in range(host.count)]
        return np.array(rows, dtype=np.int64).reshape(-1, len(RESOURCES))

    def shared_amounts(self) -> Int64:
        """[K]."""
        return np.array([self.shared.amount(rc) for rc in RESOURCES], dtype=np.int64)

    def limits(self) -> Float64:
        """[K] demand above which the pool is full.

        The room of the `keeps_hosts` largest hosts is kept for each resource by itself, as any hosts may fail.
        """
        sizes = np.sort(self.capacities(), axis=0)
        kept = sizes[: max(0, len(sizes) - self.keeps_hosts)].sum(axis=0)
        found: Float64 = (kept * self.usable_percent + self.shared_amounts() * 100.0) / 100.0
        return found


class Present(Value):
    """Machines of one class that are in a pool at the start."""

    workload_class: Name
    count: _Count
    age_hours: HoursOrNone | None = None
    """None: met at a random moment of their lives, by the lifetimes of their class."""
    stay: bool = False
    """They never leave, whatever the lifetimes of their class."""


class ClassModel(Value):
    """Machines of one size: what each needs, how they come and how long they live."""

    each: Resources
    arrivals: Arrivals | None = None
    """None: none come."""
    lifetimes: Lifetimes = STAYS


class Models(Value):
    """All that is assumed about what is to come."""

    classes: FrozenMapping[Name, ClassModel]
    growth: DemandGrowth = NO_GROWTH
    failures: HostFailures | None = None
    """None: hosts do not fail."""


class InvalidForecast(ValueError):
    """Parts of a forecast that do not go together: all that is wrong, each with its place in a document."""

    def __init__(self, found: tuple[tuple[Path, str], ...]) -> None:
        self.found = found
        super().__init__("\n".join(self.problems))

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words."""
        return tuple(message for _, message in self.found)

    def __reduce__(self) -> tuple[type["InvalidForecast"], tuple[tuple[tuple[Path, str], ...]]]:
        return type(self), (self.found,)


@dataclass(frozen=True)
class ForecastProblem:
    """A whole question. Raises InvalidForecast with everything that does not go together."""

    pools: tuple[ForecastPool, ...]
    machines: Mapping[str, tuple[Present, ...]]
    """Pool -> the machines in it at the start."""
    models: Models
    start: date
    """The forecast begins at midnight of this day; weights of hours are in its time zone."""
    months: int
    step_days: int = 7
    """Bands and N+1 are told for the start and every so many days; times of being full are exact."""

    def __post_init__(self) -> None:
        found = tuple(self._mistakes())
        if found:
            raise InvalidForecast(found)

    def _mistakes(self) -> Iterator[tuple[Path, str]]:
        if not self.pools:
            yield ("pools",), "there are no pools; give at least one"
        if not 1 <= self.months <= MONTHS_MAX:
            yield ("months",), f"months must be from 1 to {MONTHS_MAX}: {self.months}"
        elif self.start.year > YEAR_MAX:
            yield ("start",), f"start must be before {YEAR_MAX + 1}: {self.start}"
        if not 1 <= self.step_days <= 31:
            yield ("step_days",), f"step_days must be from 1 to 31: {self.step_days}"
        names = [pool.name for pool in self.pools]
        for name in sorted(set(names)):
            if names.count(name) > 1:
                yield ("pools", name), f"pool '{name}' stands twice"
        for name in self.machines:
            if name not in names:
                known = known_names(name, names)
                yield ("pools",), f"machines stand in pool '{name}', which is not there; {known}"
        for pool in self.pools:
            yield from self._of_pool(pool)
        yield from self._shared_out()

    def _of_pool(self, pool: ForecastPool) -> Iterator[tuple[Path, str]]:
        known, at = self.models.classes, ("pools", pool.name)
        hosts = sum(group.count for group in pool.hosts)
        if hosts > HOSTS_MAX:
            yield (*at, "hosts"), f"pool '{pool.name}' has {hosts:,} hosts; the most are {HOSTS_MAX:,}"
        if pool.keeps_hosts >= hosts:
            message = (
                f"pool '{pool.name}' keeps {pool.keeps_hosts} of its {hosts} hosts free; it must keep fewer"
            )
            yield (*at, "keeps_hosts"), message
        for name in pool.arrivals:
            if name not in known:
                message = f"class '{name}' arrives in pool '{pool.name}' but is not there; {known_names(name, known)}"
                yield (*at, "arrivals", name), message
        for i, there in enumerate(self.machines.get(pool.name, ())):
            name, place = there.workload_class, (*at, "machines", i)
            if name not in known:
                message = (
                    f"machines of class '{name}' stand in pool '{pool.name}'; {known_names(name, known)}"
                )
                yield (*place, "workload_class"), message
            elif there.age_hours is not None and not there.stay:
                try:
                    remaining(known[name].lifetimes, there.age_hours)
                except ValueError as error:
                    yield (*place, "age_hours"), f"class '{name}': {error}"

    def _shared_out(self) -> Iterator[tuple[Path, str]]:
        for name in self.models.classes:
            total = sum(pool.arrivals.get(name, 0.0) for pool in self.pools)
            if total > 1 + SUM_SLACK:
                message = (
                    f"the pools' shares of class '{name}' sum to {total:g}; they must sum to 1 at most"
                )
                last = [pool.name for pool in self.pools if name in pool.arrivals][-1]
                yield ("pools", last, "arrivals", name), message

    @property
    def end(self) -> date:
        """The first day after the horizon."""
        month = self.start.month - 1 + self.months
        year, month = self.start.year + month // 12, month % 12 + 1
        first_after = date(year + month // 12, month % 12 + 1, 1)
        last = (first_after - date(year, month, 1)).days
        return date(year, month, min(self.start.day, last))

    @property
    def days(self) -> int:
        """The length of the horizon."""
        return (self.end - self.start).days

    def grid_days(self) -> Int64:
        """[G] when bands are told, in days from the start; the last is the end."""
        steps = np.arange(0, self.days, self.step_days, dtype=np.int64)
        return np.append(steps, self.days)
