"""What tables of a bill and of an explanation say to people."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from chargeback.adjustment_explained import TermExplanation, TermSide, TermStep
from chargeback.statements import COLUMNS
from tierwise.cli.charges import print_bill
from tierwise.cli.closing import _last_step, _print_term

DISCOUNT = {
    **dict.fromkeys(COLUMNS, ""), "statement": "2026-04/nest", "tenant": "nest", "rate_id": "loyal",
    "tier": "tin", "machine_name": "m3", "amount": "-0.67", "amount_minor": -67, "minor_digits": 2,
    "currency": "AUD", "charge_category": "Adjustment", "note": "3 % of AUD 22.21 = AUD -0.67",
}  # fmt: skip


@pytest.mark.parametrize("lines", [True, False])
def test_a_bill_names_its_adjustments_and_prints_half_hours_as_a_decimal(
    lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found: Any = SimpleNamespace(
        period=SimpleNamespace(name="2026-04", hours=Fraction(1441, 2)),
        card=SimpleNamespace(time_zone="Australia/Lord_Howe", label="kol v7"),
        tenants=["nest"], rows_of=lambda _: [DISCOUNT], note="",
    )  # fmt: skip
    print_bill(found, None, lines=lines)
    printed = capsys.readouterr().out
    assert printed.startswith("2026-04, Australia/Lord_Howe, 720.5 h ")
    (row,) = (line for line in printed.splitlines() if "-0.67" in line and "tin" in line)
    assert "loyal" in row


def test_an_explained_adjustment_says_each_amount_once(capsys: pytest.CaptureFixture[str]) -> None:
    steps = (
        TermStep(text="applied as 1 of 2: percentage discount 'loyal'", amount=""),
        TermStep(text="reduced by 3 %", amount="AUD 22.21"),
        TermStep(text="3 % of AUD 22.21 = AUD -0.67", amount="AUD -0.67"),
    )
    side = TermSide(sign=1, term={}, steps=steps, whole_minor=-67, shared=(), amount="-0.67")
    why = TermExplanation(
        line="", corrects="", tenant="nest", cost_centre="", period="2026-04", currency="AUD",
        minor_digits=2, sides=(side,), amount_minor=-67, amount="-0.67",
    )  # fmt: skip
    _print_term({**DISCOUNT, "period": "2026-04", "number": 5}, why)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  stated:",
        "    applied as 1 of 2: percentage discount 'loyal'",
        "    reduced by 3 % = AUD 22.21",
        "    3 % of AUD 22.21 = AUD -0.67",
    ]


def test_a_formula_without_its_amount_is_followed_by_it() -> None:
    assert _last_step(TermStep(text="AUD 41.54 of AUD 50.00 left", amount="AUD -41.54")) == (
        "AUD 41.54 of AUD 50.00 left -> AUD -41.54"
    )
