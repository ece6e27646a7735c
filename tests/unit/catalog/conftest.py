"""A small catalog as text, and a reader of JSON Schema that shares no code with the product."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.catalog import Catalog, load_catalog

ROOT = Path(__file__).parents[3]

SMALL = """\
tiers:
  tier-1: {rank: 1, title: Production, purpose: must not stand still}
  tier-2: {rank: 2, title: Test, purpose: may wait}
sites:
  fra: {title: Frankfurt, country: DE}
endpoints:
  vc: {driver: vsphere, address: vc.example}
pools:
  fra-1: {tier: tier-1, site: fra, endpoint: vc, provider: C0, traits: [STORAGE_SSD]}
cost_centres:
  money: {title: Finance}
tenants:
  payroll: {title: Payroll, cost_centre: money, quota: {vcpu: 8, memory_mib: 8192, disk_gib: 100}}
classes:
  db:
    title: Database
    summary: restarted
    sizes: {small: {vcpu: 4, memory_mib: 8192, disk_gib: 100}}
    required_capabilities: [ha_restart]
    allowed_tiers: [tier-1]
    default_tier: tier-1
    availability: restart
    data_classification: confidential
    lease_days: 30
offerings:
  db-small:
    title: Database, small
    description: A database.
    workload_class: db
    size: small
    parameters:
      vcpu: {kind: integer, title: CPUs, minimum: 2, maximum: 8, multiple_of: 2, default: 4}
      data: {kind: string, title: Data, choices: [internal, confidential], default: confidential}
      backup: {kind: boolean, title: Backup, default: true}
      note: {kind: string, title: Note, default: none}
"""


@pytest.fixture(scope="session")
def small() -> str:
    return SMALL


@pytest.fixture(scope="session")
def small_catalog() -> Catalog:
    return load_catalog({"small.yaml": SMALL})


@pytest.fixture(scope="session")
def acme_texts() -> dict[str, str]:
    folder = ROOT / "examples" / "acme"
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.yaml"))}


@pytest.fixture(scope="session")
def acme(acme_texts: dict[str, str]) -> Catalog:
    return load_catalog(acme_texts)


@pytest.fixture(scope="session")
def accepts() -> Callable[[dict[str, Any], Any], bool]:
    """Whether a JSON value keeps a schema; an unknown keyword is an error, never skipped."""
    return lambda schema, value: _accepts(schema, value, schema)


_NOTES = {"$schema", "$defs", "title", "description", "default", "format"}

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: not isinstance(v, bool) and isinstance(v, int | float) and v == int(v),
}


def _accepts(schema: Any, value: Any, root: Any) -> bool:
    if isinstance(schema, bool):
        return schema
    checks = {keyword: what for keyword, what in schema.items() if keyword not in _NOTES}
    return all(_KEYWORDS[keyword](what, value, schema, root) for keyword, what in checks.items())


def _type(what: Any, value: Any, _schema: Any, _root: Any) -> bool:
    return any(_TYPES[kind](value) for kind in ([what] if isinstance(what, str) else what))


def _properties(what: Any, value: Any, _schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or all(
        _accepts(sub, value[name], root) for name, sub in what.items() if name in value
    )


def _additional(what: Any, value: Any, schema: Any, root: Any) -> bool:
    if not isinstance(value, dict):
        return True
    rest = value.keys() - schema.get("properties", {}).keys()
    return all(_accepts(what, value[name], root) for name in rest)


def _ref(what: str, value: Any, _schema: Any, root: Any) -> bool:
    found = root
    for part in what.removeprefix("#/").split("/"):
        found = found[part]
    return _accepts(found, value, root)


def _number(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Any, Any], bool]:
    return lambda what, value, *_: not _TYPES["number"](value) or test(value, what)


def _sized(kind: type, test: Callable[[int, int], bool]) -> Callable[[Any, Any, Any, Any], bool]:
    return lambda what, value, *_: not isinstance(value, kind) or test(len(value), what)


_KEYWORDS: dict[str, Callable[[Any, Any, Any, Any], bool]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "$ref": _ref,
    "enum": lambda what, value, *_: any(type(value) is type(w) and value == w for w in what),
    "const": lambda what, value, *_: value == what,
    "required": lambda what, value, *_: not isinstance(value, dict) or set(what) <= value.keys(),
    "anyOf": lambda what, value, _s, root: any(_accepts(sub, value, root) for sub in what),
    "oneOf": lambda what, value, _s, root: sum(_accepts(sub, value, root) for sub in what) == 1,
    "not": lambda what, value, _s, root: not _accepts(what, value, root),
    "propertyNames": lambda what, value, _s, root: (
        not isinstance(value, dict) or all(_accepts(what, name, root) for name in value)
    ),
    "items": lambda what, value, _s, root: (
        not isinstance(value, list) or all(_accepts(what, item, root) for item in value)
    ),
    "uniqueItems": lambda what, value, *_: (
        not what or not isinstance(value, list) or len({repr(v) for v in value}) == len(value)
    ),
    "pattern": lambda what, value, *_: not isinstance(value, str) or bool(re.search(what, value)),
    "minimum": _number(lambda v, limit: v >= limit),
    "maximum": _number(lambda v, limit: v <= limit),
    "exclusiveMinimum": _number(lambda v, limit: v > limit),
    "exclusiveMaximum": _number(lambda v, limit: v < limit),
    "multipleOf": _number(lambda v, step: v % step == 0),
    "minLength": _sized(str, lambda n, limit: n >= limit),
    "maxLength": _sized(str, lambda n, limit: n <= limit),
    "minItems": _sized(list, lambda n, limit: n >= limit),
    "maxItems": _sized(list, lambda n, limit: n <= limit),
    "minProperties": _sized(dict, lambda n, limit: n >= limit),
}
