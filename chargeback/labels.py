"""Labels: what a bill may be grouped and priced by beside owner and tier, such as class, guest OS and tags.

In usage they are one text in one canonical form, ``class=web,os=windows``: keys sorted, each once, so
that equal labels are equal texts in every engine.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

LABELS_MAX = 4096

_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}", re.ASCII)
_VALUE = re.compile(r"[^,=\x00-\x1f\x7f]{0,200}")


class InvalidLabels(ValueError):
    """A key or a value that labels cannot have."""


def labels_text(labels: Mapping[str, str]) -> str:
    """The canonical text of labels; empty where there are none. Raises InvalidLabels."""
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            msg = f"'{key}' cannot be a label's key: small letters, digits, '_', '.' and '-', a letter first, at most 63"
            raise InvalidLabels(msg)
        if not _VALUE.fullmatch(value):
            msg = f"label {key} cannot be '{value}': at most 200 characters without ',', '=' and control characters"
            raise InvalidLabels(msg)
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def labels_of(text: str) -> dict[str, str]:
    """The labels of a canonical text. Raises InvalidLabels for any other text."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals or key in found:
            msg = f"'{text}' is no canonical labels text; write it like class=web,os=windows"
            raise InvalidLabels(msg)
        found[key] = value
    if labels_text(found) != text:
        msg = f"'{text}' is no canonical labels text: keys must be sorted, as in class=web,os=windows"
        raise InvalidLabels(msg)
    return found


def _canonical(text: str) -> str:
    labels_of(text)
    return text


LabelsText = Annotated[str, StringConstraints(max_length=LABELS_MAX), AfterValidator(_canonical)]
"""Labels in their canonical form."""
