"""The example and the reference of what-if documents: what they say is so."""

import json
import re
import resource
import shutil
from pathlib import Path

import pytest
import yaml

from catalog.estates.model import Utilization
from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.estates import write
from tierwise.planner.changes import kinds
from tierwise.planner.diff import difference, holds, table, why
from tierwise.planner.prepare import Prepared
from tierwise.planner.reading import load
from tierwise.planner.result import WhatIfResult
from tierwise.planner.run import run
from tierwise.planner.saved import read_saved, write_saved
from tierwise.planner.schema import schema_text
from tierwise.planner.sources import prepared
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, two_pools

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "examples/acme/whatif/leave-vsphere.yaml"
PAGE = ROOT / "docs/reference/whatif.md"


@pytest.fixture(scope="module")
def acme() -> Prepared:
    return prepared(EXAMPLE)


@pytest.fixture(scope="module")
def answered(acme: Prepared) -> WhatIfResult:
    return run(acme, ["retire-vsphere", "keep-sap"], Limits(deterministic_time=0.2))


def test_the_example_leaves_sap_without_a_place_and_says_why(answered: WhatIfResult) -> None:
    retire, keep = answered.scenarios
    assert (retire.unplaced, keep.unplaced) == (3, 0)
    (group,) = retire.stranded
    assert sorted(group.names) == ["sap-01", "sap-02", "sap-03"]
    # Other rules stand against single pools; without either of these two there would be a place.
    assert why(retire) == [
        (
            "3 machines: vSphere is retired in this scenario; SAP is certified on vSphere only; would help: lift rule "
            "'sap-is-certified' for 'sap (16 vCPU, 131072 MiB, 400 GiB) in fra-prod-1'; then they cost at most 823 EUR a month"
        )
    ]
    assert {one.source for one in retire.moves} >= {"fra-prod-1", "fra-prod-2"}
    assert {one.hypervisor for one in keep.pools if one.machines} >= {"vsphere"}


def test_the_table_has_a_column_for_today_and_each_scenario(answered: WhatIfResult) -> None:
    rows = {row[""]: row for row in table(answered, lambda micros: f"EUR {micros // 10**6:,}")}
    assert list(rows["cost per year"]) == ["", "today", "retire-vsphere", "keep-sap"]
    assert rows["machines moved"]["today"] == rows["at least, for this cost"]["today"] == "0"
    moved, least = (
        int(rows[name]["retire-vsphere"]) for name in ("machines moved", "at least, for this cost")
    )
    assert 0 < least <= moved
    assert rows["impossible"]["retire-vsphere"] == "3"
    assert rows["break-even"]["retire-vsphere"].endswith(", without 3")
    assert rows["N+k holds"]["keep-sap"] == holds(answered.scenarios[1])
    assert rows["break-even"]["today"] == ""


def test_a_difference_adds_up_to_the_change_of_cost(answered: WhatIfResult) -> None:
    change = difference(answered.today, answered.scenarios[0])
    assert sum(one.after_micros - one.before_micros for one in change.terms) == change.change_micros
    assert sum(one.machines for one in change.flows) == len(answered.scenarios[0].moves)
    pools = answered.scenarios[0].pools
    assert (change.hosts_bought, change.hosts_given_up) == (
        sum(one.hosts_bought for one in pools),
        sum(one.hosts_given_up for one in pools),
    )


def test_nothing_differs_from_a_plan_to_the_same_and_a_way_there_and_back_cancels(
    answered: WhatIfResult,
) -> None:
    retire, keep = answered.scenarios
    # The same machines go to the same pools, but for those that have no place in one of them.
    assert difference(retire, keep).flows == ()
    same = difference(retire, retire)
    assert (same.change_micros, same.flows, same.hosts_bought, same.hosts_given_up) == (0, (), 0, 0)
    there, back = difference(answered.today, keep), difference(keep, answered.today)
    assert there.change_micros == -back.change_micros
    assert there.flows
    assert {(one.source, one.target): one.machines for one in there.flows} == {
        (one.target, one.source): one.machines for one in back.flows
    }
    assert (there.hosts_bought, there.hosts_given_up) == (back.hosts_given_up, back.hosts_bought)


def test_what_is_saved_is_read_as_it_was(answered: WhatIfResult, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    write_saved(answered, file)
    assert read_saved(file) == answered


def test_a_disk_that_is_full_leaves_what_was_saved_before(answered: WhatIfResult, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    write_saved(answered, file)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InvalidInput, match="was not written: File too large; check"):
            write_saved(answered, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_saved(file) == answered
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(InvalidInput, match="/dev/full was not written: No space left"):
        write_saved(answered, Path("/dev/full"))
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "cannot be read as JSON"),
        ('{"a":' * 100_000, "cannot be read as JSON"),
        ('{"a": ' + "9" * 5000 + "}", "cannot be read as JSON"),
        ("{}", "its format must be"),
        ('{"format": "tierwise-whatif-result/1"}', "not a whole"),
    ],
)
def test_a_file_that_is_no_result_is_told(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "result.json"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=word):
        read_saved(file)


def test_files_that_a_document_names_and_are_not_there_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    text = EXAMPLE.read_text().replace("rules: ../classes.yaml", "rules: none.yaml")
    text = text.replace("rates: ..", "rates: none")
    file.write_text(text.replace("../catalog.yaml", str(ROOT / "examples/acme/catalog.yaml")))
    with pytest.raises(InvalidInput, match="4 problems; nothing was planned") as error:
        prepared(file)
    told = " ".join(error.value.details)
    assert "w.yaml:9:9: estate: " in told
    assert "w.yaml:12:12: economics: " in told
    assert "w.yaml:13:8: rates: " in told
    assert re.search(r"w\.yaml:14:\d+: classes\.rules: ", told)


def test_a_mapping_that_a_person_edited_wins_and_use_sizes_machines(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    shutil.copytree(EXAMPLE.parents[1], folder)
    (folder / "whatif/classes.csv").write_text(
        "id;class;size;confirmed\n" + "\n".join(f"{one};application;;yes" for one in sap_machines()) + "\n"
    )
    file = folder / "whatif/leave-vsphere.yaml"
    text = EXAMPLE.read_text().replace(
        "rules: ../classes.yaml}", "rules: ../classes.yaml, mapping: classes.csv}"
    )
    file.write_text(text.replace("moves_per_month: 20", "moves_per_month: 20\nsizing: {by: use}"))
    found = prepared(file)
    assert "sap" not in found.groups.workload_class
    assert found.groups.workload_class.count("application") > 0
    used, today = (found.groups.demand[by][:, 0] @ found.groups.count for by in ("use", "today"))
    assert used < today
    groups = found.problem(()).groups
    assert int(groups.demand[:, 0] @ groups.count) == int(used)


@pytest.mark.parametrize(
    ("more", "told"), [("", 1), ("scenarios: {a: {changes: [{kind: sizes, by: use}]}}\n", 0)]
)
def test_a_policy_that_sizes_nothing_is_told(tmp_path: Path, more: str, told: int) -> None:
    write(two_pools(), tmp_path / "estate.json")
    (tmp_path / "economics.yaml").write_text(ECONOMICS)
    (tmp_path / "sizing.yaml").write_text("format: tierwise-sizing/1\n")
    file = tmp_path / "w.yaml"
    text = DOCUMENT.replace("estate: unused", "estate: estate.json\nsizing: {policy: sizing.yaml}")
    file.write_text(text.replace("economics: unused", "economics: economics.yaml") + more)
    assert (
        len([one for one in prepared(file).notes if one.startswith("sizing.policy sizes nothing")]) == told
    )


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, "right-sizing: 12 of 12 machines that run keep their size; the most frequent reason: its use is not known"),
        ({f"m{n:02}": 720 for n in range(11)} | {"m11": 1}, "right-sizing: 1 of 12 machines"),
        ({f"m{n:02}": 720 for n in range(12)}, ""),
    ],
)  # fmt: skip
def test_machines_whose_use_does_not_do_for_right_sizing_are_told(
    tmp_path: Path, known: dict[str, int], told: str
) -> None:
    machines = tuple(
        one.model_copy(
            update={
                "utilization": Utilization(
                    cpu_percent=40, percentile=95, samples=known[one.id], hours=known[one.id]
                )
            }
        )
        if one.id in known
        else one
        for one in two_pools().machines
    )
    write(two_pools().model_copy(update={"machines": machines}), tmp_path / "estate.json")
    (tmp_path / "economics.yaml").write_text(ECONOMICS)
    file = tmp_path / "w.yaml"
    text = DOCUMENT.replace("estate: unused", "estate: estate.json")
    text = text.replace("economics: unused", "economics: economics.yaml")
    file.write_text(text + "scenarios: {a: {changes: [{kind: sizes, by: use}]}}\n")
    notes = [one for one in prepared(file).notes if one.startswith("right-sizing")]
    assert len(notes) == bool(told)
    assert all(one.startswith(told) for one in notes)
    file.write_text(text + "scenarios: {a: {changes: []}}\n")
    assert not any(one.startswith("right-sizing") for one in prepared(file).notes)


def sap_machines() -> list[str]:
    estate = json.loads((EXAMPLE.parent / "estate.json").read_text())
    return [one["id"] for one in estate["machines"] if one["name"].startswith("sap")]


def test_the_page_names_every_kind_of_change_with_its_example() -> None:
    page = PAGE.read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| `(\{kind: .*\})` \|$", page, re.MULTILINE))
    assert set(rows) == set(kinds())
    for name, example in rows.items():
        assert kinds()[name].model_validate(yaml.safe_load(example)).kind == name


def test_the_documents_in_the_page_can_be_read() -> None:
    found = re.findall(r"```yaml\n(format: tierwise-whatif/1.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    for text in found:
        load(text, "page.yaml")


def test_the_schema_is_current_and_accepts_the_example() -> None:
    text = schema_text()
    assert (ROOT / "docs/reference/whatif.schema.json").read_text() == text
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    plain = json.loads(json.dumps(yaml.safe_load(EXAMPLE.read_text()), default=str))
    jsonschema.Draft202012Validator(json.loads(text)).validate(plain)
