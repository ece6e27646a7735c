"""Disk images by qemu-img, against content that this test wrote and reads byte by byte."""

import hashlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import disks
from connectors.contract import DiskFormat
from connectors.disks import DiskError, Image

pytestmark = pytest.mark.counterpart("libvirt-qemu")

MIB = 2**20
SIZE = 67 * MIB
"""No whole number of the blocks that VHD or VHDX work in, and of no CHS geometry."""


@pytest.fixture
def source(tmp_path: Path) -> Image:
    path = tmp_path / "source.raw"
    chance = random.Random(5)
    with path.open("wb") as file:
        file.truncate(SIZE)
        for place in (0, 3 * MIB + 512, 40 * MIB, SIZE - 512):
            file.seek(place)
            file.write(chance.randbytes(512))
    return Image(path, DiskFormat.RAW)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def digest(image: Image) -> str:
    """By another program than qemu-img, for raw images."""
    assert image.form is DiskFormat.RAW
    return hashlib.sha256(image.path.read_bytes()).hexdigest()


@pytest.mark.parametrize("first", DiskFormat, ids=str)
@pytest.mark.parametrize("second", DiskFormat, ids=str)
def test_what_goes_through_two_formats_comes_out_as_it_was(
    source: Image, tmp_path: Path, first: DiskFormat, second: DiskFormat
) -> None:
    told: list[int] = []
    at = source
    for form in (first, second, DiskFormat.RAW):
        made = Image(tmp_path / f"{len(told)}.{form}", form)
        told.clear()
        disks.convert(at, made, told.append)
        assert disks.size_bytes(made) == SIZE
        assert told == sorted(told)
        assert told[-1] == SIZE
        at = made
    assert digest(at) == digest(source)


@pytest.mark.parametrize("form", DiskFormat, ids=str)
def test_one_changed_byte_is_found(source: Image, tmp_path: Path, form: DiskFormat) -> None:
    made = Image(tmp_path / "made", form)
    disks.convert(source, made, lambda _done: None)
    disks.must_be_equal(source, made)
    with source.path.open("r+b") as file:
        file.seek(40 * MIB + 100)
        byte = file.read(1)
        file.seek(40 * MIB + 100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(DiskError, match="not equal"):
        disks.must_be_equal(source, made)


def test_zeros_behind_the_end_are_no_equality(source: Image, tmp_path: Path) -> None:
    longer = tmp_path / "longer.raw"
    longer.write_bytes(source.path.read_bytes() + bytes(MIB))
    with pytest.raises(DiskError, match=f"{SIZE + MIB} bytes"):
        disks.must_be_equal(source, Image(longer, DiskFormat.RAW))


def test_a_raw_disk_that_begins_like_a_qcow2_stays_what_it_is(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * MIB)
    evil = tmp_path / "evil.raw"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(evil)], check=True
    )
    os.truncate(evil, MIB)
    made = Image(tmp_path / "made.raw", DiskFormat.RAW)
    disks.convert(Image(evil, DiskFormat.RAW), made, lambda _done: None)
    assert made.path.read_bytes() == evil.read_bytes()


@pytest.mark.parametrize("how", ["backing", "data file", "extent"])
def test_an_image_that_refers_to_another_file_is_refused(tmp_path: Path, how: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * MIB)
    evil = tmp_path / "evil"
    form = DiskFormat.QCOW2
    if how == "backing":
        command = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(evil)]
        subprocess.run(["qemu-img", *command], check=True)
    elif how == "data file":
        options = f"data_file={tmp_path / 'other'},data_file_raw=on"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(evil), "1M"], check=True
        )
    else:
        form = DiskFormat.VMDK
        evil.write_text(
            "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
            f'createType="monolithicFlat"\nRW 2048 FLAT "{secret}" 0\n'
        )
    with pytest.raises(DiskError, match="refers to another file"):
        disks.convert(Image(evil, form), Image(tmp_path / "made", DiskFormat.RAW), lambda _done: None)
    assert not (tmp_path / "made").exists()


def test_what_is_no_image_is_said_to_be_none(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_bytes(b"not an image" * 100)
    for form in (DiskFormat.QCOW2, DiskFormat.VHDX, DiskFormat.VMDK, DiskFormat.VHD):
        with pytest.raises(DiskError, match="nothing"):
            disks.size_bytes(Image(nothing, form))


def test_a_conversion_that_fails_leaves_nothing_behind(source: Image, tmp_path: Path) -> None:
    target = tmp_path / "folder" / "made.qcow2"
    target.parent.mkdir()

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        disks.convert(source, Image(target, DiskFormat.QCOW2), stop)
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_told_with_what_to_do(source: Image, small_disk: Path) -> None:
    fill = small_disk / "fill"
    with source.path.open("r+b") as file:
        file.write(random.Random(6).randbytes(20 * MIB))
    fill.write_bytes(b"")
    with pytest.raises(DiskError, match="free some space"):
        disks.convert(source, Image(small_disk / "made.raw", DiskFormat.RAW), lambda _done: None)
    assert [path.name for path in small_disk.iterdir() if path.name != "lost+found"] == ["fill"]


def test_a_vhd_holds_2040_gib_and_no_more(tmp_path: Path) -> None:
    large = tmp_path / "large.raw"
    with large.open("wb") as file:
        file.truncate(disks.VHD_MOST_BYTES + 512)
    with pytest.raises(DiskError, match="use vhdx"):
        disks.convert(
            Image(large, DiskFormat.RAW), Image(tmp_path / "made", DiskFormat.VHD), lambda _done: None
        )
