"""Further disks of a machine, and the growth of single ones, each by one reconfiguration.

A disk's name is one of the machine's free settings (`config.extraConfig`), which says where it is plugged in: file
names do not last, as vCenter renames files that it moves to another datastore.
"""

from typing import Any, NoReturn

from connectors.contract import NewDisk
from connectors.drivers.vsphere import details, devices, policies, tasks
from connectors.drivers.vsphere.estate import Machine, disks
from connectors.drivers.vsphere.inventory import GIB
from connectors.drivers.vsphere.session import Op
from connectors.errors import Conflict, NotFound

RESERVED_UNIT = 7
"""The place of the SCSI controller itself."""
MOST_UNITS = 16
"""Places of every kind of SCSI controller; newer paravirtual ones have more."""


def add(op: Op, machine: Machine, disk: NewDisk) -> None:
    """Add a disk; nothing if it is there. Raises Conflict."""
    there = next((one for one in disks(op, machine.row) if details.label(machine, one) == disk.name), None)
    if there is not None:
        has = details.size_bytes(there)
        if has != disk.size_gib * GIB:
            what = f"has a disk '{disk.name}' of {-(-has // GIB)} GiB"
            _refuse(op, what, "grow it, or choose another name")
        return
    check_state(op, machine)
    controller, unit = _free_place(op, machine)
    vim = op.session.vim
    change = devices.disk(vim, disk.size_gib, "", controller_key=controller.key, unit=unit)
    change.profile = policies.kept(op, machine)
    setting = vim.option.OptionValue(
        key=details.LABEL_KEY + disk.name, value=details.place(controller.key, unit)
    )
    reconfigure(op, machine, vim.vm.ConfigSpec(deviceChange=[change], extraConfig=[setting]))


def grow(op: Op, machine: Machine, key: str, size_gib: int) -> None:
    """Grow a disk; nothing if it has that size. Raises NotFound, Conflict."""
    found = {str(disk.key): disk for disk in disks(op, machine.row)}
    if key not in found:
        there = ", ".join(f"'{one}'" for one in found) or "none"
        raise op.error(NotFound, f"the machine has no disk '{key}'; there are: {there}")
    disk, wanted = found[key], size_gib * GIB
    has = details.size_bytes(disk)
    if wanted == has:
        return
    if wanted < has:
        what = f"has a disk '{key}' of {-(-has // GIB)} GiB, which cannot shrink to {size_gib} GiB"
        _refuse(op, what, "ask for at least its present size")
    check_state(op, machine)
    controller = details.controller_of(machine, disk)
    if machine.power == "poweredOn" and isinstance(
        controller, op.session.vim.vm.device.VirtualIDEController
    ):
        _refuse(op, f"has disk '{key}' on an IDE controller and runs", "shut it down first")
    change = devices.grown_disk(op.session.vim, disk, wanted // 1024)
    reconfigure(op, machine, op.session.vim.vm.ConfigSpec(deviceChange=[change]))


def check_state(op: Op, machine: Machine) -> None:
    """Raises Conflict for a machine whose disks have to stay as they are."""
    if machine.power == "suspended":
        _refuse(op, "is suspended", "power it on or off first")
    if machine.row.get("snapshot") is not None:
        _refuse(op, "has snapshots, with which its disks stay as they are", "delete them first")


def _free_place(op: Op, machine: Machine) -> tuple[Any, int]:
    """The first SCSI controller that has places, and the one after all that are taken there."""
    kind = op.session.vim.vm.device.VirtualSCSIController
    listed = machine.row.get("config.hardware.device", ())
    for controller in sorted((d for d in listed if isinstance(d, kind)), key=lambda d: d.key):
        taken = [d.unitNumber or 0 for d in listed if getattr(d, "controllerKey", None) == controller.key]
        unit = 1 + max(taken, default=-1)
        unit += unit == RESERVED_UNIT
        if unit < MOST_UNITS:
            return controller, unit
    why = "the machine has no SCSI controller with a free place"
    raise op.error(Conflict, why, hint="add one in vCenter")


def reconfigure(op: Op, machine: Machine, config: Any) -> None:
    """Change the machine in one task, and wait for its end."""
    tasks.run(op, machine.object.ReconfigVM_Task(spec=config), machine.object)


def _refuse(op: Op, what: str, hint: str) -> NoReturn:
    raise op.error(Conflict, f"the machine {what}", hint=hint)
