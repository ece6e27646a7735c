# ruff: noqa: EM101 -- what goes wrong at a host is told by its id and its words
"""The cmdlets that the simulator has, and how their arguments are bound to a parameter set.

What stands here of Hyper-V and FailoverClusters is a part of the real cmdlets' signatures; a test compares
it with the reflection of the real modules. A parameter that is missing here answers NOT_IMPLEMENTED, for
the real cmdlet may have it. The rules are those of about_Parameter_Sets, the error ids PowerShell's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

EVERY_SET = "*"


class CmdletError(Exception):
    """What a cmdlet fails with: PowerShell's error id and category, and words."""

    def __init__(self, error_id: str, category: str, message: str) -> None:
        super().__init__(error_id, message)
        self.error_id = error_id
        self.category = category
        self.message = message


class NotImplementedHere(CmdletError):
    """Windows may do this; the simulator does not, and says so."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "NOT_IMPLEMENTED", "NotImplemented", f"NOT_IMPLEMENTED: the simulator has no {what}"
        )


@dataclass(frozen=True)
class NetObject:
    """An object that a cmdlet gives; `type_name` is its .NET type's short name."""

    type_name: str
    properties: Mapping[str, Any]

    def read(self, name: str) -> Any:
        """A property's value. Raises NotImplementedHere for one that the simulator does not know."""
        if name not in self.properties:
            what = f"property '{name}' of {self.type_name}"
            raise NotImplementedHere(what)
        return self.properties[name]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type, and the sets it is in, each with whether it is mandatory there."""

    type_name: str
    sets: Mapping[str, bool]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cmdlet:
    """One cmdlet's signature."""

    name: str
    command_type: str
    default_set: str | None
    parameters: Mapping[str, Parameter]

    def error(self, kind: str, category: str, message: str) -> CmdletError:
        """An error of this cmdlet, with the id that PowerShell would give it."""
        error_id = f"{kind},{self.command_type}" if self.command_type else kind
        return CmdletError(error_id, category, message)

    def bind(self, arguments: Mapping[str, Any]) -> str | None:
        """Check the arguments; the parameter set they belong to. Raises CmdletError."""
        for name, value in arguments.items():
            if name not in self.parameters:
                what = f"parameter '{name}' of {self.name}"
                raise NotImplementedHere(what)
            self._check(name, value)
        return self._set_of(arguments)

    def _check(self, name: str, value: Any) -> None:
        parameter = self.parameters[name]
        if value is None or value in ("", []):
            raise self._invalid("ParameterArgumentValidationError", f"the argument '{name}' is empty")
        many = parameter.type_name.endswith("[]")
        values = value if many and isinstance(value, list) else [value]
        for one in values:
            if not _fits(parameter.type_name.removesuffix("[]"), one):
                msg = f"cannot convert '{one}' to the type {parameter.type_name} of '{name}'"
                raise self._invalid("CannotConvertArgumentNoMessage", msg)
            if parameter.choices and str(one) not in parameter.choices:
                msg = f"'{one}' is none of {parameter.choices}"
                raise self._invalid("ParameterArgumentValidationError", msg)

    def _set_of(self, arguments: Mapping[str, Any]) -> str | None:
        sets = {s for p in self.parameters.values() for s in p.sets} - {EVERY_SET}
        named: set[str | None] = {*sets} or {self.default_set}
        possible = {
            name
            for name in named
            if all(self.parameters[a].sets.keys() & {name, EVERY_SET} for a in arguments)
        }
        if not possible:
            raise self._invalid("AmbiguousParameterSet", "no parameter set has all these parameters")
        complete = {name for name in possible if not self._missing(name, arguments)}
        if not complete:
            nearest = self.default_set if self.default_set in possible else min(possible, key=str)
            missing = ", ".join(self._missing(nearest, arguments))
            raise self._invalid("MissingMandatoryParameter", f"missing mandatory parameters: {missing}")
        if len(complete) > 1 and self.default_set not in complete:
            raise self._invalid(
                "AmbiguousParameterSet", f"the sets {sorted(map(str, complete))} would all do"
            )
        return self.default_set if self.default_set in complete else complete.pop()

    def _missing(self, set_name: str | None, arguments: Mapping[str, Any]) -> list[str]:
        return [
            name
            for name, parameter in self.parameters.items()
            if name not in arguments
            and (parameter.sets.get(set_name or "") or parameter.sets.get(EVERY_SET))
        ]

    def _invalid(self, kind: str, message: str) -> CmdletError:
        return self.error(kind, "InvalidArgument", message)


_RANGES = {
    "int16": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_ENUMS = {
    "ControllerType": frozenset({"IDE", "PMEM", "SCSI"}),
    "VmMigrationType": frozenset({"TurnOff", "Quick", "Shutdown", "ShutdownForce", "Live"}),
    "OnOffState": frozenset({"On", "Off"}),
    "VhdType": frozenset({"Unknown", "Fixed", "Dynamic", "Differencing"}),
    "CheckpointType": frozenset({"Disabled", "Production", "ProductionOnly", "Standard"}),
}


_PLAIN: Mapping[str, type] = {"bool": bool, "switch": bool, "string": str, "hashtable": Mapping}


def _fits(type_name: str, value: Any) -> bool:
    if type_name in _PLAIN:
        return isinstance(value, _PLAIN[type_name])
    if type_name in _RANGES:
        low, high = _RANGES[type_name]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if type_name == "guid":
        return _is_guid(value)
    if type_name in _ENUMS:
        return value in _ENUMS[type_name]
    return isinstance(value, NetObject) and value.type_name == type_name


def _is_guid(value: Any) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def _cmdlet(name: str, command_type: str, default_set: str | None, *lines: str) -> Cmdlet:
    """A signature from lines ``Name type Set! OtherSet``; ``!`` is mandatory, ``a|b`` are the choices."""
    parameters = {}
    for line in lines:
        parameter, type_name, *sets = line.split()
        choices = tuple(s for s in sets if "|" in s)
        names = {s.removesuffix("!").replace("_", " "): s.endswith("!") for s in sets if "|" not in s}
        parameters[parameter] = Parameter(
            type_name, names or {EVERY_SET: False}, tuple(choices[0].split("|")) if choices else ()
        )
    return Cmdlet(name, command_type, default_set, parameters)


_HYPERV = "Microsoft.HyperV.PowerShell.Commands."
_CLUSTER = "Microsoft.FailoverClusters.PowerShell."
_VHD = "Microsoft.Vhd.PowerShell.Cmdlets."
_VM = "VM VirtualMachine[] VMObject!"
_VM_NAME = "VMName string[] VMName!"
_NAME = "Name string[] Name!"
_TO_HOST = "{0}SingleDestination! {0}MultipleDestinations!"
_TO_SESSION = "{0}SingleDestinationAndCimSession! {0}MultipleDestinationsAndCimSession!"

_ALL = (
    _cmdlet("Hyper-V\\Get-VM", f"{_HYPERV}GetVM", "Name", "Id guid Id", "Name string[] Name"),
    _cmdlet(
        "Hyper-V\\Get-VMHost", f"{_HYPERV}GetVMHost", "ComputerName", "ComputerName string[] ComputerName"
    ),
    _cmdlet(
        "Hyper-V\\New-VM",
        f"{_HYPERV}NewVM",
        "No VHD",
        "Name string *",
        "Path string *",
        "Generation int16 * 1|2",
        "MemoryStartupBytes long *",
        "NewVHDPath string New_VHD!",
        "NewVHDSizeBytes uint64 New_VHD!",
        "SwitchName string *",
        "NoVHD switch No_VHD",
        "VHDPath string Existing_VHD!",
    ),
    _cmdlet(
        "Hyper-V\\Set-VM",
        f"{_HYPERV}SetVM",
        "Name",
        _VM,
        _NAME,
        "ProcessorCount long *",
        "MemoryStartupBytes long *",
        "StaticMemory switch *",
        "CheckpointType CheckpointType *",
        "AutomaticCheckpointsEnabled bool *",
        "NewVMName string *",
        "Notes string *",
    ),
    _cmdlet(
        "Hyper-V\\Set-VMMemory", f"{_HYPERV}SetVMMemory", "VMName", _VM, _VM_NAME, "StartupBytes long *"
    ),
    _cmdlet("Hyper-V\\Remove-VM", f"{_HYPERV}RemoveVM", "Name", _VM, _NAME, "Force switch *"),
    _cmdlet(
        "Hyper-V\\Remove-VMNetworkAdapter",
        f"{_HYPERV}RemoveVMNetworkAdapter",
        "VMName",
        _VM,
        _VM_NAME,
        "ManagementOS switch ManagementOS!",
        "VMNetworkAdapter VMNetworkAdapterBase[] ResourceObject!",
    ),
    _cmdlet("Hyper-V\\Start-VM", f"{_HYPERV}StartVM", "Name", _VM, _NAME),
    _cmdlet("Hyper-V\\Resume-VM", f"{_HYPERV}ResumeVM", "Name", _VM, _NAME),
    _cmdlet("Hyper-V\\Save-VM", f"{_HYPERV}SaveVM", "Name", _VM, _NAME),
    _cmdlet(
        "Hyper-V\\Stop-VM", f"{_HYPERV}StopVM", "Name", _VM, _NAME, "TurnOff switch *", "Force switch *"
    ),
    _cmdlet(
        "Hyper-V\\Remove-VMSavedState",
        f"{_HYPERV}RemoveVMSavedState",
        "VMName",
        _VM,
        _VM_NAME,
        "VMSnapshot VMSnapshot VMSnapshot!",
    ),
    _cmdlet("Hyper-V\\Get-VHD", f"{_VHD}GetVhd", "Path", "VMId guid[] VMId!", "Path string[] Path!"),
    _cmdlet(
        "Hyper-V\\Resize-VHD",
        f"{_VHD}ResizeVhd",
        "Size",
        "Path string[] *!",
        "SizeBytes uint64 Size!",
        "ToMinimumSize switch MinimumSize!",
    ),
    _cmdlet(
        "Hyper-V\\Checkpoint-VM", f"{_HYPERV}CheckpointVM", "Name", _VM, _NAME, "SnapshotName string *"
    ),
    _cmdlet(
        "Hyper-V\\Get-VMSnapshot",
        f"{_HYPERV}GetVMSnapshot",
        "VMName",
        _VM,
        _VM_NAME,
        "Id guid Id!",
        "Name string VMName Parent Child VMObject",
        "ParentOf VirtualMachineBase Parent!",
        "ChildOf VMSnapshot Child!",
    ),
    _cmdlet(
        "Hyper-V\\Restore-VMSnapshot",
        f"{_HYPERV}RestoreVMSnapshot",
        "SnapshotName",
        "VMSnapshot VMSnapshot SnapshotObject!",
        "Name string SnapshotName! VM!",
        "VM VirtualMachine VM!",
        "VMName string SnapshotName!",
    ),
    _cmdlet(
        "Hyper-V\\Remove-VMSnapshot",
        f"{_HYPERV}RemoveVMSnapshot",
        "SnapshotName",
        _VM,
        "VMName string[] SnapshotName!",
        "VMSnapshot VMSnapshot[] SnapshotObject!",
    ),
    _cmdlet(
        "Hyper-V\\Enable-VMResourceMetering",
        f"{_HYPERV}EnableVMResourceMetering",
        "VMName",
        _VM,
        _VM_NAME,
    ),
    _cmdlet(
        "Hyper-V\\Get-VMFirmware",
        f"{_HYPERV}GetVMFirmware",
        "VMName",
        _VM,
        _VM_NAME,
        "VMSnapshot VMSnapshot VMSnapshot!",
    ),
    _cmdlet(
        "Hyper-V\\Set-VMFirmware",
        f"{_HYPERV}SetVMFirmware",
        "VMName",
        _VM,
        _VM_NAME,
        "EnableSecureBoot OnOffState *",
        "SecureBootTemplate string *",
    ),
    _cmdlet(
        "Hyper-V\\Get-VMHardDiskDrive",
        f"{_HYPERV}GetVMHardDiskDrive",
        "VMName",
        _VM,
        _VM_NAME,
        "VMSnapshot VMSnapshot VMSnapshot!",
        "VMDriveController VMDriveController[] VMDriveController!",
        "ControllerType ControllerType VMName VMObject VMSnapshot",
        "ControllerNumber int VMName VMObject VMSnapshot",
        "ControllerLocation int *",
    ),
    _cmdlet(
        "Hyper-V\\Set-VMHardDiskDrive",
        f"{_HYPERV}SetVMHardDiskDrive",
        "VMName",
        "VMHardDiskDrive HardDiskDrive[] Object!",
        "VMName string VMName!",
        "Path string *",
    ),
    _cmdlet(
        "Hyper-V\\Add-VMHardDiskDrive",
        f"{_HYPERV}AddVMHardDiskDrive",
        "VMName",
        _VM,
        _VM_NAME,
        "ControllerType ControllerType VMName VMObject",
        "ControllerNumber int VMName VMObject",
        "ControllerLocation int *",
        "Path string *",
    ),
    _cmdlet(
        "Hyper-V\\Remove-VMHardDiskDrive",
        f"{_HYPERV}RemoveVMHardDiskDrive",
        "VMName",
        "VMHardDiskDrive HardDiskDrive[] VMHardDiskDrive!",
        "VMName string VMName!",
        "ControllerType ControllerType VMName!",
        "ControllerNumber int VMName!",
        "ControllerLocation int VMName!",
    ),
    _cmdlet(
        "Hyper-V\\New-VHD",
        f"{_VHD}NewVhd",
        "DynamicWithoutSource",
        "Path string[] *!",
        "SizeBytes uint64 FixedWithoutSource! DynamicWithoutSource! Differencing",
        "Dynamic switch DynamicWithSource! DynamicWithoutSource",
        "Fixed switch FixedWithSource! FixedWithoutSource!",
        "ParentPath string Differencing!",
        "SourceDisk uint32 FixedWithSource! DynamicWithSource!",
    ),
    _cmdlet(
        "Hyper-V\\Convert-VHD",
        f"{_VHD}ConvertVhd",
        None,
        "Path string *!",
        "DestinationPath string *!",
        "VHDType VhdType *",
    ),
    _cmdlet("Hyper-V\\Measure-VM", f"{_HYPERV}MeasureVM", "Name", _VM, _NAME),
    _cmdlet(
        "Hyper-V\\Move-VM",
        f"{_HYPERV}MoveVM",
        "NameSingleDestination",
        f"VM VirtualMachine {_TO_HOST.format('VM')} {_TO_SESSION.format('VM')}",
        f"Name string {_TO_HOST.format('Name')} {_TO_SESSION.format('Name')}",
        f"DestinationHost string {_TO_HOST.format('Name')} {_TO_HOST.format('VM')}",
        f"DestinationCimSession CimSession {_TO_SESSION.format('Name')} {_TO_SESSION.format('VM')}",
        "IncludeStorage switch NameSingleDestination NameSingleDestinationAndCimSession "
        "VMSingleDestination VMSingleDestinationAndCimSession",
        "VirtualMachinePath string NameMultipleDestinations NameMultipleDestinationsAndCimSession! "
        "VMMultipleDestinations VMMultipleDestinationsAndCimSession!",
    ),
    _cmdlet(
        "Hyper-V\\Move-VMStorage",
        f"{_HYPERV}MoveVMStorage",
        "NameSingleDestination",
        "VM VirtualMachine VMSingleDestination! VMMultipleDestinations!",
        "Name string NameSingleDestination! NameMultipleDestinations!",
        "DestinationStoragePath string NameSingleDestination! VMSingleDestination!",
        "VirtualMachinePath string NameMultipleDestinations VMMultipleDestinations",
        "SnapshotFilePath string NameMultipleDestinations VMMultipleDestinations",
        "SmartPagingFilePath string NameMultipleDestinations VMMultipleDestinations",
        "Vhds hashtable[] NameMultipleDestinations VMMultipleDestinations",
    ),
    _cmdlet(
        "FailoverClusters\\Get-Cluster",
        f"{_CLUSTER}GetClusterCommand",
        "Name",
        "Name string Name",
    ),
    _cmdlet("FailoverClusters\\Get-ClusterNode", f"{_CLUSTER}GetNodeCommand", "InputObject"),
    _cmdlet("FailoverClusters\\Get-ClusterGroup", f"{_CLUSTER}GetGroupCommand", "InputObject"),
    _cmdlet(
        "FailoverClusters\\Add-ClusterVirtualMachineRole",
        f"{_CLUSTER}AddClusterVirtualMachineRoleCommand",
        None,
        "Name string",
        "VMId guid",
    ),
    _cmdlet(
        "FailoverClusters\\Move-ClusterVirtualMachineRole",
        f"{_CLUSTER}MoveClusterVirtualMachineRoleCommand",
        None,
        "VMId guid",
        "Node string",
        "MigrationType VmMigrationType",
    ),
    _cmdlet(
        "FailoverClusters\\Remove-ClusterGroup",
        f"{_CLUSTER}RemoveGroupCommand",
        "InputObject",
        "VMId guid",
        "RemoveResources switch",
        "Force switch",
    ),
    # These are no part of the reflected modules; their signatures are taken from Microsoft's documentation.
    _cmdlet(
        "CimCmdlets\\Get-CimInstance",
        "Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand",
        "ClassNameComputerSet",
        "ClassName string ClassNameComputerSet!",
        "Namespace string ClassNameComputerSet",
    ),
    _cmdlet("Storage\\Get-Volume", "Get-Volume", "ByFilePath", "FilePath string ByFilePath"),
    _cmdlet(
        "Microsoft.PowerShell.Management\\Get-Item",
        "Microsoft.PowerShell.Commands.GetItemCommand",
        "Path",
        "LiteralPath string[] LiteralPath!",
        "Path string[] Path!",
    ),
    _cmdlet(
        "Microsoft.PowerShell.Management\\Remove-Item",
        "Microsoft.PowerShell.Commands.RemoveItemCommand",
        "Path",
        "Path string[] Path!",
        "Recurse switch *",
        "Force switch *",
    ),
    _cmdlet(
        "Microsoft.PowerShell.Management\\Rename-Item",
        "Microsoft.PowerShell.Commands.RenameItemCommand",
        "ByPath",
        "LiteralPath string ByLiteralPath!",
        "Path string ByPath!",
        "NewName string *!",
    ),
    # Functions of the dispatcher's own.
    _cmdlet("New-Folder", "", None, "Path string *!"),
    _cmdlet("Read-Chunk", "", None, "Path string *!", "At long *!", "Count int *!"),
    _cmdlet("Write-Chunk", "", None, "Path string *!", "At long *!", "Data string *!"),
)

CMDLETS: Mapping[str, Cmdlet] = {one.name: one for one in _ALL}
