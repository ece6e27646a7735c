"""qcow2 as the libvirt driver reads and writes it, held against the format's own words and against QEMU."""

import io
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from connectors.drivers.libvirt.qcow2 import CLUSTER, HEADER_BYTES, Encoder, Header

MIB = 2**20


def header(**changes: int) -> bytes:
    """A header of version 3, field by field in the order of QEMU's docs/interop/qcow2.txt."""
    fields = {
        "version": 3,
        "backing_file_offset": 0,
        "backing_file_size": 0,
        "cluster_bits": 16,
        "size": 5 * MIB,
        "crypt_method": 0,
        "l1_size": 1,
        "l1_table_offset": CLUSTER,
        "refcount_table_offset": 2 * CLUSTER,
        "refcount_table_clusters": 1,
        "nb_snapshots": 0,
        "snapshots_offset": 0,
        "incompatible_features": 0,
    }
    assert changes.keys() <= fields.keys()
    return (b"QFI\xfb" + struct.pack(">IQIIQIIQQIIQQ", *(fields | changes).values())).ljust(104, b"\0")


def test_a_header_says_the_size_and_that_the_file_is_alone() -> None:
    found = Header.of(header())
    assert (found.size_bytes, found.alone, found.problem()) == (5 * MIB, True, None)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("backing_file_offset", 112, "another file"),
        ("incompatible_features", 4, "another file"),
        ("crypt_method", 2, "encrypted"),
        ("nb_snapshots", 2, "2 snapshots"),
        ("incompatible_features", 2, "corrupt"),
    ],
)
def test_a_file_that_is_more_or_less_than_a_disk_says_what_is_wrong(
    field: str, value: int, word: str
) -> None:
    problem = Header.of(header(**{field: value})).problem()
    assert problem is not None
    assert word in problem


def test_version_2_has_no_features() -> None:
    data = header(version=2)[:72] + b"\xff" * 32
    assert Header.of(data).problem() is None


@pytest.mark.parametrize("data", [b"", b"QFI\xfb", b"x" * 104, header(version=4), header()[:71]])
def test_what_is_not_qcow2_is_not_taken_for_it(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"qcow2"):
        Header.of(data)


def test_a_file_that_ends_early_is_noticed() -> None:
    with pytest.raises(EOFError, match="early"):
        list(Encoder(3 * CLUSTER).body(io.BytesIO(bytes(2 * CLUSTER))))


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not there")
@pytest.mark.parametrize("size", [512, CLUSTER, 3 * CLUSTER + 512, 512 * MIB, 512 * MIB + 512, 5120 * MIB])
def test_qemu_reads_what_was_written_and_finds_no_fault_with_it(size: int, tmp_path: Path) -> None:
    raw, path = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    chance = random.Random(size)
    with raw.open("w+b") as source, path.open("wb") as target:
        source.truncate(size)
        for _ in range(12):
            place = chance.randrange(size)
            source.seek(place)
            source.write(chance.randbytes(min(chance.randrange(1, MIB), size - place)))
        source.seek(0)
        encoder = Encoder(size)
        target.seek(encoder.start)
        for _, data in encoder.body(source):
            target.write(data)
        target.seek(0)
        assert target.write(encoder.head()) == encoder.start
    assert Header.of(path.read_bytes()[:HEADER_BYTES]).size_bytes == size
    for command in (["check", "-f", "qcow2"], ["compare", "-f", "qcow2", "-F", "raw"]):
        files = [str(path)] if command[0] == "check" else [str(path), str(raw)]
        subprocess.run(["qemu-img", *command, *files], check=True, capture_output=True)
