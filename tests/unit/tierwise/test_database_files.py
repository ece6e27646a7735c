"""What stands where the database should be, and cannot be used: each time said in words."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tierwise.app import wire
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
from tierwise.store.engine import migrate, open_engine, session_factory
from tierwise.store.tables import BatchRow
from tierwise.testing.estate import simulated_acme
from tierwise.usecases.init import init


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that nobody, root included, can write."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_file_that_is_no_database_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "tierwise.sqlite"
    file.write_text("these are my notes, and no database\n" * 100)
    before = file.read_bytes()
    with pytest.raises(TierwiseError, match=r"tierwise\.sqlite cannot be opened: file is not a database"):
        open_engine(file)
    assert file.read_bytes() == before


def test_a_folder_in_the_databases_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "tierwise.sqlite").mkdir()
    with pytest.raises(TierwiseError, match=r"tierwise\.sqlite cannot be opened: unable to open"):
        open_engine(tmp_path / "tierwise.sqlite")


def test_a_database_with_a_damaged_page_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "tierwise.sqlite"
    engine = open_engine(file)
    migrate(engine)
    engine.dispose()
    content = bytearray(file.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = b"\xff" * 64
    file.write_bytes(content)
    with pytest.raises(TierwiseError, match=r"tierwise\.sqlite.*malformed; restore it from a backup"):
        migrate(open_engine(file))


def test_a_database_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "tierwise.sqlite")
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(TierwiseError, match="made by a newer version: use that one"):
        migrate(engine)
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "tierwise.sqlite")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_a_folder_that_cannot_be_written_is_named(read_only: Path) -> None:
    with pytest.raises(TierwiseError, match="check its rights and free space"):
        init(Settings(data_dir=read_only / "data"), "acme")
    with pytest.raises(TierwiseError, match=r"cannot be opened.*check the path, its rights and free space"):
        open_engine(read_only / "tierwise.sqlite")


def test_a_data_directory_that_became_read_only_can_be_read_and_says_why_it_cannot_work(
    tmp_path: Path,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a folder read-only needs root")
    settings = simulated_acme(tmp_path)
    folder = str(settings.data_dir)
    bound = subprocess.run(["mount", "--bind", folder, folder], check=False, capture_output=True, text=True)
    if bound.returncode:
        pytest.skip(f"nothing can be mounted here: {bound.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        with pytest.raises(TierwiseError, match=r"rights and free space|make it writable") as caught:
            _work(settings)
        assert folder in str(caught.value)
    finally:
        subprocess.run(["umount", folder], check=True)


def _work(settings: Settings) -> None:
    app = wire(settings)
    try:
        with running(app):
            pytest.fail("it works on a disk that cannot be written")
    finally:
        app.close()


def test_a_folder_that_is_no_data_directory_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"not a tierwise data directory.*tierwise init --example acme"):
        wire(Settings(data_dir=tmp_path))


def test_nothing_is_overwritten_by_a_second_init(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    init(settings, "acme")
    file = settings.catalog_dir / "tenants.yaml"
    file.write_text("# mine\n")
    with pytest.raises(InvalidInput, match="has a catalog already; nothing was changed"):
        init(settings, "acme")
    assert file.read_text() == "# mine\n"
    with pytest.raises(InvalidInput, match="there is no example 'acmee'; known are acme"):
        init(Settings(data_dir=tmp_path / "other"), "acmee")
    assert not (tmp_path / "other").exists()


def test_a_full_disk_is_named_and_takes_no_half_transaction(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    engine = open_engine(tmp_path / "tierwise.sqlite")
    migrate(engine)
    # SQLite's own limit fails exactly as a disk without free space does: SQLITE_FULL.
    with engine.connect() as connection:
        pages = connection.execute(sa.text("PRAGMA page_count")).scalar_one()
        connection.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
        with session_factory()(bind=connection) as session:
            session.add(
                BatchRow(id="b", submitted_at=datetime(2026, 10, 1, tzinfo=UTC), plan="x" * 100_000)
            )
            with pytest.raises(
                TierwiseError, match=r"tierwise\.sqlite: .*full; free some space, then repeat"
            ):
                session.commit()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM batch")).scalar_one() == 0
    engine.dispose()
