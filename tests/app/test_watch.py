"""What `vm watch` tells is what was done behind its back, and what it stores is what an inventory shows."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from catalog.capabilities import Capability, Gap, GapReason
from catalog.resources import Resources
from connectors.contract import PowerAction, VmSpec
from connectors.drivers.simulated import Simulated
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.usecases.inventory import inventory
from tierwise.usecases.watch import Told, What, follow

XEN = "hosted-xen"
LIMIT_S = 60.0


@contextmanager
def watching(acme: Any, list_s: float = 0.1) -> Iterator[Callable[[What, str], Told]]:
    """Gives a function that waits until something of a kind is told of a machine or an endpoint."""
    told: list[Told] = []
    arrived = threading.Condition()
    stop = threading.Event()

    def tell(one: Told) -> None:
        with arrived:
            told.append(one)
            arrived.notify_all()

    def wait(what: What, whose: str) -> Told:
        end_s = time.monotonic() + LIMIT_S
        with arrived:
            while True:
                found = [one for one in told if one.what is what and whose in {one.machine, one.endpoint}]
                if found:
                    return found[-1]
                assert arrived.wait(end_s - time.monotonic()), (what, whose, told)

    thread = threading.Thread(
        target=follow, args=(acme.app, tell, stop), kwargs={"poll_s": 0.05, "list_s": list_s}
    )
    thread.start()
    try:
        yield wait
    finally:
        stop.set()
        thread.join()


def do_all_to_a_machine(acme: Any, wait: Callable[[What, str], Told]) -> None:
    identity = UUID(int=7)
    with connect(acme.endpoint(XEN)) as other:
        provider = other.probe().pools[0].provider
        size = Resources(vcpu=1, memory_mib=512, disk_gib=3)
        other.create_vm(VmSpec(name="foreign", provider=provider, resources=size), identity)
        assert wait(What.MADE, "foreign").text == "off, 1 vCPU, 512 MiB, 3 GiB"
        other.power(identity, PowerAction.ON)
        assert wait(What.CHANGED, "foreign").text == "power off -> on"
        other.delete_vm(identity)
        assert wait(What.GONE, "foreign").text == "it was on"


def test_each_change_is_told_and_the_stored_inventory_follows(acme: Any) -> None:
    acme.deliver("shop-01")
    with watching(acme, list_s=30) as wait:
        assert wait(What.FOLLOWING, XEN).text == "1 machine, followed by its change feed"
        do_all_to_a_machine(acme, wait)
        with connect(acme.endpoint(XEN)) as other:
            (vm,) = other.list_vms()
            other.power(UUID(str(vm.identity)), PowerAction.OFF)
        wait(What.CHANGED, "shop-01")
    (machine,) = inventory(acme.app).machines
    assert (machine.name, machine.power.value, machine.drift.value) == (
        "shop-01", "off", "changed outside tierwise",
    )  # fmt: skip


def test_an_endpoint_without_a_feed_is_followed_by_its_lists(
    acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = Gap(reason=GapReason.NEVER, detail="this one has no feed at all")
    monkeypatch.setattr(Simulated, "gaps", {**Simulated.gaps, Capability.WATCH: none})
    with watching(acme) as wait:
        assert wait(What.FOLLOWING, XEN).text == "0 machines, followed by listing its machines now and then"
        do_all_to_a_machine(acme, wait)


def test_an_endpoint_that_is_lost_is_told_and_followed_again_without_losing_a_change(acme: Any) -> None:
    acme.deliver("shop-01")
    with watching(acme) as wait:
        wait(What.FOLLOWING, XEN)
        acme.fault(XEN, "changes", FaultKind.UNREACHABLE)
        assert "tried again every 0.1 s" in wait(What.LOST, XEN).text
        do_all_to_a_machine(acme, wait)
