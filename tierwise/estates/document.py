"""Estates as JSON documents: what was imported, corrected by hand or made by a program, without loss."""

import json
from typing import Any

from pydantic import ValidationError

from catalog.estates import Estate
from catalog.json_schema import DRAFT
from tierwise.errors import InvalidInput

FORMAT = "tierwise-estate/1"
_SHOWN = 50


def parse(content: bytes | str, where: str) -> Estate:
    """The estate of a document. Raises InvalidInput with everything that is wrong in its details."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: is no JSON ({error}); correct it, or import the export that it was made from"
        raise InvalidInput(msg) from None
    said = tree.pop("format", None) if isinstance(tree, dict) else None
    if said != FORMAT:
        has = f"it has {json.dumps(said)[:60]}" if said is not None else "it has none"
        msg = f'{where}: is no estate: it must be an object with "format": "{FORMAT}", and {has}'
        raise InvalidInput(msg)
    try:
        return Estate.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        found = error.errors()
        details = [_in_words(one) for one in found[:_SHOWN]]
        more = f"; the first {_SHOWN} are shown" if len(found) > _SHOWN else ""
        msg = f"{where}: {len(found)} {'problem' if len(found) == 1 else 'problems'}{more}; nothing was imported"
        raise InvalidInput(msg, details=details) from None


def _in_words(error: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(
        "."
    )
    return f"{place or 'the document'}: {str(error['msg'])[0].lower()}{str(error['msg'])[1:]}"


def text(estate: Estate) -> str:
    """The document: one machine, host, pool or datastore a line, and without fields that say nothing."""
    tree = estate.model_dump(mode="json", exclude_defaults=True)
    parts = [f'"format": {json.dumps(FORMAT)}']
    parts += [f"{json.dumps(name)}: {_rows(value)}" for name, value in tree.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _rows(value: object) -> str:
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    lines = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in value)
    return f"[\n{lines}\n]" if lines else "[]"


def schema() -> dict[str, Any]:
    """The JSON Schema of such documents, for editors; that names stand once is checked beyond it."""
    model = Estate.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
    properties = {"format": {"const": FORMAT}, **model.pop("properties")}
    return {
        "$schema": DRAFT,
        **model,
        "title": "tierwise estate",
        "properties": properties,
        "required": ["format", *model["required"]],
    }


def schema_text() -> str:
    """What docs/reference/estate.schema.json must be."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
