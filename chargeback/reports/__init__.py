"""What finance looks at. Each file of this folder is one report; adding one is adding a file.

A file's docstring begins with the sentence that says what the report shows, and its ``make(books)``
gives the report. Its name on the command line is the file's, with hyphens.
"""

import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import NamedTuple

from chargeback.books import Books
from chargeback.report import InvalidReport, Report


class Made(NamedTuple):
    """A report that can be made: its name, what it shows, and the function that makes it.

    `compares` says that it needs the bill of the month before (the file's ``COMPARES``).
    """

    name: str
    summary: str
    make: Callable[[Books], Report]
    compares: bool


@cache
def every() -> Mapping[str, Made]:
    """Every report by name, in alphabetical order."""
    found = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        name = module.replace("_", "-")
        code = import_module(f"{__name__}.{module}")
        summary = (code.__doc__ or "").splitlines()[0].rstrip(".")
        found[name] = Made(name, summary, code.make, getattr(code, "COMPARES", False))
    return found


def make(name: str, books: Books) -> Report:
    """The report of that name. Raises InvalidReport for an unknown one, or books that it cannot be made of."""
    if name not in every():
        msg = f"there is no report '{name}'; known are {', '.join(every())}"
        raise InvalidReport(msg)
    return every()[name].make(books)
