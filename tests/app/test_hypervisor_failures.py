"""What goes wrong at a hypervisor while an order is carried out, and what is left of it afterwards."""

from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import PowerState
from connectors.drivers.simulated.faults import FaultKind
from tierwise.usecases.doctor import examine
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.order import again

XEN = "hosted-xen"
"""Where acme's web servers go: the cheapest tier."""


def one_running_machine(acme: Any, name: str = "shop-01") -> None:
    ((endpoint, vm),) = acme.machines()[name]
    assert (endpoint, vm.power) == (XEN, PowerState.ON)
    assert acme.kinds(name) == ["created", "powered_on"]


def nothing_is_left(acme: Any, row: Any) -> Any:
    """The order failed with one reason; its machine, room and name are free."""
    assert row.status == "failed"
    assert row.machine_name not in acme.machines()
    assert acme.held() == {}
    (why,) = acme.why(row)
    assert why.pool == "hosted-nl"
    return why


@pytest.mark.parametrize("operation", ["create_vm", "power"])
def test_an_endpoint_that_does_not_answer_once_is_asked_again(acme: Any, operation: str) -> None:
    acme.fault(XEN, operation, FaultKind.UNREACHABLE)
    acme.deliver("shop-01")
    one_running_machine(acme)


def test_a_session_that_broke_is_opened_anew_also_when_that_fails_once(acme: Any) -> None:
    acme.fault(XEN, "create_vm", FaultKind.UNREACHABLE)
    acme.fault(XEN, "open", FaultKind.UNREACHABLE, nth=2)  # The first is the probe's.
    acme.deliver("shop-01")
    assert len(acme.calls(XEN, "open")) == 3
    one_running_machine(acme)


@pytest.mark.parametrize("kind", [FaultKind.LOSE_REPLY, FaultKind.UNREACHABLE])
def test_a_machine_whose_reply_was_lost_is_adopted_and_not_made_twice(acme: Any, kind: FaultKind) -> None:
    acme.fault(XEN, "create_vm", kind, times=2)
    acme.deliver("shop-01")
    assert len(acme.calls(XEN, "create_vm")) == 3
    one_running_machine(acme)


def test_an_endpoint_that_never_answers_fails_the_order_and_says_how_often_it_was_tried(acme: Any) -> None:
    acme.fault(XEN, "create_vm", FaultKind.UNREACHABLE, times=99)
    (row,) = acme.submit(acme.order("shop-01"))
    why = nothing_is_left(acme, row)
    assert why.why == ("create_vm at endpoint 'hosted-xen': the connection was refused (tried 3 times)")
    assert why.remedy == "`tierwise order retry shop-01` tries again"
    assert len(acme.calls(XEN, "create_vm")) == acme.app.settings.retries == 3


def test_a_reply_after_the_deadline_is_no_second_machine(estate: Any) -> None:
    acme = estate()
    impatient(acme)
    with acme.running():
        acme.fault(XEN, "create_vm", FaultKind.LATE_REPLY)
        acme.deliver("shop-01")
        one_running_machine(acme)


def test_an_endpoint_that_lets_the_deadline_pass_fails_the_order(estate: Any) -> None:
    acme = estate()
    impatient(acme)
    with acme.running():
        acme.fault(XEN, "create_vm", FaultKind.DEADLINE, times=99)
        (row,) = acme.submit(acme.order("shop-01"))
        why = nothing_is_left(acme, row)
    assert (why.dimension, "no reply within 0.2 s" in why.why) == ("DeadlineExceeded", True)


def impatient(acme: Any) -> None:
    """A deadline that a test can wait for; generous where nothing is scripted to be late."""
    endpoint = acme.app.endpoints.get(XEN)
    acme.app.endpoints._endpoints[XEN] = endpoint.model_copy(update={"timeout_s": 0.2})


def test_a_hypervisor_without_room_fails_the_order_with_its_own_words_and_code(acme: Any) -> None:
    acme.fault(XEN, "create_vm", FaultKind.REFUSED, why="no host has 4096 MiB free")
    (row,) = acme.submit(acme.order("shop-01"))
    why = nothing_is_left(acme, row)
    assert why.why == "create_vm at endpoint 'hosted-xen': no host has 4096 MiB free [SIMULATED]"
    assert len(acme.calls(XEN, "create_vm")) == 1, "what was refused is not tried again"
    assert acme.kinds("shop-01") == []


def test_a_machine_that_failed_half_made_leaves_nothing(acme: Any) -> None:
    acme.fault(XEN, "create_vm", FaultKind.FAIL_AFTER_HALF)
    (row,) = acme.submit(acme.order("shop-01"))
    assert "taken away again" in nothing_is_left(acme, row).why


def test_a_failed_order_can_be_tried_again_under_the_same_name(acme: Any) -> None:
    from uuid import UUID

    acme.fault(XEN, "create_vm", FaultKind.REFUSED)
    acme.submit(acme.order("shop-01"))
    (row,) = acme.submit(again(acme.app, "shop-01", UUID(int=1)))
    assert row.status == "delivered"
    assert acme.machine("shop-01").identity == UUID(int=1)


def test_one_order_that_fails_does_not_harm_the_others_of_its_batch(acme: Any) -> None:
    orders = [acme.order(f"shop-{n}") for n in range(4)]
    acme.fault(XEN, "create_vm", FaultKind.REFUSED, identity=orders[2].id)
    rows = acme.submit(*orders)
    assert [row.status for row in rows] == ["delivered", "delivered", "failed", "delivered"]
    assert set(acme.machines()) == {"shop-0", "shop-1", "shop-3"}
    assert acme.held() == {"hosted-nl": (6, 3 * 4096, 3 * 40)}


def test_a_machine_that_cannot_be_switched_on_is_removed_and_not_charged(acme: Any) -> None:
    acme.fault(XEN, "power", FaultKind.REFUSED, why="the guest does not start")
    (row,) = acme.submit(acme.order("shop-01"))
    assert "the guest does not start" in nothing_is_left(acme, row).why
    assert acme.kinds("shop-01") == ["created", "deleted"]
    acme.clock.advance(timedelta(days=3))
    meter(acme.app)
    assert interval_store(acme.app).read().num_rows == 0, "it existed for no second of the clock"


def test_a_machine_that_could_not_be_removed_again_is_named_and_found_by_doctor(acme: Any) -> None:
    acme.fault(XEN, "power", FaultKind.REFUSED)
    acme.fault(XEN, "delete_vm", FaultKind.UNREACHABLE, times=99)
    (row,) = acme.submit(acme.order("shop-01"))
    (why,) = acme.why(row)
    assert row.status == "failed"
    assert why.remedy.startswith(
        "a machine may be left at its endpoint: delete_vm at endpoint 'hosted-xen'"
    )
    assert "`tierwise doctor` looks" in why.remedy
    assert set(acme.machines()) == {"shop-01"}
    (finding,) = [found for found in examine(acme.settings) if found.subject == "machine shop-01"]
    assert "left over: no order holds it (endpoint hosted-xen" in finding.text


def test_room_that_a_left_over_machine_takes_is_not_given_away(acme: Any) -> None:
    from tierwise.usecases.observe import observe
    from tierwise.usecases.place import estate as as_planned

    acme.fault(XEN, "power", FaultKind.REFUSED)
    acme.fault(XEN, "delete_vm", FaultKind.REFUSED)
    acme.submit(acme.order("shop-01"))
    assert acme.held() == {}
    observe(acme.app)
    assert as_planned(acme.app).allocated["hosted-nl"].disk_gib == 40
