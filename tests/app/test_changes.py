"""Power, size and removal of a machine that is there."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.errors import (
    EndpointDown,
    InvalidInput,
    NoPlace,
    NotSupported,
    RefusedByPolicy,
    TierwiseError,
)
from tierwise.usecases import change

XEN = "hosted-xen"


@pytest.mark.parametrize(
    ("action", "state", "kind"),
    [
        (PowerAction.OFF, PowerState.OFF, "powered_off"),
        (PowerAction.SHUTDOWN, PowerState.OFF, "powered_off"),
        (PowerAction.SUSPEND, PowerState.SUSPENDED, "powered_off"),
    ],
)
def test_power_changes_the_machine_the_books_and_its_events(
    acme: Any, action: PowerAction, state: PowerState, kind: str
) -> None:
    acme.deliver("shop-01")
    change.power(acme.app, UUID(int=1), "shop-01", action)
    assert acme.machine("shop-01").power == state
    assert acme.rows("SELECT power FROM machine") == [(state.value,)]
    change.power(acme.app, UUID(int=2), "shop-01", PowerAction.ON)
    assert acme.machine("shop-01").power == PowerState.ON
    assert acme.kinds("shop-01") == ["created", "powered_on", kind, "powered_on"]


def test_a_guest_that_does_not_obey_is_asked_once_and_one_that_is_off_has_obeyed(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(XEN, "power", FaultKind.DEADLINE)
    before = len(acme.calls(XEN, "power"))
    with pytest.raises(EndpointDown, match="no reply within"):
        change.power(acme.app, UUID(int=1), "shop-01", PowerAction.SHUTDOWN)
    assert len(acme.calls(XEN, "power")) == before + 1
    assert acme.rows("SELECT power FROM machine") == [("on",)]
    acme.fault(XEN, "power", FaultKind.LATE_REPLY)
    change.power(acme.app, UUID(int=2), "shop-01", PowerAction.SHUTDOWN)
    assert acme.machine("shop-01").power == PowerState.OFF
    assert acme.rows("SELECT power FROM machine") == [("off",)]


def test_a_machine_goes_to_another_host_of_its_pool_and_nothing_else_changes(acme: Any) -> None:
    acme.deliver("shop-01")
    before = acme.machine("shop-01")
    rows = acme.rows("SELECT * FROM machine"), acme.held(), acme.kinds("shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        hosts = [host.name for host in connector.probe().pools[0].hosts]
    there = next(host for host in hosts if host != before.host)
    change.migrate(acme.app, UUID(int=1), "shop-01", there)
    assert acme.machine("shop-01") == before.model_copy(update={"host": there})
    assert (acme.rows("SELECT * FROM machine"), acme.held(), acme.kinds("shop-01")) == rows


def test_a_host_that_the_pool_does_not_have_is_named_with_those_it_has(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match=r"pool hosted-nl has no host 'mars'; it has: \S+"):
        change.migrate(acme.app, UUID(int=1), "shop-01", "mars")
    assert acme.calls(XEN, "migrate") == []


def test_the_same_change_given_twice_happens_once(acme: Any) -> None:
    acme.deliver("shop-01")
    for _ in range(2):
        change.power(acme.app, UUID(int=1), "shop-01", PowerAction.OFF)
        change.resize(acme.app, UUID(int=2), "shop-01", Resources(memory_mib=8192))
    assert acme.kinds("shop-01") == ["created", "powered_on", "powered_off", "resized"]
    assert len(acme.calls(XEN, "power")) == 2
    assert len(acme.calls(XEN, "resize")) == 1


def test_a_machine_grows_at_the_hypervisor_and_in_the_books_and_zero_means_as_it_is(acme: Any) -> None:
    acme.deliver("shop-01")
    change.resize(acme.app, UUID(int=1), "shop-01", Resources(memory_mib=8192))
    size = Resources(vcpu=2, memory_mib=8192, disk_gib=40)
    assert acme.machine("shop-01").resources == size
    assert acme.held() == {"hosted-nl": (2, 8192, 40)}
    assert acme.rows("SELECT vcpu, memory_mib, disk_gib FROM machine") == [(2, 8192, 40)]


def test_a_machine_that_shrinks_gives_its_room_back(acme: Any) -> None:
    acme.deliver("shop-01")
    change.power(acme.app, UUID(int=1), "shop-01", PowerAction.OFF)
    change.resize(acme.app, UUID(int=2), "shop-01", Resources(vcpu=1, memory_mib=2048))
    assert acme.held() == {"hosted-nl": (1, 2048, 40)}


def unchanged(acme: Any) -> None:
    assert acme.held() == {"hosted-nl": (2, 4096, 40)}
    assert acme.machine("shop-01").resources == Resources(vcpu=2, memory_mib=4096, disk_gib=40)
    assert "resized" not in acme.kinds("shop-01")


def test_growing_beyond_the_room_of_its_pool_is_refused_with_what_is_free(estate: Any) -> None:
    with estate(hosts=1, host_vcpu=16, host_memory_mib=65536, disk_gib=100).running() as acme:
        acme.deliver("shop-01")
        with pytest.raises(
            NoPlace, match=r"shop-01: 61,441 MiB more memory wanted on .*, where 60 GiB are free"
        ):
            change.resize(acme.app, UUID(int=1), "shop-01", Resources(memory_mib=65537))
        unchanged(acme)
        assert acme.calls(XEN, "resize") == [], "it is refused before it is tried"
        change.resize(acme.app, UUID(int=2), "shop-01", Resources(memory_mib=65536))
        assert acme.held() == {"hosted-nl": (2, 65536, 40)}


def test_growing_beyond_the_tenants_quota_is_refused_with_the_numbers(acme: Any) -> None:
    acme.deliver("site-01", tenant="marketing")
    with pytest.raises(RefusedByPolicy, match=r"marketing.*2 of 32 vCPU in use.*needs 31"):
        change.resize(acme.app, UUID(int=1), "site-01", Resources(vcpu=33))
    assert acme.held() == {"hosted-nl": (2, 4096, 40)}
    assert acme.calls(XEN, "resize") == []


def test_growing_into_what_a_rule_forbids_is_refused_with_the_rule(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(RefusedByPolicy, match="the contract with the hoster covers at most 16 vCPU"):
        change.resize(acme.app, UUID(int=1), "shop-01", Resources(vcpu=17))
    unchanged(acme)
    change.resize(acme.app, UUID(int=2), "shop-01", Resources(vcpu=16))


def test_a_resize_that_fails_at_the_hypervisor_gives_the_room_back(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(XEN, "resize", FaultKind.REFUSED, why="hot add is switched off")
    with pytest.raises(TierwiseError, match="shop-01: resize at endpoint 'hosted-xen': hot add"):
        change.resize(acme.app, UUID(int=1), "shop-01", Resources(vcpu=8, memory_mib=16384))
    unchanged(acme)
    acme.fault(XEN, "resize", FaultKind.UNREACHABLE, times=3)
    with pytest.raises(EndpointDown, match="tried 3 times"):
        change.resize(acme.app, UUID(int=2), "shop-01", Resources(vcpu=8))
    unchanged(acme)


def test_a_resize_whose_reply_was_lost_is_booked_once(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(XEN, "resize", FaultKind.LOSE_REPLY)
    change.resize(acme.app, UUID(int=1), "shop-01", Resources(vcpu=4))
    assert acme.machine("shop-01").resources.vcpu == 4
    assert acme.kinds("shop-01") == ["created", "powered_on", "resized"]


def test_a_disk_cannot_shrink_and_nothing_is_tried(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="has 40 GiB and cannot shrink to 20 GiB"):
        change.resize(acme.app, UUID(int=1), "shop-01", Resources(disk_gib=20))
    assert acme.calls(XEN, "resize") == []
    unchanged(acme)


def test_what_the_pool_cannot_do_is_refused_with_its_reason_before_anything_is_tried(acme: Any) -> None:
    acme.fault("fra-kvm", "probe", FaultKind.UNREACHABLE)  # So that it stands on Hyper-V.
    acme.deliver("ci-01", "build-agent", tenant="dev-platform", tier="tier-2")
    ((endpoint, vm),) = acme.machines()["ci-01"]
    with pytest.raises(NotSupported, match="resize_hot is not available for ci-01") as caught:
        change.resize(acme.app, UUID(int=1), "ci-01", Resources(vcpu=8))
    (why,) = caught.value.details
    assert "pool fra-test-1" in why
    assert "Hyper-V cannot add virtual processors to a machine that runs; stop it first" in why
    assert acme.calls(endpoint, "resize") == []
    change.resize(acme.app, UUID(int=4), "ci-01", Resources(memory_mib=2 * vm.resources.memory_mib))
    assert acme.machine("ci-01").resources.memory_mib == 2 * vm.resources.memory_mib
    change.power(acme.app, UUID(int=2), "ci-01", PowerAction.OFF)
    change.resize(acme.app, UUID(int=3), "ci-01", Resources(vcpu=8))
    assert acme.machine("ci-01").resources.vcpu == 8 != vm.resources.vcpu


def test_removing_a_machine_frees_its_room_and_its_name(estate: Any) -> None:
    with estate(hosts=1, host_vcpu=16, host_memory_mib=65536, disk_gib=80).running() as acme:
        acme.submit(acme.order("shop-01", disk_gib=40), acme.order("shop-02", tier="tier-3", disk_gib=40))
        assert acme.held()["hosted-nl"] == (4, 8192, 80)
        change.delete(acme.app, UUID(int=1), "shop-01")
        assert "shop-01" not in acme.machines()
        assert acme.held()["hosted-nl"] == (2, 4096, 40)
        assert acme.rows("SELECT status FROM order_ WHERE machine_name = 'shop-01'") == [("removed",)]
        # At once, though the last look at the endpoint showed the machine that is gone.
        change.resize(acme.app, UUID(int=2), "shop-02", Resources(disk_gib=60))
        again = acme.order("shop-01", order_id=UUID(int=9), disk_gib=20, tier="tier-3")
        assert [row.status for row in acme.submit(again)] == ["delivered"]
        assert acme.machine("shop-01").identity == UUID(int=9)


def test_a_removal_that_did_not_happen_leaves_the_machine_and_its_order(acme: Any) -> None:
    acme.deliver("shop-01")
    for operation in ("delete_vm", "get_vm"):
        acme.fault(XEN, operation, FaultKind.UNREACHABLE, times=3)
    with pytest.raises(EndpointDown, match="shop-01: delete_vm at endpoint 'hosted-xen'"):
        change.delete(acme.app, UUID(int=1), "shop-01")
    assert len(acme.calls(XEN, "get_vm")) == 1, "what does not answer is not waited for as long again"
    unchanged(acme)
    assert acme.rows("SELECT status FROM order_") == [("delivered",)]
    change.delete(acme.app, UUID(int=2), "shop-01")
    assert acme.machines() == {}
    assert acme.kinds("shop-01") == ["created", "powered_on", "deleted"]


def test_a_machine_that_went_without_us_can_still_be_removed_from_the_books(acme: Any) -> None:
    from connectors.registry import connect

    row = acme.deliver("shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        connector.delete_vm(UUID(row.id))
    with pytest.raises(TierwiseError, match="there is no machine with the identity"):
        change.power(acme.app, UUID(int=1), "shop-01", PowerAction.OFF)
    change.delete(acme.app, UUID(int=2), "shop-01")
    assert acme.held() == {}


def test_a_change_that_a_removal_overtook_adds_nothing_to_the_machines_life(acme: Any) -> None:
    from tierwise.jobs import changes

    row = acme.deliver("shop-01")
    change.delete(acme.app, UUID(int=1), "shop-01")
    with acme.app.session() as session:
        changes.record_power(session, acme.app, "late", row.id, PowerState.OFF)
        changes.record_resized(session, acme.app, "later", row.id, {"vcpu": 9})
        changes.release(session, row.id, {"vcpu": 2})
        changes.record_deleted(session, acme.app, "again", row.id)
        assert changes.hold(session, acme.app, row.id, {}) == {
            "short": ["the machine was removed meanwhile"]
        }
        session.commit()
    assert acme.kinds("shop-01") == ["created", "powered_on", "deleted"]
    assert acme.held() == {}


@pytest.mark.parametrize("wanted", ["nobody", ""])
def test_a_machine_that_is_not_there_is_said_to_be_unknown(acme: Any, wanted: str) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="`tierwise vm list` shows them all"):
        change.delete(acme.app, uuid4(), wanted)
    assert set(acme.machines()) == {"shop-01"}
