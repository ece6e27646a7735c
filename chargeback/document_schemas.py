"""The JSON Schemas of what stands beside rate cards: adjustments, other currencies, stacks, budgets, pool costs.

They say the form of one document. What only several entries show together (names that exist, an end after
its start, the decimals of a currency) is left to the readers, which tell it too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from catalog.base import Value
from catalog.discovery import declared
from catalog.json_schema import DRAFT, tidied
from chargeback.adjustment import Selector
from chargeback.adjustment_documents import StackBody
from chargeback.adjustments import kinds
from chargeback.budgets import Budget
from chargeback.fx import Billing, FxRate
from chargeback.json_forms import DAY, LABELS, MOMENT, MONTH, Form
from chargeback.shared_costs.documents import CostEntry, FxEntry, SharedEntry


def terms_schema() -> Form:
    """Of documents with ``adjustments``, ``fx`` and ``stack``."""
    found = _definitions([*kinds().values(), Billing, StackBody])
    _use(found, Selector, labels=LABELS)
    for kind in kinds().values():
        entry = _entry(found, kind, recorded_at=MOMENT, valid_from=MONTH, valid_to=_or_null(MONTH))
        entry["properties"]["kind"] = {"enum": list(declared(kind))}
        entry["required"] = sorted({*entry.get("required", ()), "kind"})
        if kind.form:
            entry["allOf"] = [kind.form]
    _entry(found, Billing, valid_from=MONTH, valid_to=_or_null(MONTH), recorded_at=MOMENT)
    _use(found, FxRate, day=DAY, recorded_at=MOMENT)
    rate = found["FxRate"]
    rate["required"] = [name for name in rate["required"] if name != "recorded_at"]
    # A rate has the moment of its entry, unless it has its own.
    each = {"properties": {"rates": {"items": {"required": ["recorded_at"]}}}}
    found["Billing"]["anyOf"] = [{"required": ["recorded_at"]}, each]
    terms = {"oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds().values()]}
    stack = {"anyOf": [{"$ref": "#/$defs/StackBody"}, {"type": "null"}]}
    found["StackBody"]["anyOf"] = [
        {"required": [name], "properties": {name: {"minProperties": 1}}}
        for name in ("tenants", "cost_centres")
    ]
    sections = {"adjustments": _section(terms), "fx": _section(_ref(Billing)), "stack": stack}
    return _document("tierwise adjustments, other currencies and stacked cards", sections, found)


def budgets_schema() -> Form:
    """Of documents with ``budgets``."""
    found = _definitions([Budget])
    entry = _entry(found, Budget, labels=LABELS, first_month=MONTH, last_month=_or_null(MONTH))
    entry["properties"]["thresholds"]["uniqueItems"] = True
    return _document("tierwise budgets", {"budgets": _section(_ref(Budget))}, found)


def pool_costs_schema() -> Form:
    """Of documents with ``pool_costs`` and ``shared_tenants``."""
    found = _definitions([CostEntry, SharedEntry, FxEntry])
    _entry(found, FxEntry)
    entry = _entry(found, CostEntry, valid_from=MOMENT, valid_to=_or_null(MOMENT), recorded_at=MOMENT)
    entry["oneOf"] = [_with_value(place) for place in ("pool", "tier", "site")]
    by_custom = {
        "anyOf": [
            {"properties": {name: {"const": "custom"}}, "required": [name]} for name in ("share", "idle")
        ]
    }
    entry["allOf"] = [_exactly_if(by_custom)]
    shared = _entry(found, SharedEntry)
    shared["allOf"] = [_exactly_if({"properties": {"by": {"const": "custom"}}, "required": ["by"]})]
    sections = {
        "pool_costs": _section(_ref(CostEntry)), "shared_tenants": _section(_ref(SharedEntry)),
        "cost_fx": _section(_ref(FxEntry)),
    }  # fmt: skip
    return _document("tierwise shared and idle cost", sections, found)


SCHEMAS = {
    "adjustments.schema.json": terms_schema,
    "budgets.schema.json": budgets_schema,
    "pool-costs.schema.json": pool_costs_schema,
}
"""File name in docs/reference -> what makes it."""


def _exactly_if(condition: Form) -> Form:
    """`custom` is there if and only if it is read."""
    given = {"required": ["custom"], "properties": {"custom": {"minProperties": 1}}}
    return {"if": condition, "then": given, "else": {"properties": {"custom": {"maxProperties": 0}}}}


def _with_value(name: str) -> Form:
    return {"required": [name], "properties": {name: {"type": "string"}}}


def _definitions(models: Sequence[type[Value]]) -> dict[str, Form]:
    wanted: list[Any] = [(model, "validation") for model in models]
    _, made = models_json_schema(wanted, ref_template="#/$defs/{model}")
    found: dict[str, Form] = tidied(made["$defs"])
    return found


def _entry(found: dict[str, Form], model: type[Value], **fields: Form) -> Form:
    """A model as an entry of a section: its name is its key there."""
    definition = _use(found, model, **fields)
    definition["properties"].pop("name")
    definition["required"] = [name for name in definition.get("required", ()) if name != "name"]
    return definition


def _use(found: dict[str, Form], model: type[Value], **fields: Form) -> Form:
    """The definition of a model, with the forms that documents write these fields in."""
    definition = found[model.__name__]
    definition["properties"] |= {name: dict(form) for name, form in fields.items()}
    return definition


def _or_null(form: Form) -> Form:
    return {"anyOf": [form, {"type": "null"}]}


def _ref(model: type[Value]) -> Form:
    return {"$ref": f"#/$defs/{model.__name__}"}


def _section(entry: Form) -> Form:
    return {"type": ["object", "null"], "additionalProperties": entry}


def _document(title: str, sections: Mapping[str, Form], definitions: Mapping[str, Form]) -> Form:
    return {
        "$schema": DRAFT, "title": title, "type": "object", "properties": dict(sections),
        "$defs": dict(sorted(definitions.items())),
    }  # fmt: skip
