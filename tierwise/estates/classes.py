"""Classes of machines from files: the catalog's, the rules, and the mapping that people edit."""

from pathlib import Path

from catalog.catalog import Catalog, load_catalog
from catalog.estates.class_documents import FORMAT, load_class_rules
from catalog.estates.class_rules import ClassRules
from catalog.estates.mapping import Decisions, read_mapping
from catalog.estates.model import Estate
from catalog.estates.sizing import SizingPolicy
from catalog.estates.sizing_documents import load_sizing
from catalog.problems import DocumentError
from tierwise.documents import formatted, read_texts
from tierwise.errors import InvalidInput
from tierwise.estates.text_files import text

_SHOWN = 200


def catalog_of(folder: Path) -> Catalog:
    """The catalog of a folder or file. Raises InvalidInput with every problem."""
    try:
        return load_catalog(read_texts(folder))
    except DocumentError as error:
        raise _invalid(folder, error) from None


def rules_of(path: Path | None, beside: Path, catalog: Catalog) -> ClassRules:
    """The rules of a file, or of the only document of class rules beside the catalog. Raises InvalidInput."""
    file = path or _only(beside if beside.is_dir() else beside.parent)
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


def _only(folder: Path) -> Path:
    found = formatted(folder, FORMAT)
    if len(found) == 1:
        return found[0]
    named = ", ".join(map(str, found))
    what = f"{len(found)} files with class rules: {named}" if found else "no file with class rules"
    msg = f"the catalog has {what} (format: {FORMAT}); name one with --rules"
    raise InvalidInput(msg)


def _invalid(path: Path, error: DocumentError) -> InvalidInput:
    found = [str(problem) for problem in error.problems]
    details = found[:_SHOWN] + ([f"{len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else [])
    noun = "problem" if len(found) == 1 else "problems"
    return InvalidInput(f"{path}: {len(found):,} {noun}; nothing was classified or sized", details=details)
