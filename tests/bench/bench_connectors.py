"""Inventories of 10,000 machines through each driver, and what a change feed costs beside listing all of them again.

`*_inventory_s` is the driver's probe and list together. For libvirt's own test driver, in this process, `ratio` is
that over the bare calls that read the same (every domain's state and definition); for vSphere see
`vsphere_inventory`. The simulators of Xen and Hyper-V are ours, so their part is no vendor's. `*_feed_ratio` is one
look at the feed after 100 machines were made, over listing all machines again. The last rows list four endpoints of
10,000 machines side by side, as `vm list` does, with this process's peak memory.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import Connector, VmSpec
from connectors.registry import connect
from connectors.simulators import hyperv, vsphere, xen

MACHINES = 10_000
CHANGED = 100
TURNS = 3
CACHE = Path(__file__).resolve().parents[2] / ".build" / "vcsim"

Figures = dict[str, int | float | str]


def main() -> Figures:
    """Measure, and give medians in seconds."""
    figures: Figures = {"machines": MACHINES}
    with ExitStack() as stack:
        opened = {
            "vsphere": stack.enter_context(_vsphere()),
            "xen": stack.enter_context(_xen()),
            "hyperv": stack.enter_context(_hyperv()),
            "libvirt": stack.enter_context(_libvirt()),
        }
        for name, connector in opened.items():
            figures[f"{name}_inventory_s"] = _median_s(connector.inventory)
        figures["libvirt_ratio"] = figures["libvirt_inventory_s"] / _median_s(_bare_libvirt)  # type: ignore[operator] # a float
        for name in ("vsphere", "xen"):
            figures |= _feed(name, opened[name])
        start = time.perf_counter()
        with ThreadPoolExecutor(len(opened)) as threads:
            found = list(threads.map(lambda one: len(one.inventory()[1]), opened.values()))
        figures["four_endpoints_s"] = time.perf_counter() - start
        figures["four_endpoints_machines"] = sum(found)
    figures["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def _median_s(work: Callable[[], object]) -> float:
    found = []
    for _ in range(TURNS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found)


def _feed(name: str, connector: Connector) -> Figures:
    """One look after many machines were made through the same driver."""
    cursor = connector.changes().cursor
    provider = connector.probe().pools[0].provider
    size = Resources(vcpu=1, memory_mib=256, disk_gib=1)
    made = [UUID(int=n + 1) for n in range(CHANGED)]
    for n, identity in enumerate(made):
        connector.create_vm(VmSpec(name=f"made-{n}", provider=provider, resources=size), identity)
    start = time.perf_counter()
    found = connector.changes(cursor)
    feed_s = time.perf_counter() - start
    assert {vm.identity for vm in found.vms} >= set(made)
    assert not found.full
    listed_s = _median_s(connector.list_vms)
    return {f"{name}_feed_s": feed_s, f"{name}_feed_ratio": feed_s / listed_s}


@contextmanager
def _vsphere() -> Iterator[Connector]:
    if reason := vsphere.missing():
        sys.exit(reason)
    estate = vsphere.Estate(clusters=20, hosts=50, vms=500)
    with (
        vsphere.VsphereSimulator(vsphere.build(CACHE), estate) as simulator,
        connect(simulator.endpoint(timeout_s=300), simulator.password) as connector,
    ):
        yield connector


@contextmanager
def _xen() -> Iterator[Connector]:
    with (
        xen.XenSimulator(xen.Estate(machines=MACHINES, sr_gib=100_000)) as simulator,
        connect(simulator.endpoint(timeout_s=300), simulator.password) as connector,
    ):
        yield connector


@contextmanager
def _hyperv() -> Iterator[Connector]:
    with hyperv.HypervSimulator(hyperv.Estate()) as simulator:
        for n in range(MACHINES):
            simulator.plant(f"other-{n:05}", disk_bytes=2**30)
        with connect(simulator.endpoint(timeout_s=300), simulator.password) as connector:
            yield connector


@contextmanager
def _libvirt() -> Iterator[Connector]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "node.xml"
        domains = "".join(
            f"<domain type='test'><name>other-{n:05}</name><memory unit='MiB'>256</memory>"
            f"<vcpu>1</vcpu><os><type>hvm</type></os></domain>"
            for n in range(MACHINES)
        )
        file.write_text(f"<node><cpu><nodes>1</nodes></cpu>{domains}</node>")
        _test_uri.append(f"test://{file}")
        endpoint = Endpoint(name="test", driver="libvirt", address=_test_uri[-1], timeout_s=300)
        with connect(endpoint) as connector:
            yield connector


_test_uri: list[str] = []


def _bare_libvirt() -> Any:
    import libvirt

    connection = libvirt.open(_test_uri[-1])
    try:
        return [(domain.state(), domain.XMLDesc(0)) for domain in connection.listAllDomains(0)]
    finally:
        connection.close()
