"""A removal is done whole or not at all: refused, it leaves the machine as it was; cut off, the next call ends it."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from uuid import UUID

import pytest

from connectors.contract import Connector, NewDisk, PowerAction, PowerState, VmSpec
from connectors.errors import Conflict, ConnectorError, Refused
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start
from tests.peers.hyperv.test_hyperv_cluster import ESTATE, SPEC

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
OTHER = UUID("5f1d3a52-2f5c-4b0e-8a55-5a1c8a3f9e02")
PLACES = {
    "where new machines go": {"folder": "D:\\Machines"},
    "in a storage": {"folder": "C:\\New", "storages": "old=D:\\Machines, new=C:\\New"},
    "where nothing tells of it": {"folder": "C:\\New"},
}
"""The options with which a machine in D:\\Machines is removed."""


def left(simulator: HypervSimulator) -> list[str]:
    """All machines, files and folders of the identity."""
    machines = [vm_id for ids in simulator.machines().values() for vm_id in ids]
    files = [path for path in simulator.disks() + simulator.folders() if str(IDENTITY) in path]
    return machines + files


def made(connector: Connector, spec: VmSpec, action: PowerAction | None = None) -> None:
    """A machine with a second disk and a checkpoint, in the state that the action leads to."""
    connector.create_vm(spec, IDENTITY)
    connector.add_disk(IDENTITY, NewDisk(name="data", size_gib=1))
    connector.snapshot(IDENTITY, "before")
    for step in {None: [], PowerAction.SUSPEND: [PowerAction.ON, action]}.get(action, [action]):
        assert step is not None
        connector.power(IDENTITY, step)


@pytest.mark.parametrize("options", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("action", [None, PowerAction.ON, PowerAction.SUSPEND], ids=str)
def test_a_machine_that_may_not_be_removed_keeps_its_disks_checkpoints_and_memory(
    simulator: HypervSimulator,
    connect: Connect,
    spec: VmSpec,
    options: dict[str, str],
    action: PowerAction | None,
) -> None:
    made(connect(simulator, folder="D:\\Machines"), spec, action)
    connector = connect(simulator, **options)
    before, disks, details = connector.get_vm(IDENTITY), simulator.disks(), connector.details(IDENTITY)
    simulator.rules(Rule(method="Remove-VM", action="error", error_id="AccessDenied"))
    with pytest.raises(Refused, match="Hyper-V Administrators"):
        connector.delete_vm(IDENTITY)
    power = PowerState.OFF if action is PowerAction.ON else before.power
    assert connector.get_vm(IDENTITY) == before.model_copy(update={"power": power})
    assert connector.details(IDENTITY) == details
    assert set(disks) <= set(simulator.disks())
    assert [one.name for one in connector.list_snapshots(IDENTITY)] == ["before"]
    simulator.rules()
    assert connector.power(IDENTITY, PowerAction.ON).power is PowerState.ON
    connector.delete_vm(IDENTITY)
    assert left(simulator) == []


@pytest.mark.parametrize("refused", ["Remove-ClusterGroup", "Remove-VM"])
def test_a_machine_that_may_not_be_removed_keeps_its_role_and_disks(
    start: Start, connect: Connect, refused: str
) -> None:
    nodes = start(ESTATE)
    connector = connect(nodes)
    before = connector.create_vm(SPEC, IDENTITY)
    there = nodes.roles(), nodes.disks()
    nodes.rules(Rule(method=refused, action="error", error_id="AccessDenied"))
    with pytest.raises(Refused):
        connector.delete_vm(IDENTITY)
    assert (nodes.roles(), nodes.disks()) == there
    assert connector.get_vm(IDENTITY) == before
    nodes.rules()
    connector.delete_vm(IDENTITY)
    assert (left(nodes), nodes.roles()) == ([], {})


@pytest.mark.parametrize("folder", ["C:\\New", "D:\\Machines"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "cmdlet", ["Get-VM", "New-Folder", "Write-Chunk", "Stop-VM", "Remove-VM", "Remove-Item"]
)
def test_what_ends_at_any_cmdlet_is_ended_by_the_next_call(
    simulator: HypervSimulator,
    connect: Connect,
    spec: VmSpec,
    folder: str,
    cmdlet: str,
    after: bool,
) -> None:
    connector = connect(simulator, folder="D:\\Machines")
    made(connector, spec, PowerAction.ON)
    other = connector.create_vm(spec.model_copy(update={"name": "other"}), OTHER)
    kept = [path for path in simulator.disks() if str(OTHER) in path]
    whole = simulator.disks()
    removing = connect(simulator, folder=folder)
    # The second call too: the first Get-VM lists, and the first Remove-Item is another folder's.
    for skip in (0, 1):
        simulator.rules(
            Rule(method=cmdlet, action="error", error_id="OperationFailed", after=after, times=1, skip=skip)
        )
        with suppress(ConnectorError):
            removing.delete_vm(IDENTITY)
        (there,) = simulator.machines().values()
        assert there == [other.native_id] or set(whole) <= set(simulator.disks())
    simulator.rules()
    removing.delete_vm(IDENTITY)
    assert left(simulator) == [other.native_id]
    assert simulator.disks() == kept
    assert connector.get_vm(OTHER) == other


KILLED = """
import os, signal, sys
from uuid import UUID
from pydantic import SecretStr
from catalog.pools import Endpoint
from connectors import registry
from connectors.drivers.hyperv.session import Session

run, left = Session.run, [int(sys.argv[2])]

def watched(self, *requests):
    left[0] -= 1
    if left[0] == 0 and sys.argv[3] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = run(self, *requests)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

endpoint = Endpoint.model_validate_json(sys.argv[1])
connector = registry.connect(endpoint, SecretStr(os.environ["PASSWORD"]))
connector.open()
connector.probe()
Session.run = watched
connector.delete_vm(UUID(sys.argv[4]))
"""


@pytest.mark.parametrize("options", PLACES.values(), ids=PLACES)
def test_a_removal_whose_worker_is_killed_at_any_request_is_ended_by_the_next(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec, options: dict[str, str]
) -> None:
    endpoint = simulator.endpoint(options=dict(options))
    environment = {**os.environ, "PASSWORD": simulator.password.get_secret_value()}
    at, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        at += 1
        for when in ("before", "after"):
            made(connect(simulator, folder="D:\\Machines"), spec, PowerAction.ON)
            whole = simulator.disks()
            arguments = [endpoint.model_dump_json(), str(at), when, str(IDENTITY)]
            ended = subprocess.run(
                [sys.executable, "-c", KILLED, *arguments], env=environment, check=False
            ).returncode
            assert ended in {0, -signal.SIGKILL}
            (there,) = simulator.machines().values()
            assert not there or set(whole) <= set(simulator.disks())
            connect(simulator, **options).delete_vm(IDENTITY)
            assert left(simulator) == []
            simulator.restart()  # of each worker that was killed a shell is left
    assert at > 3


def test_files_that_windows_merges_after_the_machine_are_waited_for(
    start: Start, connect: Connect, spec: VmSpec
) -> None:
    simulator = start(Estate(merge_ms=1500))
    connector = connect(simulator)
    made(connector, spec)
    connector.delete_vm(IDENTITY)
    assert left(simulator) == []


def test_files_that_are_merged_for_longer_are_a_conflict_and_go_with_the_next_call(
    start: Start, connect: Connect, spec: VmSpec
) -> None:
    simulator = start(Estate(merge_ms=4000))
    made(connect(simulator, folder="D:\\Machines"), spec)
    with pytest.raises(Conflict, match="repeat"):
        connect(simulator, timeout_s=2, folder="C:\\New").delete_vm(IDENTITY)
    assert simulator.machines() == {"HV-SIM-1": []}
    connect(simulator, folder="C:\\New").delete_vm(IDENTITY)
    assert left(simulator) == []


def test_a_note_that_somebody_damaged_holds_nothing_up(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec
) -> None:
    made(connect(simulator, folder="D:\\Machines"), spec)
    connector = connect(simulator, folder="C:\\New")
    simulator.rules(Rule(method="Remove-VM", action="error", error_id="AccessDenied"))
    with pytest.raises(Refused):
        connector.delete_vm(IDENTITY)
    (note,) = [path for path in simulator.disks() if path.startswith("C:\\New")]
    simulator.content(note).write_bytes(b"{]\n")
    simulator.rules()
    connector.delete_vm(IDENTITY)
    assert left(simulator) == []
