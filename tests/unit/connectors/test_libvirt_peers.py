"""What the libvirt driver takes as the other hosts of an endpoint."""

import pytest

from catalog.pools import Endpoint, TlsPolicy
from connectors.drivers.libvirt.settings import Options, peer_of
from connectors.errors import Refused
from connectors.options import options_of

PEERS = "kvm-c=qemu+tls://kvm-c.example.org/system kvm-d=qemu+tls://[fd00::4]/system"


def endpoint(tls: TlsPolicy | None = None, **options: str) -> Endpoint:
    address = "qemu+tls://kvm-b.example.org/system"
    return Endpoint(name="kvm", driver="libvirt", address=address, tls=tls or TlsPolicy(), options=options)


def test_peers_are_names_and_addresses() -> None:
    options = options_of(Options, endpoint(peers=PEERS, migration_addresses="kvm-d=fd00:1::4"))
    assert list(options.peers) == ["kvm-c", "kvm-d"]
    assert dict(options.migration_addresses) == {"kvm-d": "fd00:1::4"}
    assert hash(options) == hash(
        options_of(Options, endpoint(peers=PEERS, migration_addresses="kvm-d=fd00:1::4"))
    )


def test_a_peer_is_reached_as_the_endpoint_is() -> None:
    here = endpoint(TlsPolicy(ca_file="/etc/tierwise/ca.pem"), peers=PEERS)
    peer = peer_of(here, options_of(Options, here), "kvm-c")
    assert peer.address == "qemu+tls://kvm-c.example.org/system"
    assert (peer.tls, peer.timeout_s, peer.options) == (here.tls, here.timeout_s, here.options)


@pytest.mark.parametrize(
    "peers", ["kvm-c", "kvm-c=", "=qemu:///system", "a=qemu:///system a=qemu:///system"]
)
def test_peers_that_cannot_be_read_are_refused_with_the_form(peers: str) -> None:
    with pytest.raises(Refused, match="name=value"):
        options_of(Options, endpoint(peers=peers))


def test_an_address_to_migrate_to_needs_its_peer() -> None:
    with pytest.raises(Refused, match="kvm-x"):
        options_of(Options, endpoint(peers=PEERS, migration_addresses="kvm-x=10.0.0.1"))


@pytest.mark.parametrize("address", ["qemu+tcp://kvm-c/system", "qemu+ssh://kvm-c/system", "kvm-c"])
def test_a_peer_is_not_reached_by_a_way_that_the_endpoint_could_not_be(address: str) -> None:
    here = endpoint(peers=f"kvm-c={address}")
    with pytest.raises(Refused):
        peer_of(here, options_of(Options, here), "kvm-c")
