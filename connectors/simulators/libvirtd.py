"""A libvirt daemon of one's own to talk to: real QEMU machines, and libvirt's test driver.

It runs in namespaces of its own (mounts, processes, host name), so it neither sees nor disturbs a
libvirt daemon of this machine, and everything in it, guests included, ends when its owner does. It
is a product: the demo and the tests use it. `missing` says what to install where it cannot run.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Self
from uuid import uuid4

from catalog.pools import Endpoint, Option, TlsPolicy
from connectors.simulators import (
    libvirt_container,
    libvirt_guest,
    libvirt_pki,
    libvirt_polkit,
    libvirt_sasl,
)
from connectors.simulators.processes import end

ADDRESS = "127.0.0.1"
HOST = "tierwise-kvm"
START_LIMIT_S = 60.0
_POLL_S = 0.03

NO_TLS = TlsPolicy(
    unverified_because="a private libvirtd on this machine's loopback address, for tests and demos"
)

_TOOLS = {
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "unshare": "util-linux",
    "hostname": "hostname",
    "bash": "bash",
}
_QEMU = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}

# The first process of the namespaces: it reads verbs until its owner is gone, and the kernel then
# ends all that runs in them. Being bash, it also buries guests; libvirt waits for a dead one to vanish.
_FIRST = r"""
set -eu
d=$1; hostname "$2"
mount --bind "$d/hosts" /etc/hosts
mount -t tmpfs tmpfs /run; mkdir /run/libvirt
for pair in lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt etc:/etc/libvirt; do
  mount --bind "$d/${pair%%:*}" "${pair#*:}"
done
mkdir /run/c; mount --bind "$d/containers" /run/c  # a loop device has 64 bytes for its file's path
umount /sys/fs/cgroup/unified 2>/dev/null || true  # libvirt's LXC takes one version of cgroups, not both
__POLKIT__echo ready
while read -r verb rest; do
  case $verb in
    start) libvirtd --listen --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirtd.pid \
             </dev/null >>"$d/daemon.log" 2>&1 & pid=$! ;;
    relay) __RELAY__ ;;
    KILL) kill -KILL "$pid"; wait "$pid" || true ;;
    *) kill "-$verb" "$pid" ;;
  esac
  echo ok
done
kill -KILL -1 || true  # all of these namespaces, and nothing outside
rm -rf "$d"
""".replace("__POLKIT__", libvirt_polkit.START).replace("__RELAY__", libvirt_polkit.RELAY)

_QEMU_CONF = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""


def missing(*, qemu: bool = True) -> str | None:
    """Why the daemon cannot run here and what to do about it; None where it can.

    Without `qemu` only what the test driver needs is asked for.
    """
    wanted = _TOOLS | _QEMU if qemu else _TOOLS
    packages = sorted({package for tool, package in wanted.items() if shutil.which(tool) is None})
    if packages:
        return f"not installed; as root: apt-get install {' '.join(packages)}"
    if importlib.util.find_spec("libvirt") is None:
        return "libvirt-python is not installed; apt-get install libvirt-dev, then pip install 'tierwise[libvirt]'"
    if os.geteuid() != 0:
        return "a private libvirtd needs root, for its namespaces"
    tried = ["unshare", "--mount", "--pid", "--fork", "true"]
    ended = subprocess.run(tried, check=False, capture_output=True, text=True)
    if ended.returncode:
        why = ended.stderr.strip() or f"it ended with {ended.returncode}"
        return f"a private libvirtd needs namespaces, which containers without CAP_SYS_ADMIN forbid; `{' '.join(tried)}`: {why}"
    return None


class PrivateLibvirtd:
    """A daemon on a free port of the loopback address, with a storage pool ``default`` of its own.

    Use it as a context. The test driver's machines live as long as `test_endpoint`'s anchor does. Several
    with names of their own are several hosts: libvirt tells hosts apart by name and UUID. With `images` the
    pool ``default`` is that folder, which is how two of them share their storage, and with `pki` the
    certificates are those of another, so that one authority stands behind both. With a `login` clients over
    TLS give its password. With `polkit_rules` those decide what the users at `relayed` ports may do.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        host: str = HOST,
        images: Path | None = None,
        pki: Path | None = None,
        login: libvirt_sasl.Login | None = None,
        polkit_rules: str | None = None,
    ) -> None:
        self._polkit_rules = polkit_rules
        self._with_tls = tls
        self._login = login
        self.host = host
        self._shared = images
        self._shared_pki = pki
        self._first: subprocess.Popen[str] | None = None
        self._anchor: subprocess.Popen[str] | None = None
        self.folder = Path()
        self.port = 0
        self.tls_port = 0

    def __enter__(self) -> Self:
        if problem := missing(qemu=False):
            raise RuntimeError(problem)
        self.folder = Path(tempfile.mkdtemp(prefix="tierwise-libvirtd-"))
        try:
            self.port, self.tls_port = _free_ports()
            self._write_files()
            self._first = self._spawn()
            self._expect("ready")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._let_go()
        if self._first is not None:
            end(self._first)
            self._first = None
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def images(self) -> Path:
        """The folder of the storage pool ``default``."""
        return self._shared or self.folder / "images"

    @property
    def containers(self) -> Path:
        """The folder of the storage pool of `lxc_endpoint`."""
        return self.folder / "containers"

    @property
    def pki(self) -> Path:
        """The folder of the certificates; there with ``tls=True`` only."""
        return self._shared_pki or self.folder / "pki"

    @property
    def tls_address(self) -> str:
        """The libvirt URI of the QEMU driver over TLS."""
        return f"qemu+tls://{ADDRESS}:{self.tls_port}/system"

    @property
    def qemu_address(self) -> str:
        """The libvirt URI of the QEMU driver."""
        return f"qemu+tcp://{ADDRESS}:{self.port}/system"

    @property
    def read_only_socket(self) -> Path:
        """The socket at which everybody may look and nobody may change, as processes outside see it."""
        return Path("/proc", str(self._running().pid), "root", "run", "libvirt", "libvirt-sock-ro")

    def relayed(self, user: int) -> str:
        """The libvirt URI of the QEMU driver at the socket, for a user of this number; needs `polkit_rules`."""
        port, _ = _free_ports()
        self._tell(f"relay {user} {port}")
        end_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end_s:
            with suppress(OSError), socket.create_connection((ADDRESS, port), timeout=1):
                return f"qemu+tcp://{ADDRESS}:{port}/system"
            time.sleep(_POLL_S)
        msg = f"the relay of user {user} does not listen: {(self.folder / 'polkit.log').read_text()}"
        raise RuntimeError(msg)

    @property
    def lxc_address(self) -> str:
        """The libvirt URI of the LXC driver; needs its package."""
        return f"lxc+tcp://{ADDRESS}:{self.port}/system"

    @property
    def test_address(self) -> str:
        """The libvirt URI of the test driver."""
        return f"test+tcp://{ADDRESS}:{self.port}/default"

    def qemu_endpoint(
        self, name: str = "libvirt-qemu", timeout_s: float = 30.0, **options: Option
    ) -> Endpoint:
        """The QEMU driver, whose machines boot the tiny guest and log to `serial_log`.

        Options of the driver given here come before that.
        """
        defaults = {
            "kernel": str(self.folder / "tiny-guest"),
            "serial_log_dir": str(self.folder / "serial"),
        }
        return self._endpoint(name, self.qemu_address, timeout_s, defaults | options)

    def lxc_endpoint(
        self, name: str = "libvirt-lxc", timeout_s: float = 30.0, **options: Option
    ) -> Endpoint:
        """The LXC driver, whose containers begin as copies of a tiny image; its pool is `containers`."""
        libvirt_container.tiny_root(self.containers)
        pool = self.containers.name
        if pool not in self.virsh("pool-list", "--all", "--name").split():
            self.virsh("pool-define-as", pool, "dir", "--target", "/run/c")
            self.virsh("pool-start", pool)
        given = {"storage_pool": pool, "container_image": libvirt_container.IMAGE}
        return self._endpoint(name, self.lxc_address, timeout_s, given | options)

    def test_endpoint(self, name: str = "libvirt-test", timeout_s: float = 30.0) -> Endpoint:
        """The test driver; keeps one connection open, without which it forgets its machines."""
        if self._anchor is None:
            self._anchor = subprocess.Popen(
                ["virsh", "--quiet", "--connect", self.test_address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            _say(self._anchor, "hostname")
            _line(self._anchor)
        return self._endpoint(name, self.test_address, timeout_s, {"storage_pool": "default-pool"})

    def tls_endpoint(
        self, name: str = "libvirt-tls", timeout_s: float = 30.0, **options: Option
    ) -> Endpoint:
        """The QEMU driver over TLS, verified by this daemon's own authority; needs ``tls=True``.

        With a login it names its user and shows no certificate, else that of the client.
        """
        client = {} if self._login else libvirt_pki.client_options(self.pki)
        endpoint = self.qemu_endpoint(name, timeout_s, **(client | options))
        tls = TlsPolicy(ca_file=str(self.pki / "ca.pem"))
        user = self._login.username if self._login else None
        return endpoint.model_copy(update={"address": self.tls_address, "tls": tls, "username": user})

    def serial_log(self, identity: object) -> Path:
        """What a machine's guest has written to its serial console."""
        return self.folder / "serial" / f"{identity}.log"

    def virsh(self, *words: str, address: str | None = None) -> str:
        """The answer of libvirt's own command line client. Raises RuntimeError with its words."""
        command = ["virsh", "--quiet", "--connect", address or self.qemu_address, *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_LIMIT_S)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def small_pool(self, name: str, size_mib: int) -> Path:
        """A storage pool on a file system with so little room; its folder as other processes see it, empty."""
        folder = self.folder / name
        folder.mkdir()
        process = self._running()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)]
        subprocess.run(["nsenter", "--target", str(process.pid), "--mount", *words], check=True)
        self.virsh("pool-create-as", name, "dir", "--target", str(folder))
        return folder

    def start(self) -> None:
        """Start the daemon and wait until it listens; machines that run are found again."""
        self._tell("start")
        end_s = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if time.monotonic() > end_s:
                log = (self.folder / "daemon.log").read_text(encoding="utf-8", errors="replace")
                msg = f"libvirtd did not listen within {START_LIMIT_S:g} s: {log[-500:]}"
                raise RuntimeError(msg)
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End the daemon as a crash would (SIGKILL); QEMU machines go on running."""
        self._let_go()
        self._tell("KILL")

    def restart(self) -> None:
        """Kill the daemon and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop the daemon in its tracks: connections stay open and nothing answers (SIGSTOP)."""
        self._tell("STOP")

    def thaw(self) -> None:
        """Let a frozen daemon go on (SIGCONT)."""
        self._tell("CONT")

    def _spawn(self) -> "subprocess.Popen[str]":
        with (self.folder / "first.log").open("w", encoding="utf-8") as log:
            return subprocess.Popen(
                [*_NAMESPACES, "bash", "-c", _FIRST, "first", str(self.folder), self.host],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env=os.environ | libvirt_sasl.environment(self.folder),
            )

    def _endpoint(
        self, name: str, address: str, timeout_s: float, options: Mapping[str, Option]
    ) -> Endpoint:
        return Endpoint(
            name=name, driver="libvirt", address=address, timeout_s=timeout_s, tls=NO_TLS, options=options
        )

    def _answers(self) -> bool:
        if self._polkit_rules is not None:  # which let nobody in who comes by TCP
            with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.read_only_socket.with_name("libvirt-sock")))
                return True
            return False
        try:
            self.virsh("hostname", address=self.test_address)
        except RuntimeError:
            return False
        return True

    def _write_files(self) -> None:
        for name in (
            "lib",
            "log",
            "cache",
            "etc/qemu",
            "etc/storage/autostart",
            "images",
            "containers",
            "serial",
        ):
            (self.folder / name).mkdir(parents=True)
        libvirt_guest.tiny_kernel(self.folder)
        settings: dict[str, object] = {
            "listen_tcp": 1,
            "tcp_port": str(self.port),
            "listen_addr": ADDRESS,
            "auth_tcp": "none",
            "auth_unix_rw": "none",
            "host_uuid": str(uuid4()),
            "listen_tls": int(self._with_tls),
        }
        if self._with_tls:
            settings |= libvirt_pki.daemon_settings(self.pki, ADDRESS, self.tls_port)
        if self._login:
            settings |= libvirt_sasl.daemon_settings(self.folder, self._login, self.host)
        if self._polkit_rules is not None:
            libvirt_polkit.write(self.folder, self._polkit_rules)
            settings |= libvirt_polkit.SETTINGS
        lines = [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
            for key, value in settings.items()
        ]
        # libvirt resolves its host's name; without this it would ask the network's name servers.
        (self.folder / "hosts").write_text(f"{ADDRESS} localhost {self.host}\n", encoding="utf-8")
        etc = self.folder / "etc"
        (etc / "libvirtd.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        encryption = libvirt_pki.qemu_settings(self.pki) if self._with_tls else ""
        (etc / "qemu.conf").write_text(_QEMU_CONF + encryption, encoding="utf-8")
        pool = f"<pool type='dir'><name>default</name><target><path>{self.images}</path></target></pool>"
        (etc / "storage" / "default.xml").write_text(pool, encoding="utf-8")
        (etc / "storage" / "autostart" / "default.xml").symlink_to("../default.xml")

    def _running(self) -> "subprocess.Popen[str]":
        if self._first is None:
            msg = "the private libvirtd is not running; use it as a context"
            raise RuntimeError(msg)
        return self._first

    def _tell(self, verb: str) -> None:
        _say(self._running(), verb)
        self._expect("ok")

    def _expect(self, word: str) -> None:
        if self._first is None or _line(self._first) != word:
            said = (self.folder / "first.log").read_text(encoding="utf-8", errors="replace")
            msg = f"the namespaces of the private libvirtd could not be made: {said[-500:]}"
            raise RuntimeError(msg)

    def _let_go(self) -> None:
        if self._anchor is not None:
            end(self._anchor)
            self._anchor = None


_NAMESPACES = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")


def _free_ports() -> tuple[int, int]:
    with socket.create_server((ADDRESS, 0)) as one, socket.create_server((ADDRESS, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None, "the process was started with pipes"
    return stream


def _say(process: "subprocess.Popen[str]", verb: str) -> None:
    with suppress(BrokenPipeError):  # what it said last is told by the missing answer
        _pipe(process.stdin).write(f"{verb}\n")
        _pipe(process.stdin).flush()


def _line(process: "subprocess.Popen[str]") -> str:
    return _pipe(process.stdout).readline().strip()
