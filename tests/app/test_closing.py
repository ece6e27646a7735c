"""Closing a month: what is booked stays, whoever looks, changes a file, is killed or closes at the same time."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tierwise.app import wire
from tierwise.clock import SteppedClock
from tierwise.errors import InvalidInput, StoreBusy, TierwiseError
from tierwise.store.ledger import PeriodClosed
from tierwise.usecases import ledger
from tierwise.usecases.billing import bill
from tierwise.usecases.books import ledger_files, load
from tierwise.usecases.explaining import explain_line, verify
from tierwise.usecases.label import change_labels
from tierwise.usecases.ledger import close
from tierwise.usecases.metering import meter
from tierwise.usecases.owner import change_owner
from tierwise.usecases.periods import listed, reopen, review

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """A moment by Berlin's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def two_machines(acme: Any) -> None:
    """Of two tenants, through all of October; now it is 2 November, 09:00."""
    acme.deliver("shop-01")
    acme.deliver("pay-01", "app-medium", tenant="payroll")
    acme.clock.set(at("2026-11-02T09:00:00"))


def learn(acme: Any, tenant: str = "marketing", since: str = "2026-10-20T00:00:00") -> None:
    """That shop-01 belongs to somebody else since then."""
    number = int(acme.clock.now().timestamp())
    change_owner(acme.app, UUID(int=number), "shop-01", tenant, at(since))


def state(acme: Any, month: str) -> str:
    rows = acme.rows("SELECT state FROM billing_period WHERE period = ?", month)
    return rows[0][0] if rows else "open"


def test_the_first_month_to_be_closed_is_the_one_in_which_usage_begins(acme: Any) -> None:
    two_machines(acme)
    acme.clock.set(at("2026-12-01T09:00:00"))
    for wanted in (close, review):
        with pytest.raises(InvalidInput, match="2026-10 was not issued; issue it first"):
            wanted(acme.app, "2026-11")
    assert [(row["period"], row["state"]) for row in listed(acme.app)] == [("2026-10", "open")]
    assert close(acme.app, "2026-09").statements == []
    for month in ("2026-10", "2026-11"):
        assert [each.tenant for each in close(acme.app, month).statements] == ["payroll", "web-shop"]


def test_closing_numbers_statements_by_tenant_and_books_lines_that_add_up(acme: Any) -> None:
    two_machines(acme)
    closing = close(acme.app, "2026-10")
    assert [(s.number, s.tenant, s.lines) for s in closing.statements] == [
        ("ST-2026-10-0001", "payroll", 4), ("ST-2026-10-0002", "web-shop", 4),
    ]  # fmt: skip
    assert closing.check.difference_minor == 0
    assert closing.machines == 2
    rows = bill(acme.app, "2026-10").rows
    assert [row["statement"] for row in rows] == ["ST-2026-10-0001"] * 4 + ["ST-2026-10-0002"] * 4
    booked = acme.rows("SELECT lines, total_minor FROM billing_period")
    assert booked == [(8, sum(row["amount_minor"] for row in rows))]
    assert [total for (total,) in acme.rows("SELECT total_minor FROM statement ORDER BY position")] == [
        sum(row["amount_minor"] for row in rows if row["tenant"] == tenant)
        for tenant in ("payroll", "web-shop")
    ]


def test_a_preview_says_what_closing_books_and_changes_nothing(acme: Any) -> None:
    two_machines(acme)
    preview = close(acme.app, "2026-10", preview=True)
    assert preview.closed_at is None
    assert state(acme, "2026-10") == "open"
    assert not acme.settings.ledger_dir.exists()
    closed = close(acme.app, "2026-10")
    assert (closed.statements, closed.sums, closed.check) == (
        preview.statements,
        preview.sums,
        preview.check,
    )


def test_corrections_name_the_facts_that_caused_them_and_the_statement_they_correct(acme: Any) -> None:
    two_machines(acme)
    close(acme.app, "2026-10")
    acme.clock.set(at("2026-11-04T09:00:00"))
    learn(acme)
    acme.clock.set(at("2026-12-01T09:00:00"))
    closing = close(acme.app, "2026-11")
    (fact,) = closing.facts
    assert (fact.what, fact.subject) == ("owner change", "shop-01")
    assert datetime.fromtimestamp(fact.at, UTC) == at("2026-10-20T00:00:00")
    assert datetime.fromtimestamp(fact.recorded_at, UTC) == at("2026-11-04T09:00:00")
    books = load(acme.app, acme.app.documents.rate_card)
    corrected = [row for row in books.rows(books.finals["2026-11"]) if row["charge_class"]]
    assert len(corrected) == closing.corrections == 8
    october = {row["line"]: row["statement"] for row in bill(acme.app, "2026-10").rows}
    for row in corrected:
        assert row["corrects_statement"] == october.get(row["corrects"], "")
        assert bool(row["corrects_statement"]) == (row["tenant"] == "web-shop")


def test_only_the_month_after_the_last_closed_one_shows_corrections(acme: Any) -> None:
    two_machines(acme)
    close(acme.app, "2026-10")
    acme.clock.set(at("2026-11-04T09:00:00"))
    learn(acme)
    corrected = {
        month: sum(row["charge_class"] == "Correction" for row in bill(acme.app, month).rows)
        for month in ("2026-11", "2026-12", "2027-04")
    }
    assert corrected == {"2026-11": 8, "2026-12": 0, "2027-04": 0}


def test_a_late_fact_is_called_by_a_noun(acme: Any) -> None:
    two_machines(acme)
    close(acme.app, "2026-10")
    acme.clock.set(at("2026-11-04T09:00:00"))
    change_labels(acme.app, UUID(int=4), "shop-01", {"env": "prod"}, at("2026-10-20T00:00:00"))
    acme.clock.set(at("2026-12-01T09:00:00"))
    assert [(fact.what, fact.subject) for fact in close(acme.app, "2026-11").facts] == [
        ("label change", "shop-01")
    ]


def test_what_was_reviewed_is_what_is_closed_and_later_facts_are_corrections(acme: Any) -> None:
    two_machines(acme)
    known = review(acme.app, "2026-10")
    looked_at = bill(acme.app, "2026-10").rows
    acme.clock.set(at("2026-11-03T09:00:00"))
    learn(acme)
    assert bill(acme.app, "2026-10").rows == looked_at
    closing = close(acme.app, "2026-10")
    assert closing.known_at == known.at
    assert [row["amount_minor"] for row in bill(acme.app, "2026-10").rows] == [
        row["amount_minor"] for row in looked_at
    ]
    assert {row["tenant"] for row in bill(acme.app, "2026-11").rows if row["charge_class"]} == {
        "web-shop", "marketing",
    }  # fmt: skip
    assert [found.problems for found in verify(acme.app)] == [[]]


def test_a_fact_in_the_second_of_the_review_is_not_part_of_it(acme: Any) -> None:
    two_machines(acme)
    review(acme.app, "2026-10")
    learn(acme)
    close(acme.app, "2026-10")
    assert {row["tenant"] for row in bill(acme.app, "2026-10").rows} == {"payroll", "web-shop"}
    acme.clock.advance(timedelta(hours=1))
    assert verify(acme.app)[0].problems == []


def test_a_period_that_is_opened_again_takes_in_what_was_learnt(acme: Any) -> None:
    two_machines(acme)
    review(acme.app, "2026-10")
    acme.clock.set(at("2026-11-03T09:00:00"))
    learn(acme)
    reopen(acme.app, "2026-10")
    assert {row["tenant"] for row in bill(acme.app, "2026-10").rows} == {"payroll", "web-shop", "marketing"}
    assert state(acme, "2026-10") == "open"


def test_a_closed_period_is_not_reviewed_opened_or_closed_again(acme: Any) -> None:
    two_machines(acme)
    first = close(acme.app, "2026-10")
    acme.clock.advance(timedelta(days=1))
    for change in (review, reopen):
        with pytest.raises(
            PeriodClosed, match=r"2026-10 is closed since 2026-11-02 08:00:00 UTC, and stays"
        ):
            change(acme.app, "2026-10")
    again = close(acme.app, "2026-10")
    assert again.already
    assert (again.closed_at, again.statements) == (first.closed_at, first.statements)


def test_only_a_period_under_review_can_be_opened_again(acme: Any) -> None:
    with pytest.raises(InvalidInput, match="2026-10 is open; only a period under review"):
        reopen(acme.app, "2026-10")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing_period SET state = 'open', known_at = NULL, closed_at = NULL",
        "UPDATE billing_period SET total_minor = total_minor + 1",
        "DELETE FROM billing_period",
        "UPDATE statement SET total_minor = 0",
        "DELETE FROM statement",
        "INSERT INTO statement SELECT 'ST-2026-10-0009', period, 9, 'other', currency, 2, 1, 1 FROM statement",
        "UPDATE documents_version SET content = '{}'",
        "DELETE FROM documents_version",
    ],
)
def test_the_database_itself_refuses_to_change_what_is_booked(acme: Any, change: str) -> None:
    acme.deliver("shop-01")
    acme.clock.set(at("2026-11-02T09:00:00"))
    close(acme.app, "2026-10")
    with (
        closing(sqlite3.connect(acme.settings.database)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="what is booked stays"),
    ):
        connection.execute(change)


def test_a_changed_catalog_changes_no_closed_statement_and_is_verified_by_the_old_one(acme: Any) -> None:
    two_machines(acme)
    before = (close(acme.app, "2026-10").totals, bill(acme.app, "2026-10").rows)
    file = acme.settings.catalog_dir / "rates.yaml"
    file.write_text(
        file.read_text().replace("version: 2", "version: 3").replace("price: 0.0", "price: 0.1")
    )
    acme.app.close()
    app = wire(acme.settings, acme.clock)
    assert app.documents.rate_card.version == 3
    assert bill(app, "2026-10").rows == before[1]
    assert [found.problems for found in verify(app)] == [[]]
    acme.clock.set(at("2026-12-01T09:00:00"))
    preview = close(app, "2026-11", preview=True)
    assert preview.corrections == 8, "prices that were wrong all along correct every line"
    (corrected,) = (each for each in preview.sums if each.kind == "Correction")
    assert corrected.amount_minor > before[0][0].amount_minor
    app.close()


def test_verifying_finds_a_row_of_usage_that_somebody_took_away(acme: Any) -> None:
    two_machines(acme)
    close(acme.app, "2026-10")
    for file in acme.settings.usage_dir.rglob("*.parquet"):
        _without_a_machine(file)
    (found,) = verify(acme.app)
    assert found.problems


def _without_a_machine(file: Any) -> None:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file).read()
    kept = [row for row in table.to_pylist() if row["tenant"] != "payroll"]
    pq.write_table(table.from_pylist(kept, schema=table.schema), file, write_page_checksum=True)


def test_a_changed_or_lost_ledger_file_is_named_and_nothing_is_read_from_it(acme: Any) -> None:
    two_machines(acme)
    close(acme.app, "2026-10")
    (file,) = acme.settings.ledger_dir.glob("*.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(TierwiseError, match=r"2026-10\..*is not what was written when 2026-10 was closed"):
        _ = bill(acme.app, "2026-10").rows
    file.unlink()
    with pytest.raises(TierwiseError, match=r"cannot be read: No such file"):
        _ = bill(acme.app, "2026-10").rows


def test_a_fact_that_is_learnt_while_a_month_is_closed_is_in_it_or_corrected_and_never_lost(
    acme: Any, monkeypatch: Any
) -> None:
    two_machines(acme)
    write = type(ledger_files(acme.app)).write
    learnt = []

    def write_and_learn(files: Any, period: str, table: Any) -> str:
        if not learnt:
            learnt.append(True)
            learn(acme)  # In the same second as the close that has drawn up its lines already.
        return str(write(files, period, table))

    monkeypatch.setattr(type(ledger_files(acme.app)), "write", write_and_learn)
    closing_ = close(acme.app, "2026-10")
    assert [s.tenant for s in closing_.statements] == ["marketing", "payroll", "web-shop"]
    assert [found.problems for found in verify(acme.app)] == [[]]


def test_of_two_who_close_at_once_one_wins_and_the_other_says_so(acme: Any) -> None:
    two_machines(acme)
    apps = [wire(acme.settings, SteppedClock(acme.clock.now())) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda app: close(app, "2026-10"), apps))
    for app in apps:
        app.close()
    assert sorted(closing_.already for closing_ in found) == [False, True]
    assert found[0].statements == found[1].statements
    assert acme.rows("SELECT count(*) FROM statement") == [(2,)]


def test_a_closer_who_drew_up_the_same_month_before_another_closed_it_books_nothing(acme: Any) -> None:
    two_machines(acme)
    from tierwise.usecases.books import month_of

    card = acme.app.documents.rate_card
    drafts = [ledger._tried(acme.app, month_of("2026-10", card), card, preview=False)[1] for _ in range(2)]
    assert ledger._book(acme.app, drafts[0]) is not None
    assert ledger._book(acme.app, drafts[1]) is None
    assert acme.rows("SELECT count(*) FROM statement") == [(2,)]


def test_who_waits_too_long_for_another_closer_is_told(acme: Any, monkeypatch: Any) -> None:
    two_machines(acme)
    from tierwise.store.ledger_files import LedgerFiles

    monkeypatch.setattr(
        ledger, "ledger_files", lambda app: LedgerFiles(app.settings.ledger_dir, patience_s=0)
    )
    with (
        ledger_files(acme.app).closing(),
        pytest.raises(StoreBusy, match="another tierwise process closes"),
    ):
        close(acme.app, "2026-10")


class Crash(BaseException):
    """What nothing in the product catches: work ends where it stands."""


def steps(monkeypatch: Any, end: Any) -> None:
    """Call `end` before each step of a close that the disk or the database sees."""
    from sqlmodel import Session

    from tierwise.store.ledger_files import LedgerFiles

    for owner, name in (
        (os, "fsync"), (Path, "rename"), (Session, "flush"), (Session, "commit"),
        (LedgerFiles, "read"), (LedgerFiles, "forget_others"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, _with(end, getattr(owner, name)))


def _with(end: Any, real: Any) -> Any:
    def step(*arguments: Any, **more: Any) -> Any:
        end()
        return real(*arguments, **more)

    return step


def half_or_whole(acme: Any) -> bool:
    """Whether October is closed; with nothing of it there if it is not, and all of it if it is."""
    rows = acme.rows("SELECT state, lines, ledger IS NULL FROM billing_period")
    counts = acme.rows("SELECT count(*) FROM statement")
    assert (rows, counts) in (([], [(0,)]), ([("closed", 8, 0)], [(2,)])), (rows, counts)
    return bool(rows)


def test_a_crash_before_any_step_leaves_a_month_open_or_closed_and_closing_it_again_is_safe(
    acme: Any, monkeypatch: Any
) -> None:
    two_machines(acme)
    meter(acme.app)
    states: list[bool] = []
    for step in range(100):
        left = [step]

        def end(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash

        with monkeypatch.context() as patched, suppress(Crash):
            steps(patched, end)
            close(acme.app, "2026-10")
        states.append(half_or_whole(acme))
        if left[0] >= 0:
            break
    assert step >= 8, "hardly any step was tried"
    assert sorted(states) == states, "once closed it stays closed"
    assert False in states
    (total,) = close(acme.app, "2026-10").totals
    assert bill(acme.app, "2026-10").total == total.text
    assert [found.problems for found in verify(acme.app)] == [[]]


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from tierwise.app import wire
from tierwise.clock import SteppedClock
from tierwise.store import ledger
from tierwise.testing.estate import quick_settings
from tierwise.usecases.ledger import close
app = wire(quick_settings(Path(sys.argv[1])), SteppedClock(datetime.fromisoformat(sys.argv[2])))
real = ledger.close
def last(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
ledger.close = last
close(app, "2026-10")
"""


def test_a_process_that_is_killed_before_it_commits_has_closed_nothing_and_holds_no_lock(acme: Any) -> None:
    two_machines(acme)
    meter(acme.app)
    folder, moment = str(acme.settings.data_dir.parent), acme.clock.now().isoformat()
    ended = subprocess.run([sys.executable, "-c", KILLED, folder, moment], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not half_or_whole(acme)
    assert not close(acme.app, "2026-10").already
    assert len(list(acme.settings.ledger_dir.glob("*.parquet"))) == 1


def test_every_line_of_statements_with_corrections_is_explained_and_says_its_causes(acme: Any) -> None:
    two_machines(acme)
    close(acme.app, "2026-10")
    acme.clock.set(at("2026-11-04T09:00:00"))
    learn(acme)
    acme.clock.set(at("2026-12-01T09:00:00"))
    closing_ = close(acme.app, "2026-11")
    for statement in closing_.statements:
        for number in range(1, statement.lines + 1):
            found = explain_line(acme.app, statement.number, number)
            assert found.explanation.amount_minor == found.row["amount_minor"]
            assert found.row["number"] == number
    by_id = explain_line(acme.app, found.row["line"])
    assert by_id == found
    (piece,) = explain_line(acme.app, "ST-2026-11-0001", 1).explanation.sides[0].pieces
    assert piece.cause is not None
    assert piece.cause.what.startswith("owner change: tenant marketing")


def test_lines_of_a_month_that_is_not_closed_are_explained_by_their_ids(acme: Any) -> None:
    two_machines(acme)
    row = bill(acme.app, "2026-10").rows[0]
    assert explain_line(acme.app, row["line"]).explanation.amount_minor == row["amount_minor"]


@pytest.mark.parametrize(
    ("what", "number", "message"),
    [
        ("ST-2026-10-0001", 5, "ST-2026-10-0001 has no line 5; its lines are 1 to 4"),
        ("ST-2026-10-0009", 1, "there is no statement ST-2026-10-0009"),
        ("ST-2026-11-0001", 1, "there is no statement ST-2026-11-0001: 2026-11 is not closed"),
        ("ST-2026-10-0001", None, "names no line; give a statement and a line"),
        ("2026-10/nobody", None, "there is no line '2026-10/nobody'"),
        ("line 7", None, "'line 7' names no line"),
    ],
)
def test_a_line_that_is_not_there_is_not_explained(
    acme: Any, what: str, number: int | None, message: str
) -> None:
    acme.deliver("shop-01")
    acme.clock.set(at("2026-11-02T09:00:00"))
    close(acme.app, "2026-10")
    with pytest.raises(InvalidInput, match=message):
        explain_line(acme.app, what, number)


def test_the_periods_are_listed_with_the_one_that_is_next(acme: Any) -> None:
    assert listed(acme.app) == []
    two_machines(acme)
    close(acme.app, "2026-10")
    october, november = listed(acme.app)
    assert (october["state"], october["statements"], october["lines"]) == ("closed", 2, 8)
    assert (november["period"], november["state"]) == ("2026-11", "open")


def test_a_month_that_an_older_version_issued_gets_its_ledger_by_closing_it_once_more(acme: Any) -> None:
    two_machines(acme)
    meter(acme.app)
    stated = bill(acme.app, "2026-10").rows
    with closing(sqlite3.connect(acme.settings.database)) as connection, connection:
        micros = int(acme.clock.now().timestamp()) * 1_000_000
        connection.execute(
            "INSERT INTO billing_period (period, state, rate_card, known_at, closed_at, lines, total_minor) "
            f"VALUES ('2026-10', 'closed', 'acme-eur v2', {micros}, {micros}, 0, 0)"
        )
    acme.clock.set(at("2026-11-05T09:00:00"))
    learn(acme)
    assert bill(acme.app, "2026-10").rows == stated
    assert "kept no ledger" in verify(acme.app)[0].problems[0]
    assert not close(acme.app, "2026-10").already
    assert [row["amount_minor"] for row in bill(acme.app, "2026-10").rows] == [
        r["amount_minor"] for r in stated
    ]
    assert verify(acme.app)[0].problems == []
