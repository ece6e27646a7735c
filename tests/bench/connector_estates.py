"""Endpoints with many machines, for the benchmarks of the drivers, and clocks that count both sides' processors."""

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors.simulators import hyperv, vsphere, xen

CLUSTERS = 20
CACHE = Path(__file__).resolve().parents[2] / ".build" / "vcsim"
TIME_LIMIT_S = 300

Figures = dict[str, int | float | str]


@dataclass(frozen=True)
class Side:
    """An endpoint, its password, the process that answers there (0: this one), and what started it."""

    endpoint: Endpoint
    password: SecretStr | None
    process: int
    simulator: Any = None


def size(default: int, what: str = "machines") -> int:
    """How much a benchmark that was started by hand is to measure: its first argument."""
    parser = argparse.ArgumentParser()
    parser.add_argument("size", nargs="?", type=int, default=default, help=f"{what} (default {default})")
    found: int = parser.parse_args().size
    return found


@contextmanager
def vsphere_side(machines: int) -> Iterator[Side]:
    """vcsim with 20 clusters of 50 hosts. Raises RuntimeError where it cannot be built."""
    estate = vsphere.Estate(clusters=CLUSTERS, hosts=50, vms=machines // CLUSTERS, datastores=CLUSTERS)
    with vsphere.VsphereSimulator(vsphere.build(CACHE), estate) as running:
        yield _side(running)


@contextmanager
def xen_side(machines: int) -> Iterator[Side]:
    """Our simulator of a XenServer pool, with machines that are off and have a disk."""
    estate = xen.Estate(hosts=16, machines=machines, sr_gib=4 * machines + 1024)
    with xen.XenSimulator(estate) as running:
        yield _side(running)


@contextmanager
def hyperv_side(machines: int) -> Iterator[Side]:
    """Our simulator of a Hyper-V host, with machines that are off and have a disk."""
    estate = hyperv.Estate(volume_gib=4 * machines + 1024)
    with hyperv.HypervSimulator(estate) as running:
        for number in range(machines):
            running.plant(f"other-{number:05}", disk_bytes=2**30)
        yield _side(running)


def _side(running: Any) -> Side:
    return Side(running.endpoint(timeout_s=TIME_LIMIT_S), running.password, running._process.pid, running)


@contextmanager
def libvirt_side(machines: int) -> Iterator[Side]:
    """libvirt's own test driver, in this process, with machines without disks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "node.xml"
        domains = "".join(
            f"<domain type='test'><name>other-{number:05}</name><memory unit='MiB'>256</memory>"
            "<vcpu>1</vcpu><os><type>hvm</type></os></domain>"
            for number in range(machines)
        )
        file.write_text(f"<node><cpu><nodes>1</nodes></cpu>{domains}</node>")
        endpoint = Endpoint(
            name="libvirt-test", driver="libvirt", address=f"test://{file}", timeout_s=TIME_LIMIT_S
        )
        yield Side(endpoint, None, 0)


SIDES = {"vsphere": vsphere_side, "xen": xen_side, "hyperv": hyperv_side, "libvirt": libvirt_side}


@contextmanager
def xen_sdk(side: Side) -> Iterator[Any]:
    """XenAPI's binding alone, logged in."""
    import XenAPI

    session = XenAPI.Session(side.endpoint.address)
    assert side.password
    session.xenapi.login_with_password(
        side.endpoint.username, side.password.get_secret_value(), "1.0", "bare"
    )
    try:
        yield session.xenapi
    finally:
        session.xenapi.session.logout()
        session("close")()


@contextmanager
def pyvmomi(side: Side) -> Iterator[Any]:
    """pyvmomi alone, logged in."""
    from pyVim import connect

    library: Any = connect
    host, _, port = side.simulator.address.partition(":")
    assert side.password
    password = side.password.get_secret_value()
    instance = library.SmartConnect(
        protocol="http", host=host, port=int(port), user=side.endpoint.username, pwd=password
    )
    try:
        yield instance
    finally:
        library.Disconnect(instance)


def processor_s(process: int) -> float:
    """What a process has used of processors so far, in seconds, to a hundredth."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Clock:
    """Seconds on the wall, of this process, and of the one that answers; one entry a turn."""

    process: int = 0
    wall_s: list[float] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)
    other_s: list[float] = field(default_factory=list)

    def run(self, work: Callable[[], Any]) -> Any:
        """Do the work, counted."""
        other = processor_s(self.process) if self.process else 0.0
        own, wall = time.process_time(), time.perf_counter()
        result = work()
        self.wall_s.append(time.perf_counter() - wall)
        self.own_s.append(time.process_time() - own)
        if self.process:
            self.other_s.append(processor_s(self.process) - other)
        return result

    def figures(self, name: str) -> Figures:
        """Medians."""
        found: Figures = {f"{name}_s": median(self.wall_s), f"{name}_processor_s": median(self.own_s)}
        if self.process:
            found[f"{name}_counterpart_processor_s"] = median(self.other_s)
        return found


def in_turns(turns: int, *pairs: tuple[Clock, Callable[[], Any]]) -> None:
    """Let the works take turns, so that a busy moment of the machine hits all of them.

    None of them collects what another has left over.
    """
    for _ in range(turns):
        for clock, work in pairs:
            gc.collect()
            clock.run(work)


def ratio(one: Clock, other: Clock) -> float:
    """How many times as long as the other one takes, on the wall."""
    return median(one.wall_s) / median(other.wall_s)
