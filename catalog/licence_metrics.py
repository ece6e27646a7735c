"""What licences count, what says something of which way of counting, and how a vendor accepts that reach is limited.

Prices (chargeback) and plans (placement) both speak of it, and know nothing of each other.
"""

from collections.abc import Mapping
from typing import Literal

from catalog.frozen import FrozenDict

Metric = Literal[
    "per_core", "per_host", "per_socket", "per_coverage_unit", "per_amount", "per_vcpu", "per_machine", "per_principal"
]  # fmt: skip
Limiter = Literal["must_rule", "should_rule", "separate_cluster", "separate_manager", "hard_partition"]
"""What may keep machines from moving everywhere."""
OF_HOSTS = ("per_core", "per_host", "per_socket", "per_coverage_unit", "per_amount")
"""Metrics that count the hosts of a scope, whether or not anything sits on each of them."""
BELONGS_TO: Mapping[str, tuple[str, ...]] = FrozenDict(
    {
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
)
"""Field of an alternative -> the metrics that it says something of; all others say something of every metric."""
