"""Disks in and out. A disk goes out by an export's lease, and comes in as the disk of a machine of its own.

vSphere takes a compressed disk only where it makes the machine that has it (ImportVApp). So an import makes
a helper machine with a disk of the same size beside ours, fills that, and lets it take the place of ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

from connectors.contract import Tell
from connectors.drivers.vsphere import details, devices, lease, policies, tasks, vmdk
from connectors.drivers.vsphere.creating import destroy
from connectors.drivers.vsphere.estate import Machine, disks, need_machine, provider_of
from connectors.drivers.vsphere.faults import is_fault
from connectors.drivers.vsphere.lease import Lease
from connectors.drivers.vsphere.marks import IMPORT_KEY
from connectors.drivers.vsphere.session import Op, Properties, read_object
from connectors.errors import Conflict, ConnectorError, NotFound, Refused

HELPER_NAME = "tierwise-import-"
"""What the names of helper machines, and of their folders on the datastore, begin with."""

_HELPER_PLACE = "ParaVirtualSCSIController0:0"
_HELPER_PATHS = ("config.hardware.device", "config.files.vmPathName", "config.extraConfig")
_HOME_PATHS = ("parent", "resourcePool", "runtime.host")


class Outward(NamedTuple):
    """An export under way: its lease, and which of the disks offered is wanted."""

    lease: Lease
    place: str
    capacity_bytes: int


def begin_export(op: Op, identity: UUID, key: str) -> Outward:
    """Get a lease on the machine's disks. Raises NotFound, or Conflict where the machine is not off."""
    machine = _machine_off(op, identity)
    disk = _disk(op, machine, key)
    got = lease.ready(op, machine.object.ExportVm)
    return Outward(got, _place(machine, disk), details.size_bytes(disk))


def finish_export(op: Op, outward: Outward, to: BinaryIO, tell: Tell) -> None:
    """Write the disk into the file."""
    with lease.ending(outward.lease):
        lease.download(op, outward.lease, outward.place, outward.capacity_bytes, to, tell)


class Inward(NamedTuple):
    """An import under way: the lease on the helper machine, and the disk that the helper's is to replace."""

    lease: Lease
    helper: Any
    place: str
    file_name: str
    datacenter: Any
    size_bytes: int


def begin_import(op: Op, identity: UUID, key: str, source: BinaryIO) -> Inward:
    """Make the helper, and get a lease on its disk. Raises as `begin_export`, and Refused for a wrong file."""
    machine = _machine_off(op, identity)
    disk = _disk(op, machine, key)
    _check_replaceable(op, machine, disk)
    size_bytes = _check_file(op, source, details.size_bytes(disk))
    home = read_object(op.session, machine.object, _HOME_PATHS)
    folder = _folder(op, home)
    pool = op.session.object(op.session.vim.ResourcePool, home["resourcePool"])
    host = op.session.object(op.session.vim.HostSystem, home["runtime.host"])
    home_datacenter = provider_of(op, home["runtime.host"]).datacenter or ""
    datacenter = op.session.object(op.session.vim.Datacenter, home_datacenter)
    name = f"{HELPER_NAME}{identity}-{key}"
    _remove_leftover(op, folder, name, datacenter)
    spec = op.session.vim.vm.VmImportSpec(configSpec=_helper(op, name, machine, disk))
    got = lease.ready(op, lambda: pool.ImportVApp(spec=spec, folder=folder, host=host))
    return Inward(got, got.info.entity, _HELPER_PLACE, disk.backing.fileName, datacenter, size_bytes)


def finish_import(op: Op, inward: Inward, source: BinaryIO, tell: Tell) -> None:
    """Fill the helper's disk, let it take the place of the machine's, and remove the helper."""
    with _helper_removed(op, inward):
        with lease.ending(inward.lease):
            lease.upload(op, inward.lease, inward.place, source, inward.size_bytes, tell)
        op.session.deadline.begin()
        _swap(op, inward)


def _machine_off(op: Op, identity: UUID) -> Machine:
    machine = need_machine(op, identity)
    if machine.power != "poweredOff":
        why = "disks are carried only while the machine is off"
        raise op.error(Conflict, why, hint="shut it down first")
    return machine


def _disk(op: Op, machine: Machine, key: str) -> Any:
    found = {str(disk.key): disk for disk in disks(op, machine.row)}
    if key not in found:
        there = ", ".join(f"'{one}'" for one in sorted(found)) or "none"
        raise op.error(NotFound, f"the machine has no disk '{key}'; it has: {there}")
    return found[key]


def _place(machine: Machine, disk: Any) -> str:
    """The disk's place in the words of a lease: ``ParaVirtualSCSIController0:1``."""
    controller = details.controller_of(machine, disk)
    bus = getattr(controller, "busNumber", 0)
    return f"{details.kind_name(controller)}{bus}:{disk.unitNumber}"


def _check_replaceable(op: Op, machine: Machine, disk: Any) -> None:
    if machine.row.get("snapshot") is not None or getattr(disk.backing, "parent", None) is not None:
        why = "a disk cannot be replaced while the machine has snapshots"
        raise op.error(Conflict, why, hint="delete its snapshots first")
    if not isinstance(disk.backing, op.session.vim.vm.device.VirtualDisk.FlatVer2BackingInfo):
        kind = details.kind_name(disk.backing)
        raise op.error(Refused, f"a disk of the kind {kind} cannot be replaced", hint="use vCenter")


def _check_file(op: Op, source: BinaryIO, wanted_bytes: int) -> int:
    """The file's size in bytes, its reading position brought to the beginning."""
    try:
        size_bytes = source.seek(0, 2)
        source.seek(0)
        header = vmdk.Header.read(source.read(vmdk.HEADER_BYTES))
        source.seek(0)
    except vmdk.NotStreamOptimised as error:
        hint = "convert it: qemu-img convert -O vmdk -o subformat=streamOptimized FROM TO"
        raise op.error(Refused, f"the file cannot be taken: {error}", hint=hint) from error
    except OSError as error:
        raise op.error(Refused, f"the file of the disk cannot be read: {error}") from error
    if header.capacity_bytes != wanted_bytes:
        why = (
            f"the file holds a disk of {header.capacity_bytes} bytes, and the machine's has {wanted_bytes}"
        )
        raise op.error(
            Conflict, why, hint="resize the machine's disk, or the file's, so that they are equal"
        )
    return size_bytes


def _folder(op: Op, home: Properties) -> Any:
    if "parent" not in home:
        why = "the machine is in a vApp, and stands in no folder"
        raise op.error(Refused, why, hint="move it out of the vApp in vCenter")
    return op.session.object(op.session.vim.Folder, home["parent"])


def _helper(op: Op, name: str, machine: Machine, disk: Any) -> Any:
    """The smallest machine that can have such a disk, on the datastore of ours and with its storage policy."""
    vim = op.session.vim
    datastore = disk.backing.fileName.partition("]")[0].removeprefix("[")
    added = devices.disk(vim, 1, datastore)
    added.device.capacityInBytes = details.size_bytes(disk)
    added.device.capacityInKB = details.size_bytes(disk) // 1024
    added.device.backing.thinProvisioned = disk.backing.thinProvisioned
    added.profile = policies.kept(op, machine, disk)
    return vim.vm.ConfigSpec(
        name=name,
        annotation="Made by tierwise to bring in a disk; it goes when that is done.",
        extraConfig=[vim.option.OptionValue(key=IMPORT_KEY, value=str(machine.identity))],
        guestId=op.session.settings.options.guest_id,
        numCPUs=1,
        memoryMB=4,
        files=vim.vm.FileInfo(vmPathName=f"[{datastore}]"),
        deviceChange=[devices.scsi_controller(vim), added],
    )


def _swap(op: Op, inward: Inward) -> None:
    """Detach the helper's disk, and move its file to where the machine's is."""
    vim, manager = op.session.vim, op.session.content.virtualDiskManager
    helper, datacenter, file_name = inward.helper, inward.datacenter, inward.file_name
    row = read_object(op.session, helper, _HELPER_PATHS)
    (filled,) = disks(op, row)
    remove = vim.vm.device.VirtualDeviceSpec(
        operation=vim.vm.device.VirtualDeviceSpec.Operation.remove, device=filled
    )
    tasks.run(op, helper.ReconfigVM_Task(spec=vim.vm.ConfigSpec(deviceChange=[remove])), helper)
    # From here to the move the machine has no disk file; repeating the import puts that right.
    with _may_be_gone(op):
        tasks.run(op, manager.DeleteVirtualDisk_Task(name=file_name, datacenter=datacenter))
    task = manager.MoveVirtualDisk_Task(
        sourceName=filled.backing.fileName,
        sourceDatacenter=datacenter,
        destName=file_name,
        destDatacenter=datacenter,
        force=False,
    )
    tasks.run(op, task)


@contextmanager
def _helper_removed(op: Op, inward: Inward) -> Iterator[None]:
    """Remove the helper after what is inside, also when that failed."""
    try:
        yield
    except BaseException:
        with suppress(ConnectorError, *op.session.failures), op.session.deadline.cleanup():
            _remove(op, inward.helper, inward.datacenter)
        raise
    _remove(op, inward.helper, inward.datacenter)


def _remove_leftover(op: Op, folder: Any, name: str, datacenter: Any) -> None:
    """Remove the helper of an earlier import that was cut off."""
    found = op.session.content.searchIndex.FindChild(folder, name)
    if found is None:
        return
    settings = read_object(op.session, found, ["config.extraConfig"]).get("config.extraConfig", ())
    if IMPORT_KEY not in {option.key for option in settings}:
        why = f"another machine is named '{name}' in that folder"
        raise op.error(Conflict, why, hint="rename it in vCenter", code="DuplicateName")
    _remove(op, found, datacenter)


def _remove(op: Op, helper: Any, datacenter: Any) -> None:
    """Remove the helper, and what a cut-off import left in its folder on the datastore."""
    with _may_be_gone(op):
        row = read_object(op.session, helper, _HELPER_PATHS)
        destroy(op, Machine(helper, UUID(int=0), row))
        path = str(row.get("config.files.vmPathName", "")).rpartition("/")[0]
        # Only a folder of the helper's own name: on vSAN folders have other names, and nothing is left in them.
        if path.partition("] ")[2].startswith(HELPER_NAME):
            manager = op.session.content.fileManager
            tasks.run(op, manager.DeleteDatastoreFile_Task(name=path, datacenter=datacenter))


@contextmanager
def _may_be_gone(op: Op) -> Iterator[None]:
    """What is inside removes something; that it is not there is as good."""
    try:
        yield
    except op.session.fault as fault:
        if not is_fault(fault, "ManagedObjectNotFound", "FileNotFound"):
            raise
