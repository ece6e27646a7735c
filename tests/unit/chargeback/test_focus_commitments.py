"""Commitments in FOCUS: the parts of a line add up to it, and what was bought is what was used and what was not.

Sums are recounted from the exported columns alone, by FOCUS's own definitions.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.focus.columns import Version
from chargeback.focus.commitments import NO_COMMITMENTS, Commitments, commitments_of, with_commitments
from chargeback.focus.contracts import contract_commitment
from chargeback.focus.export import Context, cost_and_usage
from chargeback.focus.invoices import invoice_detail
from chargeback.focus.rules.checking import SUPPORTED, check
from chargeback.focus.rules.releases import Dataset, Release, recognised
from chargeback.periods import BillingPeriod
from chargeback.quotes import Held, charges_of
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.statements import statements
from chargeback.terms import Terms

sys.path.insert(0, str(Path(__file__).parent))
from focus_valid import statement_row

OCTOBER = BillingPeriod.parse("2026-10", "UTC")
CONTEXT = Context(issuer="ACME IT", tiers={"tier-1": "Production"})
OURS = SUPPORTED | {
    "COMMITMENT_DISCOUNT_SUPPORTED", "CONTRACT_COMMITMENTS_SUPPORTED", "PAYABLE_INVOICES_SUPPORTED",
    "DATA_GENERATOR_SPLIT_COST_ALLOCATION_SUPPORTED",
}  # fmt: skip
RATE = (
    "id: c, tier: tier-1, metric: vcpu, unit: vcpu-hour, valid_from: 2020-01-01, window: {window}, "
    "shape: {{kind: commitment, committed: {committed}, amount: {amount}, overage: {overage}}}"
)
KNOWN = OCTOBER.t_to + 5


@pytest.fixture
def committed(card_of: Callable[..., RateCard]) -> Callable[..., RateCard]:
    def make(
        window: str = "machine-month", committed: str = "1000", amount: str = "20",
        overage: str = "{kind: unit, price: 0.05}",
    ) -> RateCard:  # fmt: skip
        return card_of(RATE.format(window=window, committed=committed, amount=amount, overage=overage))

    return make


def rows_of(card: RateCard, *machines: tuple[str, str, int, int], terms: Terms | None = None) -> list[Any]:
    """October's rows of machines: (machine, tenant, vcpu, hours from the month's start)."""
    held = [
        Held(machine, tenant, "cc-1", "tier-1", "pool-a", "", "vcpu", vcpu, "on", OCTOBER.t_from,
             OCTOBER.t_from + hours * 3600)
        for machine, tenant, vcpu, hours in machines
    ]  # fmt: skip
    found = statements(
        charges_of(held, card, [OCTOBER]), card, terms or Terms(), known_at=KNOWN, periods=[OCTOBER]
    )
    return [row for statement in found for row in statement.rows()]


def tables(rows: list[Any], held: Commitments, version: Version) -> dict[Dataset, Any]:
    parts = with_commitments(rows, held, OCTOBER)
    found = {Dataset.COST_AND_USAGE: cost_and_usage(parts, OCTOBER, CONTEXT, version)}
    if version is not Version.V1_2:
        found[Dataset.CONTRACT_COMMITMENT] = contract_commitment(
            rows, held, OCTOBER, CONTEXT, KNOWN, version
        )
    if version is Version.V1_4:
        found[Dataset.INVOICE_DETAIL] = invoice_detail(parts, OCTOBER, CONTEXT, KNOWN, closed=True)
    return found


def exported(rows: list[Any], held: Commitments) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables(rows, held, Version.V1_4)[Dataset.COST_AND_USAGE].to_pylist()
    return found


def total(rows: list[dict[str, Any]], column: str, **where: Any) -> Decimal:
    picked = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return sum((row[column] for row in picked if row[column] is not None), Decimal(0))


def short(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("ChargeCategory", "CommitmentDiscountStatus", "BilledCost", "EffectiveCost",
             "CommitmentDiscountQuantity", "ConsumedQuantity")  # fmt: skip
    return tuple(row[name] if row[name] is None else f"{row[name]}" for name in names)


def worked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        None if each is None else f"{Decimal(each).normalize():f}" if each[0].isdigit() else each
        for each in row
    )


def test_a_machine_beyond_its_commitment_is_a_purchase_its_use_and_the_rest(
    committed: Callable[..., RateCard],
) -> None:
    """2 vCPU x 744 h = 1488 vcpu-hours: 1000 for 20.00, 488 x 0.05 = 24.40."""
    card = committed()
    rows = rows_of(card, ("m-1", "shop", 2, 744))
    found = exported(rows, commitments_of([card], Terms(), OCTOBER, KNOWN))
    assert [worked(short(row)) for row in found] == [
        ("Purchase", None, "20", "0", "1000", None),
        ("Usage", "Used", "0", "20", "1000", "3600000"),
        ("Usage", None, "24.4", "24.4", None, "1756800"),
    ]
    assert {row["CommitmentDiscountId"] for row in found[:2]} == {"2026-10/c/shop/m-1"}
    assert (found[0]["ResourceId"], found[1]["ResourceId"], found[2]["ResourceId"]) == (
        "2026-10/c/shop/m-1", "m-1", "m-1",
    )  # fmt: skip
    assert (found[2]["ListUnitPrice"], found[2]["PricingQuantity"]) == (Decimal("0.05"), 488)
    assert json.loads(found[1]["ContractApplied"]) == {"Elements": [{
        "ContractId": "tenant/shop", "ContractCommitmentId": "2026-10/c/shop/m-1",
        "ContractCommitmentAppliedQuantity": 1000, "ContractCommitmentAppliedUnit": "Core-Hours",
    }]}  # fmt: skip


def test_what_a_commitment_has_left_is_a_charge_of_its_own(committed: Callable[..., RateCard]) -> None:
    """250 of 1000 used: 5.00 of the 20.00."""
    card = committed()
    rows = rows_of(card, ("m-1", "shop", 1, 250))
    found = exported(rows, commitments_of([card], Terms(), OCTOBER, KNOWN))
    assert [worked(short(row)) for row in found] == [
        ("Purchase", None, "20", "0", "1000", None),
        ("Usage", "Used", "0", "5", "250", "900000"),
        ("Usage", "Unused", "0", "15", "750", None),
    ]


def test_a_tenants_commitment_is_shared_by_its_machines_and_not_by_other_tenants(
    committed: Callable[..., RateCard],
) -> None:
    card = committed("tenant-month")
    rows = rows_of(card, ("m-1", "shop", 1, 500), ("m-2", "shop", 3, 500), ("m-3", "bank", 1, 100))
    found = exported(rows, commitments_of([card], Terms(), OCTOBER, KNOWN))
    assert {row["CommitmentDiscountId"] for row in found} == {"2026-10/c/shop", "2026-10/c/bank", None}
    shop = {"CommitmentDiscountId": "2026-10/c/shop"}
    assert total(found, "CommitmentDiscountQuantity", ChargeCategory="Purchase", **shop) == 1000
    assert total(found, "BilledCost", ChargeCategory="Purchase", **shop) == 20
    assert total(found, "BilledCost", SubAccountId="shop") == 70, "20 + 1000 x 0.05"


def conserved(rows: list[Any], found: list[dict[str, Any]]) -> None:
    """Nothing is lost per line; and for each commitment, bought = used + not used, in money and in quantity."""
    by_line: dict[str, Decimal] = defaultdict(Decimal)
    for row in found:
        by_line[row["x_LineId"]] += row["BilledCost"]
    assert dict(by_line) == {row["line"]: Decimal(row["amount"]) for row in rows}
    for whole in {row["CommitmentDiscountId"] for row in found} - {None}:
        of = {"CommitmentDiscountId": whole}
        bought = [
            total(found, name, ChargeCategory="Purchase", **of)
            for name in ("BilledCost", "CommitmentDiscountQuantity")
        ]
        spent = [
            total(found, name, ChargeCategory="Usage", **of)
            for name in ("EffectiveCost", "CommitmentDiscountQuantity")
        ]
        assert bought == spent
        assert total(found, "EffectiveCost", ChargeCategory="Purchase", **of) == 0
        assert total(found, "BilledCost", ChargeCategory="Usage", **of) == 0


@settings(max_examples=30, deadline=None)
@given(
    machines=st.lists(
        st.tuples(
            st.sampled_from(["m-1", "m-2", "m-3"]), st.sampled_from(["shop", "bank"]), st.integers(1, 9), st.integers(1, 744)
        ),
        min_size=1, max_size=4, unique_by=lambda each: each[:2],
    ),
    window=st.sampled_from(["machine-month", "tenant-month", "machine-day"]),
    committed=st.sampled_from(["1", "3", "700", "1000.5", "100000"]),
    amount=st.sampled_from(["0", "0.01", "19.99", "1000"]),
    overage=st.sampled_from([
        "{kind: unit, price: 0.05}", "{kind: unit, price: 0}",
        "{kind: graduated, tiers: [{to: 10, price: 0.333}, {price: 0.1}]}",
    ]),
)  # fmt: skip
def test_whatever_runs_nothing_is_lost_and_the_checker_finds_nothing(
    machines: list[Any], window: str, committed: str, amount: str, overage: str
) -> None:
    text = RATE.format(window=window, committed=committed, amount=amount, overage=overage)
    card = card_from(text)
    rows = rows_of(card, *machines)
    held = commitments_of([card], Terms(), OCTOBER, KNOWN)
    conserved(rows, exported(rows, held))
    for version in Version:
        for dataset, table in tables(rows, held, version).items():
            if table.num_rows:
                assert recognised(table.column_names) == (Release(version.value), dataset)
            report = check(
                table, typed=True, supported=OURS, release=Release(version.value), dataset=dataset
            )
            assert [str(finding) for finding in report.findings] == []


def card_from(rate: str) -> RateCard:
    text = (
        "rate_cards:\n  test:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n    time_zone: UTC\n"
        f"    recorded_at: 2000-01-01T00:00:00Z\n    rates:\n      - {{{rate}}}\n"
    )
    (card,) = load_rate_cards({"card.yaml": text}, ("tier-1",))
    return card


PROMISED = {
    "kind": "commitment", "name": "promised", "amount": "75", "currency": "EUR", "overage_factor": "0.8",
    "applies_to": {"tenants": ["shop"], "tiers": ["tier-1"]}, "cost_centre": "cc-1", "valid_from": "2026-01",
    "recorded_at": 1000,
}  # fmt: skip


def promised(**more: Any) -> Terms:
    return Terms.model_validate({"adjustments": [PROMISED | more]})


UNIT = "id: u, tier: tier-1, metric: vcpu, unit: vcpu-hour, price: 0.1, valid_from: 2020-01-01"


def test_a_shortfall_is_bought_and_not_used(card_of: Callable[..., RateCard]) -> None:
    """60.00 of 75.00 were used; the other 15.00 are bought and lie idle."""
    card, terms = card_of(UNIT), promised()
    rows = rows_of(card, ("m-1", "shop", 1, 600), terms=terms)
    held = commitments_of([card], terms, OCTOBER, KNOWN)
    found = exported(rows, held)
    assert [worked(short(row)) for row in found] == [
        ("Usage", None, "60", "60", None, "2160000"),
        ("Purchase", None, "15", "0", "15", None),
        ("Usage", "Unused", "0", "15", "15", None),
    ]
    assert (found[1]["CommitmentDiscountCategory"], found[1]["CommitmentDiscountUnit"]) == ("Spend", "EUR")
    conserved(rows, found)
    for version in Version:
        for dataset, table in tables(rows, held, version).items():
            report = check(
                table, typed=True, supported=OURS, release=Release(version.value), dataset=dataset
            )
            assert [str(finding) for finding in report.findings] == []


def test_what_overage_costs_less_stays_an_adjustment(card_of: Callable[..., RateCard]) -> None:
    card, terms = card_of(UNIT), promised(amount="50")
    rows = rows_of(card, ("m-1", "shop", 1, 600), terms=terms)
    found = exported(rows, commitments_of([card], terms, OCTOBER, KNOWN))
    assert [(row["ChargeCategory"], f"{row['BilledCost']:.2f}") for row in found] == [
        ("Usage", "60.00"), ("Adjustment", "-2.00"),
    ]  # fmt: skip
    assert {row["CommitmentDiscountId"] for row in found} == {None}


def test_contracts_are_the_commitments_of_lines_and_those_of_terms_used_or_not(
    committed: Callable[..., RateCard],
) -> None:
    card, terms = committed(), promised()
    rows = rows_of(card, ("m-1", "bank", 1, 250), terms=terms)
    table = contract_commitment(
        rows, commitments_of([card], terms, OCTOBER, KNOWN), OCTOBER, CONTEXT, KNOWN, Version.V1_4
    )
    usage, spend = table.to_pylist()
    assert (usage["ContractCommitmentId"], spend["ContractCommitmentId"]) == (
        "2026-10/c/bank/m-1", "2026-10/promised/shop",
    )  # fmt: skip
    assert (usage["ContractCommitmentQuantity"], usage["ContractCommitmentUnit"]) == (1000, "Core-Hours")
    # A committed hour costs 0.02, one above it 0.05; beyond the promise a fifth is off.
    assert usage["ContractCommitmentDiscountPercentage"] == Decimal("0.6")
    assert spend["ContractCommitmentDiscountPercentage"] == Decimal("0.2")
    assert (spend["ContractCommitmentCost"], spend["ContractCommitmentCategory"]) == (75, "Spend")
    assert {row["ContractCommitmentLifecycleStatus"] for row in (usage, spend)} == {"Expired"}
    dimensions = {
        rule["Dimension"]: rule["Values"]
        for rule in json.loads(spend["ContractCommitmentApplicability"])["Inclusions"]
    }
    assert dimensions == {"SubAccountId": ["shop"], "ServiceName": ["Production"]}
    complex_ = promised(applies_to={"tenants": ["shop"], "labels": {"os": "linux"}})
    (row,) = contract_commitment(
        [], commitments_of([], complex_, OCTOBER, KNOWN), OCTOBER, CONTEXT, OCTOBER.t_from + 5
    ).to_pylist()
    assert json.loads(row["ContractCommitmentApplicability"]) == {"IsComplexScope": True}
    assert row["ContractCommitmentLifecycleStatus"] == "Active"


def test_corrections_and_what_is_taken_back_stay_whole(committed: Callable[..., RateCard]) -> None:
    card = committed()
    held = commitments_of([card], Terms(), OCTOBER, KNOWN)
    base = {
        "rate_id": "c",
        "rate_card": "test v1",
        "unit": "vcpu-hour",
        "rate": "20 for 1000 committed, then 0.05",
    }
    for row in (
        statement_row(**base, charge_class="Correction"),
        statement_row(**base, quantity="-3", amount="-1.00", amount_minor=-100, list_amount_minor=-100),
        statement_row(**base, amount="0.00", amount_minor=0, list_amount_minor=0),
    ):
        assert with_commitments([row], held, OCTOBER) == [row]


def test_rows_without_a_commitment_are_the_rows(acme: RateCard) -> None:
    rows = [statement_row(), statement_row(rate_id="promised", charge_category="Adjustment", rate="")]
    assert with_commitments(rows, NO_COMMITMENTS, OCTOBER) == rows
    assert commitments_of([acme], Terms(), OCTOBER, KNOWN) == NO_COMMITMENTS


def test_amounts_in_another_currency_are_split_in_it(committed: Callable[..., RateCard]) -> None:
    """The line as billed in USD at 1.0842: 20 and 24.40 EUR are 21.684 and 26.45448 USD."""
    row = statement_row(
        rate_id="c", rate_card="test v1", unit="vcpu-hour", quantity="1488", currency="USD", amount="48.14",
        amount_minor=4814, list_amount_minor=4814, rate="20 for 1000 committed, then 0.05",
    )  # fmt: skip
    found = exported([row], commitments_of([committed()], Terms(), OCTOBER, KNOWN))
    assert [f"{line['BilledCost']:.2f}" for line in found] == ["21.68", "0.00", "26.46"]
    conserved([row], found)
    assert Fraction(found[1]["ContractedUnitPrice"]) == Fraction(2168, 100_000)
