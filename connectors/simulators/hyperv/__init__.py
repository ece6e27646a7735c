"""A Hyper-V host to talk to: WinRM with real NTLM and Kerberos, and a host in memory instead of PowerShell.

It is a product: the demo, the notebooks and the tests use it. It is ours, and has never been compared with
Windows; what it cannot prove is listed in ``docs/reference/driver-hyperv.md``. `missing()` says what to
install where it cannot run.
"""

import importlib.util
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from pydantic import SecretStr

from catalog.pools import Endpoint, Option, TlsPolicy
from connectors.simulators.certificates import Certificate
from connectors.simulators.hyperv.estate import Estate
from connectors.simulators.hyperv.rules import Rule
from connectors.simulators.hyperv.shells import Limits
from connectors.simulators.processes import SimulatorProcess

__all__ = ["Estate", "HypervSimulator", "Limits", "Rule", "missing"]

USER = "operator"
START_LIMIT_S = 60.0


def missing() -> str | None:
    """Why the simulator cannot run here and what to install; None where it can."""
    if importlib.util.find_spec("spnego") is None:
        return "the Hyper-V simulator's pyspnego is not installed; pip install 'tierwise[hyperv]'"
    return None


class HypervSimulator(SimulatorProcess):
    """A running simulator; stopping it removes its files."""

    def __init__(
        self,
        estate: Estate | None = None,
        *,
        listen: str = "127.0.0.1",
        port: int = 0,
        certificate: Certificate | None = None,
        limits: Limits | None = None,
        basic: bool = False,
    ) -> None:
        self.password = SecretStr(secrets.token_urlsafe(18))
        self.address = ""
        self.nodes: dict[str, str] = {}
        self._estate = estate or Estate()
        self._certificate = certificate
        self._configuration = {
            "listen": listen,
            "port": port,
            "certificate": "" if certificate is None else str(certificate.certificate),
            "key": "" if certificate is None else str(certificate.key),
            "estate": self._estate.model_dump(),
            "basic": basic,
            "limits": (limits or Limits()).model_dump(),
        }
        self._lock = threading.Lock()
        self._folder = ""

    @property
    def scheme(self) -> str:
        """``https`` with a certificate, else ``http``."""
        return "http" if self._certificate is None else "https"

    def start(self) -> Self:
        """Start, and return when it answers. Raises RuntimeError with what the program said."""
        self._folder = tempfile.mkdtemp(prefix="tierwise-hyperv-")
        store = Path(self._folder) / "disks"
        store.mkdir()
        users = Path(self._folder) / "users"
        users.touch(mode=0o600)
        users.write_text(f":{USER}:{self.password.get_secret_value()}\n", encoding="utf-8")
        environment = {**os.environ, "NTLM_USER_FILE": str(users), "PYTHONPATH": _python_path()}
        with (Path(self._folder) / "stderr").open("w+") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "connectors.simulators.hyperv.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which ends that one
            )
            try:
                started = self._ask(self._configuration | {"store": str(store)})
                self.address, self.nodes = started["address"], started["nodes"]
            except (OSError, ValueError) as error:
                errors.seek(0)
                said = errors.read() or str(error)
                self.stop()
                msg = f"the Hyper-V simulator did not start; it said: {said}"
                raise RuntimeError(msg) from error
        return self

    def stop(self) -> None:
        """End the process and remove its files; nothing if it does not run."""
        super().stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def endpoint(
        self,
        name: str = "hyperv",
        *,
        timeout_s: float = 30.0,
        options: Mapping[str, Option] | None = None,
    ) -> Endpoint:
        """The endpoint that the driver opens with `password`; of all nodes where the estate names some."""
        where: dict[str, Option] = {}
        if self._estate.nodes:
            nodes = ",".join(f"{node}={address}" for node, address in self.nodes.items())
            where = {"cluster": True, "nodes": nodes, "folder": "C:\\ClusterStorage\\Volume1"}
        if self._certificate is None:
            tls = TlsPolicy(unverified_because="a simulator on loopback speaks plain HTTP, sealed by NTLM")
        else:
            tls = TlsPolicy(ca_file=str(self._certificate.authority))
        return Endpoint(
            name=name,
            driver="hyperv",
            address=f"{self.scheme}://{self.address}",
            username=USER,
            tls=tls,
            timeout_s=timeout_s,
            options=where | dict(options or {}),
        )

    def rules(self, *rules: Rule) -> None:
        """Replace all rules and start the call counters anew. Raises ValueError for what there is not."""
        self._control("rules", [rule.model_dump() for rule in rules])

    def calls(self) -> dict[str, int]:
        """How often each operation and cmdlet was called since the rules were last set."""
        counted: dict[str, int] = self._control("calls")
        return counted

    def shells(self) -> int:
        """How many shells are open."""
        count: int = self._control("shells")
        return count

    def machines(self) -> dict[str, list[str]]:
        """The ids of the machines of each node."""
        found: dict[str, list[str]] = self._control("machines")
        return found

    def checkpoints(self) -> dict[str, str]:
        """The names of all checkpoints, each with the time at which it was made, in PowerShell's round-trip format."""
        found: dict[str, str] = self._control("checkpoints")
        return found

    def roles(self) -> dict[str, str]:
        """The cluster's roles, each with its machine's id."""
        found: dict[str, str] = self._control("roles")
        return found

    def set_down(self, *nodes: str) -> None:
        """Let these nodes be down, and no others; nothing fails over."""
        self._control("down", list(nodes))

    def disks(self) -> list[str]:
        """The paths of all disk files."""
        paths: list[str] = self._control("disks")
        return paths

    def folders(self) -> list[str]:
        """The paths of all folders that somebody made."""
        paths: list[str] = self._control("folders")
        return paths

    def content(self, path: str) -> Path:
        """The bytes of a disk's file, on this machine. Raises ValueError where nobody looked at them yet."""
        found: str = self._control("content", path)
        if not found:
            msg = f"nothing was read from '{path}' or written to it"
            raise ValueError(msg)
        return Path(found)

    def put(self, path: str, image: Path) -> None:
        """Put an image, a VHDX or VHD, at a path of the host behind tierwise's back; it is copied there."""
        self._control("put", [path, str(image)])

    def plant(self, name: str, **more: str | int) -> str:
        """Make a machine behind tierwise's back, with `notes`, `path`, `state`, `disk_bytes`, `generation`, `switch`, `node`; its id."""
        made: str = self._control("plant", {"name": name, **more})
        return made

    def restart(self) -> None:
        """Restart WinRM: shells and connections end, machines stay."""
        self._control("restart")

    def reset_metering(self) -> None:
        """Begin all metering anew, as somebody else's Reset-VMResourceMetering does."""
        self._control("reset_metering")

    def reset(self) -> None:
        """Be as if just started: no machines, files, shells or rules."""
        self._control("reset")

    def _control(self, name: str, argument: Any = None) -> Any:
        answer = self._ask([name, argument])
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["ok"]

    def _ask(self, request: Any) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            msg = "the Hyper-V simulator does not run"
            raise ValueError(msg)
        with self._lock:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(_line(process.stdout))
        return answer


def _line(output: IO[str]) -> str:
    ready, _, _ = select.select([output], [], [], START_LIMIT_S)
    return output.readline() if ready else ""


def _python_path() -> str:
    """Where this process finds its packages, so that the other finds the same."""
    root = str(Path(__file__).parents[3])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
