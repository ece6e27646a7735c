"""The vendor's faults and the network's errors in the contract's six kinds."""

import errno
import http.client
import socket
import ssl
import zlib
from typing import NamedTuple
from xml.parsers.expat import ExpatError

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

TRANSPORT_ERRORS = (OSError, http.client.HTTPException, ExpatError, zlib.error)
"""What pyvmomi raises when the network or the answer is at fault."""


class Meaning(NamedTuple):
    """What a fault is to a caller; an empty `why` takes the server's own words."""

    kind: type[ConnectorError]
    why: str = ""
    hint: str = ""
    busy: bool = False


_LICENCE = "see the licences in the vSphere Client: Administration > Licensing"

MEANINGS: dict[str, Meaning] = {
    "InvalidLogin": Meaning(
        Refused, "the user name or password is wrong", "check the endpoint's 'username' and 'secret'"
    ),
    "NotAuthenticated": Meaning(Refused, "the session ended again right after a new login"),
    "NoPermission": Meaning(
        Refused, "the endpoint's user may not do this", "give its role the privilege in vCenter"
    ),
    "SecurityError": Meaning(
        Refused, "the endpoint's user may not do this, or its session ended", "see its role in vCenter"
    ),
    "InsufficientResourcesFault": Meaning(Refused, "the cluster has too few resources left"),
    "NoDiskSpace": Meaning(Refused, "the datastore is full"),
    "InvalidDatastore": Meaning(Refused, "the datastore cannot be used"),
    "NotEnoughLicenses": Meaning(Refused, "a licence is missing", _LICENCE),
    "RestrictedVersion": Meaning(Refused, "the host's licence does not allow it", _LICENCE),
    "LicenseExpired": Meaning(Refused, "the licence has expired", _LICENCE),
    "ToolsUnavailable": Meaning(
        Conflict,
        "VMware Tools do not run in the guest, so it cannot be asked to shut down",
        "install or start VMware Tools in it, or use power_off",
    ),
    "InvalidPowerState": Meaning(Conflict, "the machine's power state does not allow it"),
    "InvalidState": Meaning(Conflict, "the object's state does not allow it"),
    "TaskInProgress": Meaning(
        Conflict, "another task works on the machine", "repeat when that is done", busy=True
    ),
    "ConcurrentAccess": Meaning(Conflict, "somebody else changed it at the same time", "repeat the call"),
    "DuplicateName": Meaning(Conflict, "the name is taken in that folder", "choose another name"),
    "AlreadyExists": Meaning(Conflict, "it exists already"),
    "FileAlreadyExists": Meaning(Conflict, "a file of that name is on the datastore already"),
    "ManagedObjectNotFound": Meaning(NotFound, "the object is gone"),
    "NotFound": Meaning(NotFound, "the object is not there"),
    "HostConnectFault": Meaning(Unreachable, "vCenter cannot reach the host"),
    "HostCommunication": Meaning(Unreachable, "vCenter cannot reach the host"),
    "HostNotConnected": Meaning(Unreachable, "the host is not connected to vCenter"),
    "Timedout": Meaning(DeadlineExceeded, "vCenter gave up waiting"),
}
"""By the fault's own name or that of the nearest class it derives from; all others are Refused."""


def fault_name(fault: object) -> str:
    """The vendor's name of a fault: ``vim.fault.InvalidLogin`` is ``InvalidLogin``."""
    return type(fault).__name__.rpartition(".")[2]


def is_fault(fault: object, *names: str) -> bool:
    """Whether the fault is, or derives from, one of these."""
    return any(kind.__name__.rpartition(".")[2] in names for kind in type(fault).__mro__)


def of_fault(endpoint: str, operation: str, fault: object) -> ConnectorError:
    """The error that says what a vendor's fault means."""
    meaning = next(
        (
            MEANINGS[name]
            for kind in type(fault).__mro__
            if (name := kind.__name__.rpartition(".")[2]) in MEANINGS
        ),
        Meaning(Refused),
    )
    why = ": ".join(part for part in (meaning.why, _said(fault)) if part)
    found = meaning.kind(
        endpoint,
        operation,
        why or "the server refused without a word",
        vendor_code=fault_name(fault),
        hint=meaning.hint,
    )
    found.busy = meaning.busy
    return found


def _said(fault: object) -> str:
    """The server's own words; for a missing permission also the privileges."""
    words = str(getattr(fault, "msg", None) or "").strip()
    privileges = [getattr(fault, "privilegeId", None)]
    for missing in (
        getattr(fault, "missingPrivileges", None) or ()
    ):  # in the one's place, or beside it, since 7.0
        privileges += missing.privilegeIds or ()
    named = ", ".join(dict.fromkeys(filter(None, privileges)))
    return " ".join(part for part in (words, f"({named})" if named else "") if part)


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
    if isinstance(error, OSError):
        return _connection(error)
    said = "answered" if isinstance(error, http.client.HTTPException) else "gave an unreadable answer"
    hint = "check that a vCenter is at the address, and that it is up"
    return type(error).__name__, f"the server {said}: {error}", hint


def _connection(error: OSError) -> tuple[str, str, str]:
    if isinstance(error, socket.gaierror):
        return "EAI", f"the host name is not known: {error.strerror}", "check the address"
    if isinstance(error, ConnectionError) and error.errno is None:
        return type(error).__name__, "the server closed the connection without an answer", "repeat the call"
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return code, f"no connection: {error.strerror or error}", "check the address, port and firewall"
