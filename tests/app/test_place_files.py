"""``tierwise place`` on JSON documents, in processes of its own, and the independent check of its plans."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import document
from placement.outcome import Progress
from placement.solve import solve
from placement.verify import breaches, broken, seats_of
from tierwise.testing.placement import small_problem
from tierwise.usecases import place_check, place_file

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "placement"


def tierwise(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tierwise.cli.main import run; run()", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    plan = tmp_path_factory.mktemp("plans") / "plan.json"
    return plan, tierwise("place", "solve", EXAMPLES / "pools.json", "-o", plan)


def test_a_plan_is_told_in_words_and_amounts(solved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = solved
    assert done.returncode == 0, done.stderr
    said = dict(line.split(None, 1) for line in done.stdout.splitlines() if "  " in line)
    # By hand: 12 web at 40.288 on nl-kvm, 2 db at 641.216 on fra-vsphere; the warehouse needs room that they have.
    # 4 x 6.50 + 8192 x 0.0015 + 40 x 0.05 = 40.288; 16 x 13 + 131072 x 0.003 + 500 x 0.08 = 641.216.
    assert said["cost"] == said["bound"] == "EUR 1,765.89"
    assert (said["status"], said["placed"], said["unplaced"], said["gap_percent"]) == (
        "optimal",
        "14",
        "1",
        "0.0",
    )
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("warehouse")]
    assert "more vCPU would have to be free on fra-vsphere" in row
    assert "EUR" not in done.stderr


def test_a_plan_in_a_file_has_names_and_reasons_only_where_there_is_no_place(
    solved: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    plan, _ = solved
    tree = json.loads(plan.read_text())
    by_id = {one["request_id"]: one for one in tree["assignments"]}
    assert by_id["db#1"] == {"request_id": "db#1", "pool": "fra-vsphere"}
    assert by_id["warehouse"]["pool"] is None
    assert {one["pool"] for one in by_id["warehouse"]["candidates"]} == {"fra-vsphere", "nl-kvm"}
    assert tree["cost_micros"] == 12 * 40_288_000 + 2 * 641_216_000


def test_with_explain_every_request_has_its_reasons_and_another_seed_the_same_cost(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    options = ("--explain", "--seed", 5, "--time-limit", 60, "--output", "json", "-o", plan)
    done = tierwise("place", "solve", EXAMPLES / "hosts.json", *options)
    said = json.loads(done.stdout)
    # web#1, #2 stay on esx-1, four go to kvm-1, and so on: what exact counting says is in the levels.
    assert said["levels"][0]["value"] == said["levels"][0]["bound"] == said["cost_micros"]
    assert said["unplaced_requests"] == []
    assert said["terms_exact"]["moves"] == 0
    tree = json.loads(plan.read_text())
    assert all(len(one["candidates"]) == 2 for one in tree["assignments"])
    assert tierwise("place", "check", EXAMPLES / "hosts.json", plan).returncode == 0


def test_where_not_all_can_stay_that_must_the_conflict_is_told_all_the_same(tmp_path: Path) -> None:
    tree = json.loads((EXAMPLES / "cluster.json").read_text())
    tree["requests"] = [{"id": "db", "count": 3, "flavor": "large", "current": {"esx-1": 3}}]
    tree |= {
        "groups": {},
        "constraints": [
            {"kind": "preemption"},
            {"kind": "anti_affinity", "requests": ["db"], "label": "site"},
        ],
    }
    path = tmp_path / "full.json"
    path.write_text(json.dumps(tree))
    done = tierwise("place", "explain", path)
    assert done.returncode == 7
    assert done.stdout.splitlines()[1:] == [
        "  all 3 requests like db#1 (16 vCPU, 64 GiB of memory) must be placed",
        "  at most 1 of db may be in one site",
    ]
    told = json.loads(tierwise("place", "explain", path, "--output", "json").stdout)
    assert [fact["kind"] for fact in told["conflict"]["facts"]] == ["requests", "anti_affinity"]


def test_check_finds_what_was_changed_in_a_plan_and_ends_with_5(
    solved: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    plan, _ = solved
    held = tierwise("place", "check", EXAMPLES / "pools.json", plan)
    assert (held.returncode, held.stdout.splitlines()[1].split()) == (0, ["holds", "True"])
    tree = json.loads(plan.read_text())
    tree["assignments"][-1]["pool"] = "fra-vsphere"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(tree))
    done = tierwise("place", "check", EXAMPLES / "pools.json", other, "--output", "json")
    assert done.returncode == 5
    said = json.loads(done.stdout)
    # fra-vsphere has (64 - 4) x 1.5 - 30 = 60 vCPU, and 2 x 16 + 40 are wanted.
    assert "fra-vsphere: vcpu 72 is more than the 60 that is free" in said["breaches"]
    assert any(
        text.startswith("cost_micros: 1765888000 is not what is counted") for text in said["breaches"]
    )
    assert "does not hold: " in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "format: is required and missing"),
        ("", "document: line 1, column 1: not JSON"),
        (
            '{"format": "tierwise-placement/1", "pools": [], "requests": 1}',
            "requests: must be a list (found 1)",
        ),
    ],
)
def test_a_document_that_is_wrong_ends_with_3_and_every_mistake(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "problem.json"
    file.write_text(text)
    done = tierwise("place", "solve", file)
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert done.stderr.startswith(f"error: {file}: ")


def test_what_cannot_be_read_written_or_meant_ends_with_3(tmp_path: Path) -> None:
    pools = EXAMPLES / "pools.json"
    (tmp_path / "plan.json").write_text('{"assignments": [{"pool": 3}]}')
    for arguments, message in [
        (("solve", tmp_path / "none.json"), "none.json: cannot be read: No such file or directory"),
        (
            ("solve", pools, "-o", tmp_path / "no" / "plan.json"),
            "plan.json: cannot be written: No such file",
        ),
        (
            ("solve", pools, "--way", "magic"),
            "--way: there is no way 'magic'; there are counts, packing, pools, exact, search",
        ),
        (
            ("solve", EXAMPLES / "hosts.json", "--way", "counts"),
            "--way: 'counts' is not meant for a problem of this",
        ),
        (("check", pools, tmp_path / "plan.json"), "assignments[0].request_id: is required and missing"),
    ]:
        done = tierwise("place", *arguments)
        assert (done.returncode, done.stdout) == (3, ""), done
        assert message in done.stderr


def test_made_up_problems_are_solved_and_checked(tmp_path: Path) -> None:
    problem, plan = tmp_path / "estate.json", tmp_path / "plan.json"
    assert (
        tierwise("place", "generate", "--requests", 40, "--hosts", 8, "--seed", 3, "-o", problem).returncode
        == 0
    )
    printed = tierwise("place", "generate", "--requests", 40, "--hosts", 8, "--seed", 3).stdout
    assert printed == problem.read_text()
    done = tierwise("place", "solve", problem, "--time-limit", 2, "-o", plan, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert tierwise("place", "check", problem, plan, "--output", "json").returncode == 0


def test_the_schema_that_is_printed_is_the_one_in_the_reference() -> None:
    page = json.loads((ROOT / "docs" / "reference" / "placement-problem.schema.json").read_text())
    assert json.loads(tierwise("place", "schema").stdout) == page


# The check, against the one that solvers' plans go through.


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_check_of_files_finds_what_the_engines_own_check_finds(seed: int, hosts: bool) -> None:
    problem = small_problem(seed, hosts=hosts)
    plan = solve(problem, way="exact")
    said = place_check.read(place_file.written(plan, explain=False).encode())
    assert place_check.check(problem, said).breaches == breaches(problem, plan) == ()
    chance = np.random.default_rng(seed)
    v = chance.integers(0, len(problem.providers.ids), len(problem.request_ids)).tolist()
    moved = tuple(
        replace_place(
            one, problem.providers.ids[at], problem.pool_ids[int(problem.providers.pool_of[at])], hosts
        )
        for one, at in zip(plan.assignments, v, strict=True)
    )
    bare = plan.model_copy(update={"assignments": moved, "terms": {}})
    said = place_check.read(place_file.written(bare, explain=False).encode())
    found = place_check.check(
        problem, said.model_copy(update={"cost_micros": None, "bound_micros": None, "terms": None})
    )
    engine = broken(problem, seats_of(problem, bare))
    assert found.breaches[: len(engine)] == engine
    assert found.placed == len(v)


def replace_place(assignment: Any, provider: str, pool: str, hosts: bool) -> Any:
    return assignment.model_copy(update={"pool": pool, "host": provider if hosts else None})


SAID = {"assignments": [{"request_id": f"web#{n}", "pool": None} for n in range(1, 13)]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"request_id": "wbe"}, "assignments[0].request_id: there is no request 'wbe'"),
        ({"request_id": "web#2"}, "assignments[1].request_id: 'web#2' is placed twice"),
        ({"pool": "fra"}, "assignments[0].pool: there is no pool 'fra'; known are fra-vsphere, nl-kvm"),
        ({"host": "h"}, "assignments[0].host: there is no host 'h'"),
        (
            {"choices": {"numa": "0"}},
            "assignments[0].choices.numa: no constraint of the problem asks for this choice",
        ),
        ({}, "assignments: nothing is said of 'db#1' and 2 more; a request without a place has pool null"),
    ],
)
def test_a_plan_that_names_what_is_not_there_is_not_counted(change: dict[str, Any], message: str) -> None:
    problem = document.read((EXAMPLES / "pools.json").read_bytes())
    assignments = [SAID["assignments"][0] | change, *SAID["assignments"][1:]]
    found = place_check.check(problem, place_check.read(json.dumps({"assignments": assignments}).encode()))
    assert any(text.startswith(message) for text in found.breaches), found.breaches
    assert (found.placed, dict(found.terms)) == (0, {})


def test_a_host_must_be_named_and_be_one_of_the_pool() -> None:
    problem = document.read((EXAMPLES / "hosts.json").read_bytes())
    rows: list[dict[str, Any]] = [{"request_id": one, "pool": None} for one in problem.request_ids]
    rows[0] |= {"pool": "fra-1"}
    rows[1] |= {"pool": "fra-1", "host": "kvm-1"}
    rows[2] |= {"host": "esx-1"}  # Its pool goes without saying.
    text = json.dumps({"assignments": rows, "currency": "USD", "horizon_hours": 1}).encode()
    assert place_check.check(problem, place_check.read(text)).breaches == (
        "assignments[0].host: is missing; 'fra-1' has hosts, name the one it goes to",
        "assignments[1].host: 'kvm-1' is not a host of 'fra-1'",
        "currency: the plan is in USD, the problem in EUR",
        "horizon_hours: the plan is over 1 h, the problem over 720 h",
    )


def test_bounds_that_no_plan_can_have_are_breaches() -> None:
    problem = replace(
        document.read((EXAMPLES / "pools.json").read_bytes()), objective=({"price": 1}, {"moves": 1})
    )
    plan = solve(problem, way="exact")
    tree = json.loads(place_file.written(plan, explain=False))
    tree |= {"bound_micros": tree["cost_micros"] + 1, "unplaced_bound": 2}
    tree["levels"][0] |= {"bound": tree["levels"][0]["value"] + 1}
    found = place_check.check(problem, place_check.read(json.dumps(tree).encode())).breaches
    assert [text.partition(":")[0] for text in found] == [
        "bound_micros",
        "unplaced_bound",
        "levels[0].bound",
    ]


def test_progress_is_told_in_money_where_the_level_is_money() -> None:
    problem = document.read((EXAMPLES / "pools.json").read_bytes())
    assert place_file.progress_in_words(
        problem, Progress("cp-sat", "level 1", 200_000_000, 150_000_000)
    ) == ("cp-sat, level 1: EUR 200.00 found, at least EUR 150.00 is needed (gap 25.00 %)")
    assert place_file.progress_in_words(problem, Progress("cp-sat", "unplaced", 3, -(2**62))) == (
        "cp-sat, unplaced: 3 found, nothing proven yet"
    )


def test_half_a_cent_is_rounded_up_for_people_only() -> None:
    money = place_file.moneyed("EUR")
    assert [money(n) for n in (0, 5_000, 4_999, 1_234_567_895_000)] == [
        "EUR 0.00", "EUR 0.01", "EUR 0.00", "EUR 1,234,567.90",
    ]  # fmt: skip
