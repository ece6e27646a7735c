"""A refresh by change feed after 100 of 10,000 machines changed, beside what the vendor's library alone takes to hear of them.

Each driver follows its endpoint, somebody else changes 100 machines with the vendor's library, and `*_feed_s` is the next
look at the feed; `*_idle_s` is one at nothing, `*_first_s` the first, which tells everything, and `*_list_s` what listing all
machines again takes instead. The alternatives tell what changed and read nothing else:

- `vsphere_bare`: pyvmomi, `WaitForUpdatesEx` on a collector with the same filter. Both hear from our own collector within
  VMware's simulator (`connectors/simulators/vcsim/updates.go`), which looks at what changed; the library's own collects
  all objects anew for every change of any object, and with 10,000 machines does not tell of one within a minute.
- `xen_bare`: XenAPI's binding, `event.from` with the same classes.
- `libvirt_bare`: libvirt-python, the statistics of all domains: the test driver keeps no list of changes.

Hyper-V's driver has no feed.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import connector_estates as estates
from connector_estates import Clock, Figures, Side

from connectors.contract import Connector
from connectors.drivers.vsphere import inventory as vsphere_inventory
from connectors.drivers.xen import feed as xen_feed
from connectors.registry import connect

MACHINES = 10_000

Change = Callable[[list[str], int], None]


CHANGED, TURNS = 100, 3
"""How many machines change at once, and how often."""


def main(machines: int = MACHINES) -> Figures:
    """Measure, and give medians in seconds."""
    return {
        **xen(machines),
        **libvirt(machines),
        **vsphere(machines),
    }


def followed(name: str, side: Side, connector: Connector, change: Change) -> Figures:
    """What the driver's feed takes."""
    first, idle, news, again = (Clock(side.process) for _ in range(4))
    found = first.run(connector.changes)
    assert found.full
    natives = sorted(vm.native_id for vm in found.vms)
    for turn in range(TURNS):
        chosen = natives[turn * CHANGED : (turn + 1) * CHANGED]
        found = idle.run(partial(connector.changes, found.cursor))
        change(chosen, turn)
        found = news.run(partial(connector.changes, found.cursor))
        assert (found.full, {vm.native_id for vm in found.vms}) == (False, set(chosen))
        listed = again.run(connector.list_vms)
        assert {vm for vm in listed if vm.native_id in chosen} == set(found.vms)
    return {
        f"{name}_machines": len(natives),
        f"{name}_changed": CHANGED,
        **first.figures(f"{name}_first"),
        **idle.figures(f"{name}_idle"),
        **news.figures(f"{name}_feed"),
        **again.figures(f"{name}_list"),
        f"{name}_feed_of_list_ratio": estates.ratio(news, again),
    }


def heard(name: str, side: Side, natives: list[str], change: Change, hear: Callable[[], int]) -> Figures:
    """What the library alone takes; `hear` gives how many machines it was told of."""
    news = Clock(side.process)
    for turn in range(TURNS):
        change(natives[:CHANGED], TURNS + turn)
        assert news.run(hear) == CHANGED
    return news.figures(f"{name}_bare")


def xen(machines: int) -> Figures:
    with estates.xen_side(machines) as side, estates.xen_sdk(side) as api:

        def rename(natives: list[str], turn: int) -> None:
            for one in natives:
                api.VM.set_name_label(api.VM.get_by_uuid(one), f"renamed-{turn}-{one}")

        with connect(side.endpoint, side.password) as driver:
            figures = followed("xen", side, driver, rename)
            natives = sorted(vm.native_id for vm in driver.list_vms())
        ask = getattr(api.event, "from")
        classes = list(xen_feed.CLASSES)
        token = [ask(["pool"], "", 0.0)["token"]]

        def hear() -> int:
            told = ask(classes, token[0], xen_feed.POLL_S)
            token[0] = told["token"]
            return len({event["ref"] for event in told["events"] if event["class"] == "vm"})

        return figures | heard("xen", side, natives, rename, hear)


def libvirt(machines: int) -> Figures:
    import libvirt as vendor

    flags = vendor.VIR_DOMAIN_STATS_STATE | vendor.VIR_DOMAIN_STATS_VCPU | vendor.VIR_DOMAIN_STATS_BALLOON
    with estates.libvirt_side(machines) as side, connect(side.endpoint) as driver:
        driver.changes()
        connection = driver._feed.connection  # type: ignore[attr-defined] # each connection has an estate of its own
        last: dict[str, Any] = {}

        def toggle(natives: list[str], _turn: int) -> None:
            for one in natives:
                domain = connection.lookupByUUIDString(one)
                (domain.destroy if domain.isActive() else domain.create)()

        def hear() -> int:
            now = {one.UUIDString(): stats for one, stats in connection.getAllDomainStats(flags)}
            changed = sum(last.get(one) != stats for one, stats in now.items())
            last.update(now)
            return int(changed)

        figures = followed("libvirt", side, driver, toggle)
        hear()
        natives = sorted(last)
        return figures | heard("libvirt", side, natives, toggle, hear)


def vsphere(machines: int) -> Figures:
    with estates.vsphere_side(machines) as side, estates.pyvmomi(side) as instance:
        cluster = instance.content.rootFolder.childEntity[0].hostFolder.childEntity[0]
        some = [machine._moId for machine in cluster.resourcePool.vm]

        def rename(natives: list[str], turn: int) -> None:
            for one in natives:
                task = machine_of(instance, one).Rename_Task(f"renamed-{turn}-{one}")
                while task.info.state in {"queued", "running"}:
                    time.sleep(0.01)

        with connect(side.endpoint, side.password) as driver:
            figures = followed("vsphere", side, driver, rename)
        with collector(instance) as hear:
            hear()
            return figures | heard("vsphere", side, sorted(some), rename, hear)


def machine_of(instance: Any, native_id: str) -> Any:
    from pyVmomi import vim

    kind: Any = vim.VirtualMachine
    return kind(native_id, instance._stub)


@contextmanager
def collector(instance: Any) -> Iterator[Callable[[], int]]:
    """A property collector of our own over all machines; how many it tells of."""
    from pyVmomi import vim, vmodl

    types: Any = vmodl.query.PropertyCollector
    content = instance.content
    kinds = [vim.VirtualMachine, vim.Datacenter, vim.Folder, vim.ComputeResource, vim.HostSystem]
    view = content.viewManager.CreateContainerView(content.rootFolder, kinds, recursive=True)
    through = types.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    start = types.ObjectSpec(obj=view, skip=True, selectSet=[through])
    mine = content.propertyCollector.CreatePropertyCollector()
    paths = dict.fromkeys(kinds, vsphere_inventory.FOLDER_PATHS) | {
        vim.VirtualMachine: vsphere_inventory.MACHINE_PATHS
    }
    properties = [types.PropertySpec(type=kind, pathSet=list(names)) for kind, names in paths.items()]
    mine.CreateFilter(types.FilterSpec(propSet=properties, objectSet=[start]), partialUpdates=False)
    version = [""]

    def hear() -> int:
        told: set[str] = set()
        while found := mine.WaitForUpdatesEx(version[0], types.WaitOptions(maxWaitSeconds=0)):
            version[0] = found.version
            updates = [one for part in found.filterSet for one in part.objectSet]
            told |= {one.obj._moId for one in updates if isinstance(one.obj, vim.VirtualMachine)}
            if not found.truncated:
                break
        return len(told)

    try:
        yield hear
    finally:
        mine.DestroyPropertyCollector()
        view.Destroy()


if __name__ == "__main__":
    print(json.dumps(main(estates.size(MACHINES)), indent=2))
