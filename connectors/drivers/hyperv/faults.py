"""PowerShell's errors, WS-Management's faults and the network's errors in the contract's six kinds."""

import errno
import http.client
import socket
import ssl
from typing import NamedTuple

from connectors import tls
from connectors.drivers.hyperv.client import (
    BadAnswer,
    Fault,
    LoginRefused,
    NoTicket,
    OperationTimedOut,
    root_cause,
)
from connectors.drivers.hyperv.dispatcher import BadReply, PowerShellError
from connectors.drivers.hyperv.session import QUOTA_FAULTS, Session
from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
)


class Meaning(NamedTuple):
    """What an error is to a caller; an empty `why` takes the host's own words."""

    kind: type[ConnectorError]
    why: str = ""
    hint: str = ""


MEANINGS: dict[str, Meaning] = {
    "AccessDenied": Meaning(
        Refused,
        "the endpoint's user may not do this",
        "put it into the host's group Hyper-V Administrators",
    ),
    "OutOfMemory": Meaning(Refused, "the host has too little memory left"),
    "ObjectNotFound": Meaning(NotFound, "the object is not there"),
    "InvalidState": Meaning(Conflict, "the machine's state does not allow it"),
    "ObjectInUse": Meaning(Conflict, "something else uses it", "repeat when that is done"),
    "RemoveFileSystemItemIOError": Meaning(Conflict, "a file is in use", "repeat when that is done"),
    "FileNotFoundException": Meaning(NotFound, "a file is not there"),
    "DirectoryNotFoundException": Meaning(NotFound, "a folder is not there"),
    "UnauthorizedAccessException": Meaning(
        Refused,
        "the endpoint's user may not use a file",
        "let it read and write in the folder of the machines",
    ),
    "Read-Chunk IOException": Meaning(
        Conflict, "something else uses a disk's file", "repeat when that is done"
    ),
    "Write-Chunk IOException": Meaning(
        Refused, "a disk's file cannot be written", "look for room on the volume of the machines"
    ),
    "TimedOut": Meaning(DeadlineExceeded, "the host gave up waiting"),
    "CommandNotFoundException": Meaning(
        Refused, "the host lacks a cmdlet", "install the role Hyper-V with its PowerShell module"
    ),
    "CouldNotAutoLoadModule": Meaning(
        Refused, "the host cannot load a module", "repair the role Hyper-V with its PowerShell module"
    ),
    "DriveNotFound": Meaning(
        Refused,
        "a volume is not there",
        "bring it back; where it is lost for good, remove the machine's folder that ends with -ffffffff from the "
        "folder of new machines, and repeat",
    ),
}
"""By the first part of the FullyQualifiedErrorId, of some only after that cmdlet; all others are Refused with the host's own words."""

NOT_VISIBLE = Meaning(
    Unreachable,
    "the host does not show its machines",
    "start its service Hyper-V Virtual Machine Management (vmms), and put the endpoint's user into its group "
    "Hyper-V Administrators",
)
"""Windows says of a listing that an object was not found where its service is down, or the user may not see any."""

NO_RIGHT = Meaning(
    Refused,
    "the endpoint's user may not read this of Windows",
    "let it use the WMI namespace: Enable Account and Remote Enable in wmimgmt.msc",
)
_OF_WMI = ("CimCmdlets\\", "Storage\\")

_NO_OBJECT = frozenset({"CommandNotFoundException", "CouldNotAutoLoadModule", "DriveNotFound"})
"""Of these, too, PowerShell says ObjectNotFound; they are of no machine."""

LOOK_UPS = frozenset({"Hyper-V\\Get-VM", "Hyper-V\\Get-VMSnapshot"})
"""Asked for something by its Id that is gone, they say that the parameter is invalid."""

ACCESS_DENIED = 5
"""The WS-Management fault's code is Windows' ERROR_ACCESS_DENIED."""


def is_gone(error: BaseException) -> bool:
    """Whether the machine or checkpoint that a command was for is not there any more."""
    if not isinstance(error, PowerShellError) or error.lists or error.kind in _NO_OBJECT:
        return False
    return error.category == "ObjectNotFound" or (
        error.kind == "InvalidParameter" and error.cmdlet in LOOK_UPS
    )


def of_failure(endpoint: str, operation: str, error: Exception, session: Session) -> ConnectorError:
    """The error that says what a failure means, and at which node of a cluster."""
    made = _of_failure(endpoint, operation, error, session)
    if notes := getattr(error, "__notes__", ()):
        why = f"{notes[0]}: {made.why}"
        return type(made)(endpoint, operation, why, vendor_code=made.vendor_code, hint=made.hint)
    return made


def _of_failure(endpoint: str, operation: str, error: Exception, session: Session) -> ConnectorError:
    if isinstance(error, PowerShellError):
        return _of_powershell(endpoint, operation, error)
    if isinstance(error, BadReply):
        hint = "check that Windows PowerShell 5.1 and its Hyper-V module work on the host"
        return Refused(endpoint, operation, str(error), vendor_code="BadReply", hint=hint)
    if isinstance(error, LoginRefused):
        return _of_login(endpoint, operation, error)
    if isinstance(error, Fault):
        return _of_fault(endpoint, operation, error)
    if isinstance(error, OperationTimedOut):
        return _late(endpoint, operation, "the host gave up waiting")
    return _of_transport(endpoint, operation, error, session)


def _of_login(endpoint: str, operation: str, error: LoginRefused) -> ConnectorError:
    if isinstance(error, NoTicket):
        why = f"no Kerberos ticket for this host: {' '.join(str(error).split())}"
        hint = "run kinit or set KRB5_CLIENT_KTNAME; check the option 'spn_host' and the clock"
        return Refused(endpoint, operation, why, vendor_code=error.code, hint=hint)
    why = "the user name or password is wrong, or the user may not use WinRM"
    hint = "check the endpoint's 'username' and 'secret', and that the host takes the option 'auth'"
    return Refused(endpoint, operation, why, vendor_code="401", hint=hint)


def _meaning(error: PowerShellError) -> Meaning:
    if is_gone(error):
        return MEANINGS["ObjectNotFound"]
    if error.kind in _NO_OBJECT:
        return MEANINGS[error.kind]
    if error.lists and error.category == "ObjectNotFound":
        return NOT_VISIBLE
    if error.category == "PermissionDenied" and error.kind not in MEANINGS:
        return NO_RIGHT if error.cmdlet.startswith(_OF_WMI) else MEANINGS["AccessDenied"]
    of_cmdlet = MEANINGS.get(f"{error.cmdlet} {error.kind}")
    return of_cmdlet or MEANINGS.get(error.kind, Meaning(Refused))


def _of_powershell(endpoint: str, operation: str, error: PowerShellError) -> ConnectorError:
    meaning = _meaning(error)
    words = " ".join(error.message.split())
    why = ": ".join(part for part in (meaning.why, words) if part)
    why = why or "the host refused without a word"
    return meaning.kind(endpoint, operation, why, vendor_code=error.error_id, hint=meaning.hint)


def _of_fault(endpoint: str, operation: str, fault: Fault) -> ConnectorError:
    code, name = fault.code, fault.name
    words = " ".join(str(fault).split())
    if code in QUOTA_FAULTS:
        hint = "raise MaxShellsPerUser or MaxConcurrentOperationsPerUser at the host, or use fewer workers"
        return _retriable(endpoint, operation, f"WinRM's quota is used up: {words}", name, hint)
    if code == ACCESS_DENIED:
        hint = "put the endpoint's user into the host's group Remote Management Users"
        return Refused(endpoint, operation, f"access denied: {words}", vendor_code=name, hint=hint)
    return _retriable(endpoint, operation, f"WinRM's answer is a fault: {words}", name, "repeat the call")


def _retriable(endpoint: str, operation: str, why: str, code: str, hint: str) -> ConnectorError:
    return Unreachable(endpoint, operation, why, vendor_code=code, hint=hint)


def _late(endpoint: str, operation: str, why: str) -> ConnectorError:
    hint = "the call may still take effect; repeat it"
    return DeadlineExceeded(endpoint, operation, why, hint=hint)


def _of_transport(endpoint: str, operation: str, error: Exception, session: Session) -> ConnectorError:
    """The error that says why no answer came, or none that can be read."""
    cause = root_cause(error)
    if isinstance(cause, TimeoutError):
        return _late(endpoint, operation, session.deadline.passed)
    if isinstance(cause, ssl.SSLError):
        code, why, hint = tls.failure(cause)
    elif isinstance(cause, OSError):
        code, why, hint = _connection(cause)
    else:
        code = error.code if isinstance(error, BadAnswer) else type(cause).__name__
        why = f"the server gave an unreadable answer: {error if isinstance(error, BadAnswer) else cause}"
        hint = "check that WinRM listens at the address"
    return Unreachable(endpoint, operation, why, vendor_code=code, hint=hint)


def _connection(error: OSError) -> tuple[str, str, str]:
    if isinstance(error, socket.gaierror):
        return "EAI", f"the host name is not known: {error.strerror}", "check the address"
    if isinstance(error, http.client.RemoteDisconnected):
        return type(error).__name__, "the server closed the connection without an answer", "repeat the call"
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return code, f"no connection: {error.strerror or error}", "check the address, port and firewall"
