"""Pages to draw on from the top down. What is drawn is kept until the number of pages is known."""

import io
from collections.abc import Callable, Sequence
from typing import Any

from reportlab.lib.colors import HexColor  # type: ignore[import-untyped]  # ships no type information
from reportlab.lib.pagesizes import A4, landscape  # type: ignore[import-untyped]  # as above
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]  # as above

from tierwise.reports import fonts
from tierwise.reports.fonts import BOLD, PLAIN, cut, printable, width

INK, FAINT, DEEP, LINE, WASH, ALERT = "#1c2733", "#5b6875", "#1f4e79", "#d5dce3", "#f3f6f9", "#8a4a10"

_SIDE, _TOP, _BOTTOM = 45.0, 45.0, 52.0

Draw = Callable[[Any], None]


class Pages:
    """A document in the making. `y` is how far down the page is used, in points from its top."""

    def __init__(self, title: str, running: str, *, wide: bool = False) -> None:
        fonts.register()
        size: tuple[float, float] = landscape(A4) if wide else A4
        self.page_width, self.page_height = size
        self.title, self.running = title, running
        self.left, self.right = _SIDE, self.page_width - _SIDE
        self.bottom = self.page_height - _BOTTOM
        self.pages: list[list[Draw]] = [[]]
        self.y = _TOP
        self.lacks: set[str] = set()

    @property
    def room(self) -> float:
        """The width between the margins."""
        return self.right - self.left

    def clean(self, text: str) -> str:
        """The text as the font can show it; what it lacks is remembered."""
        shown = printable(text)
        if shown != text:
            self.lacks.update(c for c in set(text) - set(shown) if not c.isspace())
        return shown

    def fits(self, height: float) -> bool:
        """Whether so much is left of the page."""
        return self.y + height <= self.bottom

    def new_page(self) -> None:
        """Go on at the top of the next page."""
        self.pages.append([])
        self.y = _TOP + 26
        at = self.y - 22
        self.words(self.left, at, cut(self.clean(self.running), PLAIN, 8, self.room), size=8, fill=FAINT)
        self.line(self.left, at + 6, self.right, LINE)

    def need(self, height: float) -> bool:
        """Begin a page unless so much is left of this one; tells whether it did."""
        if self.fits(height):
            return False
        self.new_page()
        return True

    def words(
        self,
        x: float,
        y: float,
        text: str,
        *,
        font: str = PLAIN,
        size: float = 9,
        fill: str = INK,
        end: bool = False,
    ) -> None:
        """A line of text from `x` on, or up to it; `y` is its base line from the page's top."""
        shown = self.clean(text)
        begin = x - width(shown, font, size) if end else x
        height = self.page_height

        def draw(canvas: Any) -> None:
            canvas.setFillColor(_colour(fill))
            canvas.setFont(font, size)
            canvas.drawString(begin, height - y, shown)

        self.pages[-1].append(draw)

    def box(self, x: float, y: float, box_width: float, box_height: float, fill: str) -> None:
        """A filled rectangle from its upper left corner."""
        height = self.page_height

        def draw(canvas: Any) -> None:
            canvas.setFillColor(_colour(fill))
            canvas.rect(x, height - y - box_height, box_width, box_height, stroke=0, fill=1)

        self.pages[-1].append(draw)

    def line(self, x: float, y: float, to: float, fill: str, weight: float = 0.5) -> None:
        """A horizontal line."""
        self.box(x, y, to - x, weight, fill)

    def stroke(self, points: Sequence[tuple[float, float]], colour: str, weight: float = 1.5) -> None:
        """A line through points."""
        height = self.page_height

        def draw(canvas: Any) -> None:
            canvas.setStrokeColor(_colour(colour))
            canvas.setLineWidth(weight)
            path = canvas.beginPath()
            path.moveTo(points[0][0], height - points[0][1])
            for x, y in points[1:]:
                path.lineTo(x, height - y)
            canvas.drawPath(path, stroke=1, fill=0)

        self.pages[-1].append(draw)

    def finish(self) -> bytes:
        """The document, each page with its number and their count."""
        buffer = io.BytesIO()
        # invariant: no time and no random id, so that the same bill is the same file.
        canvas = Canvas(
            buffer, pagesize=(self.page_width, self.page_height), invariant=1, pageCompression=1, lang="en"
        )
        canvas.setTitle(self.title)
        canvas.setSubject(self.running)
        canvas.setAuthor("tierwise")
        canvas.setCreator("tierwise")
        count = len(self.pages)
        for number, page in enumerate(self.pages, 1):
            for draw in page:
                draw(canvas)
            canvas.setFillColor(_colour(FAINT))
            canvas.setFont(PLAIN, 8)
            canvas.drawString(self.left, 30, cut(printable(self.title), PLAIN, 8, self.room - 80))
            canvas.drawRightString(self.right, 30, f"page {number} of {count}")
            canvas.showPage()
        canvas.save()
        return buffer.getvalue()


_COLOURS: dict[str, Any] = {}


def _colour(name: str) -> Any:
    if name not in _COLOURS:
        _COLOURS[name] = HexColor(name)
    return _COLOURS[name]


__all__ = ["ALERT", "BOLD", "DEEP", "FAINT", "INK", "LINE", "PLAIN", "WASH", "Pages"]
