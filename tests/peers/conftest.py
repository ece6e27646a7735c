"""A libvirt daemon of its own for each file of tests that asks for one, and the driver at it."""

import subprocess
from collections.abc import Iterator
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
