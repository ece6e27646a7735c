"""A month with pool costs in another currency, and with a commitment: from documents to report and FOCUS files."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from chargeback.focus.columns import Version
from chargeback.focus.rules.releases import Dataset, Release
from tierwise.documents import load as load_documents
from tierwise.errors import InvalidInput
from tierwise.usecases.billing import bill
from tierwise.usecases.focus import export
from tierwise.usecases.focus_checks import check_files
from tierwise.usecases.focus_files import check_file
from tierwise.usecases.ledger import close
from tierwise.usecases.observe import observe
from tierwise.usecases.shared_costs import pass_on, shared_costs

BERLIN = ZoneInfo("Europe/Berlin")
IN_DOLLARS = """
pool_costs:
  hosting:
    {tier: tier-1, currency: USD, per_month: 1000.01, split: {vcpu: 1}, idle: allocation, charge: idle,
     time_zone: Europe/Berlin, valid_from: 2026-01-01, recorded_at: 2025-11-28T10:00:00, source: a contract}
"""
RATES = """
cost_fx:
  dollars:
    {from_currency: USD, to_currency: EUR, max_age_days: 2, time_zone: Europe/Berlin, recorded_at: 2026-10-30T18:00:00,
     rates: [{day: 2026-10-30, rate: 0.92235, source: a central bank}]}
"""
PROMISED = """
adjustments:
  promised:
    {kind: commitment, amount: 500, currency: EUR, applies_to: {tenants: [web-shop]}, cost_centre: sales,
     valid_from: 2026-10, recorded_at: 2026-09-01T12:00:00}
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def with_documents(acme: Any, text: str) -> Any:
    folder: Path = acme.settings.catalog_dir
    (folder / "more.yaml").write_text(text)
    return replace(acme, app=replace(acme.app, documents=load_documents(folder)))


def october(acme: Any) -> None:
    acme.clock.set(at("2026-10-01T00:00:00"))
    acme.deliver("shop-01", tier="tier-1")
    acme.clock.set(at("2026-11-02T09:00:00"))
    observe(acme.app)


def test_a_pool_cost_in_dollars_is_in_the_report_in_euros_and_on_statements(acme: Any) -> None:
    """USD 1000.01 x 0.92235 is 922.3592235: 922.36."""
    acme = with_documents(acme, IN_DOLLARS + RATES)
    october(acme)
    found = shared_costs(acme.app, "2026-10")
    parts = [part for part in found.allocation.parts if part.cost.name == "hosting"]
    assert sum(part.amount_minor for part in parts) == 92236
    note = "USD 1000.01 x 0.92235 EUR of 2026-10-30 (a central bank)"
    mine = [row for row in found.rows if row["rate_id"] == "hosting"]
    assert all(str(row["note"]).endswith(note) for row in mine)
    pass_on(acme.app, "2026-10")
    on = [row for row in bill(acme.app, "2026-10").rows if row["rate_id"] == "hosting"]
    assert {row["currency"] for row in on} == {"EUR"}
    assert sum(row["amount_minor"] for row in on) == sum(p.amount_minor for p in parts if p.kind == "idle")


def test_without_its_rates_the_report_is_refused_with_the_way_out(acme: Any) -> None:
    acme = with_documents(acme, IN_DOLLARS)
    october(acme)
    with pytest.raises(
        InvalidInput, match=r"hosting \(USD\); write it in EUR, or its exchange rates in 'cost_fx:'"
    ):
        shared_costs(acme.app, "2026-10")
    acme = with_documents(acme, IN_DOLLARS + RATES.replace("max_age_days: 2, ", ""))
    with pytest.raises(InvalidInput, match=r"no known rate from USD to EUR of 2026-10-31; add it"):
        shared_costs(acme.app, "2026-10")


@pytest.mark.parametrize("closed", [False, True])
def test_a_commitment_goes_from_its_document_into_every_release_of_focus(
    acme: Any, tmp_path: Path, closed: bool
) -> None:
    acme = with_documents(acme, PROMISED)
    october(acme)
    if closed:
        close(acme.app, "2026-10")
    stated = bill(acme.app, "2026-10").rows
    (shortfall,) = [row for row in stated if row["rate_id"] == "promised"]
    for version in Version:
        done = export(acme.app, "2026-10", tmp_path, version=version)
        release = Release(version.value)
        for dataset in Dataset:
            if (file := done.folder / f"{dataset}.parquet").exists():
                assert check_file(file, release, dataset).findings == ()
        assert [finding for each in check_files([done.folder]).files for finding in each.beside] == []
        rows = pq.read_table(done.folder / "cost-and-usage.parquet").to_pylist()
        assert sum(Fraction(row["BilledCost"]) for row in rows) == Fraction(
            sum(r["amount_minor"] for r in stated), 100
        )
        by_status: dict[Any, Decimal] = defaultdict(Decimal)
        for row in rows:
            if row["CommitmentDiscountId"] == "2026-10/promised/web-shop":
                by_status[row["ChargeCategory"], row["CommitmentDiscountStatus"]] += row[
                    "CommitmentDiscountQuantity"
                ]
        amount = Decimal(shortfall["amount"])
        assert by_status == {("Purchase", None): amount, ("Usage", "Unused"): amount}
        if version is not Version.V1_2:
            (contract,) = pq.read_table(done.folder / "contract-commitment.parquet").to_pylist()
            assert (contract["ContractCommitmentCost"], contract["ContractId"]) == (500, "tenant/web-shop")
