"""Which code is here: the same sum for the same code, so that what it made is known again, and only that."""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def sum_of(packages: Iterable[str], libraries: Iterable[str]) -> str:
    """Of the sources of packages, by what is in them, and of libraries and Python, by their versions.

    Raises OSError where a package's sources are nowhere.
    """
    major, minor, *_ = sys.version_info
    found = hashlib.sha256(f"python {major}.{minor}\n".encode())
    for name in libraries:
        found.update(f"{name} {version(name)}\n".encode())
    for package in sorted(set(packages)):
        for file in _sources(package):
            found.update(f"{package} {file.name}\n".encode() + file.read_bytes())
    return found.hexdigest()


def _sources(package: str) -> Iterator[Path]:
    """The Python files of a package, or of a module that stands alone."""
    spec = find_spec(package)
    folders = list((spec and spec.submodule_search_locations) or ())
    found = [file for folder in folders for file in sorted(Path(folder).rglob("*.py"))]
    if not folders and spec is not None and spec.origin:
        found = [Path(spec.origin)]
    if not found:
        msg = f"the source of {package} is nowhere"
        raise OSError(msg)
    yield from found
