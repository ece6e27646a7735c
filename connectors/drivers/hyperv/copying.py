"""A machine whose disk is a template's copy: the host makes the copy first, and then the machine.

A copy of many GiB takes longer than a call has. So everything is one request, which the host carries out to its
end also where nobody waits for the answer any more: copy, grow, claim, make. Only a machine whose disk is whole can
be elected, or be finished by another worker.

All copies of one identity go to the same file, below ``tierwise-<identity>-00000000``. Windows makes no file that is
there already, so one is written at a time, and whoever comes meanwhile waits for it. Renaming the folder claims the
copy: one process can do that, and it makes the machine. A file that stands still, and that nothing has open, is what
a process that was ended left behind; it is removed.
"""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.dispatcher import BadReply, Command, PowerShellError, Scalar
from connectors.drivers.hyperv.machines import Machine, claimants, every
from connectors.drivers.hyperv.offering import Template
from connectors.drivers.hyperv.removing import escaped, remove_files
from connectors.drivers.hyperv.session import NotYetDone, Op
from connectors.errors import ConnectorError, Unreachable

LOOK_S = 1.0
"""Between two looks at another worker's copy."""
STILL_S = 5.0
"""For so long a copy that its process still works on does not stand still with its file closed, and one that was
claimed has no machine."""
PATIENCE_SHARE = 0.3
"""The same as a part of the deadline, where that is less."""
STARTS = 3
"""How often one call begins a copy whose end it did not learn."""

_RESIZE = "Hyper-V\\Resize-VHD"
_RENAME = "Microsoft.PowerShell.Management\\Rename-Item"


class Copying(NamedTuple):
    """What is to be made: by `there`, the host or the node, of the machines that `op` sees."""

    op: Op
    there: Op
    base: str
    """The folder of new machines."""
    identity: UUID
    attempt: str
    template: Template
    size_bytes: int
    """Of the machine's disk."""
    new: Command
    """What makes the machine with the copy as its disk."""

    @property
    def folder(self) -> str:
        """Where the copy is until it is claimed."""
        return f"{self.base}\\{marks.folder_name(self.identity, marks.COPYING)}"

    @property
    def path(self) -> str:
        """The copy."""
        return f"{self.folder}\\disks\\disk.vhdx"

    def commands(self) -> list[Command]:
        """All that the host is to do."""
        convert = {"Path": self.template.path, "DestinationPath": self.path, "VHDType": "Dynamic"}
        made = [
            Command("New-Folder", {"Path": f"{self.folder}\\disks"}),
            Command("Hyper-V\\Convert-VHD", convert),
        ]
        if self.size_bytes != self.template.size_bytes:
            made.append(Command(_RESIZE, {"Path": self.path, "SizeBytes": self.size_bytes}))
        claimed = marks.folder_name(self.identity, self.attempt)
        made.append(Command(_RENAME, {"LiteralPath": self.folder, "NewName": claimed}))
        return [*made, self.new]


def made(copying: Copying) -> list[Machine]:
    """All machines, once one of the identity is there, by whomever it was made. Raises what the copy failed with."""
    deadline = copying.op.session.deadline
    still_s = min(STILL_S, deadline.left_s() * PATIENCE_SHARE)
    failure: Exception | None = None
    size: int | None = None
    since_s, starts = -math.inf, 0
    while True:
        seen = every(copying.op)
        if found := claimants(seen, copying.identity):
            if failure is not None and any(marks.made_by(one.mark, copying.attempt) for one in found):
                raise failure  # what made it says that it is not as it was to be
            return seen
        before, size = size, _size(copying)
        if size != before:
            since_s = time.monotonic()
            if size is not None and before is not None and size > before:
                # Another worker's, which ours failed because of.
                failure = None
                deadline.begin()
        elif time.monotonic() - since_s >= still_s:
            since_s = time.monotonic()
            if size is None:
                if failure is not None:
                    raise failure
                failure = _made_here(copying, last=starts >= STARTS - 1)
                starts += 1
                since_s = time.monotonic()
                continue
            if _is_closed(copying):
                copying.there.run(remove_files(f"{escaped(copying.folder)}\\disks\\disk*", optional=True))
                size, since_s = None, -math.inf
        time.sleep(min(LOOK_S, deadline.left_s()))


def answer_lost(error: Exception) -> bool:
    """Whether the host may have done, or may still be doing, what it was asked; of the failures of a session."""
    return not isinstance(error, PowerShellError | BadReply | NotYetDone | ConnectorError)


def forget(copying: Copying) -> None:
    """Remove a copy that nobody claimed; one that is still written is left to whoever waits for it. Raises failures."""
    copying.there.run(remove_files(f"{escaped(copying.folder)}*"))


def _made_here(copying: Copying, *, last: bool) -> Exception | None:
    """Copy, and make the machine; what that failed with, and None also where the answer was lost.

    Then the host may still be at it. Raises TimeoutError where the copy came no further, and the `last` loss.
    """
    session = copying.there.session
    try:
        _carried_out(copying)
    except (PowerShellError, BadReply) as error:
        return error
    except session.failures as error:
        if last or not answer_lost(error):
            raise
        return None
    session.deadline.begin()
    if last:
        why = f"the new machine {copying.identity} is not there right after it was made"
        return copying.op.error(Unreachable, why, hint="somebody removed it; repeat the call")
    return None


def _carried_out(copying: Copying) -> None:
    """Let the host do all; again from where it failed while somebody's look, or Windows, has the copy open."""
    progress = _Progress(copying)
    commands: Sequence[Command] = copying.commands()
    patient_until_s = None
    while True:
        try:
            copying.there.run_long(commands, progress.look)
        except PowerShellError as error:
            now_s = time.monotonic()
            patient_until_s = patient_until_s or now_s + STILL_S / 2
            if error.cmdlet not in {_RESIZE, _RENAME} or now_s >= patient_until_s:
                raise
            commands = commands[[one.name for one in commands].index(error.cmdlet) :]
            time.sleep(min(LOOK_S / 2, copying.op.session.deadline.left_s()))
        else:
            return


def _size(copying: Copying) -> int | None:
    """Bytes that the copy's file has; None where there is none."""
    where = {"LiteralPath": copying.path}
    look = Command("Microsoft.PowerShell.Management\\Get-Item", where, select=("Length",), optional=True)
    (found,) = copying.there.run(look)
    return int(found[0]["Length"]) if found else None


def _is_closed(copying: Copying) -> bool:
    """Whether nothing writes the copy; Windows lets nobody read what a conversion is writing."""
    where: dict[str, Scalar] = {"Path": copying.path, "Offset": 0, "Count": 1}
    (found,) = copying.there.run(Command("Read-Chunk", where, select=("Size",), optional=True))
    return bool(found)


class _Progress:
    """How far our own copy has come."""

    def __init__(self, copying: Copying) -> None:
        self._copying = copying
        self._size = 0

    def look(self) -> bool:
        """Whether it has come further since the last look."""
        before, self._size = self._size, max(self._size, _size(self._copying) or 0)
        return self._size > before
