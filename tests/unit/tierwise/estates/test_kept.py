"""Estates that are kept between runs: what reading gives, whoever damages, fills up or owns the folder."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog.estates import Estate
from catalog.estates.generator import generate
from tierwise.errors import InvalidInput
from tierwise.estates import kept, read, write
from tierwise.estates.kept import KeptEstates

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys
from pathlib import Path
from tierwise.estates.kept import KeptEstates
print(KeptEstates(Path(sys.argv[1]), 2**30, print).read(Path(sys.argv[2])).model_dump_json())
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    write(generate(30, 5, taken_at=datetime(2026, 12, 1, tzinfo=UTC)), tmp_path / "export.xlsx")
    return tmp_path / "export.xlsx"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def estates(tmp_path: Path, told: list[str]) -> KeptEstates:
    return KeptEstates(tmp_path / "cache" / "estates", 2**30, told.append)


@pytest.fixture
def no_reader(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on whoever reads an export fails."""

    def fails(path: Path) -> Estate:
        raise AssertionError(path)

    return lambda: monkeypatch.setattr(kept, "read", fails)


@contextmanager
def small_disk() -> Iterator[None]:
    """No file grows beyond a few bytes, as on a disk that is full; also not one that the test runner writes to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def entry_of(estates: KeptEstates) -> Path:
    (entry,) = estates.folder.iterdir()
    return entry


def test_a_file_that_was_read_before_is_not_read_again(
    estates: KeptEstates, export: Path, no_reader: Callable[[], None]
) -> None:
    first = estates.read(export)
    no_reader()
    assert estates.read(export) == first


def test_every_kind_of_export_comes_back_as_it_was_read(
    estates: KeptEstates, export: Path, tmp_path: Path, no_reader: Callable[[], None]
) -> None:
    plain = tmp_path / "azure"
    plain.mkdir()
    (plain / "machines.csv").write_text(
        "Server name,IP addresses,Cores,Memory (In MB),OS name,OS version\nwéb,10.0.0.1,2,2048,Ünix,\ndb,,x,1,,\n"
    )
    write(read(export), tmp_path / "estate.json")
    sources = [export, plain, tmp_path / "estate.json"]
    fresh = [read(one) for one in sources]
    assert [estates.read(one) for one in sources] == fresh
    no_reader()
    again = [estates.read(one) for one in sources]
    assert again == fresh
    assert [one.model_dump_json() for one in again] == [one.model_dump_json() for one in fresh]


def test_other_content_another_name_and_another_link_are_read_anew(
    estates: KeptEstates, export: Path, tmp_path: Path
) -> None:
    estates.read(export)
    other = export.rename(tmp_path / "other.xlsx")
    assert estates.read(other) == read(other)
    link = tmp_path / "link.xlsx"
    link.symlink_to(other)
    assert estates.read(link) == read(link)
    write(generate(31, 5, taken_at=datetime(2026, 12, 1, tzinfo=UTC)), other)
    assert len(estates.read(other).machines) == 31
    assert len(list(estates.folder.iterdir())) == 4


def test_code_that_has_changed_reads_anew(estates: KeptEstates, export: Path, tmp_path: Path) -> None:
    estates.read(export)
    for package in ("catalog", "tierwise"):
        shutil.copytree(ROOT / package, tmp_path / "code" / package)
    with (tmp_path / "code/tierwise/estates/cells.py").open("a") as file:
        file.write("# changed\n")
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, estates.folder, export],
        cwd=tmp_path / "code", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert Estate.model_validate_json(said) == read(export)
    assert len(list(estates.folder.iterdir())) == 2


def cut_off(entry: Path) -> None:
    os.truncate(entry, entry.stat().st_size // 2)


def with_another_name(entry: Path) -> None:
    content = entry.read_bytes()
    entry.write_bytes(content.replace(b'"name":"', b'"name":"x', 1))


def empty(entry: Path) -> None:
    entry.write_bytes(b"")


def writable_for_all(entry: Path) -> None:
    entry.chmod(0o666)


def a_pipe(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


@pytest.mark.parametrize("damage", [cut_off, with_another_name, empty, writable_for_all, a_pipe])
def test_a_damaged_entry_is_made_anew(
    estates: KeptEstates, export: Path, damage: Callable[[Path], None], no_reader: Callable[[], None]
) -> None:
    first = estates.read(export)
    damage(entry_of(estates))
    assert estates.read(export) == first
    no_reader()
    assert estates.read(export) == first


def test_a_link_in_an_entrys_place_is_not_followed(
    estates: KeptEstates, export: Path, tmp_path: Path
) -> None:
    first = estates.read(export)
    entry = entry_of(estates)
    elsewhere = entry.rename(tmp_path / "elsewhere")
    elsewhere.write_bytes(b"not ours to change")
    entry.symlink_to(elsewhere)
    assert estates.read(export) == first
    assert elsewhere.read_bytes() == b"not ours to change"


def test_nobody_else_can_read_what_is_kept(estates: KeptEstates, export: Path) -> None:
    estates.folder.mkdir(parents=True)
    estates.folder.chmod(0o777)
    before = os.umask(0)
    try:
        estates.read(export)
    finally:
        os.umask(before)
    assert (estates.folder.stat().st_mode & 0o777, entry_of(estates).stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_folder_is_left_alone_and_told(
    estates: KeptEstates, export: Path, told: list[str]
) -> None:
    estates.folder.mkdir(parents=True)
    os.chown(estates.folder, 12345, 12345)
    assert estates.read(export) == read(export)
    assert not list(estates.folder.iterdir())
    assert "it is another user's" in told[0]
    assert "TIERWISE_KEPT_ESTATES_MIB=0" in told[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_entry_is_not_believed(estates: KeptEstates, export: Path) -> None:
    first = estates.read(export)
    os.chown(entry_of(estates), 12345, 12345)
    assert estates.read(export) == first
    assert entry_of(estates).stat().st_uid == os.geteuid()


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    estates: KeptEstates, export: Path, told: list[str]
) -> None:
    with small_disk():
        found = estates.read(export)
    assert found == read(export)
    assert not list(estates.folder.iterdir())
    assert "cannot be kept" in told[0]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, export: Path, told: list[str]) -> None:
    (tmp_path / "cache").write_text("a file")
    estates = KeptEstates(tmp_path / "cache" / "estates", 2**30, told.append)
    assert estates.read(export) == read(export)
    assert len(told) == 1


def test_processes_at_the_same_time_read_the_same(
    estates: KeptEstates, export: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, estates.folder, export]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[0] for one in both]
    assert said[0] == said[1]
    assert Estate.model_validate_json(said[0]) == read(export)
    assert entry_of(estates).suffix == ".estate"


def test_what_was_not_asked_for_the_longest_makes_room(
    estates: KeptEstates, export: Path, tmp_path: Path, no_reader: Callable[[], None]
) -> None:
    names = [export, *(tmp_path / f"{name}.xlsx" for name in "bc")]
    for name in names[1:]:
        shutil.copyfile(export, name)
    estates.read(names[0])
    size = entry_of(estates).stat().st_size
    estates.read(names[1])
    for one in estates.folder.iterdir():
        os.utime(one, (10**9, 10**9))
    estates.read(names[0])  # Asked for again: the other one is the older now.
    few = KeptEstates(estates.folder, 5 * size // 2, estates.tell)
    few.read(names[2])
    assert len(list(estates.folder.iterdir())) == 2
    no_reader()
    few.read(names[0])
    few.read(names[2])


def test_what_another_process_left_half_written_goes_after_an_hour(
    estates: KeptEstates, export: Path
) -> None:
    estates.folder.mkdir(parents=True)
    old, new = (estates.folder / f"{name}.part" for name in ("old", "new"))
    for one in (old, new):
        one.write_bytes(b"half")
    os.utime(old, (10**9, 10**9))
    estates.read(export)
    assert (old.exists(), new.exists()) == (False, True)


def test_nothing_is_kept_where_there_is_no_room_for_it(
    tmp_path: Path, export: Path, told: list[str]
) -> None:
    estates = KeptEstates(tmp_path / "none", 0, told.append)
    assert estates.read(export) == read(export)
    assert not estates.folder.exists()
    assert not told


def test_what_cannot_be_read_is_refused_as_ever(estates: KeptEstates, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        estates.read(tmp_path / "nowhere.xlsx")
    (tmp_path / "text.xlsx").write_text("no estate")
    with pytest.raises(InvalidInput, match="is no export of a known kind"):
        estates.read(tmp_path / "text.xlsx")
