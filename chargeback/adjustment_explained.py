"""Why an adjustment, or a correction of one, is what it is, as data that gives the same cent again.

What `chargeback.explain` does for lines of usage, for the rows beside them.
"""

from typing import Any, Self

from catalog.base import Value
from chargeback.adjusting import Adjustment
from chargeback.money import format_minor, split
from chargeback.passed_on import PassedOn
from chargeback.statements import Correction, Item, Line


class TermStep(Value):
    """One step in words, and the amount that it gave, with its currency; empty where it gave none."""

    text: str
    amount: str


class Shared(Value):
    """An item that the term's amount was split by: what it cost before, and whether it is of this row."""

    item: str
    before_minor: int
    mine: bool


class TermSide(Value):
    """One amount of a term for a tenant's month, and this row's share of it.

    `sign` is -1 for what a correction takes back. Without `shared` the row has all of `whole_minor`.
    """

    sign: int
    term: dict[str, Any]
    """All that was agreed, as the document says it."""
    steps: tuple[TermStep, ...]
    whole_minor: int
    shared: tuple[Shared, ...]
    amount: str

    @classmethod
    def of(cls, sign: int, adjustment: Adjustment | PassedOn) -> Self:
        """What an adjustment, or a row that is passed on, says of itself."""
        if isinstance(adjustment, PassedOn):
            bill = {
                "kind": "provider_bill",
                "bill": adjustment.bill,
                "provider": adjustment.values["rate_card"],
            }
            said = TermStep(text=adjustment.note, amount=adjustment.amount)
            return cls(
                sign=sign, term=bill, steps=(said,), whole_minor=adjustment.amount_minor, shared=(),
                amount=adjustment.amount,
            )  # fmt: skip
        shares, mine = adjustment.shares, set(adjustment.mine)
        return cls(
            sign=sign,
            term=adjustment.term.model_dump(mode="json"),
            steps=tuple(TermStep(text=step.text, amount=step.amount) for step in adjustment.steps),
            whole_minor=adjustment.whole_minor,
            shared=tuple(
                Shared(item=item, before_minor=before, mine=i in mine)
                for i, (item, before) in enumerate(zip(shares.items, shares.before_minor, strict=True))
            ),
            amount=adjustment.amount,
        )

    def recomputed(self) -> int:
        """Its amount in minor units, from what it says and nothing else."""
        if not self.shared:
            return self.whole_minor
        parts = split(self.whole_minor, [one.before_minor for one in self.shared])
        return sum(part for part, one in zip(parts, self.shared, strict=True) if one.mine)


class TermExplanation(Value):
    """Everything that an adjustment's amount follows from; a correction has a side for before and one for now."""

    line: str
    corrects: str
    tenant: str
    cost_centre: str
    period: str
    currency: str
    minor_digits: int
    sides: tuple[TermSide, ...]
    amount_minor: int
    amount: str


def explain_adjustment(item: Item | Correction) -> TermExplanation:
    """Why an adjustment, what is passed on, or a correction of one costs what it costs.

    Raises TypeError for a line of usage.
    """
    of = item.item if isinstance(item, Correction) else item
    sides = [(-1, item.before), (1, item.after)] if isinstance(item, Correction) else [(1, of)]
    if isinstance(of, Line):
        msg = f"{of.id} is a line of usage; explain it by chargeback.explain"
        raise TypeError(msg)
    return TermExplanation(
        line="" if isinstance(item, Correction) else of.id,
        corrects=of.id if isinstance(item, Correction) else "",
        tenant=of.tenant,
        cost_centre=str(of.row("")["cost_centre"]),
        period=of.period.name,
        currency=of.card.currency,
        minor_digits=of.card.minor_digits,
        sides=tuple(
            TermSide.of(sign, side)
            for sign, side in sides
            if side is not None and not isinstance(side, Line)
        ),
        amount_minor=item.amount_minor,
        amount=format_minor(item.amount_minor, of.card.minor_digits),
    )


def recompute_adjustment(explanation: TermExplanation) -> int:
    """The amount in minor units, from what the explanation says and nothing else."""
    return sum(side.sign * side.recomputed() for side in explanation.sides)
