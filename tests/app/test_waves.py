"""Waves beside a running estate: what its hypervisors block is left out, and the rest is moved and undone as planned."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from catalog.resources import ResourceClass
from connectors.contract import PowerAction, PowerState
from tierwise.planner.waves import plan
from tierwise.planner.waves_document import Asked, load
from tierwise.usecases import change, move

XEN, HYPERV = "hosted-xen", "fra-hyperv"
SOURCE, TARGET = "hosted-nl", "fra-test-1"
NAMES = ("shop-01", "shop-02", "shop-03")


def asked(acme: Any, folder: Path) -> Asked:
    """The three machines, and one that nobody knows, from the hosted pool to our own Hyper-V."""
    room = dict.fromkeys((rc.value for rc in ResourceClass), 10**6)
    size = dict(acme.machine("shop-01").resources.as_mapping())
    where = {"from": SOURCE, "to": TARGET}
    document = {
        "format": "tierwise-moves/1",
        "resource_classes": list(room),
        "providers": [
            {"id": SOURCE, "site": "ams", "endpoint": XEN, "capacity": room},
            {"id": TARGET, "site": "fra", "endpoint": HYPERV, "capacity": room},
        ],
        "links": [{"between": ["ams", "fra"], "mib_s": 80}],
        "machines": [{"id": name, "resources": size, **where} for name in (*NAMES, "ghost")],
        "windows": [{"from": "2027-01-09T22:00:00Z", "to": "2027-01-10T06:00:00Z"}],
    }
    file = folder / "moves.json"
    file.write_text(json.dumps(document))
    return load(file)


def test_blocked_machines_are_named_before_a_wave_begins_and_the_others_go_and_come_back(
    acme: Any, tmp_path: Path
) -> None:
    for name in NAMES:
        acme.deliver(name)
    change.power(acme.app, UUID(int=9), "shop-02", PowerAction.SUSPEND)
    planned = plan(asked(acme, tmp_path), app=acme.app)
    why = {row["machine"]: row["why"] for row in planned.left_rows()}
    assert why.keys() == {"shop-02", "ghost"}
    assert "it is suspended" in why["shop-02"]
    assert "ghost" in why["ghost"]
    (wave,) = planned.plan.waves
    assert [planned.machine(made.step) for made in wave.moves] == ["shop-01", "shop-03"]
    for n, made in enumerate(wave.moves):
        checked = move.preflight(acme.app, planned.machine(made.step), planned.pool(made.step.target))
        assert checked.blocked == ()
        move.finish(
            move.start(UUID(int=n + 1), checked).get_result(polling_interval_sec=0.05), checked.machine
        )
    on = {name: {end for end, vm in acme.machines()[name] if vm.power is PowerState.ON} for name in NAMES}
    assert on == {"shop-01": {HYPERV}, "shop-02": set(), "shop-03": {HYPERV}}
    for n, step in enumerate(wave.undo):
        move.undo(acme.app, UUID(int=n + 11), planned.machine(step))
    on = {name: {end for end, vm in acme.machines()[name] if vm.power is PowerState.ON} for name in NAMES}
    assert on == {"shop-01": {XEN}, "shop-02": set(), "shop-03": {XEN}}
