"""Each exit code of the reference page is what a real run of the installed command ends with."""

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from connectors.drivers.simulated import control
from connectors.drivers.simulated.faults import Fault
from tierwise.cli import failures
from tierwise.errors import ExitCode
from tierwise.settings import Settings
from tierwise.testing.estate import simulated_acme

PROVEN: set[int] = set()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Hosts of 64 GiB, on which nothing can be resized while it runs."""
    gaps = "resize_hot=not_configured"
    return simulated_acme(tmp_path_factory.mktemp("small"), host_memory_mib=65536, hosts=2, gaps=gaps)


@pytest.fixture(scope="module", autouse=True)
def machine(tierwise: Any) -> None:
    tierwise("order", "create", "web-small", "--tenant", "web-shop", "--name", "web-01", "--tier", "tier-1")


@pytest.fixture
def ends(real: Any) -> Any:
    """Run the installed command; it must end with that code, and stderr must say these words."""

    def run(code: ExitCode, words: str, *command: str, **environment: str) -> Any:
        ended = real(*command, code=int(code), **environment)
        assert words in ended.err, ended
        PROVEN.add(int(code))
        return ended

    return run


def test_0_done(ends: Any) -> None:
    ended = ends(ExitCode.OK, "", "catalog", "list")
    assert ended.out.startswith("offering")


def test_1_a_disk_that_is_full_is_an_error_in_one_line(real: Any) -> None:
    command = [real.command, "catalog", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=real.environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == ExitCode.ERROR
    assert done.stderr == "error: No space left on device; check rights and free space, and repeat\n"
    PROVEN.add(done.returncode)


def test_2_a_wrong_use_of_the_command(ends: Any) -> None:
    ended = ends(ExitCode.USAGE, "Missing option '--tenant'", "quote", "db-medium")
    assert ended.out == ""


def test_3_a_name_that_is_not_there(ends: Any) -> None:
    words = "there is no tenant 'webshop'; did you mean 'web-shop'? known are"
    ends(ExitCode.INVALID, words, "quote", "web-small", "--tenant", "webshop")


def test_5_refused_by_a_rule(ends: Any) -> None:
    command = (
        "order",
        "create",
        "db-medium",
        "--tenant",
        "payroll",
        "--name",
        "pay-01",
        "--tier",
        "tier-3",
    )
    ended = ends(ExitCode.REFUSED, "confidential and restricted data must stay in DE", *command)
    assert re.search(r"pay-01 +payroll +db-medium +refused", ended.out)


def test_6_not_supported_by_the_hypervisor(ends: Any) -> None:
    ended = ends(
        ExitCode.UNSUPPORTED,
        "resize_hot is not available for web-01",
        "vm",
        "resize",
        "web-01",
        "--vcpu",
        "4",
    )
    assert "(not_configured)" in ended.err


def test_7_no_place_for_a_machine_that_rules_allow(ends: Any) -> None:
    command = ("sap-app", "--tenant", "finance-apps", "--set", "memory_mib=131072")
    ended = ends(ExitCode.NO_PLACE, "", "quote", *command)
    assert "No pool can take it as things stand" in ended.out
    assert "128 GiB" in ended.out


def test_8_an_endpoint_that_does_not_answer(ends: Any, tierwise: Any) -> None:
    down = Fault(operation="power", kind="unreachable", times=2)
    control.script_faults(tierwise.address("fra-vcenter"), [down])
    ended = ends(
        ExitCode.UNREACHABLE, "web-01: power at endpoint 'fra-vcenter'", "vm", "power", "web-01", "off"
    )
    assert "tried 2 times" in ended.err


def test_9_another_process_at_work_on_the_data_directory(ends: Any, settings: Settings) -> None:
    with FileLock(settings.data_dir / "tierwise.lock"):
        ends(ExitCode.BUSY, "another tierwise process works on", "order", "resume")


def test_every_exit_code_was_produced_and_the_reference_lists_exactly_these(repository_page: str) -> None:
    table = repository_page.partition("## Exit codes")[2].partition("\n## ")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert listed == {int(code) for code in ExitCode}
    assert listed == PROVEN, "run the whole file: each test above proves one code"


@pytest.fixture
def repository_page(request: pytest.FixtureRequest) -> str:
    return (request.config.rootpath / "docs/reference/cli.md").read_text()


WRONG = {
    "no command": (2, "No such command 'frob'", ["frob"]),
    "format": (2, "'xml' is not one of 'table', 'json', 'yaml',", ["vm", "list", "-o", "xml"]),
    "no change": (2, "Invalid value for '--change': say what changes", ["whatif"]),
    "nothing to resize": (2, "say what it shall have", ["vm", "resize", "web-01"]),
    "negative size": (2, "greater than or equal to 0", ["vm", "resize", "web-01", "--vcpu", "-1"]),
    "size beyond all": (2, "less than or equal to 9007199254740992", ["vm", "resize", "web-01", "--vcpu", "9" * 30]),
    "moment of no computer": (2, "is before 1970", ["vm", "label", "web-01", "env=prod", "--since", "0001-01-01"]),
    "currency": (3, "nothing of 2026-10 is billed in 'XXX'; say --currency EUR", ["report", "run", "tenant", "--month", "2026-10", "--currency", "XXX"]),
    "seed's name": (3, "seed: must be a name of lower-case letters", ["order", "create", "web-small", "--tenant", "web-shop", "--name", "web-09", "--seed", "../x"]),
    "no seed": (3, "error: 1 problem in 1 order; nothing was ordered", ["order", "create", "web-small", "--tenant", "web-shop", "--name", "web-09", "--seed", "x"]),
    "power action": (2, "'dance' is not one of", ["vm", "power", "web-01", "dance"]),
    "nobody to ask": (2, "say --yes", ["vm", "delete", "web-01"]),
    "nobody to ask of a disk": (2, "all that is on it; where nobody can be asked, say --yes", ["vm", "remove-disk", "web-01", "data"]),
    "no disk": (3, "web-01 has no disk 'data'; it has: 'disk-0'", ["vm", "remove-disk", "web-01", "data", "--yes"]),
    "the first disk": (3, "delete that to remove it", ["vm", "remove-disk", "web-01", "disk-0", "--yes"]),
    "nobody to ask of going back": (2, "wrote since the snapshot is lost by this; where nobody can be asked, say --yes", ["vm", "revert", "web-01", "a"]),
    "no snapshot": (3, "web-01 has no snapshot 'a'; it has: none", ["vm", "revert", "web-01", "a", "--yes"]),
    "nobody to ask of a snapshot": (2, "this deletes the snapshot, to which nobody can go back then; where", ["vm", "delete-snapshot", "web-01", "a"]),
    "snapshot name": (3, "'50%' is no name for a snapshot", ["vm", "snapshot", "web-01", "50%"]),
    "moment": (2, "is no moment; write it like", ["vm", "owner", "web-01", "--tenant", "payroll", "--since", "soon"]),
    "no offering": (3, "there is no offering 'nope'", ["quote", "nope", "--tenant", "payroll"]),
    "no tier": (3, "there is no tier 'tier-9'; did you mean", ["quote", "db-small", "--tenant", "payroll", "--tier", "tier-9"]),
    "no machine": (3, "`tierwise vm list` shows them all", ["vm", "show", "web-99"]),
    "no order": (3, "`tierwise order list` shows them all", ["order", "show", "zz"]),
    "no pool": (3, "there is no pool 'bogus'", ["pool", "capabilities", "bogus"]),
    "tier of list": (3, "there is no tier 'tier-7'", ["vm", "list", "--no-refresh", "--tier", "tier-7"]),
    "tenant of bill": (3, "there is no tenant 'nobody'", ["charge", "statement", "2026-10", "--tenant", "nobody"]),
    "month": (3, "'2026-13' is no month; write it like 2026-10", ["charge", "statement", "2026-13"]),
    "machine name": (3, "must be a name of lower-case letters", ["order", "create", "web-small", "--tenant", "web-shop", "--name", "Ä b"]),
    "name in use": (3, "machine name 'web-01' is in use", ["order", "create", "web-small", "--tenant", "web-shop", "--name", "web-01"]),
    "retry": (3, "only failed or refused ones are tried again", ["order", "retry", "web-01"]),
    "change": (3, "'foo' is not a change; write one of", ["whatif", "--no-refresh", "--change", "foo"]),
    "no what-if document": (3, "none.yaml: cannot be read: No such file", ["whatif", "run", "none.yaml"]),
    "change of a document": (2, "reads changes from its document", ["whatif", "--change", "grow=+5%", "changes"]),
    "no file": (3, "cannot be read: No such file", ["usage", "import", "none.csv"]),
    "catalog exists": (3, "has a catalog already; nothing was changed", ["init"]),
    "no data": (3, "is not a tierwise data directory", ["--data-dir", "nowhere", "vm", "list"]),
    "example": (3, "there is no example 'foo'", ["--data-dir", "new", "init", "--example", "foo"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_ends_with_its_code_and_says_what_to_do(tierwise: Any, case: str) -> None:
    code, words, command = WRONG[case]
    ended = tierwise(*command, code=code)
    assert words in re.sub(r"[\s│]+", " ", ended.err)
    assert ended.out == "", "data is only what is right"


def test_what_is_valid_is_counted_in_words(tierwise: Any) -> None:
    ended = tierwise("catalog", "validate", tierwise.data / "catalog")
    assert ": valid; 3 tiers, 9 workload classes, " in ended.err
    assert ended.err.endswith(", 10 rules, 1 rate card\n")


def test_several_wrong_parameters_are_reported_together(tierwise: Any) -> None:
    wrong = ("--set", "vcpu=abc", "--set", "disk", "--set", "vpcu=2")
    ended = tierwise("quote", "db-medium", "--tenant", "payroll", *wrong, code=3)
    known = "known are vcpu, memory_mib, disk_gib, data, guest_os"
    assert ended.err.splitlines() == [
        "error: the parameters are not valid",
        "  --set vcpu=abc: must be a whole number",
        "  --set disk: write NAME=VALUE",
        f"  --set vpcu=2: no such parameter; did you mean 'vcpu'? {known}",
    ]


def test_a_wrong_setting_of_the_environment_is_named(tierwise: Any) -> None:
    ended = tierwise("doctor", code=3, TIERWISE_WORKERS="many")
    assert "TIERWISE_WORKERS must be a whole number (found 'many')" in ended.err


def test_a_bug_says_where_its_traceback_is_and_shows_it_only_when_asked(
    tierwise: Any, tmp_path: Path
) -> None:
    broken = tierwise.at(simulated_acme(tmp_path).data_dir)
    broken("order", "create", "web-small", "--tenant", "web-shop", "--name", "web-02")
    with closing(sqlite3.connect(broken.data / "tierwise.sqlite")) as database, database:
        database.execute("UPDATE batch SET plan = '{}'")  # as no version of tierwise writes it
    ended = broken("order", "show", "web-02", code=1)
    (log,) = (broken.data / "logs").iterdir()
    first, second = ended.err.splitlines()
    assert first.startswith("error: this is a bug in tierwise: ValidationError: ")
    assert str(log) in second
    assert "Traceback (most recent call last)" in log.read_text()
    environment = broken.environment(TIERWISE_DEBUG="1")
    loud = subprocess.run(
        [broken.command, "order", "show", "web-02"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback (most recent call last)" in loud.stderr
    assert loud.returncode == 1


def test_a_database_that_is_none_is_told_in_words(tierwise: Any, tmp_path: Path) -> None:
    broken = tierwise.at(simulated_acme(tmp_path).data_dir)
    (broken.data / "tierwise.sqlite").write_text("this is a letter to my aunt, not a database " * 100)
    ended = broken("vm", "list", code=1)
    assert "tierwise.sqlite" in ended.err
    assert "file is not a database" in ended.err


def test_a_database_that_cannot_grow_any_more_is_told_as_a_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(tmp_path / "tierwise.sqlite")) as database:
        database.execute("CREATE TABLE t (text TEXT)")
        database.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as full:
            database.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    assert failures.unexpected(full.value, tmp_path) == ExitCode.ERROR
    told = " ".join(capsys.readouterr().err.split())
    assert f"the disk of the data directory {tmp_path} is full and nothing is half-written" in told


def test_a_reader_who_has_seen_enough_ends_the_command_without_a_word(tierwise: Any) -> None:
    command = f"set -o pipefail; {tierwise.command} pool capabilities --no-refresh -o json | true"
    done = subprocess.run(
        ["bash", "-c", command], env=tierwise.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_a_reader_of_notes_who_is_gone_takes_no_data_with_it(tierwise: Any) -> None:
    nobody, notes = os.pipe()
    os.close(nobody)
    command = [tierwise.command, "order", "list", "-o", "csv"]
    done = subprocess.run(
        command, env=tierwise.environment(), stdout=subprocess.PIPE, stderr=notes, text=True, check=False
    )
    os.close(notes)
    assert done.returncode == 141
    assert "web-01" in done.stdout
