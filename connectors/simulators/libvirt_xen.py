"""A Xen host of one's own to talk to: Debian's Xen with its control domain and libvirtd, on a processor that QEMU emulates.

Nothing of Xen is imitated: machines run under the real hypervisor, as ``xen`` (PV), ``xenpvh`` and ``hvm``. Only the
processor is emulated (TCG, with SVM), so that no machine that tests run on needs to virtualize; a machine starts in
some 5 to 20 seconds. The packages are Debian's, fetched by apt-get once for a cache folder, and never installed.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from filelock import FileLock

from catalog.pools import Endpoint, Option, TlsPolicy
from connectors.simulators import libvirtd

ADDRESS = libvirtd.ADDRESS
HOST = "tierwise-xen"
BOOT_LIMIT_S = 300.0
FETCH_LIMIT_S = 600.0
STOP_LIMIT_S = 20.0
_POLL_S = 0.2

NO_TLS = TlsPolicy(unverified_because="an emulated Xen host on this machine's loopback address, for tests")

UP = "tierwise-guest-up"
"""How a guest's first line on its console begins; behind it is what Xen says that it is: PV, PVH, HVM."""
STARTED = re.compile(rb"start (\d+) (PV|PVH|HVM)\n")
"""What a guest writes at the beginning of its disk: how often it has started from this disk, and what it is."""
GUEST_KERNEL, GUEST_INITRD = "/boot/vmlinuz", "/boot/guest"
GUEST_CMDLINE = "console=ttyS0 console=hvc0 quiet panic=-1"
GUEST_MEMORY_MIB = 160
"""What the guest needs as ``hvm``; 128 are enough for the others."""

PROCESSOR = "phenom,+svm,+npt,-rdtscp"
"""With what Xen needs for all three types. Xen 4.17 emulates RDTSCP only beside NRIP, which TCG has not."""

_PACKAGES = (
    "linux-image-amd64", "tiny-initramfs", "xen-hypervisor-4.17-amd64", "xen-utils-4.17", "qemu-system-xen",
    "libvirt-daemon", "libvirt-daemon-driver-xen", "qemu-utils", "bash", "busybox-static", "coreutils", "grep",
    "iproute2", "kmod", "mount", "ncurses-base", "sed", "util-linux",
)  # fmt: skip
_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mkfs.ext4": "e2fsprogs",
    "cpio": "cpio",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
    "bash": "bash",
    "virsh": "libvirt-clients",
}
_HOST_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "ext4", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd",
    "xenfs", "xen-netback", "xen-blkback", "xen-blkfront", "loop", "bridge", "tun",
)  # fmt: skip
_GUEST_MODULES = ("xen-blkfront", "xen-netfront", "isofs")
_LEFT_OUT = (
    "boot",
    "lib/modules",
    "usr/share/doc",
    "usr/share/iso-codes",
    "usr/share/locale",
    "usr/share/man",
)
_OTHER_DRIVERS = ("interface", "lxc", "network", "nwfilter", "qemu", "vbox")
_DISK_GIB = 64

_INITRD = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs d /dev; $b mount -t proc p /proc; $b mount -t sysfs s /sys
for m in __MODULES__; do $b insmod /modules/$m; done
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 /dev/vda /host && for m in dev proc sys; do $b mount --move /$m /host/$m; done
exec $b switch_root /host /sbin/first
"""

# The first process of the control domain. Xen has the first serial port; by the second it is told what to do.
_FIRST = f"""#!/bin/bash
export TERM=vt100 PATH=/usr/lib/xen-4.17/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec >/dev/hvc0 2>&1 </dev/null
mount -t tmpfs run /run; mkdir -p /run/xen /run/libvirt /run/lock /run/xenstored /dev/pts
mount -t devpts pts /dev/pts; mount -t xenfs xen /proc/xen
ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr
hostname {HOST}
ip link set lo up; ip link add name xenbr0 type bridge; ip link set eth0 master xenbr0; ip link set eth0 up
ip addr add 10.0.2.15/24 dev xenbr0; ip link set xenbr0 up
xenstored --pid-file /run/xenstored.pid; until xenstore-read / >/dev/null 2>&1; do sleep 0.1; done
xen-init-dom0; xenconsoled --pid-file=/run/xenconsoled.pid --log=guest --log-dir=/var/log/xen
# By it the control domain itself sees a machine's disk, on which pygrub looks for a kernel.
/usr/libexec/xen-qemu-system-i386 -xen-domid 0 -xen-attach -M xenpv -name dom0 -nographic -daemonize \
  -monitor /dev/null -serial /dev/null -parallel /dev/null -pidfile /run/xen/qemu-dom0.pid &
(stty -F /dev/ttyS1 raw -echo; while read -r verb; do
  [ "$verb" = restart ] && kill -KILL $(cat /run/libvirtd.pid)
done </dev/ttyS1) &
while :; do
  libvirtd --listen --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirtd.pid
  echo "libvirtd ended: $?"; rm -f /run/libvirtd.pid; sleep 0.2
done
"""

# Its words on the disk come after those on the console: each start counts on from what the disk says.
_GUEST = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs d /dev; $b mount -t proc p /proc; $b mount -t sysfs s /sys
for m in __MODULES__; do $b insmod /modules/$m; done
until [ $($b ls /sys/block | $b grep -c xvd) = $($b ls /sys/bus/xen/devices | $b grep -c vbd) ]; do $b sleep 0.2; done
echo {UP} $($b cat /sys/hypervisor/guest_type)
n=$($b head -c 64 /dev/xvda | $b tr -cd 0-9)
echo start $((${{n:-0}} + 1)) $($b cat /sys/hypervisor/guest_type) | $b dd of=/dev/xvda conv=notrunc,fsync 2>/dev/null
$b mkdir -p /seed
if [ -b /dev/xvdp ] && $b mount -t iso9660 -o ro /dev/xvdp /seed; then
  for f in /seed/*; do s=$($b sha256sum $f); echo seed ${{s%% *}} ${{f#/seed/}}; done
fi
for disk in /sys/block/xvd*; do echo disk ${{disk#/sys/block/}} $($b cat $disk/size $disk/ro); done
for card in /sys/class/net/eth*; do echo card $($b cat $card/address); done
while :; do $b sleep 60; done
"""
_POWEROFF = "#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n"

_LIBVIRTD = f"""listen_tcp = 1
listen_tls = 0
listen_addr = "0.0.0.0"
auth_tcp = "none"
auth_unix_rw = "none"
host_uuid = "6a5c3c7e-3b53-4d5a-8a2f-{hashlib.sha256(HOST.encode()).hexdigest()[:12]}"
log_outputs = "3:stderr"
"""
_POOL = "<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>"
_POOLS = {"default": "/images", "consoles": "/var/log/xen", "logs": "/var/log/libvirt/libxl"}

# libvirt knows no processor that has only what Xen shows of the emulated one to its control domain.
_MODEL = "<cpus><model name='emulated'><decode host='on' guest='off'/><feature name='lm'/></model></cpus>"


def missing() -> str | None:
    """Why the host cannot run here and what to install; None where it can, if apt-get reaches Debian's packages."""
    packages = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if packages:
        return f"not installed; as root: apt-get install {' '.join(packages)}"
    return "an emulated Xen host needs root, to unpack its system" if os.geteuid() != 0 else None


class XenHost:
    """A host on a free port of the loopback address, with a storage pool ``default`` of 64 GiB. Use it as a context.

    What machines write is gone when it ends. `cache_dir` keeps the system that it starts, some 250 MB.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._machine: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self.port = 0

    def __enter__(self) -> Self:
        if problem := missing():
            raise RuntimeError(problem)
        system = built(self._cache_dir)
        self._folder = Path(tempfile.mkdtemp(prefix="tierwise-xen-"))
        try:
            with socket.create_server((ADDRESS, 0)) as free:
                self.port = free.getsockname()[1]
            self._machine = self._spawn(system)
            self._until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._machine is not None:
            self.thaw()
            assert self._machine.stdin is not None, "it was started with a pipe"
            self._machine.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._machine.wait(STOP_LIMIT_S)
            self._machine.kill()
            self._machine.wait()
            self._machine = None
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def guest(self) -> tuple[Path, Path]:
        """The guest's kernel and initial file system, as files of this machine."""
        system = built(self._cache_dir)
        return system / "vmlinuz", system / "guest"

    @property
    def address(self) -> str:
        """The libvirt URI of the driver of Xen."""
        return f"xen+tcp://{ADDRESS}:{self.port}/system"

    def endpoint(self, name: str = "libvirt-xen", timeout_s: float = 120.0, **options: Option) -> Endpoint:
        """The driver at this host, whose machines boot a small Linux that writes on its disk and console."""
        guest = {
            "kernel": GUEST_KERNEL,
            "initrd": GUEST_INITRD,
            "cmdline": GUEST_CMDLINE,
            "bridge": "xenbr0",
        }
        return Endpoint(
            name=name, driver="libvirt", address=self.address, timeout_s=timeout_s, tls=NO_TLS, options=guest | options,
        )  # fmt: skip

    def virsh(self, *words: str) -> str:
        """The answer of libvirt's own command line client. Raises RuntimeError with its words."""
        command = ["virsh", "--quiet", "--connect", self.address, *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=BOOT_LIMIT_S)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def volume(self, name: str, pool: str = "default") -> Path:
        """A copy of a volume as it is now, made by libvirt's own client."""
        copy = self._folder / "volume"
        self.virsh("pool-refresh", pool)
        self.virsh("vol-download", name, str(copy), "--pool", pool)
        return copy

    def console(self, domain: str) -> str:
        """What a guest has written to its console since the host booted, over all its starts."""
        return self.volume(f"guest-{domain}.log", "consoles").read_text(errors="replace")

    def restart(self) -> None:
        """Kill libvirtd and start it again; machines go on running."""
        with socket.socket(socket.AF_UNIX) as port:
            port.connect(str(self._folder / "verbs"))
            port.sendall(b"restart\n")
            time.sleep(_POLL_S)
        self._until_it_answers()

    def freeze(self) -> None:
        """Stop the host in its tracks: connections stay open and nothing answers (SIGSTOP)."""
        os.kill(self._pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen host go on (SIGCONT)."""
        with suppress(OSError, ValueError):
            os.kill(self._pid(), signal.SIGCONT)

    def _pid(self) -> int:
        return int((self._folder / "pid").read_text())

    def _spawn(self, system: Path) -> "subprocess.Popen[bytes]":
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "pc", "-cpu", PROCESSOR, "-smp", "2", "-m", "3072",
            "-kernel", str(system / "xen"), "-append", "console=com1 com1=115200,8n1 dom0_mem=1000M,max:1000M dom0_max_vcpus=1",
            "-initrd", f"{system / 'vmlinuz'} console=hvc0 quiet net.ifnames=0,{system / 'initrd'}",
            "-drive", f"file={system / 'disk'},format=raw,if=virtio,snapshot=on",
            "-netdev", f"user,id=n,restrict=on,hostfwd=tcp:{ADDRESS}:{self.port}-:16509", "-device", "virtio-net-pci,netdev=n",
            "-display", "none", "-serial", f"file:{self._folder / 'console'}",
            "-serial", f"unix:{self._folder / 'verbs'},server=on,wait=off", "-pidfile", str(self._folder / "pid"),
        ]  # fmt: skip
        # It ends with its owner, also where that is killed: its shell then reads the end of its input.
        script = '"$@" </dev/null & pid=$!; cat >/dev/null; kill -KILL $pid'
        with (self._folder / "qemu.log").open("wb") as log:
            return subprocess.Popen(
                ["bash", "-c", script, "xen", *command],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | {"TMPDIR": str(self._folder)},
            )  # fmt: skip

    def _until_it_answers(self) -> None:
        end_s = time.monotonic() + BOOT_LIMIT_S
        while True:
            try:
                self.virsh("pool-info", "default")
            except (RuntimeError, subprocess.TimeoutExpired):
                if time.monotonic() > end_s:
                    said = "".join(
                        (self._folder / name).read_text(errors="replace")[-500:]
                        for name in ("qemu.log", "console")
                    )
                    msg = f"the emulated Xen host did not answer within {BOOT_LIMIT_S:g} s: {said}"
                    raise RuntimeError(msg) from None
                time.sleep(_POLL_S)
            else:
                return


def built(cache_dir: Path) -> Path:
    """The folder of the system, made where it is not there. Raises RuntimeError saying what is missing."""
    # An older one would do something else.
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    system = cache_dir.resolve() / version
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir / "lock"):
        if system.exists():
            return system
        for older in cache_dir.glob("*/disk"):
            shutil.rmtree(older.parent)  # what runs from it keeps its files
        with tempfile.TemporaryDirectory(dir=cache_dir) as work:
            staged = Path(work) / "system"
            staged.mkdir()
            root = Path(work) / "root"
            _unpack(Path(work), root)
            _assemble(root, staged, Path(work))
            staged.rename(system)
    return system


def _unpack(work: Path, root: Path) -> None:
    """All packages that the host needs, as if nothing were installed here."""
    archives = work / "archives"
    (archives / "partial").mkdir(parents=True)
    (work / "status").touch()
    options = {
        "Dir::State::status": work / "status",
        "Dir::Cache::archives": archives,
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-y", "-qq", "--no-install-recommends", "--download-only"]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    _run([*command, "install", *_PACKAGES], "apt-get update may help")
    root.mkdir()
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(archive), str(root)])


def _assemble(root: Path, system: Path, work: Path) -> None:
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    _run(["chroot", str(root), "/sbin/depmod", version])
    _archive(
        work / "first", system / "initrd", root, _modules(root, version, _HOST_MODULES), {"init": _INITRD}
    )
    guest = {"init": _GUEST, "sbin/poweroff": _POWEROFF}
    _archive(work / "guest", system / "guest", root, _modules(root, version, _GUEST_MODULES), guest)
    unpacked = subprocess.run(
        ["zcat", str(root / "boot" / "xen-4.17-amd64.gz")], check=True, capture_output=True
    )
    (system / "xen").write_bytes(unpacked.stdout)
    shutil.copyfile(kernel, system / "vmlinuz")
    for folder in _LEFT_OUT:
        shutil.rmtree(root / folder, ignore_errors=True)
    _configure(root)
    (root / "boot").mkdir()
    shutil.copyfile(system / "vmlinuz", root / GUEST_KERNEL.lstrip("/"))
    shutil.copyfile(system / "guest", root / GUEST_INITRD.lstrip("/"))
    disk = system / "disk"
    with disk.open("wb") as file:
        file.truncate(_DISK_GIB << 30)
    _run(["mkfs.ext4", "-q", "-T", "largefile", "-O", "^has_journal", "-d", str(root), str(disk)])


def _configure(root: Path) -> None:
    for folder in (
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "images",
        "var/log/xen",
        "var/log/libvirt/libxl",
        "var/lib/xen",
        "var/lib/xenstored",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / "var/run", ignore_errors=True)
    (root / "var/run").symlink_to("/run")
    for name in _run(["chroot", str(root), "/bin/busybox", "--list"]).split():
        if not any((root / folder / name).exists() for folder in ("bin", "sbin", "usr/bin", "usr/sbin")):
            (root / "usr/bin" / name).symlink_to("/bin/busybox")
    libvirt = root / "usr/lib/x86_64-linux-gnu/libvirt/connection-driver"
    for name in _OTHER_DRIVERS:
        (libvirt / f"libvirt_driver_{name}.so").unlink(missing_ok=True)
    models = root / "usr/share/libvirt/cpu_map"
    (models / "x86_emulated.xml").write_text(_MODEL)
    index = models / "index.xml"
    first = "<include filename='x86_486.xml'/>"
    index.write_text(index.read_text().replace(first, f"<include filename='x86_emulated.xml'/>{first}"))
    etc = root / "etc"
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (etc / "group").write_text("root:x:0:\ntty:x:5:\ndisk:x:6:\nkmem:x:15:\nkvm:x:104:\n")
    (etc / "hosts").write_text(f"{ADDRESS} localhost {HOST}\n")
    pools = etc / "libvirt/storage"
    (pools / "autostart").mkdir(parents=True)
    (etc / "libvirt/libvirtd.conf").write_text(_LIBVIRTD)
    for name, path in _POOLS.items():
        (pools / f"{name}.xml").write_text(_POOL.format(name=name, path=path))
        (pools / "autostart" / f"{name}.xml").symlink_to(f"../{name}.xml")
    first_process = root / "sbin/first"
    first_process.write_text(_FIRST)
    first_process.chmod(0o755)


def _modules(root: Path, version: str, wanted: tuple[str, ...]) -> list[Path]:
    """Files of kernel modules in the order of loading."""
    found: dict[Path, None] = {}
    for name in wanted:
        told = _run(["chroot", str(root), "/sbin/modprobe", "-S", version, "--show-depends", name])
        for line in told.splitlines():
            if line.startswith("insmod "):
                found[root / line.split()[1].lstrip("/")] = None
    return list(found)


def _archive(folder: Path, target: Path, root: Path, modules: list[Path], scripts: dict[str, str]) -> None:
    """An initial file system of busybox, modules and scripts, in which their names stand for ``__MODULES__``."""
    for name in ("bin", "sbin", "modules", "dev", "proc", "sys", "host"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(root / "bin/busybox", folder / "bin/busybox")
    for module in modules:
        shutil.copyfile(module, folder / "modules" / module.name)
    names = " ".join(module.name for module in modules)
    for path, text in scripts.items():
        (folder / path).write_text(text.replace("__MODULES__", names))
    for path in ("bin/busybox", *scripts):
        (folder / path).chmod(0o755)
    files = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    command = ["cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"]
    made = subprocess.run(command, cwd=folder, input=files.encode(), capture_output=True, check=True)
    target.write_bytes(made.stdout)


def _run(command: list[str], hint: str = "") -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=FETCH_LIMIT_S)
    except (OSError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip()
        msg = f"the emulated Xen host cannot be made: '{' '.join(command[:2])}' failed: {words[-300:]}"
        raise RuntimeError(f"{msg}; {hint}" if hint else msg) from error
    return done.stdout
