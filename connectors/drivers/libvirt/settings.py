"""The endpoint's options and its address, checked before anything is dialled."""

from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.pools import Endpoint
from connectors.errors import Refused
from connectors.templates import Templates

_EXAMPLE = "write one like qemu+tls://host/system or qemu:///system"

Text = Annotated[str, Field(min_length=1, max_length=1000)]


def _pairs(text: object) -> object:
    if not isinstance(text, str):
        return text
    found = [pair.partition("=") for pair in text.split()]
    if not all(name and value for name, _, value in found) or len({name for name, *_ in found}) < len(
        found
    ):
        msg = "write name=value, with spaces between them, each name once"
        raise ValueError(msg)
    return {name: value for name, _, value in found}


Named = Annotated[FrozenMapping[str, str], BeforeValidator(_pairs)]
"""Values by name, written ``a=1 b=2``."""


class Transport(StrEnum):
    """How a libvirt daemon is reached."""

    LOCAL = "unix"
    TLS = "tls"
    TCP = "tcp"


class Options(Value):
    """The options of an endpoint with ``driver: libvirt``."""

    storage_pool: Text = Field(default="default", description="Where the disks of new machines go.")
    provider: Text | None = Field(default=None, description="The pool's name; the host's name unless set.")
    templates: Templates = Field(
        default={},
        description="Templates that orders can choose, by the names of their traits: volumes of storage_pool, or pool/volume.",
    )
    network: Text | None = Field(default=None, description="A libvirt network for new machines.")
    bridge: Text | None = Field(default=None, description="A bridge of the host for new machines.")
    emulator: Text | None = Field(default=None, description="Path of QEMU on the host.")
    machine: Text | None = Field(default=None, description="QEMU's machine type; q35 on x86_64 unless set.")
    domain_type: Literal["auto", "kvm", "qemu"] = "auto"
    os_type: Literal["auto", "hvm", "xen", "xenpvh"] = Field(
        default="auto",
        description="Xen: libvirt's type of new machines; hvm where the processor virtualizes unless set, else xen.",
    )
    bootloader: Text = Field(
        default="pygrub", description="Xen: what finds the kernel on the disk of machines that are not hvm."
    )
    kernel: Text | None = Field(
        default=None, description="Path on the host of a kernel that machines boot."
    )
    initrd: Text | None = None
    cmdline: Text | None = None
    container_image: Text | None = Field(
        default=None,
        description="LXC: the volume in storage_pool that new containers' disks begin with; raw, a file system.",
    )
    container_init: Text = Field(default="/sbin/init", description="LXC: what a container starts.")
    serial_log_dir: Text | None = Field(
        default=None, description="Folder on the host for serial logs, <identity>.log."
    )
    client_cert: Text | None = Field(default=None, description="PEM file shown to the daemon over TLS.")
    client_key: Text | None = None
    copy_mib_per_s: Annotated[int, Field(ge=0)] = Field(
        default=0, description="At most this for copying the disk of a machine that runs; 0: no limit."
    )
    peers: Named = Field(
        default={},
        description="Other hosts that machines can move to live: name=URI, with spaces between them.",
    )
    migration_addresses: Named = Field(
        default={},
        description="Where those hosts take machines in: name=address. The host's own name unless set.",
    )
    migration_storage: Literal["shared", "trusted", "copy"] = Field(
        default="shared",
        description="Disks are on storage that libvirt knows to be shared, on some that you vouch for, or copied.",
    )

    @model_validator(mode="after")
    def _addresses_are_of_peers(self) -> Self:
        unknown = self.migration_addresses.keys() - self.peers.keys()
        if unknown:
            msg = f"migration_addresses names {', '.join(sorted(unknown))}, which peers does not"
            raise ValueError(msg)
        return self


def peer_of(endpoint: Endpoint, options: Options, host: str) -> Endpoint:
    """The endpoint of a peer, which is reached as this one is. Raises Refused."""
    peer = endpoint.model_copy(update={"address": options.peers[host]})
    transport_of(peer)
    return peer


def transport_of(endpoint: Endpoint) -> Transport:
    """How the address is reached. Raises Refused for one that tierwise does not dial, with what to write."""
    if "://" not in endpoint.address:
        raise _refused(endpoint, "the address is not a libvirt URI", _EXAMPLE)
    url = urlsplit(endpoint.address)  # an Endpoint's address can be read, and holds no password
    if url.query:
        hint = "use the endpoint's tls settings and options instead"
        raise _refused(endpoint, "the address has parameters, which could weaken its protection", hint)
    return _allowed(endpoint, url.scheme, remote=bool(url.hostname))


def _allowed(endpoint: Endpoint, scheme: str, *, remote: bool) -> Transport:
    driver, _, named = scheme.partition("+")
    transport = named or ("tls" if remote else "unix")  # libvirt's own default for a URI with a host
    if driver not in {"qemu", "xen", "lxc", "test"} or transport not in list(Transport):
        why = f"the address's scheme '{scheme}' is not one of qemu, qemu+tls, qemu+tcp, those with xen, lxc, and test"
        raise _refused(endpoint, why, _EXAMPLE)
    if transport == Transport.TCP and endpoint.tls.unverified_because is None:
        why = "plain TCP is neither encrypted nor verified"
        raise _refused(endpoint, why, "use qemu+tls://, or write the reason into tls.unverified_because")
    return Transport(transport)


def _refused(endpoint: Endpoint, why: str, hint: str) -> Refused:
    return Refused(endpoint.name, "open", why, hint=hint)
