"""Two libvirt hosts on one machine, between which real guests can be moved.

Each is a `PrivateLibvirtd` with a name, an identity and namespaces of its own, so to libvirt they are two
hosts. They share their disks or they do not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catalog.pools import Endpoint
from connectors.simulators.libvirt_guest import CMDLINE, linux_guest
from connectors.simulators.libvirt_sasl import Login
from connectors.simulators.libvirtd import ADDRESS, HOST, PrivateLibvirtd

FIRST, SECOND = f"{HOST}-a", f"{HOST}-b"
"""The hosts' names."""


@dataclass(frozen=True)
class Pair:
    """Both hosts, running. With `shared` the storage pool ``default`` is one folder for both.

    With `tls` they are reached over verified TLS, and machines move encrypted; with a login by its password too.
    """

    first: PrivateLibvirtd
    second: PrivateLibvirtd
    shared: bool
    tls: bool = False

    def endpoint(
        self, daemon: PrivateLibvirtd, name: str = "", timeout_s: float = 30.0, **options: str
    ) -> Endpoint:
        """One host as an endpoint that knows the other as its peer; the name is the host's unless given.

        Options of the driver given here come before those that make the two fit together.
        """
        other = self.second if daemon is self.first else self.first
        fitting = {
            "peers": f"{other.host}={other.tls_address if self.tls else other.qemu_address}",
            "migration_addresses": f"{other.host}={ADDRESS}",
            "migration_storage": "trusted" if self.shared else "copy",
        }
        make = daemon.tls_endpoint if self.tls else daemon.qemu_endpoint
        return make(name or daemon.host, timeout_s, **(fitting | options))

    def endpoints(self, timeout_s: float = 30.0, **options: str) -> tuple[Endpoint, Endpoint]:
        """Both hosts as endpoints."""
        first, second = (self.endpoint(d, "", timeout_s, **options) for d in (self.first, self.second))
        return first, second


@contextmanager
def two_hosts(*, shared: bool, tls: bool = False, login: Login | None = None) -> Iterator[Pair]:
    """Both hosts as long as the context lasts. Raises RuntimeError saying what is missing."""
    with PrivateLibvirtd(host=FIRST, tls=tls, login=login) as first:
        images, pki = first.images if shared else None, first.pki if tls else None
        with PrivateLibvirtd(host=SECOND, tls=tls, images=images, pki=pki, login=login) as second:
            yield Pair(first, second, shared, tls)


def linux_options(cache_dir: Path) -> dict[str, str]:
    """The driver's options with which machines boot the Linux guest; it is made once in `cache_dir`.

    Raises RuntimeError saying what is missing.
    """
    guest = linux_guest(cache_dir)
    return {"kernel": str(guest.kernel), "initrd": str(guest.initrd), "cmdline": CMDLINE}
