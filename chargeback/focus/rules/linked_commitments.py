"""What Cost and Usage and Contract Commitment must say alike, in 1.3 and 1.4.

The specification takes it for granted that a commitment which a charge names is one of Contract Commitment; of
what was applied it says whose knowledge it is, so sums are looked at only where all charges of a commitment are
in the file: where it begins and ends within the billing periods that are there, and is measured once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from chargeback.focus.rules.applied import Applied, applied
from chargeback.focus.rules.frame import Frame, Mask
from chargeback.focus.rules.keys import Key, keys
from chargeback.focus.rules.linked import Find, Link
from chargeback.focus.rules.moments import NONE, second
from chargeback.focus.rules.numbers import parsed
from chargeback.focus.rules.releases import Dataset

_USAGE, _CONTRACTS = Dataset.COST_AND_USAGE, Dataset.CONTRACT_COMMITMENT
_ID, _PERIOD = "ContractCommitmentId", ("ContractCommitmentPeriodStart", "ContractCommitmentPeriodEnd")
_INTERVAL = "ContractCommitmentFulfillmentInterval"

_MONTH_MAX_S = 31 * 86_400 + 3_600
"""The longest month by a local clock: one that turns the clock back."""


def _elements(
    wrong: Callable[[Applied, Key, dict[str, set[Any]]], bool], other: str, *besides: str
) -> Find:
    """Charges with an element that is `wrong`, given the row's columns `besides` and `other` of each commitment."""

    def find(ours: Frame, theirs: Frame) -> Mask:
        there: dict[str, set[Any]] = defaultdict(set)
        for commitment, value in keys(theirs, (_ID, other)).values:
            if commitment is not None:
                there[commitment].add(value)
        return keys(ours, ("ContractApplied", *besides)).where(
            lambda row: any(wrong(each, row[1:], there) for each in applied(row[0]))
        )

    return find


def _unlike(value: Any, there: Iterable[Any] | None) -> bool:
    """Whether a value is another than all of those; where one of the two is missing nothing is told."""
    values = set(there or ())
    return value is not None and None not in values and bool(values) and value not in values


def _charge_outside(ours: Frame, theirs: Frame) -> Mask:
    """Usage that begins before its commitment, or when that is over; a correction is of another time."""
    periods: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for commitment, begins, ends in keys(theirs, (_ID, *_PERIOD)).values:
        periods[commitment].append((second(begins), second(ends)))

    def wrong(row: Key) -> bool:
        text, category, of_class, begins = row
        at = second(begins)
        if category != "Usage" or of_class is not None or at == NONE:
            return False
        found = (periods[each.commitment] for each in applied(text) if each.commitment in periods)
        return any(
            not any(start <= at < (end if end != NONE else at + 1) for start, end in each) for each in found
        )

    return keys(ours, ("ContractApplied", "ChargeCategory", "ChargeClass", "ChargePeriodStart")).where(
        wrong
    )


@dataclass
class _Sums:
    """What charges count against one commitment, by unit (None: cost): as usage, and what was bought of it."""

    usage: dict[str | None, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    bought: dict[str | None, Fraction] = field(default_factory=lambda: defaultdict(Fraction))


def _sums(charges: Frame) -> dict[str, _Sums]:
    found: dict[str, _Sums] = defaultdict(_Sums)
    for (text, category, resource), rows in keys(
        charges, ("ContractApplied", "ChargeCategory", "ResourceId")
    ).counted():
        for each in applied(text):
            of = found[each.commitment]
            # A purchase of another thing may count against a promise to spend too.
            to = (
                of.usage
                if category == "Usage"
                else of.bought
                if category == "Purchase" and resource == each.commitment
                else None
            )
            if to is not None:
                for unit, amount in ((each.unit, each.quantity), (None, each.cost)):
                    to[unit] += (amount or 0) * rows
    return found


def _measured(columns: tuple[str, ...], wrong: Callable[[Key, _Sums], bool]) -> Find:
    """Commitments all of whose charges are there, and for whose columns and sums `wrong` is true."""

    def find(ours: Frame, theirs: Frame) -> Mask:
        charged = _sums(theirs)
        months = [
            each
            for each in keys(theirs, ("BillingPeriodStart", "BillingPeriodEnd")).values
            if None not in each
        ]
        first, last = (
            min((each[0] for each in months), default=0),
            max((each[1] for each in months), default=0),
        )

        def is_wrong(row: Key) -> bool:
            commitment, begins, ends, interval = row[0], second(row[1]), second(row[2]), row[3]
            once = interval in {None, "Full Period"} or (
                interval == "Monthly" and ends - begins <= _MONTH_MAX_S
            )
            whole = begins > NONE and first <= begins and NONE < ends <= last
            return once and whole and commitment in charged and wrong(row[4:], charged[commitment])

        return keys(ours, (_ID, *_PERIOD, _INTERVAL, *columns)).where(is_wrong)

    return find


def _more_quantity(row: Key, of: _Sums) -> bool:
    committed, unit = parsed(row[0]), row[1]
    return committed is not None and unit in of.usage and of.usage[unit] > committed


def _more_cost(row: Key, of: _Sums) -> bool:
    committed = parsed(row[0])
    return committed is not None and of.usage[None] > committed


def _not_what_was_bought(_: Key, of: _Sums) -> bool:
    return bool(of.bought) and any(of.bought[unit] != of.usage[unit] for unit in {*of.bought, *of.usage})


def _of_charges(
    rule: str, column: str, what: str, find: Find, needs: Iterable[str], others: Iterable[str]
) -> Link:
    return Link(rule, _USAGE, _CONTRACTS, column, what, find, ("ContractApplied", *needs), (_ID, *others))


def _of_sums(rule: str, column: str, what: str, find: Find, *needs: str) -> Link:
    charges = ("ContractApplied", "ChargeCategory", "ResourceId", "BillingPeriodStart", "BillingPeriodEnd")
    return Link(rule, _CONTRACTS, _USAGE, column, what, find, (_ID, *_PERIOD, *needs), charges)


def _links() -> Iterator[Link]:
    yield _of_charges(
        "CAU-CCT-ContractCommitmentId", "ContractApplied", "must name commitments of contract-commitment",
        _elements(lambda each, _, there: each.commitment not in there, _ID), (), (),
    )  # fmt: skip
    yield _of_charges(
        "CAU-CCT-ContractId", "ContractApplied", "must name each commitment's ContractId of contract-commitment",
        _elements(lambda each, _, there: _unlike(each.contract, there.get(each.commitment)), "ContractId"),
        (), ("ContractId",),
    )  # fmt: skip
    yield _of_charges(
        "CAU-CCT-BillingCurrency", "BillingCurrency", "must be the BillingCurrency of the commitments of ContractApplied",
        _elements(
            lambda each, row, there: _unlike(row[0], there.get(each.commitment)), "BillingCurrency", "BillingCurrency"
        ),
        ("BillingCurrency",), ("BillingCurrency",),
    )  # fmt: skip
    yield _of_charges(
        "CAU-CCT-ContractCommitmentUnit", "ContractApplied",
        "must count quantities in the ContractCommitmentUnit of their commitments",
        _elements(
            lambda each, _, there: _unlike(each.unit, there.get(each.commitment)), "ContractCommitmentUnit"
        ),
        (), ("ContractCommitmentUnit",),
    )  # fmt: skip
    yield _of_charges(
        "CAU-CCT-ContractCommitmentPeriod", "ChargePeriodStart",
        "must be within the periods of the commitments of ContractApplied, as it is usage", _charge_outside,
        ("ChargeCategory", "ChargeClass", "ChargePeriodStart"), _PERIOD,
    )  # fmt: skip
    yield _of_sums(
        "CCT-CAU-ContractCommitmentQuantity", "ContractCommitmentQuantity",
        "must be no less than the usage that counts against it in cost-and-usage",
        _measured(("ContractCommitmentQuantity", "ContractCommitmentUnit"), _more_quantity),
        "ContractCommitmentQuantity", "ContractCommitmentUnit",
    )  # fmt: skip
    yield _of_sums(
        "CCT-CAU-ContractCommitmentCost", "ContractCommitmentCost",
        "must be no less than the cost of usage that counts against it in cost-and-usage",
        _measured(("ContractCommitmentCost",), _more_cost), "ContractCommitmentCost",
    )  # fmt: skip
    yield _of_sums(
        "CCT-CAU-ContractCommitmentId", _ID, "must have as much usage in cost-and-usage as was bought of it there",
        _measured((), _not_what_was_bought),
    )  # fmt: skip


LINKS = tuple(_links())
"""The rules, none of which is looked at unless both files are there."""
