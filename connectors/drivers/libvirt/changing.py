"""What all changes of a machine that is there have in common."""

from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import PowerState, VmView
from connectors.drivers.libvirt.host import HostFacts
from connectors.errors import Conflict, Refused, Unsupported


@dataclass(frozen=True, eq=False)
class Changing:
    """One machine as it is; all checks of a change come before it."""

    vendor: Any
    connection: Any
    domain: Any
    view: VmView
    host: HostFacts
    endpoint: str

    @property
    def identity(self) -> UUID:
        """The machine's."""
        return UUID(self.view.native_id)

    @property
    def hot(self) -> bool:
        """Whether the machine runs."""
        return self.view.power is PowerState.ON

    def need(self, capability: Capability) -> None:
        """Raises Unsupported with the reason, where the host lacks it."""
        if gap := self.host.gaps.get(capability):
            raise Unsupported(self.endpoint, capability, gap)

    def refuse(self, operation: str, what: str, hint: str) -> NoReturn:
        """Raises Conflict."""
        raise Conflict(self.endpoint, operation, f"machine '{self.view.name}' {what}", hint=hint)


def no_room(endpoint: str, operation: str, wanted: Resources, total: Resources) -> None:
    """Raise Refused for a machine that the empty host could not hold."""
    over = [
        f"{kind.value} {amount} is more than the host's {total.amount(kind)}"
        for kind, amount in wanted.as_mapping().items()
        if amount > total.amount(kind)
    ]
    if over:
        raise Refused(endpoint, operation, "; ".join(over), hint="choose a smaller machine or another pool")
