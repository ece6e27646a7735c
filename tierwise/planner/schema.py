"""The JSON Schema (draft 2020-12) of what-if documents, for editors; what only the estate shows is not in it."""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from catalog.json_schema import DRAFT, tidied
from tierwise.planner.changes import kinds
from tierwise.planner.document import FORMAT, HostType, Pool, Rule, WhatIf

_SECTIONS = ("pools", "rules", "scenarios")


def schema() -> dict[str, Any]:
    """The schema, with every kind of change that is installed."""
    models: list[Any] = [
        (model, "validation") for model in (WhatIf, Pool, Rule, HostType, *kinds().values())
    ]
    _, made = models_json_schema(models, by_alias=True, ref_template="#/$defs/{model}")
    definitions = tidied(made["$defs"])
    names = {kind: _of_kind(definitions, kind) for kind in kinds()}
    for model in ("Pool", "Rule", "HostType"):
        _without_name(definitions[_module(definitions, model)])
    whole = definitions.pop("WhatIf")
    for unused in ("Scenario", "Value"):
        definitions.pop(unused, None)
    properties = {name: body for name, body in whole["properties"].items() if name not in _SECTIONS}
    return {
        "$schema": DRAFT,
        "title": "tierwise what-if",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            **properties,
            "pools": _mapping({"$ref": f"#/$defs/{_module(definitions, 'Pool')}"}),
            "rules": _mapping({"$ref": f"#/$defs/{_module(definitions, 'Rule')}"}),
            "scenarios": _mapping(_scenario([{"$ref": f"#/$defs/{name}"} for name in names.values()])),
        },
        "required": ["format", *whole["required"], "pools"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def schema_text() -> str:
    """What docs/reference/whatif.schema.json must be."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _of_kind(definitions: dict[str, Any], kind: str) -> str:
    """The definition whose `kind` is this one; two modules may have classes of the same name."""
    return next(
        name
        for name, body in definitions.items()
        if body.get("properties", {}).get("kind", {}).get("const") == kind
    )


def _module(definitions: dict[str, Any], model: str) -> str:
    """The definition of a part of the document, which has no `kind`."""
    return next(
        name
        for name, body in definitions.items()
        if (name == model or name.endswith(f"__{model}")) and "kind" not in body.get("properties", {})
    )


def _without_name(body: dict[str, Any]) -> None:
    body["properties"].pop("name")
    body["required"] = [name for name in body.get("required", ()) if name != "name"]


def _mapping(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _scenario(changes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "changes": {"type": "array", "items": {"anyOf": changes}},
        },
        "additionalProperties": False,
    }
