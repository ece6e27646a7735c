"""Moves of machines between pools, and the room that they hold meanwhile."""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from catalog.resources import ResourceClass, Resources
from tierwise.store.tables import MoveRow, MoveState

OPEN = (MoveState.MOVING, MoveState.MOVED, MoveState.STUCK)


def open_move(session: Session, machine: str) -> MoveRow | None:
    """The machine's move that is not at its end, or None."""
    query = select(MoveRow).where(MoveRow.machine == machine, col(MoveRow.state).in_(OPEN))
    return session.exec(query).first()


def all_moves(session: Session, *, only_open: bool = False) -> list[MoveRow]:
    """Moves, newest first."""
    query = select(MoveRow).order_by(col(MoveRow.started_at).desc(), col(MoveRow.id))
    if only_open:
        query = query.where(col(MoveRow.state).in_(OPEN))
    return list(session.exec(query))


def held(session: Session) -> dict[str, Resources]:
    """What open moves hold, per pool."""
    sums = [sa.func.sum(getattr(MoveRow, rc.value)) for rc in ResourceClass]
    query = (
        sa.select(col(MoveRow.held_pool), *sums)
        .where(col(MoveRow.state).in_(OPEN))
        .group_by(col(MoveRow.held_pool))
    )
    return {
        pool: Resources(**{rc.value: int(n) for rc, n in zip(ResourceClass, amounts, strict=True)})
        for pool, *amounts in session.execute(query)
    }
