"""Late facts correct adjustments too, and runs of one month differ by what has come since."""

from collections.abc import Callable
from typing import Any

import pytest

from chargeback.adjusting import Adjustment
from chargeback.adjustment import Term
from chargeback.adjustment_explained import TermExplanation, explain_adjustment, recompute_adjustment
from chargeback.charges import Charge
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.statements import COLUMNS, Correction, Statement, corrections, statements, with_corrections
from chargeback.terms import Terms

OCTOBER = BillingPeriod.parse("2026-10", "UTC")
Make = Callable[..., Any]


@pytest.fixture
def runs(card: RateCard, charge: Make) -> Callable[..., tuple[list[Statement], list[Statement]]]:
    """The statements of one machine's month at two runs."""

    def make(before: int, after: int, *terms: Term) -> tuple[list[Statement], list[Statement]]:
        held = Terms(adjustments=terms)
        first, second = (statements([charge(cents)], card, held) for cents in (before, after))
        return first, second

    return make


@pytest.mark.parametrize(("before", "after"), [(7_000, 12_000), (12_000, 7_000), (12_000, 13_000)])
def test_closed_and_corrections_are_the_recompute_under_a_maximum(
    runs: Make, term: Make, before: int, after: int
) -> None:
    closed, now = runs(before, after, term("maximum", amount=100, currency="EUR"))
    found = corrections(closed, now)
    late = sum(correction.amount_minor for correction in found)
    assert closed[0].total_minor + late == now[0].total_minor == min(after, 10_000)


def test_a_corrected_adjustment_points_at_the_closed_one_and_shows_both_sides(
    runs: Make, term: Make
) -> None:
    closed, now = runs(7_000, 12_000, term("percentage_discount", percent=10))
    usage, discount = (correction.row("2026-11/shop") for correction in corrections(closed, now))
    assert tuple(discount) == COLUMNS
    assert (usage["amount_minor"], discount["amount_minor"]) == (5_000, -500)
    assert discount["corrects"] == closed[0].rows()[1]["line"]
    assert (discount["charge_class"], discount["charge_category"]) == ("Correction", "Adjustment")
    assert discount["note"] == (
        "percentage discount 't': 10 % of EUR 70.00 = EUR -7.00 -> "
        "percentage discount 't': 10 % of EUR 120.00 = EUR -12.00"
    )
    assert (discount["quantity"], discount["list_amount_minor"], usage["quantity"]) == ("", 0, "5000")


def test_an_adjustment_that_came_or_went_is_corrected_from_or_to_nothing(runs: Make, term: Make) -> None:
    closed, now = runs(9_000, 12_000, term("maximum", amount=100, currency="EUR"))
    (_, came), (_, went) = corrections(closed, now), corrections(now, closed)
    assert (came.before, came.amount_minor, went.after, went.amount_minor) == (None, -2_000, None, 2_000)
    assert came.corrects == went.corrects == "2026-10/shop/cc-1/tier-1/adjustment/t/m-1"


def test_nothing_changed_means_no_correction_of_adjustments(runs: Make, term: Make) -> None:
    closed, now = runs(9_000, 9_000, term("percentage_discount", percent=10))
    assert corrections(closed, now) == []


def test_a_late_fact_in_one_month_moves_what_a_credit_pays_in_the_next_ones(
    card: RateCard, charge: Make, term: Make
) -> None:
    terms = Terms(adjustments=(term("credit", amount=100, currency="EUR"),))
    november = OCTOBER.next

    def known(october: int) -> list[Statement]:
        charges: list[Charge] = [charge(october), charge(7_000, period=november)]
        return statements(charges, card, terms)

    closed, now = known(6_000), known(9_000)
    assert [s.total_minor for s in closed] == [0, 3_000]
    assert [s.total_minor for s in now] == [0, 6_000]
    found = corrections(closed, now)
    assert [c.amount_minor for c in found] == [3_000, -3_000, 3_000]
    booked = with_corrections([], found, november.next, card, terms)
    assert booked[0].total_minor == 3_000


def test_a_term_recorded_later_for_a_closed_month_is_a_correction(
    card: RateCard, charge: Make, term: Make
) -> None:
    terms = Terms(adjustments=(term("percentage_discount", percent=10, recorded_at=OCTOBER.t_to + 5),))
    closed = statements([charge(1_000)], card, terms, known_at=OCTOBER.t_to)
    now = statements([charge(1_000)], card, terms, known_at=OCTOBER.t_to + 5)
    assert [c.amount_minor for c in corrections(closed, now)] == [-100]


def test_an_explanation_gives_the_same_cent_again_for_adjustments_and_corrections_of_them(
    card: RateCard, charge: Make, term: Make
) -> None:
    terms = Terms(
        adjustments=(
            term("percentage_discount", "ten", percent=10),
            term("minimum", "least", amount=500, currency="EUR", applies_to={"tenants": ["bank"]}, cost_centre="cc-9"),
            term("credit", "gift", amount=20, currency="EUR", show="tenant"),
        )
    )  # fmt: skip
    closed, now = (
        statements(
            [charge(cents, f"m-{i}") for i, cents in enumerate(amounts)], card, terms, periods=[OCTOBER]
        )
        for amounts in ((3_335, 3_335, 3_335), (3_335, 7_001))
    )
    rows = [adjustment for statement in closed for adjustment in statement.adjustments]
    late = [c for c in corrections(closed, now) if isinstance(c.item, Adjustment)]
    assert {row.term.name for row in rows} == {"ten", "least", "gift"}
    assert [c.after is None for c in late] == [False, True]
    for item in (*rows, *late):
        said = TermExplanation.model_validate_json(explain_adjustment(item).model_dump_json())
        assert recompute_adjustment(said) == item.amount_minor != 0
    with pytest.raises(TypeError, match="is a line of usage"):
        explain_adjustment(Correction(None, closed[1].lines[0]))
    assert rows[3].steps[-1] == (
        "share of this row, EUR 33.35 of EUR 100.05 before (largest remainder)", "EUR -3.34",
    )  # fmt: skip
