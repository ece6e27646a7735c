"""Rate card documents -> `RateCard`s, or every mistake in them with its line.

The reference of the format is docs/reference/rate-cards.md.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import tzinfo
from typing import Any

from pydantic import ValidationError

from catalog.documents import DocumentError, Located, Path, Problem, checked, parse
from catalog.wording import known_names
from chargeback.instants import instant, zone
from chargeback.rate_breaches import Breach, breaches, gaps
from chargeback.rate_card_form import CardEntry, RateEntry
from chargeback.rates import Rate, RateCard, Window
from chargeback.shape import Shape
from chargeback.shapes import names
from chargeback.shapes.unit import Unit
from chargeback.units import unit_amount, unknown_unit

__all__ = ["SECTIONS", "Rate", "RateCard", "load_rate_cards"]

SECTIONS = frozenset({"rate_cards"})
"""The sections of documents that are read here."""

_STAND_IN = Unit.model_validate({"price": 0})
"""In the place of a shape that could not be read, so that the one around it is checked all the same."""


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
        head = checked(self.document, self.path, CardEntry, head_body, self.problems)
        where = _zone_or_utc(body.get("time_zone"))
        recorded_at = self._moment((), "recorded_at", body.get("recorded_at"), where)
        rates = self._rates(body.get("rates"), where, recorded_at, body.get("currency"))
        self._together(rates, complete=len(self.problems) == before)
        if head is None or len(self.problems) > before:
            return None
        fields = {name: getattr(head, name) for name in CardEntry.model_fields if name != "recorded_at"}
        return RateCard(**fields, rates=tuple(rate for rate, _ in rates))

    def _rates(
        self, body: Any, where: tzinfo, recorded_at: int | None, currency: object
    ) -> list[tuple[Rate, Path]]:
        if not isinstance(body, list) or not body:
            self._add(("rates",), "must be a list with at least one rate")
            return []
        found = []
        for i, rate_body in enumerate(body):
            at: Path = ("rates", i)
            rate = self._read_rate(rate_body, at, where, recorded_at)
            if isinstance(rate_body, dict):
                self._in_currency(rate_body, at, currency)
            if rate:
                found.append((rate, at))
        return found

    def _in_currency(self, body: Mapping[str, Any], at: Path, currency: object) -> None:
        if body.get("currency", currency) != currency:
            message = f"is not the card's currency {currency}; make a card of its own for each currency"
            self._add((*at, "currency"), message, body["currency"])

    def _read_rate(self, body: Any, at: Path, where: tzinfo, recorded_at: int | None) -> Rate | None:
        before = len(self.problems)
        if isinstance(body, dict) and body.get("shape") is not None:
            body = body | {"shape": self._shape(body["shape"], (*at, "shape"))}
        entry = checked(self.document, (*self.path, *at), RateEntry, body, self.problems)
        if entry is None:
            if isinstance(body, dict):
                self._by_the_clock(body, at, where)
            return None
        rate = self._rate(entry, at, where, recorded_at)
        return rate if len(self.problems) == before else None

    def _shape(self, body: Any, at: Path) -> Shape:
        """A shape and those inside it, each mistake at its own place."""
        if not isinstance(body, dict):
            self._add(at, "must be a mapping with the kind of a shape", body)
            return _STAND_IN
        kind = body.get("kind")
        if not isinstance(kind, str) or kind not in names():
            message = "is required and missing" if kind is None else f"there is no shape '{kind}'"
            self._add((*at, "kind"), f"{message}; {known_names(kind, names())}")
            return _STAND_IN
        model = names()[kind]
        inner = {name: self._shape(body[name], (*at, name)) for name in model.inner if name in body}
        shape = checked(self.document, (*self.path, *at), model, body | inner, self.problems)
        return _STAND_IN if shape is None else shape

    def _rate(self, entry: RateEntry, at: Path, where: tzinfo, recorded_at: int | None) -> Rate | None:
        before = len(self.problems)
        if entry.tier not in self.tiers:
            known = ", ".join(sorted(self.tiers)) or "none"
            self._add((*at, "tier"), f"there is no tier '{entry.tier}'; known are {known}")
        if not unit_amount(entry.metric, entry.unit):
            self._add((*at, "unit"), unknown_unit(entry.metric, entry.unit))
        if (entry.price is None) == (entry.shape is None):
            self._add(at, "must have either a price or a shape; the price alone is that of each unit")
        t_from = self._moment(at, "valid_from", entry.valid_from, where)
        t_to = self._moment(at, "valid_to", entry.valid_to, where)
        if entry.recorded_at is not None:
            recorded_at = self._moment(at, "recorded_at", entry.recorded_at, where)
        if t_from is not None and t_to is not None and t_to <= t_from:
            message = f"valid_to {entry.valid_to} must be after valid_from {entry.valid_from}"
            self._add((*at, "valid_to"), message)
        if len(self.problems) > before or t_from is None or recorded_at is None:
            return None
        return self._made(entry, at, valid_from=t_from, valid_to=t_to, recorded_at=recorded_at)

    def _made(self, entry: RateEntry, at: Path, **times: int | None) -> Rate | None:
        """The rate, or None with what does not go together in it."""
        if entry.window is not None and (entry.shape is None or entry.shape.linear):
            message = "has no effect on a price per unit; leave it out, or give a shape"
            self._add((*at, "window"), message, entry.window.value)
        same = {name: getattr(entry, name) for name in RateEntry.model_fields if name in Rate.model_fields}
        price = (
            {"shape": entry.shape} if entry.price is None else {"rate_nanos": entry.price, "shape": None}
        )
        window = {"window": entry.window or Window.MACHINE_MONTH}
        try:
            return Rate(**(same | price | window | times))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                name = (str(detail["loc"][0]),) if detail["loc"] else ()
                self._add((*at, *name), detail["msg"].removeprefix("Value error, "))
            return None

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

    def _by_the_clock(self, body: Mapping[str, Any], at: Path, where: tzinfo) -> None:
        """What is wrong with the times of a rate that cannot be read for other reasons."""
        for name in ("valid_from", "valid_to", "recorded_at"):
            self._moment(at, name, body.get(name), where)

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
