"""The connector contract against libvirt's driver of Xen: a real Xen, on an emulated processor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog.pools import Endpoint
from connectors import disks
from connectors.contract import DiskFormat
from connectors.disks import Image
from connectors.simulators import libvirt_xen
from tests.conformance.test_libvirt import LibvirtConformance, words
from tierwise.testing.promises.templates import GONE

FOREIGN = "<domain type='xen'><name>{}</name><memory unit='MiB'>64</memory><os><type>linux</type><kernel>/boot/vmlinuz</kernel></os></domain>"


CHOSEN = {"DEBIAN_12": "debian 12.qcow2", "ALPINE_3": "alpine.img"}


@pytest.fixture(scope="module")
def templates_made(xen: libvirt_xen.XenHost, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One of each format, uploaded by virsh."""
    if (why := disks.missing()) is not None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("templates")
    for (name, volume), form in zip(CHOSEN.items(), (DiskFormat.QCOW2, DiskFormat.RAW), strict=True):
        raw, made = folder / f"{name}.raw", folder / volume
        raw.write_bytes(words(name))
        with raw.open("r+b") as file:
            file.truncate(64 << 20)
        disks.convert(Image(raw, DiskFormat.RAW), Image(made, form), lambda _done: None)
        xen.virsh("vol-create-as", "default", volume, "64M", "--format", form.value)
        xen.virsh("vol-upload", volume, str(made), "--pool", "default")
    xen.virsh("pool-refresh", "default")


@pytest.mark.counterpart("libvirt-xen")
class TestLibvirtXen(LibvirtConformance):
    """Paravirtual machines, as they start soonest; `tests/peers` has the others."""

    @pytest.fixture
    def endpoint(self, xen: libvirt_xen.XenHost, templates_made: None) -> Endpoint:
        return xen.endpoint(os_type="xen", templates={**CHOSEN, GONE: "none.qcow2"})

    @pytest.fixture
    def templates(self) -> dict[str, bytes]:
        return {name: words(name) for name in CHOSEN}

    @pytest.fixture
    def restart_endpoint(self, xen: libvirt_xen.XenHost) -> Callable[[], None]:
        return xen.restart

    @pytest.fixture
    def plant_foreign(self, xen: libvirt_xen.XenHost, tmp_path: Path) -> Iterator[Callable[[str], None]]:
        def plant(name: str) -> None:
            definition = tmp_path / "foreign.xml"
            definition.write_text(FOREIGN.format(name))
            xen.virsh("define", str(definition))

        yield plant
        xen.virsh("undefine", "somebody-elses")
