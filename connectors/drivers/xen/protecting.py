"""What HA does with a machine whose host fails: its restart priority."""

from catalog.workload_classes import Availability
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import Op

RESTART = "restart"
"""xapi plans ahead for the restart: it refuses to start more machines than it could restart elsewhere."""
BEST_EFFORT = "best-effort"
"""Restarted where there is room left after the others."""

NOT_AGILE = frozenset(
    {
        "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED",
        "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED",
        "VM_HAS_VGPU",
    }
)
"""Why VM.assert_agile says that a machine could not run on every host."""


def restart_priority(op: Op, ref: str, wanted: Availability | None) -> str:
    """The priority of a machine of this availability. Raises where it was promised and is not possible.

    VM.set_ha_restart_priority of a machine that is off checks nothing (xapi_vm.ml), so one that HA could never
    restart would be found out at its start, or at the failure.
    """
    if wanted is Availability.BEST_EFFORT:
        return BEST_EFFORT
    try:
        op.call("VM.assert_agile", ref)
    except op.session.failure as failure:
        if wanted is Availability.RESTART or code_of(failure) not in NOT_AGILE:
            raise
        return BEST_EFFORT
    return RESTART
