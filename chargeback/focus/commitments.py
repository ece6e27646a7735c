"""Commitments in FOCUS: a line under one becomes what was bought, what of it was used and not, and the rest.

Two kinds of our documents are commitments. A rate of the shape ``commitment`` sells a quantity a month for
an amount, used or not, to a machine or a tenant: FOCUS's category Usage. An adjustment ``commitment`` makes
a tenant pay an amount a month in any case: category Spend; what was used is billed as usage, so only
its shortfall is bought in addition. A commitment is one month's: the next month's is another.

The parts of a line add up to it exactly. What is bought has the cost that is billed and no effective cost;
what was used and what was not have the effective cost, in the proportion of their quantities.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

from chargeback.adjustments.commitment import Commitment as SpendTerm
from chargeback.focus.columns import QUANTITY_DIGITS
from chargeback.focus.pricing import (
    LUMP_UNIT,
    PRICED,
    Priced,
    at_price_digits,
    at_quantity_digits,
    money,
    number,
)
from chargeback.focus.units import pricing_unit
from chargeback.money import Rounding, divided, exact_text, format_minor, split
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard, Window
from chargeback.shapes.commitment import Commitment as RateShape
from chargeback.terms import Terms

Row = Mapping[str, Any]

COLUMNS = "focus_columns"
"""Under which key a part carries the columns that are other than those of any row."""

USED, UNUSED, COMMITTED = "Used", "Unused", "Committed"
TYPE = "Monthly commitment"
RESOURCE_TYPE = "Commitment"

_WINDOWS = frozenset({Window.MACHINE_MONTH, Window.TENANT_MONTH})


@dataclass(frozen=True)
class Commitments:
    """What a month's lines may be under.

    `rates` are rates whose shape is a commitment for a month, by the label of their card and their id;
    `terms` are adjustments that are commitments, by name.
    """

    rates: Mapping[tuple[str, str], Rate]
    terms: Mapping[str, SpendTerm]


NO_COMMITMENTS = Commitments({}, {})


def commitments_of(
    cards: Iterable[RateCard], terms: Terms, period: BillingPeriod, known_at: int
) -> Commitments:
    """Those of the cards, and of the terms that are in force in `period`."""
    rates = {
        (card.label, rate.id): rate
        for card in cards
        for rate in card.rates
        if isinstance(rate.shape, RateShape) and rate.window in _WINDOWS
    }
    spend = {
        term.name: term for term in terms.in_force(period.name, known_at) if isinstance(term, SpendTerm)
    }
    return Commitments(rates, spend)


class Scope(NamedTuple):
    """What shares one commitment of a rate: the lines of a machine, or of a tenant."""

    card: str
    rate_id: str
    tenant: str
    machine: str


def scope_of(row: Row, rate: Rate) -> Scope:
    """Which commitment a line is under. A machine of two tenants in a month is under one of each."""
    machine = row["machine"] if rate.window is Window.MACHINE_MONTH else ""
    return Scope(row["rate_card"], row["rate_id"], row["tenant"], machine)


def commitment_id(period: BillingPeriod, rate_id: str, tenant: str, machine: str = "") -> str:
    """``2026-10/vcpu-committed/shop/7f1c...``: of one month, as the next month's is another."""
    return "/".join(part for part in (period.name, rate_id, tenant, machine) if part)


def contract_id(tenant: str) -> str:
    """The agreement with a tenant under which all its commitments are."""
    return f"tenant/{tenant}"


def with_commitments(rows: Sequence[Row], held: Commitments, period: BillingPeriod) -> list[Row]:
    """The rows, those under a commitment in parts; the sum of amounts stays what it is.

    Corrections stay whole: they are differences of what other files have in parts.
    """
    groups: dict[Scope, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        rate = held.rates.get((row["rate_card"], row["rate_id"]))
        if rate is not None and not row["charge_class"] and row["charge_category"] == "Usage":
            groups[scope_of(row, rate)].append(i)
    parts: dict[int, list[Row]] = {}
    for scope, places in groups.items():
        rate = held.rates[scope.card, scope.rate_id]
        whole = commitment_id(period, scope.rate_id, scope.tenant, scope.machine)
        parts |= zip(places, _of_rate([rows[i] for i in places], rate, whole), strict=True)
    for i, row in enumerate(rows):
        if row["rate_id"] in held.terms and _is_shortfall(row):
            parts[i] = _of_shortfall(row, commitment_id(period, row["rate_id"], row["tenant"]))
    return [part for i, row in enumerate(rows) for part in parts.get(i, [row])]


def _is_shortfall(row: Row) -> bool:
    """Not what overage costs more or less, which prints a factor as its rate."""
    return row["charge_category"] == "Adjustment" and not row["rate"] and not row["charge_class"]


def _of_shortfall(row: Row, whole: str) -> list[Row]:
    amount = money(row).billed
    of = _Of(row, whole, "Spend", str(row["currency"]))
    lump = Priced(amount, amount, Fraction(1), LUMP_UNIT, amount, amount, "Standard")
    said = f"shortfall of {row['rate_id']}"
    return [
        of.part("Purchase", int(row["amount_minor"]), lump, amount, Fraction(0), f"{said}, bought"),
        of.part("Usage", 0, replace(lump, category=COMMITTED), amount, amount, f"{said}, not used", UNUSED),
    ]


def _of_rate(rows: Sequence[Row], rate: Rate, whole: str) -> list[list[Row]]:
    """Each line of one commitment in its parts; all as they are where something was taken back."""
    shape = rate.shape
    assert isinstance(shape, RateShape), rate
    quantities = [number(row["quantity"] or "0") for row in rows]
    amounts = [int(row["amount_minor"]) for row in rows]
    if min(quantities) < 0 or min(amounts) < 0 or not sum(amounts) or not shape.committed:
        return [[row] for row in rows]
    used = sum(quantities, Fraction(0))
    shares = split(int(shape.committed * 10**QUANTITY_DIGITS), _weights(quantities) if used else amounts)
    within = Fraction(min(used, shape.committed), used) if used else Fraction(0)
    bought = Fraction(Fraction(shape.amount_nanos), shape.price(used))
    return [
        _of_line(
            _Of(row, whole, "Usage", pricing_unit(row["unit"])), shape, own,
            Fraction(share, 10**QUANTITY_DIGITS), within, bought,
        )
        for row, share, own in zip(rows, shares, quantities, strict=True)
    ]  # fmt: skip


def _of_line(
    of: "_Of", shape: RateShape, own: Fraction, share: Fraction, within: Fraction, bought: Fraction
) -> list[Row]:
    """What was bought, used, not used, and the usage beyond; parts of nothing are left out.

    `own` is the line's quantity and `share` its part of the committed one; `within` is how much of a
    quantity is under the commitment, and `bought` how much of an amount is for the commitment.
    """
    row = of.row
    if not share:
        return [row]
    exact, total, minor = own * within, int(row["amount_minor"]), money(row).minor
    used = min(share, at_quantity_digits(exact))
    paid = _rounded(total * bought)
    covered, spent = minor * paid, minor * _rounded(Fraction(paid * used, share))
    price, unused = at_price_digits(Fraction(covered, share)), share - used
    lump = Priced(covered, covered, Fraction(1), LUMP_UNIT, covered, covered, "Standard")
    found = [
        of.part("Purchase", paid, lump, share, Fraction(0), f"{exact_text(share)} {row['unit']} committed")
    ]
    if used:
        said = f"{exact_text(exact)} {row['unit']} of what is committed"
        found.append(of.part("Usage", 0, _at(price, used, of.unit), used, spent, said, USED, exact))
    if unused:
        said = f"{exact_text(unused)} {row['unit']} committed and not used"
        found.append(
            of.part("Usage", 0, _at(price, unused, of.unit), unused, covered - spent, said, UNUSED)
        )
    return [*found, *_beyond(row, shape, own - exact, total - paid, total)]


def _beyond(
    row: Row, shape: RateShape, quantity: Fraction, amount_minor: int, whole_minor: int
) -> list[Row]:
    """The usage above the commitment: a line like any other."""
    if not quantity:
        return []
    listed = int(row["list_amount_minor"]) - (whole_minor - amount_minor)
    return [
        _with_amount(row, amount_minor)
        | {
            "quantity": exact_text(quantity),
            "rate": shape.overage.text(),
            "list_amount_minor": max(0, listed),
        }
    ]


@dataclass(frozen=True)
class _Of:
    """A line, and the commitment that its parts are of."""

    row: Row
    whole: str
    category: str
    unit: str

    def part(
        self, charge: str, amount_minor: int, priced: Priced, quantity: Fraction, effective: Fraction,
        said: str, status: str | None = None, consumed_quantity: Fraction | None = None,
    ) -> Row:  # fmt: skip
        """A row of `charge`'s category; without a status it is what is bought."""
        columns: dict[str, Any] = {
            "CommitmentDiscountId": self.whole, "CommitmentDiscountName": self.row["rate_id"],
            "CommitmentDiscountCategory": self.category, "CommitmentDiscountType": TYPE,
            "CommitmentDiscountStatus": status, "CommitmentDiscountQuantity": quantity,
            "CommitmentDiscountUnit": self.unit, "ContractApplied": self._applied(quantity),
            "EffectiveCost": effective, "PricingCurrencyEffectiveCost": effective, "ChargeDescription": said,
        }  # fmt: skip
        if status is None:
            columns["ChargeFrequency"] = "Recurring"
        if status != USED:
            # What is bought, or lies idle, is the commitment; a machine is what used it.
            columns |= {"ResourceId": self.whole, "ResourceName": None, "ResourceType": RESOURCE_TYPE,
                        "ConsumedQuantity": None, "ConsumedUnit": None}  # fmt: skip
        used = {} if consumed_quantity is None else {"quantity": exact_text(consumed_quantity)}
        return {
            **_with_amount(self.row, amount_minor), **used, "charge_category": charge, PRICED: priced,
            COLUMNS: columns,
        }  # fmt: skip

    def _applied(self, quantity: Fraction) -> str:
        # Written by hand, as json would make a float of the quantity.
        named = f'"ContractId": {json.dumps(contract_id(self.row["tenant"]))}, "ContractCommitmentId": {json.dumps(self.whole)}'
        applied = f'"ContractCommitmentAppliedCost": {exact_text(quantity)}'
        if self.category == "Usage":
            applied = (
                f'"ContractCommitmentAppliedQuantity": {exact_text(quantity)}, '
                f'"ContractCommitmentAppliedUnit": {json.dumps(self.unit)}'
            )
        return f'{{"Elements": [{{{named}, {applied}}}]}}'


def _with_amount(row: Row, amount_minor: int) -> dict[str, Any]:
    digits = len(str(row["amount"]).partition(".")[2])
    return {
        **row, "amount_minor": amount_minor, "amount": format_minor(amount_minor, digits),
        "list_amount_minor": amount_minor,
    }  # fmt: skip


def _at(price: Fraction, quantity: Fraction, unit: str) -> Priced:
    return Priced(price * quantity, price * quantity, quantity, unit, price, price, COMMITTED)


def _rounded(value: Fraction) -> int:
    return divided(value.numerator, value.denominator, Rounding.HALF_EVEN)


def _weights(quantities: Sequence[Fraction]) -> list[int]:
    """Whole numbers in the proportion of the quantities."""
    together = lcm(*(quantity.denominator for quantity in quantities))
    return [int(quantity * together) for quantity in quantities]
