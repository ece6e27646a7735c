"""Which machines and which pools a rule or a change means.

A value with ``*``, ``?`` or ``[`` is a pattern; capitals do not matter in patterns and names of machines. Of several values
in a field any one fits; all fields that are given must fit.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import translate
from functools import cache
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.pools import Hypervisor
from catalog.problems import Path
from catalog.wording import known_names
from catalog.workload_classes import Availability, DataClassification

Text = Annotated[str, Field(min_length=1, max_length=1000)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class MachineFacts:
    """What selectors look at in a machine, wherever the fact came from."""

    id: str
    name: str
    workload_class: str
    tier: str
    pool: str
    site: str
    hypervisor: str
    application: str
    tenant: str
    folder: str
    guest_os: str
    software: frozenset[str]
    labels: Mapping[str, str]
    data: str
    availability: str
    required_tier: str
    powered_on: bool
    vcpus: int
    memory_mib: int


class PoolLike(Value):
    """What selectors look at in a pool."""

    name: Text
    tier: Text
    hypervisor: Hypervisor
    site: str = ""
    region: str = ""
    labels: FrozenMapping[str, str] = Field(default_factory=dict)


def _any_figure(path: str, percent: Decimal | None, value: str | None) -> tuple[str, str]:  # noqa: ARG001 - where there is no economics document, no figure is wrong
    return "", ""


@dataclass(frozen=True)
class Known:
    """The names that documents may use; empty where anything goes."""

    pools: Mapping[str, PoolLike] = field(default_factory=dict)
    tiers: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    products: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Product -> its alternatives."""
    metrics: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Product and alternative -> what it counts."""
    owned: frozenset[tuple[str, str]] = frozenset()
    """Products and alternatives of which packs are owned."""
    running: frozenset[tuple[str, str]] = frozenset()
    """Those of them of which packs are owned beyond the first day."""
    not_in_contract: frozenset[str] = frozenset()
    """Products whose rule does not apply, so that nothing of them is paid."""
    needed_on: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Product -> pools where machines may need it."""
    blocks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pool -> the types of its hosts."""
    hosts: Mapping[str, int] = field(default_factory=dict)
    """Pool -> how many hosts it has today."""
    sizes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Workload class -> its sizes."""
    rules: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    months: int = 0
    rates: bool = False
    """Whether the document says what tiers charge."""
    paying: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Figure -> the pools that pay by it, of figures that are about some pools."""
    figure: Callable[[str, Decimal | None, str | None], tuple[str, str]] = _any_figure
    """Which field of a figure's change (path, percent, value) is wrong, and why; empty: none is."""


Mistake = tuple[Path, str]
"""Where in an entry, and what is wrong."""


class MachineSelector(Value):
    """Machines that a rule or change is about; with nothing said, all of them."""

    classes: Texts | None = Field(default=None, description="Workload classes, as classified.")
    tiers: Texts | None = Field(default=None, description="Tiers where they run today.")
    pools: Texts | None = Field(default=None, description="Pools where they run today.")
    sites: Texts | None = Field(default=None, description="Sites where they run today.")
    hypervisors: Annotated[tuple[Hypervisor, ...], Field(min_length=1)] | None = Field(
        default=None, description="Hypervisors that they run on today."
    )
    applications: Texts | None = Field(default=None, description="What they belong to.")
    tenants: Texts | None = Field(default=None, description="Whose they are.")
    names: Texts | None = Field(default=None, description="Their names or ids.")
    folders: Texts | None = Field(default=None, description="Folders, as the source writes them.")
    guest_os: Texts | None = Field(
        default=None, description="Guest operating systems, as the source writes them."
    )
    software: Texts | None = Field(default=None, description="Software on them, as classified.")
    data: Texts | None = Field(
        default=None, description="Classification of their data: that of their class, or of its rules."
    )
    availability: Texts | None = Field(
        default=None, description="What happens after a host failure: as their class has it, or its rules."
    )
    required_tiers: Texts | None = Field(
        default=None, description="Tiers that class rules say they must be on."
    )
    labels: FrozenMapping[Text, Text] | None = Field(
        default=None, description="Labels; values may be patterns."
    )
    powered_on: bool | None = Field(
        default=None, description="Only those that run, or only those that do not."
    )
    vcpus_from: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="At least so many."
    )
    memory_mib_from: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="At least so much."
    )

    def fits(self, one: MachineFacts) -> bool:
        """Whether it means this machine."""
        return (
            _any(self.classes, one.workload_class)
            and _any(self.tiers, one.tier)
            and _any(self.pools, one.pool)
            and _any(self.sites, one.site)
            and (self.hypervisors is None or one.hypervisor in self.hypervisors)
            and _any(self.applications, one.application)
            and _any(self.tenants, one.tenant)
            and _any(self.names, one.name, one.id)
            and _any(self.folders, one.folder)
            and _any(self.guest_os, one.guest_os)
            and _any(self.software, *one.software)
            and _any(self.data, one.data)
            and _any(self.availability, one.availability)
            and _any(self.required_tiers, one.required_tier)
            and all(_any((v,), one.labels.get(k, "")) for k, v in (self.labels or {}).items())
            and (self.powered_on is None or one.powered_on == self.powered_on)
            and (self.vcpus_from is None or one.vcpus >= self.vcpus_from)
            and (self.memory_mib_from is None or one.memory_mib >= self.memory_mib_from)
        )

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Names that are nowhere."""
        for name, values, there in (
            ("classes", self.classes, known.classes),
            ("tiers", self.tiers, known.tiers),
            ("pools", self.pools, tuple(known.pools)),
            ("sites", self.sites, known.sites),
            ("applications", self.applications, known.applications),
            ("tenants", self.tenants, known.tenants),
            ("software", self.software, known.software),
            ("names", self.names, known.machines),
            ("data", self.data, tuple(DataClassification)),
            ("availability", self.availability, tuple(Availability)),
        ):
            yield from unknown((name,), values, there)

    def in_order(self) -> Self:
        """The same machines, whose selectors that differ in order, repetition or capitals only are equal and read alike."""
        return self.model_copy(
            update={name: _in_order(getattr(self, name)) for name in type(self).model_fields}
        )

    def __str__(self) -> str:
        parts = [
            f"{name.replace('_', ' ')} {_joined(value)}"
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None
        ]
        return "machines of " + ", ".join(parts) if parts else "all machines"


class PoolSelector(Value):
    """Pools that a rule or change is about; something must be said."""

    pools: Texts | None = Field(default=None, description="By name.")
    tiers: Texts | None = None
    sites: Texts | None = None
    regions: Texts | None = None
    hypervisors: Annotated[tuple[Hypervisor, ...], Field(min_length=1)] | None = None
    labels: FrozenMapping[Text, Text] | None = Field(
        default=None, description="Labels; values may be patterns."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            msg = "must say which pools: by pools, tiers, sites, regions, hypervisors or labels"
            raise ValueError(msg)
        return self

    def fits(self, one: PoolLike) -> bool:
        """Whether it means this pool."""
        return (
            _any(self.pools, one.name)
            and _any(self.tiers, one.tier)
            and _any(self.sites, one.site)
            and _any(self.regions, one.region)
            and (self.hypervisors is None or one.hypervisor in self.hypervisors)
            and all(_any((v,), one.labels.get(k, "")) for k, v in (self.labels or {}).items())
        )

    def names(self, known: Known) -> frozenset[str]:
        """The pools that it means."""
        return frozenset(name for name, one in known.pools.items() if self.fits(one))

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Names that are nowhere, or that no pool has together."""
        found = [
            *unknown(("pools",), self.pools, tuple(known.pools)),
            *unknown(("tiers",), self.tiers, known.tiers),
            *unknown(("sites",), self.sites, known.sites),
            *unknown(("regions",), self.regions, known.regions),
        ]
        yield from found
        if not found and not self.names(known):
            yield (), f"no pool fits {self}; {known_names('', known.pools)}"

    def __str__(self) -> str:
        parts = [
            f"{name.removesuffix('s')} {_joined(value)}"
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None
        ]
        return "pools of " + ", ".join(parts)


def unknown(path: Path, values: tuple[str, ...] | None, there: tuple[str, ...]) -> Iterator[Mistake]:
    """A mistake for each value that is none of the names, and each pattern that fits none of them."""
    folded = {name.casefold() for name in there}
    for i, value in enumerate(values or ()):
        if WILD.search(value):
            if not any(_pattern(value).fullmatch(name) for name in there):
                yield (*path, i), f"the pattern '{value}' fits nothing; {known_names(value, there)}"
        elif value.casefold() not in folded:
            yield (*path, i), f"there is no '{value}'; {known_names(value, there)}"


def _any(wanted: tuple[str, ...] | None, *values: str) -> bool:
    return wanted is None or any(_pattern(one).fullmatch(value) for one in wanted for value in values)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text) if WILD.search(text) else re.escape(text), re.IGNORECASE)


def _in_order(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: value[key].lower() for key in sorted(value)}
    if not isinstance(value, tuple):
        return value
    return tuple(sorted({one if isinstance(one, Hypervisor) else one.lower() for one in value}))


def _joined(value: object) -> str:
    if isinstance(value, Mapping):
        return " and ".join(f"{k}={v}" for k, v in value.items())
    return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
