"""A scenario's moves become waves: each of its moves is ordered, and whoever stays takes its room."""

import json
from collections.abc import Callable

from placement.plan import Limits
from tierwise.planner.moves_document import moves_document
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run
from tierwise.planner.waves import plan
from tierwise.planner.waves_document import read

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
