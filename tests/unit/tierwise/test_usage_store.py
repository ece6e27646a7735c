"""Usage files are whole or not there, whatever the disk and other processes do."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tierwise.errors import ExitCode, StoreBusy, TierwiseError
from tierwise.store.usage import UsageStore
from tierwise.store.usage_files import Layout

SCHEMA = pa.schema([
    pa.field("n", pa.int64(), nullable=False), pa.field("machine", pa.string(), nullable=False),
    pa.field("at", pa.int64(), nullable=False),
])  # fmt: skip
LAYOUT = Layout("at", "at", ("machine", "at"))
DAY = 86_400


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path / "usage", SCHEMA, LAYOUT)


def table(*numbers: int, machine: str = "x", at: Callable[[int], int] = int) -> Any:
    """A row per number, `at` that second."""
    moments = [at(n) for n in numbers]
    return pa.table({"n": list(numbers), "machine": [machine] * len(numbers), "at": moments}, schema=SCHEMA)


def read(store: UsageStore, **limits: Any) -> list[int]:
    return sorted(store.read(**limits)["n"].to_pylist())


def names(store: UsageStore) -> list[str]:
    """Everything in the folder but the lock."""
    found = (
        file.relative_to(store.folder).as_posix() for file in store.folder.rglob("*") if file.is_file()
    )
    return sorted(set(found) - {"writer.lock"})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_rows_come_back_whole_and_many_small_files_become_few(store: UsageStore) -> None:
    with store.writing():
        for start in range(0, 36, 3):
            store.append(table(*range(start, start + 3)))
    assert read(store) == list(range(36))
    assert len(store.files()) == 5


def test_nothing_is_written_for_no_rows_and_nothing_is_read_where_nothing_was_written(
    store: UsageStore,
) -> None:
    assert read(store) == []
    with store.writing():
        assert store.append(table()) == []
    assert store.files() == []
    assert store.read().schema == SCHEMA


def test_a_full_disk_leaves_the_old_files_readable_and_no_part_of_a_new_one(small_disk: Path) -> None:
    store = UsageStore(small_disk / "usage", SCHEMA, LAYOUT)
    noise = table(*(int.from_bytes(os.urandom(7)) for _ in range(200_000)), at=lambda n: n % (400 * DAY))
    with store.writing():
        store.append(table(1, 2, 3))
        with pytest.raises(
            TierwiseError, match=r"could not be written .* nothing was added, free some space"
        ):
            store.append(noise)
    assert read(store) == [1, 2, 3]
    assert names(store) == ["1970-01/00000001.parquet", "manifest.json"]
    with store.writing():
        store.append(table(4))
    assert read(store) == [1, 2, 3, 4]


def test_the_part_of_a_file_that_a_killed_process_left_is_not_counted_and_is_written_over(
    store: UsageStore,
) -> None:
    with store.writing():
        (first,) = store.append(table(1))
        (store.folder / "1970-01/00000002.parquet.part").write_bytes(first.read_bytes()[:50])
        (store.folder / "1970-01/00000002.parquet").write_bytes(first.read_bytes())
        (store.folder / "1970-01/00000003.parquet").write_bytes(first.read_bytes())
        assert read(store) == [1]
        store.append(table(2))
    assert read(store) == [1, 2]
    assert names(store) == ["1970-01/00000001.parquet", "1970-01/00000002.parquet", "manifest.json"]


@pytest.mark.parametrize("damage", ["cut", "empty", "not parquet", "flipped", "one bit"])
def test_a_damaged_file_is_named_and_nothing_is_charged_from_the_others(
    store: UsageStore, damage: str
) -> None:
    with store.writing():
        store.append(table(1))
        (file,) = store.append(table(*range(1000)))
    whole = file.read_bytes()
    bad = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "not parquet": b"n,text\n1,x\n" * 100,
        # In the compressed numbers, behind the first page's header.
        "one bit": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        "flipped": whole[:4] + bytes(b ^ 0xFF for b in whole[4:60]) + whole[60:],
    }[damage]
    file.write_bytes(bad)
    with pytest.raises(
        TierwiseError, match=r"00000002\.parquet cannot be read: .*restore it from a backup"
    ):
        store.read()


def test_a_file_with_other_columns_is_named_and_not_read_as_if_they_were_empty(store: UsageStore) -> None:
    with store.writing():
        store.append(table(1))
    pq.write_table(pa.table({"n": [1]}), store.folder / "1970-01/00000001.parquet")
    with pytest.raises(
        TierwiseError, match=r"00000001\.parquet cannot be read: it has no column at, machine"
    ):
        store.read()


def test_a_copy_of_a_file_under_another_name_is_refused_and_not_charged_twice(store: UsageStore) -> None:
    with store.writing():
        (file,) = store.append(table(1))
    file.with_name("00000001 (copy).parquet").write_bytes(file.read_bytes())
    with pytest.raises(TierwiseError, match=r"00000001 \(copy\)\.parquet.*no usage file of ours"):
        store.read()


def test_two_writers_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        store = UsageStore(tmp_path / "usage", SCHEMA, LAYOUT)
        for n in range(10):
            with store.writing():
                store.append(table(writer * 100 + n))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    found = read(UsageStore(tmp_path / "usage", SCHEMA, LAYOUT))
    assert sorted(found) == sorted(w * 100 + n for w in range(3) for n in range(10))


WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from tierwise.store.usage import UsageStore
from tierwise.store.usage_files import Layout
schema = pa.schema([("machine", pa.string()), ("at", pa.int64())])
with UsageStore(Path(sys.argv[1]), schema, Layout("at", "at", ("machine", "at"))).writing():
    print("writing", flush=True)
    sys.stdin.readline()
"""


def test_a_writer_in_another_process_is_named_instead_of_waited_for_for_ever(store: UsageStore) -> None:
    command = [sys.executable, "-c", WRITER, str(store.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        impatient = UsageStore(store.folder, SCHEMA, LAYOUT, patience_s=0.1)
        with (
            pytest.raises(
                StoreBusy, match=r"another tierwise process writes usage in .*try again"
            ) as caught,
            impatient.writing(),
        ):
            pytest.fail("two processes write at once")
        assert caught.value.exit_code is ExitCode.BUSY
        other.kill()
    with store.writing():
        store.append(table(1))
    assert read(store) == [1], "the lock of a killed process does not stay"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = UsageStore(tmp_path / "file" / "usage", SCHEMA, LAYOUT)
    with pytest.raises(TierwiseError, match="cannot be written"), store.writing():
        pytest.fail("there is no folder")


def test_rows_recorded_after_a_moment_are_found_in_files_and_groups_that_have_any(
    tmp_path: Path,
) -> None:
    known = pa.schema([*SCHEMA, pa.field("recorded_at", pa.int64(), nullable=False)])
    layout = Layout("at", "at", ("machine", "at"), "recorded_at", group_rows=5)
    store = UsageStore(tmp_path / "usage", known, layout)
    chance, rows = Random(7), []
    for moment in range(20):
        fresh = [
            {"n": moment * 100 + i, "machine": chance.choice("xyz"), "at": chance.randrange(90) * DAY,
             "recorded_at": moment}
            for i in range(chance.randint(1, 30))
        ]  # fmt: skip
        rows += fresh
        with store.writing():
            store.append(pa.Table.from_pylist(fresh, schema=known))
    for after in (-1, 0, 9, 18, 19):
        wanted = {row["n"] for row in rows if row["recorded_at"] > after}
        assert set(read(store, recorded_after=after)) == wanted
        early = {row["n"] for row in rows if row["recorded_at"] > after and row["at"] < 40 * DAY}
        assert set(read(store, recorded_after=after, t_to=40 * DAY)) == early
