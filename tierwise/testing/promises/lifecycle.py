# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Creating, adopting and deleting: once, whole, and by identity."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import Connector, PoolSnapshot, PowerAction, PowerState
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused, Unreachable
from tierwise.testing.promises.base import (
    Connect,
    Counterpart,
    Machines,
    Needs,
    identities,
    identity_of,
)

ANNOTATIONS = {"tenant": "payroll", "note": 'a "quoted" <tag> & 100 % ünïcode'}

NAMES = (
    "say \"hi\" and 'bye'",
    "<b>&amp;</b>",
    "100%25 done",
    "-rf",
    "$(id);`id`|true",
    "../../etc/passwd",
    "back\\slash",
    "ünï-名前-🚀",
    "x" * 80,
)


class LifecyclePromises(Counterpart):
    """A machine is made once and removed once, however often it is asked for."""

    def test_a_new_machine_is_off_and_as_ordered(self, needs: Needs, machines: Machines) -> None:
        needs(Capability.CREATE)
        view = machines.make(annotations=ANNOTATIONS)
        assert view.identity == machines.identities[0]
        assert view.power is PowerState.OFF
        assert view.resources == self.small
        assert view.provider == machines.provider
        assert {k: view.annotations.get(k) for k in ANNOTATIONS} == ANNOTATIONS

    def test_what_an_order_says_of_its_machine_stands_there_as_the_vendors_tags(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.TAGS)
        identity = identity_of(machines.make(annotations=ANNOTATIONS))
        for _ in ("as made", "as adopted"):
            tags = connector.tags(identity)
            assert {key: tags.get(key) for key in ANNOTATIONS} == ANNOTATIONS
            connector.create_vm(machines.spec(identity, annotations=ANNOTATIONS), identity)

    def test_tags_of_a_machine_that_is_there_are_set_and_taken_away_and_its_annotations_with_them(
        self, needs: Needs, connector: Connector, machines: Machines, connect: Connect
    ) -> None:
        needs(Capability.CREATE, Capability.TAGS)
        made = machines.make(annotations={**ANNOTATIONS, "stays": "as it is"})
        changes = {"tenant": "sales", "note": "", "never-there": "", "new": 'a=b "c" & <ü>'}
        wanted = {"stays": "as it is", "tenant": "sales", "new": 'a=b "c" & <ü>'}
        for _ in ("as asked", "as asked again"):
            view = connector.tag(identity_of(made), changes)
            assert view == made.model_copy(update={"annotations": wanted})
            assert connector.tags(identity_of(made)) == wanted
        assert connect().get_vm(identity_of(made)) == view, "others see it too"

    def test_a_machine_that_is_not_there_cannot_be_tagged(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.TAGS)
        with pytest.raises(NotFound):
            connector.tag(machines.identity(), {"tenant": "sales"})

    def test_another_session_sees_the_same_machine(
        self, needs: Needs, machines: Machines, connect: Connect
    ) -> None:
        needs(Capability.CREATE)
        view = machines.make(annotations=ANNOTATIONS)
        assert connect().get_vm(identity_of(view)) == view

    def test_creating_twice_is_creating_once(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        first = machines.make()
        identity = identity_of(first)
        second = connector.create_vm(machines.spec(identity), identity)
        assert second == first
        assert identities(connector).count(identity) == 1

    def test_a_machine_that_runs_is_adopted_as_it_is(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON)
        running = machines.make(on=True)
        identity = identity_of(running)
        adopted = connector.create_vm(machines.spec(identity, resources=self.bigger), identity)
        assert adopted == running

    def test_another_session_adopts_instead_of_creating(
        self, needs: Needs, machines: Machines, connect: Connect
    ) -> None:
        needs(Capability.CREATE)
        first = machines.make()
        identity = identity_of(first)
        assert connect().create_vm(machines.spec(identity), identity).native_id == first.native_id

    def test_a_create_whose_reply_was_lost_is_repeated_without_harm(
        self,
        needs: Needs,
        machines: Machines,
        connect: Connect,
        lose_next_create_reply: Callable[[], None] | None,
    ) -> None:
        needs(Capability.CREATE)
        if lose_next_create_reply is None:
            pytest.skip("no reply can be lost on purpose here")
        identity = machines.identity()
        lose_next_create_reply()
        with suppress(
            Unreachable, DeadlineExceeded
        ):  # A driver that repeats the call by itself raises neither.
            machines.connector.create_vm(machines.spec(identity), identity)
        again = connect()
        assert again.create_vm(machines.spec(identity), identity).identity == identity
        assert identities(again).count(identity) == 1

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_with_odd_characters_harms_nothing(
        self, name: str, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE)
        view = machines.make(name=name)
        identity = identity_of(view)
        found = connector.get_vm(identity)
        assert found == view
        assert found.name == name or (self.may_map_names and found.name)
        connector.delete_vm(identity)
        assert identity not in identities(connector)

    def test_an_equal_name_is_a_conflict_or_another_machine(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        first = machines.make(name="tw-twin")
        identity = machines.identity()
        with suppress(Conflict):
            second = connector.create_vm(machines.spec(identity, name="tw-twin"), identity)
            assert (second.identity, second.native_id) != (first.identity, first.native_id)
            assert identities(connector).count(identity) == 1
            return
        assert identity not in identities(connector)
        assert connector.get_vm(identity_of(first)) == first

    def test_an_unknown_provider_is_not_found_and_nothing_is_made(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        before = connector.list_vms()
        identity = machines.identity()
        with pytest.raises(NotFound):
            connector.create_vm(machines.spec(identity, provider="no-such-provider"), identity)
        assert connector.list_vms() == before

    def test_a_machine_without_room_is_refused_and_nothing_is_made(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE)
        before = connector.list_vms()
        identity = machines.identity()
        too_much = self.small + Resources(disk_gib=pool.total.disk_gib)
        with pytest.raises(Refused):
            connector.create_vm(machines.spec(identity, resources=too_much), identity)
        assert connector.list_vms() == before
        assert pool in connector.probe().pools

    def test_deleting_twice_is_deleting_once(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE)
        identity = identity_of(machines.make())
        connector.delete_vm(identity)
        connector.delete_vm(identity)
        with pytest.raises(NotFound):
            connector.get_vm(identity)
        assert pool in connector.probe().pools, "something of the machine is left behind"

    def test_a_running_machine_can_be_deleted(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE, Capability.POWER_ON)
        identity = identity_of(machines.make(on=True))
        connector.delete_vm(identity)
        assert identity not in identities(connector)

    def test_a_suspended_machine_can_be_deleted(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE, Capability.POWER_ON, Capability.SUSPEND)
        identity = identity_of(machines.make(on=True))
        connector.power(identity, PowerAction.SUSPEND)
        connector.delete_vm(identity)
        assert identity not in identities(connector)

    def test_a_machine_with_snapshots_can_be_deleted(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE, Capability.SNAPSHOT)
        identity = identity_of(machines.make())
        connector.snapshot(identity, "before")
        connector.delete_vm(identity)
        assert identity not in identities(connector)

    def test_a_deleted_machine_can_be_made_anew(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE)
        identity = identity_of(machines.make())
        connector.delete_vm(identity)
        again = connector.create_vm(machines.spec(identity), identity)
        assert again.resources == self.small
        assert identities(connector).count(identity) == 1

    def test_deleting_one_machine_leaves_the_others(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE)
        kept, gone = machines.make(), machines.make()
        connector.delete_vm(identity_of(gone))
        assert connector.get_vm(identity_of(kept)) == kept
