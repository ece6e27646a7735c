"""Machines' files moved between datastores, read back by pyvmomi and by qemu-img from the datastores' folders."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from connectors import registry
from connectors.contract import Connector, DiskFormat, PowerAction, PowerState, VmSpec
from connectors.drivers.vsphere.inventory import Provider, storage_migrate
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, NotFound, Refused, Unsupported
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tierwise.testing.promises.disks import written_disk

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]

ESTATE = Estate(vms=1, datastores=2)
HERE, THERE = "LocalDS_0", "LocalDS_1"


def nothing(_done: int) -> None:
    pass


def connected(simulator: VsphereSimulator, timeout_s: float = 10) -> Connector:
    endpoint = simulator.endpoint(timeout_s=timeout_s, options={"datastore": HERE})
    return registry.connect(endpoint, simulator.password)


@pytest.fixture
def simulator(start: Start) -> VsphereSimulator:
    return start(ESTATE)


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    with connected(simulator) as opened:
        yield opened


@pytest.fixture
def identity(connector: Connector, spec: VmSpec) -> UUID:
    made = uuid4()
    connector.create_vm(spec, made)
    return made


def files(simulator: VsphereSimulator, store: str, name: str = "web") -> set[str]:
    """The kinds of files of a machine on a datastore."""
    found = simulator.files.glob(f"*-{store}-*/{name}/*")
    return {path.name.removeprefix(name) for path in found}


@pytest.mark.parametrize("action", [None, PowerAction.ON, PowerAction.SUSPEND], ids=str)
def test_all_files_of_the_machine_are_where_the_vendors_client_sees_them(
    simulator: VsphereSimulator,
    connector: Connector,
    identity: UUID,
    look: Look,
    action: PowerAction | None,
) -> None:
    view = connector.get_vm(identity)
    for step in {None: [], PowerAction.ON: [action], PowerAction.SUSPEND: [PowerAction.ON, action]}[action]:
        view = connector.power(identity, step)
    before = files(simulator, HERE)
    told: list[int] = []
    assert connector.storage_migrate(identity, THERE, told.append) == view
    assert told[-1] == view.resources.disk_gib << 30
    with look(simulator) as raw:
        (machine,) = raw.of(identity)
        assert [store.name for store in machine.datastore] == [THERE]
        assert machine.config.files.vmPathName == f"[{THERE}] web/web.vmx"
        disks = [device for device in machine.config.hardware.device if hasattr(device, "capacityInKB")]
        assert [disk.backing.fileName for disk in disks] == [f"[{THERE}] web/web.vmdk"]
    assert (files(simulator, HERE), files(simulator, THERE)) == (set(), before)
    connector.storage_migrate(identity, THERE, nothing)
    assert simulator.calls()["RelocateVM_Task"] == 1, "it is there already"
    connector.delete_vm(identity)
    assert files(simulator, THERE) == set()


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_the_content_goes_along(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec, tmp_path: Path
) -> None:
    identity = uuid4()
    resources = spec.resources.model_copy(update={"disk_gib": 1})
    connector.create_vm(spec.model_copy(update={"resources": resources}), identity)
    image = tmp_path / "in.vmdk"
    wanted = written_disk(image, DiskFormat.VMDK, 1 << 30, seed=5)
    (disk,) = connector.details(identity).disks
    with image.open("rb") as file:
        connector.import_disk(identity, disk.key, DiskFormat.VMDK, file, nothing)
    connector.storage_migrate(identity, THERE, nothing)
    (found,) = simulator.files.glob(f"*-{THERE}-*/web/web.vmdk")
    raw = tmp_path / "out"
    command = ["qemu-img", "convert", "-f", "vmdk", "-O", "raw", str(found), str(raw)]
    subprocess.run(command, check=True, capture_output=True)
    with raw.open("rb") as got, wanted.path.open("rb") as sent:
        assert hashlib.file_digest(got, "sha256").digest() == hashlib.file_digest(sent, "sha256").digest()


def test_a_datastore_that_the_cluster_does_not_have_is_not_found(
    simulator: VsphereSimulator, connector: Connector, identity: UUID
) -> None:
    with pytest.raises(NotFound, match=f"it has {HERE}, {THERE}"):
        connector.storage_migrate(identity, "fast", nothing)
    assert "RelocateVM_Task" not in simulator.calls()


def test_a_datastore_that_the_machines_host_does_not_mount_is_refused(
    simulator: VsphereSimulator, connector: Connector, identity: UUID, look: Look, tmp_path: Path
) -> None:
    here = connector.get_vm(identity).host
    with look(simulator) as raw:
        cluster = next(c for c in raw.clusters() if c.name == "DC0_C0")
        other = next(host for host in cluster.host if host.name != here)
        other.configManager.datastoreSystem.CreateLocalDatastore(name="theirs", path=str(tmp_path))
    with pytest.raises(Refused, match="does not mount"):
        connector.storage_migrate(identity, "theirs", nothing)


def test_with_one_datastore_there_is_no_move_until_a_host_mounts_a_second(
    start: Start, spec: VmSpec, look: Look, tmp_path: Path
) -> None:
    simulator = start(Estate(standalone_hosts=1))
    identity = uuid4()
    with connected(simulator) as connector:
        cluster, alone = connector.probe().pools
        connector.create_vm(spec, identity)
        connector.storage_migrate(identity, HERE, nothing)
        with pytest.raises(Unsupported) as caught:
            connector.storage_migrate(identity, THERE, nothing)
        gap = cluster.capabilities.gap(Capability.STORAGE_MIGRATE)
        assert caught.value.gap == gap
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert gap.detail == (
            "cluster 'DC0_C0' has no second datastore that disks can move to; mount one on its hosts"
        )
        assert "host 'DC0_H0'" in str(alone.capabilities.gap(Capability.STORAGE_MIGRATE))
        here = connector.get_vm(identity).host
        with look(simulator) as raw:
            hosts = [host for one in raw.clusters() for host in one.host]
            host = next(host for host in hosts if host.name == here)
            host.configManager.datastoreSystem.CreateLocalDatastore(name="second", path=str(tmp_path))
        cluster, alone = connector.probe().pools
        assert cluster.capabilities.has(Capability.STORAGE_MIGRATE)
        assert not alone.capabilities.has(Capability.STORAGE_MIGRATE)
        assert "RelocateVM_Task" not in simulator.calls()
        connector.storage_migrate(identity, "second", nothing)
    assert files(simulator, HERE) == set()


READY = {"summary.accessible": True, "summary.maintenanceMode": "normal"}
LEAVING = {"summary.accessible": True, "summary.maintenanceMode": "enteringMaintenance"}
LOST = {"summary.accessible": False, "summary.maintenanceMode": "normal"}


@pytest.mark.parametrize(
    ("mounts", "stores", "can"),
    [
        (["a b"], {"a": READY, "b": READY}, True),
        (["a", "b"], {"a": READY, "b": READY}, False),  # each host has its own
        (["a b"], {"a": READY, "b": LEAVING}, True),  # what is on b can go to a
        (["a b"], {"a": LEAVING, "b": LEAVING}, False),
        (["a b"], {"a": READY, "b": LOST}, False),
        (["a", "a b"], {"a": READY, "b": READY}, True),
        ([], {"a": READY, "b": READY}, False),
    ],
)
def test_a_host_needs_a_datastore_to_move_from_and_one_to_move_to(
    mounts: list[str], stores: dict[str, dict[str, object]], *, can: bool
) -> None:
    cluster = Provider("c", "domain-c1", {"configurationEx": None}, None)
    hosts = [{"datastore": mounted.split()} for mounted in mounts]
    assert (storage_migrate(cluster, hosts, stores) is None) is can


def test_a_datastore_without_room_is_refused_before_vcenter_is_asked(start: Start, spec: VmSpec) -> None:
    simulator = start(ESTATE.model_copy(update={"datastore_gib": 4}))
    with connected(simulator) as connector:
        first = uuid4()
        connector.create_vm(spec, first)
        full, second = spec.model_copy(update={"name": "full"}), uuid4()
        endpoint = simulator.endpoint(options={"datastore": THERE})
        with registry.connect(endpoint, simulator.password) as other:
            other.create_vm(full, second)
            # The simulator takes what a disk promises, and refuses nothing for want of room.
            other.resize(second, spec.resources.model_copy(update={"disk_gib": 6}))
        with pytest.raises(Refused, match="MiB free"):
            connector.storage_migrate(first, THERE, nothing)
    assert "RelocateVM_Task" not in simulator.calls()


@pytest.mark.parametrize("action", ["fault", "task_error"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("NoDiskSpace", Refused),
        ("NotEnoughLicenses", Refused),
        ("NoPermission", Refused),
        ("TaskInProgress", Conflict),
    ],
)
def test_what_vcenter_says_against_a_move_is_named_and_the_machine_stays(
    simulator: VsphereSimulator,
    connector: Connector,
    identity: UUID,
    action: str,
    fault: str,
    kind: type[ConnectorError],
) -> None:
    before, there = connector.get_vm(identity), files(simulator, HERE)
    simulator.rules(Rule(method="RelocateVM_Task", action=action, fault=fault, message="said the server"))
    with pytest.raises(kind) as caught:
        connector.storage_migrate(identity, THERE, nothing)
    assert caught.value.vendor_code == fault
    assert (connector.get_vm(identity), files(simulator, HERE)) == (before, there)


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
def test_a_move_whose_connection_was_lost_is_made_once(
    simulator: VsphereSimulator, connector: Connector, identity: UUID, *, after: bool
) -> None:
    simulator.rules(Rule(method="RelocateVM_Task", action="reset", after=after, times=1))
    connector.storage_migrate(identity, THERE, nothing)
    assert files(simulator, HERE) == set()
    assert simulator.calls()["RelocateVM_Task"] == (1 if after else 2)


def test_a_move_may_take_longer_than_one_timeout_while_it_comes_further(start: Start, spec: VmSpec) -> None:
    simulator = start(ESTATE, task_delay_s=3)
    identity = uuid4()
    with connected(simulator) as patient:
        patient.create_vm(spec, identity)
    told: list[int] = []
    with connected(simulator, timeout_s=2) as hasty:
        hasty.storage_migrate(identity, THERE, told.append)
    assert told == sorted(told)
    assert [done for done in told if 0 < done < spec.resources.disk_gib << 30]
    assert files(simulator, HERE) == set()


def test_a_move_that_comes_no_further_is_cancelled(start: Start, spec: VmSpec, look: Look) -> None:
    simulator = start(ESTATE, task_delay_s=3, task_progress=False)
    identity = uuid4()
    with connected(simulator) as patient:
        before = patient.create_vm(spec, identity)
        with connected(simulator, timeout_s=1.5) as hasty, pytest.raises(DeadlineExceeded):
            hasty.storage_migrate(identity, THERE, nothing)
        assert simulator.calls()["CancelTask"] == 1
        assert patient.get_vm(identity) == before
        # What ended by itself in the time of this one did not move the first.
        patient.snapshot(identity, "later")
    assert files(simulator, THERE) == set()


def test_of_workers_at_once_all_find_it_there_or_are_told(start: Start, spec: VmSpec) -> None:
    simulator = start(ESTATE, task_delay_s=0.3)
    identity = uuid4()
    workers = [connected(simulator) for _ in range(3)]
    for worker in workers:
        worker.open()
    view = workers[0].create_vm(spec, identity)

    def move(worker: Connector) -> object:
        try:
            return worker.storage_migrate(identity, THERE, nothing)
        except Conflict as error:
            return error.vendor_code

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(move, workers))
    assert view in found
    assert files(simulator, HERE) == set()
    for worker in workers:
        worker.close()


def test_a_machine_that_runs_stays_on_and_on_its_host(connector: Connector, identity: UUID) -> None:
    before = connector.power(identity, PowerAction.ON)
    after = connector.storage_migrate(identity, THERE, nothing)
    assert (after.power, after.host) == (PowerState.ON, before.host)


def test_a_machine_that_asks_a_question_does_not_block_the_move_for_ever(
    start: Start, spec: VmSpec
) -> None:
    simulator = start(ESTATE, task_delay_s=0.5)
    identity = uuid4()
    with connected(simulator) as connector:
        view = connector.create_vm(spec, identity)
        simulator.set_question(view.native_id, "The disk is full. Retry?")
        with pytest.raises(Conflict, match="disk is full"):
            connector.storage_migrate(identity, THERE, nothing)
