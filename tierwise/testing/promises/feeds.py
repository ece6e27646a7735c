# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""The change feed says what an inventory would say; machines move between hosts."""

import time
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import Connector, PoolSnapshot, PowerAction, PowerState, VmView
from connectors.errors import NotFound, Unsupported
from tierwise.testing.promises.base import Counterpart, Machines, Needs, identity_of

SETTLING_S = 20.0
"""How long a change may take to be told; feeds are asynchronous."""


class Follower:
    """An inventory that is kept by the feed alone."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.cursor: str | None = None
        self.known: dict[str, VmView] = {}
        self.fulls = 0

    def pull(self) -> None:
        found = self.connector.changes(self.cursor)
        if found.full:
            self.known.clear()
            self.fulls += 1
        self.known.update({view.native_id: view for view in found.vms})
        for native_id in found.gone:
            self.known.pop(native_id, None)
        self.cursor = found.cursor

    def pull_until(self, holds: Callable[[], bool]) -> bool:
        end_s = time.monotonic() + SETTLING_S
        while True:
            self.pull()
            if holds():
                return True
            if time.monotonic() > end_s:
                return False
            time.sleep(0.05)

    def agrees(self) -> bool:
        listed = {view.native_id: view for view in self.connector.list_vms()}
        return listed == self.known


class FeedPromises(Counterpart):
    """A reader of the feed knows what a reader of the whole inventory knows."""

    def test_an_endpoint_without_a_feed_says_why(self, connector: Connector, pool: PoolSnapshot) -> None:
        gap = pool.capabilities.gap(Capability.WATCH)
        if gap is None:
            pytest.skip("watch is there; other tests prove it")
        with pytest.raises(Unsupported) as caught:
            connector.changes()
        assert caught.value.gap == gap

    def test_the_first_answer_is_the_whole_inventory(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.WATCH, Capability.CREATE)
        machines.make()
        found = connector.changes()
        assert found.full
        assert sorted(found.vms, key=lambda v: (v.name, v.native_id)) == connector.list_vms()

    def test_a_follower_of_the_feed_knows_what_an_inventory_tells(
        self, needs: Needs, connect: Callable[[], Connector], machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.WATCH, Capability.CREATE)
        has = pool.capabilities.has
        follower = Follower(connect())
        follower.pull()
        first, second = (identity_of(machines.make()) for _ in range(2))
        assert follower.pull_until(follower.agrees), "two machines were made"
        if has(Capability.POWER_ON):
            machines.connector.power(first, PowerAction.ON)
            assert follower.pull_until(follower.agrees), "one was switched on"
            assert _of(follower, first).power is PowerState.ON
        if has(Capability.RESIZE_COLD):
            machines.connector.resize(second, self.small + Resources(vcpu=1))
            assert follower.pull_until(follower.agrees), "one was resized"
            assert _of(follower, second).resources.vcpu == self.small.vcpu + 1
        if has(Capability.DELETE):
            machines.connector.delete_vm(second)
            assert follower.pull_until(follower.agrees), "one was deleted"
            assert second not in {view.identity for view in follower.known.values()}
        assert follower.fulls == 1, "only the first answer is the whole inventory"

    def test_nothing_is_told_where_nothing_changed(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.WATCH, Capability.CREATE)
        machines.make()
        follower = Follower(connector)
        follower.pull()
        follower.pull_until(follower.agrees)
        found = connector.changes(follower.cursor)
        assert not found.full
        assert set(found.vms) <= set(follower.known.values())
        assert found.gone == ()

    @pytest.mark.parametrize("cursor", ["", "no such cursor", "0", "-1", "é" * 40])
    def test_a_cursor_that_is_not_known_gives_the_whole_inventory(
        self, cursor: str, needs: Needs, connector: Connector
    ) -> None:
        needs(Capability.WATCH)
        assert connector.changes(cursor).full

    def test_a_new_session_goes_on_from_an_old_cursor_or_starts_anew(
        self, needs: Needs, connect: Callable[[], Connector], machines: Machines
    ) -> None:
        needs(Capability.WATCH, Capability.CREATE)
        earlier = connect()
        follower = Follower(earlier)
        follower.pull()
        earlier.close()
        machines.make()
        follower.connector = connect()
        assert follower.pull_until(follower.agrees)


class MigrationPromises(Counterpart):
    """A machine goes to the host that was asked for, and goes on running."""

    @pytest.fixture
    def other_hosts(self, needs: Needs, pool: PoolSnapshot) -> Callable[[VmView], list[str]]:
        """The hosts that a machine could go to; skips where there is no other one."""
        needs(Capability.CREATE, Capability.LIVE_MIGRATE)
        if len(pool.hosts) < 2:
            pytest.skip("this counterpart has one host")
        return lambda view: [host.name for host in pool.hosts if host.name != view.host]

    def test_a_running_machine_comes_to_the_host_that_was_asked_for(
        self,
        other_hosts: Callable[[VmView], list[str]],
        needs: Needs,
        connector: Connector,
        machines: Machines,
    ) -> None:
        needs(Capability.POWER_ON)
        view = connector.get_vm(identity_of(machines.make(on=True)))
        there = other_hosts(view)[0]
        moved = connector.migrate(identity_of(view), there)
        assert (moved.host, moved.power) == (there, PowerState.ON)
        assert moved == connector.get_vm(identity_of(view))
        assert moved == view.model_copy(update={"host": there})
        assert connector.migrate(identity_of(view), there) == moved

    def test_a_host_or_machine_that_is_not_there_is_not_found(
        self,
        other_hosts: Callable[[VmView], list[str]],
        needs: Needs,
        connector: Connector,
        machines: Machines,
    ) -> None:
        needs(Capability.POWER_ON)
        view = machines.make(on=True)
        with pytest.raises(NotFound):
            connector.migrate(identity_of(view), "no-such-host")
        with pytest.raises(NotFound):
            connector.migrate(uuid4(), other_hosts(view)[0])

    def test_an_endpoint_without_migration_says_why(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        gap = pool.capabilities.gap(Capability.LIVE_MIGRATE)
        if gap is None:
            pytest.skip("live_migrate is there; other tests prove it")
        needs(Capability.CREATE)
        view = machines.make()
        with pytest.raises(Unsupported) as caught:
            connector.migrate(identity_of(view), view.host or "elsewhere")
        assert caught.value.gap == gap


def _of(follower: Follower, identity: UUID) -> VmView:
    return next(view for view in follower.known.values() if view.identity == identity)
