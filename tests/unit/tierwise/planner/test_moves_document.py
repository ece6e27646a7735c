"""A scenario's moves become waves: each of its moves is ordered, and whoever stays takes its room."""

import json
from collections.abc import Callable

from placement.plan import Limits
from tierwise.planner.moves_document import moves_document
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run
from tierwise.planner.waves import plan
from tierwise.planner.waves_document import read
from tierwise.testing.two_pools import DOCUMENT

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
