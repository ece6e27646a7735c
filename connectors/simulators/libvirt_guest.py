"""Guests for QEMU machines of tests and the demo: one of 184 bytes, and a Linux that boots.

Both say on the serial console that they are up, so that nobody has to believe a power state.
"""

import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

UP = "tierwise-guest-up"
"""What a guest writes to its serial console when it runs."""
WRITTEN = "tierwise-guest-wrote"
"""What the Linux guest writes when its disk has taken `WRITTEN_MIB`."""
WRITTEN_MIB = 8
KEPT = "tierwise-guest-disk"
"""What it writes at each start, with the SHA-256 of those MiB: what it finds on a disk it wrote before, it leaves."""
SEEDED = "tierwise-guest-seed"
"""What it writes at each start with the SHA-256 of each file of its seed disk, if it has one, and the file's name."""
TICK = "tierwise-guest-tick"
"""What it writes each second, with a number that only its memory holds: it begins at 1 at each start."""

LINUX_MEMORY_MIB = 256
"""What the Linux guest needs: with room for memory to be added, its kernel takes 64 MiB for itself."""

DOWNLOAD_LIMIT_S = 300.0

_TINY = bytes.fromhex(
    "02b0ad1b00000100fe4f51e40000100000001000000000000000000020001000"
    "bea4001000baf8030000ac84c07403eeebf8ba02060000b80001000066efb897"
    "00100066a3400011008c0d4200110066c70544001100008ec1e81066a3460011"
    "000f011d9e001000bc00801100b0fee621b0ffe6a1fbf4faba0006000066edf6"
    "c40174f1ba0406000066ed6625ffc3660d002066efebde50b020e62058cfff07"
    "000011007469657277697365"  # the last word on: the message
    "2d67756573742d75700d0a00"
)
"""The code of ``libvirt_guest.s``."""

_MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "scsi_common",
    "scsi_mod",
    "cdrom",
    "virtio_scsi",
    "sr_mod",
    "isofs",
)
"""What a Debian kernel needs to see its disk and its seed disk, in the order of loading."""

_MARK = "tierwise-content"
"""How the content begins that the Linux guest writes."""

_SCAN = "/sys/module/scsi_mod/parameters/scan"

_INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /dev
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mkdir -p /sys /seed
/bin/busybox mount -t sysfs sysfs /sys
for module in {" ".join(_MODULES)}; do
  # So that all that is on a SCSI controller is known when its module is there.
  [ ! -e {_SCAN} ] || echo sync >{_SCAN}
  [ ! -e /modules/$module.ko ] || /bin/busybox insmod /modules/$module.ko
done
echo {UP}
if [ -b /dev/vda ]; then
  if [ "$(/bin/busybox head -c {len(_MARK)} /dev/vda | /bin/busybox tr -d '\\0')" != {_MARK} ]; then
    echo {_MARK} >/content
    /bin/busybox head -c {WRITTEN_MIB}m /dev/urandom >>/content
    /bin/busybox dd if=/content of=/dev/vda bs=1M count={WRITTEN_MIB} conv=fsync && echo {WRITTEN}
  fi
  sum=$(/bin/busybox dd if=/dev/vda bs=1M count={WRITTEN_MIB} 2>/dev/null | /bin/busybox sha256sum)
  echo {KEPT} ${{sum%% *}}
fi
# A seed disk is in a CD-ROM drive, whose SCSI device type is 5; other machines have that controller without one.
if /bin/busybox grep -qx 5 /sys/class/scsi_device/*/device/type 2>/dev/null; then
  until [ -b /dev/sr0 ]; do /bin/busybox sleep 1; done
  /bin/busybox mount -t iso9660 -o ro /dev/sr0 /seed
  for file in /seed/*; do
    sum=$(/bin/busybox sha256sum $file)
    echo {SEEDED} ${{sum%% *}} ${{file#/seed/}}
  done
fi
tick=0
while :; do /bin/busybox sleep 1; tick=$((tick + 1)); echo {TICK} $tick; done
"""


@dataclass(frozen=True)
class LinuxGuest:
    """Files to boot: the driver's options of the same names, with `cmdline` as in `CMDLINE`."""

    kernel: Path
    initrd: Path


CMDLINE = "console=ttyS0 quiet panic=-1"


def tiny_kernel(folder: Path) -> Path:
    """A kernel that is up in a second, says so, sleeps, and obeys the ACPI power button."""
    path = folder / "tiny-guest"
    path.write_bytes(_TINY.ljust(8192, b"\0"))  # QEMU reads a whole header of 8 KiB
    return path


def kept(console: str) -> list[str]:
    """The SHA-256 that a Linux guest said of its disk's first `WRITTEN_MIB`, at each of its starts."""
    return re.findall(rf"{KEPT} ([0-9a-f]{{64}})", console)


def seeded(console: str) -> dict[str, str]:
    """The SHA-256 that a Linux guest said of each file of its seed disk, by the files' names."""
    return {name: digest for digest, name in re.findall(rf"{SEEDED} ([0-9a-f]{{64}}) (\S+)", console)}


def ticks(console: str) -> list[int]:
    """The numbers that a Linux guest counted in its memory, over all its starts."""
    return [int(number) for number in re.findall(rf"{TICK} (\d+)\s", console)]


def missing() -> str | None:
    """Why no Linux guest can be made here and what to install; None where it can."""
    wanted = [("busybox", "busybox-static"), ("cpio", "cpio"), ("dpkg-deb", "dpkg")]
    packages = [package for tool, package in wanted if shutil.which(tool) is None]
    if packages:
        return f"not installed; as root: apt-get install {' '.join(packages)}"
    return None


def linux_guest(cache_dir: Path) -> LinuxGuest:
    """A Debian kernel with its virtio modules, and an initrd of busybox; made once in `cache_dir`.

    The kernel is this machine's own from ``/boot`` where there is one, else Debian's cloud kernel by
    ``apt-get download`` (27 MB, needs the network). Raises RuntimeError saying what is missing.
    """
    if problem := missing():
        raise RuntimeError(problem)
    cache_dir = cache_dir.resolve()  # what libvirt boots has a whole path
    version = hashlib.sha256(_INIT.encode()).hexdigest()[:8]  # an older initrd would do something else
    guest = LinuxGuest(cache_dir / "vmlinuz", cache_dir / f"initrd-{version}")
    if guest.kernel.exists() and guest.initrd.exists():
        return guest
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as work:
        root = Path(work)
        kernel, modules = _own_kernel() or _debian_kernel(root)
        made = _initrd(root, modules)
        made.replace(guest.initrd)
        staged = root / "vmlinuz"
        shutil.copyfile(kernel, staged)
        staged.replace(guest.kernel)
    return guest


def _own_kernel() -> tuple[Path, Path] | None:
    for kernel in sorted(Path("/boot").glob("vmlinuz-*"), reverse=True):
        modules = Path("/lib/modules") / kernel.name.removeprefix("vmlinuz-")
        if modules.is_dir():
            return kernel, modules
    return None


def _debian_kernel(folder: Path) -> tuple[Path, Path]:
    depends = _run(["apt-cache", "depends", "--important", "linux-image-cloud-amd64"], folder)
    packages = [word for word in depends.split() if word.startswith("linux-image-") and word[12].isdigit()]
    if not packages:
        msg = "no kernel in /boot, and apt-get knows no linux-image-cloud-amd64; apt-get update may help"
        raise RuntimeError(msg)
    _run(["apt-get", "download", packages[0]], folder)
    (archive,) = folder.glob("linux-image-*.deb")
    _run(["dpkg-deb", "-x", str(archive), "unpacked"], folder)
    (kernel,) = (folder / "unpacked" / "boot").glob("vmlinuz-*")
    (modules,) = (folder / "unpacked" / "lib" / "modules").iterdir()
    return kernel, modules


def _initrd(folder: Path, modules: Path) -> Path:
    root = folder / "root"
    for name in ("bin", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copyfile(shutil.which("busybox") or "", root / "bin" / "busybox")
    (root / "bin" / "busybox").chmod(0o755)
    for module in _MODULES:
        for found in modules.rglob(f"{module}.ko"):
            shutil.copyfile(found, root / "modules" / found.name)
    (root / "init").write_text(_INIT, encoding="utf-8")
    (root / "init").chmod(0o755)
    files = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    command = ["cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"]
    made = subprocess.run(command, cwd=root, input=files.encode(), capture_output=True, check=True)
    archive = folder / "initrd"
    archive.write_bytes(made.stdout)
    return archive


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=DOWNLOAD_LIMIT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip()
        msg = f"no kernel in /boot, and '{' '.join(command)}' failed: {words[-300:]}"
        raise RuntimeError(msg) from error
    return done.stdout
