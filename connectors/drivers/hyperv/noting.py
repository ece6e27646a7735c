"""A note at the host of where the files lie of machines that are being removed.

Once a machine is gone, nothing else tells of files outside the folder of new machines and the storages: where the machine
was made before the endpoint's options were changed, or was moved there by hand. The note is a file in a folder of the
identity's, in the folder of new machines, and goes with that folder when all others are gone.
"""

import base64
import json
from collections.abc import Iterable
from uuid import UUID

from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.dispatcher import Command, Scalar
from connectors.drivers.hyperv.session import Op

_FILE = "part-folders.vhdx"
"""The dispatcher writes files of this ending alone."""
_LIMIT_BYTES = 64 * 1024


def noted(op: Op, base: str, identity: UUID) -> list[str]:
    """The folders that were noted; none where there is no note, or not all of one."""
    part: dict[str, Scalar] = {
        "Path": f"{_folder(base, identity)}\\{_FILE}",
        "At": 0,
        "Count": _LIMIT_BYTES,
    }
    (rows,) = op.run(Command("Read-Chunk", part, select=("Data",), optional=True))
    return _folders(base64.b64decode(rows[0]["Data"])) if rows else []


def note(op: Op, base: str, identity: UUID, folders: Iterable[str]) -> None:
    """Note folders, with those that are noted: writing does not make a file shorter."""
    folder = _folder(base, identity)
    text = json.dumps(sorted(folders)) + "\n"
    data = base64.b64encode(text.encode()).decode("ascii")
    op.run(
        Command("New-Folder", {"Path": folder}),
        Command("Write-Chunk", {"Path": f"{folder}\\{_FILE}", "At": 0, "Data": data}),
    )


def _folder(base: str, identity: UUID) -> str:
    return f"{base}\\{marks.folder_name(identity, marks.REMOVING)}\\disks"


def _folders(content: bytes) -> list[str]:
    """What stands in the first line, which is whole once the line ends; nothing where somebody changed it."""
    line, end, _ = content.partition(b"\n")
    try:
        return [str(folder) for folder in json.loads(line)] if end else []
    except (ValueError, TypeError):
        return []
