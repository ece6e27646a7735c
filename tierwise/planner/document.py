"""What-if documents as values: an estate, where its machines may go, and scenarios that change it.

The reference of the format is docs/reference/whatif.md; `reading` makes these values of a text.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from catalog.pools import Hypervisor
from chargeback.economics.trace import LAST_START
from tierwise.planner.selecting import Known, MachineSelector, Mistake, PoolSelector

FORMAT = "tierwise-whatif/1"
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Ratio = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]
LIVE = "live"
SizedBy = Literal["today", "class", "use"]
"""``today``: as they are sized; ``class``: the size of their workload class; ``use``: right-sized by what they used."""
MAX_MONTHS = 120


def _day(value: object) -> object:
    # Dates arrive as text, so that no reader takes a half-written one for something else.
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            msg = "must be a day, such as 2027-03-01"
            raise ValueError(msg) from None
    return value


def _before_the_calendar_ends(day: date) -> date:
    if day > LAST_START:
        msg = f"must be at most {LAST_START}"
        raise ValueError(msg)
    return day


Day = Annotated[date, BeforeValidator(_day), AfterValidator(_before_the_calendar_ends)]


class Overcommit(Value):
    """How much may be promised of what hosts have."""

    vcpu: Ratio = Field(default=Decimal(4), description="vCPU for each physical core.")
    memory: Ratio = Field(default=Decimal(1), description="Memory promised for each MiB there is.")
    disk: Ratio = Field(
        default=Decimal(1), description="Disk promised for each GiB there is, as with thin disks."
    )


class HostType(Value):
    """Hosts that could be bought for a pool, or that a new pool starts with."""

    name: Text
    most: Count = Field(description="How many could be bought at most.")
    sockets: Annotated[int, Field(strict=True, ge=1, le=64)]
    cores: Annotated[int, Field(strict=True, ge=1, le=4096)] = Field(
        description="Of one host, all sockets."
    )
    memory_mib: Annotated[int, Field(strict=True, ge=1, le=2**40)]
    disk_gib: Annotated[int, Field(strict=True, ge=0, le=2**40)] = Field(
        default=0, description="What each host brings along; 0 where disk is the pool's."
    )
    model: str = Field(
        default="", description="What the economics document knows it by; its name where not given."
    )


class Pool(Value):
    """A pool of the estate under its name there, or a new one."""

    name: Text
    new: bool = Field(default=False, description="Whether it does not exist yet.")
    tier: Name
    hypervisor: Hypervisor | None = Field(
        default=None, description="What runs it; the estate's word where not given."
    )
    site: str | None = Field(
        default=None, description="Where it stands; the estate's word where not given."
    )
    region: str = Field(default="", description="What prices go by; the document's region where not given.")
    manager: str = Field(
        default="", description="What manages it; pools of one manager can exchange machines."
    )
    losses: Annotated[int, Field(strict=True, ge=0, le=64)] = Field(
        default=1, description="How many hosts may fail at once: N+k."
    )
    overcommit: Overcommit | None = None
    reserved_memory_mib: Annotated[int, Field(strict=True, ge=0)] = Field(
        default=0, description="Of each host, for the hypervisor itself."
    )
    threads_per_core: Annotated[int, Field(strict=True, ge=1, le=8)] = Field(
        default=2, description="No machine may have more vCPU than a host has threads."
    )
    disk_gib: Annotated[int, Field(strict=True, ge=0, le=2**40)] | None = Field(
        default=None, description="What its shared datastores hold; the estate's where not given."
    )
    raw_storage_gib: Annotated[int, Field(strict=True, ge=0, le=2**40)] | None = Field(
        default=None,
        description="What each of today's hosts has of its own, for licences that count it; of others, disk_gib.",
    )
    labels: FrozenMapping[Text, Text] = Field(default_factory=dict)
    hosts: FrozenMapping[Text, HostType] = Field(
        default_factory=dict, description="Types of hosts that could be bought, by name."
    )
    least_hosts: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=1, description="Hosts that the pool has at least, if it has any."
    )

    @field_validator("hosts", mode="before")
    @classmethod
    def _named(cls, hosts: object) -> object:
        if not isinstance(hosts, Mapping):
            return hosts
        return {k: {"name": str(k), **v} if isinstance(v, Mapping) else v for k, v in hosts.items()}

    @model_validator(mode="after")
    def _new_ones_say_all(self) -> Self:
        if self.new and (self.hypervisor is None or self.site is None):
            msg = "a new pool needs its hypervisor and its site, as the estate does not know them"
            raise ValueError(msg)
        return self


class Rule(Value):
    """Where some machines may go, and why."""

    name: Text
    machines: MachineSelector = MachineSelector()
    only: PoolSelector | None = None
    never: PoolSelector | None = None
    reason: Annotated[str, Field(min_length=3, max_length=300)]

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.only is None) == (self.never is None):
            msg = "must have one of 'only' and 'never', which say where these machines may go"
            raise ValueError(msg)
        return self

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Names that are nowhere."""
        yield from ((("machines", *path), why) for path, why in self.machines.mistakes(known))
        for field, pools in (("only", self.only), ("never", self.never)):
            if pools is not None:
                yield from (((field, *path), why) for path, why in pools.mistakes(known))


class Classes(Value):
    """How machines are classified."""

    catalog: Text | None = Field(default=None, description="File or folder with the workload classes.")
    rules: Text | None = Field(default=None, description="File of rules, format tierwise-classes/1.")
    mapping: Text | None = Field(default=None, description="CSV in which a person has put classes right.")


class Sizing(Value):
    """How large machines are taken to be."""

    by: SizedBy = Field(
        default="today", description="Whose word counts: today's size, the class's, or use."
    )
    policy: Text | None = Field(default=None, description="File of the right-sizing policy.")
    powered_off: Literal["disk", "full", "leave_out"] = Field(
        default="disk",
        description="What machines that are off need: their disk, all of their size, or nothing.",
    )
    disk: Literal["provisioned", "in_use"] = Field(
        default="provisioned",
        description="Which disk counts: what machines may grow to, or what they take.",
    )
    disk_step_gib: Annotated[int, Field(strict=True, ge=1, le=4096)] = Field(
        default=1,
        description="Disk is rounded up to multiples of it; larger ones make fewer kinds of machines.",
    )


class Scenario(Value):
    """A base and what is different."""

    name: Text
    title: str = ""
    changes: tuple[SerializeAsAny[Value], ...] = ()
    """Each one a `tierwise.planner.change.Change`."""


class WhatIf(Value):
    """All that a document says."""

    name: Name
    title: str = ""
    estate: Text = Field(description="File of any kind that `tierwise estate import` reads, or `live`.")
    start: Day = Field(description="The first day of the horizon.")
    months: Annotated[int, Field(strict=True, ge=1, le=MAX_MONTHS)] = 12
    region: str = Field(default="", description="What prices go by where a pool does not say.")
    moves_per_month: Annotated[int, Field(strict=True, ge=1, le=10**6)] | None = Field(
        default=None, description="How many machines move in a month; all in the first one where not given."
    )
    economics: Text = Field(description="File of what things cost, format tierwise-economics/1.")
    rates: Text | None = Field(
        default=None,
        description="Catalog's folder or file, or a file with 'rate_cards' alone, by whose one card tiers charge.",
    )
    classes: Classes = Classes()
    sizing: Sizing = Sizing()
    overcommit: Overcommit = Overcommit()
    pools: FrozenMapping[Text, Pool] = Field(default_factory=dict)
    rules: FrozenMapping[Text, Rule] = Field(default_factory=dict)
    scenarios: FrozenMapping[Text, Scenario] = Field(default_factory=dict)
