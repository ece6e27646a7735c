"""The tables. Rows are written only by the functions of this package's siblings."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from tierwise.store.types import UtcDateTime


class OrderStatus(StrEnum):
    """Where an order stands. A delivered order holds its machine until it is removed."""

    ACCEPTED = "accepted"
    PLACED = "placed"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    REMOVED = "removed"


class MachineState(StrEnum):
    """Whether a machine is there."""

    ACTIVE = "active"
    DELETED = "deleted"


class PeriodState(StrEnum):
    """Where a billing period stands."""

    OPEN = "open"
    REVIEW = "review"
    """What was known when the review began is what is looked at, and what will be closed."""
    CLOSED = "closed"
    """Its lines are booked; what is learnt later is corrected in the next open period."""


class MoveState(StrEnum):
    """Where a move of a machine to another pool stands; all but the last three are open."""

    MOVING = "moving"
    MOVED = "moved"
    """The machine runs in its new pool; the copy in the old one is kept until somebody confirms."""
    STUCK = "stuck"
    """The move failed, and what it had made could not be removed yet."""
    CONFIRMED = "confirmed"
    UNDONE = "undone"
    FAILED = "failed"


def _moment(**options: Any) -> Any:
    return Field(sa_type=UtcDateTime, **options)


def _big(**options: Any) -> Any:
    return Field(sa_type=sa.BigInteger, **options)


def _one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    allowed = ", ".join(f"'{v.value}'" for v in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


_LIVE = "status IN ('accepted', 'placed', 'delivered')"


class BatchRow(SQLModel, table=True):
    """Orders that are placed together, and the plan that placed them."""

    __tablename__ = "batch"

    id: str = Field(primary_key=True)
    submitted_at: datetime = _moment()
    plan: str | None = Field(default=None, description="The plan as JSON, once it is made.")


class OrderRow(SQLModel, table=True):
    """One order through its life."""

    __tablename__ = "order_"
    __table_args__ = (
        _one_of("status", OrderStatus),
        sa.Index(
            "one_live_machine_per_name",
            "machine_name",
            unique=True,
            sqlite_where=sa.text(_LIVE),
            postgresql_where=sa.text(_LIVE),
        ),
    )

    id: str = Field(primary_key=True)
    batch_id: str = Field(foreign_key="batch.id", index=True)
    position: int = Field(ge=0)
    tenant: str = Field(index=True)
    machine_name: str
    offering: str
    document: str = Field(description="The order as given, JSON.")
    request: str = Field(description="The resolved request, JSON.")
    status: str = Field(default=OrderStatus.ACCEPTED)
    pool: str | None = None
    tier: str | None = None
    price_minor: int | None = Field(
        default=None, description="The quoted price of a 30-day month, minor units."
    )
    why: str = Field(default="[]", description="Rejections or the failure, JSON.")
    ordered_at: datetime = _moment()
    finished_at: datetime | None = _moment(default=None, nullable=True)


class AllocationRow(SQLModel, table=True):
    """What one order holds of its pool, from the plan until the machine is gone."""

    __tablename__ = "allocation"
    __table_args__ = (
        sa.CheckConstraint("vcpu >= 0 AND memory_mib >= 0 AND disk_gib >= 0", name="amounts_not_negative"),
    )

    consumer: str = Field(primary_key=True, foreign_key="order_.id")
    pool: str = Field(index=True)
    vcpu: int = _big()
    memory_mib: int = _big()
    disk_gib: int = _big()


class MachineRow(SQLModel, table=True):
    """A delivered machine. Its identity is its order's id."""

    __tablename__ = "machine"
    __table_args__ = (_one_of("state", MachineState),)

    id: str = Field(primary_key=True, foreign_key="order_.id")
    name: str
    tenant: str
    pool: str = Field(index=True)
    tier: str
    endpoint: str
    native_id: str
    state: str = Field(default=MachineState.ACTIVE)
    power: str
    vcpu: int = _big()
    memory_mib: int = _big()
    disk_gib: int = _big()
    annotations: str | None = Field(
        default=None,
        description="What its endpoint showed when they were last written, JSON; null: unknown.",
    )
    changed_at: datetime | None = _moment(
        default=None,
        nullable=True,
        description="When tierwise last changed it at its endpoint; null: unknown.",
    )


class MachineEventRow(SQLModel, table=True):
    """What happened to a machine: effective at one time, known from another. Never edited."""

    __tablename__ = "machine_event"
    __table_args__ = (sa.Index("machine_event_by_machine", "machine", "at", "sequence"),)

    sequence: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, description="Idempotency key: one cause makes one event.")
    machine: str = Field(index=True)
    kind: str
    at: datetime = _moment()
    recorded_at: datetime = _moment(index=True)
    source: str
    details: str = Field(default="{}", description="Kind-specific fields, JSON.")


_OPEN_MOVE = "state IN ('moving', 'moved', 'stuck')"


class MoveRow(SQLModel, table=True):
    """A move of a machine to a pool at another endpoint, and the room that it holds beside the machine's own."""

    __tablename__ = "move"
    __table_args__ = (
        _one_of("state", MoveState),
        sa.Index(
            "one_open_move_per_machine",
            "machine",
            unique=True,
            sqlite_where=sa.text(_OPEN_MOVE),
            postgresql_where=sa.text(_OPEN_MOVE),
        ),
    )

    id: str = Field(primary_key=True)
    machine: str = Field(foreign_key="machine.id", index=True)
    source_pool: str
    source_native_id: str
    target_pool: str
    held_pool: str = Field(
        description="Where the room is held: the target's until the machine runs there, then the source's."
    )
    vcpu: int = _big()
    memory_mib: int = _big()
    disk_gib: int = _big()
    state: str = Field(default=MoveState.MOVING)
    was_on: bool = Field(description="Whether the machine ran when the move began.")
    error: str = ""
    started_at: datetime = _moment()
    ended_at: datetime | None = _moment(default=None, nullable=True)


class EndpointViewRow(SQLModel, table=True):
    """The last probe of an endpoint, and the error of the last try where it failed."""

    __tablename__ = "endpoint_view"

    endpoint: str = Field(primary_key=True)
    tried_at: datetime = _moment()
    error: str | None = None
    seen_at: datetime | None = _moment(default=None, nullable=True)
    snapshot: str | None = Field(default=None, description="EndpointSnapshot, JSON.")
    generation: int = 0


class DocumentsVersionRow(SQLModel, table=True):
    """The catalog folder's files as they were when a period was reviewed or closed by them. Never edited."""

    __tablename__ = "documents_version"

    digest: str = Field(primary_key=True, description="SHA-256 of the content.")
    content: str = Field(description="Tier names, and file name -> text, JSON.")


class BillingPeriodRow(SQLModel, table=True):
    """A billing period and what its statements were made from. Without a row it is open."""

    __tablename__ = "billing_period"
    __table_args__ = (
        _one_of("state", PeriodState),
        sa.CheckConstraint("(state = 'open') = (known_at IS NULL)", name="known_unless_open"),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed_at_a_moment"),
    )

    period: str = Field(primary_key=True, description="YYYY-MM in the rate card's time zone.")
    state: str
    rate_card: str = Field(default="", description="The card's label.")
    documents: str | None = Field(default=None, foreign_key="documents_version.digest")
    known_at: datetime | None = _moment(default=None, nullable=True)
    closed_at: datetime | None = _moment(default=None, nullable=True)
    ledger: str | None = Field(
        default=None,
        description="SHA-256 of the ledger's file; none where a version without ledger closed it.",
    )
    lines: int = Field(default=0, sa_type=sa.BigInteger)
    total_minor: int = Field(default=0, sa_type=sa.BigInteger)


class StatementRow(SQLModel, table=True):
    """A statement that was issued: its number, and what its lines add up to. Never edited."""

    __tablename__ = "statement"
    __table_args__ = (
        sa.UniqueConstraint("period", "position", name="one_statement_per_position"),
        sa.UniqueConstraint("period", "tenant", name="one_statement_per_tenant"),
        sa.CheckConstraint("position >= 1 AND lines >= 1", name="counted_from_one"),
    )

    number: str = Field(primary_key=True, description="ST-2026-10-0031")
    period: str = Field(foreign_key="billing_period.period", index=True)
    position: int
    tenant: str
    currency: str
    minor_digits: int
    lines: int = _big()
    total_minor: int = _big()


_BOOKED = "what is booked stays: a late fact becomes a correction in the next open period"


def _never(change: str, table: str, when: str = "") -> str:
    """A trigger that refuses to change a row; SQLite's, as that is the database we open."""
    condition = f" WHEN {when}" if when else ""
    return (
        f"CREATE TRIGGER {table}_never_{change} BEFORE {change.upper()} ON {table}{condition} "
        f"BEGIN SELECT RAISE(ABORT, '{_BOOKED}'); END"
    )


_CLOSED = "OLD.state = 'closed' AND OLD.ledger IS NOT NULL"
_INTO_CLOSED = (
    "EXISTS (SELECT 1 FROM billing_period AS p WHERE p.period = NEW.period "
    "AND p.state = 'closed' AND p.ledger IS NOT NULL)"
)
GUARDS = {
    "documents_version": (
        _never("update", "documents_version"),
        _never("delete", "documents_version"),
    ),
    "billing_period": (
        _never("update", "billing_period", _CLOSED),
        _never("delete", "billing_period", "OLD.state = 'closed'"),
    ),
    "statement": (
        _never("update", "statement"),
        _never("delete", "statement"),
        _never("insert", "statement", _INTO_CLOSED),
    ),
}
"""Per table, the triggers that keep what is booked; migration 0004 has the same as text."""

for _table, _guards in GUARDS.items():
    for _guard in _guards:
        _ddl = sa.DDL(_guard)  # type: ignore[no-untyped-call] # SQLAlchemy leaves it without types
        sa.event.listen(SQLModel.metadata.tables[_table], "after_create", _ddl)


class EstateRow(SQLModel, table=True):
    """One row whose version grows with every change of allocations: the guard of a plan."""

    __tablename__ = "estate"

    id: int = Field(default=1, primary_key=True)
    version: int = 0


class AppliedStepRow(SQLModel, table=True):
    """A step of unfinished durable work whose change was made, in the same transaction as this row."""

    __tablename__ = "applied_step"

    workflow: str = Field(primary_key=True)
    step: int = Field(primary_key=True, sa_type=sa.BigInteger)
    result: str = Field(description="What the change gave back, as JSON.")
