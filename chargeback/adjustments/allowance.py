"""What is free each month, as money or as a quantity."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import WithJsonSchema, model_validator

from chargeback.adjustment import (
    Inapplicable,
    MoneyNanos,
    Nanos,
    Outcome,
    Part,
    Run,
    Stage,
    Step,
    Term,
    total,
    within,
)
from chargeback.json_forms import ABOVE_ZERO, only
from chargeback.money import NANOS_PER_UNIT, exact_text, nanos_to_text
from chargeback.rates import Currency

if TYPE_CHECKING:
    from chargeback.statements import Line


QuantityNanos = Annotated[
    Nanos, within(1, 10**15 * NANOS_PER_UNIT, "above 0 and at most 10^15"), WithJsonSchema(ABOVE_ZERO)
]


_MONEY = ("amount", "currency")


class Allowance(Term):
    """Makes a tenant's first `quantity` of a month (in `unit`) or its first `amount` of money free.

    A quantity frees the same share of every line that it applies to: of 40 GiB-hours with 10 free a
    quarter of each line's amount, whatever its price.
    """

    stage: ClassVar = Stage.ALLOWANCE
    form: ClassVar = {
        "oneOf": [only(("quantity", "unit"), _MONEY), only(_MONEY, ("quantity", "unit"))],
        "if": {"required": ["quantity"]},
        "then": {
            "required": ["applies_to"],
            "properties": {"applies_to": {"anyOf": [{"required": ["metrics"]}, {"required": ["rates"]}]}},
        },
    }

    kind: Literal["allowance"]
    quantity: QuantityNanos | None = None
    unit: str | None = None
    amount: MoneyNanos | None = None
    currency: Currency | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [
            name for name in ("quantity", "unit", "amount", "currency") if getattr(self, name) is not None
        ]
        if given not in (["quantity", "unit"], ["amount", "currency"]):
            msg = "must have either quantity and unit, or amount and currency"
            raise ValueError(msg)
        if self.quantity is not None and not (self.applies_to.metrics or self.applies_to.rates):
            msg = "a quantity needs the metric it is of: applies_to: {metrics: [memory_mib]}"
            raise ValueError(msg)
        return self

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """Rounded once for the tenant's month."""
        base = total(matched)
        if base <= 0:
            return None
        return self._money(base, run) if self.quantity is None else self._share(base, matched, run)

    def _money(self, base: int, run: Run) -> Outcome:
        assert self.amount is not None, "checked when made"
        assert self.currency is not None, "checked when made"
        agreed = run.minor(self, self.amount, self.currency)
        off = min(base, agreed)
        return Outcome(-off, "", f"{run.shown(agreed)} free of {run.shown(base)} = {run.shown(-off)}")

    def _share(self, base: int, matched: Sequence[Part], run: Run) -> Outcome | None:
        assert self.quantity is not None, "checked when made"
        free = Fraction(self.quantity, NANOS_PER_UNIT)
        used = sum((self._quantity(part.line) for part in matched if part.line), Fraction(0))
        if used <= 0:
            return None
        share = min(Fraction(1), free * Fraction(used.denominator, used.numerator))
        off = run.rounded(base, share.numerator, share.denominator)
        if not off:
            return None
        free_text, unit = nanos_to_text(self.quantity), self.unit
        steps = (
            Step(f"{exact_text(used)} {unit}", run.shown(base)),
            Step(f"of which {free_text} {unit} are free", run.shown(-off)),
        )
        note = f"{free_text} of {exact_text(used)} {unit} free: {run.shown(-off)} of {run.shown(base)}"
        return Outcome(-off, "", note, steps)

    def _quantity(self, line: "Line") -> Fraction:
        rate = line.charge.rate
        if rate.unit != self.unit:
            msg = (
                f"adjustment '{self.name}' frees {self.unit}, but rate '{rate.id}' prices {rate.unit}; "
                f"leave that rate out by applies_to, or write an allowance in {rate.unit}"
            )
            raise Inapplicable(msg)
        return line.charge.quantity
