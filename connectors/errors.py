"""What can go wrong at a hypervisor, in six kinds; the vendor's own code is always kept."""

import re

from catalog.capabilities import Capability, Gap

LONGEST_WHY = 1000
_CONTROL = re.compile(r"\s*[\x00-\x1f\x7f-\x9f]+\s*")


def _on_a_line(words: str) -> str:
    """Without what would steer a terminal, and short: an endpoint's own words may be anything."""
    line = _CONTROL.sub(" ", words).strip()
    return line if len(line) <= LONGEST_WHY else f"{line[:LONGEST_WHY]} ..."


class ConnectorError(Exception):
    """A call to an endpoint failed.

    The message says what was being done, where, and what to do about it. `vendor_code` is the fault
    name or number that the vendor's documentation lists. `retriable` says whether the same call may
    succeed later without anybody changing anything; `busy` that it will when something ends that is under way at
    the object by itself or by others, which takes from seconds to minutes.
    """

    retriable = False
    busy = False

    def __init__(
        self, endpoint: str, operation: str, why: str, *, vendor_code: str = "", hint: str = ""
    ) -> None:
        self.endpoint = endpoint
        self.operation = operation
        self.why = _on_a_line(why)
        self.vendor_code = _on_a_line(vendor_code)
        self.hint = hint
        super().__init__(endpoint, operation, self.why)

    def __str__(self) -> str:
        code = f" [{self.vendor_code}]" if self.vendor_code else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.operation} at endpoint '{self.endpoint}': {self.why}{code}{hint}"


class Unsupported(ConnectorError):
    """The hypervisor, or this driver, cannot do it; `gap` says why."""

    def __init__(self, endpoint: str, capability: Capability, gap: Gap) -> None:
        super().__init__(endpoint, capability.value, str(gap))
        self.capability = capability
        self.gap = gap

    def __reduce__(self) -> tuple[type["Unsupported"], tuple[str, Capability, Gap]]:
        """Copying and pickling go by this class's own arguments, not by `Exception.args`."""
        return type(self), (self.endpoint, self.capability, self.gap)


class NotFound(ConnectorError):
    """There is no machine, provider or snapshot of that identity or name."""


class Conflict(ConnectorError):
    """The object is in a state, or of a name, that forbids the operation."""


class Refused(ConnectorError):
    """The endpoint understood and said no: wrong password, missing permission, no space, quota."""


class Unreachable(ConnectorError):
    """No answer, or none that can be trusted: refused connection, lost connection, TLS mismatch.

    Whether a call that was under way took effect is unknown; adopting by identity settles it.
    """

    retriable = True


class DeadlineExceeded(ConnectorError):
    """No answer within the endpoint's `timeout_s`. The call may still take effect."""

    retriable = True
