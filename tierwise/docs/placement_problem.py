"""The page of the placement problem's JSON document, made from the form that reads it.

``make docs`` writes it, and the JSON Schema beside it, anew.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from placement.document import schema
from placement.documents import kinds
from placement.documents.form import (
    Document,
    Flavor,
    Host,
    Inventory,
    Part,
    Pool,
    Reason,
    Request,
    Reservation,
)

_INTRODUCTION = """\
# The placement problem as a JSON document

What is to be placed, where it could go, and what must hold, in one file that people can write and programs can check:

```bash
tierwise place solve examples/placement/pools.json -o plan.json
tierwise place check examples/placement/pools.json plan.json
tierwise place generate --requests 200 --hosts 20 --seed 7 -o estate.json
tierwise place schema > placement-problem.schema.json
```

[placement-problem.schema.json](placement-problem.schema.json) is its JSON Schema, for editors. Three examples are in
[examples/placement](../../examples/placement): `pools.json` (two pools), `hosts.json` (every field that there is) and
`cluster.json` (rules). In Python, `placement.document.read` makes the problem from text or from plain values, and
`write` a document from a problem; reading what was written gives an equal problem.

Names are those of OpenStack Placement where it has the thing: inventory, allocation ratio, trait. Amounts are whole
numbers in the unit that the resource class's name ends with. Prices are decimal text (`"12.34"`; numbers are read
exactly too, but not every program writes them so) for the whole horizon, kept to the millionth of the currency.

## What is read how

- **Room.** (`total` - `reserved`) x `allocation_ratio`, rounded down, less `used`, never below 0; computed in
  fractions, so that 100 x 0.29 is 29. Machines that are among the requests (`current`) are not counted as `used`.
- **Hosts or pools.** Either every pool has hosts, or none has. A resource class that stands on pools and on no host is
  shared: machines take it from their pool. One that stands on both is limited on each host and in the pool together.
- **Largest machine.** `max_unit`; where it is not given, `total` - `reserved`: overcommit shares a host between
  machines, not within one.
- **Prices.** What a request says for a pool goes before what it says for the pool's tier, and both before the pool's
  `unit_prices`, of which it pays the sum over its resources, rounded once, half up. Where a document has any price,
  every request must have one in every pool; a machine for nothing would otherwise go there first. Without any price,
  placing is all that counts.
- **Counts.** `{"id": "web", "count": 3}` are the requests `web#1`, `web#2`, `web#3`, and `web` names them as a group.
- **Time.** `from` is when a request or reservation begins, `until` when it is gone: hours from now, or days, or names
  of `periods`, in one document always the same. Between two such moments nothing changes, and room is kept in each
  such slot. A request without `until` stays.
- **Mistakes.** All that are found in one step are told together, each with its path: first what is not in form, then
  names and sums, then constraints on what is not there.

      pools[0].hosts[2].inventories.vcpu.total: must be at least 0 (found -24)
      requests[4].current: 'fra-1' is a pool; name the host in it"""

_PLAN = """\
## The plan

`tierwise place solve PROBLEM.json -o PLAN.json` writes a plan with names. `assignments` has each request in the
problem's order with its `pool` (null where none takes it), its `host` where pools have hosts, `choices` (datastore,
NUMA nodes) where constraints ask for any, and `candidates`: every pool with its price and all that stands against it,
for requests without a place, or with `--explain` for all. What the other fields mean is told in
[placement.md](placement.md#what-a-plan-says); a `bound` of -4611686018427387904 means that nothing is proven.

`tierwise place check` reads a plan from anywhere. It needs `assignments` with `request_id` and `host` or `pool`; what
else a plan says of itself (`terms`, `cost_micros`, bounds, levels) is compared with what is counted. The check uses
each constraint's own counting and neither a solver nor what solvers are told.

```text
breach
esx-1: vcpu 24 is more than the 22 that is free in 2027-01-11 to 2027-01-15
terms.moves: 0 is not what is counted, 1
error: plan.json does not hold: 2 breaches
```
"""


def page() -> str:
    """The whole page: what is read how, every field, every kind of constraint, and the plan."""
    definitions = {**schema()["$defs"], "Document": schema()}
    objects = (Document, Pool, Host, Inventory, Flavor, Request, Reservation, Reason)
    lists = [_fields(part, definitions[part.__name__]) for part in objects]
    tables = ["\n".join(lines) + "\n" for lines in (*lists, _kinds())]
    return "\n".join([_INTRODUCTION, "## Fields\n", *tables, _PLAN])


def schema_text() -> str:
    """The JSON Schema as a file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _fields(part: type[Part], definition: dict[str, Any]) -> Iterator[str]:
    yield f"### {part.__name__}\n"
    yield f"{definition['description']}\n"
    yield "| field | meaning |"
    yield "| --- | --- |"
    inherited = set(definition["properties"]) & set(Flavor.model_fields) if part is Request else set()
    for name, field in definition["properties"].items():
        if name not in inherited:
            need = " (required)" if name in definition.get("required", ()) else ""
            text = field.get("description", _REFERS.get((part.__name__, name), "")).replace("|", "\\|")
            yield f"| `{name}`{need} | {text}{_default(field)} |"
    if inherited:
        yield f"| {', '.join(f'`{name}`' for name in Flavor.model_fields)} | As in a flavor, in its place. |"


_REFERS = {
    ("Document", "format"): "`tierwise-placement/1`.",
    (
        "Document",
        "pools",
    ): "At least one; see Pool. Where two cost the same, the one that stands first is preferred.",
    ("Document", "requests"): "See Request.",
    ("Document", "flavors"): "Name -> what requests of it have in common; see Flavor.",
    ("Document", "reservations"): "See Reservation.",
    ("Pool", "tier"): "The name of its tier; prices and refusals may name it.",
    ("Reservation", "resources"): "Resource class -> how much is held; together never more than is free.",
    ("Reservation", "from"): "As a request's.",
    ("Reservation", "until"): "As a request's.",
}
"""What is said of fields whose type says the most."""


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, [], {}, 0) else f" Default: `{json.dumps(default)}`."


def _kinds() -> Iterator[str]:
    yield "## Constraints\n"
    yield (
        "Each entry of `constraints` has a `kind`; its other fields are in [placement-constraints.md](placement-constraints.md)\n"
        "with an example each. Names of requests may be names of groups. Room, the largest machine and refusals\n"
        "hold always and are not listed. A distribution of somebody else adds a kind by an entry point of the group\n"
        "`tierwise.constraints`.\n"
    )
    yield "| kind | rule |"
    yield "| --- | --- |"
    for name, constraint in kinds.written().items():
        said = sys.modules[constraint.__module__].__doc__ or constraint.__doc__ or ""
        yield f"| `{name}` | {said.strip().splitlines()[0]} |"
