"""The migrated database is the one that the tables describe, to the last CHECK.

Alembic's own comparison does not see a CHECK that was dropped, so the statements that SQLite keeps
are compared.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import Session, SQLModel

from tierwise.store import orders as order_store
from tierwise.store.engine import migrate, open_engine, revision, session_factory
from tierwise.store.tables import AllocationRow, BatchRow, MachineEventRow, OrderRow, OrderStatus
from tierwise.store.types import UtcDateTime

NOW = datetime(2026, 10, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_engine(tmp_path / "migrated.sqlite")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    with session_factory()(bind=engine) as session:
        session.add(BatchRow(id="b", submitted_at=NOW))
        session.flush()
        yield session


def schema(file: Path) -> dict[str, list[str]]:
    """Table or index name -> its parts in a fixed order, without what SQLite does not care about."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        ).fetchall()
    return {name: parts(sql) for name, sql in rows}


def parts(sql: str) -> list[str]:
    text = re.sub(r"\s+", " ", sql.replace('"', "")).strip()
    head, _, body = text.partition("(")
    depth, found, part = 0, [], ""
    for character in body.rpartition(")")[0]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append(part.strip())
            part = ""
        else:
            part += character
    tail = body.rpartition(")")[2].strip()
    return [head.strip(), *sorted([*found, part.strip()]), tail]


def test_the_migrated_schema_is_the_one_that_the_tables_describe(engine: sa.Engine, tmp_path: Path) -> None:
    described = sa.create_engine(f"sqlite:///{tmp_path / 'described.sqlite'}")
    SQLModel.metadata.create_all(described)
    described.dispose()
    migrated, wanted = schema(tmp_path / "migrated.sqlite"), schema(tmp_path / "described.sqlite")
    assert migrated == wanted
    assert sum("CHECK" in part for found in migrated.values() for part in found) == 8
    assert any(
        "WHERE status IN" in part or "status IN" in part for part in migrated["one_live_machine_per_name"]
    )


def test_the_comparison_sees_a_check_that_was_dropped(engine: sa.Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        (sql,) = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = 'machine'")).one()
        dropped = re.sub(r"CONSTRAINT state_known CHECK \(state IN \('active', 'deleted'\)\),?", "", sql)
    assert dropped != sql
    assert parts(dropped) != parts(sql)


def test_migrating_again_changes_nothing_and_the_newest_revision_is_reached(
    engine: sa.Engine, tmp_path: Path
) -> None:
    before = schema(tmp_path / "migrated.sqlite")
    migrate(engine)
    assert schema(tmp_path / "migrated.sqlite") == before
    present, newest = revision(engine)
    assert present == newest is not None


def test_migrations_go_back_to_an_empty_database(engine: sa.Engine, tmp_path: Path) -> None:
    from alembic import command

    from tierwise.store.engine import alembic_config

    command.downgrade(alembic_config(engine), "base")
    assert schema(tmp_path / "migrated.sqlite") == {}


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001 - as above
        timezones=st.timezones() | st.just(timezone(timedelta(hours=-9, minutes=-30))),
    )
)
def test_a_moment_comes_back_as_it_was_in_utc(moment: datetime) -> None:
    column = UtcDateTime()
    dialect = sa.create_engine("sqlite://").dialect
    stored = column.process_bind_param(moment, dialect)
    assert isinstance(stored, int)
    back = column.process_result_value(stored, dialect)
    assert back == moment.astimezone(UTC)
    assert back is not None
    assert back.utcoffset() == timedelta(0)


def test_moments_sort_as_they_follow_each_other_also_before_1970() -> None:
    column = UtcDateTime()
    dialect = sa.create_engine("sqlite://").dialect
    first = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    moments = [first + timedelta(microseconds=n) for n in range(3)]
    stored = [column.process_bind_param(moment, dialect) for moment in moments]
    assert stored == [-1, 0, 1]
    assert [column.process_result_value(value, dialect) for value in stored] == moments


def test_a_moment_without_a_time_zone_is_never_stored(session: Session) -> None:
    session.add(BatchRow(id="naive", submitted_at=NOW.replace(tzinfo=None)))
    with pytest.raises(StatementError, match="has no time zone"):
        session.flush()


def order(order_id: str, name: str, **fields: Any) -> OrderRow:
    return OrderRow(
        id=order_id, batch_id="b", position=0, tenant="web-shop", machine_name=name, offering="web-small",
        document="{}", request="{}", ordered_at=NOW, **fields,
    )  # fmt: skip


@pytest.mark.parametrize("status", ["accepted", "placed", "delivered"])
def test_two_live_orders_cannot_have_the_same_machine_name(session: Session, status: str) -> None:
    session.add(order("1", "web-01", status=status))
    session.add(order("2", "web-01"))
    with pytest.raises(IntegrityError, match=r"order_.machine_name"):
        session.flush()


@pytest.mark.parametrize("status", ["refused", "failed", "removed"])
def test_the_name_of_an_order_that_ended_is_free(session: Session, status: str) -> None:
    session.add_all([order("1", "web-01", status=status), order("2", "web-01", status=status)])
    session.add(order("3", "web-01"))
    session.flush()
    assert order_store.find(session, "web-01").id == "3"


def test_every_status_is_allowed_and_no_other(session: Session) -> None:
    session.add_all([order(status, f"vm-{status}", status=status) for status in OrderStatus])
    session.flush()
    session.add(order("x", "vm-x", status="lost"))
    with pytest.raises(IntegrityError, match="status_known"):
        session.flush()


def test_an_allocation_is_never_negative_and_belongs_to_an_order(session: Session) -> None:
    session.add(order("1", "web-01"))
    session.flush()
    with pytest.raises(IntegrityError, match="amounts_not_negative"), session.begin_nested():
        session.add(AllocationRow(consumer="1", pool="p", vcpu=-1, memory_mib=0, disk_gib=0))
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), session.begin_nested():
        session.add(AllocationRow(consumer="nobody", pool="p", vcpu=1, memory_mib=0, disk_gib=0))


def test_one_cause_makes_one_event(session: Session) -> None:
    from tierwise.store import events

    fields = {"machine": "1", "kind": "created", "at": NOW, "recorded_at": NOW, "source": "order"}
    assert events.append(session, key="1:created", details={}, **fields)
    assert not events.append(session, key="1:created", details={"other": 1}, **fields)
    session.add(MachineEventRow(key="1:created", **fields))
    with pytest.raises(IntegrityError, match=r"machine_event.key"):
        session.flush()


def test_who_has_locked_the_store_is_its_only_writer(engine: sa.Engine, tmp_path: Path) -> None:
    with session_factory()(bind=engine) as session:
        order_store.lock(session)
        with (
            closing(sqlite3.connect(tmp_path / "migrated.sqlite", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="database is locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        with engine.connect() as reader:
            assert reader.execute(sa.text("SELECT count(*) FROM estate")).scalar_one() == 0


def test_periods_that_were_issued_before_the_ledger_are_closed_and_come_back_on_the_way_down(
    tmp_path: Path,
) -> None:
    from alembic import command

    from tierwise.store.engine import alembic_config

    file = tmp_path / "old.sqlite"
    engine = open_engine(file)
    command.upgrade(alembic_config(engine), "0003")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO issued_period VALUES ('2026-09', 'acme-eur v2', 1790000000000000)")
    migrate(engine)
    query = "SELECT period, state, rate_card, known_at, closed_at, ledger FROM billing_period"
    with closing(sqlite3.connect(file)) as connection:
        moment = 1790000000000000
        assert connection.execute(query).fetchall() == [
            ("2026-09", "closed", "acme-eur v2", moment, moment, None)
        ]
    command.downgrade(alembic_config(engine), "0003")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT * FROM issued_period").fetchall() == [
            ("2026-09", "acme-eur v2", moment)
        ]
    engine.dispose()


@pytest.mark.parametrize(
    "values",
    ["'2026-10', 'shut', NULL, NULL", "'2026-10', 'open', 5, NULL", "'2026-10', 'review', NULL, NULL",
     "'2026-10', 'closed', 5, NULL", "'2026-10', 'review', 5, 5"],
)  # fmt: skip
def test_a_period_is_in_a_known_state_and_says_when_it_was_known_and_closed(
    engine: sa.Engine, tmp_path: Path, values: str
) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "migrated.sqlite")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"),
    ):
        connection.execute(
            "INSERT INTO billing_period (rate_card, lines, total_minor, period, state, known_at, closed_at) "
            f"VALUES ('', 0, 0, {values})"
        )
