"""What an endpoint holds, kept up to date by its change feed where it has one."""

from dataclasses import dataclass, field

from catalog.capabilities import Capability
from connectors.contract import Connector, EndpointSnapshot, VmView

PLAIN_LOOKS = 2
"""How often one connector lists everything before its feed is begun.

A feed begins with everything too; one command looks once or twice, and would pay for it without ever gaining.
"""


@dataclass
class Machines:
    """An endpoint's machines by native id, and where its feed stands."""

    known: dict[str, VmView] = field(default_factory=dict)
    cursor: str | None = None

    def advance(self, connector: Connector) -> None:
        """Take over what changed since the last time. Raises as `Connector.changes` does; then nothing is taken."""
        found = connector.changes(self.cursor)
        now = {} if found.full else dict(self.known)
        now |= {vm.native_id: vm for vm in found.vms}
        for native_id in found.gone:
            now.pop(native_id, None)
        self.known, self.cursor = now, found.cursor

    def listed(self) -> tuple[VmView, ...]:
        """The machines by name."""
        return tuple(sorted(self.known.values(), key=lambda vm: (vm.name, vm.native_id)))


def has_feed(snapshot: EndpointSnapshot) -> bool:
    """Whether all pools of an endpoint tell what changes."""
    return bool(snapshot.pools) and all(pool.capabilities.has(Capability.WATCH) for pool in snapshot.pools)


@dataclass
class Looks:
    """The looks that one open connector took; from the third on only what changed is asked for."""

    plain: int = 0
    machines: Machines = field(default_factory=Machines)
    feed: bool = False

    def look(self, connector: Connector) -> tuple[EndpointSnapshot, tuple[VmView, ...]]:
        """Capacity, capabilities and all machines as they are now. Raises ConnectorError."""
        if self.plain < PLAIN_LOOKS or not self.feed:
            snapshot, vms = connector.inventory()
            self.plain, self.feed = self.plain + 1, has_feed(snapshot)
            return snapshot, tuple(vms)
        snapshot = connector.probe()
        self.feed = has_feed(snapshot)
        if not self.feed:
            self.machines = Machines()
            return snapshot, tuple(connector.list_vms())
        self.machines.advance(connector)
        return snapshot, self.machines.listed()
