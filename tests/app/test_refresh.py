"""What one process keeps of an endpoint by its change feed is what somebody who just came would list."""

import random
from typing import Any
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, VmSpec, VmView
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.usecases.following import PLAIN_LOOKS
from tierwise.usecases.observe import observe

XEN = "hosted-xen"


def seen(acme: Any) -> set[VmView]:
    return set(observe(acme.app, XEN)[XEN].vms)


def anything(connector: Connector, provider: str, dice: random.Random, count: int) -> None:
    """Make, remove and switch machines, as somebody else would."""
    for _ in range(count):
        vms = connector.list_vms()
        what = dice.choice(["make", "make", "remove", "switch"])
        if what == "make" or not vms:
            size = Resources(vcpu=1, memory_mib=512, disk_gib=1)
            identity = UUID(int=dice.getrandbits(128))
            name = f"vm-{identity.hex[:8]}"
            connector.create_vm(VmSpec(name=name, provider=provider, resources=size), identity)
            continue
        vm = dice.choice(vms)
        assert vm.identity is not None
        if what == "remove":
            connector.delete_vm(vm.identity)
        else:
            connector.power(vm.identity, PowerAction.OFF if vm.power == "on" else PowerAction.ON)


@pytest.mark.parametrize("seed", range(5))
def test_every_look_of_one_process_sees_what_a_new_one_lists(acme: Any, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(8):
        with connect(acme.endpoint(XEN)) as other:
            anything(other, other.probe().pools[0].provider, dice, dice.randrange(4))
            assert seen(acme) == set(other.list_vms())


def test_only_the_first_looks_list_everything(acme: Any) -> None:
    for _ in range(PLAIN_LOOKS + 3):
        observe(acme.app, XEN)
    assert len(acme.calls(XEN, "inventory") + acme.calls(XEN, "list_vms")) == PLAIN_LOOKS
    assert len(acme.calls(XEN, "changes")) == 3


def test_a_feed_that_is_lost_keeps_the_last_view_and_the_next_look_sees_all(acme: Any) -> None:
    dice = random.Random(1)
    with connect(acme.endpoint(XEN)) as other:
        provider = other.probe().pools[0].provider
        anything(other, provider, dice, 6)
        for _ in range(PLAIN_LOOKS + 2):
            before = seen(acme)
        acme.fault(XEN, "changes", FaultKind.UNREACHABLE)
        anything(other, provider, dice, 6)
        view = observe(acme.app, XEN)[XEN]
        assert view.error is not None
        assert set(view.vms) == before
        assert seen(acme) == set(other.list_vms()) != before
