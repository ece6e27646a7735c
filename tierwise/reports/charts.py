"""Bar charts as plain shapes: where each bar, line and word stands. HTML and PDF draw the same ones.

Only pictures are drawn with binary fractions; no figure that is printed passes through one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chargeback.report import Chart, Shape, spelled

COLOURS = ("#1f4e79", "#d98c21", "#3a8f6f", "#8a5fa8", "#b5485d", "#6b7785", "#4aa3c7", "#a68a3a")
INK, FAINT, LINE = "#1c2733", "#5b6875", "#c9d1d9"

_NARROW = 480
_SIZE = 11
_CHARACTER = 0.58
"""About how wide a letter is, in its size; nothing here knows the reader's font."""


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, from its upper left corner; `says` is what it is, in words."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; `y` is its base line, `anchor` is ``start`` or ``end``."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    fill: str = INK
    size: float = _SIZE


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes on an area, its origin in the upper left corner."""

    title: str
    summary: str
    width: float
    height: float
    shapes: tuple[Box | Words, ...]


def picture(chart: Chart, width: float, digits: int, currency: str) -> Picture:
    """The chart at a width. Where that is small, labels stand above their bars."""
    return _Drawing(chart, width, digits).picture(currency)


class _Drawing:
    """The measures of one chart."""

    def __init__(self, chart: Chart, width: float, digits: int) -> None:
        self.chart, self.width, self.digits = chart, width, digits
        self.narrow = width < _NARROW
        labels = max((_wide(label) for label in chart.labels), default=0)
        self.left = 0 if self.narrow else min(labels + 12, width * 0.36)
        printed = max((_wide(spelled(v, digits)) for v in self._printed()), default=0)
        self.right = width - printed - 10
        low, high = self._extent()
        self.scale = (self.right - self.left) / max(high - low, 1)
        self.zero = self.left - low * self.scale

    def picture(self, currency: str) -> Picture:
        """All shapes, from the legend down."""
        shapes: list[Box | Words] = []
        y = 4.0
        if len(self.chart.series) > 1:
            legend, y = self._legend(y)
            shapes += legend
        top = y
        for i, label in enumerate(self.chart.labels):
            row, y = self._row(i, label, y)
            shapes += row
        axis = Box(self.zero - 0.5, top, 1, y - top, LINE)
        said = "; ".join(
            f"{label}: {', '.join(f'{name} {spelled(values[i], self.digits)}' for name, values in self.chart.series)}"
            for i, label in enumerate(self.chart.labels)
        )
        title = f"{self.chart.title} ({currency})"
        return Picture(title, said, self.width, y + 4, (axis, *shapes))

    def _row(self, i: int, label: str, y: float) -> tuple[list[Box | Words], float]:
        shapes: list[Box | Words] = []
        if self.narrow:
            shapes.append(Words(0, y + _SIZE, _cut(label, self.width), fill=INK))
            y += _SIZE + 5
        bars = list(self._bars(i, y))
        height = sum(16 for _ in bars) if self.chart.shape is Shape.GROUPED else 18
        if not self.narrow:
            middle = y + height / 2 + _SIZE * 0.36
            shapes.append(Words(self.left - 8, middle, _cut(label, self.left - 10), "end"))
        return [*shapes, *(shape for bar in bars for shape in bar)], y + height + 8

    def _bars(self, i: int, y: float) -> Iterator[list[Box | Words]]:
        if self.chart.shape is Shape.GROUPED:
            for j, (name, values) in enumerate(self.chart.series):
                box = self._box(0, values[i], y + 16 * j, 13, COLOURS[j % len(COLOURS)], name)
                yield [box, self._value(values[i], y + 16 * j + 6.5)]
            return
        ends = {False: 0, True: 0}  # where the next part begins, to the right and to the left of zero
        shapes: list[Box | Words] = []
        for j, (name, values) in enumerate(self.chart.series):
            value = values[i]
            shapes.append(self._box(ends[value < 0], value, y, 18, COLOURS[j % len(COLOURS)], name))
            ends[value < 0] += value
        total = sum(values[i] for _, values in self.chart.series)
        yield [*shapes, self._value(total, y + 9)]

    def _box(self, start: int, value: int, y: float, height: float, fill: str, name: str) -> Box:
        x = self.zero + min(start, start + value) * self.scale
        says = f"{name}: {spelled(value, self.digits)}"
        return Box(x, y, abs(value) * self.scale, height, fill, says)

    def _value(self, value: int, middle: float) -> Words:
        text = spelled(value, self.digits)
        return Words(self.width, middle + _SIZE * 0.36, text, "end", FAINT)

    def _legend(self, y: float) -> tuple[list[Box | Words], float]:
        shapes: list[Box | Words] = []
        x = self.left
        for j, (name, _) in enumerate(self.chart.series):
            text = _cut(name, self.width * 0.6)
            if x > self.left and x + 18 + _wide(text) > self.width:
                x, y = self.left, y + 18
            shapes += [
                Box(x, y, 10, 10, COLOURS[j % len(COLOURS)]),
                Words(x + 15, y + 9.5, text, fill=FAINT),
            ]
            x += 15 + _wide(text) + 16
        return shapes, y + 22

    def _printed(self) -> list[int]:
        if self.chart.shape is Shape.GROUPED:
            return [value for _, values in self.chart.series for value in values]
        return [sum(values[i] for _, values in self.chart.series) for i in range(len(self.chart.labels))]

    def _extent(self) -> tuple[int, int]:
        """The lowest and the highest end of any bar, zero among them."""
        low = high = 0
        for i in range(len(self.chart.labels)):
            values = [series[i] for _, series in self.chart.series]
            if self.chart.shape is Shape.GROUPED:
                low, high = min(low, *values), max(high, *values)
            else:
                low = min(low, sum(value for value in values if value < 0))
                high = max(high, sum(value for value in values if value > 0))
        return low, high


def _wide(text: str) -> float:
    return len(text) * _SIZE * _CHARACTER


def _cut(text: str, width: float) -> str:
    room = round(width / (_SIZE * _CHARACTER))
    return text if len(text) <= room else f"{text[: max(room - 1, 1)]}…"
