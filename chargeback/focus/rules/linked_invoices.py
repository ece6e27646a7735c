"""What Cost and Usage, Invoice Detail and Billing Period of 1.4 must say alike.

Ids that are those of a column's list (`spec_1_3`) are sentences of the specification; an id of two datasets
and a column is of a reference that the specification takes for granted.
"""

from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction

from chargeback.focus.rules.frame import Frame, Mask
from chargeback.focus.rules.keys import Key, Sum, keys, sums
from chargeback.focus.rules.linked import Find, Link, alike, known
from chargeback.focus.rules.moments import NONE, second
from chargeback.focus.rules.numbers import parsed
from chargeback.focus.rules.releases import Dataset
from chargeback.focus.vocabulary import MINOR_DIGITS, MINOR_DIGITS_DEFAULT

_USAGE, _DETAIL, _PERIOD = Dataset.COST_AND_USAGE, Dataset.INVOICE_DETAIL, Dataset.BILLING_PERIOD
_INVOICE = ("InvoiceIssuerName", "InvoiceId")
_LINE = (*_INVOICE, "InvoiceDetailId")
_MONTH = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName")

_SUBUNITS_FREE = 100
"""FOCUS's tolerance of sums (Rounding Variance Tolerance) is the larger of 100 subunits of the currency, and of
half a subunit times the square root of the rows."""


def _category_differs(ours: Frame, theirs: Frame) -> Mask:
    """A line of usage may stand for several categories, but never for a tax."""
    there = defaultdict(set)
    for *line, category in keys(theirs, (*_LINE, "ChargeCategory")).values:
        there[tuple(line)].add(category)

    def wrong(value: Key) -> bool:
        *line, category = value
        of = there.get(tuple(line), set())
        if None in value or not of or category in of:
            return False
        return "Usage" not in of or category == "Tax"

    return keys(ours, (*_LINE, "ChargeCategory")).where(wrong)


class _Off(Enum):
    """How far apart two sums are."""

    NOT = "less than a subunit apart"
    ROUNDED = "no more than FOCUS lets pass as rounding"
    WRONG = "more"


def _sums_are(off: _Off, by: tuple[str, ...], *, taxes: bool) -> Find:
    """Lines whose sum by invoice, or by line, is that far off the charges'. What is still open may differ."""
    key = (*by, "BillingCurrency")

    def find(ours: Frame, theirs: Frame) -> Mask:
        pending = {
            tuple(of) for *of, status in keys(ours, (*by, "InvoiceIssueStatus")).values if status == "Open"
        }

        def counts(value: Key) -> bool:
            return value[: len(by)] not in pending and (taxes or value[-1] != "Tax")

        billed = _of_all_categories(sums(ours, (*key, "ChargeCategory"), "BilledCost", counts))
        charged = _of_all_categories(sums(theirs, (*key, "ChargeCategory"), "BilledCost", counts))

        def wrong(value: Key) -> bool:
            *of, currency, _ = value
            ours_sum = billed.get((*of, currency))
            return (
                ours_sum is not None
                and counts(value)
                and _off(ours_sum, charged.get((*of, currency)), currency) is off
            )

        return keys(ours, (*key, "ChargeCategory")).where(wrong)

    return find


def _of_all_categories(found: Mapping[Key, Sum]) -> dict[Key, Sum]:
    together: dict[Key, Sum] = {}
    for key, each in found.items():
        before = together.get(key[:-1], Sum(Fraction(0), 0))
        together[key[:-1]] = Sum(before.amount + each.amount, before.rows + each.rows)
    return together


def _off(billed: Sum, charged: Sum | None, currency: str) -> _Off:
    charged = charged or Sum(Fraction(0), 0)
    subunits = abs(billed.amount - charged.amount) * 10 ** MINOR_DIGITS.get(currency, MINOR_DIGITS_DEFAULT)
    if subunits < 1:
        return _Off.NOT
    # Squared, as the tolerance is half of a root.
    free = max(Fraction(_SUBUNITS_FREE**2), Fraction(charged.rows, 4))
    return _Off.ROUNDED if subunits**2 <= free else _Off.WRONG


def _without_charges(ours: Frame, theirs: Frame) -> Mask:
    """Lines that are out and ask for money, of a month that the charges are of, and that no charge is on."""
    there = set(keys(theirs, _LINE).values)
    months = set(keys(theirs, _MONTH).values)

    def wrong(value: Key) -> bool:
        status, cost, line = value[0], parsed(value[1]), value[2:5]
        month = (*value[5:], line[0])
        return (
            status not in {"Open", None}
            and bool(cost)
            and None not in line
            and line not in there
            and month in months
        )

    columns = ("InvoiceIssueStatus", "BilledCost", *_LINE, "BillingPeriodStart", "BillingPeriodEnd")
    return keys(ours, columns).where(wrong)


def _created_after_closing(ours: Frame, theirs: Frame) -> Mask:
    closed: dict[Key, int] = {}
    for *month, status, updated in keys(
        theirs, (*_MONTH, "BillingPeriodStatus", "BillingPeriodLastUpdated")
    ).values:
        if status == "Closed":
            closed[tuple(month)] = max(second(updated), closed.get(tuple(month), NONE))
    return keys(ours, (*_MONTH, "InvoiceDetailCreated")).where(
        lambda value: NONE < closed.get(value[:-1], NONE) < second(value[-1])
    )


def _pending_though_closed(ours: Frame, theirs: Frame) -> Mask:
    closed = {
        tuple(month)
        for *month, status in keys(theirs, (*_MONTH, "BillingPeriodStatus")).values
        if status == "Closed"
    }
    return keys(ours, (*_MONTH, "InvoiceIssueStatus")).where(
        lambda value: value[-1] == "Open" and value[:-1] in closed
    )


def _sum(rule: str, off: _Off, by: tuple[str, ...], *, taxes: bool) -> Link:
    what = f"must be the sum of {_USAGE.value} for the same {' and '.join(by)}"
    if off is _Off.ROUNDED:
        what = what.replace("must", "should") + "; it is off by no more than FOCUS lets pass as rounding"
    needs = (*by, "BillingCurrency", "ChargeCategory", "BilledCost")
    return Link(
        rule, _DETAIL, _USAGE, "BilledCost", what, _sums_are(off, by, taxes=taxes),
        (*needs, "InvoiceIssueStatus"), needs, should=off is _Off.ROUNDED,
    )  # fmt: skip


_STATUS = "BillingPeriodStatus"

LINKS: tuple[Link, ...] = (
    known(_USAGE, _PERIOD, "BillingPeriodStart", _MONTH, "CAU-BPD-BillingPeriodStart"),
    known(_DETAIL, _PERIOD, "BillingPeriodStart", _MONTH, "IND-BPD-BillingPeriodStart"),
    Link(
        "IND-InvoiceDetailCreated-5", _DETAIL, _PERIOD, "InvoiceDetailCreated",
        "must be no later than BillingPeriodLastUpdated of its closed billing-period", _created_after_closing,
        (*_MONTH, "InvoiceDetailCreated"), (*_MONTH, _STATUS, "BillingPeriodLastUpdated"),
    ),
    Link(
        "IND-BPD-InvoiceIssueStatus", _DETAIL, _PERIOD, "InvoiceIssueStatus",
        "must not be Open where its billing-period is Closed", _pending_though_closed,
        (*_MONTH, "InvoiceIssueStatus"), (*_MONTH, _STATUS),
    ),
    known(_USAGE, _DETAIL, "InvoiceId", _INVOICE, "CAU-IND-InvoiceId"),
    known(_USAGE, _DETAIL, "InvoiceDetailId", _LINE, "CAU-IND-InvoiceDetailId"),
    alike(_USAGE, _DETAIL, "BillingCurrency", _LINE, "CAU-IND-BillingCurrency"),
    alike(_USAGE, _DETAIL, "BillingAccountId", _LINE, "CAU-IND-BillingAccountId"),
    Link(
        "CAU-IND-ChargeCategory", _USAGE, _DETAIL, "ChargeCategory",
        "must be the same in invoice-detail for the same InvoiceDetailId, or Usage there and no tax",
        _category_differs, (*_LINE, "ChargeCategory"), (*_LINE, "ChargeCategory"),
    ),
    alike(_DETAIL, _USAGE, "BillingPeriodStart", _INVOICE, "IND-BillingPeriodStart-5"),
    alike(_DETAIL, _USAGE, "BillingPeriodEnd", _INVOICE, "IND-BillingPeriodEnd-5"),
    Link(
        "IND-CAU-InvoiceDetailId", _DETAIL, _USAGE, "InvoiceDetailId",
        "must be in cost-and-usage, as it is issued and asks for money", _without_charges,
        (*_LINE, *_MONTH, "InvoiceIssueStatus", "BilledCost"), (*_LINE, *_MONTH),
    ),
    _sum("IND-BilledCost-9.1", _Off.WRONG, _INVOICE, taxes=False),
    _sum("IND-BilledCost-10.1", _Off.WRONG, _LINE, taxes=True),
    _sum("IND-CAU-BilledCost", _Off.ROUNDED, _LINE, taxes=True),
)  # fmt: skip
"""The rules, none of which is looked at unless both of its files are there."""
