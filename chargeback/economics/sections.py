"""The sections of an economics document other than licences, as they are written.

Money is in units of the currency. Amounts per year fall evenly on its months; percentages per year are of
what was paid for the thing itself.
"""

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.pools import Hypervisor
from catalog.resources import ResourceClass
from chargeback.economics.figures import (
    Amount,
    AtLeastOne,
    Day,
    Months,
    Number,
    Percent,
    Positive,
    Share,
    Text,
)
from chargeback.economics.matching import HostMatch, PoolMatch

Term = Literal[
    "hardware", "maintenance", "power", "space", "labour", "storage", "network", "facilities", "licences", "migration"
]  # fmt: skip
"""What a cost is for."""

Resource = Literal["vcpu", "memory_mib", "disk_gib", "machine"]
"""What a rate is for: a resource class, or the machine itself."""

Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Weight = Annotated[int, Field(strict=True, ge=0, le=10**6)]


class HostType(Value):
    """Hosts that cost the same; the first type that fits a host is its own."""

    name: Text
    match: HostMatch = HostMatch()
    purchase_price: Amount | None = Field(default=None, description="Of one host.")
    purchase_per_core: Amount | None = Field(
        default=None, description="Added to it, of each physical core."
    )
    purchase_per_memory_gib: Amount | None = Field(default=None, description="Added to it.")
    depreciation_months: Months | None = None
    bought_on: Day | None = Field(
        default=None, description="When those that are there were bought: their book value is sunk."
    )
    maintenance_per_year: Amount | None = None
    maintenance_percent_per_year: Percent | None = Field(default=None, description="Of the purchase.")
    watts_idle: Amount | None = None
    watts_full: Amount | None = None
    watts_per_core: Amount | None = Field(
        default=None, description="Drawn at the load; instead of the two."
    )
    load_percent: Share | None = Field(default=None, description="Between idle and full; 100 if left out.")
    labour_hours_per_month: Amount | None = Field(
        default=None, description="Instead of labour's hosts_per_admin."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.purchases and self.depreciation_months is None:
            msg = "depreciation_months: is missing; say over how many months the purchase is written off"
            raise ValueError(msg)
        if (self.bought_on or self.maintenance_percent_per_year) and not self.purchases:
            msg = "purchase_price: is missing; bought_on and maintenance_percent_per_year need it"
            raise ValueError(msg)
        if (self.watts_idle is None) != (self.watts_full is None):
            msg = "watts_idle: goes with watts_full; give both, or watts_per_core"
            raise ValueError(msg)
        if self.watts_idle is not None and self.watts_per_core is not None:
            msg = "watts_per_core: there are watts_idle and watts_full; leave one of them out"
            raise ValueError(msg)
        if self.load_percent is not None and self.watts_idle is None:
            msg = "load_percent: is between watts_idle and watts_full; give both"
            raise ValueError(msg)
        return self

    @property
    def purchases(self) -> tuple[str, ...]:
        """The fields whose sum is what a host costs to buy."""
        names = ("purchase_price", "purchase_per_core", "purchase_per_memory_gib")
        return tuple(name for name in names if getattr(self, name) is not None)


class Site(Value):
    """A site, by its name or a pattern; the first that fits is meant."""

    name: Text
    region: Text | None = Field(default=None, description="Which regional figures hold there.")
    pue: AtLeastOne | None = Field(
        default=None, description="What the site draws for each kWh of machines."
    )
    price_per_kwh: Amount | None = None
    space_per_host_per_month: Amount | None = None


class Labour(Value):
    """People. A host or machine takes a share of an administrator."""

    cost_per_hour: Amount | None = Field(default=None, description="Fully loaded: pay, taxes, desk.")
    hours_per_month: Positive | None = Field(default=None, description="That an administrator works.")
    hosts_per_admin: Positive | None = None
    machines_per_admin: Positive | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        shares = self.hosts_per_admin or self.machines_per_admin
        if shares and (self.cost_per_hour is None or self.hours_per_month is None):
            msg = "cost_per_hour: is needed with hours_per_month where there are hosts_per_admin or machines_per_admin"
            raise ValueError(msg)
        return self


class Storage(Value):
    """What a GiB of disk costs in the pools that it matches; the first that fits is meant."""

    name: Text
    match: PoolMatch = PoolMatch()
    per_gib_per_month: Amount | None = None
    purchase_per_tib: Amount | None = Field(default=None, description="Written off, and renewed for ever.")
    depreciation_months: Months | None = None
    maintenance_percent_per_year: Percent | None = None
    watts_per_tib: Amount | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.purchase_per_tib is not None and self.depreciation_months is None:
            msg = "depreciation_months: is missing; say over how many months the purchase is written off"
            raise ValueError(msg)
        if self.maintenance_percent_per_year is not None and self.purchase_per_tib is None:
            msg = "purchase_per_tib: is missing; maintenance_percent_per_year is a share of it"
            raise ValueError(msg)
        return self


class Network(Value):
    """Ports, switches, lines."""

    per_host_per_month: Amount | None = None
    per_machine_per_month: Amount | None = None
    purchase_percent_of_host: Percent | None = Field(
        default=None, description="What is bought with a host, of what the host costs."
    )
    depreciation_months: Months | None = None
    maintenance_percent_per_year: Percent | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.purchase_percent_of_host is not None and self.depreciation_months is None:
            msg = "depreciation_months: is missing; say over how many months the purchase is written off"
            raise ValueError(msg)
        if self.maintenance_percent_per_year is not None and self.purchase_percent_of_host is None:
            msg = "purchase_percent_of_host: is missing; maintenance_percent_per_year is a share of it"
            raise ValueError(msg)
        return self


class Facilities(Value):
    """Rooms and colocation."""

    per_host_per_month: Amount | None = None
    per_machine_per_month: Amount | None = None
    per_kw_per_month: Amount | None = Field(
        default=None, description="Of power that is kept for a host at full load, before the site's PUE."
    )


class Other(Value):
    """Any further cost, under one of the terms: backup, monitoring, security tools."""

    name: Text
    term: Term
    per: Literal["host", "machine", "pool"]
    match: PoolMatch = PoolMatch()
    per_month: Amount | None = None
    per_year: Amount | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if self.per == "host" and self.match.tier:
            msg = "match: a host does not know its tier; match the names of its pools"
            raise ValueError(msg)
        if (self.per_month is None) == (self.per_year is None):
            msg = "per_month: there must be exactly one of per_month and per_year"
            raise ValueError(msg)
        return self


class Opening(Value):
    """What it costs that a pool is there at all: its manager, its array. All that match a pool add up."""

    name: Text
    term: Term = "facilities"
    match: PoolMatch = PoolMatch()
    per_month: Amount | None = None
    per_year: Amount | None = None
    purchase_price: Amount | None = None
    depreciation_months: Months | None = None
    maintenance_percent_per_year: Percent | None = None
    bought_on: Day | None = Field(
        default=None, description="When it was bought: what is left of its book value is sunk."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.purchase_price is not None and self.depreciation_months is None:
            msg = "depreciation_months: is missing; say over how many months the purchase is written off"
            raise ValueError(msg)
        if self.purchase_price is None and (self.bought_on or self.maintenance_percent_per_year):
            msg = "purchase_price: is missing; bought_on and maintenance_percent_per_year need it"
            raise ValueError(msg)
        if self.purchase_price is self.per_month is self.per_year is None:
            msg = "per_month: there is no price; give per_month, per_year or purchase_price"
            raise ValueError(msg)
        return self


class Migration(Value):
    """What moving a machine costs, by where it comes from and goes to; the first that fits is meant."""

    name: Text
    origin: tuple[Hypervisor, ...] = Field(default=(), alias="from", description="Left out: any.")
    target: tuple[Hypervisor, ...] = Field(default=(), alias="to", description="Left out: any.")
    per_machine: Amount | None = None
    hours_per_machine: Amount | None = Field(default=None, description="Of labour, at its cost per hour.")
    per_tib: Amount | None = None
    dual_running_months: Amount | None = Field(
        default=None, description="For which a machine is paid for twice, may be parts of a month."
    )
    dual_running_per_machine_per_month: Amount | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.dual_running_months is None) != (self.dual_running_per_machine_per_month is None):
            msg = "dual_running_months: goes with dual_running_per_machine_per_month; give both"
            raise ValueError(msg)
        return self


class Tier(Value):
    """How full a tier is meant to be, and how its cost becomes prices of resources."""

    name: Text
    target_utilisation_percent: FrozenMapping[ResourceClass, Share] = Field(
        default_factory=dict, description="Of what may be sold; 100 for what is left out."
    )
    split: FrozenMapping[Term, FrozenMapping[Resource, Weight]] = Field(
        default_factory=dict, description="Of each term, the weights of what pays for it."
    )

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        for term, weights in self.split.items():
            if not any(weights.values()):
                msg = f"split: {term} has no weight above 0"
                raise ValueError(msg)
        return self


class Fleet(Value):
    """Equal hosts of a pool as they stand, and the machines on them: what rates are worked out from."""

    name: Text
    tier: Text
    pool: Text
    hypervisor: Hypervisor
    site: str = ""
    model: str = ""
    hosts: Count
    sockets: Annotated[int, Field(strict=True, ge=1, le=1024)] = 2
    cores: Annotated[int, Field(strict=True, ge=1, le=10**5)]
    memory_mib: Count
    disk_gib: Count = Field(default=0, description="Of the pool, that may be sold.")
    raw_storage_gib: Count | None = Field(
        default=None, description="What each host has of its own, for licences that count it."
    )
    spare_hosts: Count = Field(default=0, description="Kept free for failures: cost, but no capacity.")
    vcpu_per_core: Number = Field(default=Fraction(1), description="Overcommit.")
    memory_ratio: Number = Field(default=Fraction(1), description="Overcommit.")
    machines: Count = 0
    used: FrozenMapping[ResourceClass, Count] = Field(
        default_factory=dict, description="What machines have, of each resource."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.cores % self.sockets:
            msg = f"cores: {self.cores} do not spread evenly over {self.sockets} sockets"
            raise ValueError(msg)
        if self.spare_hosts > self.hosts:
            msg = f"spare_hosts: {self.spare_hosts} are more than the {self.hosts} hosts"
            raise ValueError(msg)
        return self
