"""The exported JSON Schemas, against `resolve` and against readers of JSON Schema that are not ours.

`accepts` in conftest.py is a small reader written for these tests; where the package jsonschema is
installed, it must agree on every value too.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog.catalog import Catalog
from catalog.json_schema import document_schema, offering_schema
from catalog.offerings import Offering, Parameter, ParameterKind
from catalog.orders import Order
from catalog.resolve import OrderInvalid, resolve
from catalog.resources import Resources
from catalog.workload_classes import WorkloadClass

Accepts = Callable[[dict[str, Any], Any], bool]

A_CLASS = WorkloadClass(
    name="c",
    title="C",
    summary="s",
    sizes={"s": Resources(vcpu=1, memory_mib=1, disk_gib=1)},
    allowed_tiers=("t",),
    default_tier="t",
)

texts = st.text(max_size=6) | st.sampled_from(
    ["a", "b", "a\n", "\x7f", "\x9f", "x" * 255, "x" * 256, "1", ""]
)
numbers = st.integers(-9, 40) | st.integers() | st.sampled_from([2**53 - 1, 2**53, -(2**53), 10**30])
values = st.one_of(
    numbers,
    texts,
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([4.0, 0.5, -0.0, 1e300]),
    st.lists(st.integers(), max_size=1),
    st.dictionaries(st.just("a"), st.integers(), max_size=1),
)


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(ParameterKind))
    limits: dict[str, Any] = {}
    if kind is ParameterKind.INTEGER:
        low, span, step = draw(st.integers(-5, 20)), draw(st.integers(0, 20)), draw(st.integers(1, 5))
        default: Any = -(-low // step) * step
        chosen = draw(st.sets(st.sampled_from(["minimum", "maximum", "multiple_of"])))
        every = {"minimum": low, "maximum": max(low + span, default), "multiple_of": step}
        limits = {name: limit for name, limit in every.items() if name in chosen}
    elif kind is ParameterKind.STRING:
        choices = draw(st.lists(st.sampled_from(["a", "b", "1", "true"]), unique=True))
        limits, default = {"choices": choices}, choices[0] if choices else "free"
    else:
        default = draw(st.booleans())
    return Parameter(kind=kind, title="T", default=default, **limits)


def offering_of(made: dict[str, Parameter]) -> tuple[Catalog, Offering]:
    offering = Offering(name="o", title="O", description="d", workload_class="c", size="s", parameters=made)
    known = Catalog.model_validate(
        {
            "classes": {"c": A_CLASS},
            "offerings": {"o": offering},
            "tenants": {"t": {"name": "t", "title": "T", "cost_centre": "c"}},
        }
    )
    return known, offering


def resolves(catalog: Catalog, offering: str, tenant: str, said: Any) -> bool:
    """Whether an order with these parameters, as they come out of JSON, means something."""
    try:
        order = Order(
            id=UUID(int=1),
            offering=offering,
            tenant=tenant,
            machine_name="m",
            parameters=said,
            ordered_by="x",
            ordered_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        resolve(catalog, order)
    except (ValidationError, OrderInvalid):
        return False
    return True


def agreed(accepts: Accepts, schema: dict[str, Any], value: Any) -> bool:
    """What the readers of JSON Schema say, which must be the same."""
    ours = accepts(schema, value)
    if find_spec("jsonschema") is not None:
        from jsonschema import Draft202012Validator

        Draft202012Validator.check_schema(schema)
        assert Draft202012Validator(schema).is_valid(value) == ours, (schema, value)
    return ours


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_schema_of_any_offering_accepts_exactly_what_resolve_accepts(
    data: st.DataObject, accepts: Accepts
) -> None:
    made = data.draw(st.dictionaries(st.sampled_from(["size_a", "b", "note"]), parameters(), max_size=3))
    catalog, offering = offering_of(made)
    schema = json.loads(json.dumps(offering_schema(catalog, offering)))
    names = st.sampled_from(["size_a", "b", "note", "other"])
    said = json.loads(json.dumps(data.draw(st.dictionaries(names, values, max_size=3))))
    assert agreed(accepts, schema, said) == resolves(catalog, "o", "t", said)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_the_schemas_of_acme_accept_exactly_what_resolve_accepts(
    data: st.DataObject, acme: Catalog, accepts: Accepts
) -> None:
    offering = data.draw(st.sampled_from(list(acme.offerings.values())))
    said = {}
    for name in data.draw(st.sets(st.sampled_from([*offering.parameters]))):
        p = offering.parameters[name]
        near = st.sampled_from([p.default, p.minimum, p.maximum, (p.maximum or 0) + 1, *p.choices])
        said[name] = data.draw(near | values)
    said = json.loads(json.dumps(said))
    schema = offering_schema(acme, offering)
    assert agreed(accepts, schema, said) == resolves(acme, offering.name, "payroll", said)


def test_the_defaults_of_an_offering_keep_its_schema(acme: Catalog, accepts: Accepts) -> None:
    for offering in acme.offerings.values():
        schema = offering_schema(acme, offering)
        assert agreed(accepts, schema, {name: p.default for name, p in offering.parameters.items()})
        assert agreed(accepts, schema, {})
        assert not agreed(accepts, schema, [])


def test_the_schema_of_an_offering_shows_titles_limits_and_defaults(small_catalog: Catalog) -> None:
    schema = offering_schema(small_catalog, small_catalog.offerings["db-small"])
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Database, small",
        "description": "A database. Class: Database.",
        "type": "object",
        "properties": {
            "vcpu": {
                "title": "CPUs", "type": "integer", "minimum": 2, "maximum": 8, "multipleOf": 2, "default": 4,
            },
            "data": {
                "title": "Data", "type": "string", "enum": ["internal", "confidential"], "default": "confidential",
            },
            "backup": {"title": "Backup", "type": "boolean", "default": True},
            "note": {
                "title": "Note", "type": "string", "maxLength": 255,
                "not": {"pattern": r"[\u0000-\u001f\u007f-\u009f]"}, "default": "none",
            },
        },
        "additionalProperties": False,
    }  # fmt: skip


def test_the_schema_of_documents_accepts_the_example(acme_texts: dict[str, str], accepts: Accepts) -> None:
    schema = json.loads(json.dumps(document_schema()))
    for name, text in acme_texts.items():
        # The dates of rates are not JSON, and some say by their format that they are another reader's.
        if name != "rates.yaml" and "\nformat: tierwise-" not in f"\n{text}":
            assert agreed(accepts, schema, yaml.safe_load(text)), name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rank: 2", "rank: two"),
        ("rank: 2", "rank: 0"),
        ("rank: 2, ", ""),
        ("rank: 2", "rank: 2, colour: red"),
        ("tier-2:", "Tier_2:"),
        ("country: DE", "country: Germany"),
        ("tiers:", "tires:"),
        ("allowed_tiers: [tier-1]", "allowed_tiers: []"),
        ("required_capabilities: [ha_restart]", "required_capabilities: [flying]"),
        ("address: vc.example", "address: vc, secret: hunter2"),
        ("kind: boolean", "kind: date"),
        ("backup: {kind", "Back-up: {kind"),
        ("sizes: {small:", "sizes: {SMALL:"),
        ("vcpu: 8", "vcpu: -8"),
    ],
)
def test_the_schema_of_documents_refuses_a_mistake(
    small: str, accepts: Accepts, old: str, new: str
) -> None:
    schema = document_schema()
    assert agreed(accepts, schema, yaml.safe_load(small))
    assert not agreed(accepts, schema, yaml.safe_load(small.replace(old, new)))


def test_an_entry_of_a_document_needs_no_name(small: str) -> None:
    for section in document_schema()["$defs"].values():
        if section["type"] == "object" and section["title"] != "Resources":
            assert "name" not in section["properties"]
            assert "name" not in section.get("required", [])
