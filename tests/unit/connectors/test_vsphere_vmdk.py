"""What the vSphere driver reads of a VMDK file, against files that qemu-img made."""

import http.client
import io
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.drivers.vsphere import lease, vmdk

MIB = 1 << 20


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("image"), "streamOptimized")


def made(folder: Path, subformat: str) -> bytes:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed; apt-get install qemu-utils")
    raw, image = folder / "raw", folder / "image.vmdk"
    raw.write_bytes(bytes(range(256)) * 4096 + bytes(2 * MIB))
    command = ["qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={subformat}", raw, image]
    subprocess.run(command, check=True, capture_output=True)
    return image.read_bytes()


def test_the_capacity_is_what_the_guest_sees(stream: bytes) -> None:
    assert vmdk.Header.read(stream).capacity_bytes == 3 * MIB


@pytest.mark.parametrize("subformat", ["monolithicSparse", "monolithicFlat"])
def test_other_kinds_of_vmdk_are_told_apart(tmp_path: Path, subformat: str) -> None:
    with pytest.raises(vmdk.NotStreamOptimised):
        vmdk.Header.read(made(tmp_path, subformat))


@pytest.mark.parametrize("size", [0, 3, 511])
def test_a_file_that_is_too_short_for_a_header_is_none(stream: bytes, size: int) -> None:
    with pytest.raises(vmdk.NotStreamOptimised):
        vmdk.Header.read(stream[:size])


def received(content: bytes, capacity_bytes: int) -> bytes:
    """What is written of an answer with this content."""
    to = io.BytesIO()
    answer: Any = io.BytesIO(content)
    op: Any = SimpleNamespace()
    idle: Any = SimpleNamespace(part_done=lambda _percent: None)
    lease._receive(op, idle, answer, capacity_bytes, to, lambda _done: None)
    return to.getvalue()


def test_an_answer_that_ends_before_its_end_is_no_disk(stream: bytes) -> None:
    content = len(stream.rstrip(b"\0"))
    whole = stream[:content] + bytes(-content % vmdk.SECTOR + vmdk.SECTOR)
    assert received(whole, 3 * MIB) == whole
    for cut in (vmdk.HEADER_BYTES + 1, content // vmdk.SECTOR * vmdk.SECTOR, content):
        with pytest.raises(http.client.HTTPException, match="ends before its end"):
            received(stream[:cut], 3 * MIB)


def test_an_answer_of_another_size_or_kind_is_no_disk(stream: bytes) -> None:
    with pytest.raises(http.client.HTTPException, match="not 4194304"):
        received(stream + bytes(vmdk.SECTOR), 4 * MIB)
    for other in (b"", b"<html>sorry</html>" * 100):
        with pytest.raises(http.client.HTTPException, match="something else"):
            received(other, 3 * MIB)
