"""Machine events: append-only, effective at one time and known from another."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tierwise.store.tables import MachineEventRow


def append(
    session: Session,
    *,
    key: str,
    machine: str,
    kind: str,
    at: datetime,
    recorded_at: datetime,
    source: str,
    details: Mapping[str, Any],
) -> bool:
    """Write an event unless its key is there already; tells whether it was written."""
    if known(session, key):
        return False
    session.add(
        MachineEventRow(
            key=key,
            machine=machine,
            kind=kind,
            at=at,
            recorded_at=recorded_at,
            source=source,
            details=json.dumps(details, sort_keys=True),
        )
    )
    session.flush()
    return True


def known(session: Session, key: str) -> bool:
    """Whether there is an event of this key."""
    query = select(MachineEventRow.sequence).where(MachineEventRow.key == key)
    return session.exec(query).first() is not None


def latest(session: Session, machine: str) -> datetime:
    """When the newest event of a machine was recorded; 1970 where there is none."""
    query = select(sa.func.max(MachineEventRow.recorded_at)).where(MachineEventRow.machine == machine)
    return session.exec(query).one() or datetime.fromtimestamp(0, UTC)


def known_at(session: Session, moment: datetime, machine: str | None = None) -> list[MachineEventRow]:
    """The events recorded up to and including `moment`, by machine, time and sequence."""
    query = select(MachineEventRow).where(col(MachineEventRow.recorded_at) <= moment)
    if machine is not None:
        query = query.where(MachineEventRow.machine == machine)
    return list(
        session.exec(
            query.order_by(
                col(MachineEventRow.machine), col(MachineEventRow.at), col(MachineEventRow.sequence)
            )
        )
    )


def taken_in(session: Session, moment: datetime) -> dict[str, tuple[int, int]]:
    """Per machine, how many of its events were recorded up to and including `moment`, and the last number."""
    query = (
        select(MachineEventRow.machine, sa.func.count(), sa.func.max(MachineEventRow.sequence))
        .where(col(MachineEventRow.recorded_at) <= moment)
        .group_by(MachineEventRow.machine)
    )
    return {row[0]: (row[1], row[2] or 0) for row in session.exec(query).all()}


def of_machines(session: Session, moment: datetime, machines: Sequence[str]) -> list[MachineEventRow]:
    """The events of some machines that were recorded up to and including `moment`, by machine and sequence."""
    query = (
        select(MachineEventRow)
        .where(col(MachineEventRow.recorded_at) <= moment, col(MachineEventRow.machine).in_(machines))
        .order_by(col(MachineEventRow.machine), col(MachineEventRow.at), col(MachineEventRow.sequence))
    )
    return list(session.exec(query))
