"""A document of moves: read, planned, written as a workbook and as scripts that a shell runs."""

import csv
import io
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import typer
from typer.testing import CliRunner

from tierwise.cli import waves as command
from tierwise.cli.context import Context
from tierwise.errors import InvalidInput
from tierwise.planner.waves import Planned, plan
from tierwise.planner.waves_calendar import windows_of
from tierwise.planner.waves_document import load
from tierwise.planner.waves_form import Recurring, Span
from tierwise.planner.waves_handover import scripts
from tierwise.planner.waves_xlsx import workbook

SIZE = {"vcpu": 4, "memory_mib": 16_384}


def document(**change: Any) -> dict[str, Any]:
    """Two ESX hosts whose machines go to KVM at another site; `big` is larger than its host allows, `old` goes."""
    room = {"vcpu": 16, "memory_mib": 65_536}
    return {
        "format": "tierwise-moves/1",
        "title": "Leave vSphere",
        "resource_classes": ["vcpu", "memory_mib"],
        "providers": [
            {"id": "esx-1", "pool": "vsphere-a", "site": "fra", "endpoint": "vc", "capacity": room},
            {"id": "esx-2", "pool": "vsphere-a", "site": "fra", "endpoint": "vc", "capacity": room},
            {"id": "kvm-1", "pool": "kvm-b", "site": "ber", "endpoint": "kvm", "capacity": room, "largest": {"vcpu": 8}},
        ],
        "machines": [
            {"id": "shop-1", "resources": SIZE, "disk_gib": 100, "from": "esx-1", "to": "kvm-1", "application": "shop"},
            {"id": "shop-2", "resources": SIZE, "disk_gib": 50, "from": "esx-2", "to": "kvm-1", "application": "shop"},
            {"id": "=1+1", "resources": SIZE, "from": "esx-1", "to": "esx-2"},
            {"id": "big", "resources": {"vcpu": 12}, "disk_gib": 10, "from": "esx-2", "to": "kvm-1"},
            {"id": "old", "resources": {"vcpu": 2}, "from": "esx-1"},
        ],
        "links": [{"between": ["ber", "fra"], "mib_s": 120}],
        "stream_mib_s": 100,
        "switch_s": 60,
        "windows": [{"from": "2027-01-09T22:00:00Z", "to": "2027-01-10T06:00:00Z"}],
        "most_moves": 2,
        **change,
    }  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(**change: Any) -> Path:
        path = tmp_path / "moves.json"
        path.write_text(json.dumps(document(**change)))
        return path

    return write


@pytest.fixture
def planned(file: Any) -> Planned:
    return plan(load(file()))


def test_rows_say_what_moves_when_and_what_does_not(planned: Planned) -> None:
    moves = {row["machine"]: row for row in planned.move_rows()}
    assert moves.keys() == {"shop-1", "shop-2", "=1+1", "old"}
    # 100 x 1024 / 100 MiB/s and the minute beside it; the link of 120 MiB/s carries one such stream at a time.
    assert [moves[name]["seconds"] for name in ("shop-1", "shop-2", "=1+1", "old")] == [1084, 572, 60, 60]
    assert moves["shop-1"]["wave"] == moves["shop-2"]["wave"]
    assert planned.left_rows() == [
        {"machine": "big", "why": "one machine on kvm-1 may not be as large: 4 vcpu on kvm-1 less would do", "needs": ""}
    ]  # fmt: skip
    shop = [moves[name] for name in ("shop-1", "shop-2")]
    assert max(row["begin"] for row in shop) >= min(row["end"] for row in shop)
    (freed,) = planned.freed_rows()
    assert (freed["provider"], freed["pool"]) == ("esx-1", "vsphere-a")
    assert planned.totals()["copied_tib"] == "0.15"  # 150 GiB


def test_the_workbook_says_the_same_numbers_and_runs_no_formula(planned: Planned) -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook(planned)))
    assert book.sheetnames == ["Waves", "Moves", "Roll-back", "Freed hosts", "Not moved", "Assumptions"]
    head, *rows = [[cell.value for cell in row] for row in book["Moves"].iter_rows(min_row=4)]
    cells = [dict(zip(head, row, strict=True)) for row in rows]
    assert [(row["machine"], row["seconds"], row["gib"]) for row in cells] == [
        (row["machine"], row["seconds"], row["gib"]) for row in planned.move_rows()
    ]
    assert {row["begin"].replace(tzinfo=UTC) for row in cells} == {
        row["begin"] for row in planned.move_rows()
    }
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    back = [[cell.value for cell in row] for row in book["Roll-back"].iter_rows(min_row=5)]
    assert [row[:5] for row in back] == [
        [row["wave"], row["step"], row["machine"], row["from"] or None, row["to"] or None]
        for row in planned.undo_rows()
    ]
    assert workbook(planned) == workbook(planned)


def ran(script: Path, folder: Path) -> list[str]:
    """What a shell does with a script: every call of a `tierwise` that only writes down what it was called with."""
    (folder / "tierwise").write_text(
        '#!/bin/sh\nfor word in "$@"; do printf "%s|" "$word" >> "$LOG"; done\necho >> "$LOG"\n'
    )
    (folder / "tierwise").chmod(0o755)
    log = folder / "log"
    log.write_text("")
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "LOG": str(log)}
    subprocess.run(["/bin/sh", str(script)], check=True, env=environment, cwd=folder)
    return log.read_text().splitlines()


def test_scripts_call_the_commands_of_each_wave_and_back_in_reverse(file: Any, tmp_path: Path) -> None:
    names = ["a b", "$(touch pwned)", "-x", "it's", "n\ntouch pwned"]
    machines = [
        {"id": name, "resources": SIZE, "disk_gib": 1, "from": "esx-1", "to": "kvm-1"} for name in names[:4]
    ] + [{"id": names[4], "resources": SIZE, "from": "esx-2"}]
    planned = plan(load(file(machines=machines, most_moves=9)))
    made = {script.name: script.text for script in scripts(planned)}
    assert list(made) == ["wave-01.sh", "wave-01-confirm.sh", "wave-01-undo.sh"]
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    order = [row["machine"] for row in planned.move_rows() if row["machine"] in names[:4]]

    def said(name: str, options: str) -> str:
        return f"vm|move|{options}|--|{name}|" if name.startswith("-") else f"vm|move|{name}|{options}|"

    assert ran(tmp_path / "wave-01.sh", tmp_path) == [said(name, "--to|kvm-b|--yes") for name in order]
    assert ran(tmp_path / "wave-01-confirm.sh", tmp_path) == [
        said(name, "--confirm|--yes") for name in order
    ]
    assert ran(tmp_path / "wave-01-undo.sh", tmp_path) == [
        said(name, "--undo|--yes") for name in reversed(order)
    ]
    assert not (tmp_path / "pwned").exists()
    assert (
        "# by hand: retire n touch pwned, which is on esx-2: it does not come back\n" in made["wave-01.sh"]
    )


def test_machines_from_outside_are_carried_by_hand_and_none_stops_there(file: Any) -> None:
    # Two machines that change places on full hosts, and a third that leaves room for one of them to stop.
    full = {"vcpu": 4}

    def asked(**lost: Any) -> Planned:
        return plan(
            load(
                file(
                    providers=[
                        *({"id": name, "site": "fra", "capacity": full} for name in ("p", "q", "r")),
                        {"id": "lost", "site": "ber", "capacity": full, **lost},
                    ],
                    machines=[
                        {"id": "a", "resources": full, "from": "p", "to": "q"},
                        {"id": "b", "resources": full, "from": "q", "to": "p"},
                        {"id": "c", "resources": full, "disk_gib": 10, "from": "lost"},
                        {"id": "d", "resources": full, "from": "r", "to": "r"},
                    ],
                    windows=[{"from": "2027-01-09T22:00:00Z", "to": "2027-01-20T06:00:00Z"}],
                )
            )
        )

    assert any(row["to"] == "lost" for row in asked().move_rows())
    kept = asked(outside=True)
    assert [row["machine"] for row in kept.move_rows()] == ["c"]
    assert [row["machine"] for row in kept.left_rows()] == ["a", "b"]
    assert {row["needs"] for row in kept.left_rows()} == {"4 vcpu on r"}, "no room outside would help"

    come = plan(
        load(
            file(
                providers=[{"id": "r", "site": "fra", "capacity": full}, {"id": "lost", "site": "ber", "capacity": full, "outside": True}],
                machines=[{"id": "c", "resources": full, "disk_gib": 10, "from": "lost", "to": "r"}],
            )
        )
    )  # fmt: skip
    (move,) = come.move_rows()
    # 10 x 1024 / 100 MiB/s, the minute beside it, and no less because nobody knows where it is.
    assert (move["kind"], move["seconds"]) == ("move", 163)
    texts = [script.text.splitlines()[-1] for script in scripts(come)]
    assert texts == [
        "# by hand: migrate c from lost to r",
        "# by hand: remove c where it ran before: lost",
        "# by hand: migrate c from r to lost",
    ]


def test_the_commands_of_scripts_are_those_of_the_command_line() -> None:
    from tierwise.cli.main import app

    move: Any = typer.main.get_command(app).commands["vm"].commands["move"]  # type: ignore[attr-defined]  # a group
    options = {name for option in move.params for name in option.opts}
    assert {"--to", "--confirm", "--undo", "--yes"} <= options


def test_every_mistake_of_a_document_is_told_with_its_place(file: Any) -> None:
    wrong = document()
    wrong["machines"][0] |= {"to": "kvm-2", "resources": {"gpu": 1}}
    wrong["machines"][1] |= {"id": "shop-1"}
    wrong["machines"][2] |= {"to": "lost"}
    wrong["machines"][4].pop("from")
    wrong["providers"].append({"id": "lost", "capacity": {}, "outside": True})
    wrong["providers"][0]["capacity"] = {"vcpus": 1}
    wrong |= {
        "apart": {"pair": ["shop-1", "shop-9"]}, "losses": {"esx": 1}, "at_once": {"nutanix": 1},
        "links": [{"between": ["ber", "muc"], "mib_s": 1}],
    }  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        load(file(**wrong))
    assert [detail.split(";")[0] for detail in refused.value.details] == [
        "machines: 'shop-1' stands twice",
        "providers[0].capacity: there is no resource class 'vcpus'",
        "machines[0].resources: there is no resource class 'gpu'",
        "machines[0].to: there is no provider 'kvm-2'",
        "machines[2].to: 'lost' is outside, where nothing comes to",
        "machines[4]: 'old' is neither anywhere nor shall be",
        "apart.pair: there is no machine 'shop-9'",
        "losses: there is no pool 'esx'",
        "at_once: there is no endpoint 'nutanix'",
        "links[0].between: there is no site 'muc'",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"links": []}, "links: machines move between sites 'ber' and 'fra', which have no link; add one"),
        ({"most_moves": 0}, "most_moves: must be at least 1 (found 0)"),
        ({"machines": [{"id": "a", "resources": {"vcpu": -1}}]}, "machines[0].resources.vcpu: must be at least 0"),
        ({"machine": []}, "machine: unknown field; did you mean 'machines'?"),
        ({"windows": [{"from": "2027-01-09T22:00:00", "to": "2027-01-10T06:00:00Z"}]}, "windows[0].from: must be a time with its zone"),
        ({"weekly": {"every": ["sunday 22-6"], "from": "2027-01-09"}}, "weekly.every[0]: must be text that matches"),
        ({"format": "tierwise-moves/2"}, "format: must be"),
    ],
)  # fmt: skip
def test_a_document_that_is_not_in_form_is_refused(file: Any, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        load(file(**change))
    assert any(detail.startswith(said) for detail in refused.value.details), refused.value.details


def test_the_example_of_the_reference_page_is_read_and_planned(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "waves.md").read_text()
    file = tmp_path / "moves.json"
    file.write_text(page.split("```json\n")[1].split("```")[0])
    planned = plan(load(file))
    assert [(row["machine"], row["seconds"]) for row in planned.move_rows()] == [
        ("shop-1", 5240), ("shop-2", 2680),
    ]  # fmt: skip
    assert planned.freed_rows()[0]["provider"] == "esx-1"


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def test_nights_in_which_the_clocks_change_are_as_long_as_they_are() -> None:
    weekly = Recurring.model_validate(
        {"every": ["sat 22:00-06:00"], "from": "2027-03-15", "weeks": 3, "time_zone": "Europe/Berlin"}
    )
    found = windows_of((), weekly, ())
    assert [begin for begin, _ in found] == [
        moment("2027-03-20T21:00Z"), moment("2027-03-27T21:00Z"), moment("2027-04-03T20:00Z"),
    ]  # fmt: skip
    assert [(end - begin) // 3600 for begin, end in found] == [8, 7, 8]


def test_freezes_are_cut_out_of_windows_and_windows_that_touch_are_one() -> None:
    def span(begin: str, end: str) -> Span:
        return Span.model_validate({"from": f"2027-01-{begin}Z", "to": f"2027-01-{end}Z"})

    freeze = (span("02T00:00", "02T06:00"), span("02T05:00", "02T07:00"))
    found = windows_of([span("01T20:00", "02T08:00")], None, freeze, ["2027-01-02T08:00/2027-01-02T09:00"])
    assert found == (
        (moment("2027-01-01T20:00Z"), moment("2027-01-02T00:00Z")),
        (moment("2027-01-02T07:00Z"), moment("2027-01-02T09:00Z")),
    )


@pytest.mark.parametrize(
    ("change", "windows", "said"),
    [
        ({"windows": []}, (), "nothing says when moves may be"),
        ({}, ("tomorrow",), "--windows: 'tomorrow' is no span; write it like"),
        ({}, ("2027-01-02/2027-01-01",), "ends before it begins"),
        ({}, ("0001-01-01T00:00+14:00/0001-01-02T00:00Z",), "begins before 1970 or after 9000"),
        ({}, ("9999-12-31T00:00Z/9999-12-31T23:59-14:00",), "begins before 1970 or after 9000"),
        ({"weekly": {"every": ["sat 22:00-06:00"], "from": "9999-12-30"}}, (), "'9999-12-30' is after 9000-12-31"),
        ({"freezes": [{"from": "2027-01-01T00:00:00Z", "to": "2028-01-01T00:00:00Z"}]}, (), "leave nothing of the windows"),
        ({"weekly": {"every": ["sat 22:00-06:00"], "from": "2027-01-09", "time_zone": "Mars/Base"}}, (), "'Mars/Base'"),
        ({"weekly": {"every": ["sat 29:00-06:00"], "from": "2027-01-09"}}, (), "has an hour that is none"),
    ],
)  # fmt: skip
def test_windows_that_cannot_be_are_refused_in_words(
    file: Any, change: dict[str, Any], windows: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        plan(load(file(**change)), windows)


def test_the_command_prints_writes_and_refuses_a_folder_of_another_plan(file: Any, tmp_path: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    runner, folder = CliRunner(), tmp_path / "scripts"
    arguments = ["waves", str(file()), "-o", str(tmp_path / "waves.xlsx"), "--scripts", str(folder)]
    done = runner.invoke(app, [*arguments, "--output", "json"], obj=Context(None))
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["waves"], said["machines_moved"], said["not_moved"]) == (2, 4, 1)
    assert len(said["undo_list"]) == said["moves"] == 4
    assert openpyxl.load_workbook(tmp_path / "waves.xlsx").sheetnames[0] == "Waves"
    table = runner.invoke(app, ["waves", str(file())], obj=Context(None)).stdout
    assert max(map(len, table.splitlines())) <= 100
    head, *rows = list(csv.reader((folder / "wave-01.csv").read_text().splitlines()))
    assert head == ["wave", "move", "machine", "command", "confirm", "undo"]
    assert [row[3] for row in rows if row[2] == "shop-1"] == ["tierwise vm move shop-1 --to kvm-b --yes"]
    (folder / "wave-07.sh").write_text("")
    again = runner.invoke(app, arguments, obj=Context(None))
    assert isinstance(again.exception, InvalidInput)
    assert "holds scripts of another plan: wave-07.sh" in str(again.exception)
    form = runner.invoke(app, ["waves", str(file()), "-o", str(tmp_path / "json")], obj=Context(None))
    assert form.exit_code == 2
    assert not (tmp_path / "json").exists()
