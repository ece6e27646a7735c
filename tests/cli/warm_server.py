"""Runs `tierwise` in forks of a process that has imported everything: real processes, without the start.

    python warm_server.py SOCKET

A client (see `SHIM` in conftest.py) sends its arguments, environment and folder as JSON, and its three standard files;
the fork takes them over and runs the entry point. The answer is the exit code.
"""

import importlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

from tierwise.app import wire
from tierwise.cli.main import run
from tierwise.testing.estate import simulated_acme

MODULES = (
    "catalog.json_schema", "connectors.drivers.simulated", "dbos", "filelock", "ortools.sat.python.cp_model", "pandas",
    "pyarrow.parquet", "tierwise.cli.batches", "tierwise.jobs.runtime", "tierwise.jobs.workflows",
    "tierwise.usecases.billing", "tierwise.usecases.change", "tierwise.usecases.doctor", "tierwise.usecases.init",
    "tierwise.usecases.inventory", "tierwise.usecases.metering", "tierwise.usecases.order", "tierwise.usecases.owner",
    "tierwise.usecases.place", "tierwise.usecases.whatif", "yaml",
)  # fmt: skip


def main(path: str) -> None:
    for name in MODULES:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        wire(simulated_acme(Path(folder))).close()  # what imports and compiles only when it is first used
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            with client:
                serve(client)


def serve(client: socket.socket) -> None:
    request, files, _, _ = socket.recv_fds(client, 2**20, 3)
    if request == b"stop":
        sys.exit(0)
    child = os.fork()
    if child == 0:
        become(json.loads(request), files)
        run()
    for file in files:
        os.close(file)
    _, status = os.waitpid(child, 0)
    client.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def become(request: dict[str, object], files: list[int]) -> None:
    for target, file in enumerate(files):
        os.dup2(file, target)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(str(request["folder"]))
    sys.argv = ["tierwise", *request["arguments"]]


if __name__ == "__main__":
    main(sys.argv[1])
