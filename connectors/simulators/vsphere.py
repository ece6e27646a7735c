"""A vCenter to talk to: VMware's own simulator, built from Debian's govmomi with our Go program in `vcsim/`.

It is a product: the demo, the notebooks and the tests use it. `missing()` says what to install where it
cannot be built. What it cannot prove is listed in ``docs/reference/driver-vsphere.md``.
"""

import hashlib
import http.client
import json
import os
import secrets
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, Self

from pydantic import Field, SecretStr

from catalog.base import Value
from catalog.pools import Endpoint, Option, TlsPolicy
from connectors.simulators.processes import STOP_LIMIT_S, SimulatorProcess, must_be_there

SOURCE = Path(__file__).parent / "vcsim"
GOPATH = Path("/usr/share/gocode")
LIBRARY = GOPATH / "src/github.com/vmware/govmomi/simulator"
USER = "operator"

START_LIMIT_S = 180.0


def missing() -> str | None:
    """Why the simulator cannot be built here and which Debian packages to install; None where it can."""
    wanted = []
    if shutil.which("go") is None:
        wanted.append("golang-go")
    if not LIBRARY.is_dir():
        wanted.append("golang-github-vmware-govmomi-dev")
    if not wanted:
        return None
    return f"the vSphere simulator cannot be built; as root: apt-get install {' '.join(wanted)}"


def build(cache_dir: Path) -> Path:
    """The simulator's program, built once for each state of its source; 15 s cold, then at once.

    Raises RuntimeError with the compiler's words, or with what `missing` says.
    """
    if problem := missing():
        raise RuntimeError(problem)
    cache_dir = cache_dir.absolute()  # the compiler runs elsewhere
    binary = cache_dir / f"vcsim-{_source_hash()}"
    if binary.exists():
        return binary
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as fresh:
        built = Path(fresh) / "vcsim"
        command = ["go", "build", "-o", str(built), "."]
        done = subprocess.run(
            command, cwd=SOURCE, env=_go_environment(cache_dir), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            msg = f"'{' '.join(command)}' failed: {done.stderr}"
            raise RuntimeError(msg)
        # Renaming is atomic: two test processes may build at once, and neither sees half a program.
        built.replace(binary)
    return binary


def _source_hash() -> str:
    digest = hashlib.sha256()
    for file in sorted(SOURCE.glob("*.go")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _go_environment(cache_dir: Path) -> dict[str, str]:
    # Debian packages Go libraries as source under GOPATH; modules would ask the network.
    build_settings = {
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOFLAGS": "-buildvcs=false",
        "GOCACHE": str(cache_dir / "go-build"),
    }
    return {**os.environ, **build_settings}


class Estate(Value):
    """What the simulated vCenter holds when it starts."""

    datacenters: int = Field(default=1, ge=1)
    clusters: int = Field(default=1, ge=0, description="A datacenter.")
    hosts: int = Field(default=3, ge=1, description="A cluster.")
    standalone_hosts: int = Field(default=0, ge=0, description="Outside of clusters, a datacenter.")
    datastores: int = Field(default=1, ge=1, description="A datacenter; all its hosts mount them.")
    vms: int = Field(default=0, ge=0, description="A cluster, and a standalone host.")
    host_threads: int = Field(default=32, ge=2, le=4096)
    host_memory_mib: int = Field(default=256 * 1024, ge=1024)
    datastore_gib: int = Field(default=10 * 1024, ge=1)
    without_ha: tuple[str, ...] = Field(default=(), description="Clusters with vSphere HA off.")
    without_drs: tuple[str, ...] = Field(default=(), description="Clusters with DRS off.")
    without_host_monitoring: tuple[str, ...] = Field(
        default=(), description="Clusters whose vSphere HA looks at no host."
    )
    ha_admission_control: bool = Field(default=False, description="Whether vSphere HA keeps room.")
    drs_behavior: str = Field(
        default="", description="How much DRS does by itself, in vSphere's words: fullyAutomated."
    )
    datastore_types: tuple[str, ...] = Field(
        default=(),
        description="File systems of the datastores in turn, in vSphere's words: VMFS, NFS, vsan.",
    )
    storage_policies: tuple[str, ...] = Field(
        default=(),
        description="Storage policies and a datastore that satisfies each: gold@LocalDS_0; with nothing after the @ none does.",
    )
    without_privileges: tuple[str, ...] = Field(
        default=(),
        description="Privileges that the user lacks, everywhere or below an object: Datastore.AllocateSpace@LocalDS_0.",
    )
    managed_by: str = Field(default="", description="Extension key that all machines are marked with.")
    machines_off: bool = False

    def flags(self) -> Iterator[str]:
        """The program's flags; they are named as the fields are."""
        for name, value in self.model_dump().items():
            text = ",".join(value) if isinstance(value, tuple) else value
            yield f"-{name.replace('_', '-')}={str(text).lower() if isinstance(text, bool) else text}"


class Rule(Value):
    """One misbehaviour: what happens to calls of `method` (``*``: to all).

    `fault` is a SOAP fault of that name; `task_error` a task that ends in it; `http` an answer of
    `status` and nothing else; `reset` a TCP reset; `delay` the right answer, late. With `after` the
    call takes effect first and only the answer is changed. Each waits `delay_ms` before its answer.
    `times` 0 is always; `skip` calls pass first.
    """

    method: str
    action: Literal["fault", "task_error", "http", "reset", "delay"]
    fault: str = ""
    message: str = ""
    status: int = 503
    delay_ms: int = Field(default=0, ge=0)
    after: bool = False
    times: int = Field(default=0, ge=0)
    skip: int = Field(default=0, ge=0)


class VsphereSimulator(SimulatorProcess):
    """A running simulator; stopping it removes its files."""

    def __init__(
        self,
        binary: Path,
        estate: Estate | None = None,
        *,
        listen: str = "127.0.0.1:0",
        certificate: Path | None = None,
        key: Path | None = None,
        session_idle_s: float = 0,
        task_delay_s: float = 0,
        task_progress: bool = True,
        lease_timeout_s: float = 300,
        page_size: int = 0,
        unique_names: bool = True,
    ) -> None:
        self.password = SecretStr(secrets.token_urlsafe(18))
        self.address = ""
        self.scheme = ""
        self._control = ""
        self._command = [
            str(binary),
            f"-listen={listen}",
            f"-user={USER}",
            f"-session-idle={session_idle_s}s",
            f"-task-delay={task_delay_s}s",
            f"-task-progress={str(task_progress).lower()}",
            f"-lease-timeout={lease_timeout_s}s",
            f"-page-size={page_size}",
            f"-unique-names={str(unique_names).lower()}",
            *(estate or Estate()).flags(),
        ]
        if certificate is not None:
            self._command += [f"-tls-cert={certificate}", f"-tls-key={key}"]
        self._folder = ""

    def start(self) -> Self:
        """Start, and return when it answers. Raises RuntimeError with what the program said."""
        self._folder = tempfile.mkdtemp(prefix="tierwise-vcsim-")
        environment = {
            "TMPDIR": self._folder,
            "VCSIM_PASSWORD": self.password.get_secret_value(),
        }
        with (Path(self._folder) / "stderr").open("w+") as errors:
            process = self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which ends that one
            )
            if process.stdout is not None:
                self._read_announcement(process.stdout, errors)
        return self

    def _read_announcement(self, output: IO[str], errors: IO[str]) -> None:
        ready, _, _ = select.select([output], [], [], START_LIMIT_S)
        line = output.readline() if ready else ""
        if not line:
            errors.seek(0)
            said = errors.read() or f"nothing within {START_LIMIT_S:.0f} s"
            self.stop()
            msg = f"the vSphere simulator did not start; it said: {said}"
            raise RuntimeError(msg)
        announced = json.loads(line)
        self.address, self.scheme = announced["address"], announced["scheme"]
        self._control = announced["control"]

    def stop(self) -> None:
        """End the process and remove its files; nothing if it does not run."""
        super().stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    @property
    def files(self) -> Path:
        """Where its datastores are: a folder each, whose disks other tools can read."""
        return Path(self._folder)

    def endpoint(
        self,
        name: str = "vcsim",
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
            driver="vsphere",
            address=f"{self.scheme}://{self.address}",
            username=USER,
            tls=tls,
            timeout_s=timeout_s,
            options=dict(options or {}),
        )

    def rules(self, *rules: Rule) -> None:
        """Replace all rules and start the call counters anew. Raises ValueError for an unknown fault or method."""
        asked = json.loads(self._ask("POST", "/_sim/methods", [rule.method for rule in rules]))
        for method in asked["unknown"] or ():
            must_be_there("method", method, asked["known"])
        self._ask("POST", "/_sim/rules", [rule.model_dump() for rule in rules])

    def calls(self) -> dict[str, int]:
        """How often each SOAP method was called since the rules were last set."""
        counted: dict[str, int] = json.loads(self._ask("GET", "/_sim/calls"))
        return counted

    def open_leases(self) -> int:
        """How many leases of disks nobody has ended."""
        counted: int = json.loads(self._ask("GET", "/_sim/leases"))
        return counted

    def set_question(self, machine: str, text: str, *choices: str) -> None:
        """Let the machine of this managed object id wait with a question, as on a full datastore."""
        asked = {"type": "VirtualMachine", "value": machine, "question": text, "choices": choices}
        self._ask("POST", "/_sim/state", asked)

    def set_load(self, machine: str, *steps: tuple[float, Mapping[str, float]]) -> None:
        """State what the machine of this managed object id does, from Unix times on.

        By the counter's name, with its instance after an ``@``: ``{"cpu.used.summation": 500}`` is half a
        processor, in milliseconds a second; means are in the counter's own unit.
        """
        document = [{"at": at, "rates": dict(rates)} for at, rates in steps]
        self._ask("POST", "/_sim/load", {"value": machine, "steps": document})

    def deny(self, *privileges: str) -> None:
        """Take exactly these privileges from the user, by their names in the API: ``VirtualMachine.Interact.PowerOn``.

        With ``@`` and a name after it, on the object of that name and all below it: ``Datastore.AllocateSpace@LocalDS_0``.
        Raises ValueError for one that vSphere does not have.
        """
        self._ask("POST", "/_sim/denials", privileges)

    def set_host_connection(self, host: str, state: str) -> None:
        """Let the host of this managed object id be ``connected``, ``disconnected`` or ``notResponding``."""
        self._ask("POST", "/_sim/state", {"type": "HostSystem", "value": host, "connection_state": state})

    def _ask(self, method: str, path: str, document: Any = None) -> bytes:
        connection = http.client.HTTPConnection(self._control, timeout=STOP_LIMIT_S)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise ValueError(content.decode().strip())
        return content
