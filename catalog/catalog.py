"""The catalog: everything administrators describe, as one frozen value, and its loader.

Entries keep the order in which they are written, files taken in the order of their names; people see
lists in the order their author gave them. Equality does not look at order.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from catalog.base import Name, Value
from catalog.checks import Written, check
from catalog.documents import DocumentError, Located, Problem, entries, parse, unknown_sections
from catalog.frozen import FrozenMapping
from catalog.offerings import Offering
from catalog.parties import CostCentre, Tenant
from catalog.pools import Endpoint, PoolEntry, Site
from catalog.refusals import refuse_all
from catalog.tiers import Tier
from catalog.workload_classes import WorkloadClass

SECTIONS: Mapping[str, type[Value]] = {
    "tiers": Tier,
    "sites": Site,
    "endpoints": Endpoint,
    "pools": PoolEntry,
    "cost_centres": CostCentre,
    "tenants": Tenant,
    "classes": WorkloadClass,
    "offerings": Offering,
}
"""Each section of catalog documents, and what its entries are."""

ALSO_KNOWN = (
    "rules", "rate_cards", "adjustments", "fx", "stack", "budgets", "pool_costs", "shared_tenants", "cost_fx",
)  # fmt: skip
"""Sections of the same documents that policies and chargeback read."""


class Catalog(Value):
    """All entries by name.

    `load_catalog` checks that every reference has its entry; a catalog made by hand may hold only the
    parts that somebody needs.
    """

    tiers: FrozenMapping[Name, Tier] = Field(default_factory=dict)
    sites: FrozenMapping[Name, Site] = Field(default_factory=dict)
    endpoints: FrozenMapping[Name, Endpoint] = Field(default_factory=dict)
    pools: FrozenMapping[Name, PoolEntry] = Field(default_factory=dict)
    cost_centres: FrozenMapping[Name, CostCentre] = Field(default_factory=dict)
    tenants: FrozenMapping[Name, Tenant] = Field(default_factory=dict)
    classes: FrozenMapping[Name, WorkloadClass] = Field(default_factory=dict)
    offerings: FrozenMapping[Name, Offering] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_under_its_own_name(self) -> Self:
        refuse_all(
            "catalog",
            [
                ((section, key), f"stands under '{key}' but is named '{entry.name}'", entry.name)
                for section in SECTIONS
                for key, entry in getattr(self, section).items()
                if key != entry.name
            ],
        )
        return self


def load_catalog(texts: Mapping[str, str], also_known: Iterable[str] = ALSO_KNOWN) -> Catalog:
    """One catalog from several texts (file name -> text).

    Sections of `also_known` are other packages' and not looked at. Raises DocumentError with every
    problem of every file: YAML, fields, references, duplicates, and contradictions between entries.
    """
    loader = _Loader((*SECTIONS, *also_known))
    for file in sorted(texts):
        loader.add(texts[file], file)
    problems = loader.all_problems()
    if problems:
        raise DocumentError(problems)
    found: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for written in loader.written:
        found[written.section][written.name] = written.entry
    return Catalog(**found)


class _Loader:
    def __init__(self, known_sections: tuple[str, ...]) -> None:
        self.written: list[Written] = []
        self._known = known_sections
        self._of_yaml: list[Problem] = []
        self._of_entries: list[Problem] = []
        self._unreadable: list[str] = []

    def add(self, text: str, file: str) -> None:
        document, problems = parse(text, file)
        self._of_yaml += problems
        if document is None:
            self._unreadable.append(file)
            return
        if str(document.tree.get("format", "")).startswith("tierwise-"):
            return  # it says itself that another reader takes it: class rules, scenarios, costs
        if not document.tree and not problems:
            message = f"the file is empty; write one of the sections {', '.join(self._known)}, or remove it"
            self._of_yaml.append(document.problem((), message))
        self._of_entries += unknown_sections(document, self._known)
        for section, model in SECTIONS.items():
            self._add_section(document, section, model)

    def _add_section(self, document: Located, section: str, model: type[Value]) -> None:
        valid = entries(document, section, model, self._of_entries)
        content = document.tree.get(section)
        for name, body in content.items() if isinstance(content, dict) else ():
            entry = valid[str(name)][0] if str(name) in valid else None
            raw = body if isinstance(body, dict) else {}
            self.written.append(Written(document, section, str(name), (section, name), raw, entry))

    def all_problems(self) -> list[Problem]:
        """Every problem; at a value that YAML readers differ on, only that."""
        found = [*self._of_entries, *check(self.written, self._unreadable)]
        unread = {(p.file, p.path) for p in self._of_yaml}
        return [*self._of_yaml, *(p for p in found if (p.file, p.path) not in unread)]
