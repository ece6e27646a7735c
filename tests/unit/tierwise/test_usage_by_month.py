"""Usage by month: what a reader may pass by, what merging leaves as it was, and kills at every step."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tierwise.errors import TierwiseError
from tierwise.store import manifest, usage_files
from tierwise.store.usage import UsageStore
from tierwise.store.usage_files import Layout

SCHEMA = pa.schema([
    pa.field("machine", pa.string(), nullable=False), pa.field("t_from", pa.int64(), nullable=False),
    pa.field("t_to", pa.int64(), nullable=False), pa.field("recorded_at", pa.int64(), nullable=False),
])  # fmt: skip
LAYOUT = Layout("t_from", "t_to", ("machine", "t_from"), "recorded_at")
MONTH = 31 * 86_400

Row = tuple[str, int, int, int]


def store_in(folder: Path) -> UsageStore:
    return UsageStore(folder / "usage", SCHEMA, LAYOUT)


def table(rows: list[Row]) -> Any:
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return (
        pa.table([pa.array(column) for column in columns], schema=SCHEMA) if rows else SCHEMA.empty_table()
    )


def rows_of(found: Any) -> list[Row]:
    return sorted(tuple(row.values()) for row in found.to_pylist())


def some_rows(chance: Random, count: int) -> list[Row]:
    found = []
    for _ in range(count):
        t_from = chance.randrange(14 * MONTH)
        found.append((f"m{chance.randrange(40):02d}", t_from, t_from + chance.randint(1, 3 * MONTH), 7))
    return found


@pytest.mark.parametrize("span", [1, 3, 23, 24, 25, 400])
def test_rows_go_into_the_months_in_which_they_begin_however_far_apart_these_are(span: int) -> None:
    chance = Random(span)
    moments = [0, (span - 1) * MONTH, *(chance.randrange(span * 28 * 86_400) for _ in range(9))]
    rows = [(f"m{chance.randrange(3)}", at, at + 1, 7) for at in moments]
    found = {month: rows_of(part) for month, part in usage_files.by_month(table(rows), LAYOUT)}
    by_hand: dict[str, list[Row]] = {}
    for row in sorted(rows):
        by_hand.setdefault(f"{datetime.fromtimestamp(row[1], UTC):%Y-%m}", []).append(row)
    assert found == by_hand
    assert list(found) == sorted(found)


@pytest.mark.parametrize("seed", range(4))
def test_readers_of_a_time_or_some_machines_get_what_a_look_at_every_row_gives(
    tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    store = UsageStore(tmp_path / "usage", SCHEMA, replace(LAYOUT, group_rows=8))
    everything: list[Row] = []
    with store.writing():
        for _ in range(30):
            rows = some_rows(chance, chance.choice([0, 1, 5, 60]))
            store.append(table(rows))
            everything += rows
    assert rows_of(store.read()) == sorted(everything)
    for _ in range(60):
        a, b = sorted((chance.randrange(18 * MONTH), chance.randrange(18 * MONTH)))
        machines = chance.choice(
            [None, [], ["m03"], ["m39", "nobody"], [f"m{n:02d}" for n in range(0, 40, 3)]]
        )
        limits = (chance.choice([None, a]), chance.choice([None, b]))
        found = store.read(t_from=limits[0], t_to=limits[1], machines=machines)
        assert rows_of(found) == sorted(
            row
            for row in everything
            if (machines is None or row[0] in machines)
            and (limits[0] is None or row[2] > limits[0])
            and (limits[1] is None or row[1] < limits[1])
        )


def test_files_hold_one_month_in_order_and_are_never_changed(tmp_path: Path) -> None:
    chance, store = Random(5), store_in(tmp_path)
    seen: dict[Path, bytes] = {}
    with store.writing():
        for _ in range(40):
            store.append(table(some_rows(chance, 3)))
            for file in store.files():
                content = file.read_bytes()
                assert seen.setdefault(file, content) == content
                rows = pq.read_table(file).to_pylist()
                months = {str(pa.scalar(row["t_from"]).cast(pa.timestamp("s")))[:7] for row in rows}
                assert months == {file.parent.name}
                keys = [(row["machine"], row["t_from"]) for row in rows]
                assert all(one <= other for one, other in pairwise(keys))
    assert len(store.files()) < 15 * 15 < 40 * 15


def test_a_reader_of_one_month_does_not_open_the_files_of_others(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with store.writing():
        store.append(table([("m", n * MONTH, n * MONTH + 5, n) for n in range(12)]))
    for file in store.files()[1:]:
        file.write_bytes(b"damaged")
    assert rows_of(store.read(t_to=9)) == [("m", 0, 5, 0)]
    assert store.newest() == 11


def test_a_file_that_is_lost_is_missed_by_name_and_not_charged_as_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with store.writing():
        store.append(table([("m", 0, 5, 0)]))
        (lost,) = store.append(table([("m", MONTH, MONTH + 5, 0)]))
    lost.unlink()
    with pytest.raises(
        TierwiseError, match=r"1970-02/00000002\.parquet is missing; restore it from a backup"
    ):
        store.read()
    (store.folder / "manifest.json").unlink()
    with pytest.raises(TierwiseError, match=r"1970-01/00000001.parquet, but no manifest\.json"):
        store.read()
    (store.folder / "manifest.json").write_text('{"version": 1, "files": [')
    with pytest.raises(TierwiseError, match=r"manifest\.json, which lists the usage files, cannot be read"):
        store.read()
    (store.folder / "manifest.json").write_text('{"version": 2, "files": [], "number": 1}')
    with pytest.raises(TierwiseError, match="is of version 2, this program reads version 1"):
        store.read()


def test_files_of_an_older_version_are_read_and_the_next_append_sorts_them_into_months(
    tmp_path: Path,
) -> None:
    store = store_in(tmp_path)
    store.folder.mkdir()
    rows = some_rows(Random(1), 100)
    pq.write_table(table(rows[:60]), store.folder / "00000001.parquet")
    pq.write_table(table(rows[60:]), store.folder / "00000002.parquet")
    assert rows_of(store.read()) == sorted(rows)
    assert store.newest() == 7
    assert rows_of(store.read(machines=["m01"])) == sorted(row for row in rows if row[0] == "m01")
    more = some_rows(Random(2), 10)
    with store.writing():
        store.append(table(more))
    assert rows_of(store.read()) == sorted(rows + more)
    assert not list(store.folder.glob("*.parquet"))
    pq.write_table(table(rows[:1]), store.folder / "00000009.parquet")
    with pytest.raises(TierwiseError, match=r"00000009\.parquet is no usage file of ours"):
        store.read()


def test_a_damaged_file_is_not_merged_away_and_does_not_stop_who_appends(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with store.writing():
        (first,) = store.append(table([("m", 0, 1, 0)]))
        whole = first.read_bytes()
        first.write_bytes(whole[:40])
        for n in range(1, 20):
            store.append(table([("m", n, n + 1, n)]))
        with pytest.raises(TierwiseError, match=r"00000001\.parquet cannot be read"):
            store.read()
        first.write_bytes(whole)
        assert len(store.files()) == 20
        assert store.compact() == 19
    assert rows_of(store.read()) == [("m", n, n + 1, n) for n in range(20)]


def test_a_reader_that_is_overtaken_by_a_merge_reads_what_it_was_merged_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    with store.writing():
        for n in range(7):
            store.append(table([("m", n, n + 1, n)]))
    original, calls = usage_files.read, []

    def overtaken(path: Path, *arguments: Any) -> Any:
        if not calls:
            calls.append(path)
            with store.writing():
                store.append(table([("m", 7, 8, 7)]))
            assert not path.exists()
        return original(path, *arguments)

    monkeypatch.setattr(usage_files, "read", overtaken)
    assert rows_of(store.read()) == [("m", n, n + 1, n) for n in range(8)]


def test_notes_live_until_somebody_appends_without_them(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    notes = pa.table({"n": [1, 2]})
    with store.writing():
        assert store.state() is None
        store.append(SCHEMA.empty_table(), state=notes)
        assert store.state().equals(notes)
        store.append(table([("m", 0, 1, 0)]), state=notes.slice(1))
        assert store.state()["n"].to_pylist() == [2]
        assert len(list(store.folder.glob("*.state"))) == 1
        store.append(table([("m", 1, 2, 0)]))
    assert store.state() is None
    assert not list(store.folder.glob("*.state"))


STEPS = (
    (manifest.os, "fsync"), (Path, "rename"), (Path, "replace"), (Path, "unlink"), (Path, "write_text"),
    (Path, "mkdir"), (pq, "write_table"),
)  # fmt: skip


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that is killed before or after its nth touch of the disk; tells whether it was."""
    child = os.fork()
    if not child:
        count = [0]

        def counted(original: Any) -> Any:
            def call(*arguments: Any, **more: Any) -> Any:
                count[0] += 1
                if count[0] * 2 == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = original(*arguments, **more)
                if count[0] * 2 + 1 == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return call

        for owner, name in STEPS:
            setattr(owner, name, counted(getattr(owner, name)))
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_writer_that_is_killed_at_any_step_leaves_all_of_its_rows_or_none(tmp_path: Path) -> None:
    old = [("m", n, n + 1, n) for n in range(7)]
    new = [("m", 7, 8, 7), ("m", MONTH, MONTH + 1, 7), ("a", 2 * MONTH, 2 * MONTH + 1, 7)]
    outcomes = []
    original = store_in(tmp_path)
    with original.writing():
        for row in old:
            original.append(table([row]), state=pa.table({"rows": [1]}))
    for step in range(2, 1000):
        store = store_in(tmp_path / str(step))
        shutil.copytree(original.folder, store.folder)

        def work(store: UsageStore = store) -> None:
            with store.writing():
                store.append(table(new), state=pa.table({"rows": [3]}))

        killed = killed_at(step, work)
        found = rows_of(store.read())
        assert found in (sorted(old), sorted(old + new)), step
        outcomes.append(found == sorted(old + new))
        assert store.state()["rows"].to_pylist() == ([3] if outcomes[-1] else [1])
        with store.writing():
            store.append(table([("z", 9, 10, 9)]))
            store.compact()
        assert rows_of(store.read()) == sorted([*found, ("z", 9, 10, 9)])
        listed = {file.relative_to(store.folder).as_posix() for file in store.files()}
        there = {
            file.relative_to(store.folder).as_posix() for file in store.folder.rglob("*") if file.is_file()
        }
        assert there - {"writer.lock"} == {*listed, "manifest.json"}, "nothing is left lying about"
        if not killed:
            break
    assert outcomes == sorted(outcomes), "once the rows are there they stay"
    assert outcomes.count(False) > 10
    assert outcomes.count(True) > 10, "kills while files are merged are among them"


def test_different_values_are_those_of_the_rows_that_a_reader_gets(tmp_path: Path) -> None:
    chance, store = Random(11), UsageStore(tmp_path / "usage", SCHEMA, replace(LAYOUT, group_rows=8))
    everything: list[Row] = []
    with store.writing():
        for moment in range(12):
            rows = [(*row[:3], moment) for row in some_rows(chance, 20)]
            store.append(table(rows))
            everything += rows
    for _ in range(20):
        a, b = sorted((chance.randrange(18 * MONTH), chance.randrange(18 * MONTH)))
        after = chance.choice([-1, 3, 11])
        found = store.distinct(("machine", "recorded_at"), t_from=a, t_to=b, recorded_after=after)
        wanted = {(row[0], row[3]) for row in everything if row[2] > a and row[1] < b and row[3] > after}
        assert sorted(tuple(row.values()) for row in found.to_pylist()) == sorted(wanted)
        machines = store.distinct(("machine",), t_from=a, t_to=b)["machine"].to_pylist()
        assert sorted(machines) == sorted({row[0] for row in everything if row[2] > a and row[1] < b})


def test_a_machine_is_found_in_files_of_a_version_that_did_not_say_how_they_are_ordered(
    tmp_path: Path,
) -> None:
    chance, store = Random(12), UsageStore(tmp_path / "usage", SCHEMA, replace(LAYOUT, group_rows=8))
    rows = [row for row in some_rows(chance, 400) if row[1] < 2 * MONTH and row[2] < 3 * MONTH]
    with store.writing():
        store.append(table(rows))
    (first, *_) = store.files()
    stored = pq.read_table(first)
    shuffled = stored.take(pa.array(chance.sample(range(stored.num_rows), stored.num_rows)))
    assert pq.ParquetFile(first).metadata.row_group(0).sorting_columns
    pq.write_table(shuffled, first, row_group_size=8)
    for machine in sorted({row[0] for row in rows}):
        assert rows_of(store.read(machines=[machine])) == sorted(row for row in rows if row[0] == machine)
