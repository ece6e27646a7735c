"""What the libvirt driver refuses before it dials, and how it stores names that libvirt forbids."""

import xml.etree.ElementTree as ET
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.pools import Endpoint, TlsPolicy
from catalog.resources import Resources
from connectors.contract import VmSpec
from connectors.drivers.libvirt import documents, names
from connectors.drivers.libvirt.session import keepalive
from connectors.drivers.libvirt.settings import Options, Transport, transport_of
from connectors.errors import Refused
from connectors.options import options_of

UNVERIFIED = TlsPolicy(unverified_because="written down for this test")
IDENTITY = UUID("6f1c1b1e-0d5a-4e0c-9a0e-2f4b7f0d9c11")
any_name = st.text(min_size=1, max_size=80)


def endpoint(address: str, tls: TlsPolicy | None = None, **options: str) -> Endpoint:
    return Endpoint(name="kvm", driver="libvirt", address=address, tls=tls or TlsPolicy(), options=options)


@pytest.mark.parametrize(
    ("address", "transport"),
    [
        ("qemu+tls://kvm.example.org/system", Transport.TLS),
        ("xen+tls://xen.example.org/system", Transport.TLS),
        ("xen:///system", Transport.LOCAL),
        ("qemu://kvm.example.org/system", Transport.TLS),
        ("qemu:///system", Transport.LOCAL),
        ("qemu+unix:///system", Transport.LOCAL),
        ("test:///default", Transport.LOCAL),
        ("lxc+tls://kvm.example.org/system", Transport.TLS),
        ("lxc:///system", Transport.LOCAL),
    ],
)
def test_an_address_is_verified_or_local(address: str, transport: Transport) -> None:
    assert transport_of(endpoint(address)) is transport


@pytest.mark.parametrize(
    "address",
    [
        "qemu+tcp://kvm.example.org/system",
        "qemu+ssh://kvm.example.org/system",
        "qemu+tls://kvm.example.org/system?no_verify=1",
        "lxc+tcp://kvm.example.org/system",
        "esx+tls://kvm.example.org/system",
        "vbox:///session",
        "kvm.example.org",
        "//[broken",
    ],
)
def test_an_address_that_is_weak_or_not_ours_is_refused_with_what_to_write(address: str) -> None:
    with pytest.raises(Refused) as caught:
        transport_of(endpoint(address))
    assert caught.value.hint


def test_plain_tcp_needs_a_written_reason() -> None:
    assert transport_of(endpoint("qemu+tcp://127.0.0.1:16510/system", UNVERIFIED)) is Transport.TCP


def test_all_mistakes_in_options_are_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        options_of(Options, endpoint("qemu:///system", domain_type="tcg", storagepool="fast"))
    assert "domain_type" in caught.value.why
    assert "storagepool" in caught.value.why
    assert "storage_pool" in caught.value.hint


@given(any_name)
def test_a_stored_name_is_one_that_libvirt_takes(name: str) -> None:
    stored = names.stored(name)
    assert stored
    assert "/" not in stored
    assert stored.isprintable()
    assert stored.strip() == stored
    assert len(stored.encode()) <= 120
    assert names.stored(stored) == stored


@given(any_name, any_name)
def test_two_names_are_stored_as_two(one: str, other: str) -> None:
    assert (names.stored(one) == names.stored(other)) == (one == other)


@given(
    any_name,
    st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=3),
    st.sampled_from(["qemu", "test"]),
)
def test_name_and_annotations_survive_the_definition(
    name: str, annotations: dict[str, str], domain_type: str
) -> None:
    resources = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    spec = VmSpec(name=name, provider="h", resources=resources, annotations=annotations)
    shape = documents.Shape.within(resources, Resources(vcpu=8, memory_mib=4096), hotplug=True)
    text = documents.domain(
        spec, IDENTITY, "/images/a", shape, domain_type=domain_type, arch="x86_64", options=Options()
    )
    found = names.mark_of(ET.fromstring(text.encode()).findtext(f"metadata/{names.ELEMENT}"))
    assert found == names.Mark(name=name, annotations=annotations, identity=IDENTITY)


@given(st.floats(min_value=0.01, max_value=3600))
def test_a_silent_peer_is_given_up_near_the_timeout(timeout_s: float) -> None:
    interval_s, count = keepalive(timeout_s)
    assert interval_s >= 1
    assert count >= 1
    assert interval_s * (count + 1) <= max(2, timeout_s)
