"""`tierwise whatif` with documents: what is printed, saved and compared, and how mistakes end."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/acme/whatif/leave-vsphere.yaml"
QUICK = ("--effort", "0.1", "--scenario", "retire-vsphere")


@pytest.fixture(scope="module")
def saved(tierwise: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("whatif") / "result.json"
    ended = tierwise("whatif", "run", EXAMPLE, *QUICK, "--save", file)
    assert f"written: {file}" in ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "Renewal is due in March. What if we leave vSphere?: 36 months from 2027-03-01"
    assert lines[1].split() == ["today", "retire-vsphere"]
    assert any(line.split() == ["impossible", "0", "3"] for line in lines)
    assert "- changes: vSphere retired" in lines
    assert max(map(len, lines)) <= 100
    return file


def test_a_saved_result_is_compared_without_being_solved_again(tierwise: Any, saved: Path) -> None:
    (change,) = json.loads(tierwise("whatif", "compare", saved, "-o", "json").out)
    assert (change["before"], change["after"]) == ("today", "retire-vsphere")
    rows = list(csv.DictReader(io.StringIO(tierwise("whatif", "compare", saved, "-o", "csv").out)))
    moves = [row for row in rows if row["of"] == "moves"]
    assert sum(int(row["after"]) for row in moves) == sum(flow["machines"] for flow in change["flows"])


def test_a_comparison_tells_what_tiers_recover(tierwise: Any, saved: Path) -> None:
    result = json.loads(saved.read_text())
    said = tierwise("whatif", "compare", saved).out
    for one, column in ((result["today"], "before_micros"), (result["scenarios"][0], "after_micros")):
        (change,) = json.loads(tierwise("whatif", "compare", saved, "-o", "json").out)
        recovered = sum(tier["recovered_micros"] or 0 for tier in one["tiers"])
        assert recovered > 0
        assert sum(line[column] for line in change["recovered"]) == recovered
        assert sum(line[column] for line in change["unrecovered"]) == one["cost_micros"] - recovered
        assert sum(line[column] for line in change["unrecovered"] if line["term"] == "sunk") > 0
    shown = [line.split()[2:4] for line in said.splitlines() if "recovered" in line]
    assert shown == [
        [kind, part]
        for kind, parts in (
            ("recovered", ("tier-1", "tier-2", "tier-3")),
            ("unrecovered", ("tier-1", "tier-2", "tier-3", "sunk")),
        )
        for part in parts
    ]


def test_a_result_says_the_same_in_json_and_as_csv(tierwise: Any, saved: Path) -> None:
    result = json.loads(saved.read_text())
    out = tierwise("whatif", "run", EXAMPLE, *QUICK, "-o", "csv").out
    rows = {row["scenario"]: row for row in csv.DictReader(io.StringIO(out))}
    assert list(rows) == ["today", "retire-vsphere"]
    assert int(rows["today"]["cost_micros"]) == result["today"]["cost_micros"]
    assert int(rows["retire-vsphere"]["moved"]) == len(result["scenarios"][0]["moves"])


def test_the_fewest_moves_are_told_beside_those_that_are_made(tierwise: Any, saved: Path) -> None:
    (scenario,) = json.loads(saved.read_text())["scenarios"]
    assert 0 < scenario["moves_bound"] <= len(scenario["moves"])
    out = tierwise("whatif", "compare", saved, "-o", "csv").out
    (row,) = [row for row in csv.DictReader(io.StringIO(out)) if row["of"] == "at least"]
    assert row["after"] == str(scenario["moves_bound"])


def test_an_estate_that_was_kept_gives_the_same_bytes_as_one_that_is_read(
    tierwise: Any, tmp_path: Path
) -> None:
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    runs = (cache, cache, {**cache, "TIERWISE_KEPT_ESTATES_MIB": "0"})
    said = []
    for number, environment in enumerate(runs):
        file = tmp_path / f"{number}.json"
        ended = tierwise("whatif", "run", EXAMPLE, *QUICK, "--save", file, **environment)
        said.append((ended.out, file.read_bytes()))
    assert said[0] == said[1] == said[2]
    (entry,) = (tmp_path / "cache/tierwise/estates").iterdir()
    assert (entry.parent.stat().st_mode & 0o777, entry.stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_kinds_of_change_are_listed_with_examples(tierwise: Any) -> None:
    rows = json.loads(tierwise("whatif", "changes", "-o", "json").out)
    assert {"price", "host_loss", "hypervisor_retired"} <= {row["kind"] for row in rows}
    assert "{kind: most_moves, machines: 200}" in tierwise("whatif", "changes").out


def test_an_unknown_scenario_is_told_with_the_nearest(tierwise: Any, saved: Path) -> None:
    ended = tierwise("whatif", "run", EXAMPLE, "--scenario", "retire-vsphre", code=3)
    assert "there is no scenario 'retire-vsphre'; did you mean 'retire-vsphere'?" in ended.err
    ended = tierwise("whatif", "compare", saved, "--after", "keep-sap", code=3)
    assert "there is no scenario 'keep-sap'" in ended.err


def test_a_document_with_mistakes_ends_with_all_of_them_and_their_places(
    tierwise: Any, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        EXAMPLE.read_text()
        .replace("months: 36", "months: 0")
        .replace("kind: site_loss", "kind: site_los")
        .replace("start: 2027-03-01", "start: 9999-12-01")
    )
    ended = tierwise("whatif", "run", file, code=3)
    assert ": start: must be at most 9000-12-31" in ended.err
    assert "wrong.yaml: 3 problems; nothing was planned" in ended.err
    assert "wrong.yaml:11:9: months: must be at least 1 (found 0)" in ended.err
    assert "there is no change 'site_los'; did you mean 'site_loss'?" in ended.err


def test_growth_is_planned_period_by_period_and_reported(tierwise: Any, tmp_path: Path) -> None:
    to = tmp_path / "growth.html"
    asked = (
        "whatif", "plan-growth", EXAMPLE, "--scenario", "retire-vsphere", "--percent", "2", "--every", "12",
        "--lead", "3", "--effort", "0.1",
    )  # fmt: skip
    ended = tierwise(*asked, "--to", to)
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "hosts take 3 months to come" in ended.err
    assert "What to buy when" in to.read_text()
    said = json.loads(tierwise(*asked, "-o", "json").out)
    assert [one["from"] for one in said["periods"]] == ["2027-03-01", "2028-03-01", "2029-03-01"]
    assert sum(one["cost_micros"] for one in said["periods"]) == said["cost_micros"]
    assert "is no number of percent" in tierwise(*asked, "--percent", "much", code=2).err
