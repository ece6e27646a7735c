"""The connector contract against libvirt's driver of Xen: a real Xen, on an emulated processor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog.pools import Endpoint
from connectors.simulators import libvirt_xen
from tests.conformance.test_libvirt import LibvirtConformance

FOREIGN = "<domain type='xen'><name>{}</name><memory unit='MiB'>64</memory><os><type>linux</type><kernel>/boot/vmlinuz</kernel></os></domain>"


@pytest.mark.counterpart("libvirt-xen")
class TestLibvirtXen(LibvirtConformance):
    """Paravirtual machines, as they start soonest; `tests/peers` has the others."""

    @pytest.fixture
    def endpoint(self, xen: libvirt_xen.XenHost) -> Endpoint:
        return xen.endpoint(os_type="xen")

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
