"""A machine's tags in libvirt's own metadata, read and changed by virsh too."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, VmSpec
from connectors.simulators import libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
OURS = "urn:tierwise:machine:1"
THEIRS = "urn:somebody:else"


@pytest.fixture
def machine(connector: Connector) -> Iterator[UUID]:
    identity = uuid4()
    provider = connector.probe().pools[0].provider
    spec = VmSpec(
        name="tagged", provider=provider, resources=SMALL, annotations={"tierwise.tenant": "sales"}
    )
    connector.create_vm(spec, identity)
    yield identity
    connector.delete_vm(identity)


def shown(daemon: libvirtd.PrivateLibvirtd, identity: UUID, *how: str) -> dict[str, str]:
    """What virsh tells of a machine's tags, running or as it starts the next time (``--config``)."""
    element = ET.fromstring(daemon.virsh("metadata", str(identity), "--uri", OURS, *how))
    return dict(json.loads(element.text or "")["annotations"])


def test_tags_of_a_machine_that_runs_are_there_now_and_after_its_next_start(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.power(machine, PowerAction.ON)
    view = connector.tag(machine, {"env": "prod"})
    wanted = {"tierwise.tenant": "sales", "env": "prod"}
    assert (view.annotations, connector.tags(machine)) == (wanted, wanted)
    assert shown(daemon, machine) == shown(daemon, machine, "--config") == wanted
    connector.power(machine, PowerAction.OFF)
    connector.power(machine, PowerAction.ON)
    assert connector.get_vm(machine).annotations == wanted


def test_what_others_keep_in_the_metadata_stays(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    theirs = ("metadata", str(machine), "--uri", THEIRS, "--key", "their")
    daemon.virsh(*theirs, "--config", "--set", "<note>kept</note>")
    connector.tag(machine, {"env": "prod"})
    assert "kept" in daemon.virsh(*theirs, "--config")
    assert connector.get_vm(machine).name == "tagged"


def test_tags_that_somebody_changes_with_virsh_are_seen_and_set_right_again(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.tag(machine, {"env": "prod"})
    text = json.dumps({"name": "tagged", "annotations": {"env": "theirs"}})
    ours = ("metadata", str(machine), "--uri", OURS, "--key", "tierwise", "--config")
    daemon.virsh(*ours, "--set", f"<machine>{text}</machine>")
    assert connector.get_vm(machine).annotations == {"env": "theirs"}
    connector.tag(machine, {"env": "prod", "tierwise.tenant": "sales"})
    assert shown(daemon, machine) == {"env": "prod", "tierwise.tenant": "sales"}


def test_a_tag_that_reached_only_the_running_machine_is_written_for_its_next_start_too(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.power(machine, PowerAction.ON)
    text = json.dumps({"name": "tagged", "annotations": {"env": "prod"}})
    ours = ("metadata", str(machine), "--uri", OURS, "--key", "tierwise", "--live")
    daemon.virsh(*ours, "--set", f"<machine>{text}</machine>")
    connector.tag(machine, {"env": "prod"})
    assert shown(daemon, machine, "--config") == {"env": "prod"}
