"""An estate as a file: our document, which keeps everything, or a workbook that other tools read."""

from pathlib import Path

from catalog.estates import Estate
from tierwise.errors import InvalidInput
from tierwise.estates import document
from tierwise.estates.rvtools import out
from tierwise.reports.files import write_whole

SUFFIXES = (".json", ".xlsx")


def write(estate: Estate, target: Path) -> tuple[str, ...]:
    """Write the file that the name's ending asks for; gives notes about what it has no place for.

    Raises InvalidInput for another ending or, as TierwiseError, where it cannot be written.
    """
    check_suffix(target)
    if target.suffix.lower() == ".xlsx":
        return out.workbook(estate, target)
    write_whole(target, document.text(estate).encode())
    return ()


def check_suffix(target: Path) -> None:
    """Raises InvalidInput for a name that ends like no file that can be written."""
    if target.suffix.lower() not in SUFFIXES:
        msg = f"{target}: an estate can be written as {' or '.join(SUFFIXES)}; let the file's name end in one of them"
        raise InvalidInput(msg)
