"""The snapshots of a machine: which it has, one more, going back to one, and one that goes."""

from typing import Any
from uuid import UUID

from dbos import DBOS, SetWorkflowID

from catalog.capabilities import Capability
from connectors.contract import VmSnapshot
from connectors.errors import ConnectorError
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.jobs import workflows
from tierwise.jobs.runtime import current
from tierwise.store.tables import MachineRow
from tierwise.usecases.change import find, finish, ready, require

NAME_LENGTH_MAX = 80
"""The longest name that vCenter takes."""
_ESCAPED = "/\\%"
"""What vCenter stores in another form than it was given."""


def listed(app: App, wanted: str) -> list[VmSnapshot]:
    """The snapshots that the machine has at its hypervisor now, oldest first."""
    machine = find(app, wanted)
    require(app, machine, Capability.SNAPSHOT)
    return _at_hypervisor(app, machine)


def take(app: App, change_id: UUID, wanted: str, name: str) -> None:
    """Keep what the machine is now under a name. Raises InvalidInput for a name that it has, or that cannot be."""
    _check(name)
    machine = ready(app, wanted)
    require(app, machine, Capability.SNAPSHOT)
    if any(one.name == name for one in _at_hypervisor(app, machine)):
        msg = f"{machine.name} has a snapshot '{name}' already; delete it, or choose another name"
        raise InvalidInput(msg)
    _carry_out(workflows.take_snapshot, change_id, machine, name)


def revert(app: App, change_id: UUID, wanted: str, name: str) -> MachineRow:
    """Bring the machine back to a snapshot, without what it wrote since; gives it as it is then.

    Rules and quotas are not asked: it had that size before.
    """
    machine = ready(app, wanted)
    require(app, machine, Capability.REVERT)
    _must_have(app, machine, name)
    _carry_out(workflows.revert, change_id, machine, name)
    return find(app, machine.id)


def delete(app: App, change_id: UUID, wanted: str, name: str) -> None:
    """Delete one snapshot; the machine and its other snapshots stay as they are."""
    machine = ready(app, wanted)
    require(app, machine, Capability.DELETE_SNAPSHOT)
    _must_have(app, machine, name)
    _carry_out(workflows.delete_snapshot, change_id, machine, name)


def _check(name: str) -> None:
    fits = name.strip() == name and name.isprintable() and 1 <= len(name) <= NAME_LENGTH_MAX
    if not fits or any(one in name for one in _ESCAPED):
        msg = (
            f"'{name}' is no name for a snapshot; it has 1 to {NAME_LENGTH_MAX} characters, of which none is '/', '\\' or "
            "'%', a line break or another that cannot be shown, and no blank at its ends"
        )
        raise InvalidInput(msg)


def _must_have(app: App, machine: MachineRow, name: str) -> None:
    there = [one.name for one in _at_hypervisor(app, machine)]
    if name not in there:
        known = ", ".join(f"'{one}'" for one in there) or "none"
        msg = f"{machine.name} has no snapshot '{name}'; it has: {known}"
        raise InvalidInput(msg)


def _at_hypervisor(app: App, machine: MachineRow) -> list[VmSnapshot]:
    try:
        with app.endpoints.lease(machine.endpoint) as connector:
            return connector.list_snapshots(UUID(machine.id))
    except ConnectorError as error:
        msg = f"{machine.name}: {error}"
        raise TierwiseError(msg) from None


def _carry_out(work: Any, change_id: UUID, machine: MachineRow, name: str) -> None:
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(work, str(change_id), machine.id, name, current().process)
    finish(handle.get_result(polling_interval_sec=0.05), machine)
