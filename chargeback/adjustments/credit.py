"""An amount that is used up over months."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from chargeback.adjustment import MoneyNanos, Outcome, Part, Run, Stage, Step, Term, total
from chargeback.rates import Currency


class Credit(Term):
    """Pays what is left of a month after all else, until `amount` is used up.

    Each tenant that it applies to has that amount; months use it in their order, and what is left at
    `valid_to` is lost. A credit that replaces another one has already lost what that one paid.
    """

    stage: ClassVar = Stage.CREDIT
    category: ClassVar = "Credit"
    frequency: ClassVar = "One-Time"
    carries_over: ClassVar = True

    kind: Literal["credit"]
    amount: MoneyNanos
    currency: Currency

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        """What is left of it, or what there is to pay."""
        granted = run.minor(self, self.amount, self.currency)
        used = run.used_minor.get(self.name, 0)
        left = granted - used
        paid = min(total(matched), left)
        if paid <= 0:
            return None
        steps = (
            Step("credit", run.shown(granted)),
            Step("used in earlier months", run.shown(-used)),
            Step("to pay", run.shown(total(matched))),
        )
        note = f"{run.shown(paid)} of {run.shown(left)} left of {run.shown(granted)}; {run.shown(left - paid)} remains"
        return Outcome(-paid, "", note, steps)
