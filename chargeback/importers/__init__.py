"""Formats of usage samples, a file each, found by themselves and told apart by their content.

A new format is a new file here with an `IMPORTER`; files whose names begin with ``_`` are shared parts.
"""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from catalog.documents import Problem
from chargeback.samples import SampleImport, nothing


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What a file itself may not say. `machine` is whose samples they are, `time_zone` where its clock hung.

    With `provisioned`, what a trace's machines were given is read in place of what they used.
    """

    machine: str = ""
    time_zone: str = ""
    expected_interval_s: int = 3600
    provisioned: bool = False


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One format. `recognises` looks at a file's first bytes; `read` takes its content and its name for messages."""

    summary: str
    recognises: Callable[[bytes], bool]
    read: Callable[[bytes, str, ImportOptions], SampleImport]


HEAD_BYTES = 4096
"""How much of a file tells its format."""


def importers() -> Mapping[str, Importer]:
    """Name -> importer, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")
    return {name: import_module(f"{__name__}.{name}").IMPORTER for name in names}


def import_samples(content: bytes, file: str, options: ImportOptions | None = None) -> SampleImport:
    """The samples of a file in any known format; problems name the file, the line and what to do."""
    if not content:
        return nothing([Problem(file, 1, 1, "", "", "the file is empty")])
    known = importers()
    for importer in known.values():
        if importer.recognises(content[:HEAD_BYTES]):
            return importer.read(content, file, options or ImportOptions())
    formats = "; ".join(f"{name}: {importer.summary}" for name, importer in known.items())
    return nothing([Problem(file, 1, 1, "", "", f"the format is not known; known are {formats}")])
