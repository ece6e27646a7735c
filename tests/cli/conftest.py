"""A data directory, and `tierwise` as its users start it.

`real` starts the installed command. `tierwise` runs the same entry point in a process of its own too, but in
a fork of one that has imported everything, which saves two seconds a run; see warm_server.py.
"""

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tierwise.settings import Settings
from tierwise.testing.estate import simulated_acme

COMMAND = Path(sys.executable).parent / "tierwise"

SHIM = """\
#!{python} -SE
import json, os, socket, sys
request = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    code = int(server.recv(16))
sys.exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, what went to stdout and what to stderr."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Tierwise:
    """A command line on one data directory. Unless `code` is another, a run must end with 0."""

    command: Path
    data: Path

    def __call__(self, *arguments: object, code: int = 0, stdin: str = "", **environment: str) -> Ended:
        done = subprocess.run(
            [str(self.command), *map(str, arguments)],
            env=self.environment(**environment), input=stdin, check=False, capture_output=True, text=True,
        )  # fmt: skip
        ended = Ended(done.returncode, done.stdout, done.stderr)
        assert ended.code == code, ended
        assert "Traceback" not in ended.err, ended.err
        return ended

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the caller's but PATH; waiting for retries takes no time."""
        return {
            "PATH": f"{self.command.parent}:{os.environ['PATH']}", "HOME": str(self.data.parent), "COLUMNS": "100",
            "TIERWISE_DATA_DIR": str(self.data), "TIERWISE_RETRIES": "2", "TIERWISE_RETRY_AFTER_S": "0.01",
            "TIERWISE_WORKERS": "2", **more,
        }  # fmt: skip

    def at(self, data: Path) -> "Tierwise":
        """The same command on another data directory."""
        return Tierwise(self.command, data)

    def address(self, endpoint: str) -> str:
        """The file of a simulated estate."""
        return str(self.data / f"{endpoint}.sqlite")


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The command whose imports are done."""
    folder = tmp_path_factory.mktemp("warm")
    path = str(folder / "socket")
    command = [sys.executable, str(Path(__file__).with_name("warm_server.py")), path]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        shim = folder / "tierwise"
        shim.write_text(textwrap.dedent(SHIM).format(python=sys.executable, path=path))
        shim.chmod(0o755)
        yield shim
        with socket.socket(socket.AF_UNIX) as stop:
            stop.connect(path)
            stop.send(b"stop")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Acme on embedded simulations, one for each test file."""
    return simulated_acme(tmp_path_factory.mktemp("acme"))


@pytest.fixture(scope="module")
def tierwise(warm: Path, settings: Settings) -> Tierwise:
    """The command line, without the start-up time."""
    return Tierwise(warm, settings.data_dir)


@pytest.fixture(scope="module")
def real(settings: Settings) -> Tierwise:
    """The installed command."""
    return Tierwise(COMMAND, settings.data_dir)


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """Every command of the command line by its words, groups included."""
    import typer

    from tierwise.cli.main import app

    found: dict[str, Any] = {}

    def walk(command: Any, words: str) -> None:
        found[words] = command
        for name, part in getattr(command, "commands", {}).items():
            walk(part, f"{words} {name}")

    walk(typer.main.get_command(app), "tierwise")
    return found
