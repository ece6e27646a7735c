"""Licence products as data: who needs one, how far its machines can reach, and how it may be counted.

Nothing here knows a vendor: prices, minimums and what narrows a reach stand in the data, with the days they hold.
"""

from datetime import date
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.licence_metrics import Limiter, Metric
from placement.amounts import Count, Exact, Micros, Size
from placement.licensing.metrics import said_in_vain

Text = Annotated[str, Field(min_length=1)]
Amount = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=10**9)]


class Processors(Value):
    """What a host has, for metrics that count it; of a pool without hosts, `hosts` equal ones."""

    sockets: Size
    """Sockets of one host."""
    cores_per_socket: Size
    """Cores of each socket."""
    hosts: Size = 1
    """How many hosts a pool has; 1 for a host."""
    family: str = ""
    """What core factors go by, such as a line of processors."""
    amounts: FrozenMapping[Text, Amount] = Field(default_factory=dict)
    """What else of one host licences may count, by a name with its unit: ``raw_storage_gib``, ``memory_gib``."""


class AddOn(Value):
    """What must be bought beside the licences for something that hosts have, as far as these do not bring it along."""

    name: Text
    """What it is called."""
    amount: Text
    """One of the processors' `amounts`, of each host of a scope that is licensed so."""
    unit_amount: Quantity = 1
    """So much of it makes a unit; rounded up once, over all scopes."""
    granted: Count = 0
    """Units that every pack of the licences brings along, for all scopes together."""
    pack_size: Size = 1
    """Units in a pack of the add-on."""
    pack_cost_micros: Micros
    """What such a pack costs over the horizon."""

    @property
    def pack_cost(self) -> Exact:
        """The same, exactly."""
        return self.pack_cost_micros


class Alternative(Value):
    """One legal way to license a product: an edition with its metric.

    Units of a host: cores are at least `per_socket_minimum` for each socket, and at least `per_host_minimum`
    for the host. Units of a machine: its vCPU, at least `per_machine_minimum`; `per_machine` counts machines.
    Units are bought in packs.
    """

    name: Text
    """What it is called, once in a product."""
    metric: Metric
    """What is counted: of the scope's hosts (all but the last three), of its machines (`per_vcpu` and `per_machine`),
    or people and devices, once however many scopes there are (`per_principal`)."""
    per_socket_minimum: Count = 0
    """Cores; of `per_core` only, as the next two."""
    per_host_minimum: Count = 0
    """Cores."""
    core_factor_thousandths: FrozenMapping[str, Size] = Field(default_factory=dict)
    """Family of processors -> what a core of it counts, in thousandths: 500 is half. Cores with the same factor are
    added up before they are rounded up. Without it, a core is a core."""
    per_machine_minimum: Count = 0
    """vCPU; of `per_vcpu` only."""
    unit_covers: FrozenMapping[Text, Quantity] = Field(default_factory=dict)
    """What one unit covers of one host: ``sockets``, ``cores``, ``machines`` (as if all of the scope sat on it), or one
    of the processors' `amounts`. A host needs units for the dimension that takes the most. Of `per_coverage_unit`."""
    amount: Text | None = None
    """One of the processors' `amounts`; of `per_amount`, as the next."""
    unit_amount: Quantity = 1
    """So much of it makes a unit; rounded up where packs are."""
    principals: Count = 0
    """People or devices; of `per_principal` only."""
    covers: Size | None = None
    """How many machines the scope may have for each time that all of its hosts are covered; None: any number.

    Windows Server Standard covers two, and a scope with five machines is covered three times. Of metrics
    that count hosts only.
    """
    per_hour: bool = False
    """Whether units count for each hour of the horizon, so that a pack is of unit-hours."""
    pack_size: Size = 1
    """Units in a pack."""
    pack_cost_micros: Micros
    """What a pack costs over the horizon."""
    pack_scope: Literal["scope", "order"] = "scope"
    """Whether packs are rounded up in each scope, or once over all scopes that choose this alternative."""
    order_minimum: Count = 0
    """Units that must be bought at least, over all scopes, if any of them chooses this alternative."""
    owned_packs: Count = 0
    """Packs that are paid for until after the horizon, needed or not: they cost nothing more."""
    add_on: AddOn | None = None
    """What else these licences call for; of metrics that count hosts."""
    valid_from: date | None = None
    """The first day on which it can be had; None: it always could."""
    valid_until: date | None = None
    """The day on which it no longer can; None: there is no such day."""

    @model_validator(mode="after")
    def _of_its_metric(self) -> Self:
        for field in said_in_vain(self.metric, self.told_fields()):
            msg = f"{field}: says nothing of the metric {self.metric}; leave it out"
            raise ValueError(msg)
        if self.metric == "per_coverage_unit" and not self.unit_covers:
            msg = "unit_covers: per_coverage_unit needs it; say what one unit covers, such as two sockets"
            raise ValueError(msg)
        if self.metric == "per_amount" and self.amount is None:
            msg = "amount: per_amount needs it; name one of the processors' amounts"
            raise ValueError(msg)
        if self.covers is not None and "machines" in self.unit_covers:
            msg = "covers: unit_covers counts machines already; leave one of them out"
            raise ValueError(msg)
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            msg = f"valid_until: {self.valid_until} must be after valid_from, {self.valid_from}"
            raise ValueError(msg)
        return self

    def told_fields(self) -> frozenset[str]:
        """The names of fields that are other than their defaults."""
        return frozenset(
            name
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        )

    @property
    def pack_cost(self) -> Exact:
        """What a pack costs over the horizon, exactly."""
        return self.pack_cost_micros

    @property
    def of_hosts(self) -> bool:
        """Whether it counts hosts, not machines or people."""
        return self.metric not in {"per_vcpu", "per_machine", "per_principal"}

    @property
    def of_machines(self) -> bool:
        """Whether it counts each machine for itself."""
        return self.metric in {"per_vcpu", "per_machine"}

    @property
    def flat(self) -> bool:
        """Whether a scope costs the same, however many machines it has."""
        return not self.of_machines and self.covers is None and "machines" not in self.unit_covers

    @property
    def shared(self) -> bool:
        """Whether what one order buys at one price hangs on what it buys at others: by its minimum, or as it rounds once.

        What is owned, and people, are counted for each price by itself, and all with them.
        """
        at_once = bool(self.order_minimum) or self.pack_scope == "order"
        return at_once and not (self.owned_packs or self.principals)

    @property
    def parts(self) -> int:
        """In how many parts of a unit hosts are counted, before anything is rounded up."""
        return 1000 if self.core_factor_thousandths else self.unit_amount

    @property
    def factors(self) -> tuple[int, ...]:
        """The distinct core factors, each rounded up for itself; one that is no factor where there are none."""
        return tuple(sorted(set(self.core_factor_thousandths.values()))) or (1,)

    def holds(self, day: date | None) -> bool:
        """Whether it can be had on a day; None: on whatever day."""
        return day is None or (
            (self.valid_from is None or self.valid_from <= day)
            and (self.valid_until is None or day < self.valid_until)
        )


Rest = Annotated[Fraction, Field(ge=0, lt=1)]
"""The part of a micro-unit that an amount in whole ones leaves out."""


class ExactAddOn(AddOn):
    """An add-on whose packs may cost parts of a micro-unit."""

    pack_cost_rest: Rest = Fraction(0)

    @property
    def pack_cost(self) -> Exact:
        """What a pack costs over the horizon, exactly."""
        return self.pack_cost_micros + self.pack_cost_rest if self.pack_cost_rest else self.pack_cost_micros


class ExactAlternative(Alternative):
    """An alternative whose packs may cost parts of a micro-unit, as prices that are shared out over months do."""

    pack_cost_rest: Rest = Fraction(0)
    add_on: ExactAddOn | None = None

    @property
    def pack_cost(self) -> Exact:
        """What a pack costs over the horizon, exactly."""
        return self.pack_cost_micros + self.pack_cost_rest if self.pack_cost_rest else self.pack_cost_micros


class Limit(Value):
    """What keeps a product's machines on some hosts; whether it narrows what must be licensed, its vendor says."""

    limiter: Limiter
    """What it is technically."""
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    """Hosts or pools. Of each scope that has any of them, the machines reach no others."""
    cores_per_host: Size | None = None
    """So many cores of each of these hosts at most count; of `hard_partition` only."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.cores_per_host is not None and self.limiter != "hard_partition":
            msg = f"cores_per_host: {self.limiter} does not divide hosts; leave it out"
            raise ValueError(msg)
        return self


class Product(Value):
    """What some machines need a licence for. A scope is a set of hosts among which they may move."""

    name: Text
    """What it is called, once in a problem."""
    requests: tuple[str, ...]
    """Requests or groups."""
    scopes: FrozenMapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Scope -> hosts or pools, such as a cluster. A host is in at most one of them.

    All hosts of a scope count once any of these machines sits on one of them; outside of all scopes none may sit.
    """
    boundary: Text | None = None
    """Instead of scopes: a label (``host``, ``pool``, one of the problem's, such as that of a manager), each value of
    which is a scope, or ``estate``, which is one for all."""
    limits: tuple[Limit, ...] = ()
    """What keeps these machines together within their scopes."""
    accepts: tuple[Limiter, ...] = ()
    """The kinds of limits that the licences know: such a limit narrows its scopes to its hosts, others do nothing here."""
    alternatives: Annotated[tuple[Alternative, ...], Field(min_length=1)]
    """The cheapest is taken, in each scope one."""

    @model_validator(mode="after")
    def _one_boundary(self) -> Self:
        if self.scopes and self.boundary is not None:
            msg = "boundary: there are scopes too; leave one of them out"
            raise ValueError(msg)
        return self

    @property
    def accepted(self) -> tuple[Limit, ...]:
        """The limits that count."""
        return tuple(limit for limit in self.limits if limit.limiter in self.accepts)
