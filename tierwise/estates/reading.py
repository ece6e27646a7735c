"""An estate from a file or folder, whatever kind of export it is."""

from pathlib import Path

from pydantic import ValidationError

from catalog.estates import Estate
from tierwise.errors import InvalidInput
from tierwise.estates.importer import Importer
from tierwise.estates.importers import importers
from tierwise.estates.sources import Source, open_source


def read(path: Path, *, kind: str | None = None, max_unpacked_mib: int = 2048) -> Estate:
    """The estate at `path`; of this kind, or of the kind that its content shows.

    Raises InvalidInput where it cannot be read, is of no known kind, or has no machines.
    """
    known = importers()
    if kind is not None and kind not in known:
        msg = f"there is no estate importer '{kind}'; known are {', '.join(known)}"
        raise InvalidInput(msg)
    source = open_source(path, max_unpacked_mib=max_unpacked_mib)
    try:
        importer = known[kind] if kind is not None else _recognised(source)
        return importer.read(source)
    except ValidationError as error:
        details = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:20]]
        msg = f"{path}: has values that no estate can have; correct them"
        raise InvalidInput(msg, details=details) from None
    finally:
        source.close()


def _recognised(source: Source) -> Importer:
    known = importers()
    sure = {kind: _sure(one, source) for kind, one in known.items()}
    best = max(sure, key=lambda kind: sure[kind])
    if not sure[best]:
        sheets = ", ".join(repr(sheet.name) for sheet in source.sheets[:30])
        there = f"; its sheets are {sheets}" if sheets else ""
        kinds = ", ".join(f"{kind} ({one.summary})" for kind, one in known.items())
        msg = f"{source.path}: is no export of a known kind{there}; known are {kinds}; name one with --kind"
        lacks = {kind: _lacks(one, source) for kind, one in known.items()}
        nearly = [f"as {kind} it lacks {what}" for kind, what in lacks.items() if what]
        raise InvalidInput(msg, details=[*nearly, *source.findings.notes()])
    return known[best]


def _lacks(importer: Importer, source: Source) -> str:
    try:
        return importer.lacks(source)
    except InvalidInput:
        return ""  # What is damaged was noted when it was looked at.


def _sure(importer: Importer, source: Source) -> int:
    """A sheet that is damaged is no reason to give up yet: the others may do."""
    try:
        return importer.recognises(source)
    except InvalidInput as error:
        source.findings.note(str(error))
        return 0
