"""A simulated hypervisor that keeps the whole contract: for demos, notebooks, what-if and tests.

`Endpoint.address` is where the simulated estate lives: the path of a SQLite file, which outlives the
process and is shared by all that open it, or ``memory:NAME``, which is shared within one process.
`Endpoint.options` shape it; see `connectors.drivers.simulated.options.EstateOptions`.

The functions here are the door behind the hypervisor's back: faults, the call log, other people's
machines, the password.
"""

from connectors.drivers.simulated.control import (
    calls,
    clear_faults,
    forget,
    plant,
    script_faults,
    set_password,
)
from connectors.drivers.simulated.driver import Simulated
from connectors.drivers.simulated.faults import Call, Fault, FaultKind
from connectors.drivers.simulated.options import EstateOptions

__all__ = [
    "Call",
    "EstateOptions",
    "Fault",
    "FaultKind",
    "Simulated",
    "calls",
    "clear_faults",
    "forget",
    "plant",
    "script_faults",
    "set_password",
]
