"""A libvirt daemon of its own for each file of tests that asks for one, and the driver at it."""

from collections.abc import Iterator

import pytest

from connectors.contract import Connector
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
