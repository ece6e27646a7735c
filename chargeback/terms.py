"""All that is agreed beside the base rate card: adjustments, billed currencies and stacked cards.

The terms of a month are applied in one defined order: by `Stage`, then `order`, then name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, NamedTuple, Self

from pydantic import BeforeValidator, SerializeAsAny, model_validator

from catalog.base import Value
from chargeback.adjustment import Term
from chargeback.adjustments import kinds
from chargeback.fx import Billing, twice_billed
from chargeback.instants import END_OF_TIME_S
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.stacks import Stack


def _of_its_kind(body: object) -> object:
    """A term that was dumped, by the class of its kind."""
    if not isinstance(body, Mapping):
        return body
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in kinds():
        msg = f"there is no adjustment of the kind '{kind}'; known are {', '.join(kinds())}"
        raise ValueError(msg)
    return kinds()[kind].model_validate(body)


AnyTerm = Annotated[SerializeAsAny[Term], BeforeValidator(_of_its_kind)]
"""A term of any kind, dumped with all its fields and read back as what it was."""


class TermBreach(NamedTuple):
    """Why terms do not go together; `name` is the one to look at."""

    name: str
    message: str


class Terms(Value):
    """What holds beside the rate card; none of it by default."""

    adjustments: tuple[AnyTerm, ...] = ()
    fx: tuple[Billing, ...] = ()
    stack: Stack | None = None

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        found = [breach.message for breach in term_breaches(self.adjustments)]
        found += [message for _, message in twice_billed(self.fx)]
        if found:
            raise ValueError("; ".join(found))
        return self

    @cached_property
    def _replaced(self) -> dict[str, frozenset[str]]:
        """Per term, the names of all that it replaces, directly or through others."""
        found: dict[str, frozenset[str]] = {}
        for term in sorted(self.adjustments, key=lambda term: term.recorded_at):
            direct = frozenset(term.replaces)
            found[term.name] = direct.union(*(found.get(name, frozenset()) for name in direct))
        return found

    def replaced_by(self, term: Term) -> frozenset[str]:
        """The names of the terms whose place this one takes."""
        return self._replaced.get(term.name, frozenset())

    def in_force(self, month: str, known_at: int = END_OF_TIME_S) -> tuple[Term, ...]:
        """The terms of a month like ``2026-10`` as known at a moment, in the order in which they are applied."""
        valid = [term for term in self.adjustments if term.recorded_at <= known_at and term.valid_in(month)]
        gone = frozenset[str]().union(*(self.replaced_by(term) for term in valid))
        return tuple(sorted((term for term in valid if term.name not in gone), key=_order))

    def of_tenant(self, tenant: str, month: str, known_at: int = END_OF_TIME_S) -> tuple[Term, ...]:
        """Those of them that can apply to a tenant."""
        return tuple(term for term in self.in_force(month, known_at) if term.applies_to.has_tenant(tenant))

    def order_of_application(self, month: str, known_at: int = END_OF_TIME_S) -> list[str]:
        """The same for people: ``3 percentage: percentage discount 'frame-2026' (for shop, bank)``."""
        return [
            f"{place} {term.stage.name.lower().replace('_', ' ')}: {term.title}{_whose(term)}"
            for place, term in enumerate(self.in_force(month, known_at), 1)
        ]

    def tenants_without_usage(self, month: str, known_at: int = END_OF_TIME_S) -> set[str]:
        """Who may be charged for a month though nothing was used."""
        return {
            tenant
            for term in self.in_force(month, known_at)
            if term.needs_no_line
            for tenant in term.applies_to.tenants
        }

    def history(self, period: BillingPeriod) -> tuple[BillingPeriod, ...]:
        """The earlier months, in order, that what is left of credits in `period` depends on."""
        starts = [
            term.valid_from
            for term in self.adjustments
            if term.carries_over and term.valid_from < period.name
        ]
        # A replaced credit may have ended before the month in which the one in its place still counts.
        if not starts or not any(t.carries_over and t.valid_in(period.name) for t in self.adjustments):
            return ()
        return tuple(_months(BillingPeriod.parse(min(starts), period.time_zone), period))

    @property
    def of_lines(self) -> "Terms":
        """What lines alone depend on: the currency that they are billed in, and stacked cards."""
        return self.model_copy(update={"adjustments": ()})

    def learnt(self, since: int, until: int) -> bool:
        """Whether an adjustment or an exchange rate was recorded after `since`, not after `until`."""
        moments = [term.recorded_at for term in self.adjustments]
        moments += [rate.recorded_at for one in self.fx for rate in one.rates]
        return any(since < at <= until for at in moments)

    def billing_of(self, tenant: str, month: str) -> Billing | None:
        """How a tenant is billed in a month, if in another currency than the card's."""
        held = (one for one in self.fx if tenant in one.tenants and one.valid_in(month))
        return next(held, None)

    def billed_card(self, card: RateCard, tenant: str, month: str) -> RateCard:
        """The card in the currency that the tenant is billed in."""
        billing = self.billing_of(tenant, month)
        return billing.card(card) if billing else card


def term_breaches(terms: Sequence[Term]) -> Iterator[TermBreach]:
    """Everything that keeps these terms from having one meaning."""
    by_name: dict[str, Term] = {}
    for term in terms:
        if term.name in by_name:
            yield TermBreach(
                term.name, f"the name '{term.name}' stands twice; each adjustment needs its own"
            )
        by_name.setdefault(term.name, term)
    for term in terms:
        for name in term.replaces:
            wrong = _bad_replacement(term, by_name.get(name), name)
            if wrong:
                yield TermBreach(term.name, wrong)


def _bad_replacement(term: Term, other: Term | None, name: str) -> str:
    if other is None:
        return f"replaces '{name}', and there is no adjustment of that name"
    if other.stage is not term.stage:
        return f"replaces '{name}', which is a {other.title}; it must be of the same kind"
    if other.recorded_at >= term.recorded_at:
        return f"replaces '{name}', which was not recorded before it; recorded_at must be later"
    return ""


def _order(term: Term) -> tuple[int, int, str]:
    return term.stage, term.order, term.name


def _whose(term: Term) -> str:
    return f" (for {', '.join(term.applies_to.tenants)})" if term.applies_to.tenants else ""


def _months(first: BillingPeriod, end: BillingPeriod) -> Iterable[BillingPeriod]:
    while first.name < end.name:
        yield first
        first = first.next


NO_TERMS = Terms()
"""Nothing but the rate card."""
