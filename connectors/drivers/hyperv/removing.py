"""Removing a machine, and then its files.

The files go after the machine: a removal that is refused leaves it whole. Where they are is known without the machine as
long as that is the folder of new machines or a storage; of others it is noted at the host before (`noting`).
"""

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

from connectors.drivers.hyperv import marks, noting
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError, Scalar
from connectors.drivers.hyperv.faults import is_gone
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import Op

IN_USE = "RemoveFileSystemItemIOError"
POLL_S = 0.5

_REMOVE = "Hyper-V\\Remove-VM"
_REMOVE_ROLE = "FailoverClusters\\Remove-ClusterGroup"
_REMOVABLE = frozenset({"Off", "Saved"})
"""States that Windows removes a machine in, with what it saved."""
_OWN_FOLDER = re.compile(r"^(.*\\tierwise-[0-9a-f-]{36}-[0-9a-f]{8})(?:\\|$)")
_WILD = re.compile(r"([\[\]`*?])")


def remove_all(op: Op, there: Op, found: Iterable[Machine], folder: str, identity: UUID) -> None:
    """Remove an identity's machines, and then their folders; `there` is the host that has the folder of new machines.

    What a call that was cut off has left is removed too.
    """
    machines = list(found)
    storages = op.session.settings.storages.values()
    noted = noting.noted(there, folder, identity)
    bases = {base.lower(): base for base in (*noted, *map(_base, machines)) if base}
    known = {base.lower() for base in (folder, *storages)}
    if bases.keys() - known - {base.lower() for base in noted}:
        noting.note(there, folder, identity, bases.values())
    for machine in machines:
        remove(op.at(machine.node), machine)
    # The last one holds the note.
    bases.pop(folder.lower(), None)
    remove_folders(there, filter(None, [*bases.values(), folder]), identity, also=storages)


def remove(op: Op, machine: Machine) -> None:
    """Remove a machine of ours, whatever its state; nothing if it is gone already. Its files stay.

    A cluster's role has to go first, and may be refused by a right of its own; where the machine is refused, the role
    comes back.
    """
    commands = [Command("Hyper-V\\Get-VM", {"Id": machine.id})]
    if machine.state not in _REMOVABLE:
        commands.append(switch_off(machine))
    if machine.clustered and machine.node:
        role: dict[str, Scalar] = {"VMId": machine.id, "RemoveResources": True, "Force": True}
        commands.append(Command(_REMOVE_ROLE, role))
    commands.append(Command(_REMOVE, {"Force": True}, {"VM": "0"}))
    try:
        op.run(*commands)
    except PowerShellError as error:
        if is_gone(error) and error.cmdlet != _REMOVE_ROLE:
            return
        if machine.clustered and machine.mark is not None and error.cmdlet == _REMOVE:
            with suppress(*op.session.failures), op.session.deadline.cleanup():
                op.run(add_role(machine, machine.mark.identity))
        raise


def add_role(machine: Machine, identity: UUID) -> Command:
    """Make a machine a role of its cluster, named after the identity, so that it can be told while its node is down."""
    role = {"Name": f"tierwise-{identity}", "VMId": machine.id}
    return Command("FailoverClusters\\Add-ClusterVirtualMachineRole", role)


def _base(machine: Machine) -> str:
    """The folder that the machine's own folder is in."""
    return own_folder(machine).rpartition("\\")[0]


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

    Windows may hold a machine's files for a while after the machine is gone, as long as it merges its checkpoints, so
    this asks again until the deadline. Where the machine was not, in `also`, a volume that is missing holds nothing up.
    The last of `bases` comes last.
    """
    name = marks.folder_name(identity, attempt)
    strict = {base.lower(): base for base in bases}
    others = {base.lower(): base for base in also if base.lower() not in strict}
    commands = [remove_files(f"{escaped(base)}\\{name}*", optional=True) for base in others.values()]
    commands += [remove_files(f"{escaped(base)}\\{name}*") for base in strict.values()]
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
