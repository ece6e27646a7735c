"""A report as one HTML file that asks nobody for anything: styles and charts are in it."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from chargeback.money import spelled
from chargeback.report import Chart, Report
from tierwise.reports.charts import Box, Picture, Stroke, picture
from tierwise.reports.words import sheet

_WIDE, _PHONE = 820, 340


def render(report: Report) -> bytes:
    """The page in UTF-8. Everything that comes from the bill is escaped."""
    text = _template().render(
        report=report,
        total=spelled(report.total_minor, report.minor_digits),
        sheets=[sheet(table, report) for table in report.tables],
        charts=[
            [(size, _drawn(chart, width, report)) for size, width in (("wide", _WIDE), ("phone", _PHONE))]
            for chart in report.charts
            if chart.labels
        ],
    )
    return text.encode()


@cache
def _template() -> Template:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["number"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")
    environment.tests["box"] = lambda shape: isinstance(shape, Box)
    environment.tests["stroke"] = lambda shape: isinstance(shape, Stroke)
    return environment.get_template("report.html.j2")


def _drawn(chart: Chart, width: float, report: Report) -> Picture:
    return picture(chart, width, report.minor_digits, report.currency)
