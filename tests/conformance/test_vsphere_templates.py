"""The vSphere driver keeps the contract where machines are made of a template."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors.simulators import vsphere
from connectors.simulators.vsphere import USER, Estate, Rule, VsphereSimulator
from tierwise.testing.conformance import ConnectorConformance
from tierwise.testing.promises.templates import GONE

pytestmark = pytest.mark.counterpart("vcsim")

TEMPLATE = "golden"
CHOSEN = {"DEBIAN_12": "debian-12", "ALPINE_3": "images/alpine 3"}
"""Templates that orders choose."""


@pytest.fixture(scope="module")
def simulator(request: pytest.FixtureRequest) -> Iterator[VsphereSimulator]:
    if reason := vsphere.missing():
        pytest.skip(reason)
    binary = vsphere.build(request.config.rootpath / ".build" / "vcsim")
    with VsphereSimulator(binary, Estate(vms=1), task_delay_s=0.02) as running:
        for path in (TEMPLATE, *CHOSEN.values()):
            make_template(running, path)
        yield running


def words(path: str) -> bytes:
    """What stands on a template's disk."""
    return f"installed from {path}".encode()


def make_template(simulator: VsphereSimulator, path: str) -> None:
    """A template with a disk of 1 GiB, by the vendor's own client."""
    from pyVim.connect import Disconnect, SmartConnect
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    host, _, port = simulator.address.partition(":")
    password = simulator.password.get_secret_value()
    raw = SmartConnect(protocol=simulator.scheme, host=host, port=int(port), user=USER, pwd=password)
    try:
        datacenter = raw.content.rootFolder.childEntity[0]
        pool = datacenter.hostFolder.childEntity[0].resourcePool
        folder, _, name = path.rpartition("/")
        home = datacenter.vmFolder.CreateFolder(folder) if folder else datacenter.vmFolder
        config = vim.vm.ConfigSpec(
            name=name,
            guestId="debian10_64Guest",
            numCPUs=1,
            memoryMB=64,
            files=vim.vm.FileInfo(vmPathName="[LocalDS_0]"),
            deviceChange=list(devices(vim.vm.device)),
        )
        task = home.CreateVM_Task(config, pool)
        WaitForTask(task)
        (extent,) = simulator.files.glob(f"*/{name}/*-flat.vmdk")
        with extent.open("r+b") as file:
            file.write(words(path))
        task.info.result.MarkAsTemplate()
    finally:
        Disconnect(raw)


def devices(device: Any) -> Iterator[Any]:
    controller = device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing")
    disk = device.VirtualDisk(key=-2, controllerKey=-1, unitNumber=0, capacityInKB=1 << 20)
    disk.backing = device.VirtualDisk.FlatVer2BackingInfo(
        fileName="", diskMode="persistent", thinProvisioned=True
    )
    yield device.VirtualDeviceSpec(operation="add", device=controller)
    yield device.VirtualDeviceSpec(operation="add", device=disk, fileOperation="create")


class TestVsphereOfATemplate(ConnectorConformance):
    @pytest.fixture
    def endpoint(self, simulator: VsphereSimulator) -> Iterator[Endpoint]:
        named = {**CHOSEN, GONE: "images/none"}
        options = {"template": TEMPLATE, "templates": named, "tags": True}
        yield simulator.endpoint(timeout_s=20, options=options)
        simulator.rules()

    @pytest.fixture
    def templates(self) -> dict[str, bytes]:
        return {name: words(path) for name, path in CHOSEN.items()}

    @pytest.fixture
    def password(self, simulator: VsphereSimulator) -> SecretStr:
        return simulator.password

    def at(self, endpoint: Endpoint, host: str, port: int) -> Endpoint:
        scheme = endpoint.address.partition("://")[0]
        return endpoint.model_copy(update={"address": f"{scheme}://{host}:{port}"})

    @pytest.fixture
    def lose_next_create_reply(self, simulator: VsphereSimulator) -> Callable[[], None]:
        lost = Rule(method="CloneVM_Task", action="reset", after=True, times=1)
        return lambda: simulator.rules(lost)
