"""Charts of lines: every value stands where its scale says, and the scale can be read."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeback.report import Chart, Column, Kind, Report, Shape, Table
from tierwise.reports import SUFFIXES, render
from tierwise.reports.charts import Box, Picture, Stroke, Words, picture

CASH = Chart(
    "Difference to today",
    tuple(f"2027-{n:02}" for n in range(1, 13)),
    (("retire", tuple(50_000 - 11_000 * n for n in range(12))), ("keep", (0,) * 12)),
    Shape.LINES,
)
COUNTS = Chart("Machines", ("a", "b"), (("p50", (0, 12_500)),), Shape.LINES, Kind.COUNT)


def texts(drawn: Picture) -> list[str]:
    return [shape.text for shape in drawn.shapes if isinstance(shape, Words)]


@given(
    st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=60),
    st.sampled_from([320.0, 720.0]),
)
def test_values_stand_on_one_line_with_their_scale(values: list[int], width: float) -> None:
    labels = tuple(f"2026-{n}" for n in range(len(values)))
    drawn = picture(Chart("c", labels, (("s", tuple(values)),), Shape.LINES), width, 2, "EUR")
    ticks = {
        round(float(word.text.replace(",", "")) * 100): word.y
        for word in drawn.shapes
        if isinstance(word, Words)
        and word.anchor == "end"
        and "-20" not in word.text[3:]
        and "." in word.text
    }
    assert 0 in ticks
    assert 1 <= len(ticks) <= 11
    assert all(a - b == c - d for (a, b), (c, d) in pairwise(pairwise(sorted(ticks))))
    dots = [shape for shape in drawn.shapes if isinstance(shape, Box) and shape.width == shape.height == 5]
    if len(ticks) > 1:
        (low, low_y), *_, (high, high_y) = sorted(ticks.items())
        for dot, value in zip(dots, values, strict=True):
            expected = low_y + (high_y - low_y) * (value - low) / (high - low)
            # The word of a step stands a little below its line.
            assert dot.y + 2.5 == pytest.approx(expected - 11 * 0.36, abs=0.01)
    assert all(0 <= dot.x <= width and 0 <= dot.y <= drawn.height for dot in dots)


@pytest.mark.parametrize("width", [320.0, 720.0])
@pytest.mark.parametrize("months", [1, 2, 3, 5, 12, 24, 36, 37, 60])
def test_labels_do_not_touch_each_other_and_the_last_one_stands(width: float, months: int) -> None:
    labels = tuple(f"{2026 + n // 12}-{n % 12 + 1:02}" for n in range(months))
    drawn = picture(
        Chart("c", labels, (("s", tuple(range(months))),), Shape.LINES, Kind.COUNT), width, 2, "EUR"
    )
    below = max(word.y for word in drawn.shapes if isinstance(word, Words))
    ends = [
        (word.x - len(word.text) * 11 * 0.58, word.x, word.text)
        for word in drawn.shapes
        if isinstance(word, Words) and word.y == below
    ]
    assert ends[-1][2] == labels[-1]
    assert len(ends) > 1 or months == 1
    assert all(begin >= 0 and end <= width for begin, end, _ in ends)
    # Digits of some fonts are a tenth wider than is counted with.
    assert all(second[0] - first[1] > 7 * 11 * 0.06 for first, second in pairwise(ends))


def test_counts_are_shown_without_a_currency_and_without_cents() -> None:
    drawn = picture(COUNTS, 720, 2, "EUR")
    assert drawn.title == "Machines"
    assert drawn.summary == "a: p50 0; b: p50 12,500"
    assert [text for text in texts(drawn) if text not in {"a", "b"}] == [
        f"{n:,}" for n in range(0, 14_001, 2000)
    ]
    assert [shape.says for shape in drawn.shapes if isinstance(shape, Stroke)] == ["p50"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_file_takes_charts_of_lines(suffix: str) -> None:
    table = Table("", (Column("a", "A"),), (("x",),))
    report = Report("r", "R", "", "EUR", 2, 0, (table,), (CASH, COUNTS))
    content = render(report, suffix)
    if suffix == ".html":
        assert content.count(b"<polyline") == 2 * 3  # each at two widths
    elif suffix == ".xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        page = openpyxl.load_workbook(io.BytesIO(content))["Charts"]
        assert [page.cell(3 + n, 2).value for n in range(3)] == [500, 390, 280]
    else:
        assert content.startswith(b"%PDF" if suffix == ".pdf" else b"\xef\xbb\xbfa\n")
