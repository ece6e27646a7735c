"""Whose a provider's resource is: documents of a section ``provider_resources:`` -> `ResourceMap`.

The reference of the format is docs/reference/focus.md.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field, model_validator

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Problem, entries, parse, unknown_sections

SECTIONS = frozenset({"provider_resources"})
"""The sections of documents that are read here."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is charged, and for which machine; empty where the document says nothing."""

    tenant: str
    cost_centre: str
    tier: str = ""
    pool: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class ResourceMap:
    """ResourceId and SubAccountId of a provider -> owner; a resource counts before its account."""

    resources: Mapping[str, Owner]
    accounts: Mapping[str, Owner]

    def owner(self, resource: str | None, account: str | None) -> Owner | None:
        """Whose a row with these two is; None where neither is known."""
        found = self.resources.get(resource) if resource else None
        return found or (self.accounts.get(account) if account else None)


class _Entry(Value):
    name: Name
    tenant: Name
    cost_centre: Name
    tier: Name
    pool: Name | None = None
    machine: str = Field(default="", max_length=120)
    resources: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_something(self) -> "_Entry":
        if not self.resources and not self.accounts:
            msg = "must name 'resources' or 'accounts' of the provider; it would be charged nothing"
            raise ValueError(msg)
        return self

    def owner(self) -> Owner:
        return Owner(self.tenant, self.cost_centre, self.tier, self.pool or "", self.machine)


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a map may use; a name that is not there is a mistake."""

    tenants: Collection[str]
    cost_centres: Collection[str]
    tiers: Collection[str]
    pools: Collection[str]


def load_resource_map(texts: Mapping[str, str], known: Known) -> ResourceMap:
    """One map from all files (file name -> text). Raises DocumentError with every problem of every file."""
    problems: list[Problem] = []
    places: dict[tuple[str, str], str] = {}
    resources: dict[str, Owner] = {}
    accounts: dict[str, Owner] = {}
    for file in sorted(texts):
        document, faults = parse(texts[file], file)
        problems += faults
        if document is None:
            continue
        problems += unknown_sections(document, SECTIONS)
        for entry, path in entries(document, "provider_resources", _Entry, problems).values():
            problems += _unknown(document, entry, path, known)
            problems += _twice(document, entry, path, places)
            resources |= dict.fromkeys(entry.resources, entry.owner())
            accounts |= dict.fromkeys(entry.accounts, entry.owner())
    if problems:
        raise DocumentError(problems)
    return ResourceMap(resources, accounts)


def _unknown(
    document: Located, entry: _Entry, path: tuple[str | int, ...], known: Known
) -> Iterator[Problem]:
    for field, name, names in (
        ("tenant", entry.tenant, known.tenants),
        ("cost_centre", entry.cost_centre, known.cost_centres),
        ("tier", entry.tier, known.tiers),
        ("pool", entry.pool, known.pools),
    ):
        if name is not None and name not in names:
            message = f"there is no {field} '{name}'; known are {', '.join(sorted(names)) or 'none'}"
            yield document.problem((*path, field), message)


def _twice(
    document: Located,
    entry: _Entry,
    path: tuple[str | int, ...],
    places: dict[tuple[str, str], str],
) -> Iterator[Problem]:
    for field, names in (("resources", entry.resources), ("accounts", entry.accounts)):
        for number, name in enumerate(names):
            before = places.setdefault((field, name), entry.name)
            if before != entry.name or name in names[:number]:
                message = f"'{name}' is of '{before}' already; each can have one owner"
                yield document.problem((*path, field, number), message)
