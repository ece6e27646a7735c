"""What stands in a document of moves, ``tierwise-moves/1``."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from placement.documents.form import Amount, Part, Text

FORMAT = "tierwise-moves/1"

Seconds = Annotated[int, Field(strict=True, ge=0, le=366 * 86_400)]
Bandwidth = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
"""MiB/s."""
Weekly = Annotated[
    str, StringConstraints(pattern=r"^(mon|tue|wed|thu|fri|sat|sun) [0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$")
]


class Provider(Part):
    """A host, or a pool that is not looked into."""

    id: Text
    """Unlike that of every other provider."""
    pool: Text | None = None
    """The pool of a host, which commands name; its own id where it is not given."""
    site: Text = "site"
    endpoint: Text | None = None
    """The hypervisor's endpoint; the pool where it is not given."""
    storage: Text | None = None
    """Between providers of the same storage nothing is copied; without it, the provider has its own."""
    capacity: Mapping[Text, Amount]
    """Resource class -> what these machines may have together: overcommit, reserve and others' load applied."""
    largest: Mapping[Text, Amount] = Field(default_factory=dict)
    """Resource class -> the most of one machine; the capacity where it is not given."""
    outside: bool = False
    """Whether it stands for where nobody knows: nothing comes to it, and what leaves it is carried by hand."""
    mib_s: Bandwidth | None = None
    """Its bandwidth, in and out together; no limit where it is not given."""


class Machine(Part):
    """A machine that moves or stays, is new (without `from`) or retired (without `to`)."""

    id: Text
    """Its name, as commands know it; unlike that of every other machine."""
    resources: Mapping[Text, Amount]
    from_: Text | None = Field(default=None, alias="from")
    """The provider that it is on."""
    to: Text | None = None
    """The provider that it shall be on."""
    application: Text | None = None
    """Machines of one application move in one wave, where that can be."""
    disk_gib: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] | None = None
    """What is copied; its `disk_gib` among the resources where it is not given, and 0 without one."""
    mode: Literal["live", "switch", "cold"] = "cold"
    """`live`: never down. `switch`: down for `switch_s` at the end. `cold`: down from the first byte to the end."""
    switch_s: Seconds | None = None
    """What a move takes beside copying: stop, switch over, start; the document's `switch_s` where it is not given."""
    keeps_copy: bool | None = None
    """Whether its copy takes room at the old place until the wave is confirmed; yes where it changes endpoints."""


class Link(Part):
    """What connects two sites, or the hosts of one."""

    between: Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)]
    mib_s: Bandwidth
    """In both directions together."""


class Span(Part):
    """From one instant to another, which is not part of it."""

    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime


class Application(Part):
    """What is asked of an application's moves."""

    downtime_s: Seconds | None = None
    """The longest that it may be down in one window, with any of its machines."""


class Recurring(Part):
    """The same hours every week."""

    every: Annotated[tuple[Weekly, ...], Field(min_length=1)]
    """Such as `sat 22:00-06:00`, by the clocks of the time zone; an end that is not after the beginning is next day's."""
    from_: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")] = Field(alias="from")
    """The first day that counts."""
    weeks: Annotated[int, Field(strict=True, ge=1, le=520)] = 26
    time_zone: Text = "UTC"


class Moves(Part):
    """Where machines are, where they shall be, and how they may be carried."""

    format: Literal["tierwise-moves/1"]
    title: Text = "Migration waves"
    resource_classes: Annotated[tuple[Text, ...], Field(min_length=1)] = ("vcpu", "memory_mib", "disk_gib")
    providers: Annotated[tuple[Provider, ...], Field(min_length=1)]
    machines: tuple[Machine, ...]
    apart: Mapping[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Name -> machines of which no two are ever on one provider."""
    losses: Mapping[Text, Annotated[int, Field(strict=True, ge=0, le=1000)]] = Field(default_factory=dict)
    """Pool -> how many of its hosts may fail at once: at every step its machines fit into what the others offer."""
    applications: Mapping[Text, Application] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()
    """Sites between which machines move must have one."""
    at_once: Mapping[Text, Annotated[int, Field(strict=True, ge=1, le=10_000)]] = Field(
        default_factory=dict
    )
    """Endpoint -> the most moves at one time that touch it; 2 where it is not given."""
    stream_mib_s: Bandwidth = 80
    """The most that one move copies in a second."""
    passes: Annotated[int, Field(strict=True, ge=1, le=16)] = 1
    """How often each disk is gone through. A move between hypervisors reads, converts, writes and compares: 4."""
    switch_s: Seconds = 120
    windows: tuple[Span, ...] = ()
    weekly: Recurring | None = None
    """Beside `windows`; without both, `--windows` says when."""
    freezes: tuple[Span, ...] = ()
    """When nothing moves, whatever the windows say."""
    most_moves: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 50
    """In a wave."""


AT_ONCE = 2
"""Moves at one time of an endpoint that says nothing."""
