"""Secure boot of machines that are made at a simulated host; what they have is read by the script, not by `details`."""

import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors import disks
from connectors.contract import Connector, Firmware, PowerAction, VmSpec
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.connector import HypervConnector
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError
from connectors.drivers.hyperv.session import Rows
from connectors.errors import Refused
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
SPEC = VmSpec(name="web-1", provider="HV-SIM-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=1))
GOLDEN, OLD = "D:\\Golden\\debian-12.vhdx", "D:\\Golden\\rhel-6.vhd"
NAMED = {"DEBIAN_12": GOLDEN, "RHEL_6": OLD}
OF_DEBIAN = SPEC.model_copy(update={"traits": frozenset({"CUSTOM_TEMPLATE_DEBIAN_12"})})
MOVED = {"empty": True, "firmware": Firmware.UEFI}
"""What a machine's specification has when the machine comes from another hypervisor."""

WINDOWS, LINUX = "MicrosoftWindows", "MicrosoftUEFICertificateAuthority"
KEYS = {"windows": ("On", WINDOWS), "linux": ("On", LINUX), "off": ("Off", WINDOWS)}
"""As Hyper-V documents its templates; switched off a machine keeps what New-VM gave it."""


def run(connector: Connector, native_id: str, *commands: Command) -> Rows:
    """Cmdlets for a machine by the script; the first is Get-VM."""
    assert isinstance(connector, HypervConnector)
    assert connector._session is not None
    return connector._session.run([Command("Hyper-V\\Get-VM", {"Id": native_id}), *commands])[0]


def at_host(connector: Connector, native_id: str) -> tuple[str, str]:
    select = ("SecureBoot", "SecureBootTemplate")
    look = Command("Hyper-V\\Get-VMFirmware", refs={"VM": "0"}, select=select)
    ((row,),) = run(connector, native_id, look)[1:]
    return row["SecureBoot"], row["SecureBootTemplate"]


def change(connector: Connector, native_id: str, **wanted: str) -> None:
    run(connector, native_id, Command("Hyper-V\\Set-VMFirmware", wanted, {"VM": "0"}))


def put_golden(simulator: HypervSimulator, folder: Path) -> None:
    if reason := disks.missing():
        pytest.skip(reason)
    made = folder / "golden.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(made), "1G"], check=True)
    simulator.put(GOLDEN, made)


@pytest.mark.parametrize("more", [{}, MOVED], ids=["new", "moved here"])
@pytest.mark.parametrize("option", [None, "windows", "linux", "off"])
def test_an_empty_machine_has_what_the_option_says_and_else_what_windows_starts_by(
    option: str | None, more: dict[str, Any], simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator, **({} if option is None else {"secure_boot": option}))
    view = connector.create_vm(SPEC.model_copy(update=more), IDENTITY)
    wanted = KEYS[option or "windows"]
    assert at_host(connector, view.native_id) == wanted
    told = connector.details(IDENTITY)
    assert (told.secure_boot, told.secure_boot_keys) == (
        option != "off",
        "" if option == "off" else wanted[1],
    )
    assert connector.power(IDENTITY, PowerAction.ON).power.value == "on"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "windows"),
        ({"secure_boot": "linux"}, "linux"),
        ({"template_secure_boot": {"DEBIAN_12": "linux"}}, "linux"),
        ({"secure_boot": "linux", "template_secure_boot": {"DEBIAN_12": "off"}}, "off"),
    ],
)
@pytest.mark.parametrize("more", [{}, MOVED], ids=["new", "moved here"])
def test_a_templates_machine_has_what_its_own_option_says_and_else_what_empty_ones_have(
    options: dict[str, Any],
    wanted: str,
    more: dict[str, Any],
    simulator: HypervSimulator,
    connect: Connect,
    tmp_path: Path,
) -> None:
    put_golden(simulator, tmp_path)
    connector = connect(simulator, timeout_s=60, templates=NAMED, **options)
    spec = OF_DEBIAN.model_copy(update=more)
    assert at_host(connector, connector.create_vm(spec, IDENTITY).native_id) == KEYS[wanted]
    other = connector.create_vm(SPEC, UUID(int=1))
    assert at_host(connector, other.native_id) == KEYS[options.get("secure_boot", "windows")]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"secure_boot": "Linux"}, "option 'secure_boot'"),
        ({"secure_boot": False}, "option 'secure_boot'"),
        ({"template_secure_boot": {"DEBIAN_12": "on"}}, r"option 'template_secure_boot\.DEBIAN_12'"),
        ({"template_secure_boot": {"DEBIAN": "linux"}}, "has DEBIAN, which templates does not name"),
        (
            {"generation": 1, "secure_boot": "linux"},
            "secure_boot is 'linux', and these machines are of generation 1, which starts by BIOS",
        ),
        ({"generation": 1, "secure_boot": "windows"}, "has no secure boot; write generation 2, or"),
        (
            {"template_secure_boot": {"RHEL_6": "linux"}},
            r"template_secure_boot\.RHEL_6 is 'linux', and these machines are of generation 1",
        ),
        (
            {"template_secure_boot": {"DEBIAN_12": "linux"}, "template_firmware": {"DEBIAN_12": "bios"}},
            "write 'uefi' for it in template_firmware, or leave DEBIAN_12 out",
        ),
        ({"generation": 1, "template_secure_boot": {"DEBIAN_12": "windows"}}, "has no secure boot"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_endpoint_is_opened(
    options: dict[str, Any], why: str, simulator: HypervSimulator, connect: Connect
) -> None:
    with pytest.raises(Refused, match=why):
        connect(simulator, templates=NAMED, **options)


def test_where_new_machines_have_a_bios_one_that_moves_here_by_uefi_can_be_without(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator, generation=1, secure_boot="off", templates=NAMED)
    connector.create_vm(SPEC, IDENTITY)
    told = connector.details(IDENTITY)
    assert (told.firmware, told.secure_boot, told.secure_boot_keys) == (Firmware.BIOS, False, "")
    moved = connector.create_vm(SPEC.model_copy(update=MOVED), UUID(int=1))
    assert at_host(connector, moved.native_id)[0] == "Off"
    calls = simulator.calls()
    assert calls["Set-VMFirmware"] == 1, "a BIOS was asked for secure boot"


def test_a_machine_whose_creation_was_cut_off_before_ends_with_what_the_option_says(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator, timeout_s=5, secure_boot="linux")
    simulator.rules(
        Rule(method="Set-VMFirmware", action="error", error_id="OperationFailed", times=1),
        Rule(method="Remove-VM", action="error", error_id="OperationFailed"),  # so that it is left behind
    )
    with pytest.raises(Refused):
        connector.create_vm(SPEC, IDENTITY)
    (left,) = connector.list_vms()
    assert (left.identity, at_host(connector, left.native_id)) == (None, KEYS["windows"])
    simulator.rules()
    made = connector.create_vm(SPEC, IDENTITY)
    assert (made.native_id, made.identity) == (left.native_id, IDENTITY)
    assert at_host(connector, made.native_id) == KEYS["linux"]


@pytest.mark.parametrize("option", KEYS)
def test_a_machine_that_another_worker_began_with_other_options_ends_with_ours(
    option: str, simulator: HypervSimulator, connect: Connect
) -> None:
    folder = marks.folder_name(IDENTITY, "0a1b2c3d")
    left = simulator.plant(folder, path=f"{Estate().folder}\\{folder}", disk_bytes=1 << 30)
    connector = connect(simulator, timeout_s=5, secure_boot=option)
    other = "OpenSourceShieldedVM"
    change(connector, left, EnableSecureBoot="On", SecureBootTemplate=other)
    assert connector.create_vm(SPEC, IDENTITY).native_id == left
    assert at_host(connector, left) == (KEYS[option] if option != "off" else ("Off", other))


def test_a_machine_of_generation_1_that_was_begun_is_finished_without(
    simulator: HypervSimulator, connect: Connect
) -> None:
    folder = marks.folder_name(IDENTITY, "0a1b2c3d")
    path = f"{Estate().folder}\\{folder}"
    left = simulator.plant(folder, path=path, disk_bytes=1 << 30, generation=1)
    connector = connect(simulator, timeout_s=5, secure_boot="linux")
    assert connector.create_vm(SPEC, IDENTITY).native_id == left
    assert connector.details(IDENTITY).firmware is Firmware.BIOS


def test_the_host_refuses_unknown_keys_a_bios_and_a_machine_that_is_not_off(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    view = connector.create_vm(SPEC, IDENTITY)
    with pytest.raises(PowerShellError, match="unable to find a secure boot template"):
        change(connector, view.native_id, SecureBootTemplate="MicrosoftLinux")
    with pytest.raises(PowerShellError, match="EnableSecureBoot"):
        change(connector, view.native_id, EnableSecureBoot="Perhaps")
    with pytest.raises(PowerShellError, match="generation 1"):
        change(connector, simulator.plant("old", generation=1), EnableSecureBoot="Off")
    for action in (PowerAction.ON, PowerAction.SUSPEND):
        connector.power(IDENTITY, action)
        with pytest.raises(PowerShellError, match="current state") as caught:
            change(connector, view.native_id, EnableSecureBoot="Off")
        assert caught.value.kind == "InvalidState"
    assert at_host(connector, view.native_id) == KEYS["windows"]


def test_a_checkpoint_brings_back_what_the_machine_had(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator, secure_boot="linux")
    view = connector.create_vm(SPEC, IDENTITY)
    connector.snapshot(IDENTITY, "before")
    change(connector, view.native_id, EnableSecureBoot="Off")
    assert not connector.details(IDENTITY).secure_boot
    connector.revert(IDENTITY, "before")
    assert at_host(connector, view.native_id) == KEYS["linux"]


@pytest.mark.parametrize(
    ("options", "spec", "said"),
    [
        ({}, SPEC, ["on", WINDOWS, "Linux does not start", "option 'secure_boot'"]),
        ({"secure_boot": "linux"}, SPEC, ["on", LINUX, "Windows does not", "option 'secure_boot'"]),
        ({"secure_boot": "off"}, SPEC, ["off", "option 'secure_boot'"]),
        (
            {"template_secure_boot": {"DEBIAN_12": "linux"}},
            OF_DEBIAN.model_copy(update=MOVED),
            [LINUX, "option 'template_secure_boot.DEBIAN_12'"],
        ),
        ({}, SPEC.model_copy(update={"firmware": Firmware.BIOS}), []),
        ({"generation": 1}, SPEC, []),
        ({"generation": 1}, OF_DEBIAN, []),
        ({"generation": 1}, SPEC.model_copy(update=MOVED), [WINDOWS]),
        ({"generation": 1, "template_firmware": {"DEBIAN_12": "uefi"}}, OF_DEBIAN, [WINDOWS]),
    ],
)
def test_it_is_said_before_what_a_machine_would_get(
    options: dict[str, Any], spec: VmSpec, said: list[str], simulator: HypervSimulator, connect: Connect
) -> None:
    found = connect(simulator, templates=NAMED, **options).secure_boot(spec)
    assert all(part in found for part in said), found
    assert bool(found) is bool(said)
