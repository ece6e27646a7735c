"""Alembic's entry: always on an engine that the application has opened."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from tierwise.store import tables
from tierwise.store.types import UtcDateTime

OURS = {table.name for table in SQLModel.metadata.sorted_tables}
assert tables.OrderRow.__tablename__ in OURS, "importing the tables registers them"


def include_object(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Leave alone what is not ours: DBOS keeps its tables in the same file."""
    return kind != "table" or name in OURS


def render_item(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Write plain SQL types into migrations, so that they outlive our Python types."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


with context.config.attributes["engine"].begin() as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_object=include_object,
        render_item=render_item,
        render_as_batch=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
