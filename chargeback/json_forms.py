"""JSON Schemas of what documents write and no type shows: plain decimals with bounds, months, moments, labels.

A number is a number or a text; of a text only its form can be bounded, so each bound stands twice.
"""

from typing import Any

Form = dict[str, Any]

_FRACTION = r"(\.\d{1,9}0*)?"
_WHOLE = r"(\.0+)?"

DECIMAL: Form = {
    "type": ["string", "number"],
    "pattern": rf"^[+-]?\d{{1,30}}{_FRACTION}$",
    "description": "A plain decimal of at most 9 decimals.",
}
MONEY: Form = {
    "type": ["string", "number"],
    "pattern": rf"^\+?0*(?=[0-9.]*[1-9])(\d{{1,12}}{_FRACTION}|10{{12}}{_WHOLE})$",
    "exclusiveMinimum": 0,
    "maximum": 10**12,
    "description": "An amount of at most 9 decimals, above 0.",
}
MONEY_OR_NOTHING: Form = {
    "type": ["string", "number"],
    "pattern": rf"^\+?0*(\d{{1,12}}{_FRACTION}|10{{12}}{_WHOLE})$",
    "minimum": 0,
    "maximum": 10**12,
    "description": "An amount of at most 9 decimals.",
}
ABOVE_ZERO: Form = {
    "type": ["string", "number"],
    "pattern": rf"^\+?(?=[0-9.]*[1-9])\d{{1,30}}{_FRACTION}$",
    "exclusiveMinimum": 0,
    "description": "A plain decimal of at most 9 decimals, above 0.",
}
UP_TO_100: Form = {
    "type": ["string", "number"],
    "pattern": rf"^\+?0*(100{_WHOLE}|\d{{1,2}}{_FRACTION})$",
    "minimum": 0,
    "maximum": 100,
}
SIGNED_PERCENT: Form = {
    "type": ["string", "number"],
    "pattern": rf"^(\+?0*(10000{_WHOLE}|\d{{1,4}}{_FRACTION})|-0*(100{_WHOLE}|\d{{1,2}}{_FRACTION}))$",
    "minimum": -100,
    "maximum": 10_000,
}
MONTH: Form = {
    "type": "string",
    "pattern": r"^(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])$",
    "description": "A month like 2026-10.",
}
DAY: Form = {
    "type": "string",
    "pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$",
    "description": "A day like 2026-10-30.",
}
MOMENT: Form = {
    "type": "string",
    "pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ][0-9:.]{5,}(Z|[+-]\d{2}:?\d{2})?)?$",
    "description": "A date (its first second) or a date-time; without an offset local time.",
}
LABELS: Form = {
    "type": "object",
    "propertyNames": {"pattern": r"^[a-z][a-z0-9_.-]{0,62}$"},
    "additionalProperties": {"type": "string", "pattern": r"^[^,=\x00-\x1f\x7f]{0,200}$"},
}
CURRENCY: Form = {"type": "string", "pattern": "^[A-Z]{3}$"}
"""An ISO 4217 code."""


def only(names: tuple[str, ...], others: tuple[str, ...]) -> Form:
    """All of `names` and none of `others`."""
    return {"required": list(names), "not": {"anyOf": [{"required": [name]} for name in others]}}


NEEDS_TENANTS: Form = {
    "required": ["applies_to"],
    "properties": {"applies_to": {"required": ["tenants"], "properties": {"tenants": {"minItems": 1}}}},
}
"""What is charged without usage too must say of whom."""
