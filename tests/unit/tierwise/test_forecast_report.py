"""A forecast's report says what the forecast says, in every kind of file."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from placement.forecast.result import Forecast
from tierwise.cli.main import app
from tierwise.planner.forecast_report import POINTS_MAX, ROWS_MAX, forecast_report
from tierwise.reports import SUFFIXES, render
from tierwise.usecases import forecast as use

EXAMPLE = Path(__file__).parents[3] / "examples" / "forecast" / "when-full.yaml"
QUESTION = use.load(EXAMPLE)


@pytest.fixture(scope="module")
def found() -> Forecast:
    return use.run(QUESTION, runs=40, seed=2)


def test_the_table_of_pools_says_what_the_command_says(found: Forecast) -> None:
    made = forecast_report(found, QUESTION, name="x")
    said = {row["pool"]: row for row in use.rows(found)}
    assert {row[0] for row in made.main.rows} == said.keys()
    for row in made.main.rows:
        one = said[str(row[0])]
        assert row[2:5] == (one["full_p10"], one["full_p50"], one["full_p90"])
        assert str(row[5]).startswith(f"{one['not_full_percent']} ({one['not_full_from_percent']} to ")
        assert row[6] == one["n_plus_1_until"]
    half = sum(bool(one["full_p50"]) for one in said.values())
    assert made.total_minor == half


def test_spreadsheets_have_every_band_and_readers_a_few_with_first_and_last(found: Forecast) -> None:
    bands = [row for row in use.band_rows(found) if row["p90"] or row["resource"] != "disk_gib"]
    every = forecast_report(found, QUESTION, name="x", every_time=True).tables[1]
    assert sorted(
        (row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[8]) for row in every.rows
    ) == sorted(
        (one["pool"], one["resource"], one["day"], one["p10"], one["p50"], one["p90"], one["limit"], one["mean"])
        for one in bands
    )  # fmt: skip
    few = forecast_report(found, QUESTION, name="x").tables[1]
    days = [str(row[2]) for row in few.rows if row[:2] == ("fra-prod", "vcpu")]
    assert len(days) == ROWS_MAX < len(found.days)
    assert (days[0], days[-1]) == ("2026-12-01", "2028-12-01")
    assert {row[:7] for row in few.rows} <= {row[:7] for row in every.rows}


def test_charts_show_bands_in_order_below_each_other(found: Forecast) -> None:
    charts = forecast_report(found, QUESTION, name="x").charts
    assert {chart.title for chart in charts} >= {"fra-prod: vCPU", "N+1 holds, percent of the runs"}
    for chart in charts[:-1]:
        high, median, low, room = (values for _, values in chart.series)
        assert all(a >= b >= c for a, b, c in zip(high, median, low, strict=True))
        assert len(set(room)) == 1
        assert len(chart.labels) == POINTS_MAX


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_is_the_same_for_the_same_forecast(
    found: Forecast, suffix: str, tmp_path: Path
) -> None:
    target = tmp_path / f"full{suffix}"
    use.write_report(found, QUESTION, target, "x")
    content = target.read_bytes()
    assert content == render(
        forecast_report(found, QUESTION, name="x", every_time=suffix == ".xlsx"), suffix
    )
    if suffix == ".pdf":
        pypdf = pytest.importorskip("pypdf")
        text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
        assert "When are we full?" in text
        assert "fra-prod: memory, GiB" in text
    if suffix == ".html":
        assert b"<svg" in content
        assert b"<script" not in content


def test_a_name_that_ends_in_no_report_is_refused_before_anything_is_forecast(tmp_path: Path) -> None:
    asked = ["whatif", "forecast", str(EXAMPLE), "--runs", "1000000", "--to", str(tmp_path / "full.docx")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code != 0
    assert ".docx: a report can be written as" in str(done.exception)
