"""JSON Schemas (draft 2020-12) of what can be ordered, and of catalog documents."""

from collections.abc import Callable
from typing import Any

from pydantic.json_schema import models_json_schema

from catalog.catalog import ALSO_KNOWN, SECTIONS, Catalog
from catalog.offerings import CONTROL_CHARACTER, MAX_TEXT, Offering, Parameter, ParameterKind

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_NAMES = {"properties", "$defs"}
"""What holds names of fields and objects, which may be called as the schema's own words are."""


def offering_schema(catalog: Catalog, offering: Offering) -> dict[str, Any]:
    """The JSON Schema of an order's parameters: it accepts exactly what `resolve` accepts.

    Nothing is required, as every parameter has a default. Where the data classification cannot be
    chosen the schema does not name it.
    """
    workload_class = catalog.classes[offering.workload_class]
    return {
        "$schema": DRAFT,
        "title": offering.title,
        "description": f"{offering.description} Class: {workload_class.title}.",
        "type": "object",
        "properties": {name: _property(p) for name, p in offering.parameters.items()},
        "additionalProperties": False,
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    described = {"description": parameter.description} if parameter.description else {}
    return {
        "title": parameter.title,
        **described,
        "type": parameter.kind.value,
        **_limits(parameter),
        "default": parameter.default,
    }


def _limits(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind is ParameterKind.INTEGER:
        step = {"multipleOf": parameter.multiple_of} if parameter.multiple_of else {}
        return {"minimum": parameter.lowest, "maximum": parameter.highest, **step}
    if parameter.kind is ParameterKind.BOOLEAN:
        return {}
    if parameter.choices:
        return {"enum": list(parameter.choices)}
    # "not": an anchored pattern would let a line feed at the end pass in Python's readers.
    return {"maxLength": MAX_TEXT, "not": {"pattern": CONTROL_CHARACTER}}


def document_schema() -> dict[str, Any]:
    """The JSON Schema of catalog documents, for editors; references between entries are not in it.

    Sections that policies and chargeback read are let through as any mapping.
    """
    models = [(model, "validation") for model in SECTIONS.values()]
    _, schema = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type] # "validation" is one of its modes
    definitions = schema["$defs"]
    for definition in definitions.values():
        for field in definition.get("properties", {}).values():
            _close(field)
    sections = {section: _section(definitions, model.__name__) for section, model in SECTIONS.items()}
    others = {section: {"type": ["object", "null"]} for section in ALSO_KNOWN}
    return {
        "$schema": DRAFT,
        "title": "tierwise catalog",
        "type": "object",
        "properties": {**sections, **others},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _close(field: dict[str, Any]) -> None:
    """Refuse other keys too: pydantic says what matching keys hold, and nothing about the rest."""
    for pattern, values in field.pop("patternProperties", {}).items():
        field["propertyNames"] = {"pattern": pattern}
        field["additionalProperties"] = values


def _section(definitions: dict[str, Any], model: str) -> dict[str, Any]:
    """A section's schema; an entry's name is its key, so the name leaves the entry's own schema."""
    definition = definitions[model]
    definition["required"] = [field for field in definition["required"] if field != "name"]
    return {
        "type": ["object", "null"],
        "propertyNames": definition["properties"].pop("name"),
        "additionalProperties": {"$ref": f"#/$defs/{model}"},
    }


def tidied(
    part: Any,
    *,
    defaults: bool = False,
    other: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
) -> Any:
    """What pydantic made, without the titles that repeat names, with texts in one line, and closed where keys have a form.

    Defaults stay if `defaults`. Where `other` has another form for an object, that stands in its place.
    """
    if isinstance(part, list):
        return [tidied(one, defaults=defaults, other=other) for one in part]
    if not isinstance(part, dict):
        return part
    if other and (form := other(part)) is not None:
        return form
    found: dict[str, Any] = {}
    for key, value in part.items():
        if key in _NAMES:
            found[key] = {name: tidied(one, defaults=defaults, other=other) for name, one in value.items()}
        elif not (key == "title" and isinstance(value, str)) and (defaults or key != "default"):
            found[key] = tidied(value, defaults=defaults, other=other)
    _close(found)
    text = found.get("description")
    return {**found, "description": " ".join(text.split())} if isinstance(text, str) else found
