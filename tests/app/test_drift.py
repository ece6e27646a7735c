"""What the hypervisors show that is not in the books, and what the books hold that is not there."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState, VmSpec
from connectors.drivers.simulated import control
from connectors.drivers.simulated.driver import Simulated
from connectors.drivers.simulated.faults import FaultKind
from connectors.errors import NotFound
from connectors.registry import connect
from tierwise.errors import TierwiseError
from tierwise.store.views import EndpointView
from tierwise.usecases import change, tagging
from tierwise.usecases.doctor import examine
from tierwise.usecases.inventory import Drift, inventory
from tierwise.usecases.observe import observe
from tierwise.usecases.place import estate as as_planned

XEN = "hosted-xen"
VCENTER = "fra-vcenter"


def drift(acme: Any) -> dict[str, Drift]:
    observe(acme.app)
    return {machine.name: machine.drift for machine in inventory(acme.app).machines}


def said(acme: Any) -> list[str]:
    """What `doctor` finds of the machine, and what to do."""
    return [found.text for found in examine(acme.settings) if found.subject == "machine shop-01"]


def test_machines_as_they_were_delivered_show_no_drift(acme: Any) -> None:
    acme.submit(acme.order("shop-01"), acme.order("sap-01", "sap-app", tenant="finance-apps"))
    assert drift(acme) == {"shop-01": Drift.NONE, "sap-01": Drift.NONE}


def test_a_machine_changed_behind_our_back_is_shown_as_changed(acme: Any) -> None:
    row = acme.deliver("shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        connector.power(UUID(row.id), PowerAction.OFF)
    assert drift(acme) == {"shop-01": Drift.CHANGED}
    with connect(acme.endpoint(XEN)) as connector:
        connector.power(UUID(row.id), PowerAction.ON)
        assert drift(acme) == {"shop-01": Drift.NONE}
        connector.resize(UUID(row.id), Resources(vcpu=4, memory_mib=4096, disk_gib=40))
    assert drift(acme) == {"shop-01": Drift.CHANGED}
    (shown,) = inventory(acme.app).machines
    assert shown.resources.vcpu == 4, "the inventory shows what there is, not what was ordered"
    assert shown.differs == ("vcpu is 4, was 2",)
    (found,) = said(acme)
    assert "vcpu is 4, was 2" in found
    assert "`tierwise vm resize shop-01`, with its whole size, sets that" in found
    assert "vm power" not in found
    change.resize(acme.app, UUID(int=1), "shop-01", Resources(vcpu=4))
    assert (said(acme), acme.kinds("shop-01")) == ([], ["created", "powered_on", "resized"])
    with connect(acme.endpoint(XEN)) as connector:
        connector.power(UUID(row.id), PowerAction.OFF)
        assert drift(acme) == {"shop-01": Drift.CHANGED}
        (found,) = said(acme)
        assert "`tierwise vm power shop-01` sets its power" in found
        change.power(acme.app, UUID(int=2), "shop-01", PowerAction.ON)
        assert connector.get_vm(UUID(row.id)).power is PowerState.ON
    assert said(acme) == []


def test_a_machine_renamed_or_brought_to_another_pool_behind_our_back_is_shown_as_changed(
    acme: Any,
) -> None:
    row = acme.deliver("shop-01", tier="tier-1")
    with connect(acme.endpoint(VCENTER)) as connector:
        before = connector.get_vm(UUID(row.id))
        there = next(p.provider for p in connector.probe().pools if p.provider != before.provider)
        same = before.model_dump(include={"resources", "annotations"})
        connector.delete_vm(UUID(row.id))
        connector.create_vm(VmSpec(name="renamed", provider=there, **same), UUID(row.id))
        connector.power(UUID(row.id), PowerAction.ON)
    assert drift(acme) == {"shop-01": Drift.CHANGED}
    (shown,) = inventory(acme.app).machines
    assert shown.differs == (
        "name is renamed, was shop-01",
        f"provider is {there}, was {before.provider}",
    )
    (found,) = said(acme)
    assert "give it back its name at its hypervisor" in found
    assert "bring it back at its hypervisor" in found
    with connect(acme.endpoint(VCENTER)) as connector:
        connector.delete_vm(UUID(row.id))
        connector.create_vm(VmSpec(name="shop-01", provider=before.provider, **same), UUID(row.id))
        connector.power(UUID(row.id), PowerAction.ON)
    assert said(acme) == []


def test_tags_that_others_set_are_told_with_what_makes_them_right(acme: Any) -> None:
    row = acme.deliver("shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        connector.tag(UUID(row.id), {"env": "theirs"})
    (found,) = said(acme)
    assert "something else stands on it" in found
    assert "`tierwise vm tag shop-01` shows its tags" in found
    tagging.tag(acme.app, UUID(int=1), "shop-01", {"tier": "gold"})
    assert said(acme) == [], "all that stands there is taken as right"
    assert tagging.tags(acme.app, "shop-01")["env"] == "theirs"


def test_a_machine_removed_behind_our_back_is_gone_and_one_not_seen_for_long_is_not(acme: Any) -> None:
    row = acme.deliver("shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        connector.delete_vm(UUID(row.id))
    acme.fault(XEN, "probe", FaultKind.UNREACHABLE)
    # The last look at the endpoint was before the machine was made: it is not known to be gone.
    assert drift(acme) == {"shop-01": Drift.UNSEEN}
    assert drift(acme) == {"shop-01": Drift.GONE}
    (found,) = said(acme)
    assert "gone from its endpoint" in found
    assert "charged until `tierwise vm delete shop-01`" in found
    change.delete(acme.app, UUID(int=1), "shop-01")
    assert (said(acme), acme.kinds("shop-01")[-1]) == ([], "deleted")


def test_a_delete_that_does_not_find_something_else_than_the_machine_leaves_it_in_the_books(
    acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the machine's volume, or a part of it, is not found."""
    acme.deliver("shop-01")

    def lost(connector: Simulated, _identity: UUID) -> None:
        raise NotFound(
            connector.endpoint.name, "delete_vm", "its volume is not there", hint="bring it back"
        )

    with monkeypatch.context() as patch:
        patch.setattr(Simulated, "delete_vm", lost)
        with pytest.raises(TierwiseError, match="its volume is not there"):
            change.delete(acme.app, UUID(int=1), "shop-01")
    assert drift(acme) == {"shop-01": Drift.NONE}
    assert acme.kinds("shop-01") == ["created", "powered_on"]
    change.delete(acme.app, UUID(int=2), "shop-01")
    assert (said(acme), acme.kinds("shop-01")[-1]) == ([], "deleted")


def test_what_was_done_after_the_look_began_is_no_drift(acme: Any) -> None:
    """As where `vm list` in one process looks while another delivers, switches off and removes machines."""

    def found(seen: Mapping[str, EndpointView]) -> dict[str, Drift]:
        return {machine.name: machine.drift for machine in inventory(acme.app, seen).machines}

    first = acme.deliver("shop-01")
    acme.deliver("shop-02")
    acme.clock.advance(timedelta(seconds=1))
    seen = observe(acme.app)
    acme.clock.advance(timedelta(seconds=1))
    acme.deliver("shop-03")
    change.power(acme.app, UUID(int=1), "shop-01", PowerAction.OFF)
    change.delete(acme.app, UUID(int=2), "shop-02")
    assert found(seen) == {"shop-01": Drift.NONE, "shop-03": Drift.UNSEEN}
    acme.clock.advance(timedelta(seconds=1))
    assert found(observe(acme.app)) == {"shop-01": Drift.NONE, "shop-03": Drift.NONE}
    with connect(acme.endpoint(XEN)) as connector:
        connector.power(UUID(first.id), PowerAction.ON)
    assert found(observe(acme.app))["shop-01"] is Drift.CHANGED


def test_a_look_that_began_before_another_one_does_not_replace_it(acme: Any) -> None:
    row = acme.deliver("shop-01")
    looks = len(acme.calls(XEN, "list_vms"))
    acme.fault(VCENTER, "probe", FaultKind.DELAY, delay_ms=2000)
    with ThreadPoolExecutor(1) as thread, connect(acme.endpoint(XEN)) as connector:
        slow = thread.submit(observe, acme.app)
        while len(acme.calls(XEN, "list_vms")) == looks:
            time.sleep(0.01)
        acme.clock.advance(timedelta(seconds=1))
        connector.power(UUID(row.id), PowerAction.OFF)
        observe(acme.app, XEN)
        (shown,) = inventory(acme.app, slow.result()).machines
    assert (shown.power, shown.drift) == (PowerState.OFF, Drift.CHANGED)


def test_a_machine_that_came_back_after_its_removal_is_left_over(acme: Any) -> None:
    row = acme.deliver("shop-01")
    change.delete(acme.app, UUID(int=1), "shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        size = Resources(vcpu=2, memory_mib=4096, disk_gib=40)
        connector.create_vm(VmSpec(name="shop-01", provider="hosted-nl", resources=size), UUID(row.id))
    assert drift(acme) == {"shop-01": Drift.LEFT_OVER}
    assert "nobody is charged for it" in said(acme)[0]


def test_machines_of_others_are_unknown_and_the_room_they_take_is_not_given_away(estate: Any) -> None:
    with estate(hosts=1, host_vcpu=16, host_memory_mib=65536, disk_gib=100).running() as acme:
        foreign = Resources(vcpu=2, memory_mib=60000, disk_gib=30)
        spec = VmSpec(name="theirs", provider="hosted-nl", resources=foreign)
        control.plant(acme.address(XEN), spec, power=PowerState.ON)
        rows = acme.submit(*(acme.order(f"shop-{n}", tier="tier-3") for n in range(2)))
        # 65536 - 60000 MiB hold one machine of 4096 MiB, 100 - 30 GiB one disk of 40 GiB.
        assert sorted(row.status for row in rows) == ["delivered", "refused"]
        assert as_planned(acme.app).allocated["hosted-nl"] == foreign + Resources(
            vcpu=2, memory_mib=4096, disk_gib=40
        )
        assert drift(acme)["theirs"] is Drift.UNKNOWN
        (theirs,) = [m for m in inventory(acme.app).machines if m.name == "theirs"]
        assert (theirs.tenant, theirs.pool, theirs.tier) == ("", "hosted-nl", "tier-3")


def test_an_endpoint_that_is_down_keeps_its_last_view_and_says_how_old_it_is(acme: Any) -> None:
    acme.deliver("shop-01")
    observe(acme.app)
    acme.fault(XEN, "probe", FaultKind.UNREACHABLE)
    assert drift(acme) == {"shop-01": Drift.NONE}
    assert inventory(acme.app).stale[XEN].startswith("last seen less than a minute ago, probe at endpoint")
    acme.clock.advance(timedelta(minutes=90))
    acme.fault(XEN, "probe", FaultKind.UNREACHABLE)
    assert drift(acme) == {"shop-01": Drift.NONE}
    assert inventory(acme.app).stale[XEN].startswith("last seen 90 min ago, probe at endpoint 'hosted-xen'")
