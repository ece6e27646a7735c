"""FOCUS's rules about the names and the order of columns (column_handling)."""

import re
from collections.abc import Iterator, Sequence

from chargeback.focus.rules.findings import Finding
from chargeback.focus.rules.releases import Release

_NAME_MAX = 50
_CUSTOM = "x_"

HEADER_RULES = frozenset(
    f"ColumnHandling-A-{number}"
    for number in ("001-M", "003-M", "005-O", "010-M", "011-O", "012-O", "013-O")
)
"""The rules that are looked at here."""

SORTED = "DatasetCompleteness-4"
"""Columns sorted by name: FOCUS's, then the custom ones; recommended since 1.4."""


def header_rules(release: Release) -> frozenset[str]:
    """Those of a release."""
    return HEADER_RULES | {SORTED} if release is Release.V1_4 else HEADER_RULES


def header_findings(names: Sequence[str], known: frozenset[str], *, sorts: bool = False) -> list[Finding]:
    """What is wrong with the columns of a file; `known` are FOCUS's own, `sorts` wants them by name."""
    found = [
        Finding(rule, name, should, what, 0, (), "") for rule, name, should, what in _wrong(names, known)
    ]
    best = sorted(names, key=lambda name: (name.startswith(_CUSTOM), name))
    misplaced = next((name for name, other in zip(names, best, strict=True) if name != other), None)
    if sorts and misplaced is not None:
        what = "columns should be sorted by name, custom ones last"
        found.append(Finding(SORTED, misplaced, True, what, 0, (), ""))
    return found


def _wrong(names: Sequence[str], known: frozenset[str]) -> Iterator[tuple[str, str, bool, str]]:
    small = {name.casefold() for name in known}
    custom_seen = False
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]", "", name)
        is_custom = name.startswith(_CUSTOM)
        custom_seen = custom_seen or is_custom
        if name in known:
            if custom_seen:
                yield "ColumnHandling-A-012-O", name, True, "should stand before all custom columns"
                yield "ColumnHandling-A-013-O", name, True, "custom columns should follow all of FOCUS's"
        elif plain.casefold() in small and plain != name:
            yield "ColumnHandling-A-003-M", name, False, "must be a name of letters and digits only"
        elif plain.casefold() in small:
            yield "ColumnHandling-A-001-M", name, False, "must be written in Pascal case"
        elif not is_custom:
            yield (
                "ColumnHandling-A-010-M",
                name,
                False,
                "is no column of FOCUS; its name must begin with x_",
            )
        elif not re.fullmatch(r"x_([A-Z][A-Za-z0-9]*)", name):
            yield "ColumnHandling-A-011-O", name, True, "should be x_ and a name in Pascal case"
        if len(name) > _NAME_MAX:
            yield "ColumnHandling-A-005-O", name, True, f"should have no more than {_NAME_MAX} characters"
