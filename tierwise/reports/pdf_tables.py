"""Tables over pages: the headings stand on each, and the total is never alone."""

from collections.abc import Sequence

from tierwise.reports.fonts import BOLD, PLAIN, printable, width, wrapped
from tierwise.reports.pdf_pages import DEEP, FAINT, INK, LINE, WASH, Pages
from tierwise.reports.words import Sheet, Shown

_PAD = 5.0
_INDENT = 12.0
_SIZES = (8.5, 8.0, 7.5, 7.0, 6.5, 6.0)
_TEXT_LEAST = 52.0
"""What a column of words gets at least, in points, where not all of it fits."""


def draw_table(pages: Pages, sheet: Sheet) -> None:
    """The table from where the page is used to, and on as many pages as it takes."""
    _Drawn(pages, sheet).draw()


class _Drawn:
    """One table with its measures."""

    def __init__(self, pages: Pages, sheet: Sheet) -> None:
        self.pages, self.sheet = pages, sheet
        self.size, self.widths = _measures(sheet, pages.room)
        self.leading = self.size * 1.32
        self.edges = [pages.left]
        for one in self.widths:
            self.edges.append(self.edges[-1] + one)
        self.head = [
            wrapped(printable(text), BOLD, self.size - 0.5, room - 2 * _PAD)
            for text, room in zip(sheet.headings, self.widths, strict=True)
        ]

    def draw(self) -> None:
        """Title, headings, rows; the last row and the total stay together, and so do a band and its first row."""
        rows = self.sheet.rows
        heights = [self._height(row) for row in rows]
        first = heights[0] + (heights[1] if len(heights) > 1 else 0) if heights else 0
        title = 22 if self.sheet.title else 0
        self.pages.need(title + self._head_height() + first)
        if title:
            y = self.pages.y + 14
            self.pages.words(self.pages.left, y, self.sheet.title, font=BOLD, size=11, fill=DEEP)
        self.pages.y += title
        self._headings()
        band = ""
        for i, row in enumerate(rows):
            if row.kind == "band":
                band = row.cells[0]
            follows = i + 1 < len(rows) and (row.kind == "band" or rows[i + 1].kind == "total")
            if self.pages.need(heights[i] + (heights[i + 1] if follows else 0)):
                self._headings(f"{band} (continued)" if band and row.kind == "row" else "")
            self._row(row, heights[i])

    def _head_height(self) -> float:
        return max(len(lines) for lines in self.head) * self.leading + 6

    def _headings(self, continued: str = "") -> None:
        height = self._head_height()
        for i, lines in enumerate(self.head):
            top = height - 6 - len(lines) * self.leading  # Headings stand on the line below them.
            self._lines(i, lines, self.pages.y + top, BOLD, FAINT, size=self.size - 0.5)
        self.pages.y += height
        self.pages.line(self.pages.left, self.pages.y - 2, self.pages.right, DEEP, 1)
        if continued:
            self._row(Shown("band", (continued, *[""] * (len(self.widths) - 1))), self.leading + 5)

    def _height(self, row: Shown) -> float:
        if row.kind == "band":
            return self.leading + 5
        return max(map(len, self._wrapped(row))) * self.leading + 5

    def _wrapped(self, row: Shown) -> list[tuple[str, ...]]:
        font = PLAIN if row.kind == "row" else BOLD
        return [
            wrapped(
                self.pages.clean(text),
                font,
                self.size,
                room - 2 * _PAD - (row.level * _INDENT if i == 0 else 0),
            )
            for i, (text, room) in enumerate(zip(row.cells, self.widths, strict=True))
        ]

    def _row(self, row: Shown, height: float) -> None:
        pages = self.pages
        if row.kind == "band":
            pages.box(pages.left, pages.y, pages.room, height, WASH)
        if row.kind == "total":
            pages.line(pages.left, pages.y, pages.right, DEEP, 1)
        font = PLAIN if row.kind == "row" else BOLD
        if row.kind == "band":  # Its words may reach over the columns, which are empty up to the sums.
            pages.words(
                self.edges[0] + _PAD, pages.y + self.size + 3, row.cells[0], font=font, size=self.size
            )
        for i, lines in enumerate(self._wrapped(row)):
            if i or row.kind != "band":
                self._lines(i, lines, pages.y + 2, font, INK, indent=row.level * _INDENT if i == 0 else 0)
        pages.y += height
        if row.kind == "row":
            pages.line(pages.left, pages.y - 0.5, pages.right, LINE)

    def _lines(
        self,
        i: int,
        lines: Sequence[str],
        top: float,
        font: str,
        fill: str,
        *,
        indent: float = 0,
        size: float = 0,
    ) -> None:
        numeric = self.sheet.numeric[i]
        x = self.edges[i + 1] - _PAD if numeric else self.edges[i] + _PAD + indent
        for n, line in enumerate(lines):
            y = top + self.size + 1 + n * self.leading
            self.pages.words(x, y, line, font=font, size=size or self.size, fill=fill, end=numeric)


def _measures(sheet: Sheet, room: float) -> tuple[float, list[float]]:
    """The largest letters in which all numbers fit, and the columns' widths, which fill the room."""
    size = _SIZES[-1]
    for size in _SIZES:
        wants = _wanted(sheet, size)
        if sum(wants) <= room:
            spare = room - sum(wants)
            return size, [
                want + spare * share for want, share in zip(wants, _shares(sheet, wants), strict=True)
            ]
        fixed = sum(want for want, numeric in zip(wants, sheet.numeric, strict=True) if numeric)
        words = sum(not numeric for numeric in sheet.numeric)
        if fixed + words * 90 <= room:
            break
    return size, _squeezed(sheet, _wanted(sheet, size), room)


def _wanted(sheet: Sheet, size: float) -> list[float]:
    """How wide each column would be with every cell on one line; headings may break at blanks."""
    wants = []
    for i, heading in enumerate(sheet.headings):
        widest = max((width(printable(word), BOLD, size) for word in heading.split()), default=0)
        for row in sheet.rows:
            if row.kind == "band" and i == 0:
                continue
            font = PLAIN if row.kind == "row" else BOLD
            indent = row.level * _INDENT if i == 0 else 0
            widest = max(widest, width(printable(row.cells[i]), font, size) + indent)
        wants.append(widest + 2 * _PAD + 1)
    return wants


def _shares(sheet: Sheet, wants: Sequence[float]) -> list[float]:
    """Who gets the spare room: words, in proportion; numbers where there are no words."""
    weights = [0.0 if numeric else want for want, numeric in zip(wants, sheet.numeric, strict=True)]
    if not any(weights):
        weights = list(wants)
    return [weight / sum(weights) for weight in weights]


def _squeezed(sheet: Sheet, wants: Sequence[float], room: float) -> list[float]:
    """Columns of words give way, the widest first; numbers keep their width as long as they can."""
    words = [i for i, numeric in enumerate(sheet.numeric) if not numeric]
    left = room - sum(want for i, want in enumerate(wants) if i not in words)
    if not words or left < _TEXT_LEAST * len(words):
        return [want * room / sum(wants) for want in wants]
    found = list(wants)
    for n, i in enumerate(sorted(words, key=lambda i: wants[i])):
        found[i] = min(wants[i], left / (len(words) - n))
        left -= found[i]
    return found
