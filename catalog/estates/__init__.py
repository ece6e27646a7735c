"""Estates: what runs today, as an export or an inventory tells it. The planner's starting point."""

from catalog.estates.model import (
    DroppedRow,
    Estate,
    EstateDatastore,
    EstateHost,
    EstateMachine,
    EstatePool,
    EstateTotals,
    PowerState,
    Utilization,
)

__all__ = [
    "DroppedRow",
    "Estate",
    "EstateDatastore",
    "EstateHost",
    "EstateMachine",
    "EstatePool",
    "EstateTotals",
    "PowerState",
    "Utilization",
]
