"""Taking a disk out of a machine with its file, by one reconfiguration."""

from typing import Any

from connectors.contract import Disk
from connectors.drivers.vsphere import details
from connectors.drivers.vsphere.adding import check_state, reconfigure
from connectors.drivers.vsphere.estate import Machine, disks
from connectors.drivers.vsphere.inventory import shown_name
from connectors.drivers.vsphere.session import Op, read_object
from connectors.errors import Conflict
from connectors.removal import to_remove

_HOME = "config.files.vmPathName"


def remove(op: Op, machine: Machine, disk: Disk) -> None:
    """Remove a disk; nothing if it is gone. Raises Conflict."""
    found = to_remove(op.endpoint, shown_name(machine.row["name"]), disk, details.of(op, machine).disks)
    if found is None:
        return
    check_state(op, machine)
    device = next(one for one in disks(op, machine.row) if str(one.key) == found.key)
    _check_home(op, machine, device)
    vim = op.session.vim
    kind = vim.vm.device.VirtualDeviceSpec
    change = kind(operation=kind.Operation.remove, fileOperation=kind.FileOperation.destroy, device=device)
    # A setting with an empty value is one that vCenter takes away.
    nameless = vim.option.OptionValue(key=details.LABEL_KEY + disk.name, value="")
    reconfigure(op, machine, vim.vm.ConfigSpec(deviceChange=[change], extraConfig=[nameless]))


def _check_home(op: Op, machine: Machine, device: Any) -> None:
    """A name is that of a place, into which somebody may have put a disk of another machine."""
    home = _folder(read_object(op.session, machine.object, [_HOME]).get(_HOME, ""))
    file = str(getattr(device.backing, "fileName", None) or "")
    if _folder(file) != home:
        why = f"the disk is '{file}', and only disks in the machine's own folder '{home}' are removed"
        raise op.error(Conflict, why, hint="remove it in vCenter")


def _folder(path: str) -> str:
    """``[store] web/web_1.vmdk`` is in ``[store] web``."""
    return path.rpartition("/")[0]
