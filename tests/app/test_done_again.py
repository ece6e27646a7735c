"""Durable work whose engine lost its notes, as on a disk that fills up between them and the work's end."""

import sqlite3
from contextlib import closing
from typing import Any

from tierwise.usecases.order import drain


def test_changes_of_work_that_is_done_again_are_made_once(estate: Any) -> None:
    acme = estate()
    with acme.running():
        acme.deliver("shop-01")
    before = books(acme)
    # What is left behind when the engine removed its notes and could not write that the work ended.
    with closing(sqlite3.connect(acme.settings.database)) as database, database:
        database.execute("DELETE FROM datasource_outputs")
        database.execute("DELETE FROM operation_outputs")
        database.execute("UPDATE workflow_status SET status = 'PENDING', output = NULL")
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert books(acme) == before
        assert acme.machine("shop-01").power == "on"
    assert acme.kinds("shop-01") == ["created", "powered_on"]
    assert acme.rows("SELECT status FROM workflow_status WHERE status != 'SUCCESS'") == []


def test_the_notes_of_finished_work_are_removed_at_the_next_start(estate: Any) -> None:
    acme = estate()
    with acme.running():
        acme.deliver("shop-01")
        assert acme.rows("SELECT count(*) FROM applied_step") != [(0,)]
    with acme.running():
        assert acme.rows("SELECT count(*) FROM applied_step") == [(0,)]


def books(acme: Any) -> list[Any]:
    return [
        acme.held(),
        acme.rows("SELECT id, status, finished_at FROM order_"),
        acme.rows("SELECT id, native_id, state, power FROM machine"),
        acme.rows("SELECT * FROM machine_event"),
    ]
