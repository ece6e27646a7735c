"""``estate classify`` and ``estate rightsize`` as their users start them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from catalog.estates import Estate, EstateMachine, PowerState, Utilization
from tierwise.cli import estate_classes
from tierwise.cli.context import Context
from tierwise.errors import InvalidInput
from tierwise.estates import read, write

ACME = Path(__file__).parents[2] / "examples" / "acme"
USE = Utilization(cpu_percent=20, memory_percent=70, percentile=95, samples=800, hours=800)
ESTATE = Estate(
    name="e",
    source="by hand",
    taken_at=datetime.now(UTC),
    machines=(
        EstateMachine(id="1", name="web-1", vcpus=2, memory_mib=4096, power=PowerState.ON, guest_os="Debian 12", utilization=USE),
        EstateMachine(id="2", name="sql-2", vcpus=8, memory_mib=65536, power=PowerState.ON, guest_os="Windows Server 2022", utilization=USE),
        EstateMachine(id="3", name="nobody", vcpus=64, memory_mib=4096, power=PowerState.OFF),
        EstateMachine(
            id="4", name="web-sql", vcpus=2, memory_mib=4096, power=PowerState.ON,
            utilization=USE.model_copy(update={"cpu_percent": 0.0, "memory_percent": 0.0}),
        ),
    ),
)  # fmt: skip


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    path = tmp_path / "estate.json"
    write(ESTATE, path)
    return path


def run(*arguments: object) -> Result:
    app, group = typer.Typer(), typer.Typer()

    @app.callback()
    def _root(ctx: typer.Context) -> None:
        ctx.obj = Context(None)

    estate_classes.register(group)
    app.add_typer(group, name="estate")
    return CliRunner().invoke(app, ["estate", *map(str, arguments)])


def classified(estate: Path, *arguments: object) -> Result:
    found = run("classify", estate, "--catalog", ACME, *arguments)
    assert found.exit_code == 0, found.exception
    return found


def failure(*arguments: object) -> InvalidInput:
    found = run(*arguments)
    assert isinstance(found.exception, InvalidInput), found.output
    return found.exception


def test_a_table_counts_by_class_and_a_sentence_says_what_is_left_to_do(
    estate: Path, tmp_path: Path
) -> None:
    to = tmp_path / "classes.csv"
    found = classified(estate, "--to", to)
    assert found.stderr.splitlines() == [f"classified 2 (50 %) by size and guest; 2 need your eye: {to}"]
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["class", "machines", "need", "eye", "vCPU", "memory", "MiB", "disk", "GiB"]
    assert {line[0]: line[1:3] for line in lines[1:]} == {
        "database": ["2", "1"], "web": ["1", "0"], "application": ["1", "1"],
    }  # fmt: skip
    assert max(map(len, found.stdout.splitlines())) <= 100


def test_programs_get_every_machine_with_its_reason(estate: Path) -> None:
    rows = json.loads(classified(estate, "-o", "json").stdout)
    assert [(row["machine"], row["class"], row["size"]) for row in rows] == [
        ("web-1", "web", "small"), ("sql-2", "database", "medium"), ("nobody", "application", "as-is"), ("web-sql", "database", "small"),
    ]  # fmt: skip
    assert rows[1]["software"] == "sql-server, windows-server"
    assert set(rows[0]) == set(estate_classes.CLASSES.meanings)


def test_what_a_person_edits_in_the_mapping_wins_and_is_kept(estate: Path, tmp_path: Path) -> None:
    to = tmp_path / "classes.csv"
    classified(estate, "--to", to)
    before = to.read_text(encoding="utf-8-sig")
    to.write_text(
        before.replace("3,nobody,,64,4096,0,application,as-is", "3,nobody,,64,4096,0,batch,"),
        encoding="cp1252",
    )
    found = classified(estate, "--mapping", to, "--to", to)
    assert found.stderr.splitlines()[-1] == (
        f"classified 3 (75 %) by size and guest; 1 of them by hand; 1 needs your eye: {to}"
    )
    again = classified(estate, "--mapping", to, "--columns", "machine,class,confidence", "-o", "csv")
    assert "nobody,batch,1.00" in again.stdout.splitlines()


def test_a_mapping_that_was_not_read_is_never_written_over(estate: Path, tmp_path: Path) -> None:
    to = tmp_path / "classes.csv"
    to.write_text("mine", encoding="utf-8")
    error = failure("classify", estate, "--catalog", ACME, "--to", to)
    assert "is there already and may hold people's decisions; read it with --mapping" in str(error)
    assert to.read_text(encoding="utf-8") == "mine"


def test_mistakes_in_files_are_told_together(estate: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("id,class\n9,web\n1,wbe\n", encoding="utf-8")
    error = failure("classify", estate, "--catalog", ACME, "--mapping", bad)
    assert str(error) == f"{bad}: 2 problems; nothing was classified or sized"
    assert [line.partition(": ")[2].partition(":")[0] for line in error.details] == [
        "row 2, id",
        "row 3, class",
    ]
    bad.write_text(
        "format: tierwise-classes/1\nclass_rules: {a: {workload_class: x}, b: 1}\n", encoding="utf-8"
    )
    assert len(failure("classify", estate, "--catalog", ACME, "--rules", bad).details) == 3
    bad.write_bytes(b"id,class\n\xff\xf0,web\n")
    assert "in a spreadsheet save it as CSV UTF-8" in str(
        failure("classify", estate, "--catalog", ACME, "--mapping", bad)
    )
    bad.write_text("{}", encoding="utf-8")
    error = failure("classify", bad, "--catalog", ACME)
    assert str(error).startswith(f"{bad}")
    assert "tierwise-estate/1" in "; ".join((str(error), *error.details))


def test_rules_are_found_beside_the_catalog_or_asked_for(estate: Path, tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    for name in ("catalog.yaml", "pools.yaml", "tenants.yaml", "endpoints.yaml"):
        (folder / name).write_text((ACME / name).read_text(encoding="utf-8"), encoding="utf-8")
    error = failure("classify", estate, "--catalog", folder)
    assert (
        str(error)
        == "the catalog has no file with class rules (format: tierwise-classes/1); name one with --rules"
    )
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text((ACME / "classes.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert "the catalog has 2 files with class rules" in str(
        failure("classify", estate, "--catalog", folder)
    )
    assert run("classify", estate, "--catalog", folder, "--rules", folder / "b.yaml").exit_code == 0


def test_sizes_are_shown_with_what_they_save_and_who_does_nothing(estate: Path) -> None:
    """8 x 0.2 x 1.2 = 1.92, so 2; 65536 x 0.7 x 1.2 = 53.8 GiB, so 54; of nothing used, half the memory stays."""
    found = run("rightsize", estate)
    assert found.exit_code == 0, found.exception
    assert [line.split() for line in found.stdout.splitlines()[1:]] == [
        ["web-1", "active", "2", "1", "4096", "4096", "1.00"],
        ["sql-2", "active", "8", "2", "65536", "55296", "1.00"],
        ["web-sql", "zombie", "2", "1", "4096", "2048", "1.00"],
    ]
    assert found.stderr.splitlines() == [
        "the use of 3 of 4 machines is known",
        "3 machines would have less: 8 vCPU and 12 GiB of memory in all",
        "1 zombie, 1 off; have their owners look before anything is removed",
    ]


def test_a_policy_and_measured_use_are_taken_from_files(estate: Path, tmp_path: Path) -> None:
    policy, use = tmp_path / "policy.yaml", tmp_path / "use.csv"
    policy.write_text(
        "format: tierwise-sizing/1\nsizing: {min_samples: 0, min_hours: 0, vcpu: {headroom_percent: 0}}\n",
        encoding="utf-8",
    )
    use.write_text("machine;cpu_percent\nsql-2;87,5\n", encoding="utf-8")
    found = run("rightsize", estate, "--policy", policy, "--usage", use, "-o", "json")
    rows = {row["machine"]: row for row in json.loads(found.stdout)}
    assert (rows["sql-2"]["vcpu"], rows["sql-2"]["memory_mib"], rows["sql-2"]["confidence"]) == (
        7,
        65536,
        "0.00",
    )
    assert rows["sql-2"]["reason"] == "8 vCPU to 7 vCPU: 87.5 % used; memory kept: its use is not known"
    assert set(rows["sql-2"]) == set(estate_classes.SIZES.meanings)


def test_an_estate_is_written_with_the_use_that_a_what_if_can_size_by(estate: Path, tmp_path: Path) -> None:
    use, to = tmp_path / "use.csv", tmp_path / "measured.json"
    use.write_text("machine,cpu_percent,percentile,samples,hours\nsql-2,30,95,720,720\n", encoding="utf-8")
    found = run("rightsize", estate, "--usage", use, "--to", to)
    assert found.stderr.splitlines()[-1] == f"written: {to}"
    again = read(to)
    assert [one.utilization.cpu_percent for one in again.machines] == [20, 30, None, 0]
    assert again.model_copy(update={"machines": ()}) == ESTATE.model_copy(update={"machines": ()})
    # 8 x 0.3 x 1.2 = 2.88, so 3, without the file of samples.
    assert ["sql-2", "active", "8", "3", "65536", "65536", "1.00"] in [
        line.split() for line in run("rightsize", to).stdout.splitlines()
    ]
    assert "let the file's name end" in str(failure("rightsize", estate, "--to", tmp_path / "x.csv"))


def test_two_sources_of_use_are_refused(estate: Path) -> None:
    assert "give one of them" in str(failure("rightsize", estate, "--usage", estate, "--collected"))


def test_the_commands_say_what_they_do_in_a_line() -> None:
    for command in (estate_classes.classify, estate_classes.rightsize):
        first = (command.__doc__ or "").splitlines()[0]
        assert first.endswith(".")
        assert len(first) <= 90
