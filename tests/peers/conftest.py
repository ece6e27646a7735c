"""A libvirt daemon of its own for each file of tests that asks for one, and the driver at it."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, VmSpec
from connectors.registry import connect
from connectors.simulators import libvirtd


@pytest.fixture(scope="module")
def daemon() -> Iterator[libvirtd.PrivateLibvirtd]:
    problem = libvirtd.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirtd.PrivateLibvirtd() as running:
        connect(running.qemu_endpoint()).open()  # the first connection waits while libvirt examines QEMU
        yield running


@pytest.fixture
def connector(daemon: libvirtd.PrivateLibvirtd) -> Iterator[Connector]:
    with connect(daemon.qemu_endpoint()) as connector:
        yield connector


@pytest.fixture
def machine(connector: Connector) -> Iterator[UUID]:
    """The smallest machine, with one disk of 1 GiB; it goes with the test."""
    identity, small = uuid4(), Resources(vcpu=1, memory_mib=128, disk_gib=1)
    provider = connector.probe().pools[0].provider
    connector.create_vm(VmSpec(name="web", provider=provider, resources=small), identity)
    yield identity
    connector.delete_vm(identity)


@pytest.fixture
def bridge() -> Iterator[str]:
    """A switch that leads nowhere."""
    name = f"tw{uuid4().hex[:8]}"
    made = subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=False, capture_output=True)
    if made.returncode:
        pytest.skip(f"no bridge can be made here: {made.stderr.decode().strip()}")
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.fixture
def leaves_nothing(daemon: libvirtd.PrivateLibvirtd) -> Callable[[Callable[[Connector], Any]], None]:
    """Says that connecting, using and closing leaves no file, socket or thread in this process."""

    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def checked(use: Callable[[Connector], Any]) -> None:
        def once() -> None:
            with connect(daemon.qemu_endpoint()) as connector:
                use(connector)

        once()  # the event loop's own pipe stays
        files, threads = open_files(), threading.active_count()
        for _ in range(10):
            once()
        tick = threading.Event()  # libvirt's event loop closes the sockets a moment later
        assert any(open_files() <= files or tick.wait(0.05) for _ in range(200))
        assert threading.active_count() <= threads

    return checked
