"""Budgets: what a tenant, a cost centre or any part of the bill may cost in a month.

The reference of the document format is docs/reference/reports.md.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Path, Problem, entries, parse
from catalog.frozen import FrozenMapping
from catalog.wording import known_names
from chargeback.json_forms import MONEY
from chargeback.labels import InvalidLabels, labels_text
from chargeback.money import NANOS_PER_UNIT, nanos_from_text, nanos_to_text
from chargeback.periods import BillingPeriod
from chargeback.rates import Currency

SECTIONS = frozenset({"budgets"})
"""The sections of documents that are read here."""

BUDGET_MAX_NANOS = 10**12 * NANOS_PER_UNIT
"""A million millions of the currency a month; more is a slip of the pen."""

_NOUNS = {"tenant": "tenant", "cost_centre": "cost centre", "tier": "tier", "pool": "pool"}


def _month(text: str) -> str:
    return BillingPeriod.parse(text, "UTC").name


Month = Annotated[str, AfterValidator(_month)]
"""A month like ``2026-10``."""


def _amount_nanos(value: object) -> int:
    nanos = nanos_from_text(str(value))
    if not 0 < nanos <= BUDGET_MAX_NANOS:
        msg = f"must be above 0 and at most a million millions: {value}"
        raise ValueError(msg)
    return nanos


def _thresholds(value: object) -> object:
    if isinstance(value, list) and len({str(one) for one in value}) < len(value):
        msg = "each threshold stands once"
        raise ValueError(msg)
    return value


Percent = Annotated[int, Field(ge=1, le=1000, strict=True)]
"""Whole percent of the budget."""


class Budget(Value):
    """What rows may cost together in each month from `first_month` to `last_month` (None: no end).

    Rows count that have all values that are given; those of a tenant or cost centre include the rows
    of all below it. A threshold, in percent, is passed when the cost reaches it.
    """

    name: Name
    title: str = ""
    tenant: Name | None = None
    cost_centre: Name | None = None
    tier: Name | None = None
    pool: Name | None = None
    labels: FrozenMapping[str, str] = Field(default_factory=dict)
    amount: Annotated[int, BeforeValidator(_amount_nanos), WithJsonSchema(MONEY)] = Field(
        description="The amount of one month as it is written; nano-units of the currency once read."
    )
    currency: Currency
    thresholds: Annotated[tuple[Percent, ...], BeforeValidator(_thresholds)] = (80, 100)
    first_month: Month
    last_month: Month | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    def minor(self, minor_digits: int) -> int:
        """The amount in minor units. Raises ValueError where it is no whole number of them."""
        whole, rest = divmod(self.amount * int(10**minor_digits), int(NANOS_PER_UNIT))
        if rest:
            msg = f"budget {self.name}: {nanos_to_text(self.amount)} has more than {minor_digits} decimals"
            raise ValueError(msg)
        return whole

    def holds(self, month: str) -> bool:
        """Whether it is in force in a month like ``2026-10``."""
        return self.first_month <= month and (self.last_month is None or month <= self.last_month)


def load_budgets(
    texts: Mapping[str, str],
    known: Mapping[str, Collection[str]],
    currencies: Mapping[str, int] | None = None,
) -> tuple[Budget, ...]:
    """The budgets of all files (file name -> text), in order of file and place.

    `known` are the names of each of ``tenant``, ``cost_centre``, ``tier`` and ``pool``; `currencies`
    the rate cards' currencies with their decimals, None where nothing is known of them. Raises
    DocumentError with every problem of every file; then there are no budgets at all.
    """
    problems: list[Problem] = []
    budgets: dict[str, Budget] = {}
    for file, text in texts.items():
        document, unreadable = parse(text, file)
        problems += unreadable
        if document is None:
            continue
        found: list[Problem] = []
        for name, (budget, path) in entries(document, "budgets", Budget, found).items():
            if name in budgets:
                found.append(document.problem(path, f"the budget '{name}' stands in two files"))
            budgets[name] = budget
            found += _contradictions(document, path, budget, known, currencies)
        said = {problem.path for problem in unreadable}
        problems += [problem for problem in found if problem.path not in said]
    if problems:
        raise DocumentError(problems)
    return tuple(budgets.values())


def _contradictions(
    document: Located,
    path: Path,
    budget: Budget,
    known: Mapping[str, Collection[str]],
    currencies: Mapping[str, int] | None,
) -> Iterator[Problem]:
    for field, noun in _NOUNS.items():
        name = getattr(budget, field)
        if name is not None and name not in known.get(field, ()):
            hint = known_names(name, known.get(field, ()))
            yield document.problem((*path, field), f"there is no {noun} of that name; {hint}", name)
    try:
        labels_text(budget.labels)
    except InvalidLabels as error:
        yield document.problem((*path, "labels"), str(error))
    if budget.last_month is not None and budget.last_month < budget.first_month:
        message = f"last_month must not be before first_month {budget.first_month}"
        yield document.problem((*path, "last_month"), message, budget.last_month)
    if currencies is not None:
        yield from _money(document, path, budget, currencies)


def _money(
    document: Located, path: Path, budget: Budget, currencies: Mapping[str, int]
) -> Iterator[Problem]:
    digits = currencies.get(budget.currency)
    if digits is None:
        message = f"nothing is billed in it; rate cards are in {', '.join(currencies) or 'no currency'}"
        yield document.problem((*path, "currency"), message, budget.currency)
        return
    try:
        budget.minor(digits)
    except ValueError:
        message = f"must have at most {digits} decimals, as {budget.currency} has"
        yield document.problem((*path, "amount"), message, nanos_to_text(budget.amount))
