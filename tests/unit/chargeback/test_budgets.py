"""Budget documents are read with every mistake at once, each with its place."""

from typing import Any

import pytest

from catalog.documents import DocumentError
from chargeback.budgets import Budget, load_budgets

KNOWN = {"tenant": ["payroll"], "cost_centre": ["sales"], "tier": ["tier-1"], "pool": ["fra-1"]}

GOOD = """\
budgets:
  payroll-2026:
    title: Payroll in 2026
    tenant: payroll
    tier: tier-1
    labels: {os: linux}
    amount: 1200.50
    currency: EUR
    thresholds: [50, 90, 100]
    first_month: 2026-01
    last_month: 2026-12
  everything:
    amount: 90000
    currency: EUR
    first_month: 2026-07
"""


def load(text: str, **more: Any) -> tuple[Budget, ...]:
    return load_budgets({"b.yaml": text, **more}, KNOWN, {"EUR": 2})


def problems(text: str, **more: Any) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load(text, **more)
    return [str(problem) for problem in caught.value.problems]


def test_a_document_gives_exact_budgets_with_their_defaults() -> None:
    payroll, everything = load(GOOD)
    assert (payroll.minor(2), payroll.tenant, payroll.labels) == (120050, "payroll", {"os": "linux"})
    assert (everything.minor(2), everything.thresholds, everything.last_month) == (
        9_000_000,
        (80, 100),
        None,
    )
    months = ("2025-12", "2026-01", "2026-12", "2027-01")
    assert [payroll.holds(month) for month in months] == [False, True, True, False]


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        (
            "tenant: payroll",
            "tenant: payrol",
            4,
            "there is no tenant of that name; did you mean 'payroll'?",
        ),
        ("tier: tier-1", "tier: gold", 5, "there is no tier of that name; known are tier-1"),
        ("labels: {os: linux}", "labels: {OS: linux}", 6, "'OS' cannot be a label's key"),
        ("amount: 1200.50", "amount: -3", 7, "must be above 0"),
        ("amount: 1200.50", "amount: 1e3", 7, "must be a plain decimal"),
        ("amount: 1200.50", "amount: 0.005", 7, "must have at most 2 decimals, as EUR has"),
        ("    amount: 1200.50\n", "", 2, "amount"),
        (
            "currency: EUR\n    thr",
            "currency: USD\n    thr",
            8,
            "nothing is billed in it; rate cards are in EUR",
        ),
        ("thresholds: [50, 90, 100]", "thresholds: [0]", 9, "must be at least 1"),
        ("thresholds: [50, 90, 100]", "thresholds: [80, 80]", 9, "each threshold stands once"),
        ("first_month: 2026-01", "first_month: 2026-13", 10, "is no month; write it like"),
        ("first_month: 2026-01", "first_month: Jan", 10, "'Jan' is no month; write it like 2026-10"),
        ("last_month: 2026-12", "last_month: 2025-12", 11, "must not be before first_month 2026-01"),
        ("title: Payroll in 2026", "colour: red", 3, "colour"),
    ],
)
def test_a_mistake_is_found_at_its_line_with_what_was_expected(
    old: str, new: str, line: int, what: str
) -> None:
    found = problems(GOOD.replace(old, new))
    assert any(f"b.yaml:{line}:" in one and what in one for one in found), found


def test_all_mistakes_of_all_files_are_told_at_once() -> None:
    other = GOOD.replace("tenant: payroll", "tenant: nobody").replace("amount: 90000", "amount: x")
    found = problems(GOOD.replace("tier: tier-1", "tier: gold"), **{"c.yaml": other})
    assert [one.partition(":")[0] for one in found].count("c.yaml") >= 2
    assert any("b.yaml:5" in one for one in found)
    assert any("the budget 'payroll-2026' stands in two files" in one for one in found)


def test_a_budget_that_is_no_whole_number_of_minor_units_is_refused_where_it_is_used() -> None:
    (_, everything) = load(GOOD)
    assert everything.minor(0) == 90000
    with pytest.raises(ValueError, match=r"payroll-2026: 1200\.5 has more than 0 decimals"):
        load(GOOD)[0].minor(0)
