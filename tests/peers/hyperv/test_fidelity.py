"""What the driver says and the simulator understands is what Windows' own modules have, by their reflection.

The conformance suite shows that the driver's calls bind to the simulator's signatures; here those are
compared with the real ones, so a parameter that does not exist on Windows cannot pass both.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from connectors.drivers.hyperv import cluster, disks, dispatcher, machines, metering
from connectors.simulators.hyperv import (
    Estate,
    checkpoints,
    clustering,
    cmdlets,
    files,
    hardware,
    images,
    interpreter,
    meters,
    operations,
)
from connectors.simulators.hyperv.cmdlets import CMDLETS, EVERY_SET, Cmdlet, NetObject
from connectors.simulators.hyperv.estate import Adapter, Disk, Metering, Snapshot, Vm, World

pytest.importorskip("spnego", reason="the extra hyperv is not installed")

REFLECTED = [one for one in CMDLETS.values() if one.name.startswith(("Hyper-V\\", "FailoverClusters\\"))]


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> dict[str, Any]:
    path = request.config.rootpath.parent / "shared/data/hyperv-cmdlet-model.json"
    if not path.is_file():
        pytest.skip("../shared/data/hyperv-cmdlet-model.json is missing")
    modules = json.loads(path.read_text())
    return {name.removesuffix(".stubs.psm1"): content for name, content in modules.items()}


def real(model: dict[str, Any], cmdlet: Cmdlet) -> dict[str, Any]:
    module, _, name = cmdlet.name.partition("\\")
    assert name in model[module]["cmdlets"], f"Windows has no {cmdlet.name}"
    found: dict[str, Any] = model[module]["cmdlets"][name]
    return found


def short(type_name: str) -> str:
    """``System.Nullable[Microsoft.HyperV.PowerShell.CheckpointType]`` is ``CheckpointType``; a nested type follows a plus."""
    inner = re.sub(r"^System\.Nullable\[(.*)\]$", r"\1", type_name)
    return re.split(r"[.+]", inner)[-1]


def sets_of(parameter: dict[str, Any]) -> dict[str, bool]:
    """The sets that a real parameter is in, each with whether it is mandatory there."""
    places = parameter["parameter"] or [{}]
    return {one.get("ParameterSetName", EVERY_SET): one.get("Mandatory") == "true" for one in places}


def choices_of(parameter: dict[str, Any]) -> set[str]:
    found = [
        re.findall(r"'([^']*)'", one) for one in parameter["validate"] if one.startswith("ValidateSet")
    ]
    return set(found[0]) if found else set()


@pytest.mark.parametrize("cmdlet", REFLECTED, ids=lambda one: one.name)
def test_every_parameter_has_the_type_and_the_sets_that_it_has_on_windows(
    cmdlet: Cmdlet, model: dict[str, Any]
) -> None:
    there = real(model, cmdlet)
    assert cmdlet.default_set == there["default_set"]
    for name, parameter in cmdlet.parameters.items():
        assert name in there["params"], f"{cmdlet.name} has no parameter {name} on Windows"
        on_windows = there["params"][name]
        assert parameter.type_name == short(on_windows["type"]), name
        assert dict(parameter.sets) == sets_of(on_windows), name
        assert set(parameter.choices) == choices_of(on_windows), name


@pytest.mark.parametrize("cmdlet", REFLECTED, ids=lambda one: one.name)
def test_no_mandatory_parameter_of_a_set_is_left_out(cmdlet: Cmdlet, model: dict[str, Any]) -> None:
    ours = {name for parameter in cmdlet.parameters.values() for name in parameter.sets} | {EVERY_SET}
    needed = {
        name
        for name, parameter in real(model, cmdlet)["params"].items()
        if any(mandatory and where in ours for where, mandatory in sets_of(parameter).items())
    }
    assert needed <= cmdlet.parameters.keys()


def everything() -> list[NetObject]:
    """One object of each type that the simulator gives."""
    world = World(Estate(cluster="C"))
    world.put_disk(Disk("C:\\a.vhdx", 1 << 30))
    config = dict.fromkeys(("NewVMName", "Generation", "ProcessorCount", "MemoryStartupBytes", "Notes"), 1)
    vm = Vm("1", "C:\\a", config, disks=["C:\\a.vhdx"], metering=Metering(0, 1))
    vm.config |= {"Generation": 2, **hardware.SECURE_BOOT}
    vm.adapters.append(Adapter("External"))
    world.vms["1"] = vm
    world.roles["role"] = "1"
    machine = operations.machine(vm)

    def call(name: str, **arguments: Any) -> operations.Call:
        return operations.Call(world, CMDLETS[name], arguments, None)  # type: ignore[arg-type]  # nothing is waited for

    host_call, cluster_call = call("Hyper-V\\Get-VMHost"), call("FailoverClusters\\Get-Cluster")
    snapshot = checkpoints._object(vm, Snapshot("1", "n", "t", {}, "Off", []))
    return [
        machine,
        *machine.read("HardDrives"),
        *machine.read("NetworkAdapters"),
        *hardware.get_firmware(call("Hyper-V\\Get-VMFirmware", VM=machine)),
        snapshot,
        meters._report(host_call, vm, 2),
        files._vhd(Disk("C:\\a.vhdx", 1)),
        *operations.get_host(host_call),
        *clustering.get_cluster(cluster_call),
        clustering._node(world),
        clustering._group(world, "role"),
    ]


def test_every_property_that_is_answered_exists_on_the_real_object(model: dict[str, Any]) -> None:
    types = {**model["Hyper-V"]["types"], **model["FailoverClusters"]["types"]}
    checked = everything()
    assert len({one.type_name for one in checked}) == 11
    for one in checked:
        assert one.properties.keys() <= types[one.type_name].keys(), one.type_name


def test_every_state_and_choice_is_a_value_of_the_real_enum(model: dict[str, Any]) -> None:
    enums = model["Hyper-V"]["enums"]
    assert machines.STATES.keys() <= enums["VMState"].keys()
    of_cluster = model["FailoverClusters"]["enums"]
    for name, values in cmdlets._ENUMS.items():
        assert values == {**of_cluster, **enums}[name].keys(), name
    assert of_cluster["ClusterNodeState"].keys() > cluster.ASKED
    assert "VirtualMachine" in of_cluster["GroupType"]
    assert set(metering._DIRECTIONS.values()) < enums["VMNetworkAdapterAclDirection"].keys()
    assert images._VHD_TYPES.items() <= {number: name for name, number in enums["VhdType"].items()}.items()
    assert {form.value.upper() for form in disks.FORMATS} < enums["VhdFormat"].keys()


def test_the_script_allows_what_the_simulator_knows_and_nothing_else() -> None:
    assert interpreter.allowed() == CMDLETS.keys() == operations.OPERATIONS.keys()


def test_the_script_is_the_one_whose_hash_is_pinned() -> None:
    assert dispatcher.sha256(dispatcher.script()) == dispatcher.SHA256


def test_the_script_fits_on_a_windows_command_line() -> None:
    line = " ".join([dispatcher.COMMAND, *dispatcher.arguments()])
    assert len(line) <= dispatcher.COMMAND_LINE_LIMIT


def test_the_script_parses_as_powershell() -> None:
    tree_sitter = pytest.importorskip("tree_sitter", reason="tree-sitter is not installed")
    grammar = pytest.importorskip("tree_sitter_pwsh", reason="tree-sitter-pwsh is not installed")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    assert parser.parse(b"if ($a { }").root_node.has_error, "the parser would not notice"
    sent = dispatcher.script().encode()
    whole = Path(dispatcher.__file__).with_name("dispatcher.ps1").read_bytes()
    assert not parser.parse(whole).root_node.has_error
    assert not parser.parse(sent).root_node.has_error


def test_a_changed_script_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dispatcher.ps1").write_text("Remove-VM *")
    monkeypatch.setattr(dispatcher, "__file__", str(tmp_path / "dispatcher.py"))
    dispatcher.script.cache_clear()
    with pytest.raises(AssertionError, match="is pinned"):
        dispatcher.script()
    monkeypatch.undo()
    dispatcher.script.cache_clear()


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-*", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d*", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11", False),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disk[s]", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\*", False),
        ("C:\\VMs\\tierwise-*", False),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\..\\..", False),
        ("C:\\Windows", False),
        ("C:\\VMs\\*", False),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disks\\disk.vhdx", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disks\\disk_A1-b2.avhdx", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disks\\part-1a2b3c4d.vhd", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disks\\part-*", True),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disks\\..\\disk.vhdx", False),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\disks\\disk.exe", False),
        ("C:\\VMs\\tierwise-0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11-1a2b3c4d\\other\\disk.vhdx", False),
        ("C:\\VMs\\web\\disks\\disk.vhdx", False),
    ],
)
def test_the_script_touches_folders_and_disks_of_ours_only(path: str, ours: bool) -> None:
    assert bool(interpreter.permitted().search(path)) is ours
