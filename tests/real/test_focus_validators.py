"""Our export before the two public tools that judge FOCUS files.

focus-validator is the FinOps Foundation's: it knows 1.2 alone, ends with 0 whatever it finds, and some of its
rules cannot be kept; those are frozen here by name, so that a seventh would be seen. It needs Python 3.12 and
libraries older than ours, so it gets an environment of its own in ``.build``. focus-data-toolkit knows 1.4.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from chargeback.focus.columns import Version
from chargeback.focus.commitments import Commitments, commitments_of, with_commitments
from chargeback.focus.contracts import contract_commitment
from chargeback.focus.export import Context, Place, cost_and_usage
from chargeback.focus.invoices import billing_period, invoice_detail
from chargeback.focus.rules.checking import SUPPORTED, check
from chargeback.focus.text import csv_lines
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate
from chargeback.terms import Terms

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "chargeback"))
from focus_valid import PURCHASE_ROW, STATEMENT_ROWS, statement_row

ROOT = Path(__file__).parents[2]
OFFICIAL = ROOT / ".build" / "focus-validator-2.2.1"
REQUIREMENTS = Path(__file__).with_name("focus-validator.txt")

ALWAYS_FAIL = {"InvoiceId-C-004-C"}
"""Wants null in every row, and C-005 wants it in none."""
FAIL_WITH_A_PURCHASE = {"EffectiveCost-C-005-C"}
"""Wants 0 for every purchase; the text says for those that cover future charges."""
FAIL_WITH_A_COMMITMENT = {
    "CommitmentDiscountStatus-C-004-C",  # wants a status where there is no id; the text says where there is one
    "CommitmentDiscountStatus-C-002-C",  # bundles it
    "CommitmentDiscountStatus-C-000-C",
}

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
CONTEXT = Context(
    issuer="ACME IT",
    cost_centres={"cc-1": "Sales"},
    tenants={"shop": "Web shop"},
    tiers={"tier-1": "Production", "tier-2": "Test"},
    pools={"pool-a": Place("fra", "Frankfurt", "vSphere")},
)


def exported(version: Version, *more: dict[str, Any]) -> Any:
    return cost_and_usage([*STATEMENT_ROWS, *more], OCTOBER, CONTEXT, version)


def python_3_12() -> str:
    """One that pyenv keeps, as its shims start only the version of the day; else whatever uv finds."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", "none")).glob("versions/3.12.*/bin/python"))
    return str(kept[-1]) if kept else "3.12"


@pytest.fixture(scope="session")
def official() -> Path:
    """The validator's folder of packages, beside which its command is; made once."""
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("uv is not installed, so focus-validator's own environment cannot be made")
    OFFICIAL.parent.mkdir(exist_ok=True)
    with FileLock(str(OFFICIAL.with_suffix(".lock")), timeout=600):
        if not (OFFICIAL / "bin" / "focus-validator").exists():
            made = [
                str(uv),
                "venv",
                "--quiet",
                "--no-python-downloads",
                "--clear",
                "--python",
                python_3_12(),
            ]
            done = subprocess.run([*made, str(OFFICIAL)], check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(
                    f"no Python 3.12 here, which focus-validator needs: {done.stderr.strip()[-200:]}"
                )
            python = str(OFFICIAL / "bin" / "python")
            fetched = [str(uv), "pip", "install", "--quiet", "--python", python, "-r", str(REQUIREMENTS)]
            done = subprocess.run(fetched, check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"focus-validator cannot be installed: {done.stderr.strip()[-200:]}")
    (packages,) = (OFFICIAL / "lib").glob("python3.12/site-packages")
    return packages


def verdicts(
    packages: Path, table: Any, folder: Path, supported: frozenset[str] = SUPPORTED
) -> dict[str, str]:
    """Rule -> what the official tool says of it."""
    file = folder / "export.parquet"
    pq.write_table(table, file)
    command = [
        str(OFFICIAL / "bin" / "focus-validator"), "--data-file", str(file), "--validate-version", "1.2",
        "--block-download", "--applicability-criteria", ",".join(sorted(supported)), "--show-violations",
    ]  # fmt: skip
    # It looks for its list of currencies below the folder that it is started in.
    printed = subprocess.run(command, cwd=packages, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^\S+ (\S+): (PASS|FAIL|SKIPPED)", printed, re.MULTILINE)
    assert len(found) >= 578, printed[-2000:]
    return dict(found)


def test_the_official_validator_fails_nothing_but_what_it_always_fails(
    official: Path, tmp_path: Path
) -> None:
    table = exported(Version.V1_2, PURCHASE_ROW)
    found = verdicts(official, table, tmp_path)
    failed = {rule for rule, verdict in found.items() if verdict == "FAIL"}
    assert failed == ALWAYS_FAIL | FAIL_WITH_A_PURCHASE
    assert sum(verdict == "PASS" for verdict in found.values()) >= 285
    assert check(table, typed=True).findings == ()


def toolkit(*arguments: object) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("focus_data_toolkit") is None:
        pytest.skip("focus-data-toolkit is not installed")
    command = [sys.executable, "-m", "focus_data_toolkit", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


SUPPORTS = ("--supports", "SupportsUnitPricing", "--supports", "SupportsMultiplePricingCategories")


def test_the_toolkit_takes_the_export_in_1_2_and_makes_1_4_of_it(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text("".join(csv_lines(exported(Version.V1_2, PURCHASE_ROW))))
    done = toolkit(
        "convert", "--cost-and-usage", file, "--source-version", "1.2", "--source-dataset", "cost-and-usage",
        "--out", tmp_path / "out", *SUPPORTS,
    )  # fmt: skip
    assert "lint [Cost and Usage]: lint OK" in done.stdout + done.stderr
    # 3: it made no invoices, which 1.2 knows nothing of.
    assert done.returncode == 3
    assert (tmp_path / "out" / "focus_1_4_cost_and_usage.csv").exists()


def committed() -> tuple[list[dict[str, Any]], Commitments]:
    """Lines beyond and below a commitment of 1000 vcpu-hours, and a shortfall of 15.00."""
    rate = Rate.model_validate({
        "id": "c", "tier": "tier-1", "metric": "vcpu", "unit": "vcpu-hour", "valid_from": 0, "recorded_at": 0,
        "shape": {
            "kind": "commitment", "committed": "1000", "amount": "20", "overage": {"kind": "unit", "price": "0.05"},
        },
    })  # fmt: skip
    terms = Terms.model_validate({"adjustments": [{
        "kind": "commitment", "name": "promised", "amount": "75", "currency": "EUR", "cost_centre": "cc-1",
        "applies_to": {"tenants": ["shop"]}, "valid_from": "2026-01", "recorded_at": 1000,
    }]})  # fmt: skip
    line = {"rate_id": "c", "rate": rate.price_text, "unit": "vcpu-hour", "metric": "vcpu"}
    rows = [
        statement_row(**line, quantity="1488", amount="44.40", amount_minor=4440, list_amount_minor=4440),
        statement_row(**line, quantity="250 1/3", machine="m-2", line="2", amount="20.00", amount_minor=2000, list_amount_minor=2000),
        statement_row(rate_id="promised", charge_category="Adjustment", charge_frequency="Recurring", line="3", rate="", unit="", quantity="", metric="", amount="15.00", amount_minor=1500, list_amount_minor=1500),
    ]  # fmt: skip
    spend = commitments_of([], terms, OCTOBER, OCTOBER.t_to).terms
    return rows, Commitments({("acme v1", "c"): rate}, spend)


DATASETS = ["cost-and-usage", "contract-commitment", "billing-period", "invoice-detail"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_toolkit_finds_nothing_wrong_with_the_export_in_1_4(tmp_path: Path, dataset: str) -> None:
    under, held = committed()
    rows = with_commitments([*STATEMENT_ROWS, PURCHASE_ROW, *under], held, OCTOBER)
    stamp = (OCTOBER, CONTEXT, OCTOBER.t_to)
    tables = {
        "cost-and-usage": cost_and_usage(rows, OCTOBER, CONTEXT, Version.V1_4),
        "contract-commitment": contract_commitment(under, held, *stamp),
        "billing-period": billing_period(*stamp, closed=True),
        "invoice-detail": invoice_detail(rows, *stamp, closed=True),
    }
    assert tables["contract-commitment"].num_rows == 3
    file = tmp_path / f"{dataset}.csv"
    file.write_text("".join(csv_lines(tables[dataset])))
    done = toolkit(
        "validate", "--dataset", dataset, *(SUPPORTS if dataset == "cost-and-usage" else ()), file
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SEMANTIC_VALID" in done.stdout + done.stderr


def test_the_toolkit_takes_commitments_in_1_3_and_makes_1_4_of_them(tmp_path: Path) -> None:
    under, held = committed()
    rows = with_commitments(under, held, OCTOBER)
    usage, contracts = tmp_path / "usage.csv", tmp_path / "contracts.csv"
    usage.write_text("".join(csv_lines(cost_and_usage(rows, OCTOBER, CONTEXT, Version.V1_3))))
    made = contract_commitment(under, held, OCTOBER, CONTEXT, OCTOBER.t_to, Version.V1_3)
    contracts.write_text("".join(csv_lines(made)))
    done = toolkit(
        "convert", "--cost-and-usage", usage, "--contract-commitment", contracts, "--source-version", "1.3",
        "--out", tmp_path / "out", *SUPPORTS,
    )  # fmt: skip
    assert "lint [Cost and Usage]: lint OK" in done.stdout + done.stderr, done.stdout + done.stderr


def test_the_official_validator_finds_nothing_new_in_commitments(official: Path, tmp_path: Path) -> None:
    under, held = committed()
    table = cost_and_usage(with_commitments(under, held, OCTOBER), OCTOBER, CONTEXT, Version.V1_2)
    found = verdicts(official, table, tmp_path, SUPPORTED | {"COMMITMENT_DISCOUNT_SUPPORTED"})
    failed = {rule for rule, verdict in found.items() if verdict == "FAIL"}
    assert failed == ALWAYS_FAIL | FAIL_WITH_A_COMMITMENT
    assert "CommitmentDiscountQuantity-C-005-C" in {rule for rule, each in found.items() if each == "PASS"}


def test_the_toolkit_sees_an_error_that_is_planted(tmp_path: Path) -> None:
    table = exported(Version.V1_4)
    place = table.column_names.index("ServiceCategory")
    file = tmp_path / "planted.csv"
    planted = table.set_column(place, "ServiceCategory", [["Servers"] * table.num_rows])
    file.write_text("".join(csv_lines(planted)))
    assert toolkit("validate", "--dataset", "cost-and-usage", file).returncode != 0
