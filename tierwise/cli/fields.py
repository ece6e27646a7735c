"""What each list shows, in words: for tables, for ``--columns`` and ``--sort``, and for the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from tierwise.errors import InvalidInput


@dataclass(frozen=True)
class Fields:
    """The fields of a list's rows (name -> meaning); `table` names those that a table shows."""

    meanings: Mapping[str, str]
    table: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """Which fields are wanted, and by which of them the rows are sorted (``-name``: largest first)."""

    columns: tuple[str, ...] = ()
    sort: str = ""

    def check(self, fields: Fields | None) -> None:
        """Raises InvalidInput for a field that the list does not have."""
        known = fields.meanings if fields else {}
        wanted = [*self.columns, *([self.sort.removeprefix("-")] if self.sort else [])]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            msg = f"there is no field {', '.join(map(repr, unknown))}; known are {', '.join(known)}"
            raise InvalidInput(msg)


EVERYTHING = View()

Columns = Annotated[
    str, typer.Option("--columns", help="Only these fields, in this order: NAME,NAME,...", metavar="NAMES")
]
Sort = Annotated[
    str, typer.Option("--sort", help="Sort by this field; -NAME: largest first.", metavar="NAME")
]


def view(columns: str, sort: str) -> View:
    """The view that the options ask for."""
    return View(tuple(name.strip() for name in columns.split(",") if name.strip()), sort.strip())


FINDINGS = Fields(
    {
        "verdict": "`ok`, `note` or `bad`",
        "subject": "what was looked at",
        "finding": "what was found and, where it is not right, what to do",
    },
    ("verdict", "subject", "finding"),
)

VM_DISKS = Fields(
    {
        "disk": "what it was called when it was added; empty for the disk that the machine was made with",
        "key": "the hypervisor's own name of it",
        "size_gib": "its size in GiB, rounded up",
        "bus": "the controller that it is on, as the vendor names it",
        "size_bytes": "its size in bytes",
    },
    ("disk", "key", "size_gib", "bus"),
)

VM_SNAPSHOTS = Fields(
    {
        "snapshot": "its name",
        "position": "1 for the oldest, 2 for the next one, and so on",
        "taken_at": "when it was taken, by the hypervisor's clock (UTC)",
        "parent": "the snapshot that the machine came from when this one was taken; empty: none, or not told",
        "current": "`yes` where the machine comes from this one now, else `no`",
    },
    ("position", "snapshot", "taken_at", "parent", "current"),
)

VM_MOVES = Fields(
    {
        "machine": "its name",
        "source": "the pool that it leaves",
        "target": "the pool that it goes to",
        "state": "`moving`, `moved` (waits to be confirmed), `stuck`, `confirmed`, `undone` or `failed`",
        "error": "what went wrong",
        "started_at": "when it began",
        "ended_at": "when it was at its end",
        "id": "its id",
    },
    ("machine", "source", "target", "state", "started_at"),
)

PREFLIGHT = Fields(
    {
        "kind": "`blocks` (the move cannot be made), `changes` or `note`",
        "subject": "what it is about",
        "text": "what is found, what changes or what it takes",
    },
    ("kind", "subject", "text"),
)

OFFERINGS = Fields(
    {
        "offering": "the name to order by",
        "title": "its title",
        "class": "the workload class",
        "vcpu": "virtual processors, unless a parameter says otherwise",
        "memory_mib": "memory in MiB, as above",
        "disk_gib": "disk in GiB, as above",
        "tiers": "the tiers that its class allows",
        "data": "the data classification of its class",
        "parameters": "what `--set` can change; `tierwise catalog schema` has their limits",
    },
    ("offering", "title", "vcpu", "memory_mib", "disk_gib", "tiers"),
)

RATES = Fields(
    {
        "card": "the rate card and its version",
        "rate_id": "the name on every line that it prices",
        "tier": "the tier",
        "metric": "what is charged for",
        "basis": "which quantity of it",
        "component": "the name of an additional charge",
        "where": "the labels that a machine must have",
        "unit": "what the price is for",
        "rate": "the price of a unit, or the shape in words",
        "window": "over what a shape's quantity is added up; empty for a price per unit",
        "power": "whether a machine that is off is charged",
        "frequency": "how often it charges",
        "valid_from": "from when it prices, UTC",
        "valid_to": "until when; empty: no end is known",
        "recorded_at": "when it became known",
    },
    ("rate_id", "tier", "metric", "unit", "rate", "valid_from", "valid_to"),
)

QUOTE = Fields(
    {
        "tier": "the tier",
        "pool": "the pool",
        "site": "where the pool is",
        "price": "the price of a 30-day month; empty where the pool was never reached",
        "price_minor": "the same in the currency's minor units",
        "currency": "the currency",
        "formula": "what the price consists of",
        "for_tenant": "the price after adjustments that hang on this machine alone; of 30 days from now, as the "
        "invoices of their months will round it",
        "for_tenant_minor": "the same in the currency's minor units",
        "adjustments": "these adjustments, with their amounts",
        "not_known": "what the price does not have, as it hangs on more than this machine",
        "verdict": "`recommended`, `possible`, `refused` or `unreachable`",
        "why": "the reason",
        "remedy": "what would help",
    },
    ("tier", "pool", "price", "verdict", "why"),
)

ORDERS = Fields(
    {
        "order": "the start of the order's id",
        "machine": "the machine's name",
        "tenant": "who owns and pays",
        "offering": "what was ordered",
        "status": "`accepted`, `placed`, `delivered`, `refused`, `failed` or `removed`",
        "tier": "the tier it was placed on",
        "pool": "the pool it was placed in",
        "price_per_month": "the price of a 30-day month",
        "price_minor": "the same in the currency's minor units",
        "currency": "the currency",
        "ordered_at": "when it was ordered (UTC)",
        "id": "the order's id, which is the machine's identity too",
    },
    ("order", "machine", "tenant", "offering", "status", "tier", "pool", "price_per_month"),
)

POOLS = Fields(
    {
        "pool": "the pool's name",
        "tier": "its tier",
        "hypervisor": "what runs there; `?` where it was never reached",
        "site": "where it is",
        "endpoint": "the endpoint that it is reached by",
        "hosts": "its hosts",
        "vcpu_free": "virtual processors that can still be ordered",
        "memory_mib_free": "memory in MiB that can still be ordered",
        "disk_gib_free": "disk in GiB that can still be ordered",
        "traits": "what classes and rules can require of it: the catalog's, and what its endpoint told",
        "state": "`ready` or `unusable`",
        "why": "why it takes no machines now",
    },
    (
        "pool",
        "tier",
        "hypervisor",
        "site",
        "hosts",
        "vcpu_free",
        "memory_mib_free",
        "disk_gib_free",
        "state",
    ),
)

CAPABILITIES = Fields(
    {
        "pool": "the pool's name",
        "hypervisor": "what runs there",
        "capability": "what can be done",
        "available": "`yes` or `no`",
        "reason": "why not: `never`, `not_yet`, `not_licensed` or `not_configured`",
        "detail": "the reason in words",
    },
    ("capability", "available", "reason", "detail"),
)

TEMPLATES = Fields(
    {
        "pool": "the pool's name",
        "template": "the trait by which classes and rules require it",
        "minimum_disk_gib": "the least disk in GiB that a machine of it can be ordered with; empty: not known",
        "firmware": "`bios` or `uefi`, which its machines start by; empty: not known",
        "size_bytes": "the size of its disks in bytes; empty: not known",
    },
    ("pool", "template", "minimum_disk_gib", "firmware"),
)

MACHINES = Fields(
    {
        "machine": "the machine's name",
        "tenant": "who owns and pays; empty where tierwise did not make it",
        "tier": "its tier",
        "pool": "the pool it stands in",
        "power": "`on`, `off`, `suspended` or `unknown`",
        "vcpu": "virtual processors",
        "memory_mib": "memory in MiB",
        "disk_gib": "disk in GiB",
        "host": "the host it runs on, as last seen",
        "drift": "how it differs from what tierwise knows; empty: not at all",
        "endpoint": "the endpoint that shows it",
        "identity": "its identity; the start of it names it in commands",
        "seen_at": "when its endpoint was last reached (UTC)",
    },
    ("machine", "tenant", "tier", "pool", "power", "vcpu", "memory_mib", "disk_gib", "host", "drift"),
)

MOVES = Fields(
    {
        "machine": "the machine that moves, or has no place any more",
        "from": "the pool that it stands in",
        "to": "the pool that it would move to; empty: none can take it",
        "cost_before": "what it costs in a 30-day month today; rounded once, where a quote rounds each product",
        "cost_after": "what it would cost",
    },
    ("machine", "from", "to", "cost_before", "cost_after"),
)

REPORTS = Fields(
    {
        "report": "its name",
        "shows": "what it shows",
    },
    ("report", "shows"),
)

PERIODS = Fields(
    {
        "period": "the month",
        "state": "`open`, `review` or `closed`",
        "known_at": "what was known until this moment is billed; empty: what is known now",
        "closed_at": "when it was closed",
        "rate_card": "by which card it is billed",
        "statements": "how many statements were numbered",
        "lines": "how many lines were booked",
        "total": "their sum, by currency",
    },
    ("period", "state", "known_at", "closed_at", "rate_card", "statements", "lines", "total"),
)

LISTS: Mapping[str, Fields] = {
    "doctor": FINDINGS,
    "quote": QUOTE,
    "catalog list": OFFERINGS,
    "catalog rates": RATES,
    "pool list": POOLS,
    "pool capabilities": CAPABILITIES,
    "pool templates": TEMPLATES,
    "order list": ORDERS,
    "vm list": MACHINES,
    "vm disks": VM_DISKS,
    "vm snapshots": VM_SNAPSHOTS,
    "vm move": PREFLIGHT,
    "vm moves": VM_MOVES,
    "whatif now": MOVES,
    "charge periods": PERIODS,
    "report list": REPORTS,
}
"""Command -> the fields of its rows. The reference page is written from it."""
