"""FOCUS's formats of values: what each rule of an attribute forbids, as a test of one text.

A test says whether the text breaks the rule. The texts of the rules are in the specification's
attributes (numeric_format, datetime_format, key_value_format, unit_format, string_handling).
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chargeback.focus.vocabulary import CURRENCIES

Test = Callable[[str], bool]


def _matches(pattern: str) -> Test:
    found = re.compile(pattern, re.ASCII)
    return lambda text: found.search(text) is not None


_NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)(E-?\d+)?", re.ASCII)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z", re.ASCII)
_PLACEHOLDERS = frozenset(
    {"n/a", "na", "null", "none", "nil", "not applicable", "not available", "unknown", "-"}
)


def is_number(text: str) -> bool:
    """An integer, a decimal, or E notation whose positive exponent has no sign."""
    return _NUMBER.fullmatch(text) is not None


def is_moment(text: str) -> bool:
    """``2026-10-01T00:00:00Z``, of a day and time that there are."""
    if not _ISO.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_string(text: str) -> bool:
    """Says something, in characters that were read right."""
    return bool(text.strip()) and not re.search("[\x00�\ud800-\udfff]", text)


def is_object(text: str) -> bool:
    """A JSON object of unique keys with scalar values."""
    pairs = _pairs(text)
    return pairs is not None and not _doubled(text) and not _nested(text)


def is_currency(text: str) -> bool:
    """An ISO 4217 code in capitals, or the name of a virtual currency, which is no such code in small."""
    return is_string(text) and (text in CURRENCIES or text.upper() not in CURRENCIES)


NUMERIC: Mapping[str, Test] = {
    "NumericFormat-A-002-M": _matches(r"^\s*[\[({]|\d\s*[:;]\s*\d"),
    "NumericFormat-A-003-M": lambda text: not is_number(text),
    "NumericFormat-A-004-M": _matches(r"\d\s*/\s*\d"),
    "NumericFormat-A-005-M": _matches(r"\d\s*(e[+-]?\d|[x*]\s*10\s*\^|E(?![+-]?\d))"),
    "NumericFormat-A-006-M": _matches(r"[eE]\+"),
    "NumericFormat-A-007-M": _matches(r"[*^=√%]|[a-zA-Z]\(|\d\s*[ij]\b|\d\s+[-+]\s*\d"),
    "NumericFormat-A-008-M": _matches(r"[A-DF-Za-df-z$€£¥%]"),
    "NumericFormat-A-009-M": lambda text: text.count(".") > 1 or bool(re.search("[,'_;:]", text)),
    "NumericFormat-A-010-M": _matches(r"^\s*\+"),
    "NumericFormat-A-011-M": lambda text: bool(re.search("^\\s*\\(.*\\)\\s*$|^[\u2212\u2013]|\\d-$", text)),
}

MOMENT: Mapping[str, Test] = {
    "DateTimeFormat-A-001-M": lambda text: not re.search(r"(Z|[+-]00:?00)$", text),
    "DateTimeFormat-A-002-M": lambda text: not _is_iso(text),
    "DateTimeFormat-A-004-M": lambda text: "T" not in text,
    "DateTimeFormat-A-005-M": lambda text: not re.search(r"[T ]\d{2}:\d{2}:\d{2}(?!\d)", text),
    "DateTimeFormat-A-006-M": lambda text: not text.endswith("Z"),
}

STRING: Mapping[str, Test] = {
    "StringHandling-A-001-M": lambda text: bool(re.search("[\x00�\ud800-\udfff]", text)),
    "StringHandling-A-007-M": lambda text: not text.strip(),
}

ANY: Mapping[str, Test] = {
    "NullHandling-A-002-M": lambda text: not text.strip() or text.strip().casefold() in _PLACEHOLDERS,
}

CURRENCY: Mapping[str, Test] = {
    "CurrencyFormat-A-001-C": lambda text: text.upper() in CURRENCIES and text not in CURRENCIES,
    "CurrencyFormat-A-002-C": lambda text: not is_string(text),
}


def pairs(text: str) -> list[tuple[str, Any]]:
    """The keys and values of a JSON object, in order; none where it is none."""
    return _pairs(text) or []


def _pairs(text: str) -> list[tuple[str, Any]] | None:
    try:
        found = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_no_constant)
    except ValueError:
        return None
    return found.items if isinstance(found, _Pairs) else None


def _no_constant(name: str) -> Any:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


class _Pairs:
    def __init__(self, items: list[tuple[str, Any]]) -> None:
        self.items = items


def _doubled(text: str) -> bool:
    keys = [key for key, _ in pairs(text)]
    return len(keys) != len(set(keys))


def _nested(text: str) -> bool:
    return any(isinstance(value, list | _Pairs) for _, value in pairs(text))


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


OBJECT: Mapping[str, Test] = {
    "KeyValueFormat-A-001-M": lambda text: _pairs(text) is None,
    "KeyValueFormat-A-002-M": _doubled,
    "KeyValueFormat-A-003-M": _nested,
    "KeyValueFormat-A-004-M": _nested,
}
