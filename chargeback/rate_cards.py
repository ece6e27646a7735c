"""Rate card documents -> `RateCard`s, or every mistake in them with its line.

The reference of the format is docs/reference/rate-cards.md.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import tzinfo
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Path, Problem, checked, parse
from chargeback.instants import instant, zone
from chargeback.money import Rounding, nanos_from_text
from chargeback.periods import TimeZone
from chargeback.rates import (
    RATE_MAX_NANOS,
    UNITS,
    Breach,
    Currency,
    PowerRule,
    Rate,
    RateCard,
    breaches,
    gaps,
    unknown_unit,
)
from chargeback.usage import Metric

__all__ = ["SECTIONS", "Rate", "RateCard", "load_rate_cards"]

SECTIONS = frozenset({"rate_cards"})
"""The sections of documents that are read here."""


def _price_nanos(value: object) -> int:
    nanos = nanos_from_text(str(value))
    if nanos < 0:
        msg = f"must not be negative: {value}"
        raise ValueError(msg)
    if nanos > RATE_MAX_NANOS:
        msg = f"must not exceed 1000000 per unit and hour: {value}"
        raise ValueError(msg)
    return nanos


class _RateEntry(Value):
    """A rate as it is written; times are still text, as their meaning hangs on the card's zone."""

    id: Name
    tier: Name
    metric: Metric
    unit: str
    price: Annotated[int, BeforeValidator(_price_nanos)]
    power: PowerRule = PowerRule.ALWAYS
    valid_from: str
    valid_to: str | None = None
    recorded_at: str | None = None
    replaces: tuple[Name, ...] = ()


class _CardEntry(Value):
    """A card as it is written, without its rates."""

    name: Name
    version: Annotated[int, Field(ge=1, strict=True)]
    currency: Currency
    minor_digits: Annotated[int, Field(ge=0, le=4, strict=True)]
    time_zone: TimeZone
    rounding: Rounding = Rounding.HALF_UP
    recorded_at: str


def load_rate_cards(texts: Mapping[str, str], tier_names: Collection[str]) -> tuple[RateCard, ...]:
    """The cards of all files (file name -> text), in order of file and place.

    Sections other than ``rate_cards`` are left to their readers. Raises DocumentError with every
    problem of every file; then there are no cards at all.
    """
    problems: list[Problem] = []
    cards: dict[str, RateCard | None] = {}
    for file, text in texts.items():
        document, unreadable = parse(text, file)
        problems += unreadable
        if document is None:
            continue
        found: list[Problem] = []
        for name, card in _cards(document, frozenset(tier_names), found):
            if name in cards:
                message = f"the rate card '{name}' stands in two files"
                found.append(document.problem(("rate_cards", name), message))
            cards[name] = card
        # What is not readable as YAML stands as text in the tree, where it would be found again.
        said = {problem.path for problem in unreadable}
        problems += [problem for problem in found if problem.path not in said]
    if problems:
        raise DocumentError(problems)
    return tuple(card for card in cards.values() if card is not None)


def _cards(
    document: Located, tiers: frozenset[str], problems: list[Problem]
) -> Iterable[tuple[str, RateCard | None]]:
    """The name and the card of each entry; None where anything is wrong with the card."""
    content = document.tree.get("rate_cards")
    if content is None:
        return
    if not isinstance(content, dict):
        problems.append(document.problem(("rate_cards",), "must be a mapping from name to rate card"))
        return
    for name, body in content.items():
        path: Path = ("rate_cards", name)
        if isinstance(body, dict):
            yield str(name), _Reader(document, path, tiers, problems).card(str(name), body)
        else:
            problems.append(document.problem(path, "must be a mapping", body))


class _Reader:
    """One card of one document; problems go to the list that all readers share."""

    def __init__(
        self, document: Located, path: Path, tiers: frozenset[str], problems: list[Problem]
    ) -> None:
        self.document = document
        self.path = path
        self.tiers = tiers
        self.problems = problems

    def card(self, name: str, body: Mapping[str, Any]) -> RateCard | None:
        """The card, or None where anything is wrong with it."""
        before = len(self.problems)
        if "name" in body:
            self._add(("name",), f"the name of a card is its key, here '{name}'; remove this field")
        head_body = {key: value for key, value in body.items() if key != "rates"} | {"name": name}
        head = checked(self.document, self.path, _CardEntry, head_body, self.problems)
        where = _zone_or_utc(body.get("time_zone"))
        recorded_at = self._moment((), "recorded_at", body.get("recorded_at"), where)
        rates = self._rates(body.get("rates"), where, recorded_at)
        self._together(rates, complete=len(self.problems) == before)
        if head is None or len(self.problems) > before:
            return None
        fields = head.model_dump(exclude={"recorded_at"})
        return RateCard(**fields, rates=tuple(rate for rate, _ in rates))

    def _rates(self, body: Any, where: tzinfo, recorded_at: int | None) -> list[tuple[Rate, Path]]:
        if not isinstance(body, list) or not body:
            self._add(("rates",), "must be a list with at least one rate")
            return []
        found = []
        for i, rate_body in enumerate(body):
            at: Path = ("rates", i)
            entry = checked(self.document, (*self.path, *at), _RateEntry, rate_body, self.problems)
            rate = entry and self._rate(entry, at, where, recorded_at)
            if rate:
                found.append((rate, at))
        return found

    def _rate(self, entry: _RateEntry, at: Path, where: tzinfo, recorded_at: int | None) -> Rate | None:
        before = len(self.problems)
        if entry.tier not in self.tiers:
            known = ", ".join(sorted(self.tiers)) or "none"
            self._add((*at, "tier"), f"there is no tier '{entry.tier}'; known are {known}")
        if entry.unit not in UNITS[entry.metric]:
            self._add((*at, "unit"), unknown_unit(entry.metric, entry.unit))
        t_from = self._moment(at, "valid_from", entry.valid_from, where)
        t_to = self._moment(at, "valid_to", entry.valid_to, where)
        if entry.recorded_at is not None:
            recorded_at = self._moment(at, "recorded_at", entry.recorded_at, where)
        if t_from is not None and t_to is not None and t_to <= t_from:
            message = f"valid_to {entry.valid_to} must be after valid_from {entry.valid_from}"
            self._add((*at, "valid_to"), message)
        if len(self.problems) > before or t_from is None or recorded_at is None:
            return None
        return Rate(
            id=entry.id, tier=entry.tier, metric=entry.metric, unit=entry.unit, rate_nanos=entry.price,
            power=entry.power, valid_from=t_from, valid_to=t_to, recorded_at=recorded_at,
            replaces=entry.replaces,
        )  # fmt: skip

    def _together(self, rates: list[tuple[Rate, Path]], *, complete: bool) -> None:
        """What is wrong between rates. Gaps are only looked for where every rate could be read."""
        places = {id(rate): at for rate, at in rates}
        values = [rate for rate, _ in rates]
        found: list[Breach] = breaches(values)
        hidden = set() if complete else {breach.message for breach in gaps(values)}
        for breach in found:
            if breach.message not in hidden:
                at: Path = ("rates",) if breach.rate is None else places[id(breach.rate)]
                self._add(at, breach.message)

    def _moment(self, at: Path, field: str, text: object, where: tzinfo) -> int | None:
        if not isinstance(text, str):
            return None  # absent, or of a wrong type that `checked` reports
        try:
            return instant(text, where)
        except ValueError as error:
            self._add((*at, field), str(error), text)
            return None

    def _add(self, at: Path, message: str, *value: object) -> None:
        self.problems.append(self.document.problem((*self.path, *at), message, *value))


def _zone_or_utc(name: object) -> tzinfo:
    """The card's zone; UTC where it is wrong, so that the other mistakes are found all the same."""
    look_up: Callable[[str], tzinfo] = zone
    try:
        return look_up(str(name))
    except ValueError:
        return zone("UTC")
