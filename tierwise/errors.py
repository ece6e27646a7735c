"""Errors of the application, each with the exit code that the command line ends with."""

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code means. Documented in docs/reference/cli.md."""

    OK = 0
    ERROR = 1
    USAGE = 2
    INVALID = 3
    REFUSED = 5
    UNSUPPORTED = 6
    NO_PLACE = 7
    UNREACHABLE = 8
    BUSY = 9


class TierwiseError(Exception):
    """Something that a person can put right: the message names what, where and what to do."""

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, *, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class InvalidInput(TierwiseError):
    """A file, a parameter or a name is wrong; nothing was changed."""

    exit_code = ExitCode.INVALID


class RefusedByPolicy(TierwiseError):
    """A rule or a quota forbids it."""

    exit_code = ExitCode.REFUSED


class NoPlace(TierwiseError):
    """No pool can take the request."""

    exit_code = ExitCode.NO_PLACE


class EndpointDown(TierwiseError):
    """A hypervisor's endpoint does not answer, or not in time."""

    exit_code = ExitCode.UNREACHABLE


class NotSupported(TierwiseError):
    """The hypervisor cannot do it; the message says why and what can be done instead."""

    exit_code = ExitCode.UNSUPPORTED


class StoreBusy(TierwiseError):
    """Another tierwise process works on this data directory."""

    exit_code = ExitCode.BUSY
