"""The smallest container for a private libvirtd: a file system with busybox, whose init obeys a shutdown request."""

import shutil
import subprocess
import tempfile
from pathlib import Path

IMAGE = "tiny-root.img"
"""The image's name, and the volume's."""
UP = "/up"
"""A file that the container writes on its disk when it has started; a line for each start."""

_SIZE = "16M"
_TOOLS = {
    "busybox": "busybox-static",
    "mkfs.ext4": "e2fsprogs",
    "/usr/lib/libvirt/libvirt_lxc": "libvirt-daemon-driver-lxc",
}
_INIT = f"""#!/bin/busybox sh
trap 'exit 0' TERM
echo $(/bin/busybox hostname) >>{UP}
while :; do /bin/busybox sleep 1 & wait $!; done
"""


def missing() -> str | None:
    """Why no container can run here and what to install; None where it can."""
    packages = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    return f"not installed; as root: apt-get install {' '.join(packages)}" if packages else None


def tiny_root(folder: Path) -> Path:
    """Make the image in a folder, if it is not there."""
    image = folder / IMAGE
    if image.exists():
        return image
    if problem := missing():
        raise RuntimeError(problem)
    with tempfile.TemporaryDirectory() as work:
        root = Path(work) / "root"
        for name in ("bin", "sbin", "dev", "proc", "sys", "tmp", "run", "etc"):
            (root / name).mkdir(parents=True)
        shutil.copyfile(shutil.which("busybox") or "", root / "bin" / "busybox")
        init = root / "sbin" / "init"
        init.write_text(_INIT, encoding="utf-8")
        for program in (root / "bin" / "busybox", init):
            program.chmod(0o755)
        made = Path(work) / IMAGE
        command = ["mkfs.ext4", "-q", "-d", str(root), str(made), _SIZE]
        subprocess.run(command, check=True, capture_output=True)
        shutil.copyfile(made, image)
    return image
