"""`tierwise whatif rebalance`: from an estate to moves that `whatif waves` puts into waves."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from catalog.estates.generator import generate
from tierwise.estates import write


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("estates") / "estate.json"
    write(generate(200, 1), file)
    return file


QUICK = ("--iterations", "60000", "--within", "2")


def test_moves_go_into_waves_and_the_table_fits_its_page(
    tierwise: Any, estate: Path, tmp_path: Path
) -> None:
    moves = tmp_path / "moves.json"
    ended = tierwise("whatif", "rebalance", estate, *QUICK, "--to", moves)
    assert "next: tierwise whatif waves" in ended.err
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "above limit" in ended.out
    window = "2027-01-09T22:00+01:00/2027-01-10T06:00+01:00"
    waves = json.loads(tierwise("whatif", "waves", moves, "--windows", window, "--output", "json").out)
    made = json.loads(tierwise("whatif", "rebalance", estate, *QUICK, "-o", "json").out)
    assert waves["machines_moved"] == len(made["moves"]) > 0
    assert waves["not_moved"] == 0
    assert {row["host"] for row in made["hosts"]} >= {row["to"] for row in made["moves"]}


def test_a_limit_of_moves_and_one_pool_are_kept_and_nothing_is_written_where_nothing_moves(
    tierwise: Any, estate: Path, tmp_path: Path
) -> None:
    every = json.loads(tierwise("whatif", "rebalance", estate, *QUICK, "-o", "json").out)
    pool = next(row["pool"] for row in every["pools"] if row["moved"])
    one = json.loads(
        tierwise("whatif", "rebalance", estate, *QUICK, "--pool", pool, "--moves", "1", "-o", "json").out
    )
    assert [row["pool"] for row in one["pools"]] == [pool]
    assert len(one["moves"]) == 1
    to = tmp_path / "none.json"
    ended = tierwise("whatif", "rebalance", estate, "--moves", "0", "--iterations", "1000", "--to", to)
    assert f"nothing moves; {to} is not written" in ended.err
    assert not to.exists()


def test_mistakes_are_told_with_what_there_is(tierwise: Any, estate: Path) -> None:
    ended = tierwise("whatif", "rebalance", estate, "--pool", "fra-prod-1", code=3)
    assert "there is no pool 'fra-prod-1'; did you mean 'fra-prod-01'?" in ended.err
    ended = tierwise("whatif", "rebalance", estate, "--apart", "nothing-*", code=3)
    assert "no application is like 'nothing-*'" in ended.err


def test_moves_of_a_scenario_between_hosts_go_into_waves(tierwise: Any, tmp_path: Path) -> None:
    document = Path(__file__).parents[2] / "examples/acme/whatif/leave-vsphere.yaml"
    to = tmp_path / "moves.json"
    asked = ("whatif", "moves", document, "--scenario", "retire-vsphere", "--effort", "0.1", "--to", to)
    ended = tierwise(*asked, "--hosts")
    assert "the host of 24 machines is not known; it is taken as one place" in ended.err
    window = "2027-01-09T22:00+01:00/2027-01-12T06:00+01:00"
    waves = json.loads(tierwise("whatif", "waves", to, "--windows", window, "--output", "json").out)
    made = json.loads(to.read_text())["machines"]
    assert waves["machines_moved"] == sum(one["from"] != one["to"] for one in made) > 0
    ended = tierwise(*asked, "--apart", "erp", code=2)
    assert "goes with --hosts" in ended.err


def test_machines_in_no_pool_and_those_without_a_place_are_named(tierwise: Any, tmp_path: Path) -> None:
    acme = tmp_path / "acme"
    shutil.copytree(Path(__file__).parents[2] / "examples/acme", acme)
    file = acme / "whatif/estate.json"
    estate = json.loads(file.read_text())
    for one, vcpus in zip(estate["machines"], (2, 9999), strict=False):
        one |= {"pool": "", "host": "", "site": "", "vcpus": vcpus, "power": "on"}
    file.write_text(json.dumps(estate))
    lost, large = (one["name"] for one in estate["machines"][:2])
    to = tmp_path / "moves.json"
    document = acme / "whatif/leave-vsphere.yaml"
    ended = tierwise(
        "whatif", "moves", document, "--scenario", "retire-vsphere", "--effort", "0.1", "--to", to
    )
    assert (
        f"1 machine in no pool moves, which waves have as moves by hand; say in the source which host or pool they run on to plan them from there: {lost}"
        in ended.err
    )
    assert f"{large}: " in ended.err
    window = "2027-01-09T22:00+01:00/2027-01-12T06:00+01:00"
    ended = tierwise(
        "whatif", "waves", to, "--windows", window, "--output", "json", "--scripts", tmp_path / "waves"
    )
    assert [one["from"] for one in json.loads(ended.out)["move_list"] if one["machine"] == lost] == [
        "no pool"
    ]
    scripts = "".join(one.read_text() for one in sorted((tmp_path / "waves").glob("wave-??.sh")))
    assert f"# by hand: migrate {lost} from no pool to " in scripts


@pytest.mark.parametrize(
    "command", ["rebalance", "moves", "plan-growth", "sensitivity", "first-moves", "break-even"]
)
def test_the_help_of_these_commands_can_be_shown(tierwise: Any, command: str) -> None:
    ended = tierwise("whatif", command, "--help")
    assert max(map(len, ended.out.splitlines())) <= 100
