"""Reports on the command line are the statement's lines, added up; files appear whole or not at all."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.last_month import MONTH, MONTH_BEGIN, live_one_long_and_one_from_the_eleventh
from tierwise.app import wire
from tierwise.settings import Settings
from tierwise.usecases import reports

BUDGETS = f"""\
budgets:
  payroll:
    tenant: payroll
    amount: 10.00
    currency: EUR
    first_month: {MONTH}
"""


@pytest.fixture(scope="module", autouse=True)
def lives(settings: Settings) -> None:
    """One machine through the whole of last month, and one from its 11th on; and a budget."""
    (settings.catalog_dir / "budgets.yaml").write_text(BUDGETS)
    live_one_long_and_one_from_the_eleventh(settings)


@pytest.fixture(scope="module")
def lines(tierwise: Any) -> list[dict[str, str]]:
    """What the statements say, from the command that was there before."""
    return list(csv.DictReader(io.StringIO(tierwise("charge", "statement", MONTH, "-o", "csv").out)))


def cents(rows: Any, **having: str) -> int:
    return sum(int(r["amount_minor"]) for r in rows if all(r[k] == v for k, v in having.items()))


def report(tierwise: Any, *arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        tierwise("report", "run", *arguments, "--month", MONTH, "-o", "json").out
    )
    return found


def test_the_list_names_every_report_and_each_can_be_made(
    tierwise: Any, settings: Settings, lines: Any
) -> None:
    names = [row["report"] for row in json.loads(tierwise("report", "list", "-o", "json").out)]
    assert names == sorted(names)
    assert len(names) >= 12
    app = wire(settings)
    for name in names:
        asked = reports.Asked(MONTH, by="class" if name == "label" else "", costs={"tier-1": "1000.00"})
        assert reports.run(app, name, asked).total_minor == cents(lines), name
    app.close()


@pytest.mark.parametrize("name", ["tenant", "machine", "month-over-month"])
def test_the_table_fits_the_terminal_and_ends_with_the_total(tierwise: Any, lines: Any, name: str) -> None:
    out = tierwise("report", "run", name, "--month", MONTH).out
    assert f"total: EUR {Decimal(cents(lines)) / 100:,}" in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("name", ["tenant", "cost-centre"])
def test_what_a_report_adds_up_is_what_the_lines_say(tierwise: Any, lines: Any, name: str) -> None:
    key = name.replace("-", "_")
    for row in report(tierwise, name):
        assert row["amount_minor"] == cents(lines, **{key: row[key]})
        assert Decimal(row["amount"]) * 100 == row["amount_minor"]


def test_machines_are_named_and_pools_are_added_up_by_their_hypervisors(tierwise: Any, lines: Any) -> None:
    machines = {row["machine"]: row["amount_minor"] for row in report(tierwise, "machine")}
    assert machines == {name: cents(lines, machine_name=name) for name in ("pay-01", "web-01")}
    assert sum(row["amount_minor"] for row in report(tierwise, "hypervisor")) == cents(lines)
    assert "(none)" not in {row["hypervisor"] for row in report(tierwise, "hypervisor")}


def test_a_selection_is_a_part_of_the_whole(tierwise: Any, lines: Any) -> None:
    (row,) = report(tierwise, "tier", "--where", "tenant=payroll")
    assert row["amount_minor"] == cents(lines, tenant="payroll")


def test_a_budget_that_is_used_up_says_so(tierwise: Any, lines: Any) -> None:
    (row,) = report(tierwise, "budgets")
    assert (row["actual_minor"], row["forecast_minor"]) == (cents(lines, tenant="payroll"),) * 2
    assert row["state"] == "100 % passed"


def test_the_month_before_had_no_machine_for_most_of_it(tierwise: Any, lines: Any) -> None:
    rows = {row["tenant"]: row for row in report(tierwise, "month-over-month")}
    assert rows["web-shop"]["before_minor"] == 0
    assert rows["payroll"]["before_minor"] > 0
    assert sum(row["amount_minor"] for row in rows.values()) == cents(lines)
    before = csv.DictReader(
        io.StringIO(
            tierwise(
                "charge", "statement", (MONTH_BEGIN - timedelta(days=3)).strftime("%Y-%m"), "-o", "csv"
            ).out
        )
    )
    assert sum(row["before_minor"] for row in rows.values()) == cents(before)


def test_a_statement_as_a_file_has_the_lines_of_its_tenant_cent_for_cent(
    tierwise: Any, lines: Any, tmp_path: Path
) -> None:
    for suffix in ("csv", "html", "pdf", "xlsx"):
        file = tmp_path / f"payroll.{suffix}"
        ended = tierwise("report", "statement", "--month", MONTH, "--tenant", "payroll", "--to", file)
        assert (ended.out, str(file) in ended.err) == ("", True)
        assert file.stat().st_size > 1000
    read = list(csv.DictReader(io.StringIO((tmp_path / "payroll.csv").read_text("utf-8-sig"))))
    assert read == [row for row in lines if row["tenant"] == "payroll"]
    total = f"EUR {Decimal(cents(lines, tenant='payroll')) / 100:,}"
    assert total in (tmp_path / "payroll.html").read_text()
    pypdf = pytest.importorskip("pypdf")
    assert total in pypdf.PdfReader(tmp_path / "payroll.pdf").pages[0].extract_text()


def test_a_statement_written_twice_is_the_same_file(tierwise: Any, tmp_path: Path) -> None:
    tierwise("charge", "statement", MONTH)  # Now it is metered, and what is known of it stays the same.
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for suffix in ("csv", "html", "pdf", "xlsx"):
        files = [tmp_path / f"{i}.{suffix}" for i in (1, 2)]
        for file in files:
            tierwise(
                "report",
                "statement",
                "--month",
                MONTH,
                "--tenant",
                "payroll",
                "--to",
                file,
                "--known-at",
                moment,
            )
        assert files[0].read_bytes() == files[1].read_bytes(), suffix


def test_all_statements_go_into_a_folder_one_file_a_tenant(
    tierwise: Any, lines: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "october"
    ended = tierwise("report", "statements", "--month", MONTH, "--to", folder, "--as", "csv", "--as", "pdf")
    assert f"4 files written to {folder}" in re.sub(r"\s+", " ", ended.err)
    names = {file.name for file in folder.iterdir()}
    assert names == {f"{MONTH}-{t}.{s}" for t in ("payroll", "web-shop") for s in ("csv", "pdf")}
    found = [
        row
        for file in sorted(folder.glob("*.csv"))
        for row in csv.DictReader(io.StringIO(file.read_text("utf-8-sig")))
    ]
    assert cents(found) == cents(lines)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("run", "tenants"), "there is no report 'tenants'; known are budgets, cost-centre"),
        (("run", "label"), "say by which label, as in --by os"),
        (("run", "margin", "--cost", "tier-1"), "--cost 'tier-1' must be NAME=VALUE"),
        (("run", "margin", "--cost", "tier-1=1,5"), "the cost of tier-1, '1,5', must be a plain decimal"),
        (("run", "margin", "--cost", "tier-1=0.005"), "with at most 2 decimals"),
        (("run", "tenant", "--where", "colour=red"), "rows cannot be grouped by 'colour'"),
        (
            ("run", "tenant", "--to", "x.docx"),
            "x.docx: a report can be written as .csv, .html, .pdf, .xlsx",
        ),
        (
            ("statement", "--tenant", "payrol", "--to", "x.pdf"),
            "there is no tenant 'payrol'; did you mean 'payroll'?",
        ),
        (
            ("statement", "--tenant", "research", "--to", "x.pdf"),
            f"research has no statement of {MONTH}; payroll",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_to_ask_for(
    tierwise: Any, arguments: tuple[str, ...], what: str
) -> None:
    ended = tierwise("report", *arguments, "--month", MONTH, code=3)
    assert what in re.sub(r"\s+", " ", ended.err)
    assert not Path("x.pdf").exists()


def test_a_month_that_is_none_is_refused(tierwise: Any) -> None:
    ended = tierwise("report", "run", "tenant", "--month", "October", code=3)
    assert "'October' is no month; write it like 2026-10" in ended.err


def test_a_folder_that_is_not_there_is_an_error_and_nothing_is_written(
    tierwise: Any, tmp_path: Path
) -> None:
    file = tmp_path / "no" / "x.pdf"
    ended = tierwise("report", "statement", "--month", MONTH, "--tenant", "payroll", "--to", file, code=3)
    assert "cannot be written: No such file or directory" in re.sub(r"\s+", " ", ended.err)
    assert list(tmp_path.iterdir()) == []


def test_a_month_without_machines_is_an_empty_report(tierwise: Any) -> None:
    early = (MONTH_BEGIN - timedelta(days=60)).strftime("%Y-%m")
    out = tierwise("report", "run", "tenant", "--month", early).out
    assert "nothing was charged for" in out
    assert "total: EUR 0.00" in out
    ended = tierwise("report", "run", "tenant", "--month", early, "-o", "csv")
    assert ended.out.startswith("tenant,title,machines,charges,charges_minor")
