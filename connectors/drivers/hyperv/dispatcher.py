r"""The fixed script that runs on the host, and the requests and replies that pass through it.

A request is one line, ``{"commands": [...]}``. Each command is::

    {"name": "Hyper-V\\\\Get-VM",      one of the script's list, with its module
     "params": {"Id": "...",         values: text, whole numbers, true and false;
                "Vhds": {"From": "...", "To": "..."},   the paths of a file that is to move;
                "VM": [0],           a list takes what an earlier command gave,
                "VMId": [0, "Id"]},  or a property of it
     "select": ["Id", "HardDrives.Path"],   properties to answer with; one with a dot is a list
     "optional": false}              whether the rest goes on when it fails

The reply is one line, ``{"out": [[{"Id": "..."}], ...]}``. One of a request that failed has the rows of the
commands before, and ``id`` (PowerShell's FullyQualifiedErrorId), ``category`` and ``message`` of the one that
did. One process answers any number of requests, one after the other, until one fails. Enums and GUIDs are
text, time spans milliseconds.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

SHA256 = "81193fb96ea1a8dc91a50d7654e82c3f2418445e2ffcdf47df730cd5cd4005dd"
"""Of the text that is sent. Whoever changes the script changes this too, and shows both to a reviewer."""
COMMAND = "powershell.exe"
SWITCHES = ("-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand")
COMMAND_LINE_LIMIT = 8191
"""Characters that Windows takes, by what the field measured with WinRM's default command shell."""

_SHORTER = {
    "{\n": "{",
    "\n}": "}",
    "(\n": "(",
    "\n)": ")",
    "}\nelse": "}else",
    "}\ncatch": "}catch",
    " = ": "=",
    ") {": "){",
    "if (": "if(",
    "foreach (": "foreach(",
    "else {": "else{",
    "try {": "try{",
    "catch {": "catch{",
    ", ": ",",
    "; ": ";",
    "{ ": "{",
    " }": "}",
    " += ": "+=",
    " + ": "+",
    " -is [": " -is[",
    "-and (": "-and(",
    "-or (": "-or(",
}
"""What the script's text may be without; its list of names and its texts hold nothing of that kind."""

Scalar = str | int | bool
Table = Mapping[str, str]
Row = dict[str, Any]
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Command(NamedTuple):
    """One call of a cmdlet; `refs` names the index of an earlier command, with ``.Property`` if wanted."""

    name: str
    params: Mapping[str, Scalar | Table] = _NOTHING
    refs: Mapping[str, str] = _NOTHING
    select: Sequence[str] = ()
    optional: bool = False

    def document(self) -> dict[str, Any]:
        """The command as it stands in a request."""
        return {
            "name": self.name,
            "params": dict(self.params) | {name: _reference(ref) for name, ref in self.refs.items()},
            "select": list(self.select),
            "optional": self.optional,
        }


def _reference(ref: str) -> list[int | str]:
    index, _, name = ref.partition(".")
    return [int(index), name] if name else [int(index)]


class PowerShellError(Exception):
    """A cmdlet failed; `error_id` is PowerShell's FullyQualifiedErrorId, `position` the command's in its request.

    `lists`: it was asked for all that there is, and not for something by a name.
    """

    def __init__(
        self,
        error_id: str,
        category: str,
        message: str,
        cmdlet: str,
        position: int = 0,
        *,
        lists: bool = False,
    ) -> None:
        super().__init__(error_id, message)
        self.error_id = error_id
        self.category = category
        self.message = message
        self.cmdlet = cmdlet
        self.position = position
        self.lists = lists

    @property
    def kind(self) -> str:
        """The first part of the id: ``InvalidParameter``."""
        return self.error_id.partition(",")[0]


class BadReply(Exception):
    """What came back is no reply of the dispatcher."""


@cache
def script() -> str:
    """What is sent: the file without comments, and without spaces and line ends that PowerShell does not need.

    Raises AssertionError for a changed file.
    """
    text = (Path(__file__).parent / "dispatcher.ps1").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    sent = "\n".join(line for line in lines if line and not line.startswith("#"))
    for written, short in _SHORTER.items():
        sent = sent.replace(written, short)
    found = sha256(sent)
    assert found == SHA256, f"dispatcher.ps1 has the hash {found}, and {SHA256} is pinned"
    return sent


def sha256(text: str) -> str:
    """The hash of a script's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def arguments() -> list[str]:
    """PowerShell's arguments; they are the same in every call."""
    return [*SWITCHES, base64.b64encode(script().encode("utf-16-le")).decode()]


def request(commands: Sequence[Command]) -> bytes:
    """The standard input: one line of JSON in ASCII, which every code page leaves as it is."""
    return json.dumps({"commands": [one.document() for one in commands]}).encode("ascii") + b"\n"


def read_replies(
    requests: Sequence[Sequence[Command]], stdout: bytes, stderr: bytes, exit_code: int
) -> list[list[list[Row]]]:
    """For each request the rows of each command. Raises PowerShellError, or BadReply with what was said."""
    replies = [_rows(commands, line) for commands, line in zip(requests, stdout.splitlines(), strict=False)]
    if len(replies) < len(requests) or None in replies:
        said = (stderr or stdout).decode(errors="replace").strip()[:500]
        msg = f"PowerShell ended with code {exit_code} and said: {said or 'nothing'}"
        raise BadReply(msg)
    return [rows for rows in replies if rows is not None]


def _rows(commands: Sequence[Command], line: bytes) -> list[list[Row]] | None:
    """The rows in a reply; None where it is none. Raises PowerShellError."""
    try:
        reply = json.loads(line)
        out: list[list[Row]] = reply["out"]
    except (ValueError, TypeError, KeyError):
        return None
    if "category" in reply:
        failed = commands[len(out)] if len(out) < len(commands) else Command("")
        raise PowerShellError(
            reply["id"] or "",
            reply["category"],
            reply["message"] or "",
            failed.name,
            len(out),
            lists=not (failed.params or failed.refs),
        )
    return out
