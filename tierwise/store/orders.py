"""Orders and what they hold of the pools."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from catalog.orders import Order, Request
from catalog.resources import ResourceClass, Resources
from policies.decisions import Rejection
from tierwise.errors import InvalidInput
from tierwise.store import moves
from tierwise.store.tables import (
    AllocationRow,
    BatchRow,
    EstateRow,
    MachineRow,
    MachineState,
    OrderRow,
    OrderStatus,
)

LIVE = (OrderStatus.ACCEPTED, OrderStatus.PLACED, OrderStatus.DELIVERED)


def accept(
    session: Session, batch_id: str, orders: Sequence[tuple[Order, Request]], now: datetime
) -> list[OrderRow]:
    """Write the orders of one batch; doing it again with the same batch id changes nothing.

    Raises InvalidInput, with every clash in `details`, when a machine name is in use or an order's
    id was used for something else.
    """
    if session.get(BatchRow, batch_id) is not None:
        return batch(session, batch_id)
    clashes = _clashes(session, [order for order, _ in orders])
    if clashes:
        msg = f"{len(clashes)} of {len(orders)} orders cannot be accepted; none was"
        raise InvalidInput(msg, details=clashes)
    session.add(BatchRow(id=batch_id, submitted_at=now))
    session.flush()
    for position, (order, request) in enumerate(orders):
        session.add(
            OrderRow(
                id=str(order.id),
                batch_id=batch_id,
                position=position,
                tenant=order.tenant,
                machine_name=order.machine_name,
                offering=order.offering,
                document=order.model_dump_json(),
                request=request.model_dump_json(),
                ordered_at=order.ordered_at,
            )
        )
    session.flush()
    return batch(session, batch_id)


def _clashes(session: Session, orders: Sequence[Order]) -> list[str]:
    found: list[str] = []
    names: set[str] = set()
    ids: set[str] = set()
    for order in orders:
        if order.machine_name in names:
            found.append(f"machine name '{order.machine_name}' stands twice in this batch")
        if str(order.id) in ids:
            found.append(f"order id {order.id} stands twice in this batch")
        names.add(order.machine_name)
        ids.add(str(order.id))
    taken = select(OrderRow.machine_name, OrderRow.tenant).where(
        col(OrderRow.machine_name).in_(names), col(OrderRow.status).in_(LIVE)
    )
    found += [
        f"machine name '{name}' is in use by tenant '{tenant}'; choose another"
        for name, tenant in sorted(session.exec(taken))
    ]
    known = select(OrderRow.id).where(col(OrderRow.id).in_(ids))
    found += [f"order {order_id} was placed before" for order_id in sorted(session.exec(known))]
    return found


def batch(session: Session, batch_id: str) -> list[OrderRow]:
    """The orders of a batch in the order they were given."""
    return list(
        session.exec(select(OrderRow).where(OrderRow.batch_id == batch_id).order_by(col(OrderRow.position)))
    )


def request_of(row: OrderRow) -> Request:
    """The resolved request of an order."""
    return Request.model_validate_json(row.request)


def rejections_of(row: OrderRow) -> tuple[Rejection, ...]:
    """Why the order was refused or failed."""
    return tuple(Rejection.model_validate(item) for item in json.loads(row.why))


def identities(session: Session) -> frozenset[str]:
    """The identities that are ours at the hypervisors: orders that hold or may hold a machine."""
    return frozenset(session.exec(select(OrderRow.id).where(col(OrderRow.status).in_(LIVE))))


def changed_since(session: Session, moment: datetime) -> dict[str, datetime]:
    """When tierwise last changed each machine, there or removed, that it changed after `moment`."""
    query = select(MachineRow.id, MachineRow.changed_at).where(col(MachineRow.changed_at) > moment)
    return {machine: at for machine, at in session.exec(query) if at is not None}


def allocated(session: Session) -> dict[str, Resources]:
    """What orders hold, and what open moves hold beside them, per pool."""
    held = _sums(session, sa.select(col(AllocationRow.pool), *_SUMS).group_by(col(AllocationRow.pool)))
    for pool, amount in moves.held(session).items():
        held[pool] = held.get(pool, Resources()) + amount
    return held


def used_by_tenant(session: Session) -> dict[str, Resources]:
    """What each tenant's orders hold, all pools together."""
    return _sums(
        session,
        sa.select(col(OrderRow.tenant), *_SUMS)
        .join(AllocationRow, col(AllocationRow.consumer) == col(OrderRow.id))
        .group_by(col(OrderRow.tenant)),
    )


_SUMS: list[sa.ColumnElement[int]] = [sa.func.sum(getattr(AllocationRow, rc.value)) for rc in ResourceClass]


def _sums(session: Session, query: sa.Select[*tuple[Any, ...]]) -> dict[str, Resources]:
    return {
        name: Resources(**{rc.value: int(n) for rc, n in zip(ResourceClass, amounts, strict=True)})
        for name, *amounts in session.execute(query)
    }


def lock(session: Session) -> None:
    """Be the only writer from here on, so that what is read now still holds when it is acted upon."""
    # SQLite takes the lock with the first statement that writes, even one that changes no row; reading
    # alone begins no transaction. Postgres locks the row.
    session.execute(sa.update(EstateRow).values(version=EstateRow.version))


def version(session: Session) -> int:
    """A number that grows with every change of allocations."""
    row = session.get(EstateRow, 1)
    return 0 if row is None else row.version


def touch(session: Session) -> None:
    """Mark that allocations changed, so that plans made before are made again."""
    row = session.get(EstateRow, 1) or EstateRow()
    row.version += 1
    session.add(row)


def place(
    session: Session, row: OrderRow, *, pool: str, tier: str, price_minor: int, resources: Resources
) -> None:
    """Give the order its room in a pool."""
    row.status, row.pool, row.tier, row.price_minor = OrderStatus.PLACED, pool, tier, price_minor
    session.add(AllocationRow(consumer=row.id, pool=pool, **_amounts(resources)))
    session.add(row)


def end(
    session: Session, row: OrderRow, status: OrderStatus, why: Sequence[Rejection], now: datetime
) -> None:
    """Close an order that will have no machine, or has none any more; its room becomes free."""
    allocation = session.get(AllocationRow, row.id)
    if allocation is not None:
        session.delete(allocation)
        touch(session)
    row.status, row.finished_at = status, now
    row.why = json.dumps([r.model_dump() for r in why])
    session.add(row)


def set_allocation(session: Session, consumer: str, resources: Resources) -> None:
    """Change what an order holds, after a resize."""
    allocation = session.get_one(AllocationRow, consumer)
    for rc in ResourceClass:
        setattr(allocation, rc.value, resources.amount(rc))
    session.add(allocation)
    touch(session)


def move_allocation(session: Session, consumer: str, pool: str) -> None:
    """Hold what an order holds in another pool."""
    allocation = session.get_one(AllocationRow, consumer)
    allocation.pool = pool
    session.add(allocation)
    touch(session)


def _amounts(resources: Resources) -> Mapping[str, int]:
    return {rc.value: resources.amount(rc) for rc in ResourceClass}


def find(session: Session, wanted: str) -> OrderRow:
    """One order by id, by the start of its id, or by the name of its machine. Raises InvalidInput.

    Of several orders for one machine name it is the one that is open or holds the machine, otherwise
    the newest: the one that a person means who tries again.
    """
    rows = list(
        session.exec(
            select(OrderRow)
            .where(
                sa.or_(
                    col(OrderRow.id).startswith(wanted, autoescape=True),
                    col(OrderRow.machine_name) == wanted,
                )
            )
            .order_by(col(OrderRow.ordered_at).desc(), col(OrderRow.id))
        )
    )
    named = [row for row in rows if row.machine_name == wanted]
    fitting = rows if wanted else []
    live = [row for row in named or fitting if row.status in LIVE] or named[:1] or fitting
    if len(live) == 1:
        return live[0]
    if not live:
        msg = f"there is no order '{wanted}'; `tierwise order list` shows them all"
        raise InvalidInput(msg)
    msg = f"'{wanted}' fits {len(live)} orders; give more of the id"
    raise InvalidInput(msg, details=[f"{row.id}  {row.machine_name}  {row.status}" for row in live[:10]])


def find_machine(session: Session, wanted: str) -> MachineRow:
    """One machine that is there, by name or by the start of its id. Raises InvalidInput."""
    rows = list(
        session.exec(
            select(MachineRow).where(
                MachineRow.state == MachineState.ACTIVE,
                sa.or_(
                    col(MachineRow.id).startswith(wanted, autoescape=True),
                    col(MachineRow.name) == wanted,
                ),
            )
        )
    )
    # An empty text begins every id: it names no machine, least of all one that is to be removed.
    exact = [row for row in rows if row.name == wanted] or (rows if wanted else [])
    if len(exact) == 1:
        return exact[0]
    if not exact:
        msg = f"there is no machine '{wanted}'; `tierwise vm list` shows them all"
        raise InvalidInput(msg)
    msg = f"'{wanted}' fits {len(exact)} machines; give the name or more of the id"
    raise InvalidInput(msg, details=[f"{row.id}  {row.name}" for row in exact[:10]])


def all_orders() -> SelectOfScalar[OrderRow]:
    """Every order, oldest first."""
    return select(OrderRow).order_by(col(OrderRow.ordered_at), col(OrderRow.position))
