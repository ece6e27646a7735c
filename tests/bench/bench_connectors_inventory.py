"""The inventory of 10,000 machines through the drivers of XenServer, Hyper-V and libvirt, each beside its vendor's library alone.

`*_ratio` is the driver's time over that of the alternative, both in turns on one counterpart; where there are two
alternatives, the second one's is `*_facts_ratio`. The alternatives:

- `xen_sdk`: XenAPI's Python binding, `get_all_records` of the ten classes that the driver reads. The driver reads
  the same by JSON-RPC.
- `hyperv_pywinrm`: pywinrm alone, carrying the request that the driver sends and the bytes of the answer, which nobody
  reads.
- `libvirt_calls`: libvirt-python on libvirt's own test driver, in this process: each domain's statistics, name, UUID
  and definition, which nobody reads. `libvirt_facts`: the same, and the definition read by ElementTree for what is in a view.
  The driver keeps what it read of definitions that are the same at the next look: `libvirt_list` is such a look,
  `libvirt_first` one of a process that has not seen the endpoint before.
- `libvirtd_calls`, `libvirtd_facts`: the same calls to a libvirtd with 500 machines of QEMU, each with a disk, whose
  definitions are ten times as long as those of the test driver.

vSphere has a benchmark of its own, `vsphere_inventory`. The simulators of XenServer and Hyper-V are ours: their part
(`*_counterpart_processor_s`) is no vendor's.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import connector_estates as estates
from connector_estates import Clock, Figures, Side

from catalog.resources import Resources
from connectors.contract import Connector, VmSpec, VmView
from connectors.drivers.hyperv import session as hyperv_session
from connectors.drivers.libvirt import views
from connectors.registry import connect

MACHINES = 10_000
AT_LIBVIRTD = 500
TURNS = 3
SHORT_TURNS = 9

XEN_CLASSES = ("VM", "pool", "VBD", "VDI", "host", "host_metrics", "SR", "PBD", "SM")


def main(machines: int = MACHINES) -> Figures:
    """Measure, and give medians in seconds."""
    return {
        "machines": machines,
        **xen(machines),
        **hyperv(machines),
        **libvirt(machines),
        **libvirtd(AT_LIBVIRTD),
    }


def xen(machines: int) -> Figures:
    with (
        estates.xen_side(machines) as side,
        connect(side.endpoint, side.password) as driver,
        estates.xen_sdk(side) as api,
    ):

        def sdk() -> list[Any]:
            return [getattr(api, name).get_all_records() for name in XEN_CLASSES]

        ours, bare = Clock(side.process), Clock(side.process)
        assert len(driver.list_vms()) == machines
        estates.in_turns(TURNS, (bare, sdk), (ours, driver.inventory))
    return {
        **ours.figures("xen_inventory"),
        **bare.figures("xen_sdk"),
        "xen_ratio": estates.ratio(ours, bare),
    }


def hyperv(machines: int) -> Figures:
    with estates.hyperv_side(machines) as side, connect(side.endpoint, side.password) as driver:
        with recorded() as sent:
            assert len(driver.list_vms()) == machines
        ours, bare = Clock(side.process), Clock(side.process)
        with pywinrm(side, b"".join(sent)) as carry:
            estates.in_turns(TURNS, (bare, carry), (ours, driver.inventory))
    return {
        **ours.figures("hyperv_inventory"),
        **bare.figures("hyperv_pywinrm"),
        "hyperv_ratio": estates.ratio(ours, bare),
    }


@contextmanager
def recorded() -> Iterator[list[bytes]]:
    """What the driver sends to its dispatcher meanwhile."""
    sent: list[bytes] = []
    send = hyperv_session.Session._send

    def noted(self: Any, command_id: str, text: bytes) -> None:
        sent.append(text)
        send(self, command_id, text)

    hyperv_session.Session._send = noted  # type: ignore[method-assign] # put back below
    try:
        yield sent
    finally:
        hyperv_session.Session._send = send  # type: ignore[method-assign] # as it was


@contextmanager
def pywinrm(side: Side, text: bytes) -> Iterator[Callable[[], int]]:
    """pywinrm alone: a shell, and in each turn one command with this input; how many bytes it answers."""
    from winrm.protocol import Protocol

    from connectors.drivers.hyperv import dispatcher

    assert side.password
    protocol = Protocol(
        endpoint=f"{side.endpoint.address}/wsman",
        transport="ntlm",
        username=side.endpoint.username,
        password=side.password.get_secret_value(),
    )
    shell = protocol.open_shell(codepage=65001)

    def carry() -> int:
        command = protocol.run_command(
            shell, dispatcher.COMMAND, dispatcher.arguments(), console_mode_stdin=False, skip_cmd_shell=True
        )
        protocol.send_command_input(shell, command, text, end=True)
        length, done = 0, False
        while not done:
            out, _, _, done = protocol.get_command_output_raw(shell, command)
            length += len(out)
        protocol.cleanup_command(shell, command)
        return length

    try:
        yield carry
    finally:
        protocol.close_shell(shell)


def libvirt(machines: int) -> Figures:
    with estates.libvirt_side(machines) as side, connect(side.endpoint) as driver:
        return listed("libvirt", driver, side.endpoint.address, machines)


def libvirtd(machines: int) -> Figures:
    from connectors.simulators.libvirtd import PrivateLibvirtd, missing

    if reason := missing():
        raise SystemExit(reason)
    with PrivateLibvirtd() as daemon, connect(daemon.qemu_endpoint()) as driver:
        provider = driver.probe().pools[0].provider
        size = Resources(vcpu=1, memory_mib=128, disk_gib=1)
        for number in range(machines):
            driver.create_vm(VmSpec(name=f"ours-{number:05}", provider=provider, resources=size), uuid4())
        return listed("libvirtd", driver, daemon.qemu_address, machines)


def listed(name: str, driver: Connector, address: str, machines: int) -> Figures:
    """The driver's first and later lists beside libvirt-python's own calls, in turns."""
    import libvirt as vendor

    connection = vendor.open(address)
    flags = vendor.VIR_DOMAIN_STATS_STATE | vendor.VIR_DOMAIN_STATS_BLOCK

    def calls() -> list[tuple[dict[str, Any], str, str, str]]:
        rows = connection.getAllDomainStats(flags)
        return [(stats, one.name(), one.UUIDString(), one.XMLDesc(0)) for one, stats in rows]

    def facts() -> list[tuple[object, ...]]:
        return [(stats, name, uuid, *in_view(text)) for stats, name, uuid, text in calls()]

    def first() -> list[VmView]:
        views._read.cache_clear()
        views._seen.cache_clear()
        return driver.list_vms()

    assert len(driver.list_vms()) == len(facts()) == machines
    anew, ours, bare, read = Clock(), Clock(), Clock(), Clock()
    estates.in_turns(SHORT_TURNS, (bare, calls), (read, facts), (anew, first), (ours, driver.list_vms))
    connection.close()
    return {
        **anew.figures(f"{name}_first"),
        **ours.figures(f"{name}_list"),
        **bare.figures(f"{name}_calls"),
        **read.figures(f"{name}_facts"),
        f"{name}_ratio": estates.ratio(ours, bare),
        f"{name}_first_ratio": estates.ratio(anew, bare),
        f"{name}_first_facts_ratio": estates.ratio(anew, read),
    }


def in_view(text: str) -> tuple[object, ...]:
    """What a view shows of a definition: processors, memory, disks and our mark."""
    root = ET.fromstring(text)
    vcpu = root.find("vcpu")
    disks = [target.get("dev") for target in root.iterfind("devices/disk/target")]
    return (
        None if vcpu is None else vcpu.get("current") or vcpu.text,
        int(root.findtext("memory") or 0) // 1024,
        disks,
        root.find("metadata"),
    )


if __name__ == "__main__":
    print(json.dumps(main(estates.size(MACHINES)), indent=2))
