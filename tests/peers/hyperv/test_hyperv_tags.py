"""A machine's tags in the notes that Hyper-V Manager shows, beside what others write there."""

from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import PowerAction, VmSpec
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.connector import HypervConnector
from connectors.drivers.hyperv.dispatcher import Command
from connectors.simulators.hyperv import HypervSimulator
from tests.peers.hyperv.conftest import Connect

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
SPEC = VmSpec(
    name="web-1",
    provider="HV-SIM-1",
    resources=Resources(vcpu=1, memory_mib=512, disk_gib=1),
    annotations={"tierwise.tenant": "sales"},
)


@pytest.mark.counterpart("hyperv-sim")
@pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
def test_tags_are_written_into_our_line_of_the_notes_also_while_the_machine_runs(
    simulator: HypervSimulator, connect: Connect, *, on: bool
) -> None:
    connector = connect(simulator)
    assert isinstance(connector, HypervConnector)
    connector.create_vm(SPEC, IDENTITY)
    if on:
        connector.power(IDENTITY, PowerAction.ON)
    wanted = {"tierwise.tenant": "sales", "env": "prod"}
    assert connector.tag(IDENTITY, {"env": "prod"}).annotations == wanted
    assert connector.tags(IDENTITY) == wanted
    session = connector._session
    assert session is not None
    ((rows,),) = session.run([Command("Hyper-V\\Get-VM", select=("Notes",))])
    assert marks.notes(IDENTITY, wanted) == rows[0]["Notes"]
    before = simulator.calls()
    connector.tag(IDENTITY, {"env": "prod"})
    assert simulator.calls().get("Set-VM") == before.get("Set-VM"), "all is so already"


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_what_others_write_around_our_line_stays_as_it_is(end: str) -> None:
    ours = marks.notes(IDENTITY, {"env": "test"}).replace("\n", end)
    text = f"<Env>Lab</Env>{end}{ours}backup: daily{end}"
    after = marks.noted_anew(text, IDENTITY, {"env": "prod"})
    assert after == text.replace('"env": "test"', '"env": "prod"')
    path = f"C:\\VMs\\{marks.folder_name(IDENTITY, '0a1b2c3d')}"
    found = marks.read(after, path)
    assert found is not None
    assert found.annotations == {"env": "prod"}
