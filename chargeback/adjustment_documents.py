"""The sections ``adjustments``, ``fx`` and ``stack`` of documents -> `Terms`, or every mistake with its line.

The reference of the format is docs/reference/adjustments.md.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Path, Problem, checked, parse
from catalog.wording import known_names
from chargeback.adjustment import Term
from chargeback.adjustments import kinds
from chargeback.fx import Billing, twice_billed
from chargeback.instants import instant, zone
from chargeback.money import NANOS_PER_UNIT, nanos_to_text
from chargeback.rates import RateCard
from chargeback.stacks import Layer, Stack, StackMode, stack_breaches
from chargeback.terms import Terms, term_breaches

SECTIONS = ("adjustments", "fx", "stack")
"""The sections of documents that are read here."""


@dataclass(frozen=True)
class References:
    """The names that terms may use. `cards` None: they could not be read, so what hangs on them is not checked."""

    tenants: Collection[str]
    cost_centres: Collection[str]
    tiers: Collection[str]
    cards: tuple[RateCard, ...] | None

    @property
    def zone(self) -> tzinfo:
        """Whose clocks show local times: those of the cards where they agree, else UTC."""
        names = {card.time_zone for card in self.cards or ()}
        return zone(names.pop() if len(names) == 1 else "UTC")


class _StackEntry(Value):
    """The card of one tenant or cost centre, as it is written."""

    card: Name
    mode: StackMode


class StackBody(Value):
    """The section ``stack``."""

    base: Name
    tenants: Mapping[Name, _StackEntry] = {}
    cost_centres: Mapping[Name, _StackEntry] = {}


Place = tuple[Located, Path]


@dataclass
class _Found:
    """What all documents say, and where."""

    terms: list[tuple[Term, Place]] = field(default_factory=list)
    fx: list[tuple[Billing, Place]] = field(default_factory=list)
    stacks: list[tuple[StackBody, Place]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, place: Place, message: str, *value: object) -> None:
        self.problems.append(place[0].problem(place[1], message, *value))


def load_terms(texts: Mapping[str, str], known: References) -> Terms:
    """The terms of all files (file name -> text). Raises DocumentError with every problem of every file."""
    found = _Found()
    for file, text in texts.items():
        document, unreadable = parse(text, file)
        found.problems += unreadable
        if document is not None:
            before = len(found.problems)
            _read(document, known, found)
            # What is not readable as YAML stands as text in the tree, where it would be found again.
            said = {problem.path for problem in unreadable}
            found.problems[before:] = [p for p in found.problems[before:] if p.path not in said]
    stack = _stack(known, found)
    _together(known, found)
    if found.problems:
        raise DocumentError(found.problems)
    return Terms(
        adjustments=tuple(term for term, _ in found.terms),
        fx=tuple(one for one, _ in found.fx),
        stack=stack,
    )


def _read(document: Located, known: References, found: _Found) -> None:
    for place, name, body in _entries(document, "adjustments", found):
        kind = body.get("kind")
        if not isinstance(kind, str) or kind not in kinds():
            said = "is required and missing" if kind is None else "there is no such adjustment"
            shown = [] if kind is None else [kind]
            found.add((document, (*place[1], "kind")), f"{said}; {known_names(str(kind), kinds())}", *shown)
            continue
        whole = _dated(place, {**body, "name": name}, known.zone, found)
        term = checked(document, place[1], kinds()[str(kind)], whole, found.problems)
        if term is not None:
            found.terms.append((term, place))
    for place, name, body in _entries(document, "fx", found):
        billing = checked(
            document, place[1], Billing, _fx_body(place, body, name, known, found), found.problems
        )
        if billing is not None:
            found.fx.append((billing, place))
    if (content := document.tree.get("stack")) is not None:
        stack = checked(document, ("stack",), StackBody, content, found.problems)
        if stack is not None:
            found.stacks.append((stack, (document, ("stack",))))


def _entries(document: Located, section: str, found: _Found) -> Iterable[tuple[Place, str, dict[str, Any]]]:
    content = document.tree.get(section)
    if content is None:
        return
    if not isinstance(content, dict):
        found.add((document, (section,)), "must be a mapping from name to entry", content)
        return
    for name, body in content.items():
        place: Place = (document, (section, name))
        if not isinstance(body, dict):
            found.add(place, "must be a mapping", body)
            continue
        if "name" in body:
            message = f"the name of an entry is its key, here '{name}'; remove this field"
            found.add((document, (section, name, "name")), message)
        yield place, str(name), body


def _dated(place: Place, body: dict[str, Any], where: tzinfo, found: _Found) -> dict[str, Any]:
    """`body` with the moment that its `recorded_at` names; a wrong one is told, and the rest is read on."""
    text = body.get("recorded_at")
    if text is None:
        return body
    try:
        # A year would be read as seconds since 1970; what is no text is told as what is no date.
        return body | {"recorded_at": instant(text if isinstance(text, str) else "", where)}
    except ValueError as error:
        found.add((place[0], (*place[1], "recorded_at")), str(error), text)
        return body | {"recorded_at": 0}


def _fx_body(
    place: Place, body: dict[str, Any], name: str, known: References, found: _Found
) -> dict[str, Any]:
    """An entry of ``fx``; rates without `recorded_at` have the entry's."""
    whole = {**_dated(place, body, known.zone, found)}
    default = {"recorded_at": whole.pop("recorded_at")} if "recorded_at" in whole else {}
    rates = whole.get("rates")
    if isinstance(rates, list):
        whole["rates"] = [
            default | _dated((place[0], (*place[1], "rates", i)), rate, known.zone, found)
            if isinstance(rate, dict)
            else rate
            for i, rate in enumerate(rates)
        ]
    return whole | {"name": name}


def _stack(known: References, found: _Found) -> Stack | None:
    if not found.stacks:
        return None
    for _, place in found.stacks[1:]:
        found.add(place, f"there is a stack already, in {found.stacks[0][1][0].file}; write one")
    body, place = found.stacks[0]
    layers = _layers(body, place, known, found)
    cards = {card.name: card for card in known.cards or ()}
    if known.cards is None or body.base not in cards or not layers:
        if known.cards is not None:
            _known(body.base, cards, "rate card", (place[0], ("stack", "base")), found)
            if not (body.tenants or body.cost_centres):
                found.add(
                    place, "has no card above the base; name tenants or cost_centres, or leave it out"
                )
        return None
    messages = stack_breaches(cards[body.base], layers)
    for message in messages:
        found.add(place, message)
    return None if messages else Stack(base=cards[body.base], layers=tuple(layers))


def _layers(body: StackBody, place: Place, known: References, found: _Found) -> list[Layer]:
    cards = {card.name: card for card in known.cards or ()}
    made = []
    sections: tuple[tuple[str, str, Mapping[str, _StackEntry], Collection[str]], ...] = (
        ("tenants", "tenant", body.tenants, known.tenants),
        ("cost_centres", "cost_centre", body.cost_centres, known.cost_centres),
    )
    for section, of, entries, names in sections:
        for name, entry in entries.items():
            at: Path = ("stack", section, name)
            _known(name, names, of.replace("_", " "), (place[0], at), found)
            if known.cards is None:
                continue
            if _known(entry.card, cards, "rate card", (place[0], (*at, "card")), found):
                layer = {"card": cards[entry.card], "mode": entry.mode, of: name}
                made.append(Layer.model_validate(layer))
    return made


def _known(name: str, names: Collection[str], what: str, place: Place, found: _Found) -> bool:
    if name not in names:
        found.add(place, f"there is no {what} '{name}'; {known_names(name, sorted(names))}")
    return name in names


def _together(known: References, found: _Found) -> None:
    """What only the names and all entries together show."""
    by_name = {term.name: place for term, place in found.terms}
    for breach in term_breaches([term for term, _ in found.terms]):
        found.add(by_name[breach.name], breach.message)
    by_fx = {id(one): place for one, place in found.fx}
    for one, message in twice_billed([one for one, _ in found.fx]):
        found.add(by_fx[id(one)], message)
    for one, place in found.fx:
        for i, tenant in enumerate(one.tenants):
            _known(tenant, known.tenants, "tenant", (place[0], (*place[1], "tenants", i)), found)
        if known.cards and all(card.currency != one.from_currency for card in known.cards):
            at = (place[0], (*place[1], "from_currency"))
            found.add(at, f"no rate card is in {one.from_currency}; known are {_currencies(known)}")
    for term, place in found.terms:
        _references(term, place, known, found)
        _money(term, place, known, found)


def _references(term: Term, place: Place, known: References, found: _Found) -> None:
    selector = term.applies_to
    lists: list[tuple[str, str, tuple[str, ...], Collection[str]]] = [
        ("tenants", "tenant", selector.tenants, known.tenants),
        ("cost_centres", "cost centre", selector.cost_centres, known.cost_centres),
        ("tiers", "tier", selector.tiers, known.tiers),
    ]
    if known.cards is not None:
        rates = [rate.id for card in known.cards for rate in card.rates]
        lists.append(("rates", "rate", selector.rates, rates))
    for field_name, what, names, all_names in lists:
        for i, name in enumerate(names):
            _known(name, all_names, what, (place[0], (*place[1], "applies_to", field_name, i)), found)
    centre = getattr(term, "cost_centre", None)
    if centre is not None:
        _known(centre, known.cost_centres, "cost centre", (place[0], (*place[1], "cost_centre")), found)


def _money(term: Term, place: Place, known: References, found: _Found) -> None:
    """Whether the term's currency is one that its tenants are billed in, and its amounts fit that one's decimals."""
    currency = getattr(term, "currency", None)
    if currency is None or not known.cards:
        return
    mine = [one for one, _ in found.fx if set(one.tenants) & set(term.applies_to.tenants or one.tenants)]
    digits = {card.currency: card.minor_digits for card in known.cards}
    digits |= {one.to_currency: one.minor_digits for one in mine}
    if currency not in digits:
        message = (
            f"nobody that it applies to is billed in {currency}; known are {', '.join(sorted(digits))}"
        )
        found.add((place[0], (*place[1], "currency")), message)
        return
    for amount in term.amounts():
        if amount * int(10 ** digits[currency]) % NANOS_PER_UNIT:
            message = f"{nanos_to_text(amount)} has more than the {digits[currency]} decimals of {currency}; round it"
            found.add(place, message)


def _currencies(known: References) -> str:
    return ", ".join(sorted({card.currency for card in known.cards or ()}))
