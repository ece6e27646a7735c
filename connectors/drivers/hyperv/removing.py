"""Removing a machine whole: its power, its disks, itself, its folder."""

import re
import time
from collections.abc import Iterable
from uuid import UUID

from connectors.contract import PowerState
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError, Scalar
from connectors.drivers.hyperv.faults import is_gone
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import Op

IN_USE = "RemoveFileSystemItemIOError"
POLL_S = 0.5

_OWN_FOLDER = re.compile(r"^(.*\\tierwise-[0-9a-f-]{36}-[0-9a-f]{8})(?:\\|$)")
_WILD = re.compile(r"([\[\]`*?])")


def remove(op: Op, machine: Machine) -> None:
    """Remove a machine of ours and its disks, whatever its state; nothing if it is gone already.

    The disks go before the machine: a removal that is cut off leaves one that can be removed again. They go after the
    cluster's role, whose removal needs a right of its own and may be refused.
    """
    vm = {"VM": "0"}
    commands = [Command("Hyper-V\\Get-VM", {"Id": machine.id})]
    if machine.power is not PowerState.OFF:
        commands.append(switch_off(machine))
    if machine.clustered and machine.node:
        role: dict[str, Scalar] = {"VMId": machine.id, "RemoveResources": True, "Force": True}
        commands.append(Command("FailoverClusters\\Remove-ClusterGroup", role))
    if own := own_folder(machine):
        commands.append(remove_files(f"{escaped(own)}\\disk[s]"))
    commands.append(Command("Hyper-V\\Remove-VM", {"Force": True}, vm))
    try:
        op.run(*commands)
    except PowerShellError as error:
        if not is_gone(error):
            raise


def own_folder(machine: Machine) -> str:
    """The folder that was made for the machine; empty where it lies elsewhere."""
    found = _OWN_FOLDER.match(machine.path)
    return found[1] if found else ""


def switch_off(machine: Machine) -> Command:
    """What ends a machine, the first result of a run, that runs, is paused, or has a saved state."""
    if machine.state in {"Saved", "FastSaved"}:
        return Command("Hyper-V\\Remove-VMSavedState", refs={"VM": "0"})
    return Command("Hyper-V\\Stop-VM", {"TurnOff": True, "Force": True}, {"VM": "0"})


def remove_folders(
    op: Op, bases: Iterable[str], identity: UUID, attempt: str = "", *, also: Iterable[str] = ()
) -> None:
    """Remove the folders that an identity's machines had, or those of one attempt; none is fine too.

    Windows may hold a machine's files for a moment after the machine is gone, so this asks again until
    the deadline. Where the machine was not, in `also`, a volume that is missing holds nothing up.
    """
    name = marks.folder_name(identity, attempt)
    strict = {base.lower(): base for base in bases}
    others = {base.lower(): base for base in also if base.lower() not in strict}
    commands = [remove_files(f"{escaped(base)}\\{name}*") for base in strict.values()]
    commands += [remove_files(f"{escaped(base)}\\{name}*", optional=True) for base in others.values()]
    while True:
        try:
            op.run(*commands)
        except PowerShellError as error:
            if error.kind != IN_USE or op.session.deadline.left_s() <= 2 * POLL_S:
                raise
            time.sleep(POLL_S)
        else:
            return


def escaped(path: str) -> str:
    """The path as a pattern that stands for itself; Remove-Item takes patterns."""
    return _WILD.sub(r"`\1", path)


def remove_files(pattern: str, *, optional: bool = False) -> Command:
    """Remove what matches; a pattern, unlike a plain path, may match nothing."""
    settings: dict[str, Scalar] = {"Path": pattern, "Recurse": True, "Force": True}
    return Command("Microsoft.PowerShell.Management\\Remove-Item", settings, optional=optional)
