"""Disk images over HTTP, checked with qemu-img, the vendor's binding and requests of our own."""

import io
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, DiskFormat, PowerAction, VmSpec
from connectors.drivers.xen import vhd
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable
from connectors.simulators import certificates
from connectors.simulators.certificates import make_certificate
from connectors.simulators.xen import READER, Estate, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

GIB = 1 << 30
MIB = 1 << 20
SLACK_S = 0.5
THINGS = ("VM", "VM_metrics", "VDI", "VBD", "task")
EXPORT, IMPORT = "GET /export_raw_vdi", "PUT /import_raw_vdi"
LOCAL_TO_SECOND = Estate(local_sr_mib=4096)

Start = Callable[..., XenSimulator]


def nothing(_done: int) -> None:
    pass


def made(connector: Connector, *, gib: int = 1) -> tuple[UUID, str]:
    """A machine with one disk, and the disk's key."""
    identity = uuid4()
    resources = Resources(vcpu=1, memory_mib=128, disk_gib=gib)
    connector.create_vm(VmSpec(name="web", provider="xen-pool", resources=resources), identity)
    (disk,) = connector.details(identity).disks
    return identity, disk.key


def qemu_img(*arguments: object) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed; apt-get install qemu-utils")
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def image(folder: Path, places: dict[int, int], *options: str, size: int = GIB) -> Path:
    """A VHD by qemu-img, with so many random bytes at each of these offsets."""
    raw, made = folder / "raw", folder / f"vhd-{len(list(folder.iterdir()))}"
    chance = random.Random(len(places) + min(places, default=0))
    with raw.open("wb") as file:
        file.truncate(size)
        for offset, length in places.items():
            file.seek(offset)
            file.write(chance.randbytes(length))
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", ",".join(["force_size=on", *options]), raw, made)
    raw.unlink()
    return made


def same(one: Path, other: Path) -> bool:
    """Whether a guest would read the same from two VHDs, as qemu-img sees it."""
    told = [["qemu-img", "info", "--output=json", "-f", "vpc", str(path)] for path in (one, other)]
    sizes = {json.loads(subprocess.check_output(command))["virtual-size"] for command in told}
    compared = ["qemu-img", "compare", "-f", "vpc", "-F", "vpc", str(one), str(other)]
    return len(sizes) == 1 and subprocess.run(compared, check=False, capture_output=True).returncode == 0


def carry_in(connector: Connector, identity: UUID, key: str, source: Path, form: str = "vhd") -> list[int]:
    told: list[int] = []
    with source.open("rb") as file:
        connector.import_disk(identity, key, DiskFormat(form), file, told.append)
    return told


def carry_out(connector: Connector, identity: UUID, key: str, target: Path, form: str = "vhd") -> list[int]:
    told: list[int] = []
    with target.open("w+b") as file:
        connector.export_disk(identity, key, DiskFormat(form), file, told.append)
    return told


def utilisation(raw: Any, sr: str) -> int:
    (ref,) = raw.SR.get_by_name_label(sr)
    return int(raw.SR.get_physical_utilisation(ref))


def test_a_vhd_goes_to_an_empty_disk_with_its_holes_and_to_any_other_without(
    connector: Connector, simulator: XenSimulator, tmp_path: Path
) -> None:
    """xapi leaves what stood where a VHD has holes; a disk that was written to must still be replaced whole."""
    identity, key = made(connector)
    first = image(tmp_path, {0: MIB, 512 * MIB: MIB})
    second = image(tmp_path, {100 * MIB: MIB})
    assert carry_in(connector, identity, key, first)[-1] == first.stat().st_size
    assert carry_in(connector, identity, key, second)[-1] == GIB, "its holes went as zeros"
    carry_out(connector, identity, key, tmp_path / "out")
    assert same(tmp_path / "out", second)


def test_a_disk_whose_machine_ran_is_not_taken_for_empty(connector: Connector, tmp_path: Path) -> None:
    identity, key = made(connector)
    connector.power(identity, PowerAction.ON)
    connector.power(identity, PowerAction.OFF)
    source = image(tmp_path, {0: MIB})
    assert carry_in(connector, identity, key, source)[-1] == GIB


@pytest.mark.parametrize(
    "options", [("subformat=dynamic",), ("subformat=fixed",)], ids=["dynamic", "fixed"]
)
def test_both_kinds_of_vhd_are_taken_and_what_comes_out_is_the_same_to_qemu_img(
    options: tuple[str, ...], connector: Connector, tmp_path: Path
) -> None:
    identity, key = made(connector)
    source = image(tmp_path, {MIB: MIB, GIB - MIB: MIB}, *options)
    carry_in(connector, identity, key, source)
    told = carry_out(connector, identity, key, tmp_path / "out.vhd")
    assert told[-1] == (tmp_path / "out.vhd").stat().st_size < 16 * MIB
    assert same(tmp_path / "out.vhd", source)


def test_an_empty_disk_is_a_small_vhd_of_the_right_size(connector: Connector, tmp_path: Path) -> None:
    identity, key = made(connector, gib=64)
    carry_out(connector, identity, key, tmp_path / "out.vhd")
    with (tmp_path / "out.vhd").open("rb") as file:
        assert vhd.opened(file).size_bytes == 64 * GIB
    assert (tmp_path / "out.vhd").stat().st_size < MIB


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no VHD"),
        (b"not a disk at all" * 100, "no VHD"),
        (vhd.COOKIE + bytes(2000), "type 0"),
        (
            vhd.COOKIE.ljust(16, b"\0") + (512).to_bytes(8, "big") + bytes(24) + GIB.to_bytes(8, "big"),
            "VHD",
        ),
    ],
    ids=["nothing", "text", "no type", "cut off in the footer"],
)
def test_a_file_that_is_no_vhd_is_a_conflict_before_anything_is_sent(
    content: bytes, said: str, connector: Connector, simulator: XenSimulator
) -> None:
    identity, key = made(connector)
    with pytest.raises(Conflict, match=said):
        connector.import_disk(identity, key, DiskFormat.VHD, io.BytesIO(content), nothing)
    assert IMPORT not in simulator.calls()
    assert simulator.counts(["task"]) == {"task": 0}


def test_a_vhd_that_is_cut_off_is_a_conflict_and_leaves_the_disk_detached(
    connector: Connector, simulator: XenSimulator, tmp_path: Path
) -> None:
    identity, key = made(connector)
    before = simulator.counts(THINGS)
    source = image(tmp_path, {0: 3 * MIB, 500 * MIB: 5 * MIB})
    whole = source.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((Conflict, Refused)):
        carry_in(connector, identity, key, cut)
    assert simulator.counts(THINGS) == before
    carry_in(connector, identity, key, source)
    carry_out(connector, identity, key, tmp_path / "out")
    assert same(tmp_path / "out", source), "repeating it puts it right"


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"action": "reset"}, Unreachable),
        ({"action": "http", "status": 503}, Unreachable),
        ({"action": "garbage"}, Unreachable),
        ({"action": "reset", "after": True}, Refused),
        ({"action": "fail", "code": "VDI_IO_ERROR", "parameters": ("Device I/O errors",)}, Refused),
        (
            {"action": "fail", "code": "VDI_IN_USE", "parameters": ("disk", "attach"), "after": True},
            Conflict,
        ),
    ],
    ids=["reset", "503", "garbage", "reset half way", "refused", "failed half way"],
)
def test_a_transfer_that_breaks_is_told_and_leaves_nothing(
    rule: dict[str, Any],
    kind: type[ConnectorError],
    connector: Connector,
    simulator: XenSimulator,
    tmp_path: Path,
) -> None:
    source = image(tmp_path, {0: MIB, 700 * MIB: MIB})
    identity, key = made(connector)
    for call, name, file in ((carry_in, IMPORT, source), (carry_out, EXPORT, tmp_path / "out")):
        before = simulator.counts(THINGS)
        simulator.rules(Rule(method=name, times=1, **rule))
        with pytest.raises(kind) as caught:
            call(connector, identity, key, file)
        assert "OpaqueRef:" not in str(caught.value)
        assert simulator.counts(THINGS) == before, name
        call(connector, identity, key, file)
    assert same(tmp_path / "out", source)


@pytest.mark.parametrize("form", ["raw", "vhd"])
@pytest.mark.parametrize(
    ("action", "kind", "said"),
    [("reset", Refused, "Device I/O errors"), ("garbage", Unreachable, "too early, after")],
    ids=["failed", "cut by what stands between"],
)
def test_a_disk_that_ends_too_early_is_told_even_where_the_pool_saw_no_failure(
    action: Any,
    kind: type[ConnectorError],
    said: str,
    form: str,
    connector: Connector,
    simulator: XenSimulator,
    tmp_path: Path,
) -> None:
    identity, key = made(connector)
    carry_in(connector, identity, key, image(tmp_path, {0: MIB, 700 * MIB: MIB}))
    simulator.rules(Rule(method=EXPORT, action=action, after=True, times=1))
    with pytest.raises(kind, match=said):
        carry_out(connector, identity, key, tmp_path / "out", form)
    assert 0 < (tmp_path / "out").stat().st_size < GIB
    assert simulator.counts(["task"]) == {"task": 0}


def test_the_login_is_in_no_error_and_no_trace_of_one(
    simulator: XenSimulator, connector: Connector, tmp_path: Path
) -> None:
    identity, key = made(connector)
    handle = connector._session._handle  # type: ignore[attr-defined]  # the login that must not be told
    assert handle.startswith("OpaqueRef:")
    simulator.rules(Rule(method=EXPORT, action="http", status=500))
    with pytest.raises(ConnectorError) as caught:
        carry_out(connector, identity, key, tmp_path / "out")
    error: BaseException | None = caught.value
    while error is not None:
        assert handle not in repr(error) + str(error)
        error = error.__cause__ or error.__context__
    assert handle not in repr(connector) + repr(connector._session)  # type: ignore[attr-defined]  # as above


def test_each_part_of_a_transfer_has_the_whole_time_limit(simulator: XenSimulator, tmp_path: Path) -> None:
    """Before the content and in its middle the pool lets the driver wait, together for longer than the limit."""
    with registry.connect(simulator.endpoint(timeout_s=2), simulator.password) as connector:
        identity, key = made(connector)
        source = image(tmp_path, {0: MIB})
        simulator.rules(
            Rule(method="task.create", action="delay", delay_ms=1300),
            Rule(method=EXPORT, action="delay", after=True, delay_ms=1300),
            Rule(method=IMPORT, action="delay", after=True, delay_ms=1300),
        )
        carry_in(connector, identity, key, source)
        carry_out(connector, identity, key, tmp_path / "out")
        assert same(tmp_path / "out", source)
        simulator.rules(Rule(method=EXPORT, action="delay", after=True, delay_ms=4000, times=1))
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            carry_out(connector, identity, key, tmp_path / "out")
        assert time.monotonic() - began > 1.9
        assert simulator.counts(["task"]) == {"task": 0}


def test_a_member_that_never_answers_ends_at_the_deadline(simulator: XenSimulator, tmp_path: Path) -> None:
    with registry.connect(simulator.endpoint(timeout_s=1), simulator.password) as connector:
        identity, key = made(connector)
        source = image(tmp_path, {0: MIB})
        for call, name, file in ((carry_in, IMPORT, source), (carry_out, EXPORT, tmp_path / "out")):
            simulator.rules(Rule(method=name, action="delay", delay_ms=3000, times=1))
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                call(connector, identity, key, file)
            assert time.monotonic() - began <= 1.1 + SLACK_S
            assert simulator.counts(["task"]) == {"task": 0}


class Zeros(io.RawIOBase):
    """A file of zeros that is on no disk."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = self.size if whence == 2 else offset
        return self.at

    def read(self, length: int = -1) -> bytes:
        got = bytes(max(0, min(length, self.size - self.at)))
        self.at += len(got)
        return got


class Full(io.BytesIO):
    """A file on a disk with no room."""

    def write(self, _data: Any) -> int:
        raise OSError(28, "No space left on device")


def test_a_local_disk_that_is_full_is_not_taken_for_the_network(
    connector: Connector, simulator: XenSimulator
) -> None:
    identity, key = made(connector)
    with pytest.raises(Refused, match="local file cannot be written: No space left on device"):
        connector.export_disk(identity, key, DiskFormat.RAW, Full(), nothing)
    assert simulator.counts(["task"]) == {"task": 0}


def test_a_session_that_ended_before_a_transfer_is_opened_anew(
    connector: Connector, simulator: XenSimulator, tmp_path: Path
) -> None:
    identity, key = made(connector)
    simulator.forget_sessions()
    carry_out(connector, identity, key, tmp_path / "out")
    simulator.rules(Rule(method=EXPORT, action="http", status=401, times=1))
    carry_out(connector, identity, key, tmp_path / "out")
    assert simulator.counts(["session", "task"]) == {"session": 1, "task": 0}


def test_a_user_who_may_only_read_carries_no_disk(simulator: XenSimulator, connector: Connector) -> None:
    identity, key = made(connector)
    endpoint = simulator.endpoint().model_copy(update={"username": READER})
    with registry.connect(endpoint, simulator.password) as reader, pytest.raises(Refused) as caught:
        reader.export_disk(identity, key, DiskFormat.RAW, io.BytesIO(), nothing)
    assert caught.value.vendor_code == "RBAC_PERMISSION_DENIED"
    assert simulator.counts(["task"]) == {"task": 0}


def test_details_are_what_the_binding_set(start: Start, look: Callable[[XenSimulator], Any]) -> None:
    simulator = start()
    network = "Pool-wide network associated with eth0"
    endpoint = simulator.endpoint(timeout_s=10, options={"network": network})
    with registry.connect(endpoint, simulator.password) as connector, look(simulator) as raw:
        identity, key = made(connector)
        ref = raw.VM.get_by_uuid(connector.get_vm(identity).native_id)
        first = connector.details(identity)
        assert (first.firmware, first.secure_boot, first.guest_tools) == ("bios", False, "")
        (card,) = first.cards
        (vif,) = raw.VM.get_VIFs(ref)
        assert (card.mac, card.network) == (raw.VIF.get_MAC(vif).lower(), network)
        assert (first.disks[0].key, first.disks[0].bus) == (key, "xvd")
        raw.VM.set_platform(ref, {"secureboot": "true"})
        assert not connector.details(identity).secure_boot, "a BIOS has none"
        raw.VM.set_HVM_boot_params(ref, {"firmware": "uefi"})
        second = connector.details(identity)
        assert (second.firmware, second.secure_boot) == ("uefi", True)
        connector.power(identity, PowerAction.ON)
        assert "Tools" in connector.details(identity).guest_tools


def test_disks_are_told_in_the_order_of_their_numbers_and_cds_are_none(
    connector: Connector, raw: Any
) -> None:
    identity, key = made(connector)
    ref = raw.VM.get_by_uuid(connector.get_vm(identity).native_id)
    (sr,) = raw.SR.get_by_name_label("shared")
    record = {"name_label": "more", "SR": sr, "type": "user", "sharable": False, "read_only": False}
    keys = {"0": key}
    for device, kind in (("10", "Disk"), ("2", "Disk"), ("3", "CD")):
        vdi = raw.VDI.create(record | {"virtual_size": str(GIB), "other_config": {}})
        keys[device] = raw.VDI.get_uuid(vdi)
        vbd = {"VM": ref, "VDI": vdi, "userdevice": device, "bootable": False, "mode": "RW", "type": kind}
        rest = {"empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
        raw.VBD.create(vbd | rest)
    assert [disk.key for disk in connector.details(identity).disks] == [keys["0"], keys["2"], keys["10"]]


# --- members ---


def test_a_disk_on_storage_of_another_host_is_carried_by_that_host(start: Start, tmp_path: Path) -> None:
    simulator = start(LOCAL_TO_SECOND, host="127.0.0.2", slaves=["127.0.0.3"])
    endpoint = simulator.endpoint(timeout_s=10, options={"sr": "Local storage on xen-2"})
    with registry.connect(endpoint, simulator.password) as connector:
        identity, key = made(connector)
        source = image(tmp_path, {5 * MIB: MIB})
        carry_in(connector, identity, key, source)
        carry_out(connector, identity, key, tmp_path / "out")
    assert same(tmp_path / "out", source)
    assert simulator.calls()[IMPORT] == 2, "once at the master, which named the other"
    assert simulator.counts(["task", "session"]) == {"task": 0, "session": 0}


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://127.0.0.9/export_raw_vdi", "'127.0.0.9', which is no host"),
        ("http://localhost.example/export_raw_vdi", "'localhost.example', which is no host"),
        ("http://[nothing", "'', which is no host"),
        ("", "'', which is no host"),
        ("http://127.0.0.1:9/elsewhere", "send each other's clients around"),
    ],
    ids=["an address", "a name", "no URL", "nowhere", "itself"],
)
def test_only_members_of_the_pool_are_followed_and_not_for_ever(
    location: str, said: str, connector: Connector, simulator: XenSimulator
) -> None:
    identity, key = made(connector)
    simulator.rules(Rule(method=EXPORT, action="http", status=302, parameters=(location,)))
    with pytest.raises(Unreachable, match=re.escape(said)):
        connector.export_disk(identity, key, DiskFormat.RAW, io.BytesIO(), nothing)
    assert simulator.counts(["task"]) == {"task": 0}


def test_a_member_without_a_trusted_certificate_gets_no_disk(start: Start, tmp_path: Path) -> None:
    if reason := certificates.missing():
        pytest.skip(reason)
    made_for_master = make_certificate(tmp_path / "tls", "127.0.0.2")
    simulator = start(
        LOCAL_TO_SECOND,
        host="127.0.0.2",
        slaves=["127.0.0.3"],
        certificate=made_for_master.certificate,
        key=made_for_master.key,
    )
    options = {"sr": "Local storage on xen-2"}
    endpoint = simulator.endpoint(timeout_s=10, ca_file=made_for_master.authority, options=options)
    with registry.connect(endpoint, simulator.password) as connector:
        identity, key = made(connector)
        with pytest.raises(Unreachable) as caught:
            connector.export_disk(identity, key, DiskFormat.RAW, io.BytesIO(), nothing)
    assert caught.value.vendor_code == "SSLCertVerificationError"
    assert simulator.counts(["task"]) == {"task": 0}


def test_a_thin_storage_that_runs_full_refuses_and_gives_the_room_back(
    start: Start, look: Callable[[XenSimulator], Any], tmp_path: Path
) -> None:
    simulator = start(Estate(local_sr_mib=1040, hosts=1))
    endpoint = simulator.endpoint(timeout_s=10, options={"sr": "Local storage on xen-1"})
    with registry.connect(endpoint, simulator.password) as connector, look(simulator) as raw:
        (first, one), (second, two) = made(connector), made(connector)
        assert utilisation(raw, "Local storage on xen-1") == 0
        carry_in(connector, first, one, image(tmp_path, {0: 10 * MIB}))
        assert utilisation(raw, "Local storage on xen-1") == 10 * MIB
        (sr,) = raw.SR.get_by_name_label("Local storage on xen-1")
        raw.VM.set_suspend_SR(raw.VM.get_by_uuid(connector.get_vm(first).native_id), sr)
        connector.resize(first, Resources(vcpu=1, memory_mib=1024, disk_gib=1))
        connector.power(first, PowerAction.ON)
        connector.power(first, PowerAction.SUSPEND)
        with pytest.raises(Refused) as caught:
            carry_in(connector, second, two, image(tmp_path, {0: 10 * MIB}))
        assert caught.value.vendor_code == "VDI_IO_ERROR"
        assert simulator.counts(["task"]) == {"task": 0}
        connector.delete_vm(second)
        connector.delete_vm(first)
        assert utilisation(raw, "Local storage on xen-1") == 0


def test_a_disk_that_is_carried_is_in_use(
    simulator: XenSimulator, raw: Any, connector: Connector, tmp_path: Path
) -> None:
    identity, key = made(connector)
    vm = raw.VM.get_by_uuid(connector.get_vm(identity).native_id)
    vdi = raw.VDI.get_by_uuid(key)
    said: list[list[str]] = []

    def interfere(done: int) -> None:
        if not said and done > MIB:
            for call in (lambda: raw.VM.start(vm, False, False), lambda: raw.VDI.destroy(vdi)):
                with pytest.raises(Exception, match="VDI_IN_USE") as caught:
                    call()
                said.append(caught.value.details)

    connector.import_disk(identity, key, DiskFormat.RAW, Zeros(GIB), interfere)
    assert [one[0] for one in said] == ["VDI_IN_USE"] * 2
    assert connector.power(identity, PowerAction.ON).power.value == "on"


def test_content_of_a_disk_goes_with_snapshots_and_comes_back_with_a_revert(
    connector: Connector, tmp_path: Path
) -> None:
    identity, key = made(connector)
    first = image(tmp_path, {0: MIB})
    second = image(tmp_path, {0: MIB, 3 * MIB: MIB})
    carry_in(connector, identity, key, first)
    connector.snapshot(identity, "one")
    carry_in(connector, identity, key, second)
    connector.revert(identity, "one")
    (disk,) = connector.details(identity).disks
    carry_out(connector, identity, disk.key, tmp_path / "out")
    assert same(tmp_path / "out", first)
