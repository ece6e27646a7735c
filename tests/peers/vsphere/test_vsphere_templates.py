"""Machines made of a template, read back by pyvmomi and by qemu-img; and what happens when that goes wrong."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from catalog.pools import Option
from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, EndpointSnapshot, Firmware, PowerState, VmSpec
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused, Unreachable
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator

pytestmark = [
    pytest.mark.counterpart("vcsim"),
    pytest.mark.skipif(
        shutil.which("qemu-img") is None, reason="qemu-img is not installed; apt-get install qemu-utils"
    ),
]

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]

GIB = 1 << 30
TEMPLATE = "debian-12"
WORDS = b"installed by somebody, long ago. "
OPTION = {"template": TEMPLATE}
SLACK_S = 0.5
"""A deadline is kept within 10 %; this much more is a busy machine's."""


def wait(task: Any) -> Any:
    from pyVim.task import WaitForTask

    WaitForTask(task)
    return task.info.result


def datacenter(raw: Any) -> Any:
    return raw.content.rootFolder.childEntity[0]


def make_template(simulator: VsphereSimulator, raw: Any, cluster: int = 0, **settings: Any) -> Any:
    """A template with a disk of 1 GiB, words near its end, and a card, made by bare pyvmomi."""
    from pyVmomi import vim

    device = vim.vm.device
    add = device.VirtualDeviceSpec.Operation.add
    network = next(one for one in datacenter(raw).network if one.name == "VM Network")
    controller = device.VirtualLsiLogicController(key=-1, busNumber=0, sharedBus="noSharing")
    disk = device.VirtualDisk(key=-2, controllerKey=-1, unitNumber=0, capacityInKB=1 << 20)
    disk.backing = device.VirtualDisk.FlatVer2BackingInfo(fileName="", diskMode="persistent")
    card = device.VirtualE1000(key=-3, addressType="assigned")
    card.backing = device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network.name, network=network)
    create = device.VirtualDeviceSpec.FileOperation.create
    config = vim.vm.ConfigSpec(
        **{"name": TEMPLATE, "guestId": "debian10_64Guest", "numCPUs": 4, "memoryMB": 1024} | settings,
        numCoresPerSocket=4,
        annotation="kept up to date by the Linux people",
        files=vim.vm.FileInfo(vmPathName="[LocalDS_0]"),
        deviceChange=[
            device.VirtualDeviceSpec(operation=add, device=controller),
            device.VirtualDeviceSpec(operation=add, device=disk, fileOperation=create),
            device.VirtualDeviceSpec(operation=add, device=card),
        ],
    )
    home = raw.clusters()[cluster]
    made = wait(datacenter(raw).vmFolder.CreateVM_Task(config, home.resourcePool, home.host[0]))
    with extent(simulator, made.name).open("wb") as file:
        file.truncate(GIB)
        file.seek(GIB - 4096)
        file.write(WORDS)
    made.MarkAsTemplate()
    return made


def extent(simulator: VsphereSimulator, name: str) -> Path:
    (found,) = simulator.files.glob(f"*/{name}/{name}.vmdk")
    return found.with_name(f"{name}-flat.vmdk")


def read_words(simulator: VsphereSimulator, name: str) -> tuple[int, bytes]:
    """The size of a machine's disk, and what stands where the template has its words, by qemu-img."""
    descriptor = extent(simulator, name).with_name(f"{name}.vmdk")
    raw = descriptor.with_suffix(".raw")
    command = ["qemu-img", "convert", "-f", "vmdk", "-O", "raw", str(descriptor), str(raw)]
    subprocess.run(command, check=True, capture_output=True)
    with raw.open("rb") as file:
        file.seek(GIB - 4096)
        found = raw.stat().st_size, file.read(len(WORDS))
    raw.unlink()
    return found


def disk_of(machine: Any) -> Any:
    from pyVmomi import vim

    (disk,) = [d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
    return disk


def cards_of(machine: Any) -> list[Any]:
    from pyVmomi import vim

    kind = vim.vm.device.VirtualEthernetCard
    return [d for d in machine.config.hardware.device if isinstance(d, kind)]


@pytest.fixture
def simulator(start: Start, look: Look) -> VsphereSimulator:
    running = start()
    with look(running) as raw:
        make_template(running, raw)
    return running


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    with connected(simulator) as opened:
        yield opened


@contextmanager
def connected(
    simulator: VsphereSimulator, *, timeout_s: float = 10, **options: Option
) -> Iterator[Connector]:
    endpoint = simulator.endpoint(timeout_s=timeout_s, options=OPTION | options)
    with registry.connect(endpoint, simulator.password) as opened:
        yield opened


@pytest.fixture
def one_gib(spec: VmSpec) -> VmSpec:
    return spec.model_copy(update={"resources": Resources(vcpu=2, memory_mib=512, disk_gib=1)})


def test_a_machine_of_a_template_has_the_orders_size_and_identity_and_the_templates_disk(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    view = connector.create_vm(spec.model_copy(update={"annotations": {"owner": "db"}}), identity)
    assert (view.identity, view.name, view.power) == (identity, "web", PowerState.OFF)
    assert (view.resources, dict(view.annotations)) == (spec.resources, {"owner": "db"})
    assert simulator.calls().get("ReconfigVM_Task") is None, "a moment without identity"
    with look(simulator) as raw:
        (made,) = raw.of(identity)
        assert (made.name, made.config.template, made.config.uuid) == ("web", False, str(identity))
        assert made.config.guestId == "debian10_64Guest"
        assert (made.config.hardware.numCPU, made.config.hardware.memoryMB) == (2, 512)
        assert made.config.managedBy.extensionKey == "io.tierwise"
        assert made.config.cpuHotAddEnabled
        assert made.config.memoryHotAddEnabled
        assert disk_of(made).capacityInKB == 3 << 20
    assert read_words(simulator, "web") == (3 * GIB, WORDS)


def test_the_template_stays_as_it_is(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    def shown(raw: Any) -> tuple[Any, ...]:
        (model,) = [vm for vm in raw.machines() if vm.name == TEMPLATE]
        devices = [(type(d), d.key, d.unitNumber) for d in model.config.hardware.device]
        disk, (card,) = disk_of(model), cards_of(model)
        return devices, disk.capacityInKB, disk.backing.fileName, card.macAddress, model.config.annotation

    with look(simulator) as raw:
        before = shown(raw)
        identities = [uuid4(), uuid4()]
        for number, identity in enumerate(identities):
            connector.create_vm(spec.model_copy(update={"name": f"web-{number}"}), identity)
        assert shown(raw) == before
        macs = {cards_of(raw.of(identity)[0])[0].macAddress for identity in identities}
        assert len(macs | {before[3]}) == 3, "cards with one address on one network"
        connector.delete_vm(identities[0])
    assert read_words(simulator, "web-1") == (3 * GIB, WORDS)


def test_processors_that_are_no_multiple_of_the_templates_cores_are_one_core_a_socket(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    for vcpu, cores in ((3, 1), (8, 4)):
        identity = uuid4()
        size = Resources(vcpu=vcpu, memory_mib=512, disk_gib=1)
        connector.create_vm(spec.model_copy(update={"name": f"web-{vcpu}", "resources": size}), identity)
        with look(simulator) as raw:
            hardware = raw.of(identity)[0].config.hardware
            assert (hardware.numCPU, hardware.numCoresPerSocket) == (vcpu, cores)


def test_cards_stay_without_a_network_and_the_first_goes_to_the_one_of_the_option(
    simulator: VsphereSimulator, look: Look, one_gib: VmSpec
) -> None:
    with connected(simulator) as connector:
        connector.create_vm(one_gib, identity := uuid4())
        (card,) = connector.details(identity).cards
        assert (card.model, card.network) == ("e1000", "VM Network")
        connector.delete_vm(identity)
    with connected(simulator, network="DC0_DVPG0") as connector:
        connector.create_vm(one_gib, identity := uuid4())
        (card,) = connector.details(identity).cards
        assert (card.model, card.network) == ("e1000", "DC0_DVPG0")
        with look(simulator) as raw:
            (model,) = [vm for vm in raw.machines() if vm.name == TEMPLATE]
            assert cards_of(model)[0].macAddress != card.mac


def test_a_template_of_another_cluster_and_folder_gives_machines_of_the_ordered_one(
    start: Start, look: Look, one_gib: VmSpec
) -> None:
    simulator = start(Estate(clusters=2, without_drs=("DC0_C1",)))
    with look(simulator) as raw:
        model = make_template(simulator, raw, cluster=0)
        folder = datacenter(raw).vmFolder.CreateFolder("golden/images")
        wait(folder.MoveIntoFolder_Task([model]))
    path = "golden%2fimages/debian-12"  # a slash in a name, as vCenter stores it
    with pytest.raises(NotFound), connected(simulator, template="images/debian-12") as connector:
        connector.create_vm(one_gib, uuid4())
    with look(simulator) as raw:
        wait(datacenter(raw).vmFolder.childEntity[-1].Rename_Task("golden"))
    path = "golden/debian-12"
    for cluster in ("DC0_C0", "DC0_C1"):
        with connected(simulator, template=path) as connector:
            spec = one_gib.model_copy(update={"name": f"in-{cluster}", "provider": cluster})
            view = connector.create_vm(spec, uuid4())
            assert view.provider == cluster
            assert view.host is not None
            assert view.host.startswith(f"{cluster}_H")


def test_a_machine_that_is_to_be_filled_is_made_without_the_templates_content(
    simulator: VsphereSimulator, connector: Connector, one_gib: VmSpec
) -> None:
    simulator.rules()
    connector.create_vm(one_gib.model_copy(update={"empty": True, "firmware": Firmware.UEFI}), uuid4())
    calls = simulator.calls()
    assert (calls.get("CloneVM_Task"), calls["CreateVM_Task"]) == (None, 1)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"resources": Resources(vcpu=1, memory_mib=64)}, Refused, "have 1 GiB, not 0 GiB"),
        ({"firmware": Firmware.UEFI}, Refused, "starts by bios, not by uefi"),
    ],
    ids=["smaller-disk", "other-firmware"],
)
def test_an_order_that_a_template_rules_out_is_refused_before_vcenter_is_asked(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    spec: VmSpec,
    change: dict[str, Any],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind, match=said):
        connector.create_vm(spec.model_copy(update=change), uuid4())
    with look(simulator) as raw:
        assert [vm.name for vm in raw.machines()] == [TEMPLATE]
    assert "CloneVM_Task" not in simulator.calls()


@pytest.mark.parametrize(
    ("template", "kind", "said"),
    [
        ("debian-13", NotFound, "there is no template 'debian-13'"),
        ("other", Refused, "'other' is a machine, not a template"),
        ("folder", NotFound, "there is no template 'folder'"),
    ],
)
def test_a_template_that_is_none_is_named(
    simulator: VsphereSimulator,
    look: Look,
    spec: VmSpec,
    template: str,
    kind: type[Exception],
    said: str,
) -> None:
    with look(simulator) as raw:
        make_template(simulator, raw, name="other").MarkAsVirtualMachine(raw.clusters()[0].resourcePool)
        datacenter(raw).vmFolder.CreateFolder("folder")
    with connected(simulator, template=template) as connector, pytest.raises(kind, match=said) as caught:
        connector.create_vm(spec, uuid4())
    assert "option 'template'" in caught.value.hint


@pytest.mark.parametrize("after", [False, True], ids=["before-it-took-effect", "after-it-took-effect"])
def test_a_connection_that_dies_in_a_clone_leaves_one_machine(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec, after: bool
) -> None:
    identity = uuid4()
    simulator.rules(Rule(method="CloneVM_Task", action="reset", after=after, times=1))
    view = connector.create_vm(spec, identity)
    with look(simulator) as raw:
        assert [vm._moId for vm in raw.of(identity)] == [view.native_id]
        assert len(raw.machines()) == 2
    assert simulator.calls()["CloneVM_Task"] == (1 if after else 2)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("NoDiskSpace", Refused), ("NoPermission", Refused), ("HostNotConnected", Unreachable)],
)
@pytest.mark.parametrize("action", ["fault", "task_error"])
@pytest.mark.parametrize("after", [False, True], ids=["at-once", "half-way"])
def test_a_clone_that_fails_is_named_and_leaves_nothing(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    spec: VmSpec,
    action: str,
    after: bool,
    fault: str,
    kind: type[Exception],
) -> None:
    failing = Rule(method="CloneVM_Task", action=action, fault=fault, after=after, times=1)
    simulator.rules(failing)
    with pytest.raises(kind) as caught:
        connector.create_vm(spec, uuid4())
    assert caught.value.vendor_code == fault
    with look(simulator) as raw:
        assert [vm.name for vm in raw.machines()] == [TEMPLATE]
    assert list(simulator.files.glob("*/web/*.vmdk")) == []
    calls = simulator.calls()
    assert calls.get("CreatePropertyCollector") == calls.get("DestroyPropertyCollector")


def test_a_change_that_the_clone_cannot_have_leaves_no_clone(
    simulator: VsphereSimulator, connector: Connector, look: Look, one_gib: VmSpec
) -> None:
    from pyVmomi import vim

    # The bare client, because the driver asks for no such thing: this is how the simulator fails half way.
    with look(simulator) as raw:
        (model,) = raw.machines()
        disk = disk_of(model)
        disk.key = 4711
        edit = vim.vm.device.VirtualDeviceSpec(operation="edit", device=disk)
        asked = vim.vm.CloneSpec(
            location=vim.vm.RelocateSpec(pool=raw.clusters()[0].resourcePool),
            powerOn=False,
            template=False,
            config=vim.vm.ConfigSpec(deviceChange=[edit]),
        )
        with pytest.raises(vim.fault.InvalidDeviceSpec):
            wait(model.CloneVM_Task(datacenter(raw).vmFolder, "web", asked))
        assert [vm.name for vm in raw.machines()] == [TEMPLATE]
    assert connector.create_vm(one_gib, uuid4()).name == "web"


def test_a_clone_that_outlasts_the_deadline_is_awaited_and_adopted_by_the_next_call(
    start: Start, look: Look, one_gib: VmSpec
) -> None:
    simulator = start(task_delay_s=2.0)
    identity = uuid4()
    with look(simulator) as raw:
        make_template(simulator, raw)
    with connected(simulator, timeout_s=1) as connector:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            connector.create_vm(one_gib, identity)
        assert 0.99 <= time.monotonic() - began <= 1.1 + SLACK_S
    with connected(simulator) as connector:
        # The first worker's clone still runs; vCenter shows its name, but no marks yet.
        view = connector.create_vm(one_gib, identity)
        assert simulator.calls()["CloneVM_Task"] == 2
    with look(simulator) as raw:
        assert [vm._moId for vm in raw.of(identity)] == [view.native_id]
        assert len(raw.machines()) == 2


def test_a_wait_for_somebody_elses_clone_ends_at_the_deadline(
    start: Start, look: Look, one_gib: VmSpec
) -> None:
    simulator = start(task_delay_s=4.0)
    identity = uuid4()
    with look(simulator) as raw:
        make_template(simulator, raw)
    with connected(simulator, timeout_s=1) as connector:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                connector.create_vm(one_gib, identity)
            assert 0.99 <= time.monotonic() - began <= 1.1 + SLACK_S


def test_a_name_that_a_foreign_clone_takes_is_a_conflict_once_all_clones_have_ended(
    start: Start, look: Look, one_gib: VmSpec
) -> None:
    from pyVmomi import vim

    simulator = start(task_delay_s=0.7)
    with look(simulator) as raw, connected(simulator) as connector:
        model = make_template(simulator, raw)
        home = raw.clusters()[0]
        location = vim.vm.RelocateSpec(pool=home.resourcePool, host=home.host[0])
        asked = vim.vm.CloneSpec(location=location, powerOn=False, template=False)
        folder = datacenter(raw).vmFolder
        under_way = [model.CloneVM_Task(folder, name, asked) for name in ("web", "app", "db")]
        with pytest.raises(Conflict) as caught:
            connector.create_vm(one_gib, uuid4())
        assert caught.value.vendor_code == "DuplicateName"
        assert {task.info.state for task in under_way} == {"success"}
        assert len(raw.machines()) == 4
        began = time.monotonic()
        with pytest.raises(Conflict):
            connector.create_vm(one_gib, uuid4())
        assert time.monotonic() - began < 0.7, "there is nothing more to wait for"


def test_clones_of_several_workers_for_one_order_are_one_machine(
    start: Start, look: Look, one_gib: VmSpec
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    simulator = start(task_delay_s=0.1)
    identity = uuid4()
    with look(simulator) as raw:
        make_template(simulator, raw)

    def create(_number: int) -> str:
        with connected(simulator, timeout_s=20) as connector:
            return connector.create_vm(one_gib, identity).native_id

    with ThreadPoolExecutor(4) as workers:
        made = set(workers.map(create, range(4)))
    with look(simulator) as raw:
        assert {vm._moId for vm in raw.of(identity)} == made
        assert len(raw.machines()) == 2


CHOSEN = {"DEBIAN_12": TEMPLATE, "LINUX": "golden/alpine 3", "LOST": "golden/lost", "RUNS": "plain"}
DEBIAN, LINUX, LOST, RUNS = (f"CUSTOM_TEMPLATE_{name}" for name in CHOSEN)


@pytest.fixture
def two_datacenters(start: Start, look: Look) -> VsphereSimulator:
    """Of the templates that orders can choose two are there, both in the first datacenter, and one is a machine."""
    simulator = start(Estate(datacenters=2))
    with look(simulator) as raw:
        make_template(simulator, raw)
        linux = make_template(simulator, raw, name="alpine 3", guestId="otherLinux64Guest", firmware="efi")
        wait(datacenter(raw).vmFolder.CreateFolder("golden").MoveIntoFolder_Task([linux]))
        plain = make_template(simulator, raw, name="plain")
        plain.MarkAsVirtualMachine(raw.clusters()[0].resourcePool)
    return simulator


def template_traits(seen: EndpointSnapshot) -> dict[str, set[str]]:
    return {
        pool.provider: {trait for trait in pool.traits if trait.startswith("CUSTOM_TEMPLATE_")}
        for pool in seen.pools
    }


def test_pools_have_the_traits_of_the_templates_of_their_datacenter(
    two_datacenters: VsphereSimulator,
) -> None:
    with connected(two_datacenters, templates=CHOSEN) as connector:
        seen = connector.probe()
    assert template_traits(seen) == {"DC0_C0": {DEBIAN, LINUX}, "DC1_C0": set()}
    told = {
        pool.provider: {
            (one.trait, one.size_bytes, one.minimum_disk_gib, one.firmware) for one in pool.templates
        }
        for pool in seen.pools
    }
    assert told == {
        "DC0_C0": {(DEBIAN, GIB, 1, Firmware.BIOS), (LINUX, GIB, 1, Firmware.UEFI)},
        "DC1_C0": set(),
    }
    assert [part for part in seen.note.split("; ") if "not offered" in part] == [
        f"{LOST} is not offered: there is no template 'golden/lost'",
        f"{RUNS} is not offered: 'plain' is a machine, not a template",
    ]


def test_an_orders_template_goes_before_the_option(
    two_datacenters: VsphereSimulator, look: Look, one_gib: VmSpec
) -> None:
    chosen, plain = uuid4(), uuid4()
    with connected(two_datacenters, templates=CHOSEN) as connector:
        connector.create_vm(one_gib.model_copy(update={"traits": frozenset({LINUX})}), chosen)
        connector.create_vm(one_gib.model_copy(update={"name": "plain one"}), plain)
    with look(two_datacenters) as raw:
        guests = [raw.of(identity)[0].config.guestId for identity in (chosen, plain)]
    assert guests == ["otherLinux64Guest", "debian10_64Guest"]


@pytest.mark.parametrize(
    ("traits", "change", "kind", "said"),
    [
        ({LOST}, {}, NotFound, f"no template 'golden/lost', which {LOST} .*there are: {DEBIAN}, {LINUX};"),
        ({RUNS}, {}, Refused, "'plain' is a machine.*correct the endpoint's option 'templates.RUNS'"),
        ({LINUX, DEBIAN}, {}, Refused, f"one template, and its order requires {DEBIAN} and {LINUX}"),
        ({LINUX}, {"firmware": Firmware.BIOS}, Refused, "'golden/alpine 3' starts by uefi, not by bios"),
        ({LINUX}, {"resources": Resources(vcpu=1, memory_mib=64)}, Refused, "have 1 GiB, not 0 GiB"),
    ],
    ids=["gone", "a-machine", "two", "other-firmware", "smaller-disk"],
)  # fmt: skip
def test_a_template_that_a_machine_cannot_be_made_of_is_told_before_anything_is_made(
    two_datacenters: VsphereSimulator,
    one_gib: VmSpec,
    traits: set[str],
    change: dict[str, Any],
    kind: type[Exception],
    said: str,
) -> None:
    wanted = one_gib.model_copy(update={"traits": frozenset(traits), **change})
    with (
        connected(two_datacenters, templates=CHOSEN) as connector,
        pytest.raises(kind, match=said),
    ):
        connector.create_vm(wanted, uuid4())
    assert "CloneVM_Task" not in two_datacenters.calls()


def test_a_template_that_goes_after_the_probe_is_not_found(
    two_datacenters: VsphereSimulator, look: Look, one_gib: VmSpec
) -> None:
    with connected(two_datacenters, templates=CHOSEN) as connector:
        assert DEBIAN in template_traits(connector.probe())["DC0_C0"]
        with look(two_datacenters) as raw:
            (model,) = [vm for vm in raw.machines() if vm.name == TEMPLATE]
            wait(model.Destroy_Task())
        with pytest.raises(NotFound, match=f"{DEBIAN} stands for; there are: {LINUX};"):
            connector.create_vm(one_gib.model_copy(update={"traits": frozenset({DEBIAN})}), uuid4())
        assert template_traits(connector.probe())["DC0_C0"] == {LINUX}


@pytest.mark.parametrize(
    ("templates", "said"),
    [
        ({"debian-12": TEMPLATE}, "'templates': 'debian-12': .*capitals, digits and underscores.* DEBIAN_12"),
        ({"DEBIAN_12": ""}, "'templates.DEBIAN_12': string should have at least 1 character"),
        (TEMPLATE, "option 'templates': must be a mapping of names to"),
    ],
    ids=["lower-case", "empty", "no-mapping"],
)  # fmt: skip
def test_wrong_names_of_templates_are_refused_with_what_is_allowed(
    simulator: VsphereSimulator, templates: Option, said: str
) -> None:
    with pytest.raises(Refused, match=said), connected(simulator, templates=templates):
        pass


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(method="FindChild", action="fault", fault="NoPermission"), "user may not do this"),
        (Rule(method="FindChild", action="delay", delay_ms=60_000), "no answer in half of the call's time"),
    ],
    ids=["no-privilege", "hangs"],
)
def test_templates_that_cannot_be_read_are_told_and_the_probe_goes_on(
    simulator: VsphereSimulator, rule: Rule, said: str
) -> None:
    simulator.rules(rule)
    with connected(simulator, timeout_s=4, templates=CHOSEN) as connector:
        seen = connector.probe()
    assert len(seen.pools[0].hosts) == 3
    assert template_traits(seen) == {"DC0_C0": set()}
    assert "templates cannot be read: " in seen.note
    assert said in seen.note
