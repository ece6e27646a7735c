"""Words for people: what was found, what was expected, and which known name comes closest."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from catalog.base import PATTERNS_IN_WORDS
from catalog.problems import Path

_SECRET = re.compile(r"passw|secret|token|credential|api[-_]?key|private[-_]?key", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")

_COLLECTIONS = (("a mapping", (Mapping,)), ("a list", (list, tuple, set, frozenset)))

_EXPECTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of at most 18 digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "finite_number": "a number that is not infinite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list or mapping of at least {min_length}",
    "too_long": "a list or mapping of at most {max_length}",
    "timezone_aware": "a time with its zone, such as 2026-10-01T00:00:00+02:00",
}


def is_secret(path: Path) -> bool:
    """Whether what stands at `path` may be a secret, going by its name; such a value is never shown."""
    return any(_SECRET.search(part) for part in path if isinstance(part, str))


def shown(value: object, path: Path = ()) -> str:
    """A value in at most 80 characters, in YAML's words; "" where it may be a secret."""
    if is_secret(path):
        return ""
    if isinstance(value, str):
        text = repr(_USER_INFO.sub("***@", value[:200]))
        return text if len(text) <= 80 else text[:77] + "..."
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 256 else "a number of very many digits"
    kind = next((words for words, kinds in _COLLECTIONS if isinstance(value, kinds)), "")
    return kind or ("nothing" if value is None else repr(value)[:80])


def known_names(wanted: object, names: Iterable[str]) -> str:
    """The closest known name as a question, and the known names: ``did you mean 'a'? known are a, b``."""
    known = list(dict.fromkeys(names))
    listed = f"known are {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
    if not known:
        return "there are none yet"
    close = get_close_matches(str(wanted), known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'? {listed}" if close else listed


def counted(count: int, noun_: str, one: str = "", many: str = "") -> str:
    """``1 machine``, ``2,101 machines``; with the two forms of a verb, ``1 machine has``, ``2,101 machines have``."""
    words = f"{count:,} {noun_}" if count == 1 else f"{count:,} {noun_}s"
    return f"{words} {one if count == 1 else many}" if one else words


def first_few(names: Sequence[str], shown_names: int = 5) -> str:
    """The first names, and how many more there are: ``a, b, c, d, e and 1,204 more``."""
    more = len(names) - shown_names
    return ", ".join(names[:shown_names]) + (f" and {more:,} more" if more > 0 else "")


def expectation(detail: Mapping[str, Any], fields: Iterable[str]) -> str:
    """What pydantic expected where it refused a value. `fields` are those that can stand there."""
    kind, message = detail["type"], str(detail["msg"])
    if kind == "missing":
        return "is required and missing"
    if kind == "extra_forbidden":
        return f"unknown field; {known_names(detail['loc'][-1], fields)}"
    if kind in {"value_error", "assertion_error"}:
        return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return _must_be(kind, message, detail)


def _must_be(kind: str, message: str, detail: Mapping[str, Any]) -> str:
    if kind == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        return f"must be {PATTERNS_IN_WORDS.get(pattern, f'text that matches {pattern}')}"
    if kind in {"enum", "literal_error"}:
        return _one_of(detail)
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind].format(**detail.get('ctx', {}))}{_hint(kind, detail['input'])}"
    text = re.sub(r"^(Input|Value|String|Decimal input) should", "must", message)
    return text[:1].lower() + text[1:]


def _one_of(detail: Mapping[str, Any]) -> str:
    expected = str(detail["ctx"]["expected"])
    names = re.findall(r"'([^']*)'", expected)
    return (
        f"must be one of {', '.join(names)}{_closest(detail['input'], names)}"
        if names
        else f"must be {expected}"
    )


def _closest(wanted: object, names: Iterable[str]) -> str:
    close = get_close_matches(str(wanted), list(names), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, int):
        return f'; put it in quotes: "{shown(value)}"'
    if kind.startswith("int_") and isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return "; remove the quotes"
    return ""
