"""Which fields of an alternative say nothing of what it counts."""

from collections.abc import Iterator

from catalog.licence_metrics import BELONGS_TO


def said_in_vain(metric: str, fields: frozenset[str]) -> Iterator[str]:
    """The fields that were given and say nothing of the metric."""
    for field, metrics in BELONGS_TO.items():
        if field in fields and metric not in metrics:
            yield field
