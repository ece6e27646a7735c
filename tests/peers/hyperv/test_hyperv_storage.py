"""Machines' files moved between folders of a simulated host, read back at the simulator and not by the driver."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.resources import Resources
from connectors import disks
from connectors.contract import Connector, DiskFormat, PowerAction, PowerState, VmSpec, VmView
from connectors.disks import Image
from connectors.drivers.hyperv import dispatcher
from connectors.drivers.hyperv.connector import HypervConnector
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, NotFound, Refused, Unsupported
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
SPEC = VmSpec(name="web-1", provider="HV-SIM-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=1))
STORAGES = "slow=D:\\Machines, fast=E:\\Machines\\, none=no-volume"
ESTATE = Estate(volumes={"D:\\": 1024, "E:\\": 1024}, folder="D:\\Machines")
NEVER_MS = 10**9


def ignore(_done: int) -> None:
    pass


@pytest.fixture
def host(start: Start) -> HypervSimulator:
    return start(ESTATE)


@pytest.fixture
def connector(host: HypervSimulator, connect: Connect) -> Connector:
    """A connector to a host with one machine, which is off."""
    opened = connect(host, storages=STORAGES)
    opened.create_vm(SPEC, IDENTITY)
    return opened


def folders(host: HypervSimulator) -> list[str]:
    """Where the disks are, without the folder of the machine and the name of the file."""
    return [path.partition("\\tierwise-")[0] for path in host.disks()]


def filled(connector: Connector, tmp_path: Path) -> Image:
    """Give the machine's disk some content; it."""
    raw, image = tmp_path / "in.raw", Image(tmp_path / "in.vhdx", DiskFormat.VHDX)
    with raw.open("wb") as file:
        file.truncate(1 << 30)
        file.write(b"what stands on the disk" * 100_000)
    subprocess.run(["qemu-img", "convert", "-O", "vhdx", str(raw), str(image.path)], check=True)
    (disk,) = connector.details(IDENTITY).disks
    with image.path.open("rb") as file:
        connector.import_disk(IDENTITY, disk.key, DiskFormat.VHDX, file, ignore)
    return image


@pytest.mark.parametrize("action", [None, PowerAction.ON, PowerAction.SUSPEND], ids=str)
def test_the_machine_is_as_before_and_all_it_has_is_in_the_other_folder(
    host: HypervSimulator, connector: Connector, action: PowerAction | None
) -> None:
    before = connector.get_vm(IDENTITY)
    for step in {None: [], PowerAction.ON: [action], PowerAction.SUSPEND: [PowerAction.ON, action]}[action]:
        before = connector.power(IDENTITY, step)
    told: list[int] = []
    assert connector.storage_migrate(IDENTITY, "fast", told.append) == before
    assert folders(host) == ["E:\\Machines"]
    assert connector.storage_migrate(IDENTITY, "slow", told.append) == before
    assert folders(host) == ["D:\\Machines"]
    connector.delete_vm(IDENTITY)
    assert host.disks() == []


def test_the_content_goes_along_and_can_be_carried_from_there(
    host: HypervSimulator, connector: Connector, tmp_path: Path
) -> None:
    if reason := disks.missing():
        pytest.skip(reason)
    image = filled(connector, tmp_path)
    connector.storage_migrate(IDENTITY, "fast", ignore)
    (path,) = host.disks()
    disks.must_be_equal(image, Image(host.content(path), DiskFormat.VHDX))
    given = Image(tmp_path / "out.vhdx", DiskFormat.VHDX)
    (disk,) = connector.details(IDENTITY).disks
    with given.path.open("w+b") as file:
        connector.export_disk(IDENTITY, disk.key, DiskFormat.VHDX, file, ignore)
    disks.must_be_equal(image, given)


def test_a_machine_that_was_moved_is_deleted_with_the_folders_that_it_had(
    host: HypervSimulator, connector: Connector, connect: Connect
) -> None:
    connector.storage_migrate(IDENTITY, "fast", ignore)
    connector.delete_vm(IDENTITY)
    assert host.disks() == []
    # The folder of the same identity can be made anew, and holds nothing from before.
    connector.create_vm(SPEC, IDENTITY)
    connector.storage_migrate(IDENTITY, "fast", ignore)
    assert folders(host) == ["E:\\Machines"]


def test_a_storage_that_the_endpoint_does_not_name_is_not_found(connector: Connector) -> None:
    with pytest.raises(NotFound, match="it has fast, none, slow"):
        connector.storage_migrate(IDENTITY, "Fast", ignore)
    with pytest.raises(Refused, match="option 'storages'"):
        connector.storage_migrate(IDENTITY, "none", ignore)


def test_without_storages_the_pool_says_what_is_to_be_set(host: HypervSimulator, connect: Connect) -> None:
    connector = connect(host)
    connector.create_vm(SPEC, IDENTITY)
    gap = connector.probe().pools[0].capabilities.gap(Capability.STORAGE_MIGRATE)
    assert gap is not None
    assert gap.reason is GapReason.NOT_CONFIGURED
    with pytest.raises(Unsupported) as caught:
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert caught.value.gap == gap


def test_where_the_only_storage_is_the_folder_of_new_machines_there_is_no_move_and_the_probe_says_so(
    host: HypervSimulator, connect: Connect
) -> None:
    connector = connect(host, storages="slow=d:\\machines\\, again=D:\\Machines")
    before = connector.create_vm(SPEC, IDENTITY)
    (pool,) = connector.probe().pools
    gap = pool.capabilities.gap(Capability.STORAGE_MIGRATE)
    assert gap is not None
    assert gap.reason is GapReason.NOT_CONFIGURED
    assert gap.detail == (
        f"'{pool.provider}' has no second storage that disks can move to; "
        "name another folder in the endpoint's option 'storages'"
    )
    assert connector.storage_migrate(IDENTITY, "slow", ignore) == before
    with pytest.raises(Unsupported) as caught:
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert caught.value.gap == gap
    elsewhere = connect(host, storages="fast=E:\\Machines")
    assert elsewhere.probe().pools[0].capabilities.has(Capability.STORAGE_MIGRATE)
    assert elsewhere.storage_migrate(IDENTITY, "fast", ignore) == before
    # Back to the one storage that this endpoint names is no move between two of it.
    with pytest.raises(Unsupported):
        connector.storage_migrate(IDENTITY, "slow", ignore)
    assert folders(host) == ["E:\\Machines"]


def test_machines_of_a_cluster_are_moved_between_shared_volumes_only(
    start: Start, connect: Connect
) -> None:
    nodes = start(Estate(host="HV-A", nodes=("HV-B",), cluster="FRA-HV"))
    gap = connect(nodes, storages="s=D:\\M").probe().pools[0].capabilities.gap(Capability.STORAGE_MIGRATE)
    assert gap is not None
    assert "'storages'" in gap.detail
    connector = connect(nodes, storages="two=C:\\ClusterStorage\\Volume2")
    view = connector.create_vm(SPEC.model_copy(update={"provider": "FRA-HV"}), IDENTITY)
    assert connector.storage_migrate(IDENTITY, "two", ignore) == view
    assert folders(nodes) == ["C:\\ClusterStorage\\Volume2"]
    connector.migrate(IDENTITY, "HV-B" if view.host == "HV-A" else "HV-A")
    connector.delete_vm(IDENTITY)
    assert (nodes.disks(), nodes.roles()) == ([], {})


def test_a_storage_without_room_is_refused_with_what_is_missing(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    if reason := disks.missing():
        pytest.skip(reason)
    small = start(Estate(volumes={"E:\\": 0}, folder="D:\\Machines"))
    connector = connect(small, storages=STORAGES)
    connector.create_vm(SPEC, IDENTITY)
    filled(connector, tmp_path)
    with pytest.raises(Refused, match="storage 'fast' has 0 MiB free"):
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert folders(small) == ["D:\\Machines"]


def test_a_machine_with_checkpoints_stays(host: HypervSimulator, connector: Connector) -> None:
    connector.snapshot(IDENTITY, "before")
    with pytest.raises(Conflict, match="checkpoints"):
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert set(folders(host)) == {"D:\\Machines"}


@pytest.mark.parametrize(
    ("error_id", "kind"),
    [("OperationFailed", Refused), ("ObjectInUse", Conflict), ("AccessDenied", Refused)],
)
def test_a_move_that_the_host_refuses_leaves_the_machine_where_it_was(
    host: HypervSimulator, connector: Connector, error_id: str, kind: type[ConnectorError]
) -> None:
    before = connector.get_vm(IDENTITY)
    host.rules(Rule(method="Move-VMStorage", action="error", error_id=error_id))
    with pytest.raises(kind):
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert (connector.get_vm(IDENTITY), folders(host)) == (before, ["D:\\Machines"])


def test_a_lost_answer_is_settled_by_repeating(host: HypervSimulator, connector: Connector) -> None:
    before = connector.get_vm(IDENTITY)
    host.rules(Rule(method="Move-VMStorage", action="reset", after=True, times=1))
    with pytest.raises(ConnectorError):
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert connector.storage_migrate(IDENTITY, "fast", ignore) == before
    assert folders(host) == ["E:\\Machines"]
    assert host.calls()["Move-VMStorage"] == 1


def test_a_move_may_take_longer_than_one_timeout_while_it_comes_further(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    if reason := disks.missing():
        pytest.skip(reason)
    host = start(ESTATE.model_copy(update={"storage_move_ms": 5000}))
    patient = connect(host, storages=STORAGES)
    patient.create_vm(SPEC, IDENTITY)
    filled(patient, tmp_path)
    (path,) = host.disks()
    takes = host.content(path).stat().st_size
    told: list[int] = []
    connect(host, timeout_s=4, storages=STORAGES).storage_migrate(IDENTITY, "fast", told.append)
    assert told == sorted(told)
    assert [done for done in told if 0 < done < takes], "it was looked at on its way"
    assert told[-1] == takes
    assert folders(host) == ["E:\\Machines"]


def test_a_move_that_comes_no_further_is_called_off(start: Start, connect: Connect) -> None:
    host = start(ESTATE.model_copy(update={"storage_move_ms": NEVER_MS}))
    connector = connect(host, storages=STORAGES, timeout_s=3)
    before = connector.create_vm(SPEC, IDENTITY)
    with pytest.raises(DeadlineExceeded):
        connector.storage_migrate(IDENTITY, "fast", ignore)
    assert connector.get_vm(IDENTITY) == before
    assert folders(host) == ["D:\\Machines"]
    connector.delete_vm(IDENTITY)
    assert host.disks() == []


def test_of_workers_at_once_one_moves_the_machine_and_others_are_told(
    start: Start, connect: Connect
) -> None:
    host = start(ESTATE.model_copy(update={"storage_move_ms": 1000}))
    workers = [connect(host, storages=STORAGES) for _ in range(3)]
    view = workers[0].create_vm(SPEC, IDENTITY)

    def move(worker: Connector) -> VmView | str:
        try:
            return worker.storage_migrate(IDENTITY, "fast", ignore)
        except Conflict as error:
            return error.vendor_code

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(move, workers))
    assert view in found
    told = {one for one in found if one != view}
    assert all(str(one).startswith("ObjectInUse,") for one in told), told
    assert folders(host) == ["E:\\Machines"]


def test_a_running_machine_stays_on(host: HypervSimulator, connector: Connector) -> None:
    connector.power(IDENTITY, PowerAction.ON)
    assert connector.storage_migrate(IDENTITY, "fast", ignore).power is PowerState.ON


def test_the_script_moves_files_to_folders_of_ours_only(connector: Connector) -> None:
    assert isinstance(connector, HypervConnector)
    session = connector._session
    assert session is not None
    ours = f"E:\\Machines\\tierwise-{IDENTITY}-1a2b3c4d"
    for folder, disk in (("E:\\Machines", f"{ours}\\disks\\disk.vhdx"), (ours, "E:\\disk.vhdx")):
        where = dict.fromkeys(("VirtualMachinePath", "SnapshotFilePath", "SmartPagingFilePath"), folder)
        moved = {**where, "Vhds": {"From": f"{ours}\\disks\\disk.vhdx", "To": disk}}
        with pytest.raises(PowerShellError, match="not allowed"):
            session.run([Command("Hyper-V\\Move-VMStorage", moved, {})])


def test_the_script_makes_the_table_that_the_cmdlet_takes() -> None:
    script = dispatcher.script()
    assert "@{SourceFilePath=$v.From\nDestinationFilePath=$v.To}" in script
