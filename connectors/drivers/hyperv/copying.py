"""A machine whose disk is a template's copy: the host makes the copy first, and then the machine.

A copy of many GiB takes longer than a call has. So everything is one request, which the host carries out to its
end also where nobody waits for the answer any more: begin, copy, grow, claim, make. Only a machine whose disk is whole
can be elected, or be finished by another worker.

A copy is made in the folder ``tierwise-<identity>-00000000``, whose attempt is nobody's. It begins as the folder of an
attempt that gets this name, which Windows gives to one at a time; whoever comes meanwhile waits. At the end it gets the
attempt's name again, which one process can do, and that makes the machine. A copy that stands still, and that nothing has
open, is what a process that was ended left behind; it is removed.
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
STARTS = 5
"""How often one call begins a copy."""
BEGINNING = 1
"""Which of the commands takes the place of the identity's copy; it fails where that is taken."""

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
        unclaimed = marks.folder_name(self.identity, marks.COPYING)
        claimed = marks.folder_name(self.identity, self.attempt)
        convert = {"Path": self.template.path, "DestinationPath": self.path, "VHDType": "Dynamic"}
        made = [
            Command("New-Folder", {"Path": f"{self.base}\\{claimed}\\disks"}),
            Command(_RENAME, {"LiteralPath": f"{self.base}\\{claimed}", "NewName": unclaimed}),
            Command("Hyper-V\\Convert-VHD", convert),
        ]
        if self.size_bytes != self.template.size_bytes:
            made.append(Command(_RESIZE, {"Path": self.path, "SizeBytes": self.size_bytes}))
        made.append(Command(_RENAME, {"LiteralPath": self.folder, "NewName": claimed}))
        return [*made, self.new]


def made(copying: Copying) -> list[Machine]:
    """All machines, once one of the identity is there, by whomever it was made. Raises what the copy failed with."""
    deadline = copying.op.session.deadline
    still_s = min(STILL_S, deadline.left_s() * PATIENCE_SHARE)
    failure: Exception | None = None
    size: int | None = None
    since_s, starts, emptied = -math.inf, 0, False
    while True:
        seen = every(copying.op)
        if claimants(seen, copying.identity):
            return seen
        before, size = size, _size(copying)
        if size != before:
            since_s = time.monotonic()
            if size is not None and before is not None and size > before:
                # Another worker's, which ours failed because of.
                failure, emptied = None, False
                deadline.begin()
        elif time.monotonic() - since_s >= still_s:
            since_s = time.monotonic()
            if size is None:
                if starts == STARTS or (failure is not None and (emptied or not _was_taken(failure))):
                    raise failure or _vanished(copying)
                if failure is not None:
                    forget(copying)
                    emptied = True
                failure = _made_here(copying)
                starts += 1
                since_s = time.monotonic()
                continue
            if _is_closed(copying):
                forget(copying)
                size, since_s = None, -math.inf
        time.sleep(min(LOOK_S, deadline.left_s()))


def answer_lost(error: Exception) -> bool:
    """Whether the host may have done, or may still be doing, what it was asked; of the failures of a session."""
    return not isinstance(error, PowerShellError | BadReply | NotYetDone | ConnectorError)


def forget(copying: Copying) -> None:
    """Remove a copy that nobody claimed; one that is still written is left to whoever waits for it."""
    copying.there.run(remove_files(f"{escaped(copying.folder)}*", optional=True))


def _was_taken(failure: Exception) -> bool:
    """Whether there was a folder already when we were to begin."""
    return isinstance(failure, PowerShellError) and failure.position == BEGINNING


def _vanished(copying: Copying) -> ConnectorError:
    why = f"the new machine {copying.identity} is not there right after it was made"
    return copying.op.error(Unreachable, why, hint="somebody removed it; repeat the call")


def _made_here(copying: Copying) -> Exception | None:
    """Copy, and make the machine; what that failed with, if another worker may be why.

    None also where the answer was lost; then the host may still be at it. Raises all other failures.
    """
    session = copying.there.session
    try:
        _carried_out(copying)
    except PowerShellError as error:
        if error.cmdlet in {_RESIZE, _RENAME}:
            return error
        raise
    except BadReply as error:
        return error
    except session.failures as error:
        if not answer_lost(error):
            raise
    else:
        session.deadline.begin()
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
            commands = commands[error.position :]
            error.position = len(copying.commands()) - len(commands)
            transient = error.cmdlet in {_RESIZE, _RENAME} and not _was_taken(error)
            if not transient or now_s >= patient_until_s:
                raise
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
    where: dict[str, Scalar] = {"Path": copying.path, "At": 0, "Count": 1}
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
