"""Moves between hosts: each machine that comes has a host with room for it, and waves make the moves."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from catalog.estates.model import Estate
from placement.plan import Limits
from tierwise.planner.apart import Apart, groups
from tierwise.planner.moves_document import machine_ids, moves_document
from tierwise.planner.moves_hosts import OnHosts, on_hosts
from tierwise.planner.prepare import Prepared, changes_of
from tierwise.planner.run import run
from tierwise.planner.waves import plan
from tierwise.planner.waves_document import read
from tierwise.testing.two_pools import two_pools

Asked = Callable[..., Prepared]
SCENARIOS = """\
scenarios:
  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}
  stay: {changes: [{kind: most_moves, machines: 0}]}
  more: {changes: [{kind: most_moves, machines: 0}, {kind: hosts_bought, pool: Alpha, type: hosts, hosts: 1, certain: true}, {kind: reserve, of: {pools: [Alpha]}, losses: 2}]}
"""
GIB = 1024


def on_their_hosts(estate: Estate) -> Estate:
    """The two pools with a host for each machine: Alpha's on 0, 1 and 2 in turn, Beta's on 0 and 1."""
    machines = [
        one.model_copy(update={"host": f"{one.pool}-{n % (3 if one.pool == 'Alpha' else 2)}"})
        for n, one in enumerate(estate.machines)
    ]
    return estate.model_copy(update={"machines": tuple(machines)})


def made(asked: Asked, estate: Estate, scenario: str = "leave", apart: tuple[str, ...] = ()) -> OnHosts:
    prepared = asked(SCENARIOS, estate=estate)
    found = run(prepared, [scenario], limits=Limits())
    (result,) = found.scenarios
    document = moves_document(prepared, found.today, result)
    world = prepared.changed(changes_of(prepared.scenario(scenario)))
    kept = groups(estate, [Apart.of(text) for text in apart])
    return on_hosts(document, estate, world, result, machine_ids(prepared, result), kept)


def planned(document: dict[str, Any]) -> Any:
    document["windows"] = [{"from": "2027-01-02T00:00:00Z", "to": "2027-01-06T00:00:00Z"}]
    return plan(read(json.dumps(document).encode()))


def test_machines_that_leave_a_pool_get_hosts_with_room_in_the_other(asked: Asked) -> None:
    found = made(asked, on_their_hosts(two_pools()))
    document = found.document
    room = {row["id"]: row["capacity"] for row in document["providers"]}
    # Beta had two hosts, and two are bought: each 16 cores x 2 vCPU and 128 GiB.
    assert {name for name in room if name.startswith("Beta")} == {
        "Beta-0",
        "Beta-1",
        "Beta: small 1",
        "Beta: small 2",
    }
    assert room["Beta: small 1"] == {"vcpu": 32, "memory_mib": 128 * GIB, "disk_gib": 2000}
    after: dict[str, Counter[str]] = defaultdict(Counter)
    for one in document["machines"]:
        after[one["to"]].update(one["resources"])
    assert set(after) <= {name for name in room if name.startswith("Beta")}
    assert all(after[name][k] <= room[name][k] for name in after for k in ("vcpu", "memory_mib"))
    assert document["losses"] == {"Alpha": 1, "Beta": 1}
    whole = planned(document)
    assert whole.left_rows() == []
    assert len(whole.move_rows()) == sum(one["from"] != one["to"] for one in document["machines"]) == 8


def test_machines_that_shall_not_share_a_host_do_not_after_the_moves_nor_on_their_way(asked: Asked) -> None:
    found = made(asked, on_their_hosts(two_pools()), apart=("shop",))
    shop = [one["to"] for one in found.document["machines"] if one.get("application") == "shop"]
    assert len(shop) == len(set(shop)) == 4
    assert found.document["apart"] == {"shop": ["vm-00", "vm-01", "vm-02", "vm-03"]}
    assert planned(found.document).left_rows() == []


def test_who_finds_no_host_of_its_own_stays_and_is_told(asked: Asked) -> None:
    estate = on_their_hosts(two_pools())
    # Beta gets at most four hosts, so the fifth of them has to stay.
    more = [
        one.model_copy(update={"application": "shop"}) if one.name == "vm-04" else one
        for one in estate.machines
    ]
    found = made(asked, estate.model_copy(update={"machines": tuple(more)}), apart=("shop",))
    assert [note for note in found.notes if "no host has room for" in note] == [
        "Beta: no host has room for vm-04; they stay where they are"
    ]
    (stays,) = [
        one
        for one in found.document["machines"]
        if one["from"] == one["to"] and one["from"].startswith("Alpha")
    ]
    assert stays["id"] == "vm-04"


def test_hosts_that_are_given_up_are_emptied_onto_those_that_are_kept(asked: Asked) -> None:
    # Alpha has five hosts: eight machines of 32 GiB need two of them, and one that may fail.
    estate = two_pools()
    more = [estate.hosts[0].model_copy(update={"name": f"Alpha-{n}"}) for n in (3, 4)]
    machines = [
        one.model_copy(update={"host": f"{one.pool}-{n % (5 if one.pool == 'Alpha' else 2)}"})
        for n, one in enumerate(estate.machines)
    ]
    estate = estate.model_copy(update={"hosts": (*estate.hosts, *more), "machines": tuple(machines)})
    found = made(asked, estate, "stay")
    moves = [one for one in found.document["machines"] if one["from"] != one["to"]]
    # Alpha-3 and -4 have one machine each, the others two.
    assert {(one["id"], one["from"], one["mode"]) for one in moves} == {
        ("vm-03", "Alpha-3", "live"), ("vm-04", "Alpha-4", "live"),
    }  # fmt: skip
    assert {one["to"] for one in found.document["machines"][:8]} == {"Alpha-0", "Alpha-1", "Alpha-2"}
    whole = planned(found.document)
    assert {row["provider"] for row in whole.freed_rows()} == {"Alpha-3", "Alpha-4"}
    assert sum(row["gib"] for row in whole.move_rows()) == 0, "hosts of one pool share its disks"


def test_hosts_bought_of_the_kind_of_todays_give_none_of_these_up(asked: Asked) -> None:
    found = made(asked, on_their_hosts(two_pools()), "more")
    assert [row["id"] for row in found.document["providers"] if row["pool"] == "Alpha"][:3] == [
        "Alpha-0",
        "Alpha-1",
        "Alpha-2",
    ]
    assert all(one["from"] == one["to"] for one in found.document["machines"])


def test_a_pool_whose_hosts_are_not_known_stays_one_place(asked: Asked) -> None:
    estate = on_their_hosts(two_pools())
    lost = [one.model_copy(update={"host": ""}) if one.name == "vm-00" else one for one in estate.machines]
    found = made(asked, estate.model_copy(update={"machines": tuple(lost)}))
    assert "Alpha: the host of 1 machine is not known; it is taken as one place" in found.notes
    assert {one["from"] for one in found.document["machines"] if one["id"] < "vm-08"} == {"Alpha"}
    assert planned(found.document).left_rows() == []


@pytest.mark.parametrize("order", [1, -1])
def test_the_hosts_do_not_depend_on_the_order_of_the_estate(asked: Asked, order: int) -> None:
    estate = on_their_hosts(two_pools())
    turned = estate.model_copy(update={"machines": estate.machines[::order]})
    found = {one["id"]: one["to"] for one in made(asked, turned).document["machines"]}
    assert found == {one["id"]: one["to"] for one in made(asked, estate).document["machines"]}
