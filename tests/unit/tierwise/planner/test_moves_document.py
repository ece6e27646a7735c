"""A scenario's moves become waves: each of its moves is ordered, and whoever stays takes its room."""

import json
from collections.abc import Callable

from placement.plan import Limits
from tierwise.planner.moves_document import machine_ids, moves_document
from tierwise.planner.moves_hosts import on_hosts
from tierwise.planner.prepare import Prepared, changes_of
from tierwise.planner.run import run
from tierwise.planner.waves import plan
from tierwise.planner.waves_document import read
from tierwise.testing.two_pools import DOCUMENT, machine, two_pools

SCENARIOS = """\
scenarios:
  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}
"""


def test_every_move_of_a_scenario_is_in_a_wave_and_pools_have_the_room_of_before_and_after(
    asked: Callable[..., Prepared],
) -> None:
    prepared = asked(SCENARIOS)
    found = run(prepared, limits=Limits())
    (leave,) = found.scenarios
    document = moves_document(prepared, found.today, leave)
    assert [one["id"] for one in document["machines"] if one["from"] != one["to"]] == [
        move.name for move in leave.moves
    ]
    assert {one["application"] for one in document["machines"] if "application" in one} == {"shop"}
    alpha, beta = document["providers"]
    # Alpha: 3 hosts of which one may fail; Beta: 4 after two were bought, of which one may fail.
    assert alpha["capacity"]["memory_mib"] == 2 * 128 * 1024
    assert beta["capacity"]["memory_mib"] == 3 * 128 * 1024
    assert document["passes"] == 4
    document["windows"] = [{"from": "2027-01-02T00:00:00Z", "to": "2027-01-04T00:00:00Z"}]
    planned = plan(read(json.dumps(document).encode()))
    assert sorted(row["machine"] for row in planned.move_rows()) == sorted(
        move.name for move in leave.moves
    )


def test_hosts_that_a_scenario_loses_give_no_room_on_the_way(asked: Callable[..., Prepared]) -> None:
    lost = (
        "  lost: {changes: [{kind: host_loss, pool: Alpha, hosts: 2}, {kind: most_moves, machines: 4}]}\n"
    )
    document = DOCUMENT.replace("site: north", "site: north, losses: 0")
    prepared = asked(SCENARIOS + lost, document=document)
    found = run(prepared, ["lost"], limits=Limits())
    (one,) = found.scenarios
    made = moves_document(prepared, found.today, one)
    # One host of 128 GiB is left to Alpha, on which 256 GiB run today: four of its eight machines leave.
    assert made["providers"][0]["capacity"]["memory_mib"] // 1024 == 128
    made["windows"] = [{"from": "2027-01-02T00:00:00Z", "to": "2027-01-04T00:00:00Z"}]
    planned = plan(read(json.dumps(made).encode()))
    assert sorted(row["machine"] for row in planned.move_rows()) == sorted(move.name for move in one.moves)
    assert (len(one.moves), planned.left_rows()) == (4, [])


def test_machines_in_no_pool_come_from_outside_and_take_room_where_they_come_to(
    asked: Callable[..., Prepared],
) -> None:
    estate = two_pools()
    more = (
        machine(30, "", 2, 8, 20),
        machine(31, "", 2, 8, 20, site="east"),
        machine(32, "", 999, 8, 20, site="east"),  # There is no host for so many vCPU.
    )
    estate = estate.model_copy(update={"machines": (*estate.machines, *more)})
    prepared = asked(SCENARIOS, estate=estate)
    found = run(prepared, limits=Limits())
    (leave,) = found.scenarios
    made = moves_document(prepared, found.today, leave)
    ends = {one["id"]: (one["from"], one["to"]) for one in made["machines"]}
    assert len(ends) == len(estate.machines), "every machine of the estate is in it"
    assert ends["vm-30"] == ("no pool", "Beta")
    assert ends["vm-31"] == ("no pool at east", "Beta")
    assert ends["vm-32"] == ("no pool at east", "no pool at east")
    assert [one.names for one in leave.stranded] == [("vm-32",)]
    outside = {one["id"]: one for one in made["providers"] if one.get("outside")}
    assert {name: (one["site"], one["capacity"]["vcpu"]) for name, one in outside.items()} == {
        "no pool": ("unknown", 2),
        "no pool at east": ("east", 1001),
    }
    between_hosts = on_hosts(
        made, estate, prepared.changed(changes_of(prepared.scenario("leave"))), leave, machine_ids(prepared, leave), {}
    )  # fmt: skip
    for document in (made, between_hosts.document):
        document["windows"] = [{"from": "2027-01-02T00:00:00Z", "to": "2027-01-04T00:00:00Z"}]
        planned = plan(read(json.dumps(document).encode()))
        assert sorted(row["machine"] for row in planned.move_rows()) == sorted(
            move.name for move in leave.moves
        )
        assert planned.left_rows() == []
        rows = {row["machine"]: row for row in planned.move_rows()}
        # Half of 20 GiB is in use; 4 passes at 80 MiB/s, and two minutes.
        assert rows["vm-30"]["seconds"] == 10 * 1024 * 4 // 80 + 120
    assert leave.unplaced == 1


def test_a_pool_that_is_called_as_no_pool_is_not_where_machines_in_none_are(
    asked: Callable[..., Prepared],
) -> None:
    text = two_pools().model_dump_json().replace('"Alpha"', '"no pool"')
    estate = type(two_pools()).model_validate_json(text)
    estate = estate.model_copy(update={"machines": (*estate.machines, machine(30, "", 2, 8, 20))})
    prepared = asked(SCENARIOS, estate=estate, document=DOCUMENT.replace("Alpha:", "no pool:"))
    found = run(prepared, limits=Limits())
    made = moves_document(prepared, found.today, found.scenarios[0])
    assert [one["id"] for one in made["providers"]] == ["no pool", "Beta", "(no pool)"]
    read(json.dumps(made).encode())
