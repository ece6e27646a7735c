"""FOCUS files of a whole application: they say what the bill says, and are there whole or not at all."""

import csv
import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from chargeback.focus.columns import Version
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.usecases import focus
from tierwise.usecases.billing import bill
from tierwise.usecases.books import load
from tierwise.usecases.explaining import explain_line, verify
from tierwise.usecases.focus import FileFormat, export
from tierwise.usecases.focus_checks import check_files
from tierwise.usecases.focus_files import check_file, import_bill, read_file
from tierwise.usecases.ledger import close
from tierwise.usecases.provider_bills import provider_rows

BERLIN = ZoneInfo("Europe/Berlin")

BILL = """BilledCost,EffectiveCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ResourceId,SubAccountId
12.345,12,EUR,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,Usage,i-1,a-1
0.5,0.5,EUR,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,Usage,i-2,NULL
"""

MAP = """provider_resources:
  web: {tenant: web-shop, cost_centre: sales, tier: tier-3, resources: [i-1]}
"""


@pytest.fixture
def october(acme: Any) -> Any:
    """One machine through all of October, seen on 2 November."""
    acme.clock.set(datetime(2026, 10, 5, 8, tzinfo=BERLIN).astimezone(UTC))
    acme.deliver("shop-01")
    acme.clock.set(datetime(2026, 11, 2, tzinfo=BERLIN).astimezone(UTC))
    return acme


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("version", list(Version))
def test_both_formats_hold_the_bill_of_the_month(october: Any, tmp_path: Path, version: Version) -> None:
    done = export(october.app, "2026-10", tmp_path, version=version, issuer="ACME IT")
    found = bill(october.app, "2026-10")
    table = pq.read_table(done.folder / "cost-and-usage.parquet")
    with (done.folder / "cost-and-usage.csv").open(newline="") as stream:
        texts = list(csv.DictReader(stream))
    total_minor = sum(row["amount_minor"] for row in found.rows)
    assert sum(table["BilledCost"].to_pylist()) * 100 == total_minor > 0
    assert sum(Decimal(row["BilledCost"]) for row in texts) * 100 == total_minor
    (row, *_) = table.to_pylist()
    assert (row["SubAccountName"], row["ResourceName"], row["InvoiceIssuerName"]) == (
        "Online shop", "shop-01", "ACME IT"
    )  # fmt: skip
    assert row["RegionName"] in {"Frankfurt data centre", "Hoster in Amsterdam"}
    assert row["x_Hypervisor"] in {"vSphere", "Hyper-V", "Xen", "libvirt"}


def test_the_export_in_1_2_breaks_no_rule_in_either_format(october: Any, tmp_path: Path) -> None:
    done = export(october.app, "2026-10", tmp_path, version=Version.V1_2)
    for form in FileFormat:
        report = check_file(done.folder / f"cost-and-usage.{form.value}")
        assert [str(finding) for finding in report.findings] == []
        assert report.rows == done.rows == 4
        assert len(report.checked) > 270


@pytest.mark.parametrize("issued", [False, True])
def test_the_datasets_of_an_export_agree_and_a_changed_one_does_not(
    october: Any, tmp_path: Path, issued: bool
) -> None:
    if issued:
        close(october.app, "2026-10")
    done = export(october.app, "2026-10", tmp_path)
    whole = check_files([done.folder])
    assert [str(found) for each in whole.files for found in (*each.report.findings, *each.beside)] == []
    assert len(whole.links) == 15, "there is no commitment, so nothing is said of one"
    detail = done.folder / "invoice-detail.csv"
    detail.write_text(detail.read_text().replace("Private cloud", "Another"))
    found = {finding.rule for each in check_files([done.folder]).files for finding in each.beside}
    assert {"CAU-IND-InvoiceId", "CAU-IND-InvoiceDetailId", "IND-BPD-BillingPeriodStart"} <= found


def test_manifest_and_checksums_are_those_of_the_files(october: Any, tmp_path: Path) -> None:
    done = export(october.app, "2026-10", tmp_path)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert (manifest["focus_version"], manifest["billing_period"], manifest["rows"]) == (
        "1.4",
        "2026-10",
        4,
    )
    assert manifest["total"] == done.total
    lines = (done.folder / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    assert sums.keys() == set(files(done.folder)) - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((done.folder / name).read_bytes()).hexdigest() == digest
        assert manifest["files"].get(name, digest) == digest


def test_the_tenants_files_are_the_month_in_parts(acme: Any, tmp_path: Path) -> None:
    acme.clock.set(datetime(2026, 10, 5, 8, tzinfo=BERLIN).astimezone(UTC))
    acme.deliver("shop-01")
    acme.deliver("news-01", tenant="marketing")
    acme.clock.set(datetime(2026, 11, 2, tzinfo=BERLIN).astimezone(UTC))
    done = export(acme.app, "2026-10", tmp_path, per_tenant=True)
    whole = pq.read_table(done.folder / "cost-and-usage.parquet").to_pylist()
    parts = {path.stem: pq.read_table(path).to_pylist() for path in done.folder.glob("tenants/*.parquet")}
    assert set(parts) == {"marketing", "web-shop"}
    assert sum(map(len, parts.values())) == len(whole) == 8
    for tenant, rows in parts.items():
        assert rows == [row for row in whole if row["SubAccountId"] == tenant]
    sums = dict(line.split("  ")[::-1] for line in (done.folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) | {"SHA256SUMS"} == set(files(done.folder))
    for name, digest in sums.items():
        assert hashlib.sha256((done.folder / name).read_bytes()).hexdigest() == digest


def test_the_same_month_is_the_same_bytes_again(october: Any, tmp_path: Path) -> None:
    one, two = (export(october.app, "2026-10", tmp_path / name).folder for name in ("a", "b"))
    ours, theirs = files(one), files(two)
    assert ours.keys() == theirs.keys()
    assert ours["cost-and-usage.csv"] == theirs["cost-and-usage.csv"]
    assert ours["cost-and-usage.parquet"] == theirs["cost-and-usage.parquet"]


def test_a_folder_that_is_there_is_replaced_only_when_that_is_asked_for(
    october: Any, tmp_path: Path
) -> None:
    done = export(october.app, "2026-10", tmp_path / "out", formats=[FileFormat.CSV])
    before = files(tmp_path / "out")
    with pytest.raises(InvalidInput, match="is there already"):
        export(october.app, "2026-10", tmp_path / "out")
    assert files(tmp_path / "out") == before
    export(october.app, "2026-10", tmp_path / "out", formats=[FileFormat.PARQUET], replace=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [done.folder.name]
    assert not (done.folder / "cost-and-usage.csv").exists()


def test_a_disk_that_is_full_half_way_leaves_nothing(
    october: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(focus, "_sha256", full)
    with pytest.raises(TierwiseError, match="No space left on device; nothing is there"):
        export(october.app, "2026-10", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_of_two_exports_at_once_the_second_leaves_the_first_alone(
    october: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(part: Path, target: Path) -> None:
        target.mkdir()
        (target / "manifest.json").write_text("the other's")
        part.rename(target)

    monkeypatch.setattr(focus, "_swap", overtaken)
    with pytest.raises(InvalidInput, match="made by another export meanwhile"):
        export(october.app, "2026-10", tmp_path / "out")
    assert list(files(tmp_path / "out").values()) == [b"the other's"]


@pytest.fixture
def hosted(tmp_path: Path) -> tuple[Path, Path]:
    """A provider's bill and whose its resources are."""
    (tmp_path / "bill.csv").write_text(BILL)
    (tmp_path / "map.yaml").write_text(MAP)
    return tmp_path / "bill.csv", tmp_path / "map.yaml"


def test_a_bill_is_kept_once_and_its_rows_are_the_months(october: Any, hosted: tuple[Path, Path]) -> None:
    bill_file, map_file = hosted
    done = import_bill(october.app, bill_file, "2026-10", map_file)
    assert (done.bill.total, done.bill.unallocated_minor) == ("EUR 12.85", 50)
    rows = provider_rows(october.settings.data_dir, "2026-10")
    assert [(row["tenant"], row["amount"]) for row in rows] == [
        ("unallocated", "0.50"),
        ("web-shop", "12.35"),
    ]
    assert provider_rows(october.settings.data_dir, "2026-11") == []
    with pytest.raises(InvalidInput, match="the same charges were imported before"):
        import_bill(october.app, bill_file, "2026-10", map_file)


def test_a_bill_is_on_its_months_statements_and_a_late_one_on_the_next(
    october: Any, hosted: tuple[Path, Path]
) -> None:
    bill_file, map_file = hosted
    before = {row["line"]: row["amount_minor"] for row in bill(october.app, "2026-10").rows}
    import_bill(october.app, bill_file, "2026-10", map_file)
    rows = bill(october.app, "2026-10").rows
    passed = [row for row in rows if row["line"] not in before]
    assert {(row["tenant"], row["amount"], row["charge_class"]) for row in passed} == {
        ("unallocated", "0.50", ""), ("web-shop", "12.35", ""),
    }  # fmt: skip
    assert sum(row["amount_minor"] for row in rows) == sum(before.values()) + 1285
    close(october.app, "2026-10")
    late = bill_file.with_name("late.csv")
    late.write_text(BILL.replace("12.3", "7.3"))
    assert import_bill(october.app, late, "2026-10", map_file).folder is not None
    assert [each.problems for each in verify(october.app)] == [[]]
    october.clock.advance(timedelta(days=40))
    close(october.app, "2026-11")
    assert [each.problems for each in verify(october.app)] == [[], []]
    corrected = [row for row in bill(october.app, "2026-11").rows if row["charge_class"]]
    assert sum(row["amount_minor"] for row in corrected if row["tenant"] == "web-shop") == 735
    explained = [explain_line(october.app, row["statement"], number) for row, number in numbered(october)]
    assert all(each.explanation.amount_minor == each.row["amount_minor"] for each in explained)
    assert any("provider" in str(each.explanation) for each in explained)


def numbered(october: Any) -> list[tuple[dict[str, Any], int]]:
    books = load(october.app, october.app.documents.rate_card)
    return [(row, row["number"]) for final in books.closed for row in books.rows(final)]


def test_a_shuffled_parquet_copy_of_a_bill_is_known_too(october: Any, hosted: tuple[Path, Path]) -> None:
    bill_file, map_file = hosted
    import_bill(october.app, bill_file, "2026-10", map_file)
    copy = bill_file.with_suffix(".parquet")
    pq.write_table(read_file(bill_file)[0].take([1, 0]), copy)
    with pytest.raises(InvalidInput, match="imported before"):
        import_bill(october.app, copy, "2026-10", map_file)


def test_a_preview_and_a_bad_bill_keep_nothing(october: Any, hosted: tuple[Path, Path]) -> None:
    bill_file, map_file = hosted
    assert import_bill(october.app, bill_file, "2026-10", map_file, preview=True).folder is None
    with pytest.raises(InvalidInput, match="1 problem; nothing was imported") as caught:
        import_bill(october.app, bill_file, "2026-09", map_file)
    assert any("it is of 2026-10, not of 2026-09" in line for line in caught.value.details)
    map_file.write_text(MAP.replace("web-shop", "nobody"))
    with pytest.raises(InvalidInput, match="1 problem; nothing"):
        import_bill(october.app, bill_file, "2026-10", map_file)
    assert not (october.settings.data_dir / "provider-bills").exists()


def test_a_kept_bill_that_somebody_edited_is_not_charged(october: Any, hosted: tuple[Path, Path]) -> None:
    done = import_bill(october.app, hosted[0], "2026-10", hosted[1])
    assert done.folder is not None
    rows = done.folder / "rows.json"
    rows.write_text(rows.read_text().replace("12.35", "1.35"))
    with pytest.raises(TierwiseError, match="is not what was imported"):
        provider_rows(october.settings.data_dir, "2026-10")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.parquet", b"PAR1cut off here"), ("empty.parquet", b""), ("latin.csv", b"A\n\xe4\n"),
        ("ragged.csv", b"A,B\n1\n"), ("twice.csv", b"A,A\n1,2\n"), ("gone.csv", None), ("empty.csv", b""),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_named_error(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        read_file(tmp_path / name)


def test_null_without_quotes_is_nothing_and_with_quotes_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('A,B\nNULL,"NULL"\n,""\n')
    table, typed = read_file(tmp_path / "a.csv")
    assert table.to_pylist() == [{"A": None, "B": "NULL"}, {"A": None, "B": ""}]
    assert not typed
