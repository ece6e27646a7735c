"""Patterns of rules: globs and regular expressions over texts, without regard to capitals.

Expressions are RE2's, which pyarrow brings: their time grows with the text and no faster, so that no rule
can hang a run (``(a+)+$`` takes Python's own matcher minutes), and a column of texts is matched in one call.
"""

import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

REGEX = "re:"
"""What a regular expression begins with; it may match anywhere in the text. Anything else is a glob of all of it."""


def expression(pattern: str) -> str:
    """The regular expression that a pattern stands for. In globs ``*`` and ``?`` stand for others, nothing else does."""
    if pattern.startswith(REGEX):
        return pattern.removeprefix(REGEX)
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in pattern)
    return f"^(?s:{''.join(parts)})$"


def complaint(pattern: str) -> str:
    """Why a pattern is none, or ""."""
    if pattern == REGEX:
        return "is an empty regular expression; write what it must find after re:, or * for anything"
    try:
        matches(pa.array([""]), [pattern])
    except pa.ArrowInvalid as error:
        said = str(error).removeprefix("Invalid regular expression: ")
        return (
            f"is no regular expression: {said}; they are RE2's, with no look-around and no back reference; "
            "for plain text leave re: out"
        )
    return ""


def matches(texts: Any, patterns: Iterable[str]) -> Any:
    """Which texts of an Arrow array any of the patterns matches, as an Arrow array."""
    either = "|".join(f"(?:{expression(one)})" for one in patterns)
    return pc.match_substring_regex(texts, either, ignore_case=True)
