"""The connector contract against three libvirt drivers behind a real daemon: QEMU, LXC, and libvirt's test driver."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors import disks
from connectors.contract import DiskFormat
from connectors.disks import Image
from connectors.simulators import libvirt_container, libvirt_sasl, libvirtd
from tierwise.testing.conformance import ConnectorConformance
from tierwise.testing.promises.templates import GONE

LOGIN = libvirt_sasl.Login("planner", "c0nf0rmance of libvirt/&=")


@pytest.fixture(scope="module")
def daemon() -> Iterator[libvirtd.PrivateLibvirtd]:
    problem = libvirtd.missing() or libvirt_sasl.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirtd.PrivateLibvirtd(tls=True, login=LOGIN) as running:
        yield running


@pytest.fixture(scope="module")
def second_pool(daemon: libvirtd.PrivateLibvirtd) -> Iterator[str]:
    folder = daemon.folder / "second-pool"
    folder.mkdir()
    daemon.virsh("pool-define-as", "second", "dir", "--target", str(folder))
    daemon.virsh("pool-start", "second")
    yield "second"
    folder.rmdir()  # empty, as machines take their disks along when they are removed


CHOSEN = {"DEBIAN_12": "debian 12.qcow2", "ALPINE_3": "golden/alpine.img"}
"""Templates that orders choose: one of each format, and each in a storage pool of its own."""


@pytest.fixture(scope="module")
def templates_made(daemon: libvirtd.PrivateLibvirtd) -> None:
    if (why := disks.missing()) is not None:
        pytest.skip(why)
    golden = daemon.folder / "golden"
    golden.mkdir()
    daemon.virsh("pool-define-as", "golden", "dir", "--target", str(golden))
    daemon.virsh("pool-start", "golden")
    for name, form in zip(CHOSEN, (DiskFormat.QCOW2, DiskFormat.RAW), strict=True):
        raw = daemon.folder / f"{name}.raw"
        raw.write_bytes(words(name))
        with raw.open("r+b") as file:
            file.truncate(512 << 20)
        folder = golden if "/" in CHOSEN[name] else daemon.images
        target = folder / CHOSEN[name].rpartition("/")[2]
        disks.convert(Image(raw, DiskFormat.RAW), Image(target, form), lambda _done: None)
    for pool in ("golden", "default"):
        daemon.virsh("pool-refresh", pool)


def words(name: str) -> bytes:
    """What stands on a template's disk."""
    return f"installed from {name}".encode()


class LibvirtConformance(ConnectorConformance):
    """What both drivers share."""

    def at(self, endpoint: Endpoint, host: str, port: int) -> Endpoint:
        scheme, _, rest = endpoint.address.partition("://")
        path = rest.partition("/")[2]
        return endpoint.model_copy(update={"address": f"{scheme}://{host}:{port}/{path}"})


@pytest.mark.counterpart("libvirt-test")
class TestLibvirtTestDriver(LibvirtConformance):
    @pytest.fixture
    def endpoint(self, daemon: libvirtd.PrivateLibvirtd) -> Endpoint:
        return daemon.test_endpoint()

    @pytest.fixture
    def plant_foreign(self, daemon: libvirtd.PrivateLibvirtd) -> Iterator[Callable[[str], None]]:
        yield lambda name: plant(daemon, daemon.test_address, "test", name)
        daemon.virsh("undefine", "somebody-elses", address=daemon.test_address)


@pytest.mark.counterpart("libvirt-qemu")
class TestLibvirtQemu(LibvirtConformance):
    @pytest.fixture
    def endpoint(self, daemon: libvirtd.PrivateLibvirtd, templates_made: None) -> Endpoint:
        return daemon.tls_endpoint(timeout_s=30, templates={**CHOSEN, GONE: "golden/none.img"})

    @pytest.fixture
    def templates(self) -> dict[str, bytes]:
        return {name: words(name) for name in CHOSEN}

    @pytest.fixture
    def other_storage(self, second_pool: str) -> str:
        return second_pool

    @pytest.fixture
    def password(self) -> SecretStr:
        return SecretStr(LOGIN.password)

    @pytest.fixture
    def untrusted_endpoint(self, daemon: libvirtd.PrivateLibvirtd, endpoint: Endpoint) -> Endpoint:
        strangers = endpoint.tls.model_copy(update={"ca_file": str(daemon.pki / "client.pem")})
        return endpoint.model_copy(update={"tls": strangers})

    @pytest.fixture
    def restart_endpoint(self, daemon: libvirtd.PrivateLibvirtd) -> Callable[[], None]:
        return daemon.restart

    @pytest.fixture
    def plant_foreign(self, daemon: libvirtd.PrivateLibvirtd) -> Iterator[Callable[[str], None]]:
        yield lambda name: plant(daemon, daemon.qemu_address, "qemu", name)
        daemon.virsh("undefine", "somebody-elses")


@pytest.mark.counterpart("libvirt-lxc")
class TestLibvirtContainers(LibvirtConformance):
    @pytest.fixture
    def endpoint(self, daemon: libvirtd.PrivateLibvirtd) -> Endpoint:
        problem = libvirt_container.missing()
        if problem is not None:
            pytest.skip(problem)
        return daemon.lxc_endpoint()

    @pytest.fixture
    def restart_endpoint(self, daemon: libvirtd.PrivateLibvirtd) -> Callable[[], None]:
        return daemon.restart


def plant(daemon: libvirtd.PrivateLibvirtd, address: str, kind: str, name: str) -> None:
    """Define a machine with libvirt's own client."""
    definition = daemon.folder / "foreign.xml"
    definition.write_text(
        f"<domain type='{kind}'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    )
    daemon.virsh("define", str(definition), address=address)
