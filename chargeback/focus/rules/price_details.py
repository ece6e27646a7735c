"""SkuPriceDetails: which keys FOCUS defines, and what else a key may be."""

import re
from collections.abc import Mapping
from typing import Any

from chargeback.focus.rules.attributes import pairs

DEFINED: Mapping[str, bool] = {
    "CoreCount": True, "DiskMaxIops": True, "DiskSpace": True, "DiskType": False, "GpuCount": True,
    "InstanceType": False, "InstanceSeries": False, "MemorySize": True, "NetworkMaxIops": True,
    "NetworkMaxThroughput": True, "OperatingSystem": False, "Redundancy": False, "StorageClass": False,
}  # fmt: skip
"""FOCUS's own keys; true where the value is a number, false where it is a text."""

_SMALL = {name.casefold(): name for name in DEFINED}
_PASCAL = re.compile(r"(x_)?([A-Z][a-z0-9]*)+", re.ASCII)


def has_foreign_key(text: str) -> bool:
    """A key that is neither FOCUS's nor begins with ``x_``."""
    return any(not key.startswith("x_") and key.casefold() not in _SMALL for key, _ in pairs(text))


def has_misspelt_key(text: str) -> bool:
    """A key of FOCUS's in other capitals."""
    return any(_SMALL.get(key.casefold(), key) != key for key, _ in pairs(text))


def has_mistyped_value(text: str) -> bool:
    """A number where FOCUS wants text, or the other way round."""
    return any(key in DEFINED and _mistyped(DEFINED[key], value) for key, value in pairs(text))


def has_unpascal_key(text: str) -> bool:
    """A key that is not written LikeThis."""
    return any(not _PASCAL.fullmatch(key) for key, _ in pairs(text))


def _mistyped(numeric: bool, value: Any) -> bool:
    if value is None:
        return False
    is_number = not isinstance(value, bool | str)
    return is_number != numeric
