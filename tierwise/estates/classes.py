"""Classes of machines from files: the catalog's, the rules, and the mapping that people edit."""

from collections.abc import Mapping
from pathlib import Path

from catalog.catalog import Catalog, load_catalog
from catalog.estates.class_documents import FORMAT, load_class_rules
from catalog.estates.class_rules import ClassRules
from catalog.estates.mapping import Decisions, read_mapping
from catalog.estates.model import Estate
from catalog.estates.sizing import SizingPolicy
from catalog.estates.sizing_documents import load_sizing
from catalog.problems import DocumentError
from tierwise.documents import read_texts
from tierwise.errors import InvalidInput
from tierwise.estates.text_files import text

_SHOWN = 200


def catalog_of(folder: Path) -> tuple[Catalog, Mapping[str, str]]:
    """The catalog of a folder or file, and its texts. Raises InvalidInput with every problem."""
    texts = read_texts(folder)
    try:
        return load_catalog(texts), texts
    except DocumentError as error:
        raise _invalid(folder, error) from None


def rules_of(path: Path | None, texts: Mapping[str, str], catalog: Catalog) -> ClassRules:
    """The rules of a file, or of the only document of class rules beside the catalog. Raises InvalidInput."""
    file = path or _beside(texts)
    try:
        return load_class_rules(text(file), str(file), catalog)
    except DocumentError as error:
        raise _invalid(file, error) from None


def decisions_of(path: Path, estate: Estate, catalog: Catalog) -> Decisions:
    """What people have decided in a mapping. Raises InvalidInput with every problem."""
    try:
        return read_mapping(text(path), str(path), estate, catalog.classes)
    except DocumentError as error:
        raise _invalid(path, error) from None


def policy_of(path: Path | None) -> SizingPolicy:
    """The sizing policy of a file; the usual one without a file. Raises InvalidInput with every problem."""
    if path is None:
        return SizingPolicy()
    try:
        return load_sizing(text(path), str(path))
    except DocumentError as error:
        raise _invalid(path, error) from None


def _beside(texts: Mapping[str, str]) -> Path:
    found = [name for name, inside in texts.items() if any(FORMAT in line for line in _formats(inside))]
    if len(found) == 1:
        return Path(found[0])
    what = (
        f"{len(found)} files with class rules: {', '.join(found)}" if found else "no file with class rules"
    )
    msg = f"the catalog has {what} (format: {FORMAT}); name one with --rules"
    raise InvalidInput(msg)


def _formats(inside: str) -> list[str]:
    return [line for line in inside.splitlines() if line.startswith("format:")]


def _invalid(path: Path, error: DocumentError) -> InvalidInput:
    found = [str(problem) for problem in error.problems]
    details = found[:_SHOWN] + ([f"{len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else [])
    noun = "problem" if len(found) == 1 else "problems"
    return InvalidInput(f"{path}: {len(found):,} {noun}; nothing was classified or sized", details=details)
