"""The vSphere driver keeps the contract where machines are made of a template."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors.simulators import vsphere
from connectors.simulators.vsphere import USER, Estate, Rule, VsphereSimulator
from tierwise.testing.conformance import ConnectorConformance

pytestmark = pytest.mark.counterpart("vcsim")

TEMPLATE = "golden"


@pytest.fixture(scope="module")
def simulator(request: pytest.FixtureRequest) -> Iterator[VsphereSimulator]:
    if reason := vsphere.missing():
        pytest.skip(reason)
    binary = vsphere.build(request.config.rootpath / ".build" / "vcsim")
    with VsphereSimulator(binary, Estate(vms=1), task_delay_s=0.02) as running:
        make_template(running)
        yield running


def make_template(simulator: VsphereSimulator) -> None:
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
        config = vim.vm.ConfigSpec(
            name=TEMPLATE,
            guestId="debian10_64Guest",
            numCPUs=1,
            memoryMB=64,
            files=vim.vm.FileInfo(vmPathName="[LocalDS_0]"),
            deviceChange=list(devices(vim.vm.device)),
        )
        task = datacenter.vmFolder.CreateVM_Task(config, pool)
        WaitForTask(task)
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
        yield simulator.endpoint(timeout_s=20, options={"template": TEMPLATE})
        simulator.rules()

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
