"""Disks of a machine that is there: added and grown, held and billed, and refused before it is tried."""

from typing import Any
from uuid import UUID

import pytest

from connectors.contract import PowerAction
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.errors import EndpointDown, InvalidInput, NoPlace, NotSupported, TierwiseError
from tierwise.usecases import change, disks
from tierwise.usecases.inventory import Drift

XEN = "hosted-xen"


def first_gib(acme: Any) -> int:
    return int(acme.machine("shop-01").resources.disk_gib)


def test_a_disk_is_added_and_grows_at_the_hypervisor_in_the_books_and_in_the_bill(acme: Any) -> None:
    acme.deliver("shop-01")
    first = first_gib(acme)
    disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    assert (acme.disks_gib("shop-01"), acme.machine("shop-01").resources.disk_gib) == (
        {"": first, "data": 5},
        first + 5,
    )
    disks.grow(acme.app, UUID(int=2), "shop-01", "data", 8)
    assert (acme.disks_gib("shop-01"), acme.machine("shop-01").resources.disk_gib) == (
        {"": first, "data": 8},
        first + 8,
    )
    assert acme.rows("SELECT disk_gib FROM machine") == [(first + 8,)]
    assert acme.kinds("shop-01") == ["created", "powered_on", "resized", "resized"]
    assert acme.drift() is Drift.NONE


def test_the_disk_that_a_machine_was_made_with_grows_by_its_key(acme: Any) -> None:
    acme.deliver("shop-01")
    first = first_gib(acme)
    (disk,) = disks.listed(acme.app, "shop-01")
    disks.grow(acme.app, UUID(int=1), "shop-01", disk.key, first + 1)
    assert acme.disks_gib("shop-01") == {"": first + 1}


def test_a_reply_that_was_lost_adds_the_disk_once(acme: Any) -> None:
    acme.deliver("shop-01")
    first = first_gib(acme)
    acme.fault(XEN, "add_disk", FaultKind.LOSE_REPLY)
    disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    assert acme.disks_gib("shop-01") == {"": first, "data": 5}
    assert acme.drift() is Drift.NONE


def test_a_hypervisor_that_does_not_answer_leaves_books_and_room_as_they_were(acme: Any) -> None:
    acme.deliver("shop-01")
    before = acme.rows("SELECT * FROM machine"), acme.held(), acme.kinds("shop-01")
    acme.fault(XEN, "add_disk", FaultKind.UNREACHABLE, times=acme.settings.retries)
    with pytest.raises(EndpointDown, match="shop-01"):
        disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    assert (acme.rows("SELECT * FROM machine"), acme.held(), acme.kinds("shop-01")) == before


def test_a_disk_that_the_pool_has_no_room_for_is_refused_with_what_is_free(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(NoPlace, match="are free"):
        disks.add(acme.app, UUID(int=1), "shop-01", "data", 60_000)
    assert "data" not in acme.disks_gib("shop-01")


def test_a_pool_that_cannot_says_why_and_the_hypervisor_is_not_asked(acme: Any, monkeypatch: Any) -> None:
    from catalog.capabilities import Gap, GapReason

    acme.deliver("shop-01")
    gap = Gap(reason=GapReason.NOT_LICENSED, detail="disks need another licence")
    monkeypatch.setattr("tierwise.usecases.change.gap_of", lambda *_: gap)
    with pytest.raises(NotSupported, match="disk_hotplug is not available") as caught:
        disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    assert "another licence" in str(caught.value.details)
    with pytest.raises(NotSupported, match="grow_disk_hot is not available"):
        disks.grow(acme.app, UUID(int=2), "shop-01", "data", 5)


@pytest.mark.parametrize(
    ("name", "size_gib"),
    [("", 1), ("Data", 1), ("a b", 1), ("-a", 1), ("a/..", 1), ("x" * 21, 1), ("data", 0), ("data", 10**9)],
)
def test_a_name_or_size_that_no_disk_can_have_is_refused_with_what_one_can(
    acme: Any, name: str, size_gib: int
) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="1 to 20 small letters"):
        disks.add(acme.app, UUID(int=1), "shop-01", name, size_gib)


def test_a_disk_that_is_there_or_is_not_there_or_would_shrink_is_told(acme: Any) -> None:
    acme.deliver("shop-01")
    disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    with pytest.raises(InvalidInput, match="has a disk 'data' already; grow it"):
        disks.add(acme.app, UUID(int=2), "shop-01", "data", 5)
    with pytest.raises(InvalidInput, match=r"no disk 'mars'; it has: 'disk-0', 'data'"):
        disks.grow(acme.app, UUID(int=3), "shop-01", "mars", 9)
    with pytest.raises(InvalidInput, match="has 5 GiB and cannot shrink to 4 GiB"):
        disks.grow(acme.app, UUID(int=4), "shop-01", "data", 4)


def test_a_machine_with_snapshots_keeps_its_disks_and_the_books_stay(acme: Any) -> None:
    row = acme.deliver("shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        connector.snapshot(UUID(row.id), "before")
    held = acme.held()
    with pytest.raises(TierwiseError, match="has snapshots"):
        disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    assert acme.held() == held


def test_a_machine_that_is_resized_afterwards_keeps_its_disks(acme: Any) -> None:
    from catalog.resources import Resources

    acme.deliver("shop-01")
    first = acme.machine("shop-01").resources
    disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    change.power(acme.app, UUID(int=2), "shop-01", PowerAction.OFF)
    change.resize(acme.app, UUID(int=3), "shop-01", Resources(vcpu=first.vcpu + 1))
    assert acme.disks_gib("shop-01") == {"": first.disk_gib, "data": 5}
    assert acme.drift() is Drift.NONE
