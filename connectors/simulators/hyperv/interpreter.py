# ruff: noqa: EM101 -- what goes wrong at a host is told by its id and its words
"""Stands in for PowerShell, and runs one script only: the Hyper-V driver's dispatcher.

PowerShell itself is never run. The script is known by its hash; what it would do with a request is done
here: the same list of cmdlets, the same references, the same reply. Everything else answers that it is
not implemented, and fails.
"""

import base64
import json
import re
from collections.abc import Mapping
from threading import Event
from typing import Any, NamedTuple

from connectors.drivers.hyperv import dispatcher
from connectors.simulators.hyperv.calls import Call
from connectors.simulators.hyperv.cmdlets import CMDLETS, CmdletError, NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import World
from connectors.simulators.hyperv.files import PartlyFailed
from connectors.simulators.hyperv.operations import OPERATIONS
from connectors.simulators.hyperv.rules import Rules


class ConnectionLost(Exception):
    """A rule wants the reply of this process to be lost."""


class Output(NamedTuple):
    """What a process left behind."""

    stdout: bytes
    stderr: bytes
    exit_code: int


def not_implemented(what: str) -> Output:
    """How everything ends that the simulator does not do."""
    return Output(b"", f"NOT_IMPLEMENTED: {what}".encode(), 1)


def refusal(command: str, arguments: str) -> Output | None:
    """Why a command line is not run; None for the one that is."""
    wanted = [dispatcher.COMMAND, *dispatcher.SWITCHES]
    given = [command, *arguments.split()]
    if given[:-1] != wanted:
        return not_implemented(f"the simulator runs {' '.join(wanted)} and nothing else")
    try:
        text = base64.b64decode(given[-1], validate=True).decode("utf-16-le")
    except ValueError:
        return not_implemented("the encoded command is no text")
    if dispatcher.sha256(text) != dispatcher.SHA256:
        return not_implemented("the script is not the dispatcher whose hash is known")
    return None


def run(world: World, rules: Rules, stdin: bytes, cancelled: Event) -> Output:
    """What the dispatcher answers to its requests. Raises ConnectionLost where a rule says so."""
    replies = b""
    for line in stdin.splitlines():
        reply, lost = _reply(world, rules, line, cancelled)
        if lost:
            raise ConnectionLost
        replies += json.dumps(reply).encode("ascii") + b"\r\n"
        if "category" in reply:
            break
    return Output(replies, b"", 0)


def _reply(world: World, rules: Rules, line: bytes, cancelled: Event) -> tuple[dict[str, Any], bool]:
    process = _Process(world, rules, cancelled)
    reply: dict[str, Any] = {}
    try:
        for command in json.loads(line.decode("ascii"))["commands"]:
            process.one(command)
    except CmdletError as error:
        reply = {"id": error.error_id, "category": error.category, "message": error.message}
    except (ValueError, KeyError, TypeError) as error:
        # The script would fail with some error of .NET's; which one is not known.
        reply = {"id": "NOT_IMPLEMENTED", "category": "NotImplemented", "message": repr(error)}
    return reply | {"out": process.out}, process.lost


_NO_RIGHT = (
    "You do not have the required permission to complete this task. Contact the administrator of the authorization "
    "policy for the computer"
)
"""Windows' words, as people quote them who are not in the group Hyper-V Administrators."""

_ON_FILES = re.compile("(Item|Folder|Chunk|Convert-VHD|New-VHD|Move-VM.*)$", re.IGNORECASE)
_ALLOWED = re.compile(r"@'\n(.*?)\n'@", re.DOTALL)


def allowed() -> frozenset[str]:
    """The cmdlets that the script itself lists."""
    found = _ALLOWED.search(dispatcher.script())
    assert found is not None
    names, module = set(), ""
    for word in found[1].split():
        if word.endswith("\\"):
            module = word
        else:
            names.add(module + word)
    return frozenset(names)


def permitted() -> re.Pattern[str]:
    """The paths of files and folders that the script itself lets cmdlets have."""
    line = next(one for one in dispatcher.script().splitlines() if one.startswith("$ours="))
    return re.compile(line.partition("'")[2].rpartition("'")[0])


class _Process:
    """One run of the dispatcher."""

    def __init__(self, world: World, rules: Rules, cancelled: Event) -> None:
        self.world = world
        self.rules = rules
        self.cancelled = cancelled
        self.results: list[list[NetObject]] = []
        self.out: list[list[dict[str, Any]]] = []
        self.lost = False

    def one(self, command: Mapping[str, Any]) -> None:
        """Run one command, keep what it gives, and project it."""
        found = self._invoke(command)
        select = command["select"]
        rows = [{path: project(one, path) for path in select} for one in found] if select else []
        self.results.append(found)
        self.out.append(rows)

    def _invoke(self, command: Mapping[str, Any]) -> list[NetObject]:
        name = command["name"]
        arguments = {key: self._argument(given) for key, given in command["params"].items()}
        paths = [
            value
            for key, value in arguments.items()
            if key.lower().endswith("path") and not f"{name}{key}".lower().endswith("convert-vhdpath")
        ]
        paths += arguments.get("Vhds", {}).values()
        outside = _ON_FILES.search(name) and not all(permitted().search(str(path)) for path in paths)
        if name not in allowed() or outside:
            words = f"not allowed: {name} {' '.join(map(str, paths))}"
            raise CmdletError(words, "OperationStopped", words)
        try:
            return self._call(name, arguments)
        except NotImplementedHere:
            raise
        except PartlyFailed as error:
            if command["optional"]:
                return error.found
            raise
        except CmdletError:
            if command["optional"]:
                return []
            raise

    def _call(self, name: str, arguments: Mapping[str, Any]) -> list[NetObject]:
        if name not in CMDLETS or name not in OPERATIONS:
            what = f"cmdlet {name}"
            raise NotImplementedHere(what)
        cmdlet = CMDLETS[name]
        cmdlet.bind(arguments)
        rule = self.rules.called(cmdlet_name(name))
        if name.startswith("Hyper-V\\") and not self.world.estate.hyperv_administrator:
            raise cmdlet.error(
                "AccessDenied", "PermissionDenied", f"{_NO_RIGHT} '{self.world.estate.host}'."
            )
        if rule is not None and rule.action == "error" and not rule.after:
            raise cmdlet.error(rule.error_id, rule.category, rule.message)
        with self.world.lock:
            if self.cancelled.is_set():
                raise cmdlet.error("PipelineStopped", "OperationStopped", "the pipeline was stopped")
            self.world.pass_time()
            found = OPERATIONS[name](Call(self.world, cmdlet, arguments, self.cancelled))
        if rule is not None and rule.action == "error":
            raise cmdlet.error(rule.error_id, rule.category, rule.message)
        self.lost = self.lost or (rule is not None and rule.action == "reset")
        return found

    def _argument(self, given: Any) -> Any:
        """What stands in a request as a list is an earlier result, and as an object a file that is to move."""
        if isinstance(given, dict):
            return {"SourceFilePath": given["From"], "DestinationFilePath": given["To"]}
        return self._kept(*given) if isinstance(given, list) else given

    def _kept(self, index: int, name: str = "") -> Any:
        kept: list[Any] = list(self.results[index])
        if name:
            kept = [one.read(name) for one in kept]
        return kept[0] if len(kept) == 1 else kept


def cmdlet_name(name: str) -> str:
    """A cmdlet's name without its module's, as rules and counters have it."""
    return name.rpartition("\\")[2]


def project(one: NetObject, path: str) -> Any:
    """A property as the dispatcher answers with it; a path with a dot gives a list."""
    now: list[Any] = [one]
    for name in path.split("."):
        values = [item.read(name) for item in now]
        now = [v for value in values for v in (value if isinstance(value, list) else [value])]
    return now if "." in path else now[0]
