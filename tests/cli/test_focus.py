"""``tierwise focus``: what scripts see of an export, a check and an import."""

import json
from pathlib import Path
from typing import Any

BILL = """BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ResourceId
12.345,EUR,2025-10-01T00:00:00Z,2025-11-01T00:00:00Z,Usage,i-1
0.5,EUR,2025-10-01T00:00:00Z,2025-11-01T00:00:00Z,Usage,i-2
"""

MAP = """provider_resources:
  web: {tenant: web-shop, cost_centre: sales, tier: tier-3, resources: [i-1]}
"""


def test_an_export_prints_its_folder_and_can_be_checked_at_once(tierwise: Any, tmp_path: Path) -> None:
    ended = tierwise("focus", "export", "2025-10", "--version", "1.2", "--to", tmp_path)
    folder = Path(ended.out.strip())
    assert folder == tmp_path / "focus-1.2-2025-10"
    assert "0 rows, EUR 0.00" in ended.err
    checked = tierwise("focus", "check", folder / "cost-and-usage.parquet")
    assert "0 errors, 0 warnings" in checked.err
    again = tierwise("focus", "export", "2025-10", "--version", "1.2", "--to", tmp_path, code=3)
    assert "is there already" in again.err
    unknown = tierwise("focus", "export", "2025-10", "--to", tmp_path, "--format", "xml", code=3)
    assert "there is no format 'xml'; known are parquet, csv" in unknown.err


def test_each_dataset_is_checked_as_what_its_columns_say_or_as_what_is_asked(
    tierwise: Any, tmp_path: Path
) -> None:
    folder = Path(tierwise("focus", "export", "2025-10", "--to", tmp_path).out.strip())
    for name in ("cost-and-usage", "billing-period", "invoice-detail"):
        checked = tierwise("focus", "check", folder / f"{name}.parquet")
        assert checked.err.startswith(f"{name} 1.4: ")
        assert "0 errors, 0 warnings" in checked.err
    older = tierwise("focus", "check", folder / "cost-and-usage.csv", "--version", "1.2", code=3)
    assert older.err.startswith("cost-and-usage 1.2: ")
    none = tierwise("focus", "check", folder / "billing-period.csv", "--version", "1.3", code=3)
    assert "FOCUS 1.3 has no billing-period; it came in 1.4, check it as that or later" in none.err


def test_an_exports_folder_is_checked_file_by_file_and_together(tierwise: Any, tmp_path: Path) -> None:
    folder = Path(tierwise("focus", "export", "2025-10", "--to", tmp_path).out.strip())
    whole = tierwise("focus", "check", folder)
    assert whole.err.count(" 1.4: 0 rows") == 4
    assert "together: 15 rules between datasets checked: 0 errors, 0 warnings" in whole.err
    (folder / "billing-period.csv").write_text(
        (folder / "billing-period.csv").read_text().replace("Private cloud", "Another")
    )
    apart = tierwise("focus", "check", folder / "billing-period.csv", folder / "invoice-detail.csv")
    assert "together: 3 rules between datasets checked: 0 errors" in apart.err, (
        "without a row nothing is amiss"
    )
    twice = tierwise("focus", "check", folder, folder / "tenants.csv", code=3)
    assert "tenants.csv cannot be read" in twice.err
    both = [folder / "billing-period.csv", tmp_path / "copy.csv"]
    both[1].write_text(both[0].read_text())
    again = tierwise("focus", "check", *both, code=3)
    assert "are both of billing-period; check one of each dataset at a time" in again.err
    named = tierwise("focus", "check", folder, "--dataset", "billing-period", code=3)
    assert "--dataset says what one file holds, and these are 6; leave it out" in named.err
    (tmp_path / "empty").mkdir()
    empty = tierwise("focus", "check", tmp_path / "empty", code=3)
    assert "has no .parquet or .csv file; name a folder of an export, or files" in empty.err


def test_one_dataset_can_be_asked_for_and_must_be_one_of_the_release(tierwise: Any, tmp_path: Path) -> None:
    ask = ("focus", "export", "2025-10", "--to", tmp_path, "--format", "csv")
    ended = tierwise(*ask, "--version", "1.3", "--dataset", "contract-commitment")
    folder = Path(ended.out.strip())
    assert sorted(file.name for file in folder.iterdir()) == [
        "SHA256SUMS", "contract-commitment.csv", "manifest.json",
    ]  # fmt: skip
    checked = tierwise("focus", "check", folder / "contract-commitment.csv")
    assert checked.err.startswith("contract-commitment 1.3: 0 rows")
    wrong = tierwise(*ask, "--version", "1.3", "--dataset", "billing-period", code=3)
    assert (
        "FOCUS 1.3 has no dataset 'billing-period'; known are cost-and-usage, contract-commitment"
        in wrong.err
    )
    apart = tierwise(*ask, "--dataset", "billing-period", "--per-tenant", code=3)
    assert (
        "tenants' own files are of cost-and-usage, which is not among billing-period; name it too"
        in apart.err
    )


def test_a_file_with_errors_ends_with_3_and_lists_them_as_data(tierwise: Any, tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_text(BILL)
    ended = tierwise("focus", "check", tmp_path / "bill.csv", "-o", "json", code=3)
    found = json.loads(ended.out)
    missing = {each["rule"] for each in found if each["column"] == "ServiceName"}
    assert missing == {"CostAndUsage-D-041-M"}
    assert {each["level"] for each in found} == {"error", "warning"}


def test_an_import_shows_rows_and_gaps_and_is_taken_once(tierwise: Any, tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_text(BILL)
    (tmp_path / "map.yaml").write_text(MAP)
    arguments = (
        "focus",
        "import",
        tmp_path / "bill.csv",
        "--month",
        "2025-10",
        "--map",
        tmp_path / "map.yaml",
    )
    preview = tierwise(*arguments, "--preview", "-o", "json")
    assert [(row["tenant"], row["amount"]) for row in json.loads(preview.out)] == [
        ("unallocated", "0.50"), ("web-shop", "12.35"),
    ]  # fmt: skip
    assert "not mapped: resource i-2, 1 row, EUR 0.50" in preview.err
    assert "preview: nothing was kept" in preview.err
    assert "EUR 12.85; kept in" in tierwise(*arguments).err
    assert "were imported before" in tierwise(*arguments, code=3).err
    wrong = tierwise(*arguments[:4], "2025-09", *arguments[5:], code=3)
    assert "it is of 2025-10, not of 2025-09" in wrong.err
