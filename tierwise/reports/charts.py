"""Charts as plain shapes: where each bar, line and word stands. HTML and PDF draw the same ones.

Only pictures are drawn with binary fractions; no figure that is printed passes through one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from chargeback.report import Chart, Kind, Shape, shown

COLOURS = (
    "#1f4e79", "#d98c21", "#3a8f6f", "#8a5fa8", "#b5485d", "#6b7785", "#4aa3c7", "#a68a3a",
    "#8fbf5a", "#d99ab4", "#5b6fd0", "#c9b08a",
)  # fmt: skip
"""One for each term of cost that a what-if has by itself; those that documents add begin again."""
INK, FAINT, LINE = "#1c2733", "#5b6875", "#c9d1d9"

_NARROW = 480
_SIZE = 11
_GAP = 14
"""Between two labels."""
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
class Stroke:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    colour: str
    says: str = ""


Mark = Box | Words | Stroke


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes on an area, its origin in the upper left corner."""

    title: str
    summary: str
    width: float
    height: float
    shapes: tuple[Mark, ...]


def picture(chart: Chart, width: float, digits: int, currency: str) -> Picture:
    """The chart at a width. Where that is small, labels stand above their bars."""
    if chart.shape is Shape.LINES:
        return _Lines(chart, width, digits).picture(currency)
    return _Drawing(chart, width, digits).picture(currency, range(len(chart.labels)))


def pieces(chart: Chart, width: float, digits: int, currency: str, height: float) -> list[Picture]:
    """The chart as one picture, or in one scale as several of which none is higher than `height`, if a bar is not."""
    whole = picture(chart, width, digits, currency)
    count = len(chart.labels)
    if whole.height <= height or chart.shape is Shape.LINES:
        return [whole]
    drawing = _Drawing(chart, width, digits)
    one = drawing.picture(currency, range(1)).height
    each = max(1, int((height - one) // ((whole.height - one) / (count - 1)))) if count > 1 else 1
    return [
        drawing.picture(currency, range(first, min(first + each, count))) for first in range(0, count, each)
    ]


def _title(chart: Chart, currency: str) -> str:
    return f"{chart.title} ({currency})" if chart.kind is Kind.MONEY else chart.title


def _said(chart: Chart, digits: int) -> str:
    """The figures of a chart in words, for those who do not see it."""
    return "; ".join(
        f"{label}: {', '.join(f'{name} {shown(values[i], chart, digits)}' for name, values in chart.series)}"
        for i, label in enumerate(chart.labels)
    )


class _Drawing:
    """The measures of one chart."""

    def __init__(self, chart: Chart, width: float, digits: int) -> None:
        self.chart, self.width, self.digits = chart, width, digits
        self.narrow = width < _NARROW
        labels = max((_wide(label) for label in chart.labels), default=0)
        self.left = 0 if self.narrow else min(labels + 12, width * 0.36)
        printed = max((_wide(shown(v, chart, digits)) for v in self._printed()), default=0)
        self.right = width - printed - 10
        low, high = self._extent()
        self.scale = (self.right - self.left) / max(high - low, 1)
        self.zero = self.left - low * self.scale

    def picture(self, currency: str, some: range) -> Picture:
        """The shapes of some labels, from the legend down."""
        shapes: list[Mark] = []
        y = 4.0
        if len(self.chart.series) > 1:
            legend, y = _legend(self.chart, self.left, y, self.width)
            shapes += legend
        top = y
        for i in some:
            row, y = self._row(i, self.chart.labels[i], y)
            shapes += row
        axis = Box(self.zero - 0.5, top, 1, y - top, LINE)
        title, said = _title(self.chart, currency), _said(self.chart, self.digits)
        return Picture(title, said, self.width, y + 4, (axis, *shapes))

    def _row(self, i: int, label: str, y: float) -> tuple[list[Mark], float]:
        shapes: list[Mark] = []
        if self.narrow:
            shapes.append(Words(0, y + _SIZE, _cut(label, self.width), fill=INK))
            y += _SIZE + 5
        bars = list(self._bars(i, y))
        height = sum(16 for _ in bars) if self.chart.shape is Shape.GROUPED else 18
        if not self.narrow:
            middle = y + height / 2 + _SIZE * 0.36
            shapes.append(Words(self.left - 8, middle, _cut(label, self.left - 10), "end"))
        return [*shapes, *(shape for bar in bars for shape in bar)], y + height + 8

    def _bars(self, i: int, y: float) -> Iterator[list[Mark]]:
        if self.chart.shape is Shape.GROUPED:
            for j, (name, values) in enumerate(self.chart.series):
                box = self._box(0, values[i], y + 16 * j, 13, COLOURS[j % len(COLOURS)], name)
                yield [box, self._value(values[i], y + 16 * j + 6.5)]
            return
        ends = {False: 0, True: 0}  # where the next part begins, to the right and to the left of zero
        shapes: list[Mark] = []
        for j, (name, values) in enumerate(self.chart.series):
            value = values[i]
            shapes.append(self._box(ends[value < 0], value, y, 18, COLOURS[j % len(COLOURS)], name))
            ends[value < 0] += value
        total = sum(values[i] for _, values in self.chart.series)
        yield [*shapes, self._value(total, y + 9)]

    def _box(self, start: int, value: int, y: float, height: float, fill: str, name: str) -> Box:
        x = self.zero + min(start, start + value) * self.scale
        says = f"{name}: {shown(value, self.chart, self.digits)}"
        return Box(x, y, abs(value) * self.scale, height, fill, says)

    def _value(self, value: int, middle: float) -> Words:
        text = shown(value, self.chart, self.digits)
        return Words(self.width, middle + _SIZE * 0.36, text, "end", FAINT)

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


class _Lines:
    """The measures of a chart of lines: values upwards, labels from left to right."""

    height = 200.0

    def __init__(self, chart: Chart, width: float, digits: int) -> None:
        self.chart, self.width, self.digits = chart, width, digits
        values = [value for _, series in chart.series for value in series]
        self.steps = _steps(min((0, *values)), max((0, *values)))
        self.left = max(_wide(shown(step, chart, digits)) for step in self.steps) + 10
        self.right = width - 8.0
        self.top = 0.0

    def picture(self, currency: str) -> Picture:
        """All shapes, from the legend down."""
        shapes: list[Mark] = []
        y = 4.0
        if len(self.chart.series) > 1:
            legend, y = _legend(self.chart, self.left, y, self.width)
            shapes += legend
        self.top = y + 6
        shapes += [*self._scale(), *self._labels(), *self._strokes()]
        title, said = _title(self.chart, currency), _said(self.chart, self.digits)
        return Picture(title, said, self.width, self.top + self.height + 24, tuple(shapes))

    def _scale(self) -> Iterator[Mark]:
        for step in self.steps:
            y = self._y(step)
            yield Box(self.left, y - 0.5, self.right - self.left, 1, INK if step == 0 else LINE)
            text = shown(step, self.chart, self.digits)
            yield Words(self.left - 8, y + _SIZE * 0.36, text, "end", FAINT)

    def _labels(self) -> Iterator[Mark]:
        room = self.right - self.left
        texts = [_cut(label, room) for label in self.chart.labels]
        last = len(texts) - 1
        apart = max(1, -(-len(texts) * round(max(map(_wide, texts)) + _GAP) // max(round(room), 1)))
        # The first and the last label stand within the picture, so not below their values; what would touch them does not.
        shown_until, end = float("-inf"), self._label(last, texts[last])
        for i in [*range(0, last, apart), last]:
            x = self._label(i, texts[i])
            if i != last and not (
                shown_until + _GAP <= x - _wide(texts[i]) and x + _GAP <= end - _wide(texts[last])
            ):
                continue
            shown_until = x
            yield Words(x, self.top + self.height + 18, texts[i], "end", FAINT)

    def _label(self, i: int, text: str) -> float:
        """Where a label ends that is in the middle below its value, or as near to it as the picture goes."""
        half = _wide(text) / 2
        return min(max(self._x(i), self.left + half), self.right - half) + half

    def _strokes(self) -> Iterator[Mark]:
        for j, (name, values) in enumerate(self.chart.series):
            points = tuple((self._x(i), self._y(value)) for i, value in enumerate(values))
            colour = COLOURS[j % len(COLOURS)]
            if len(points) > 1:
                yield Stroke(points, colour, name)
            for (x, y), label, value in zip(points, self.chart.labels, values, strict=True):
                says = f"{label}: {name} {shown(value, self.chart, self.digits)}"
                yield Box(x - 2.5, y - 2.5, 5, 5, colour, says)

    def _x(self, i: int) -> float:
        return self.left + 6 + (self.right - self.left - 12) * i / max(len(self.chart.labels) - 1, 1)

    def _y(self, value: int) -> float:
        low, high = self.steps[0], self.steps[-1]
        return self.top + self.height * (high - value) / max(high - low, 1)


def _steps(low: int, high: int) -> list[int]:
    """Three to eleven even values that include zero and both ends: 1, 2 or 5 times a power of ten apart."""
    apart = next(step for n in count() if high - low <= 8 * (step := (1, 2, 5)[n % 3] * 10 ** (n // 3)))
    return [apart * n for n in range(low // apart, -(-high // apart) + 1)] or [0]


def _legend(chart: Chart, left: float, y: float, width: float) -> tuple[list[Mark], float]:
    shapes: list[Mark] = []
    x = left
    for j, (name, _) in enumerate(chart.series):
        text = _cut(name, width * 0.6)
        if x > left and x + 18 + _wide(text) > width:
            x, y = left, y + 18
        shapes += [Box(x, y, 10, 10, COLOURS[j % len(COLOURS)]), Words(x + 15, y + 9.5, text, fill=FAINT)]
        x += 15 + _wide(text) + 16
    return shapes, y + 22


def _wide(text: str) -> float:
    return len(text) * _SIZE * _CHARACTER


def _cut(text: str, width: float) -> str:
    room = round(width / (_SIZE * _CHARACTER))
    return text if len(text) <= room else f"{text[: max(room - 1, 1)]}…"
