"""A XenServer pool to talk to: a simulated xapi, in a process of its own, that speaks the real wire protocol.

It is a product: demos and tests use it. It was written from the published data model and from xapi's source;
it is not xapi, and `docs/reference/driver-xen.md` lists what it cannot prove. A message of xapi's that it has not
answers NOT_IMPLEMENTED, one that xapi has not MESSAGE_METHOD_UNKNOWN; neither is ever a success.
"""

import http.client
import json
import secrets
import select
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from catalog.pools import Endpoint, Option, TlsPolicy
from connectors.simulators.processes import STOP_LIMIT_S, SimulatorProcess
from connectors.simulators.xen.rules import Rule
from connectors.simulators.xen.world import READER, Estate

__all__ = ["READER", "USER", "Estate", "Rule", "XenSimulator"]

USER = "root"
START_LIMIT_S = 60.0


class XenSimulator(SimulatorProcess):
    """A running simulator; a context manager that ends its process.

    `slaves` are further loopback addresses where other members of the pool answer, at the same port. The
    process also ends by itself when this one dies, because its standard input closes. Without `speaks_json` it
    takes all content for XML-RPC, whatever the path.
    """

    def __init__(
        self,
        estate: Estate | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        slaves: Sequence[str] = (),
        certificate: Path | None = None,
        key: Path | None = None,
        task_delay_s: float = 0,
        speaks_json: bool = True,
    ) -> None:
        self.password = SecretStr(secrets.token_urlsafe(18))
        self.address = ""
        self.scheme = ""
        self._control = ""
        self._settings = {
            "estate": (estate or Estate()).model_dump(),
            "user": USER,
            "password": self.password.get_secret_value(),
            "host": host,
            "port": port,
            "slaves": list(slaves),
            "certificate": "" if certificate is None else str(certificate),
            "key": "" if key is None else str(key),
            "task_delay_s": task_delay_s,
            "speaks_json": speaks_json,
        }

    def start(self) -> Self:
        """Start, and return when it answers. Raises RuntimeError where it does not start."""
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "connectors.simulators.xen.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
            start_new_session=True,  # Ctrl-C is for this process, which ends that one
        )
        if process.stdin is None or process.stdout is None:
            msg = "the XenAPI simulator has no pipes"
            raise RuntimeError(msg)
        # Settings hold the password, so they are no arguments, which everybody can see.
        process.stdin.write(json.dumps(self._settings) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], START_LIMIT_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            self.stop()
            msg = "the XenAPI simulator did not start; its own words are above"
            raise RuntimeError(msg)
        announced = json.loads(line)
        self.address, self.scheme = announced["address"], announced["scheme"]
        self._control = announced["control"]
        return self

    def endpoint(
        self,
        name: str = "xen-sim",
        *,
        ca_file: Path | None = None,
        timeout_s: float = 30.0,
        options: Mapping[str, Option] | None = None,
    ) -> Endpoint:
        """The endpoint that the driver opens with `password`."""
        if self.scheme == "http":
            tls = TlsPolicy(unverified_because="a simulator on loopback speaks plain HTTP")
        else:
            tls = TlsPolicy(ca_file=None if ca_file is None else str(ca_file))
        return Endpoint(
            name=name,
            driver="xen",
            address=f"{self.scheme}://{self.address}",
            username=USER,
            tls=tls,
            timeout_s=timeout_s,
            options=dict(options or {}),
        )

    def rules(self, *rules: Rule) -> None:
        """Replace all rules and start the call counters anew. Raises ValueError for a method that there is not."""
        self._ask("/rules", [rule.model_dump() for rule in rules])

    def calls(self) -> dict[str, int]:
        """How often each method was called since the rules were last set."""
        return dict(self._ask("/calls"))

    def counts(self, classes: Iterable[str]) -> dict[str, int]:
        """How many objects of each class there are, sessions and tasks too."""
        return dict(self._ask("/counts", list(classes)))

    def restart(self) -> None:
        """What a restart of xapi does to clients: connections, sessions and tasks are gone."""
        self._ask("/restart")

    def forget_sessions(self) -> None:
        """End all sessions, as idle ones end; connections stay."""
        self._ask("/forget-sessions")

    def forward(self, seconds: int) -> None:
        """Put the hosts' clock forward; running machines went on working all that time."""
        self._ask("/forward", seconds)

    def kill_master(self) -> None:
        """Let the master die; until one of the slaves is promoted, they go on naming it."""
        self._ask("/kill-master")

    def promote(self) -> None:
        """Let the master die; the first of the slaves becomes master."""
        self._ask("/promote")

    def _ask(self, path: str, document: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._control, timeout=STOP_LIMIT_S)
        try:
            connection.request("POST", path, json.dumps(document))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise ValueError(content.decode().strip())
        return json.loads(content)
