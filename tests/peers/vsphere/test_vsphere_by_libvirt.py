"""What the driver did, read back by libvirt's own driver for vCenter: another client, in another language."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from connectors import registry
from connectors.contract import PowerAction, VmSpec
from connectors.simulators.vsphere import USER, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Virsh = Callable[..., list[str]]


@pytest.fixture
def virsh(simulator: VsphereSimulator, tmp_path: Path) -> Virsh:
    """Runs a command of virsh at a host of the cluster, and gives the words of its answer."""
    if shutil.which("virsh") is None:
        pytest.skip("virsh is not installed; apt-get install libvirt-clients")
    if "ESX" not in subprocess.run(["virsh", "-V"], check=True, capture_output=True, text=True).stdout:
        pytest.skip("this libvirt was built without its driver for vCenter")
    login = tmp_path / "auth.conf"
    login.touch(0o600)
    password = simulator.password.get_secret_value()
    login.write_text(
        f"[credentials-vc]\nusername={USER}\npassword={password}\n\n[auth-esx-127.0.0.1]\ncredentials=vc\n"
    )

    def run(host: str, *command: str) -> list[str]:
        address = f"vpx://{USER}@{simulator.address}/DC0/DC0_C0/{host}?transport=http"
        done = subprocess.run(
            ["virsh", "-q", "-c", address, *command],
            env={**os.environ, "LIBVIRT_AUTH_FILE": str(login)},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.split()

    return run


def test_libvirt_sees_each_step_of_a_machines_life(
    simulator: VsphereSimulator, virsh: Virsh, spec: VmSpec
) -> None:
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        here = connector.create_vm(spec, identity).host
        assert here is not None
        assert virsh(here, "domuuid", "web") == [str(identity)]
        assert virsh(here, "domstate", "web") == ["shut", "off"]
        connector.power(identity, PowerAction.ON)
        assert virsh(here, "domstate", "web") == ["running"]
        connector.snapshot(identity, "before")
        assert virsh(here, "snapshot-list", "web", "--name") == ["before"]
        there = next(f"DC0_C0_H{n}" for n in range(3) if f"DC0_C0_H{n}" != here)
        connector.migrate(identity, there)
        assert "web" not in virsh(here, "list", "--all", "--name")
        assert virsh(there, "domstate", "web") == ["running"]
        connector.power(identity, PowerAction.SUSPEND)
        assert virsh(there, "domstate", "web") == ["paused"]
        connector.delete_vm(identity)
        assert "web" not in virsh(there, "list", "--all", "--name")


def test_the_driver_sees_what_libvirt_does(simulator: VsphereSimulator, virsh: Virsh, spec: VmSpec) -> None:
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        view = connector.create_vm(spec, identity)
        cursor = connector.changes().cursor
        virsh(view.host or "", "start", "web")
        (changed,) = connector.changes(cursor).vms
        assert changed == connector.get_vm(identity)
        assert changed.power.value == "on"
