"""Measured use and labels from the command line: what it says, and how it ends."""

from pathlib import Path
from typing import Any

import pytest

from connectors.drivers.simulated import control
from connectors.drivers.simulated.faults import Fault

HEAD = "machine,metric,at,value,unit\n"


def test_an_import_says_what_was_added_and_a_second_one_that_all_is_known(
    tierwise: Any, tmp_path: Path
) -> None:
    file = tmp_path / "samples.csv"
    file.write_text(
        HEAD + "web-1,memory_mib,2026-01-01T00:00:00Z,2,GiB\nweb-1,cpu_mhz,2026-01-01T00:00:00Z,900,MHz\n"
    )
    assert tierwise("usage", "import", file).err.splitlines() == [
        "1 value of memory_mib was converted from GiB",
        "charged to nobody, as tierwise delivered no such machine: web-1; a machine of ours is written as its order's id",
        f"{file}: 2 samples added, 0 known already",
    ]
    assert f"{file}: 0 samples added, 2 known already" in tierwise("usage", "import", file).err


def test_a_file_with_mistakes_names_each_and_ends_with_3(tierwise: Any, tmp_path: Path) -> None:
    file = tmp_path / "samples.csv"
    file.write_text(HEAD + "web-1,cpu_mhz,2026-01-01T00:00:00Z,NaN,MHz\nweb-1,cpu_mhz,2026-01-01,1,MHz\n")
    said = " ".join(tierwise("usage", "import", file, code=3).err.split())
    assert "2 problems; nothing was imported" in said
    assert ":2:1: value: must be a plain number" in said
    assert ":3:1: at: has no offset" in said


def test_collecting_names_every_endpoint_with_what_it_gave_or_why_not(tierwise: Any) -> None:
    said = tierwise("usage", "collect").err.splitlines()
    assert said
    assert all("added of" in line or "not collected: " in line for line in said)


def test_an_endpoint_that_could_not_be_read_ends_with_8_and_the_others_are_stored(tierwise: Any) -> None:
    down = Fault(operation="usage", kind="unreachable", times=1)
    control.script_faults(tierwise.address("fra-vcenter"), [down])
    said = tierwise("usage", "collect", code=8).err.splitlines()
    assert [line.partition(":")[0] for line in said if "not collected: " in line] == ["fra-vcenter"]
    assert sum("added of" in line for line in said) == len(said) - 1 > 0
    assert "added of" in "".join(
        line for line in tierwise("usage", "collect").err.splitlines() if "fra-vcenter" in line
    )


@pytest.mark.parametrize(("label", "code"), [("env", 2), ("env=a,b", 3), ("class=db", 3), ("env=prod", 3)])
def test_labels_that_cannot_be_and_machines_that_are_not_there_are_refused(
    tierwise: Any, label: str, code: int
) -> None:
    assert tierwise("vm", "label", "nobody", label, code=code).err
