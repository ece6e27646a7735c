"""A real libvirtd that lets us look and change nothing: what it refuses is Refused, named, and leaves nothing."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, VmSpec
from connectors.errors import Refused
from connectors.registry import connect
from connectors.simulators import libvirtd
from tierwise.testing.promises.base import snapshot_names
from tierwise.testing.wire import Wire

pytestmark = pytest.mark.counterpart("libvirt-qemu")


class ToTheSocket(Wire):
    """From a TCP port to a Unix socket: an endpoint's address names no path of a socket."""

    def __init__(self, path: Path) -> None:
        super().__init__(libvirtd.ADDRESS, 0)
        self.path = path

    def reach(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.connect(str(self.path))
        return found


SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)


@pytest.fixture
def there(connector: Connector) -> Iterator[UUID]:
    """A machine made by a connector that may do everything."""
    identity = uuid4()
    connector.create_vm(spec(connector, "there"), identity)
    yield identity
    connector.delete_vm(identity)


@pytest.fixture
def looking(daemon: libvirtd.PrivateLibvirtd) -> Iterator[Connector]:
    with ToTheSocket(daemon.read_only_socket) as wire:
        address = f"qemu+tcp://{wire.host_name}:{wire.port}/system"
        with connect(daemon.qemu_endpoint().model_copy(update={"address": address})) as opened:
            yield opened


def spec(connector: Connector, name: str) -> VmSpec:
    return VmSpec(name=name, provider=connector.probe().pools[0].provider, resources=SMALL)


def test_who_may_only_look_sees_machines_and_capacity_as_others_do(
    connector: Connector, looking: Connector, there: UUID
) -> None:
    assert looking.list_vms() == connector.list_vms()
    (seen,), (known,) = looking.probe().pools, connector.probe().pools
    assert seen.total == known.total
    assert looking.get_vm(there) == connector.get_vm(there)


def test_a_create_that_is_forbidden_is_refused_in_words_and_leaves_nothing(
    connector: Connector, looking: Connector, daemon: libvirtd.PrivateLibvirtd
) -> None:
    identity = uuid4()
    with pytest.raises(Refused) as caught:
        looking.create_vm(spec(connector, "wanted"), identity)
    assert caught.value.vendor_code == "29 VIR_ERR_OPERATION_DENIED"
    assert "access rules" in str(caught.value)
    assert identity not in {view.identity for view in connector.list_vms()}
    assert list(daemon.images.glob(f"{identity}*")) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c, i: c.power(i, PowerAction.ON),
        lambda c, i: c.resize(i, SMALL + Resources(vcpu=1)),
        lambda c, i: c.snapshot(i, "before"),
        lambda c, i: c.delete_vm(i),
    ],
    ids=["power", "resize", "snapshot", "delete"],
)
def test_a_change_that_is_forbidden_is_refused_and_changes_nothing(
    connector: Connector, looking: Connector, there: UUID, call: Callable[[Connector, UUID], object]
) -> None:
    before = connector.get_vm(there)
    with pytest.raises(Refused) as caught:
        call(looking, there)
    assert caught.value.vendor_code == "29 VIR_ERR_OPERATION_DENIED"
    assert connector.get_vm(there) == before
    assert snapshot_names(connector, there) == []
