"""What the driver does when WinRM, the host or another worker does not do what it should."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.settings import Library
from connectors.errors import Conflict, DeadlineExceeded, Refused, Unreachable, Unsupported
from connectors.simulators.hyperv import Estate, HypervSimulator, Limits, Rule

pytestmark = [
    pytest.mark.counterpart("hyperv-sim"),
    pytest.mark.parametrize("client", list(Library), indirect=True),
]

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
FOLDER = Estate().folder


def test_a_connector_has_one_shell_and_deletes_it(
    simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    connector = connect(simulator)
    for _ in range(3):
        connector.list_vms()
    assert simulator.shells() == 1
    connector.close()
    assert simulator.shells() == 0


def test_every_command_is_ended_whatever_it_answered(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method="New-VM", action="error", error_id="OutOfMemory", times=1))
    with pytest.raises(Refused):
        connector.create_vm(spec, IDENTITY)
    calls = simulator.calls()
    assert calls["Signal"] == calls["Command"] > 1


def test_a_shell_survives_a_lost_connection_and_is_still_deleted(
    simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method="Receive", action="reset", times=1))
    with pytest.raises(Unreachable) as caught:
        connector.list_vms()
    assert caught.value.retriable
    assert connector.list_vms() == []
    assert simulator.shells() == 1
    connector.close()
    assert simulator.shells() == 0


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
@pytest.mark.parametrize("on", ["Signal", "Delete"])
def test_a_connection_lost_while_tidying_up_leaves_no_shell(
    on: str, after: bool, simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method=on, action="reset", after=after, times=1))
    assert connector.list_vms() == []
    connector.close()
    assert simulator.shells() == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_connection_lost_while_a_command_is_ended_costs_no_later_call(
    after: bool, simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method="Signal", action="reset", after=after, times=1))
    for _ in range(3):
        assert connector.list_vms() == []
    assert simulator.shells() == 1


def test_a_shell_that_is_gone_is_opened_anew_unnoticed(
    simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method="Command", action="fault", code=2150858843, times=1))
    assert connector.list_vms() == []
    assert simulator.calls()["Create"] == 1


@pytest.mark.parametrize("code", [2150859173, 2150859174])
def test_a_full_quota_is_waited_for(
    code: int, simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method="Command", action="fault", code=code, times=2))
    assert connector.list_vms() == []
    assert simulator.calls()["Command"] == 3


def test_a_quota_that_stays_full_is_retriable_and_says_what_to_raise(
    start: Callable[..., HypervSimulator], connect: Callable[..., Connector]
) -> None:
    simulator = start(limits=Limits(shells_per_user=1))
    first = connect(simulator)
    with pytest.raises(Unreachable, match="MaxShellsPerUser") as caught:
        connect(simulator, timeout_s=1)
    assert caught.value.vendor_code == "2150859173"
    first.close()
    assert connect(simulator).list_vms() == []


def test_a_guest_that_ignores_a_shutdown_runs_on_and_its_process_is_ended(
    start: Callable[..., HypervSimulator], connect: Callable[..., Connector], spec: VmSpec
) -> None:
    simulator = start(Estate(guests_obey=False))
    connect(simulator).create_vm(spec, IDENTITY)
    connector = connect(simulator, timeout_s=3)
    connector.power(IDENTITY, PowerAction.ON)
    began_s = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        connector.power(IDENTITY, PowerAction.SHUTDOWN)
    assert time.monotonic() - began_s < 5
    calls = simulator.calls()
    assert calls["Signal"] == calls["Command"]
    assert connector.get_vm(IDENTITY).power is PowerState.ON
    assert connector.power(IDENTITY, PowerAction.OFF).power is PowerState.OFF


@pytest.mark.parametrize(
    ("error_id", "expected"),
    [
        ("AccessDenied", Refused),
        ("OutOfMemory", Refused),
        ("OperationFailed", Refused),
        ("InvalidState", Conflict),
        ("Unspecified", Refused),
    ],
)
def test_powershells_error_id_is_kept(
    error_id: str,
    expected: type[Exception],
    simulator: HypervSimulator,
    connect: Callable[..., Connector],
    spec: VmSpec,
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    simulator.rules(Rule(method="Start-VM", action="error", error_id=error_id, message="no, said the host"))
    with pytest.raises(expected, match="no, said the host") as caught:
        connector.power(IDENTITY, PowerAction.ON)
    code = caught.value.vendor_code  # type: ignore[attr-defined]  # of every ConnectorError
    assert code == f"{error_id},Microsoft.HyperV.PowerShell.Commands.StartVM"


@pytest.mark.parametrize(
    "cmdlet",
    ["New-VM", "Set-VM", "Set-VMFirmware", "Remove-VMNetworkAdapter", "Enable-VMResourceMetering"],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_create_that_fails_anywhere_leaves_nothing_behind(
    cmdlet: str,
    after: bool,
    simulator: HypervSimulator,
    connect: Callable[..., Connector],
    spec: VmSpec,
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method=cmdlet, action="error", error_id="OperationFailed", after=after, times=1))
    with pytest.raises(Refused):
        connector.create_vm(spec, IDENTITY)
    assert connector.list_vms() == []
    assert simulator.disks() == []
    assert connector.create_vm(spec, IDENTITY).identity == IDENTITY


def test_a_create_that_was_cut_off_is_finished_by_the_next(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    folder = marks.folder_name(IDENTITY, "0a1b2c3d")
    left = simulator.plant(folder, path=f"{FOLDER}\\{folder}", disk_bytes=4 << 30)
    connector = connect(simulator, timeout_s=3)
    assert [view.identity for view in connector.list_vms()] == [None]
    view = connector.create_vm(spec, IDENTITY)
    assert (view.native_id, view.identity, view.name) == (left, IDENTITY, "web-1")
    assert view.resources == spec.resources
    assert len(connector.list_vms()) == 1


def test_a_delete_removes_what_was_cut_off_too(
    simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    folder = marks.folder_name(IDENTITY, "0a1b2c3d")
    simulator.plant(folder, path=f"{FOLDER}\\{folder}", disk_bytes=4 << 30)
    connector = connect(simulator)
    connector.delete_vm(IDENTITY)
    assert connector.list_vms() == []


def test_a_copy_with_our_notes_in_another_folder_is_not_ours(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    ours = connector.create_vm(spec, IDENTITY)
    simulator.plant("copy", notes=marks.notes(IDENTITY, {}), disk_bytes=1 << 30)
    assert connector.get_vm(IDENTITY) == ours
    connector.delete_vm(IDENTITY)
    assert [(view.name, view.identity) for view in connector.list_vms()] == [("copy", None)]
    assert simulator.disks() != []


def test_of_two_finished_machines_the_lowest_id_is_the_one_and_both_are_deleted(
    simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    made = []
    for attempt in ("0a1b2c3d", "4e5f6a7b"):
        path = f"{FOLDER}\\{marks.folder_name(IDENTITY, attempt)}"
        made.append(simulator.plant(attempt, path=path, notes=marks.notes(IDENTITY, {})))
    connector = connect(simulator)
    assert connector.get_vm(IDENTITY).native_id == min(made)
    assert sorted(str(view.identity) for view in connector.list_vms()) == [str(IDENTITY), "None"]
    connector.delete_vm(IDENTITY)
    assert connector.list_vms() == []


def test_a_delete_leaves_no_disk_not_even_of_checkpoints(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    connector.snapshot(IDENTITY, "one")
    connector.power(IDENTITY, PowerAction.ON)
    assert len(simulator.disks()) == 2
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


def test_a_folder_with_wildcards_in_its_name_is_taken_literally(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator, folder="D:\\VMs [fast]")
    connector.create_vm(spec, IDENTITY)
    assert [path.startswith("D:\\VMs [fast]\\tierwise-") for path in simulator.disks()] == [True]
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


def test_a_folder_whose_volume_cannot_be_read_forbids_to_create(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator, folder="\\\\filer\\vms")
    with pytest.raises(Unsupported, match="option 'folder'"):
        connector.create_vm(spec, IDENTITY)
    assert connector.list_vms() == []


def test_a_switch_that_is_not_there_is_refused_and_nothing_is_made(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator, switch="Nowhere")
    with pytest.raises(Refused, match="Nowhere"):
        connector.create_vm(spec, IDENTITY)
    assert simulator.disks() == []
    assert connect(simulator, switch="External").create_vm(spec, IDENTITY).identity == IDENTITY


def test_memory_that_hyper_v_cannot_take_is_refused_before_it_is_asked(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    odd = spec.model_copy(update={"resources": Resources(vcpu=1, memory_mib=513, disk_gib=1)})
    simulator.rules()
    with pytest.raises(Refused, match="steps of 2 MiB"):
        connector.create_vm(odd, IDENTITY)
    assert "New-VM" not in simulator.calls()


def test_a_disk_with_checkpoints_does_not_grow(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    connector.snapshot(IDENTITY, "one")
    with pytest.raises(Conflict, match="checkpoints"):
        connector.resize(IDENTITY, spec.resources + Resources(disk_gib=1))


def test_a_running_machine_gets_memory_alone_and_nothing_else_by_a_resize(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    running = connector.power(IDENTITY, PowerAction.ON)
    more = spec.resources + Resources(memory_mib=512)
    for size in (more + Resources(vcpu=1), more + Resources(disk_gib=1)):
        with pytest.raises(Unsupported, match="cannot change the vCPUs") as caught:
            connector.resize(IDENTITY, size)
        assert caught.value.capability is Capability.RESIZE_HOT
        assert connector.get_vm(IDENTITY) == running
    assert connector.resize(IDENTITY, spec.resources) == running
    assert connector.resize(IDENTITY, more) == running.model_copy(update={"resources": more})
    with pytest.raises(Conflict, match="cannot lose memory"):
        connector.resize(IDENTITY, spec.resources)
    assert connector.power(IDENTITY, PowerAction.OFF).resources == more
    assert connector.resize(IDENTITY, spec.resources).resources == spec.resources


def test_memory_that_the_host_has_not_left_or_the_guest_does_not_take_is_refused(
    start: Callable[..., HypervSimulator], connect: Callable[..., Connector], spec: VmSpec
) -> None:
    simulator = start(Estate(memory_mib=1024))
    connector = connect(simulator)
    for identity in (IDENTITY, UUID(int=1)):
        connector.create_vm(spec, identity)
    connector.power(IDENTITY, PowerAction.ON)
    more = spec.resources + Resources(memory_mib=256)
    simulator.rules(Rule(method="Set-VMMemory", action="error", error_id="InvalidState", times=1))
    with pytest.raises(Conflict, match="state does not allow"):
        connector.resize(IDENTITY, more)
    connector.power(UUID(int=1), PowerAction.ON)
    with pytest.raises(Refused, match="too little memory") as caught:
        connector.resize(IDENTITY, more)
    assert caught.value.vendor_code == "OutOfMemory,Microsoft.HyperV.PowerShell.Commands.SetVMMemory"
    assert connector.get_vm(IDENTITY).resources == spec.resources
    connector.delete_vm(UUID(int=1))
    assert connector.resize(IDENTITY, more).resources == more


def test_long_requests_and_answers_pass_through_small_envelopes(
    start: Callable[..., HypervSimulator], connect: Callable[..., Connector], spec: VmSpec
) -> None:
    simulator = start(limits=Limits(envelope_kib=200))
    connector = connect(simulator)
    large = {"note": "ü" * 120_000}
    view = connector.create_vm(spec.model_copy(update={"annotations": large}), IDENTITY)
    assert view.annotations == large
    assert simulator.calls()["Send"] > simulator.calls()["Command"]
    assert simulator.calls()["Receive"] > simulator.calls()["Command"]


def test_a_cluster_node_says_what_it_would_take_to_restart_its_machines(
    start: Callable[..., HypervSimulator], connect: Callable[..., Connector]
) -> None:
    details = []
    for cluster in ("", "FRA-HV"):
        (pool,) = connect(start(Estate(cluster=cluster))).probe().pools
        details += [gap.detail for c, gap in pool.capabilities.gaps.items() if c.value == "ha_restart"]
    assert "stands alone" in details[0]
    assert "'FRA-HV'" in details[1]


def test_unknown_machines_are_listed_though_their_disks_are_missing(
    simulator: HypervSimulator, connect: Callable[..., Connector]
) -> None:
    simulator.plant("no-disks", state="RunningCritical")
    (view,) = connect(simulator).list_vms()
    assert (view.power, view.resources.disk_gib) == (PowerState.UNKNOWN, 0)


def test_a_host_that_died_is_unreachable(
    start: Callable[..., HypervSimulator], connect: Callable[..., Connector]
) -> None:
    simulator = start()
    connector = connect(simulator)
    simulator.stop()
    with pytest.raises(Unreachable):
        connector.get_vm(uuid4())


def test_a_file_in_use_is_waited_for(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    busy = Rule(method="Remove-Item", action="error", error_id="RemoveFileSystemItemIOError", times=2)
    simulator.rules(busy)
    connector.delete_vm(IDENTITY)
    assert simulator.calls()["Remove-Item"] == 3
    assert simulator.disks() == []


def test_a_disk_that_cannot_be_removed_is_told_and_goes_with_the_next_call(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    connector.create_vm(spec, IDENTITY)
    denied = "RemoveFileSystemItemUnAuthorizedAccess"
    simulator.rules(Rule(method="Remove-Item", action="error", error_id=denied, times=2))
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            connector.delete_vm(IDENTITY)
        assert caught.value.vendor_code.startswith(denied)
        assert len(simulator.disks()) == 1
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


def test_a_create_whose_answer_is_lost_takes_back_what_it_made(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    connector = connect(simulator)
    simulator.rules(Rule(method="New-VM", action="reset", after=True, times=1))
    with pytest.raises(Unreachable):
        connector.create_vm(spec, IDENTITY)
    assert connector.list_vms() == []
    assert simulator.disks() == []


@pytest.mark.parametrize("slow", ["New-VM", "Get-VM", "Set-VM", "Remove-VM"])
def test_workers_that_create_one_machine_at_different_paces_make_one(
    slow: str, simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    workers = [connect(simulator) for _ in range(4)]
    for _ in range(3):
        identity = uuid4()
        # Every second call of it is slow, so workers overtake each other in the middle of a creation.
        simulator.rules(
            *(Rule(method=slow, action="delay", delay_ms=150, skip=n, times=1) for n in (0, 2, 4, 6))
        )
        with ThreadPoolExecutor(4) as threads:
            views = list(threads.map(lambda worker: worker.create_vm(spec, identity), workers))  # noqa: B023 -- all are done before it changes
        listed = workers[0].list_vms()
        assert [view.identity for view in listed].count(identity) == 1
        assert {view.native_id for view in views} == {workers[0].get_vm(identity).native_id}
        assert None not in [view.identity for view in listed], "a loser was left behind"
    assert len(simulator.disks()) == 3
