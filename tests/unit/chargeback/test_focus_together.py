"""Datasets that must agree: our own do, and every disagreement that is planted is found under its rule."""

import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chargeback.focus.rules.releases import Dataset
from chargeback.focus.rules.together import LINKS, Part, check_together

sys.path.insert(0, str(Path(__file__).parent))
from focus_planting import APPLIED
from focus_valid import typed, untyped
from focus_valid_later import CONTRACTS_1_3, CONTRACTS_1_4, DETAILS, PERIODS, ROWS_1_4

USAGE, CONTRACTS, PERIOD, DETAIL = Dataset
Row = dict[str, Any]
Delivery = dict[Dataset, list[Row]]

MONTH = {
    "ContractCommitmentPeriodStart": "2026-02-01T00:00:00Z",
    "ContractCommitmentPeriodEnd": "2026-03-01T00:00:00Z",
}
BOUGHT, USED = ROWS_1_4[4], ROWS_1_4[2]


def spent(commitment: str, cost: str) -> str:
    return json.dumps({"Elements": [{"ContractId": "c-1", "ContractCommitmentId": commitment}]}).replace(
        '"}]', f'", "ContractCommitmentAppliedCost": {cost}}}]'
    )


def delivery() -> Delivery:
    """A month of two invoices whose sums were written down by hand: 120.25 and 500 EUR of charges, and a tax of 1.9."""
    plain = {**ROWS_1_4[0], "InvoiceDetailId": "d-1"}
    usage = [
        {**plain, "BilledCost": "100.05"},
        {**plain, "BilledCost": "0.20"},
        {**BOUGHT, "BilledCost": "20", "ContractApplied": (APPLIED % ("c-1", "cd-1")).replace("4,", "100.5,")},
        {**USED, "ContractApplied": (APPLIED % ("c-1", "cd-1")).replace("4,", "40.25,")},
        {**ROWS_1_4[3], "ContractApplied": (APPLIED % ("c-1", "cd-1")).replace("4,", "60.25,")},
        {**plain, "BilledCost": "500", "InvoiceId": "inv-2", "InvoiceDetailId": "d-1", "ContractApplied": spent("cd-2", "499.5")},
        {**ROWS_1_4[6], "InvoiceId": "inv-2", "InvoiceDetailId": "tax"},
        {**plain, "InvoiceId": None, "InvoiceDetailId": None},
    ]  # fmt: skip
    line = DETAILS[0]
    details = [
        {**line, "BilledCost": "120.25"},
        {**line, "InvoiceId": "inv-2", "BilledCost": "500"},
        {
            **line,
            "InvoiceId": "inv-2",
            "InvoiceDetailId": "tax",
            "ChargeCategory": "Tax",
            "BilledCost": "1.9",
        },
    ]
    contracts = [
        {**CONTRACTS_1_4[0], **MONTH, "ContractCommitmentQuantity": "100.5"},
        {**CONTRACTS_1_4[1], **MONTH, "ContractCommitmentCost": "500"},
    ]
    return {USAGE: usage, CONTRACTS: contracts, PERIOD: PERIODS, DETAIL: details}


def found(rows: Delivery, *, as_csv: bool = False) -> dict[str, list[tuple[Dataset, tuple[int, ...]]]]:
    make = untyped if as_csv else typed
    parts = {dataset: Part(make(each), typed=not as_csv) for dataset, each in rows.items()}
    seen: dict[str, list[tuple[Dataset, tuple[int, ...]]]] = {}
    for dataset, findings in check_together(parts).findings.items():
        for finding in findings:
            seen.setdefault(finding.rule, []).append((dataset, finding.first))
    return seen


@pytest.mark.parametrize("as_csv", [False, True])
def test_datasets_that_agree_have_no_finding(as_csv: bool) -> None:
    assert found(delivery(), as_csv=as_csv) == {}


def test_every_rule_between_datasets_is_looked_at_where_all_are_there() -> None:
    parts = {dataset: Part(typed(rows), typed=True) for dataset, rows in delivery().items()}
    assert check_together(parts).checked == {link.id for link in LINKS}
    assert len(LINKS) == len({link.id for link in LINKS})


class Planted(NamedTuple):
    """A cell that is changed, and the rules that forbid what it says then; others may follow from it."""

    dataset: Dataset
    row: int
    column: str
    value: Any
    rules: tuple[str, ...]


SUMS = ("IND-BilledCost-9.1", "IND-BilledCost-10.1")
NO_LINE = ("CAU-IND-InvoiceDetailId",)
ANOTHER = "2026-04-01T00:00:00Z"


def times(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def in_charges() -> Iterator[Planted]:
    rows = delivery()
    for row in range(7):
        invoice = rows[USAGE][row]["InvoiceId"]
        lost = SUMS if row in {0, 2, 5} else ("IND-BilledCost-10.1",) if row == 6 else ()
        yield Planted(USAGE, row, "InvoiceId", "inv-9", ("CAU-IND-InvoiceId", *NO_LINE, *lost))
        yield Planted(
            USAGE,
            row,
            "InvoiceIssuerName",
            "Another",
            ("CAU-IND-InvoiceId", "CAU-BPD-BillingPeriodStart", *lost),
        )
        yield Planted(USAGE, row, "InvoiceDetailId", f"{invoice}-x", (*NO_LINE, *lost[-1:]))
        yield Planted(
            USAGE,
            row,
            "BillingCurrency",
            "USD",
            ("CAU-IND-BillingCurrency", *lost),
        )
        yield Planted(USAGE, row, "BillingAccountId", "ba-2", ("CAU-IND-BillingAccountId",))
        yield Planted(
            USAGE,
            row,
            "BillingPeriodStart",
            ANOTHER,
            ("CAU-BPD-BillingPeriodStart",),
        )
        yield Planted(USAGE, row, "BillingPeriodEnd", ANOTHER, ("CAU-BPD-BillingPeriodStart",))
        if row != 6:
            yield Planted(
                USAGE,
                row,
                "ChargeCategory",
                "Tax",
                ("CAU-IND-ChargeCategory",),
            )
            yield Planted(USAGE, row, "BilledCost", "9000", SUMS)
            yield Planted(
                USAGE,
                row,
                "BilledCost",
                str(Decimal(rows[USAGE][row]["BilledCost"]) + Decimal("0.01")),
                ("IND-CAU-BilledCost",),
            )
    yield Planted(USAGE, 6, "BilledCost", "9000", ("IND-BilledCost-10.1",))
    yield Planted(USAGE, 6, "ChargeCategory", "Usage", ("CAU-IND-ChargeCategory",))


def in_commitments() -> Iterator[Planted]:
    applied = [row["ContractApplied"] for row in delivery()[USAGE]]
    for row, own in ((2, "cd-1"), (3, "cd-1"), (4, "cd-1"), (5, "cd-2")):
        sums = ("CCT-CAU-ContractCommitmentId",) if row in {3, 4} else ()
        yield Planted(
            USAGE,
            row,
            "ContractApplied",
            times(applied[row], own, "cd-9"),
            ("CAU-CCT-ContractCommitmentId", *sums),
        )
        yield Planted(
            USAGE, row, "ContractApplied", times(applied[row], "c-1", "c-9"), ("CAU-CCT-ContractId",)
        )
        yield Planted(
            USAGE,
            row,
            "BillingCurrency",
            "USD",
            ("CAU-CCT-BillingCurrency",),
        )
    for row in (2, 3, 4):
        yield Planted(
            USAGE,
            row,
            "ContractApplied",
            times(applied[row], "Core-Hours", "GiB-Hours"),
            ("CAU-CCT-ContractCommitmentUnit", "CCT-CAU-ContractCommitmentId"),
        )
    for row in (3, 4, 5):
        for moment in ("2026-01-31T23:59:59Z", "2026-03-01T00:00:00Z"):
            yield Planted(USAGE, row, "ChargePeriodStart", moment, ("CAU-CCT-ContractCommitmentPeriod",))
    yield Planted(
        USAGE,
        3,
        "ContractApplied",
        times(applied[3], "40.25", "40.25000001"),
        ("CCT-CAU-ContractCommitmentId", "CCT-CAU-ContractCommitmentQuantity"),
    )
    yield Planted(
        USAGE, 4, "ContractApplied", times(applied[4], "60.25", "60"), ("CCT-CAU-ContractCommitmentId",)
    )
    yield Planted(
        USAGE,
        5,
        "ContractApplied",
        times(applied[5], "499.5", "500.01"),
        ("CCT-CAU-ContractCommitmentCost",),
    )
    yield Planted(
        CONTRACTS, 0, "ContractCommitmentQuantity", "100.49", ("CCT-CAU-ContractCommitmentQuantity",)
    )
    yield Planted(CONTRACTS, 1, "ContractCommitmentCost", "499.49", ("CCT-CAU-ContractCommitmentCost",))
    for row in (0, 1):
        yield Planted(CONTRACTS, row, "ContractCommitmentId", "cd-9", ("CAU-CCT-ContractCommitmentId",))
        yield Planted(CONTRACTS, row, "ContractId", "c-9", ("CAU-CCT-ContractId",))
        yield Planted(CONTRACTS, row, "BillingCurrency", "USD", ("CAU-CCT-BillingCurrency",))
        yield Planted(
            CONTRACTS,
            row,
            "ContractCommitmentPeriodStart",
            "2026-02-20T00:00:00Z",
            ("CAU-CCT-ContractCommitmentPeriod",),
        )
        yield Planted(
            CONTRACTS,
            row,
            "ContractCommitmentPeriodEnd",
            "2026-02-05T00:00:00Z",
            ("CAU-CCT-ContractCommitmentPeriod",),
        )
    yield Planted(CONTRACTS, 0, "ContractCommitmentUnit", "GiB-Hours", ("CAU-CCT-ContractCommitmentUnit",))


def in_invoices() -> Iterator[Planted]:
    months = ("CAU-BPD-BillingPeriodStart", "IND-BPD-BillingPeriodStart")
    for column, value in (
        ("BillingPeriodStart", ANOTHER),
        ("BillingPeriodEnd", ANOTHER),
        ("InvoiceIssuerName", "Another"),
    ):
        yield Planted(PERIOD, 0, column, value, months)
    yield Planted(
        PERIOD, 0, "BillingPeriodLastUpdated", "2026-02-28T23:59:59Z", ("IND-InvoiceDetailCreated-5",)
    )
    for row, cost in enumerate(("120.25", "500", "1.9")):
        lost = ("IND-BilledCost-10.1",) if row == 2 else SUMS
        yield Planted(
            DETAIL, row, "InvoiceDetailCreated", "2026-03-02T00:00:01Z", ("IND-InvoiceDetailCreated-5",)
        )
        yield Planted(DETAIL, row, "InvoiceIssueStatus", "Open", ("IND-BPD-InvoiceIssueStatus",))
        yield Planted(
            DETAIL,
            row,
            "BillingPeriodStart",
            ANOTHER,
            ("IND-BPD-BillingPeriodStart", "IND-BillingPeriodStart-5"),
        )
        yield Planted(
            DETAIL,
            row,
            "BillingPeriodEnd",
            ANOTHER,
            ("IND-BPD-BillingPeriodStart", "IND-BillingPeriodEnd-5"),
        )
        yield Planted(
            DETAIL,
            row,
            "InvoiceIssuerName",
            "Another",
            ("IND-BPD-BillingPeriodStart", *NO_LINE),
        )
        yield Planted(DETAIL, row, "BillingAccountId", "ba-2", ("CAU-IND-BillingAccountId",))
        yield Planted(DETAIL, row, "BillingCurrency", "USD", ("CAU-IND-BillingCurrency", *lost))
        yield Planted(
            DETAIL,
            row,
            "InvoiceId",
            "inv-9",
            NO_LINE,
        )
        yield Planted(
            DETAIL,
            row,
            "InvoiceDetailId",
            "d-9",
            (*NO_LINE, "IND-CAU-InvoiceDetailId", "IND-BilledCost-10.1"),
        )
        yield Planted(DETAIL, row, "BilledCost", str(Decimal(cost) + Decimal("1.01")), lost)
        yield Planted(
            DETAIL, row, "BilledCost", str(Decimal(cost) - Decimal("0.01")), ("IND-CAU-BilledCost",)
        )
    for row in (0, 1):
        yield Planted(DETAIL, row, "ChargeCategory", "Credit", ("CAU-IND-ChargeCategory",))
    yield Planted(DETAIL, 2, "ChargeCategory", "Usage", ("CAU-IND-ChargeCategory",))


CASES = [*in_charges(), *in_commitments(), *in_invoices()]


@pytest.mark.parametrize("as_csv", [False, True])
def test_every_planted_disagreement_is_found_under_its_rules(as_csv: bool) -> None:
    missed = []
    for error in CASES:
        rows = delivery()
        rows[error.dataset] = [
            {**row, error.column: error.value} if i == error.row else row
            for i, row in enumerate(rows[error.dataset])
        ]
        seen = found(rows, as_csv=as_csv)
        missed += [f"{error}: {sorted(seen)}"] if not set(error.rules) <= set(seen) else []
    assert not missed, "\n".join(missed)
    assert len(CASES) >= 120


def test_every_rule_between_datasets_has_a_planted_error() -> None:
    assert {rule for error in CASES for rule in error.rules} == {link.id for link in LINKS}


def without(rows: Delivery, dataset: Dataset, wrong: Callable[[Row], bool]) -> Delivery:
    return {**rows, dataset: [row for row in rows[dataset] if not wrong(row)]}


def test_a_row_that_is_missing_is_found_from_either_side() -> None:
    rows = delivery()
    assert "CAU-CCT-ContractCommitmentId" in found(
        without(rows, CONTRACTS, lambda row: row["ContractCommitmentId"] == "cd-1")
    )
    assert "CAU-IND-InvoiceId" in found(without(rows, DETAIL, lambda row: row["InvoiceId"] == "inv-2"))
    lost = found(without(rows, USAGE, lambda row: row["InvoiceId"] == "inv-2"))
    assert lost["IND-CAU-InvoiceDetailId"] == [(DETAIL, (2, 3))]
    assert {"IND-BilledCost-9.1", "IND-BilledCost-10.1"} <= lost.keys()


def test_what_is_open_may_differ_but_not_its_references() -> None:
    rows = delivery()
    rows[PERIOD] = [{**row, "BillingPeriodStatus": "Open"} for row in rows[PERIOD]]
    rows[DETAIL] = [{**row, "InvoiceIssueStatus": "Open", "BilledCost": "77"} for row in rows[DETAIL]]
    assert found(rows) == {}
    rows[DETAIL] = rows[DETAIL][1:]
    assert set(found(rows)) == {"CAU-IND-InvoiceId", "CAU-IND-InvoiceDetailId"}


@pytest.mark.parametrize(
    ("currency", "off", "rows", "rule"),
    [
        ("EUR", "1.00", 1, "IND-CAU-BilledCost"), ("EUR", "1.000001", 1, "IND-BilledCost-10.1"),
        ("JPY", "100", 1, "IND-CAU-BilledCost"), ("JPY", "100.01", 1, "IND-BilledCost-10.1"),
        ("KWD", "0.1", 1, "IND-CAU-BilledCost"), ("KWD", "0.101", 1, "IND-BilledCost-10.1"),
        # Half of the root of 40,804 rows is 101 cents.
        ("EUR", "1.01", 40_804, "IND-CAU-BilledCost"), ("EUR", "1.02", 40_804, "IND-BilledCost-10.1"),
        ("EUR", "0.0099", 1, ""),
    ],
)  # fmt: skip
def test_sums_may_be_off_by_100_subunits_or_half_the_root_of_the_rows(
    currency: str, off: str, rows: int, rule: str
) -> None:
    usage = {**ROWS_1_4[0], "BillingCurrency": currency, "BilledCost": "1"}
    billed = str(rows + Decimal(off))
    detail = {**DETAILS[0], "BillingCurrency": currency, "BilledCost": billed}
    seen = found({USAGE: [usage] * rows, DETAIL: [detail]})
    assert set(seen) - {"IND-BilledCost-9.1"} == ({rule} - {""})


def test_a_commitment_whose_charges_are_not_all_there_may_be_bought_elsewhere() -> None:
    rows = delivery()
    for change in (
        {"ContractCommitmentPeriodEnd": "2026-12-01T00:00:00Z"},
        {"ContractCommitmentFulfillmentInterval": "Hourly"},
    ):
        longer = [{**row, **change, "ContractCommitmentQuantity": "1"} for row in rows[CONTRACTS][:1]]
        seen = found({**rows, CONTRACTS: [*longer, rows[CONTRACTS][1]]})
        assert seen == {}, change


def test_a_purchase_of_another_thing_counts_against_a_promise_without_being_its_price() -> None:
    rows = delivery()
    rows[USAGE][5] = {**rows[USAGE][5], "ChargeCategory": "Purchase"}
    assert found({each: rows[each] for each in (USAGE, CONTRACTS)}) == {}


def test_files_of_1_3_are_compared_by_what_they_have() -> None:
    rows = delivery()
    older = [{**row, **MONTH, "ContractCommitmentQuantity": "100.5"} for row in CONTRACTS_1_3[:1]]
    capitals = [
        {**row, "ContractApplied": row["ContractApplied"] and row["ContractApplied"].replace("Id", "ID")}
        for row in rows[USAGE][:5]
    ]
    assert found({USAGE: capitals, CONTRACTS: older}) == {}
    lost = found({USAGE: capitals, CONTRACTS: [{**older[0], "ContractCommitmentQuantity": "100"}]})
    assert set(lost) == {"CCT-CAU-ContractCommitmentQuantity"}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"Elements": 1}',
        '{"Elements": [1, {}, {"ContractId": 1}]}',
        "[" * 100_000,
        '{"Elements": null}',
    ],
)
def test_what_is_no_contract_applied_is_left_to_the_rules_of_its_column(text: str) -> None:
    rows = delivery()
    rows[USAGE][0] = {**rows[USAGE][0], "ContractApplied": text}
    assert found(rows) == {}


@pytest.mark.parametrize("as_csv", [False, True])
def test_empty_datasets_and_nulls_break_nothing(as_csv: bool) -> None:
    rows = delivery()
    nothing = {dataset: [dict.fromkeys(each[0])] for dataset, each in rows.items()}
    assert found(nothing, as_csv=as_csv) == {}
    parts = {dataset: Part(typed(each).slice(0, 0), typed=True) for dataset, each in rows.items()}
    assert all(not findings for findings in check_together(parts).findings.values())


def test_a_rule_is_looked_at_only_where_its_columns_are() -> None:
    rows = delivery()
    few = [{"InvoiceId": row["InvoiceId"]} for row in rows[USAGE]]
    parts = {USAGE: Part(untyped(few), typed=False), DETAIL: Part(typed(rows[DETAIL]), typed=True)}
    assert check_together(parts).checked == frozenset()
