"""The files that a what-if document names -> values, with every problem of every file told at once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from catalog.catalog import Catalog
from catalog.documents import DocumentError, read
from catalog.estates.class_documents import load_class_rules
from catalog.estates.class_rules import ClassRules
from catalog.estates.classified import Decision
from catalog.estates.classifying import classify
from catalog.estates.mapping import read_mapping
from catalog.estates.model import Estate, PowerState
from catalog.estates.sizing import Sized, SizingPolicy, rightsize
from catalog.estates.sizing_documents import load_sizing
from chargeback.economics.document import Economics, load_economics
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import RateCard
from tierwise.documents import MAX_FILE_BYTES, load, read_text
from tierwise.errors import InvalidInput
from tierwise.planner.document import LIVE, WhatIf
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import Prepared, prepare, sizes
from tierwise.planner.reading import Loaded
from tierwise.planner.reading import load as load_document

_KEPT = "kept: "
"""What a reason of `rightsize` begins with where the size is today's for want of data."""
T = TypeVar("T")
LiveEstate = Callable[[], Estate]
ReadEstate = Callable[[Path], Estate]


def prepared(file: Path, live: LiveEstate | None = None, read: ReadEstate | None = None) -> Prepared:
    """A document and all that it names, ready to be asked about. `live` gives the estate that runs, for ``estate: live``.

    Paths in the document are relative to its folder. `read` reads estates from files, where not
    `tierwise.estates.read` shall. Raises InvalidInput with every problem of every file in `details`.
    """
    return prepared_from(file, live, read)[0]


def prepared_from(
    file: Path, live: LiveEstate | None = None, read: ReadEstate | None = None
) -> tuple[Prepared, Inputs]:
    """The same, with what it was made of: machines by host, which scenarios do not look at."""
    try:
        loaded = load_document(_text(file), file.name)
    except DocumentError as error:
        raise _invalid(file, [str(one) for one in error.problems]) from None
    inputs = _Reader(loaded, file.parent, live, read).read(file)
    try:
        return prepare(loaded, inputs), inputs
    except DocumentError as error:
        raise _invalid(file, [str(one) for one in error.problems]) from None


def loaded_only(file: Path) -> Loaded:
    """The document by itself. Raises InvalidInput."""
    try:
        return load_document(_text(file), file.name)
    except DocumentError as error:
        raise _invalid(file, [str(one) for one in error.problems]) from None


@dataclass
class _Reader:
    """Reads what a document names; what is wrong is collected."""

    loaded: Loaded
    folder: Path
    live: LiveEstate | None
    read_estate: ReadEstate | None

    def __post_init__(self) -> None:
        self.wrong: list[str] = []
        self.notes: list[str] = []

    def read(self, file: Path) -> Inputs:
        """All of it. Raises InvalidInput."""
        document = self.loaded.document
        estate = self._tried(("estate",), self._estate)
        economics = self._tried(("economics",), self._economics)
        rates = self._rates_of(document, economics)
        catalog = self._catalog(document)
        rules = self._rules(document, catalog)
        policy = self._policy(document)
        if document.sizing.policy and "use" not in sizes(document):
            self.notes.append(
                "sizing.policy sizes nothing: say `sizing: {by: use}`, or {kind: sizes, by: use} in a scenario"
            )
        decisions = self._decisions(document, estate, catalog)
        if self.wrong or estate is None or economics is None:
            raise _invalid(file, self.wrong)
        classes = catalog.classes if catalog else {}
        classified = {}
        if rules is not None:
            classified = {one.machine: one for one in classify(estate, rules, classes, decisions)}
        used = {}
        if policy is not None and "use" in sizes(document):
            # Use was measured when the estate was looked at; how old that is, the confidence says.
            found = {one.id: rightsize(one, policy) for one in estate.machines}
            self.notes += _keeping(estate, found)
            used = {name: one.resources for name, one in found.items()}
        return Inputs(estate, economics, classes, classified, used, rates, (*estate.notes, *self.notes))

    def _estate(self) -> Estate:
        name = self.loaded.document.estate
        if name == LIVE:
            if self.live is None:
                msg = "the live estate needs a data directory; `tierwise init` makes one"
                raise InvalidInput(msg)
            return self.live()
        if self.read_estate is not None:
            return self.read_estate(self.folder / name)
        from tierwise.estates import read as read_file  # noqa: PLC0415 - readers of workbooks take their time to load

        return read_file(self.folder / name)

    def _economics(self) -> Economics:
        path = self.folder / self.loaded.document.economics
        return load_economics(_text(path), path.name)

    def _rates_of(self, document: WhatIf, economics: Economics | None) -> RateCard | None:
        name = document.rates
        if name is None:
            return None
        card = self._tried(("rates",), lambda: _card(self.folder / name, document))
        if card and economics and card.currency != economics.currency:
            why = f"rate card {card.label} is in {card.currency}, and costs are in {economics.currency}; use one currency"
            self.wrong.append(str(self.loaded.problem(("rates",), why)))
        return card

    def _catalog(self, document: WhatIf) -> Catalog | None:
        classes = document.classes
        if classes.catalog is None:
            if classes.rules or classes.mapping:
                problem = self.loaded.problem(
                    ("classes",), "'rules' and 'mapping' need 'catalog', whose classes they name"
                )
                self.wrong.append(str(problem))
            return None
        path = self.folder / classes.catalog
        return self._tried(("classes", "catalog"), lambda: load(path).catalog)

    def _rules(self, document: WhatIf, catalog: Catalog | None) -> ClassRules | None:
        if catalog is None:
            return None
        if document.classes.rules is None:
            return ClassRules() if document.classes.mapping else None
        path = self.folder / document.classes.rules
        return self._tried(("classes", "rules"), lambda: load_class_rules(_text(path), path.name, catalog))

    def _policy(self, document: WhatIf) -> SizingPolicy | None:
        name = document.sizing.policy
        if name is None:
            return SizingPolicy()
        return self._tried(("sizing", "policy"), lambda: load_sizing(_text(self.folder / name), name))

    def _decisions(
        self, document: WhatIf, estate: Estate | None, catalog: Catalog | None
    ) -> dict[str, Decision]:
        name = document.classes.mapping
        if name is None or estate is None or catalog is None:
            return {}
        found = self._tried(
            ("classes", "mapping"),
            lambda: read_mapping(_text(self.folder / name), name, estate, catalog.classes),
        )
        if found is None:
            return {}
        self.notes += found.notes
        return dict(found.by_machine)

    def _tried(self, path: tuple[str, ...], read: Callable[[], T]) -> T | None:
        """What `read` gives; where it fails, its problems are told with the place that names the file."""
        try:
            return read()
        except DocumentError as error:
            self.wrong += [str(one) for one in error.problems]
        except InvalidInput as error:
            self.wrong.append(str(self.loaded.problem(path, str(error))))
            self.wrong += error.details
        return None


def _card(path: Path, document: WhatIf) -> RateCard:
    """The one card of a catalog, or of a file of nothing but rate cards. Raises InvalidInput and DocumentError."""
    if path.is_dir():
        return load(path).rate_card
    text = read_text(path)
    if "tiers" in read(text, path.name).tree:
        return load(path).rate_card
    # As `tierwise economics rates --card` prints it: by itself, for the tiers that the document names.
    cards = load_rate_cards({path.name: text}, sorted({pool.tier for pool in document.pools.values()}))
    if len(cards) != 1:
        names = ", ".join(card.name for card in cards) or "none"
        msg = f"{path}: must hold exactly one rate card under 'rate_cards:'; it holds {names}"
        raise InvalidInput(msg)
    return cards[0]


_ESTATES = frozenset({".xlsx", ".xlsm", ".xls", ".zip"})


def _text(path: Path) -> str:
    """A file as text. Raises InvalidInput."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            msg = f"{path}: {size} bytes are more than a document may have ({MAX_FILE_BYTES})"
            raise InvalidInput(msg)
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        if path.suffix.lower() in _ESTATES:
            msg = f"{path}: is an export of an estate and no document; name it in one, as `estate: {path.name}`"
        raise InvalidInput(msg) from None
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None


def _invalid(file: Path, details: list[str]) -> InvalidInput:
    found = sorted(set(details))
    noun = "problem" if len(found) == 1 else "problems"
    return InvalidInput(f"{file}: {len(found)} {noun}; nothing was planned", details=found)


def _keeping(estate: Estate, found: Mapping[str, Sized]) -> Iterator[str]:
    """How many machines of those that may run are not sized by what they used, and the most frequent reason."""
    running = [
        found[one.id] for one in estate.machines if one.power not in {PowerState.OFF, PowerState.SUSPENDED}
    ]
    reasons = Counter(one.reason for one in running if one.reason.startswith(_KEPT))
    if reasons:
        (most, _), *_ = reasons.most_common(1)
        yield (
            f"right-sizing: {reasons.total():,} of {len(running):,} machines that run keep their size; "
            f"the most frequent reason: {most.removeprefix(_KEPT)}"
        )
