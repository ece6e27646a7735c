"""Each kind of term, with figures worked out by hand."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chargeback import adjustments
from chargeback.adjustment import Stage, Term
from chargeback.adjustments import kinds
from chargeback.charges import Charge
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.statements import COLUMNS, Statement, statements
from chargeback.terms import Terms

OCTOBER = BillingPeriod.parse("2026-10", "UTC")
Bill = Callable[..., Statement]
Make = Callable[..., Any]

SHOP = {"tenants": ["shop"]}


def amounts(statement: Statement) -> list[int]:
    return [adjustment.amount_minor for adjustment in statement.adjustments]


def test_every_file_is_a_kind_of_its_own_name_with_a_stage_of_its_own() -> None:
    assert len(kinds()) == 8
    for name, kind in kinds().items():
        assert kind.model_fields["kind"].annotation.__args__ == (name,)  # type: ignore[union-attr] # it is a Literal
    assert sorted(kind.stage for kind in kinds().values()) == sorted(Stage)


def test_a_percentage_is_rounded_once_and_split_to_the_cent(bill: Bill, charge: Make, term: Make) -> None:
    # 10 % of 3 x 33.35 = 100.05 is 10.005, so 10.01: 3.34 + 3.34 + 3.33.
    statement = bill([charge(3335, f"m-{i}") for i in range(3)], term("percentage_discount", percent=10))
    assert amounts(statement) == [-334, -334, -333]
    assert statement.total_minor == 10005 - 1001
    first = statement.adjustments[0]
    assert first.note == "percentage discount 't': 10 % of EUR 100.05 = EUR -10.01; share of this row -3.34"
    assert first.id == "2026-10/shop/cc-1/tier-1/adjustment/t/m-0"
    assert [step.amount for step in first.steps] == ["", "EUR 100.05", "EUR -10.01", "EUR -3.34"]


@pytest.mark.parametrize(
    ("cents", "whole", "graduated"),
    [
        (99_999, 0, 0),
        (100_000, -5_000, 0),
        (150_000, -7_500, -2_500),
        (500_000, -50_000, -20_000),
        (700_000, -70_000, -40_000),
    ],
)
def test_volume_steps_count_for_all_of_the_month_or_each_for_its_own_band(
    bill: Bill, charge: Make, term: Make, cents: int, whole: int, graduated: int
) -> None:
    # 5 % from 1000, 10 % from 5000. Graduated, 7000 are 4000 at 5 % and 2000 at 10 %.
    steps = [{"from_amount": 1000, "percent": 5}, {"from_amount": "5000.00", "percent": 10}]
    for mode, expected in (("whole", whole), ("graduated", graduated)):
        discount = term("percentage_discount", steps=steps, currency="EUR", mode=mode)
        assert sum(amounts(bill([charge(cents)], discount))) == expected


def test_a_fixed_discount_takes_no_more_than_there_is(bill: Bill, charge: Make, term: Make) -> None:
    discount = term("fixed_discount", amount="25.00", currency="EUR")
    assert bill([charge(10_000)], discount).total_minor == 7_500
    assert bill([charge(1_000), charge(999, "m-2")], discount).total_minor == 0


@pytest.mark.parametrize(("percent", "expected"), [("12.5", 125), (-20, -200), (-100, -1000)])
def test_a_tag_factor_changes_only_lines_with_the_label(
    bill: Bill, charge: Make, term: Make, percent: Any, expected: int
) -> None:
    factor = term("tag_factor", percent=percent, applies_to={"labels": {"os": "windows"}})
    charges = [
        charge(1000, "m-1", labels="class=web,os=windows"),
        charge(1000, "m-2", labels="os=linux"),
        charge(1000, "m-3"),
    ]
    statement = bill(charges, factor)
    assert [(a.cell.machine, a.amount_minor) for a in statement.adjustments] == [("m-1", expected)]


def months(charge: Make, *cents: int) -> list[Charge]:
    period, found = OCTOBER, []
    for amount in cents:
        found.append(charge(amount, period=period))
        period = period.next
    return found


def totals(found: list[Statement]) -> list[int]:
    return [statement.total_minor for statement in found]


def test_a_credit_is_used_up_over_months_in_their_order(card: RateCard, charge: Make, term: Make) -> None:
    terms = Terms(adjustments=(term("credit", amount=150, currency="EUR"),))
    found = statements(months(charge, 10_000, 3_000, 4_000, 500), card, terms)
    assert totals(found) == [0, 0, 2_000, 500]
    assert [a.note for a in found[2].adjustments] == [
        "credit 't': EUR 20.00 of EUR 20.00 left of EUR 150.00; EUR 0.00 remains"
    ]
    assert found[3].adjustments == ()
    assert {row["charge_category"] for row in found[0].rows()} == {"Usage", "Credit"}


def test_each_tenant_has_a_credit_of_its_own_and_what_is_left_at_its_end_is_lost(
    card: RateCard, charge: Make, term: Make
) -> None:
    terms = Terms(adjustments=(term("credit", amount=100, currency="EUR", valid_to="2026-11"),))
    charges = [*months(charge, 6_000, 6_000), charge(9_000, tenant="bank")]
    found = statements(charges, card, terms)
    assert {s.id: s.total_minor for s in found} == {
        "2026-10/bank": 0,
        "2026-10/shop": 0,
        "2026-11/shop": 6_000,
    }


def test_a_credit_in_another_ones_place_has_lost_what_that_one_paid(
    card: RateCard, charge: Make, term: Make
) -> None:
    first = term("credit", "first", amount=150, currency="EUR")
    more = term("credit", "more", amount=170, currency="EUR", replaces=["first"], recorded_at=5,
                valid_from="2026-11")  # fmt: skip
    terms = Terms(adjustments=(first, more))
    charges = months(charge, 10_000, 10_000)
    assert totals(statements(charges, card, terms)) == [0, 3_000]
    assert totals(statements(charges, card, terms, known_at=OCTOBER.t_from - 1)) == [0, 3_000]
    assert totals(statements(charges, card, terms, known_at=4)) == [0, 5_000]


def test_a_minimum_is_charged_when_the_month_is_over_also_to_a_tenant_that_used_nothing(
    card: RateCard, charge: Make, term: Make
) -> None:
    terms = Terms(
        adjustments=(
            term("minimum", amount=100, currency="EUR", applies_to=SHOP, cost_centre="cc-9", show="tenant"),
        )
    )
    before, after = OCTOBER.t_to - 1, OCTOBER.t_to
    assert statements([], card, terms, known_at=before, periods=[OCTOBER]) == []
    (nothing_used,) = statements([], card, terms, known_at=after, periods=[OCTOBER])
    assert (nothing_used.total_minor, nothing_used.rows()[0]["cost_centre"]) == (10_000, "cc-9")
    some = [charge(2_500), charge(1_500, "m-2")]
    assert totals(statements(some, card, terms, known_at=before)) == [4_000]
    (month,) = statements(some, card, terms, known_at=after)
    assert amounts(month) == [6_000]
    assert month.rows()[-1]["cost_centre"] == "cc-1"
    assert totals(statements([charge(10_001)], card, terms, known_at=after)) == [10_001]


def test_a_minimum_by_machine_is_shared_by_what_the_machines_cost(
    bill: Bill, charge: Make, term: Make
) -> None:
    minimum = term("minimum", amount=100, currency="EUR", applies_to=SHOP, cost_centre="cc-1")
    statement = bill([charge(2_500), charge(1_500, "m-2")], minimum)
    assert amounts(statement) == [3_750, 2_250]
    assert [row["list_amount_minor"] for row in statement.rows()] == [2_500, 1_500, 3_750, 2_250]


def test_a_maximum_takes_off_what_lies_above(bill: Bill, charge: Make, term: Make) -> None:
    cap = term("maximum", amount=100, currency="EUR")
    assert bill([charge(10_000)], cap).adjustments == ()
    assert amounts(bill([charge(9_000), charge(3_000, "m-2")], cap)) == [-1_500, -500]


@pytest.mark.parametrize(
    ("cents", "factor", "expected"),
    [(4_000, 1, 10_000), (10_000, "1.2", 10_000), (15_000, "1.2", 16_000), (15_000, "0.9", 14_500),
     (15_000, 1, 15_000), (10_001, "1.5", 10_002)],
)  # fmt: skip
def test_a_commitment_charges_the_shortfall_and_prices_what_goes_beyond(
    bill: Bill, charge: Make, term: Make, cents: int, factor: Any, expected: int
) -> None:
    commitment = term(
        "commitment", amount=100, currency="EUR", overage_factor=factor, applies_to=SHOP, cost_centre="cc-1"
    )
    assert bill([charge(cents)], commitment).total_minor == expected


def test_a_shortfall_waits_for_the_end_of_the_month_and_overage_does_not(
    bill: Bill, charge: Make, term: Make
) -> None:
    commitment = term(
        "commitment", amount=100, currency="EUR", overage_factor=2, applies_to=SHOP, cost_centre="cc-1"
    )
    so_far = {"known_at": OCTOBER.t_to - 1}
    assert bill([charge(4_000)], commitment, **so_far).total_minor == 4_000
    assert bill([charge(11_000)], commitment, **so_far).total_minor == 12_000


def test_an_allowance_of_money_frees_the_first_of_the_month(bill: Bill, charge: Make, term: Make) -> None:
    free = term("allowance", amount=30, currency="EUR")
    assert bill([charge(2_000), charge(2_000, "m-2")], free).total_minor == 1_000
    assert bill([charge(2_999)], free).total_minor == 0


def memory(tier: str, price_nanos: int) -> Rate:
    return Rate(
        id=f"memory-{tier}", tier=tier, metric="memory_mib", unit="GiB-hour", rate_nanos=price_nanos,
        valid_from=0, recorded_at=0,
    )  # type: ignore[arg-type] # pydantic reads the names  # fmt: skip


def test_an_allowance_of_a_quantity_frees_the_same_share_of_every_line(
    bill: Bill, charge: Make, term: Make
) -> None:
    # 30 GiB-hours at 1.00 and 10 at 5.00, of which 10 are free: a quarter of 30.00 and of 50.00.
    charges = [
        charge(30, rate=memory("tier-1", 10**9)),
        charge(10, "m-2", tier="tier-2", rate=memory("tier-2", 5 * 10**9)),
        charge(7_777, "m-3"),
    ]
    free = term("allowance", quantity=10, unit="GiB-hour", applies_to={"metrics": ["memory_mib"]})
    assert amounts(bill(charges, free)) == [-750, -1_250]
    assert bill(charges[:1], free).adjustments[0].note == (
        "allowance 't': 10 of 30 GiB-hour free: EUR -10.00 of EUR 30.00"
    )
    everything = term("allowance", quantity=41, unit="GiB-hour", applies_to={"metrics": ["memory_mib"]})
    assert amounts(bill(charges, everything)) == [-3_000, -5_000]


def test_an_allowance_in_another_unit_than_the_rate_is_refused_by_name(
    bill: Bill, charge: Make, term: Make
) -> None:
    free = term("allowance", quantity=10, unit="MiB-hour", applies_to={"metrics": ["memory_mib"]})
    with pytest.raises(ValueError, match=r"frees MiB-hour, but rate 'memory-tier-1' prices GiB-hour"):
        bill([charge(30, rate=memory("tier-1", 10**9))], free)


def test_a_term_in_another_currency_than_the_bill_names_term_tenant_and_both_currencies(
    bill: Bill, charge: Make, term: Make
) -> None:
    with pytest.raises(ValueError, match="'t' is in CHF, but tenant shop is billed in EUR"):
        bill([charge(1)], term("maximum", amount=1, currency="CHF"))
    with pytest.raises(ValueError, match=r"EUR 0\.005 has more than the 2 decimals of EUR"):
        bill([charge(1)], term("maximum", amount="0.005", currency="EUR"))


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("percentage_discount", {}, "either percent or steps"),
        ("percentage_discount", {"percent": 101}, "from 0 to 100 %, not 101"),
        ("percentage_discount", {"steps": [{"from_amount": 1, "percent": 1}]}, "add their currency"),
        ("percentage_discount",
         {"steps": [{"from_amount": 1, "percent": 1}] * 2, "currency": "EUR"}, "steps must rise"),
        ("fixed_discount", {"amount": 0, "currency": "EUR"}, "above 0"),
        ("fixed_discount", {"amount": "1e3", "currency": "EUR"}, "plain decimal"),
        ("fixed_discount", {"amount": True, "currency": "EUR"}, "amount"),
        ("tag_factor", {"percent": 5}, "must name the labels"),
        ("minimum", {"amount": 5, "currency": "EUR", "cost_centre": "cc"}, "must name its tenants"),
        ("commitment", {"amount": 5, "currency": "EUR", "cost_centre": "cc"}, "must name its tenants"),
        ("allowance", {"quantity": 5}, "either quantity and unit"),
        ("allowance", {"quantity": 5, "unit": "GiB-hour"}, "needs the metric"),
        ("maximum", {"amount": 5, "currency": "EUR", "valid_from": "2026-13"}, "month like 2026-10"),
        ("maximum", {"amount": 5, "currency": "EUR", "valid_from": "2026-10-01"}, "whole months"),
        ("maximum", {"amount": 5, "currency": "EUR", "valid_to": "2000-01"}, "must be after"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_no_term(term: Make, kind: str, body: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        term(kind, **body)


def test_terms_see_what_the_ones_before_them_left_in_the_order_that_is_printed(
    bill: Bill, charge: Make, term: Make
) -> None:
    terms: list[Term] = [
        term("credit", "gift", amount=10, currency="EUR"),
        term("maximum", "cap", amount=80, currency="EUR", applies_to=SHOP),
        term("percentage_discount", "ten", percent=10),
        term("percentage_discount", "more", percent=20, order=1),
        term("tag_factor", "windows", percent=50, applies_to={"labels": {"os": "windows"}}),
    ]
    # 100.00 + 50 % = 150.00; - 10 % = 135.00; - 20 % = 108.00; at most 80.00; 10.00 paid.
    statement = bill([charge(10_000, labels="os=windows")], *terms)
    assert amounts(statement) == [5_000, -1_500, -2_700, -2_800, -1_000]
    assert statement.total_minor == 7_000
    assert Terms(adjustments=tuple(terms)).order_of_application("2026-10") == [
        "1 tag factor: tag factor 'windows'",
        "2 percentage: percentage discount 'ten'",
        "3 percentage: percentage discount 'more'",
        "4 maximum: maximum 'cap' (for shop)",
        "5 credit: credit 'gift'",
    ]
    assert statement.adjustments[3].steps[0].text == "applied as 4 of 5: maximum 'cap'"


def test_an_adjustments_row_has_all_columns_and_says_what_it_is(
    bill: Bill, charge: Make, term: Make
) -> None:
    statement = bill(
        [charge(10_000, labels="os=windows", pool="kvm-1")], term("percentage_discount", percent="7.5")
    )
    row = statement.rows()[1]
    assert tuple(row) == COLUMNS
    shown = {key: value for key, value in row.items() if value != statement.rows()[0][key]}
    assert shown == {
        "line": "2026-10/shop/cc-1/tier-1/adjustment/t/m-1/kvm-1/os=windows",
        "charge_category": "Adjustment", "metric": "", "quantity": "", "hours": "", "unit": "",
        "rate_id": "t", "rate": "-7.5 %", "list_amount_minor": 0, "amount": "-7.50", "amount_minor": -750,
        "note": "percentage discount 't': 7.5 % of EUR 100.00 = EUR -7.50",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("show", "rows"),
    [
        ("machine", [("cc-1", "m-1", -100), ("cc-2", "m-2", -200), ("cc-2", "m-3", -300)]),
        ("cost-centre", [("cc-1", "", -100), ("cc-2", "", -500)]),
        ("tenant", [("", "", -600)]),
    ],
)
def test_a_term_shows_a_row_per_machine_cost_centre_or_tenant(
    bill: Bill, charge: Make, term: Make, show: str, rows: Any
) -> None:
    charges = [
        charge(1_000), charge(2_000, "m-2", cost_centre="cc-2"), charge(3_000, "m-3", cost_centre="cc-2"),
    ]  # fmt: skip
    statement = bill(charges, term("percentage_discount", percent=10, show=show))
    assert [(a.cost_centre, a.cell.machine, a.amount_minor) for a in statement.adjustments] == rows


def test_terms_apply_to_whole_months_and_only_once_they_are_known(
    card: RateCard, charge: Make, term: Make
) -> None:
    old = term("percentage_discount", "old", percent=10, valid_from="2026-11", valid_to="2027-01")
    new = term(
        "percentage_discount", "new", percent=20, valid_from="2026-12", recorded_at=9, replaces=["old"]
    )
    terms = Terms(adjustments=(old, new))
    charges = months(charge, 1_000, 1_000, 1_000, 1_000)
    assert totals(statements(charges, card, terms, known_at=8)) == [1_000, 900, 900, 1_000]
    assert totals(statements(charges, card, terms, known_at=9)) == [1_000, 900, 800, 800]


def test_terms_that_contradict_each_other_are_refused_together(term: Make) -> None:
    one = term("maximum", "a", amount=1, currency="EUR")
    with pytest.raises(ValidationError) as caught:
        Terms(
            adjustments=(
                one, one,
                term("credit", "b", amount=1, currency="EUR", replaces=["a", "zero"], recorded_at=1),
                term("maximum", "c", amount=1, currency="EUR", replaces=["a"]),
            )
        )  # fmt: skip
    for part in ("'a' stands twice", "a maximum 'a'; it must be of the same kind", "no adjustment of that name",
                 "not recorded before it"):  # fmt: skip
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("selector", "matched"),
    [
        ({}, {"m-1", "m-2"}),
        ({"tenants": ["bank"]}, set()),
        ({"cost_centres": ["cc-2"]}, {"m-2"}),
        ({"tiers": ["tier-1"]}, {"m-1"}),
        ({"metrics": ["machine"]}, {"m-1", "m-2"}),
        ({"metrics": ["vcpu"]}, set()),
        ({"rates": ["machine-tier-2"]}, {"m-2"}),
        ({"labels": {"os": "windows", "class": "web"}}, {"m-1"}),
        ({"labels": {"os": "win"}}, set()),
    ],
)
def test_a_selector_matches_what_it_lists(
    bill: Bill, charge: Make, term: Make, selector: Any, matched: set[str]
) -> None:
    charges = [
        charge(1_000, labels="class=web,os=windows"),
        charge(1_000, "m-2", tier="tier-2", cost_centre="cc-2", labels="os=linux"),
    ]
    statement = bill(charges, term("percentage_discount", percent=10, applies_to=selector))
    assert {a.cell.machine for a in statement.adjustments} == matched


def test_no_kind_divides_to_a_float_or_writes_one() -> None:
    found = []
    for name in kinds():
        file = Path(adjustments.__path__[0]) / f"{name}.py"
        for node in ast.walk(ast.parse(file.read_text())):
            divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            floats = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if (
                divides
                or floats
                or (isinstance(node, ast.Name) and node.id in {"float", "round", "Decimal"})
            ):
                found.append(f"{name}:{node.lineno}")
    assert found == []


def test_what_was_taken_back_gets_no_share_but_lowers_the_amount(
    bill: Bill, charge: Make, term: Make
) -> None:
    charges = [charge(10_000), charge(-2_000, "m-2")]
    statement = bill(charges, term("percentage_discount", percent=10))
    assert [(a.cell.machine, a.amount_minor) for a in statement.adjustments] == [("m-1", -800)]
    nothing = bill([charge(-2_000)], term("percentage_discount", percent=10))
    assert nothing.adjustments == ()


def test_a_cent_that_could_go_to_several_lines_goes_to_the_earliest_id(
    bill: Bill, charge: Make, term: Make
) -> None:
    charges = [charge(3_335, f"m-{i}") for i in (2, 0, 1)]
    statement = bill(charges, term("percentage_discount", percent=10))
    assert {a.cell.machine: a.amount_minor for a in statement.adjustments} == {
        "m-0": -334, "m-1": -334, "m-2": -333,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "due"),
    [(SHOP, 7_000), ({"cost_centres": ["cc-9"]}, 7_000), ({"cost_centres": ["cc-1"]}, 10_000),
     ({"tiers": ["tier-1"]}, 10_000), ({"labels": {"os": "linux"}}, 10_000)],
)  # fmt: skip
def test_a_credit_pays_a_minimum_of_a_tenant_that_used_nothing_unless_it_is_for_certain_lines(
    card: RateCard, term: Make, selector: Any, due: int
) -> None:
    terms = Terms(
        adjustments=(
            term("minimum", "least", amount=100, currency="EUR", applies_to=SHOP, cost_centre="cc-9"),
            term("credit", "gift", amount=30, currency="EUR", applies_to=selector),
        )
    )
    (month,) = statements([], card, terms, periods=[OCTOBER])
    assert month.total_minor == due
