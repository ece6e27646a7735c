"""The vSphere inventory of 1,000 hosts and 10,000 machines, beside the bare pyvmomi call that reads the same properties.

Both run in this process, in turns, against one simulator. `ratio` is the driver's inventory (probe and
list of machines together) over the bare call, in wall time; the promise is at most 1.3, and `cpu_ratio`
is the same of this process's own time. The driver pauses Python's garbage collector meanwhile, the bare
call does not. The change feed's first answer is the whole inventory; its next ones, of nothing and of one machine,
include the quarter of a second that the simulator waits for more. "Ours" are machines that
tierwise made: for those the driver also reads the exact disks, once, and again when they change.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from connectors import registry
from connectors.contract import Changes
from connectors.drivers.vsphere import VsphereConnector, inventory
from connectors.drivers.vsphere.marks import EXTENSION_KEY
from connectors.simulators.vsphere import USER, Estate, VsphereSimulator, build, missing

CLUSTERS, HOSTS, MACHINES = 20, 50, 500
TURNS = 5
CACHE = Path(__file__).resolve().parents[2] / ".build" / "vcsim"


def main() -> dict[str, int | float | str]:
    """Measure, and give medians in seconds."""
    if reason := missing():
        sys.exit(reason)
    figures = foreign_machines() | own_machines()
    assert figures["ratio"] <= 1.3, f"the driver's inventory takes {figures['ratio']:.2f} x the bare call"
    return figures


def foreign_machines() -> dict[str, int | float | str]:
    with simulator("") as running, bare(running) as call, driver(running) as connector:
        found: list[Any] = []
        cpu = Cpu()
        bare_s, driver_s = in_turns(
            cpu.counted(call), cpu.counted(lambda: found.append(connector.inventory()))
        )
        probe_s, list_s = in_turns(connector.probe, connector.list_vms)
        followed = feed(connector, running)
        snapshot, views = found[-1]
        hosts = sum(len(pool.hosts) for pool in snapshot.pools)
    return {
        "hosts": hosts,
        "machines": len(views),
        "bare_s": bare_s,
        "inventory_s": driver_s,
        "ratio": driver_s / bare_s,
        "cpu_ratio": cpu.ratio(),
        "probe_alone_s": probe_s,
        "list_vms_alone_s": list_s,
        **followed,
    }


def feed(connector: VsphereConnector, running: VsphereSimulator) -> dict[str, float]:
    """What a follower waits for: everything, nothing, and one machine that was switched off."""
    answers: list[Changes] = []

    def follow() -> None:
        answers.append(connector.changes(answers[-1].cursor if answers else None))

    first_s, idle_s = timed(follow), timed(follow)
    switch_off(running, answers[0].vms[0].native_id)
    one_s = timed(follow)
    told = [(found.full, len(found.vms)) for found in answers]
    assert told == [(True, CLUSTERS * MACHINES), (False, 0), (False, 1)], told
    return {"feed_first_s": first_s, "feed_of_nothing_s": idle_s, "feed_of_one_s": one_s}


def switch_off(running: VsphereSimulator, machine: str) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    with raw(running) as instance:
        WaitForTask(vim.VirtualMachine(machine, instance._stub).PowerOffVM_Task())


class Cpu:
    """Processor time of two calls that take turns."""

    def __init__(self) -> None:
        self.used: dict[int, list[float]] = {}

    def counted(self, call: Callable[[], object]) -> Callable[[], None]:
        mine = self.used.setdefault(len(self.used), [])

        def run() -> None:
            started = time.process_time()
            call()
            mine.append(time.process_time() - started)

        return run

    def ratio(self) -> float:
        return median(self.used[1]) / median(self.used[0])


def own_machines() -> dict[str, int | float | str]:
    with simulator(EXTENSION_KEY) as running, driver(running) as connector:
        first_s, again_s = timed(connector.inventory), timed(connector.inventory)
    return {"first_inventory_of_ours_s": first_s, "next_inventory_of_ours_s": again_s}


@contextmanager
def simulator(managed_by: str) -> Iterator[VsphereSimulator]:
    estate = Estate(
        clusters=CLUSTERS, hosts=HOSTS, vms=MACHINES, datastores=CLUSTERS, managed_by=managed_by
    )
    with VsphereSimulator(build(CACHE), estate) as running:
        yield running


@contextmanager
def driver(running: VsphereSimulator) -> Iterator[VsphereConnector]:
    with registry.connect(running.endpoint(timeout_s=300), running.password) as connector:
        assert isinstance(connector, VsphereConnector)
        yield connector


@contextmanager
def bare(running: VsphereSimulator) -> Iterator[Callable[[], None]]:
    """The same properties by pyvmomi alone: one view, one RetrievePropertiesEx."""
    with raw(running) as instance:
        yield lambda: collect(instance.content)


@contextmanager
def raw(running: VsphereSimulator) -> Iterator[Any]:
    """A login by pyvmomi alone."""
    from pyVim.connect import Disconnect, SmartConnect

    host, _, port = running.address.partition(":")
    password = running.password.get_secret_value()
    instance = SmartConnect(protocol="http", host=host, port=int(port), user=USER, pwd=password)
    try:
        yield instance
    finally:
        Disconnect(instance)


def collect(content: Any) -> None:
    from pyVmomi import vim, vmodl

    types = vmodl.query.PropertyCollector
    wanted = {
        vim.Datacenter: inventory.FOLDER_PATHS,
        vim.Folder: inventory.FOLDER_PATHS,
        vim.ComputeResource: inventory.CLUSTER_PATHS,
        vim.ClusterComputeResource: inventory.CLUSTER_ONLY_PATHS,
        vim.HostSystem: inventory.HOST_PATHS,
        vim.Datastore: inventory.DATASTORE_PATHS,
        vim.VirtualMachine: inventory.MACHINE_PATHS,
    }
    view = content.viewManager.CreateContainerView(content.rootFolder, list(wanted), recursive=True)
    through = types.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    start = types.ObjectSpec(obj=view, skip=True, selectSet=[through])
    specs = [types.PropertySpec(type=kind, pathSet=list(paths)) for kind, paths in wanted.items()]
    found = content.propertyCollector.RetrievePropertiesEx(
        [types.FilterSpec(propSet=specs, objectSet=[start])], types.RetrieveOptions()
    )
    view.Destroy()
    assert sum(isinstance(one.obj, vim.VirtualMachine) for one in found.objects) == CLUSTERS * MACHINES


def in_turns(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of both, run alternately so that a busy moment hits both."""
    times = [(timed(one), timed(other)) for _ in range(TURNS)]
    return median(a for a, _ in times), median(b for _, b in times)


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
