"""Labelling a machine, so that bills may be grouped and priced by its tags; also from a moment in the past."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from chargeback.events import EventKind, MachineEvent
from chargeback.labels import InvalidLabels, labels_text
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import orders as order_store
from tierwise.usecases.late_fact import life_of, moment_of, record, recordable
from tierwise.usecases.metering import epoch

ORDERED = ("class", "offering")
"""Labels that say what was ordered."""


def change_labels(
    app: App, change_id: UUID, wanted: str, changes: Mapping[str, str], since: datetime | None = None
) -> Mapping[str, str]:
    """Set labels of a machine, from `since` (default: now) on; an empty value takes a label away.

    Gives the labels from then on. A moment in the past is a late fact: statements that were issued stay
    as they are, and the next ones carry corrections. A label that was set later than `since` stays as
    it was set then. Raises InvalidInput for keys and values that labels cannot have, labels that follow
    from the order, a future moment, or one that contradicts the machine's life.
    """
    _check(changes)
    at = moment_of(app, since, "labels")
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
        recorded_at = recordable(session, app.clock.now())
        labels = _changed(_labels_at(life_of(session, machine, recorded_at), epoch(at)), changes)
        details = {"labels": labels}
        record(session, machine, change_id, EventKind.RELABELLED, at, recorded_at, details, "labels")
        session.commit()
    return labels


def _check(changes: Mapping[str, str]) -> None:
    if not changes:
        msg = "say which label, like env=prod; env= takes it away"
        raise InvalidInput(msg)
    try:
        labels_text(changes)
    except InvalidLabels as error:
        raise InvalidInput(str(error)) from None
    fixed = [key for key in ORDERED if key in changes]
    if fixed:
        msg = f"label {fixed[0]} says what was ordered and stays; choose another name for a tag"
        raise InvalidInput(msg)


def _labels_at(life: list[MachineEvent], at: int) -> Mapping[str, str]:
    said = [event.labels for event in life if event.labels is not None and event.at <= at]
    return said[-1] if said else {}


def _changed(labels: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in {**labels, **changes}.items() if value}
