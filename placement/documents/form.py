"""What stands in a placement problem's JSON document; names as in OpenStack Placement where it has the thing.

Each field's text here is what the JSON Schema and the reference page say of it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from catalog.base import Value

FORMAT = "tierwise-placement/1"

Amount = Annotated[int, Field(strict=True, ge=0, lt=2**62)]
"""In the unit that the resource class's name ends with."""
Text = Annotated[str, Field(min_length=1, max_length=255)]
Words = Annotated[str, Field(min_length=1, max_length=4000)]
Price = Annotated[Decimal, Field(ge=0, lt=Decimal(4_611_686_018_427), decimal_places=6)]
"""For the whole horizon, to the millionth of the currency; text such as ``"12.34"`` is kept exactly by every program."""
UnitPrice = Annotated[Decimal, Field(ge=0, lt=Decimal(4_611_686_018_427), decimal_places=12)]
Ratio = Annotated[Decimal, Field(gt=0, le=Decimal(10_000), decimal_places=9)]
Number = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
"""Of machines."""
Hour = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
Moment = Hour | Text
Prices = Mapping[Text, Price]


class Part(Value):
    """One object of the document: no unknown fields, and its fields' texts are in the schema."""

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True)


class Inventory(Part):
    """What a host or a pool has of one resource class."""

    total: Amount
    """What is there."""
    reserved: Amount = 0
    """What nobody may allocate; at most `total`."""
    allocation_ratio: Ratio = Decimal(1)
    """Overcommit: (total - reserved) x allocation_ratio, rounded down, may be allocated."""
    used: Amount = 0
    """What is allocated already by machines that are not among the requests."""
    max_unit: Amount | None = None
    """The most a single machine may have; total - reserved where it is not given, for overcommit shares a host between
    machines, not within one."""


class Host(Part):
    """A host of a pool."""

    id: Text
    """Unlike that of every other host, and of every pool that has more hosts than this one."""
    inventories: Mapping[Text, Inventory]
    """Resource class -> what the host has of it."""
    labels: Mapping[Text, str] = Field(default_factory=dict)
    """Failure domains and the like: rack, power domain; a label that its pool has too is the host's own here."""


class Pool(Part):
    """A pool: what machines are placed on, or whose hosts they are placed on."""

    id: Text
    """Unlike that of every other pool."""
    tier: Text
    labels: Mapping[Text, str] = Field(default_factory=dict)
    """Site, country, hypervisor."""
    inventories: Mapping[Text, Inventory] = Field(default_factory=dict)
    """Without hosts: what the pool has. With hosts: what machines take from the pool rather than from a host (shared
    disk), and limits on top of its hosts' (where a class stands on hosts too)."""
    unit_prices: Mapping[Text, UnitPrice] | None = None
    """Resource class -> the price of one unit of it for the horizon; a request's price is the sum, rounded once."""
    hosts: tuple[Host, ...] | None = None
    """Either every pool has hosts, or none has."""


class Reason(Part):
    """Why policies refuse a pool, in full."""

    rule_id: Text
    """The rule that says no."""
    dimension: str
    """What it looked at: country, tier, a capability."""
    limit: str
    """What there is."""
    need: str
    """What was asked."""
    why: Words
    """In a sentence, for the person who asked."""
    remedy: Words
    """What would make it possible."""


Refused = Mapping[Text, Words | tuple[Reason, ...]]


class Flavor(Part):
    """What several requests have in common; what a request says itself takes the place of the same field here."""

    resources: Mapping[Text, Amount] | None = None
    """Resource class -> how much one machine takes."""
    prices: Prices | None = None
    """Pool or tier -> the price of one machine there for the horizon, such as ``"41.50"``; a pool's goes before its
    tier's, and both before `unit_prices`."""
    refused: Refused | None = None
    """Pool or tier -> why policies do not allow it there."""


class Request(Flavor):
    """A machine to place, or `count` alike."""

    id: Text
    """Unlike that of every other request and group."""
    count: Number | None = None
    """So many machines, called id#1 to id#count; `id` is then the name of a group of them."""
    flavor: Text | None = None
    """One of `flavors`."""
    priority: Annotated[int, Field(strict=True, ge=0, lt=2**31)] | None = None
    """Those of higher priority are placed first, whatever that costs the others; 0 where it is not given."""
    current: Text | Mapping[Text, Number] | None = None
    """The host it runs on today (the pool, where pools have no hosts), or how many of `count` run on which: the first
    ones on the first named. Inventories then do not count it as `used`."""
    from_: Moment | None = Field(default=None, alias="from")
    """When it begins: hours from now, a day such as ``"2026-12-01"``, or one of `periods`."""
    until: Moment | None = None
    """When it is gone, in the same form: it is no longer there in that hour, on that day, in that period."""


class Reservation(Part):
    """What somebody else holds of a host or pool for a time."""

    provider: Text
    """A host; a pool, where pools have no hosts or where the resource class is the pool's own."""
    resources: Mapping[Text, Amount]
    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None


Term = Literal["price", "hosts_on", "licences", "moving", "penalties", "balance", "moves"]
Weight = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class Document(Part):
    """A placement problem: what is to be placed, where it could go, and what must hold."""

    format: Literal["tierwise-placement/1"]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """ISO 4217."""
    horizon_hours: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] = 720
    """What prices are for; 720 is a 30-day month."""
    resource_classes: Annotated[tuple[Text, ...], Field(min_length=1)] = ("vcpu", "memory_mib", "disk_gib")
    """Named with their unit last."""
    pools: Annotated[tuple[Pool, ...], Field(min_length=1)]
    flavors: Mapping[Text, Flavor] = Field(default_factory=dict)
    requests: tuple[Request, ...]
    groups: Mapping[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Name -> ids of requests and names of other groups; constraints may name it."""
    periods: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of periods that follow each other; without them, time is cut where something begins or ends."""
    reservations: tuple[Reservation, ...] = ()
    constraints: tuple[Any, ...] = ()
    """Each with its `kind`; what always holds (room, largest machine, refusals) is not listed."""
    objective: tuple[Mapping[Term, Weight], ...] | None = None
    """After placing the most requests: levels of weighted terms, each made least before the next is looked at.
    Without it: the least of price, hosts_on, licences, moving and penalties together, then the fewest moves."""
