"""The folder of documents that administrators write: catalog, rules, rate cards, what is agreed beside them, and budgets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalog.catalog import Catalog, load_catalog
from catalog.documents import DocumentError, Problem
from chargeback.adjustment_documents import References, load_terms
from chargeback.budgets import Budget, load_budgets
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.shared_costs.documents import Known, SharedCosts, load_shared_costs
from chargeback.terms import NO_TERMS, Terms
from policies.documents import load_rules
from policies.rule import Rule
from tierwise.errors import InvalidInput

MAX_FILE_BYTES = 16 * 2**20

_OF_A_FORMAT = re.compile(r"^format:\s*[\"']?tierwise-", re.MULTILINE)
"""A planner's document, such as one of economics, that lies beside the catalog and has readers of its own."""


@dataclass(frozen=True)
class Documents:
    """Everything that administrators wrote, checked together."""

    catalog: Catalog
    rules: tuple[Rule, ...]
    rate_cards: tuple[RateCard, ...]
    terms: Terms = NO_TERMS
    budgets: tuple[Budget, ...] = ()
    shared_costs: SharedCosts = field(default_factory=SharedCosts)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """File name, without its folder -> what was read."""

    @property
    def rate_card(self) -> RateCard:
        """The card that prices the tiers: the only one, or the base of the stack. Raises InvalidInput."""
        if self.terms.stack is not None:
            return self.terms.stack.base
        if len(self.rate_cards) == 1:
            return self.rate_cards[0]
        names = ", ".join(card.name for card in self.rate_cards) or "none"
        msg = (
            f"the catalog folder must hold exactly one rate card under 'rate_cards:'; it holds {names}; "
            "where there are several, say under 'stack:' which one is the base"
        )
        raise InvalidInput(msg)


def read_texts(path: Path) -> dict[str, str]:
    """File name -> text of one YAML file, or of every ``*.yaml``/``*.yml`` in a folder that is of no planner's format.

    Raises InvalidInput when there is none, or one cannot be read as UTF-8 text.
    """
    try:
        found = _in_folder(path)
    except NotADirectoryError:
        return {str(path): read_text(path)}
    return {name: text for name, text in found.items() if not _OF_A_FORMAT.search(text)}


def formatted(folder: Path, form: str) -> list[Path]:
    """The files in a folder that say ``format: FORM``. Raises InvalidInput as `read_texts`."""
    says = re.compile(rf"^format:\s*[\"']?{re.escape(form)}[\"']?\s*(#.*)?$", re.MULTILINE)
    return [Path(name) for name, text in _in_folder(folder).items() if says.search(text)]


def _in_folder(path: Path) -> dict[str, str]:
    try:
        files = sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml"})
    except NotADirectoryError:
        raise
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None
    if not files:
        msg = (
            f"the folder {path} holds no .yaml file; `tierwise init --example acme` writes a worked example"
        )
        raise InvalidInput(msg)
    return {str(file): read_text(file) for file in files}


def read_text(file: Path) -> str:
    """A document's text. Raises InvalidInput where it is too large, cannot be read, or is not UTF-8."""
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            msg = f"{file}: {size} bytes are more than a catalog file may have ({MAX_FILE_BYTES})"
            raise InvalidInput(msg)
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise InvalidInput(msg) from None
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None


def load(path: Path) -> Documents:
    """All documents of a file or folder. Raises InvalidInput with *every* problem in `details`."""
    texts = read_texts(path)
    problems: list[Problem] = []
    rules: tuple[Rule, ...] = ()
    cards: tuple[RateCard, ...] | None = None
    terms = NO_TERMS
    budgets: tuple[Budget, ...] = ()
    costs = SharedCosts()
    try:
        catalog = load_catalog(texts)
    except DocumentError as error:
        # Rules and rates name what the catalog holds: on a broken one they would seem wrong too.
        raise _invalid(
            path, error.problems, "; rules and rates are checked when the catalog is right"
        ) from None
    try:
        rules = load_rules(texts, catalog)
    except DocumentError as error:
        problems.extend(error.problems)
    try:
        cards = load_rate_cards(texts, tuple(catalog.tiers))
    except DocumentError as error:
        problems.extend(error.problems)
    try:
        known = References(tuple(catalog.tenants), tuple(catalog.cost_centres), tuple(catalog.tiers), cards)
        terms = load_terms(texts, known)
    except DocumentError as error:
        problems.extend(error.problems)
    try:
        budgets = load_budgets(texts, _payers(catalog), _currencies(cards or ()))
    except DocumentError as error:
        problems.extend(error.problems)
    try:
        names = Known(catalog.pools, catalog.tiers, catalog.sites, catalog.tenants)
        costs = load_shared_costs(texts, names)
    except DocumentError as error:
        problems.extend(error.problems)
    if problems:
        raise _invalid(path, problems)
    by_name = {Path(name).name: text for name, text in texts.items()}
    return Documents(catalog, rules, cards or (), terms, budgets, costs, by_name)


def _payers(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """What a budget can be for, and the names of each."""
    return {
        "tenant": tuple(catalog.tenants),
        "cost_centre": tuple(catalog.cost_centres),
        "tier": tuple(catalog.tiers),
        "pool": tuple(catalog.pools),
    }


def _currencies(cards: tuple[RateCard, ...]) -> dict[str, int] | None:
    """The cards' currencies with their decimals; None where the cards have problems of their own."""
    return {card.currency: card.minor_digits for card in cards} or None


def _invalid(path: Path, problems: tuple[Problem, ...] | list[Problem], more: str = "") -> InvalidInput:
    count = len(set(problems))
    noun = "problem" if count == 1 else "problems"
    return InvalidInput(
        f"{path}: {count} {noun}; nothing was loaded{more}", details=[str(p) for p in sorted(set(problems))]
    )
