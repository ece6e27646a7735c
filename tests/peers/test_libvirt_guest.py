"""Machines that really run: guests boot under emulation, say so themselves, and move real counters."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, PowerState, VmSpec, VmView
from connectors.errors import Conflict, DeadlineExceeded
from connectors.registry import connect
from connectors.simulators import libvirt_guest, libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
BOOT_LIMIT_S = 120
NETWORK = ("net_received_bytes", "net_sent_bytes")
SECOND = "52:54:00:00:00:02"


@pytest.fixture
def tiny(daemon: libvirtd.PrivateLibvirtd) -> Iterator[Connector]:
    with connect(daemon.qemu_endpoint()) as connector:
        yield connector


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    with connect(daemon.qemu_endpoint()) as connector:
        connector.delete_vm(fresh)


@pytest.fixture(scope="module")
def linux(pytestconfig: pytest.Config) -> libvirt_guest.LinuxGuest:
    try:
        return libvirt_guest.linux_guest(pytestconfig.rootpath / ".build" / "libvirt-guest")
    except RuntimeError as error:
        pytest.skip(str(error))


def make(connector: Connector, identity: UUID, resources: Resources = SMALL) -> None:
    name = f"guest-{identity.hex[:8]}"
    provider = connector.probe().pools[0].provider
    connector.create_vm(VmSpec(name=name, provider=provider, resources=resources), identity)
    connector.power(identity, PowerAction.ON)


def wait_until(true: Callable[[], bool]) -> bool:
    """Look every 50 ms; a guest gives no other sign."""
    tick = threading.Event()
    return any(true() or tick.wait(0.05) for _ in range(BOOT_LIMIT_S * 20))


def says(log: Path, word: str) -> Callable[[], bool]:
    return lambda: log.exists() and word in log.read_text(errors="replace")


def test_a_linux_guest_boots_and_its_counters_are_those_of_its_work(
    daemon: libvirtd.PrivateLibvirtd, linux: libvirt_guest.LinuxGuest, identity: UUID
) -> None:
    endpoint = daemon.qemu_endpoint(
        kernel=str(linux.kernel), initrd=str(linux.initrd), cmdline=libvirt_guest.CMDLINE
    )
    with connect(endpoint) as connector:
        make(connector, identity, SMALL.model_copy(update={"memory_mib": libvirt_guest.LINUX_MEMORY_MIB}))
        log = daemon.serial_log(identity)
        assert wait_until(says(log, libvirt_guest.UP)), "the guest never said that it is up"
        assert wait_until(says(log, libvirt_guest.WRITTEN)), "the guest's disk took nothing"
        seen = {r.metric: r.value for r in connector.usage(datetime.now(UTC) - timedelta(minutes=1))}
        stats = daemon.virsh("domstats", str(identity), "--cpu-total", "--block")
        theirs = dict(line.strip().split("=", 1) for line in stats.splitlines() if "=" in line)
        assert seen["disk_written_bytes"] == libvirt_guest.WRITTEN_MIB * 1024 * 1024
        assert seen["disk_written_bytes"] == int(theirs["block.0.wr.bytes"])
        assert 0 < seen["cpu_ms"] <= int(theirs["cpu.time"]) // 1_000_000
        assert wait_until(lambda: cpu_ms(connector, identity) > seen["cpu_ms"]), (
            "the CPU counter stands still"
        )
        assert daemon.virsh("domstate", str(identity)).strip() == "running"


def cpu_ms(connector: Connector, identity: UUID) -> int:
    readings = connector.usage(datetime.now(UTC) - timedelta(minutes=1))
    return next(r.value for r in readings if r.identity == identity and r.metric == "cpu_ms")


def test_the_tiny_guest_says_it_is_up_and_obeys_the_power_button(
    daemon: libvirtd.PrivateLibvirtd, tiny: Connector, identity: UUID
) -> None:
    make(tiny, identity)
    assert wait_until(says(daemon.serial_log(identity), libvirt_guest.UP))
    assert tiny.power(identity, PowerAction.SHUTDOWN).power is PowerState.OFF
    assert daemon.virsh("domstate", "--reason", str(identity)).strip() == "shut off (shutdown)"


def test_the_tiny_guest_is_what_its_source_says(tmp_path: Path) -> None:
    if shutil.which("as") is None or shutil.which("objcopy") is None:
        pytest.skip("not installed: binutils")
    source = Path(libvirt_guest.__file__).with_suffix(".s")
    object_file, flat = tmp_path / "guest.o", tmp_path / "guest.bin"
    subprocess.run(["as", "--32", str(source), "-o", str(object_file)], check=True)
    subprocess.run(["objcopy", "-O", "binary", str(object_file), str(flat)], check=True)
    kernel = libvirt_guest.tiny_kernel(tmp_path).read_bytes()
    assert kernel == flat.read_bytes().ljust(8192, b"\0")


def test_a_guest_that_ignores_the_request_ends_in_a_deadline_that_says_what_to_do(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    deaf = daemon.folder / "no-kernel"  # multiboot header and a jump to itself
    deaf.write_bytes(libvirt_guest.tiny_kernel(daemon.folder).read_bytes()[:32] + b"\xeb\xfe" + bytes(8158))
    with connect(daemon.qemu_endpoint(kernel=str(deaf))) as patient:
        make(patient, identity)
        with connect(daemon.qemu_endpoint(timeout_s=2)) as hasty, pytest.raises(DeadlineExceeded) as caught:
            hasty.power(identity, PowerAction.SHUTDOWN)
        assert "power it off" in caught.value.hint
        assert patient.power(identity, PowerAction.OFF).power is PowerState.OFF


def test_memory_saved_to_disk_by_virsh_is_a_suspended_machine_that_goes_on(
    daemon: libvirtd.PrivateLibvirtd, tiny: Connector, identity: UUID
) -> None:
    make(tiny, identity)
    daemon.virsh("managedsave", str(identity))
    assert tiny.get_vm(identity).power is PowerState.SUSPENDED
    daemon.restart()
    assert listed(tiny, identity).power is PowerState.SUSPENDED
    assert tiny.power(identity, PowerAction.ON).power is PowerState.ON
    tiny.power(identity, PowerAction.OFF)
    assert listed(tiny, identity).power is PowerState.OFF


def listed(connector: Connector, identity: UUID) -> VmView:
    return next(vm for vm in connector.list_vms() if vm.identity == identity)


def test_a_running_machine_grows_in_qemu_itself_and_a_revert_takes_it_back(
    daemon: libvirtd.PrivateLibvirtd, tiny: Connector, identity: UUID
) -> None:
    make(tiny, identity)
    tiny.snapshot(identity, "small")
    grown = Resources(vcpu=2, memory_mib=256, disk_gib=2)
    assert tiny.resize(identity, grown).resources == grown
    ask = ("qemu-monitor-command", str(identity), "--hmp")
    assert daemon.virsh(*ask, "info cpus").count("CPU #") == grown.vcpu
    assert f"plugged memory: {128 * 1024 * 1024}" in daemon.virsh(*ask, "info memory_size_summary")
    assert "2 GiB" in daemon.virsh(*ask, "info block -v").replace("2.00", "2")
    with pytest.raises(Conflict, match="added while it ran"):
        tiny.snapshot(identity, "grown")
    tiny.revert(identity, "small")
    assert tiny.get_vm(identity).resources == SMALL
    assert tiny.get_vm(identity).power is PowerState.ON
    assert daemon.virsh(*ask, "info cpus").count("CPU #") == 1


def test_the_pool_s_processor_is_the_one_that_qemu_gives_a_running_machine(
    daemon: libvirtd.PrivateLibvirtd, tiny: Connector, identity: UUID
) -> None:
    make(tiny, identity)
    ask = {"path": "/machine/unattached/device[0]"}
    names = {"HW_CPU_X86_MMX": "mmx", "HW_CPU_X86_SSE3": "pni", "HW_CPU_X86_SVM": "svm"}
    names |= {"HW_CPU_X86_AVX": "avx", "HW_CPU_X86_AVX2": "avx2", "HW_CPU_X86_AESNI": "aes"}
    found = set()
    for trait, name in names.items():
        query = json.dumps({"execute": "qom-get", "arguments": {**ask, "property": name}})
        if json.loads(daemon.virsh("qemu-monitor-command", str(identity), query))["return"]:
            found.add(trait)
    assert found == tiny.probe().pools[0].traits & names.keys()
    assert found


def test_the_host_s_sockets_and_cores_are_those_that_the_kernel_tells(tiny: Connector) -> None:
    told = subprocess.run(["lscpu", "-p=SOCKET,CORE"], capture_output=True, text=True, check=True).stdout
    pairs = {tuple(line.split(",")) for line in told.splitlines() if not line.startswith("#")}
    (host,) = tiny.probe().pools[0].hosts
    assert (host.sockets, host.cores) == (len({socket for socket, _ in pairs}), len(pairs))


def test_a_running_machine_does_not_shrink(tiny: Connector, identity: UUID) -> None:
    make(tiny, identity)
    before = tiny.get_vm(identity)
    with pytest.raises(Conflict, match="only be added"):
        tiny.resize(identity, SMALL.model_copy(update={"memory_mib": 64}))
    assert tiny.get_vm(identity) == before


def test_each_network_card_of_a_machine_has_its_traffic_counted(
    daemon: libvirtd.PrivateLibvirtd, bridge: str, identity: UUID
) -> None:
    def seen() -> dict[str, set[str]]:
        found = connector.usage(datetime.now(UTC) - timedelta(minutes=1))
        return {m: {one.part for one in found if one.metric == m} for m in NETWORK}

    def macs() -> set[str]:
        rows = (line.split() for line in daemon.virsh("domiflist", str(identity)).splitlines())
        return {row[4] for row in rows if row and row[2] == bridge}

    with connect(daemon.qemu_endpoint(bridge=bridge)) as connector:
        assert connector.probe().pools[0].capabilities.has(Capability.METRICS_NET)
        make(connector, identity)
        before = macs()
        assert len(before) == 1
        assert seen() == dict.fromkeys(NETWORK, before)
        connector.power(identity, PowerAction.OFF)
        daemon.virsh("attach-interface", str(identity), "bridge", bridge, "--mac", SECOND, "--config")
        connector.power(identity, PowerAction.ON)
        assert macs() == before | {SECOND}
        assert seen() == dict.fromkeys(NETWORK, macs())
        connector.delete_vm(identity)
