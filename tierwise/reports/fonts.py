"""The letters of PDF files: DejaVu Sans as matplotlib ships it, which has Latin, Greek and Cyrillic."""

from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]  # ships no type information
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]  # as above

PLAIN, BOLD = "DejaVuSans", "DejaVuSans-Bold"

MISSING = "\u25a1"
"""An empty box, for what the font has no sign for."""


@cache
def register() -> None:
    """Make both fonts known to reportlab."""
    found = find_spec("matplotlib")  # Found, not imported: that would take half a second.
    assert found is not None, "matplotlib is installed with tierwise"
    assert found.origin is not None, "matplotlib is a package of files"
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))


@lru_cache(maxsize=200_000)
def width(text: str, font: str, size: float) -> float:
    """How wide a line of text is, in points."""
    return float(pdfmetrics.stringWidth(text, font, size))


@lru_cache(maxsize=200_000)
def printable(text: str) -> str:
    """The text with a box for each sign that the font lacks, on one line."""
    known = pdfmetrics.getFont(PLAIN).face.charToGlyph
    return "".join(
        c if ord(c) in known and c.isprintable() else " " if c.isspace() else MISSING for c in text
    )


@lru_cache(maxsize=200_000)
def wrapped(text: str, font: str, size: float, room: float) -> tuple[str, ...]:
    """The text in lines that are no wider than `room`; words that are too long are broken."""
    if width(text, font, size) <= room:
        return (text,)
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width(longer, font, size) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = _pieces(word, font, size, room)
        lines += whole
    return (*lines, line)


def cut(text: str, font: str, size: float, room: float) -> str:
    """The text, or as much of it as `room` has for, with three points after it."""
    if width(text, font, size) <= room:
        return text
    first, *_ = _pieces(text, font, size, room - width("…", font, size))
    return f"{first}…"


def _pieces(word: str, font: str, size: float, room: float) -> list[str]:
    pieces, piece = [], ""
    for c in word:
        if piece and width(piece + c, font, size) > room:
            pieces.append(piece)
            piece = ""
        piece += c
    return [*pieces, piece]
