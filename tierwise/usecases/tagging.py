"""Tags of a machine at its hypervisor, where the vendor's own clients show and find it by them."""

from collections.abc import Mapping
from uuid import UUID

from dbos import DBOS, SetWorkflowID

from catalog.capabilities import Capability
from connectors.errors import ConnectorError
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.jobs import workflows
from tierwise.usecases.change import find, finish, ready, require

OURS = "tierwise."
"""What the names of the annotations begin with that say whose a machine is."""
NAME_LENGTH_MAX = 80
"""The longest name that vCenter takes for a custom attribute."""
VALUE_LENGTH_MAX = 255


def tag(app: App, change_id: UUID, wanted: str, changes: Mapping[str, str]) -> None:
    """Set tags of a machine at its hypervisor; an empty value takes one away.

    Raises InvalidInput for names and values that a hypervisor could not hold, and names that tierwise
    itself writes; NotSupported where the machine's pool has no tags.
    """
    _check(changes)
    machine = ready(app, wanted)
    require(app, machine, Capability.TAGS)
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.tag, str(change_id), machine.id, dict(changes))
    finish(handle.get_result(polling_interval_sec=0.05), machine)


def tags(app: App, wanted: str) -> Mapping[str, str]:
    """The tags that the machine's hypervisor shows now, others' too."""
    machine = find(app, wanted)
    require(app, machine, Capability.TAGS)
    try:
        with app.endpoints.lease(machine.endpoint) as connector:
            return connector.tags(UUID(machine.id))
    except ConnectorError as error:
        msg = f"{machine.name}: {error}"
        raise TierwiseError(msg) from None


def _check(changes: Mapping[str, str]) -> None:
    for name, value in changes.items():
        why = _fault(name, value)
        if why:
            msg = f"tag '{name}' {why}"
            raise InvalidInput(msg)


def _fault(name: str, value: str) -> str:
    if not name.strip() or "=" in name:
        return "has no name that can be written as name=value; give it one without '='"
    if name.startswith(OURS):
        return "is what tierwise knows the machine by; choose a name that does not begin with 'tierwise.'"
    if len(name) > NAME_LENGTH_MAX or len(value) > VALUE_LENGTH_MAX:
        return f"is too long; {NAME_LENGTH_MAX} characters for the name and {VALUE_LENGTH_MAX} for the value are the most"
    if not (name + value).isprintable():
        return "has a line break or another character that cannot be shown; leave it out"
    return ""
