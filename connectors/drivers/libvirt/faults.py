"""libvirt's errors as ours, by libvirt's own numbers (``virerror.h``)."""

import re
from typing import Any

from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
)

INTERNAL_ERROR = 1
NO_SUPPORT = 3
OPERATION_FAILED = 9
DOM_EXIST = 28
OPERATION_DENIED = 29
SYSTEM_ERROR = 38
RPC = 39
NO_DOMAIN = 42
AUTH_FAILED = 45
NO_STORAGE_POOL = 49
NO_STORAGE_VOL = 50
OPERATION_INVALID = 55
OPERATION_TIMEOUT = 68
NO_DOMAIN_SNAPSHOT = 72
AUTH_CANCELLED = 79
MIGRATE_UNSAFE = 81
ACCESS_DENIED = 88
STORAGE_VOL_EXIST = 90
AUTH_UNAVAILABLE = 94
DEVICE_MISSING = 99

_FROM_RPC = 7
RESOURCE_BUSY = 87
_MISSING = frozenset({NO_DOMAIN, NO_STORAGE_POOL, NO_STORAGE_VOL, NO_DOMAIN_SNAPSHOT})
_LOGIN = frozenset({AUTH_FAILED, AUTH_CANCELLED, AUTH_UNAVAILABLE, OPERATION_DENIED, ACCESS_DENIED})

_HINTS = {
    OPERATION_DENIED: "the connection may be read-only; check the daemon's access rules",
    AUTH_FAILED: "check the endpoint's username and secret",
    AUTH_CANCELLED: "the daemon asks for a login; set the endpoint's username and secret",
    MIGRATE_UNSAFE: "libvirt does not know the storage to be shared; set the option migration_storage "
    "to trusted if it is, or to copy",
    ACCESS_DENIED: "the daemon's access rules (polkit, actions of org.libvirt.api) forbid it to this user; have its "
    "administrator allow it there",
}

_LOGIN_HINTS = {
    "collect auth credentials": _HINTS[AUTH_CANCELLED],
    "not supported by server": "have the daemon offer SCRAM-SHA-256 (mech_list in its SASL settings), or verify its "
    "certificate: without that the password is given in no other way",
    "requested authentication type": 'the daemon asks for no login; set auth_tls = "sasl" in its libvirtd.conf, '
    "or take the username from the endpoint",
}
"""By libvirt's words, as it has one number for all of these."""


_NO_INIT = re.compile(r"Init (process ID|pid) is not yet (known|available)")


def lost(error: Any) -> bool:
    """Whether the connection itself broke, as opposed to a daemon that answered no."""
    return error.get_error_domain() == _FROM_RPC and error.get_error_code() in {
        INTERNAL_ERROR,
        SYSTEM_ERROR,
        RPC,
    }


def translate(error: Any, endpoint: str, operation: str, vendor: Any) -> ConnectorError:
    """The error of ours for a libvirtError, with libvirt's number and name."""
    code = error.get_error_code()
    why = _one_line(error.get_error_message() or str(error))
    name = f"{code} {code_name(vendor, code)}".strip()
    hint = _HINTS.get(code, "see that libvirtd runs, and repeat the call" if lost(error) else "")
    if "free space" in why or "No space left" in why:
        hint = "free some space in the storage pool, or choose another in option 'storage_pool'"
    if "libxenlight" in why:
        hint = "what libxl said stands in /var/log/libvirt/libxl/libxl-driver.log on the host"
    return _kind(error, code)(endpoint, operation, why, vendor_code=name, hint=hint)


def exists(error: Any) -> bool:
    """Whether the daemon refused to make what is there already, or is being made."""
    code = error.get_error_code()
    text = error.get_error_message()
    said = code == OPERATION_FAILED and "already exists" in text
    said |= code == INTERNAL_ERROR and "already in use" in text  # of a volume that is being copied
    return said or code in {DOM_EXIST, STORAGE_VOL_EXIST, OPERATION_INVALID}


def filling(error: Any) -> bool:
    """Whether the daemon refused something because it is still copying to the volume."""
    return (
        error.get_error_code() == OPERATION_INVALID and "still being allocated" in error.get_error_message()
    )


def too_new(error: Any) -> bool:
    """Whether a container was started so shortly before that the daemon does not know its init yet."""
    return error.get_error_code() == OPERATION_INVALID and bool(_NO_INIT.search(error.get_error_message()))


def _kind(error: Any, code: int) -> type[ConnectorError]:
    if lost(error):
        return Unreachable
    if filling(error):
        return DeadlineExceeded
    if code in _MISSING:
        return NotFound
    if code == RESOURCE_BUSY or exists(error):
        return Conflict
    return DeadlineExceeded if code == OPERATION_TIMEOUT else Refused


def opening(error: Any, endpoint: str, vendor: Any) -> ConnectorError:
    """The error for a connection that could not be opened: Refused for a login, else Unreachable."""
    found = translate(error, endpoint, "open", vendor)
    # libvirt has the same number for these as for a wrong password.
    before_login = "certificate" in found.why or "TLS handshake" in found.why
    if error.get_error_code() in _LOGIN and not before_login:
        hint = next((hint for words, hint in _LOGIN_HINTS.items() if words in found.why), found.hint)
        return type(found)(endpoint, "open", found.why, vendor_code=found.vendor_code, hint=hint)
    hint = "check the address, that libvirtd listens there, and its certificate"
    return Unreachable(endpoint, "open", found.why, vendor_code=found.vendor_code, hint=hint)


def code_name(vendor: Any, code: int) -> str:
    """The name of an error number: 42 is ``VIR_ERR_NO_DOMAIN``."""
    levels = {"VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR"}  # severities that share the numbers
    for name in dir(vendor):
        if name.startswith("VIR_ERR_") and name not in levels and getattr(vendor, name) == code:
            return name
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
