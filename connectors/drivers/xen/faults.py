"""XenAPI's error codes and the network's errors in the contract's six kinds."""

import errno
import http.client
import socket
import ssl
from typing import NamedTuple

from connectors import tls
from connectors.deadlines import Deadline
from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
)

TRANSPORT_ERRORS = (OSError, http.client.HTTPException)
"""What a call raises when the network or the answer is at fault."""


class Meaning(NamedTuple):
    """What an error code is to a caller; an empty `why` takes the code's own words."""

    kind: type[ConnectorError]
    why: str = ""
    hint: str = ""


_LICENCE = "see the pool's licences"
_SPACE = "free space on the storage repository, or order a smaller disk"
_TOOLS = "install the guest tools in it, or use power_off"

MEANINGS: dict[str, Meaning] = {
    "SESSION_AUTHENTICATION_FAILED": Meaning(
        Refused, "the user name or password is wrong", "check the endpoint's 'username' and 'secret'"
    ),
    "SESSION_INVALID": Meaning(Unreachable, "the session ended again right after a new login"),
    "RBAC_PERMISSION_DENIED": Meaning(
        Refused, "the endpoint's user may not do this", "give it the role vm-power-admin or higher"
    ),
    "HOST_IS_SLAVE": Meaning(
        Unreachable, "the member that answered names another master", "check the pool's master"
    ),
    "HOST_STILL_BOOTING": Meaning(Unreachable, "the host is still starting"),
    "HOST_OFFLINE": Meaning(Unreachable, "the machine's host does not answer its pool"),
    "CANNOT_CONTACT_HOST": Meaning(Unreachable, "the master cannot reach the machine's host"),
    "HANDLE_INVALID": Meaning(NotFound, "the object is gone"),
    "UUID_INVALID": Meaning(NotFound, "the object is not there"),
    "OTHER_OPERATION_IN_PROGRESS": Meaning(
        Conflict, "another operation works on the object", "repeat when that is done"
    ),
    "VM_BAD_POWER_STATE": Meaning(Conflict, "the machine's power state does not allow it"),
    "VM_IS_TEMPLATE": Meaning(Conflict, "it is a template"),
    "OPERATION_BLOCKED": Meaning(
        Conflict, "somebody blocked this operation on the machine", "see its blocked_operations"
    ),
    "OPERATION_NOT_ALLOWED": Meaning(Conflict, "the object's state does not allow it"),
    "VDI_IN_USE": Meaning(Conflict, "the disk is in use", "shut the machine down first"),
    "VDI_IO_ERROR": Meaning(
        Refused,
        "the disk could not be read or written to its end",
        "see that its storage repository has space and is well, and that the file is whole",
    ),
    "DEVICE_DETACH_REJECTED": Meaning(
        Conflict, "the guest did not let go of the disk", "unmount it there, or shut the machine down first"
    ),
    "DEVICE_DETACH_TIMEOUT": Meaning(
        DeadlineExceeded, "the guest did not let go of the disk in time", "unmount it there, then repeat"
    ),
    "VBD_NOT_UNPLUGGABLE": Meaning(
        Conflict, "the disk cannot be taken from a machine that runs", "shut the machine down first"
    ),
    "DEVICE_ALREADY_EXISTS": Meaning(Conflict, "the device number is taken"),
    "VM_LACKS_FEATURE": Meaning(Conflict, "the guest does not answer such requests", _TOOLS),
    "VM_MISSING_PV_DRIVERS": Meaning(Conflict, "the guest has no drivers for it", _TOOLS),
    "VM_OLD_PV_DRIVERS": Meaning(Conflict, "the guest's drivers are too old for it", _TOOLS),
    "TASK_CANCELLED": Meaning(Conflict, "somebody cancelled the task", "repeat the call"),
    "VM_SHUTDOWN_TIMEOUT": Meaning(
        DeadlineExceeded, "the guest did not shut down in time", "use power_off"
    ),
    "SR_FULL": Meaning(Refused, "the storage repository is full", _SPACE),
    "SR_SOURCE_SPACE_INSUFFICIENT": Meaning(Refused, "the storage repository is full", _SPACE),
    "SR_OPERATION_NOT_SUPPORTED": Meaning(Refused, "the storage repository's type cannot do it"),
    "HOST_NOT_ENOUGH_FREE_MEMORY": Meaning(Refused, "the host has too little memory free"),
    "NO_HOSTS_AVAILABLE": Meaning(Refused, "no host of the pool can run the machine now"),
    "HOST_DISABLED": Meaning(Refused, "the host is in maintenance"),
    "HOST_NOT_LIVE": Meaning(
        Refused, "the host does not answer its pool", "bring it up, or choose another"
    ),
    "VM_REQUIRES_SR": Meaning(
        Refused,
        "the host does not see the storage of the machine's disks",
        "move the disks to a storage repository that all hosts share",
    ),
    "VM_REQUIRES_NETWORK": Meaning(
        Refused, "the host does not have the machine's network", "connect the host to the network"
    ),
    "VM_INCOMPATIBLE_WITH_THIS_HOST": Meaning(
        Refused, "the host's processors lack what the machine uses", "shut it down and start it there"
    ),
    "LICENCE_RESTRICTION": Meaning(Refused, "the pool's licence does not allow it", _LICENCE),
    "LICENSE_EXPIRED": Meaning(Refused, "the pool's licence has expired", _LICENCE),
    "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN": Meaning(
        Refused, "HA could not restart all its machines any more", "add a host, or free memory"
    ),
    "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED": Meaning(
        Refused,
        "HA cannot restart a machine whose disks are on storage that not all hosts share",
        "set the endpoint's option 'sr' to a shared one, or order it without restart",
    ),
    "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED": Meaning(
        Refused,
        "HA cannot restart a machine whose network is not on all hosts",
        "connect all hosts to the network, or order it without restart",
    ),
    "TOO_MANY_PENDING_TASKS": Meaning(Unreachable, "the pool's master has too much to do"),
}
"""By XenAPI's code; all others are Refused."""


def code_of(failure: object) -> str:
    """XenAPI's code of a failure."""
    details = getattr(failure, "details", None) or ["INTERNAL_ERROR"]
    return str(details[0])


def of_failure(endpoint: str, operation: str, failure: object) -> ConnectorError:
    """The error that says what a failure means."""
    code = code_of(failure)
    meaning = MEANINGS.get(code, Meaning(Refused))
    details = [] if code == "SESSION_INVALID" else getattr(failure, "details", [])[1:]  # it names a login
    said = ", ".join(str(one) for one in details)
    why = ": ".join(part for part in (meaning.why, said) if part) or "the pool refused without a word"
    return meaning.kind(endpoint, operation, why, vendor_code=code, hint=meaning.hint)


def of_transport(endpoint: str, operation: str, error: Exception, deadline: Deadline) -> ConnectorError:
    """The error that says why no answer came, or none that can be read."""
    if isinstance(error, TimeoutError):
        hint = "the call may still take effect; repeat it"
        return DeadlineExceeded(endpoint, operation, deadline.passed, hint=hint)
    code, why, hint = _network(error)
    return Unreachable(endpoint, operation, why, vendor_code=code, hint=hint)


def _network(error: Exception) -> tuple[str, str, str]:
    """The code, the reason and what to do."""
    if isinstance(error, ssl.SSLError):
        return tls.failure(error)
    if isinstance(error, socket.gaierror):
        return "EAI", f"the host name is not known: {error.strerror}", "check the address"
    if isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
        why = "the member closed the connection without a whole answer"
        return type(error).__name__, why, "repeat the call"
    if isinstance(error, OSError):
        code = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return code, f"no connection: {error.strerror or error}", "check the address, port and firewall"
    hint = "check that a XenServer or XCP-ng host is at the address, and that it is up"
    return type(error).__name__, f"the server answered: {error}", hint
