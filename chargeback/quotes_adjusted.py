"""Quotes with what is agreed beside the rate card: adjustments and billed currencies.

Of a tenant's whole order life the quote is the invoice: the same statements, made of an imagined history.
Of one machine among others only what hangs on its own lines can be told; everything else is named.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from catalog.resources import Resources
from chargeback.adjustment import Term
from chargeback.instants import END_OF_TIME_S
from chargeback.labels import labels_of
from chargeback.money import format_minor
from chargeback.periods import BillingPeriod
from chargeback.pricing import Birth
from chargeback.quotes import Held, Whose, always, charges_of, months_of
from chargeback.rates import RateCard
from chargeback.statements import Statement, statements
from chargeback.terms import Terms


class Open(NamedTuple):
    """What a quote cannot know beforehand, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class AdjustedQuote:
    """One machine's price for its tenant, month by month as its statements round it.

    `card` says in which currency, `months` are those of the statements: every one rounds its own lines.
    `left_open` is what is not in it.
    """

    card: RateCard
    months: tuple[str, ...]
    total_minor: int
    adjustments: tuple[tuple[Term, int], ...]
    left_open: tuple[Open, ...]

    @property
    def total(self) -> str:
        """``EUR 371.34``."""
        return format_minor(self.total_minor, self.card.minor_digits, self.card.currency)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each adjustment with its amount: ``percentage discount 'frame-2026' EUR -41.26``."""
        digits, currency = self.card.minor_digits, self.card.currency
        return tuple(
            f"{term.title} {format_minor(minor, digits, currency)}" for term, minor in self.adjustments
        )


def statements_of(
    held: Iterable[Held], card: RateCard, periods: Sequence[BillingPeriod], terms: Terms, *,
    births: Iterable[Birth] = (), known_at: int = END_OF_TIME_S,
) -> list[Statement]:  # fmt: skip
    """The statements that an imagined history will have, for all that its tenants use in `periods`.

    They are those of finished months, by rates and terms as known at `known_at`. What is left of credits hangs
    on earlier months: `held` must go back as far as `terms.history(period)`. Raises ValueError for stacked
    cards, which price whole machines of usage, and what `charges_of` and `statements` raise.
    """
    if terms.stack is not None:
        msg = "a quote by stacked cards needs usage; bill the imagined usage with chargeback.bills.bill"
        raise ValueError(msg)
    first = min(periods, key=lambda period: period.t_from)
    every = (*terms.history(first), *periods)
    charges = charges_of(held, card, every, known_at=known_at, births=births)
    found = statements(charges, card, _known(terms, known_at), periods=every)
    return [statement for statement in found if statement.period in periods]


def for_tenant(
    resources: Resources, card: RateCard, who: Whose, terms: Terms, *, at: int, hours: int,
    known_at: int = END_OF_TIME_S,
) -> AdjustedQuote:  # fmt: skip
    """What a new machine costs its tenant for so many hours from `at` on, and what cannot be told yet.

    In it are the adjustments that hang on the machine's own lines alone. Where its tenant has other machines
    they are rounded together on the invoice, so that a cent may stand at another machine.
    """
    span = at, at + hours * 3600
    months = months_of(card, *span)
    known = _known(terms, known_at)
    certain = [term for term in known.adjustments if not term.hangs_on]
    replaced = {
        name for term in known.adjustments if term not in certain for name in known.replaced_by(term)
    }
    alone = known.model_copy(
        update={"adjustments": tuple(t for t in certain if t.name not in replaced), "fx": (), "stack": None}
    )
    held, births = always(resources, card, who, span), [Birth(*who, at)]
    found = statements_of(held, card, months, alone, births=births, known_at=known_at)
    sums: Counter[str] = Counter()
    for statement in found:
        for one in statement.adjustments:
            sums[one.term.name] += one.amount_minor
    by_name = {term.name: term for term in certain}
    return AdjustedQuote(
        card, tuple(month.name for month in months), sum(statement.total_minor for statement in found),
        tuple((by_name[name], minor) for name, minor in sums.items()), tuple(_open(known, who, months)),
    )  # fmt: skip


def _known(terms: Terms, known_at: int) -> Terms:
    """The terms that were recorded by then; months are taken as finished, so the moment itself counts no more."""
    kept = tuple(term for term in terms.adjustments if term.recorded_at <= known_at)
    return terms if len(kept) == len(terms.adjustments) else terms.model_copy(update={"adjustments": kept})


def _open(terms: Terms, who: Whose, months: Sequence[BillingPeriod]) -> Iterator[Open]:
    """Everything that can apply to the machine and hangs on more than its lines."""
    said = dict.fromkeys(
        term
        for month in months
        for term in terms.of_tenant(who.tenant, month.name)
        if term.hangs_on and _can_match(term, who)
    )
    for term in said:
        yield Open(term.title, term.hangs_on)
    for term in terms.adjustments:
        lacks = term.applies_to.labels.items() - labels_of(who.labels).items()
        holds = any(term in terms.of_tenant(who.tenant, month.name) for month in months)
        if lacks and holds and not term.hangs_on and _can_match(term, who):
            wanted = ", ".join(f"{key}={value}" for key, value in sorted(lacks))
            yield Open(term.title, f"it holds once the machine has the labels {wanted}")
    billed = {one.name: one for month in months if (one := terms.billing_of(who.tenant, month.name))}
    for name, billing in billed.items():
        yield Open(
            f"fx '{name}'",
            f"{who.tenant} is billed in {billing.to_currency} at a rate of the month's "
            f"{billing.use_rate_of.value.removeprefix('period-')}",
        )
    for layer in terms.stack.layers if terms.stack else ():
        if layer.tenant == who.tenant or layer.cost_centre == who.cost_centre:
            yield Open(f"rate card '{layer.card.name}'", f"it stands above the base card for {layer.whose}")


def _can_match(term: Term, who: Whose) -> bool:
    of = term.applies_to
    return (not of.cost_centres or who.cost_centre in of.cost_centres) and (
        not of.tiers or who.tier in of.tiers
    )
