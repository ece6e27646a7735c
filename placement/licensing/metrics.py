"""What licences count, and which fields of an alternative say something of which metric."""

from collections.abc import Iterator
from typing import Literal

Metric = Literal[
    "per_core",
    "per_host",
    "per_socket",
    "per_coverage_unit",
    "per_amount",
    "per_vcpu",
    "per_machine",
    "per_principal",
]
OF_HOSTS = ("per_core", "per_host", "per_socket", "per_coverage_unit", "per_amount")
"""Metrics that count the hosts of a scope, whether or not anything sits on each of them."""
_OF: dict[str, tuple[str, ...]] = {
    "per_socket_minimum": ("per_core",),
    "per_host_minimum": ("per_core",),
    "core_factor_thousandths": ("per_core",),
    "per_machine_minimum": ("per_vcpu",),
    "unit_covers": ("per_coverage_unit",),
    "amount": ("per_amount",),
    "unit_amount": ("per_amount",),
    "principals": ("per_principal",),
    "covers": OF_HOSTS,
    "add_on": OF_HOSTS,
}
"""Field -> the metrics that it belongs to; all others belong to every metric."""


def said_in_vain(metric: str, fields: frozenset[str]) -> Iterator[str]:
    """The fields that were given and say nothing of the metric."""
    for field, metrics in _OF.items():
        if field in fields and metric not in metrics:
            yield field
