"""Estates at the terminal: figures for programs, a line for people, files that appear or do not."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

KEYS = (
    "machines", "powered_on", "templates", "vcpus", "memory_mib", "provisioned_mib", "in_use_mib", "hosts", "cores",
    "host_memory_mib",
)  # fmt: skip
CSV = """\
VM,Powerstate,Template,CPUs,Memory,Provisioned MiB,In Use MiB,Datacenter,Cluster,Host
web,poweredOn,False,2,2048,1048576,500,dc,cl,h1
gold,poweredOff,True,2,2048,1000,500,dc,cl,h1
vCLS-1,poweredOn,False,1,128,1000,500,dc,cl,h1
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "export.csv").write_text(CSV)
    return tmp_path / "export.csv"


def test_programs_get_the_ten_figures_and_what_was_dropped(tierwise: Any, export: Path) -> None:
    said = json.loads(tierwise("estate", "import", export, "-o", "json").out)
    assert tuple(said) == (*KEYS, "dropped", "notes")
    assert [said[name] for name in KEYS] == [1, 1, 1, 2, 2048, 1048576, 500, 0, 0, 0]
    assert said["dropped"] == [
        {"where": "export row 3", "name": "gold", "reason": "template"},
        {"where": "export row 4", "name": "vCLS-1", "reason": "vCLS agent machine"},
    ]
    (row,) = csv.DictReader(io.StringIO(tierwise("estate", "import", export, "-o", "csv").out))
    assert row == {name: str(said[name]) for name in KEYS}


def test_people_get_a_line(tierwise: Any, export: Path) -> None:
    ended = tierwise("estate", "import", export)
    assert ended.out == (
        "1 machine (1 on), 2 vCPU, 2 GiB memory, 1.0 TiB disk (500 MiB in use); 0 hosts, 0 cores, 0 MiB memory; "
        "2 rows dropped: 1 template, 1 vCLS\n"
    )
    assert "sheet 'export' was read as vInfo, by its columns" in ended.err


def test_what_is_imported_can_be_written_shown_and_exported(
    tierwise: Any, export: Path, tmp_path: Path
) -> None:
    tierwise("estate", "import", export, "--to", tmp_path / "estate.json")
    again = json.loads(tierwise("estate", "import", tmp_path / "estate.json", "-o", "json").out)
    assert (again["machines"], len(again["dropped"])) == (1, 2)
    tierwise("estate", "export", tmp_path / "estate.xlsx", "--from", tmp_path / "estate.json")
    shown = tierwise("estate", "show", tmp_path / "estate.xlsx").out
    assert "web" in shown
    assert "cl" in shown
    assert (
        json.loads(tierwise("estate", "show", export, "-o", "json").out)["largest"][0]["machine"] == "web"
    )


def test_the_live_inventory_is_exported(tierwise: Any, tmp_path: Path) -> None:
    ended = tierwise("estate", "export", tmp_path / "live.xlsx")
    assert "written to" in ended.err
    said = json.loads(tierwise("estate", "import", tmp_path / "live.xlsx", "-o", "json").out)
    assert said["hosts"] > 0
    assert said["host_memory_mib"] > 0


def test_the_same_seed_writes_the_same_file(tierwise: Any, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        tierwise("estate", "generate", tmp_path / name, "--machines", 40, "--seed", 4)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert "40 machines" in tierwise("estate", "show", tmp_path / "a.json").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "nowhere.xlsx"), "nowhere.xlsx: cannot be read: No such file or directory"),
        (("import", "nowhere.xlsx", "--to", "a.csv"), "a.csv: an estate can be written as .json or .xlsx"),
        (("import", "nowhere.xlsx", "--kind", "excel"), "there is no estate importer 'excel'; known are"),
        (("show", "."), "name the folder that a tool exported its CSV files to"),
    ],
)
def test_mistakes_end_with_3_and_the_way_out(tierwise: Any, arguments: tuple[str, ...], said: str) -> None:
    ended = tierwise("estate", *arguments, code=3)
    assert said in ended.err
    assert not ended.out
