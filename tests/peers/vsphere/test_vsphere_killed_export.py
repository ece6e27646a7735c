"""A move goes on where a worker was killed while vCenter gave it a disk: by then vCenter still holds the machine."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import DiskFormat, PowerAction, PowerState, VmSpec
from connectors.registry import connect
from connectors.simulators.vsphere import VsphereSimulator
from tierwise.app import wire
from tierwise.clock import SystemClock
from tierwise.jobs import carrying, steps
from tierwise.jobs.carrying import Carried
from tierwise.store.tables import MoveRow
from tierwise.testing.estate import simulated_acme

pytestmark = pytest.mark.counterpart("vcsim")

LEASE_S = 4


def test_an_export_and_a_start_wait_for_the_lease_that_a_killed_worker_left(
    start: Callable[..., VsphereSimulator], look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = start(lease_timeout_s=LEASE_S)
    monkeypatch.setenv("TIERWISE_TEST_VCENTER", simulator.password.get_secret_value())
    endpoint = simulator.endpoint("fra-vcenter").model_copy(update={"secret": "env:TIERWISE_TEST_VCENTER"})
    identity = uuid4()
    with connect(endpoint, simulator.password) as connector:
        provider = connector.probe().pools[0].provider
        size = Resources(vcpu=1, memory_mib=256, disk_gib=1)
        connector.create_vm(VmSpec(name="db", provider=provider, resources=size), identity)
        (disk,) = connector.details(identity).disks
    at = Carried(
        index=0, size_bytes=disk.size_bytes, source_key=disk.key, target_key="", export_form=DiskFormat.VMDK,
        import_form=DiskFormat.VMDK, verify_form=None,
    )  # fmt: skip
    move = MoveRow(id=str(uuid4()), machine=str(identity))
    app = wire(simulated_acme(tmp_path, {"fra-vcenter": endpoint}), SystemClock())
    try:
        with look(simulator) as raw:
            (machine,) = (one for one in raw.machines() if one.name == "db")
            machine.ExportVm()
        held = steps.call(app, "fra-vcenter", lambda c: c.power(identity, PowerAction.ON))
        assert held["error"]["kind"] == "Conflict"
        assert "TaskInProgress" in held["error"]["message"]
        began = time.monotonic()
        done = carrying.export(app, move, "fra-vcenter", at, lambda *_told: None)
        assert "error" not in done
        assert at.exported(carrying.folder(app, move.id)).path.stat().st_size > 0
        assert time.monotonic() - began > LEASE_S / 4, "else nothing was waited for"
        with connect(endpoint, simulator.password) as connector:
            assert connector.power(identity, PowerAction.ON).power is PowerState.ON
    finally:
        app.close()
