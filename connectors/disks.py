"""Disk images: what they are, whether two are equal, and one format from another, by qemu-img.

An image comes from a hypervisor, and what is in it from a guest, so no header is believed: formats are
told to qemu-img and never guessed, and an image that refers to another file is refused before it is read.
How a move uses this: docs/how-to/move-a-machine.md.
"""

import json
import os
import re
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.contract import DiskFormat, Tell

QEMU_NAMES: Mapping[DiskFormat, str] = {
    DiskFormat.VMDK: "vmdk",
    DiskFormat.VHD: "vpc",
    DiskFormat.VHDX: "vhdx",
    DiskFormat.QCOW2: "qcow2",
    DiskFormat.RAW: "raw",
}

_OPTIONS: Mapping[DiskFormat, str] = {
    # Without force_size qemu rounds the size up to a whole CHS geometry.
    DiskFormat.VHD: "subformat=dynamic,force_size=on",
    DiskFormat.VHDX: "subformat=dynamic",
    # What ESXi imports; the other subformats are for VMware Workstation or for a datastore.
    DiskFormat.VMDK: "subformat=streamOptimized",
}

VHD_MOST_BYTES = 2040 * 2**30
"""The largest VHD; by its specification and by qemu-img, which refuses larger ones."""

INFO_LIMIT_S = 30.0
STALL_LIMIT_S = 300.0
"""A conversion that tells no progress for so long is ended."""

_PERCENT = re.compile(rb"\(([0-9]+\.[0-9]+)/100%\)")
_HOW_TO_GET = "apt-get install qemu-utils"


class DiskError(Exception):
    """An image cannot be used or made; the message names the file, why, and what to do."""


@dataclass(frozen=True)
class Image:
    """An image in a file."""

    path: Path
    form: DiskFormat


def missing() -> str | None:
    """Why images cannot be converted here, or None."""
    if shutil.which("qemu-img") is None:
        return f"qemu-img is not installed; {_HOW_TO_GET}"
    return None


def size_bytes(image: Image) -> int:
    """The size that a guest sees. Raises DiskError for what is no image of this format, or refers to another file."""
    found = _info(image)
    _refuse_references(image, found)
    return int(found["virtual-size"])


def convert(source: Image, target: Image, tell: Tell) -> None:
    """Make the image `target` with the content of `source`; it appears whole, or not at all.

    `tell` gets the bytes of the source's size that are done. The size and the content of what was made are
    compared with the source. Raises DiskError.
    """
    size = size_bytes(source)
    if target.form is DiskFormat.VHD and size > VHD_MOST_BYTES:
        msg = f"{source.path}: {size} bytes are more than a VHD can hold ({VHD_MOST_BYTES}); use vhdx"
        raise DiskError(msg)
    with tempfile.TemporaryDirectory(dir=target.path.parent, prefix=f".{target.path.name}-") as folder:
        part = Image(Path(folder) / "part", target.form)
        options = _OPTIONS.get(target.form)
        command = ["convert", "-p", "-f", QEMU_NAMES[source.form], "-O", QEMU_NAMES[target.form]]
        command += ["-o", options] if options else []
        _run([*command, _name(source.path), _name(part.path)], lambda share: tell(int(size * share)))
        must_be_equal(source, part)
        with part.path.open("rb") as file:
            os.fsync(file.fileno())
        part.path.replace(target.path)
    tell(size)


def must_be_equal(one: Image, other: Image) -> None:
    """Raises DiskError, saying where, unless a guest would read the same from both, to the last byte."""
    sizes = size_bytes(one), size_bytes(other)
    if sizes[0] != sizes[1]:  # qemu-img's own comparison takes zeros behind the end for equal.
        msg = f"{other.path} has {sizes[1]} bytes, and {one.path} has {sizes[0]}"
        raise DiskError(msg)
    formats = ["-f", QEMU_NAMES[one.form], "-F", QEMU_NAMES[other.form]]
    done = _plain(["compare", *formats, _name(one.path), _name(other.path)], None)
    if done.returncode == 1:
        msg = f"{other.path} is not equal to {one.path}: {done.stdout.decode(errors='replace').strip()}"
        raise DiskError(msg)
    if done.returncode != 0:
        raise _failed(done.stderr)


def _info(image: Image) -> dict[str, Any]:
    done = _plain(["info", "--output=json", "-f", QEMU_NAMES[image.form], _name(image.path)], INFO_LIMIT_S)
    if done.returncode != 0:
        raise _failed(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _refuse_references(image: Image, found: Mapping[str, Any]) -> None:
    """An image may name a backing file, a data file or extents: any file that this process can read."""
    special = found.get("format-specific", {}).get("data", {})
    named = [found.get("backing-filename"), found.get("full-backing-filename"), special.get("data-file")]
    own = str(image.path)
    named += [
        extent.get("filename") for extent in special.get("extents", []) if extent.get("filename") != own
    ]
    others = [str(name) for name in named if name]
    if others:
        msg = f"{image.path} refers to another file ({others[0]}); only images that are whole by themselves are taken"
        raise DiskError(msg)


def _name(path: Path) -> str:
    """The path such that qemu-img cannot take a part of it for a protocol or an option."""
    return str(path.absolute())


def _plain(arguments: list[str], limit_s: float | None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["qemu-img", *arguments], capture_output=True, check=False, timeout=limit_s, env=_environment()
        )
    except FileNotFoundError:
        raise DiskError(str(missing())) from None
    except subprocess.TimeoutExpired:
        msg = f"qemu-img {arguments[0]} did not end within {limit_s:g} s; the image may be made to harm"
        raise DiskError(msg) from None


def _run(arguments: list[str], tell: Callable[[float], None]) -> None:
    """Run qemu-img with its progress told as a share of 1; ended when it tells none for too long."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                ["qemu-img", *arguments], stdout=subprocess.PIPE, stderr=errors, env=_environment()
            )
        except FileNotFoundError:
            raise DiskError(str(missing())) from None
        with process:
            try:
                _follow(process, tell)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            errors.seek(0)
            raise _failed(errors.read())


def _follow(process: subprocess.Popen[bytes], tell: Callable[[float], None]) -> None:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(STALL_LIMIT_S):
                msg = f"qemu-img made no progress for {STALL_LIMIT_S:g} s; look at the disk, then repeat"
                raise DiskError(msg)
            read = os.read(descriptor, 1 << 16)
            if not read:
                return
            found = _PERCENT.findall(rest + read)
            rest = (rest + read)[-32:]
            if found:
                tell(float(found[-1]) / 100)


def _failed(stderr: bytes) -> DiskError:
    said = stderr.decode(errors="replace").strip().removeprefix("qemu-img: ").splitlines()
    why = said[-1] if said else "it ended without a word"
    hint = "; free some space, then repeat" if "No space left" in why else ""
    return DiskError(f"qemu-img: {why}{hint}")


def _environment() -> dict[str, str]:
    """English messages, which are looked into."""
    return {**os.environ, "LC_ALL": "C"}
