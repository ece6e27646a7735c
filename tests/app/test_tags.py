"""Tags of a machine that is there: set at its hypervisor, shown, and seen to be changed by others."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from connectors.contract import Connector
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.errors import EndpointDown, InvalidInput
from tierwise.store.tables import MachineRow
from tierwise.usecases import label, tagging
from tierwise.usecases.inventory import Drift, inventory
from tierwise.usecases.observe import observe

XEN = "hosted-xen"


def shown(acme: Any) -> tuple[dict[str, str], Drift]:
    """What the inventory says of the one machine, but what every machine of ours has."""
    observe(acme.app)
    (machine,) = inventory(acme.app).machines
    own = {name: value for name, value in machine.annotations.items() if not name.startswith("tierwise.")}
    return own, machine.drift


def test_tags_are_set_and_taken_away_at_the_hypervisor_and_are_no_drift(acme: Any) -> None:
    row = acme.deliver("shop-01")
    tagging.tag(acme.app, UUID(int=1), "shop-01", {"env": "prod", "backup": "daily"})
    assert shown(acme) == ({"env": "prod", "backup": "daily"}, Drift.NONE)
    tagging.tag(acme.app, UUID(int=2), "shop-01", {"backup": "", "env": "test"})
    assert shown(acme) == ({"env": "test"}, Drift.NONE)
    with connect(acme.endpoint(XEN)) as connector:
        there = connector.tags(UUID(row.id))
    assert there == tagging.tags(acme.app, "shop-01")
    assert there["env"] == "test"
    assert there["tierwise.order"] == row.id, "what says whose machine it is has stayed"
    assert acme.kinds("shop-01") == ["created", "powered_on"], "nothing that a bill depends on has happened"


def test_a_look_before_the_tags_were_set_shows_no_drift_and_hides_none_of_before(acme: Any) -> None:
    row = acme.deliver("shop-01")
    acme.clock.advance(timedelta(seconds=1))
    observe(acme.app)
    acme.clock.advance(timedelta(seconds=1))
    tagging.tag(acme.app, UUID(int=1), "shop-01", {"env": "prod"})
    (machine,) = inventory(acme.app).machines
    assert machine.drift is Drift.NONE
    with connect(acme.endpoint(XEN)) as connector:
        connector.tag(UUID(row.id), {"env": "theirs"})
    acme.clock.advance(timedelta(seconds=1))
    observe(acme.app)
    acme.clock.advance(timedelta(seconds=1))
    label.change_labels(acme.app, UUID(int=2), "shop-01", {"env": "prod"})
    (machine,) = inventory(acme.app).machines
    assert machine.drift is Drift.CHANGED, "a label changes nothing at the hypervisor"


def test_tags_that_others_change_are_drift_until_they_are_set_again(acme: Any) -> None:
    row = acme.deliver("shop-01")
    assert shown(acme) == ({}, Drift.NONE)
    with connect(acme.endpoint(XEN)) as connector:
        connector.tag(UUID(row.id), {"env": "theirs"})
    assert shown(acme) == ({"env": "theirs"}, Drift.CHANGED)
    tagging.tag(acme.app, UUID(int=1), "shop-01", {"env": ""})
    assert shown(acme) == ({}, Drift.NONE)


def test_a_machine_made_before_its_annotations_were_kept_shows_no_drift(acme: Any) -> None:
    row = acme.deliver("shop-01")
    with acme.app.session() as session:
        machine = session.get_one(MachineRow, row.id)
        machine.annotations = None
        session.add(machine)
        session.commit()
    with connect(acme.endpoint(XEN)) as connector:
        connector.tag(UUID(row.id), {"env": "theirs"})
    assert shown(acme) == ({"env": "theirs"}, Drift.NONE)


def test_a_reply_that_was_lost_leaves_the_tags_set_and_the_books_right(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(XEN, "tag", FaultKind.LOSE_REPLY)
    tagging.tag(acme.app, UUID(int=1), "shop-01", {"env": "prod"})
    assert shown(acme) == ({"env": "prod"}, Drift.NONE)


def test_a_hypervisor_that_does_not_answer_leaves_the_books_as_they_are(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(XEN, "tag", FaultKind.UNREACHABLE, times=acme.settings.retries)
    with pytest.raises(EndpointDown, match="shop-01"):
        tagging.tag(acme.app, UUID(int=1), "shop-01", {"env": "prod"})
    assert shown(acme) == ({}, Drift.NONE)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("tierwise.order", "x", "is what tierwise knows the machine by"),
        ("", "x", "has no name"),
        ("a=b", "x", "without '='"),
        ("n" * 81, "x", "80 characters"),
        ("env", "x" * 256, "255 for the value"),
        ("env", "a\x07b", "cannot be shown"),
        ("env", "a\nb", "line break"),
    ],
)
def test_a_tag_that_a_hypervisor_could_not_hold_is_refused_before_it_is_tried(
    acme: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    acme.deliver("shop-01")
    monkeypatch.setattr(Connector, "tag", None)
    with pytest.raises(InvalidInput, match=said):
        tagging.tag(acme.app, UUID(int=1), "shop-01", {name: value})
