"""A history of one's own: read by hand, fitted, and forecast from."""

import csv
import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from placement.forecast.document import read_forecast
from tierwise.cli.forecast import register
from tierwise.errors import InvalidInput
from tierwise.planner.histories import read_history
from tierwise.usecases import forecast_fit

SMALL = """\
created_at,deleted_at,class,tenant,vcpu,memory_mib,disk_gib
2026-03-02T08:00:00,2026-03-02T20:00:00,web,a,2,4096,20
2026-03-02T08:04:00,,web,a,2,4096,20
2026-03-02T08:04:30,2026-03-04T08:04:30,web,b,4,8192,20
2026-03-03T10:00:00,2026-03-03T10:00:20,db,a,8,65536,500
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "history.csv"
    file.write_text(text)
    return file


def test_a_small_history_is_what_was_worked_by_hand(tmp_path: Path) -> None:
    found = read_history(write(tmp_path, SMALL), datetime(2026, 3, 5))  # noqa: DTZ001 - the history has no zone
    assert found.arrived.classes == ("db", "web")
    assert found.arrived.first_weekday == 0
    assert found.arrived.span_hours == pytest.approx(72)
    assert found.arrived.workload_class.tolist() == [0, 1, 1]  # two tenants are two batches
    assert found.arrived.size.tolist() == [1, 2, 1]
    assert found.arrived.hours[1:] == pytest.approx([8, 8 + 4.5 / 60])
    web = found.lived["web"]
    assert web.low_hours == pytest.approx([12, 63 + 56 / 60, 48])
    assert np.isinf(web.high_hours).tolist() == [False, True, False]
    assert found.lived["db"].high_hours == pytest.approx([1 / 60])
    assert found.sizes["web"] == {"vcpu": 2, "memory_mib": 4096, "disk_gib": 20}


def test_zones_are_taken_to_utc(tmp_path: Path) -> None:
    text = "created_at,deleted_at,class\n2026-03-02T00:30:00+02:00,,web\n2026-03-03T00:00:00Z,,web\n"
    found = read_history(write(tmp_path, text))
    assert found.since.isoformat() == "2026-03-01T00:00:00+00:00"
    assert found.sizes == {"web": {}}


def test_the_end_is_taken_to_utc_too(tmp_path: Path) -> None:
    zoned = write(tmp_path, "created_at,deleted_at,class\n2026-03-02T00:30:00Z,,web\n")
    end = datetime.fromisoformat("2026-03-04T02:30:00+02:00")
    assert read_history(zoned, end).lived["web"].low_hours.tolist() == [48.0]
    with pytest.raises(InvalidInput, match="its times have no zone, but --until"):
        read_history(write(tmp_path, SMALL), end)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("created_at,class\n", "the header lacks deleted_at; it has created_at, class"),
        ("", "the header lacks created_at, deleted_at, class; it has nothing"),
        ("created_at,deleted_at,class\n", "holds no machine; it needs a header"),
        ("created_at,deleted_at,class\nnoon,,web\n", ":2: created_at must be a time such as"),
        (
            "created_at,deleted_at,class\n2026-03-02,2026-03-01,web\n",
            ":2: deleted_at 2026-03-01T00:00:00 is before",
        ),
        ("created_at,deleted_at,class\n2026-03-02,,Web Server\n", ":2: class must be a name"),
        ("created_at,deleted_at,class\n2026-03-02,2026-03-03T00:00Z,web\n", "both have a zone, or neither"),
        (
            "created_at,deleted_at,class\n2026-03-02,,web\n2026-03-02T00:00Z,,web\n",
            "some times have a zone and some have none",
        ),
        (SMALL.replace(",2,4096,20\n", ",two,4096,20\n", 1), ":2: vcpu must be a whole number: 'two'"),
        (SMALL.replace("2026-03-03T10:00:00,", "3026-03-03T10:00:00,", 1), "is before created_at 3026"),
    ],
)
def test_a_history_that_cannot_be_read_says_which_line_and_why(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_history(write(tmp_path, text))
    assert message in "\n".join([str(refused.value), *refused.value.details])


def test_bytes_that_are_no_text_and_an_early_end_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(InvalidInput, match="not a CSV file in UTF-8"):
        read_history(file)
    with pytest.raises(InvalidInput, match="is after --until 2026-03-03"):
        read_history(write(tmp_path, SMALL), datetime(2026, 3, 3))  # noqa: DTZ001 - as above


@pytest.fixture(scope="module")
def long_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 days of 6 batches a day of two machines that live for 200 hours on average."""
    chance = np.random.default_rng(12)
    begin = datetime(2026, 1, 5)  # noqa: DTZ001 - the history has no zone
    file = tmp_path_factory.mktemp("history") / "history.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["created_at", "deleted_at", "class", "tenant", "vcpu", "memory_mib", "disk_gib"])
        for number in range(720):
            created = begin + timedelta(hours=float(chance.uniform(0, 2880)))
            for _ in range(2):
                deleted = created + timedelta(hours=float(chance.exponential(200)))
                gone = deleted.isoformat() if deleted < begin + timedelta(days=120) else ""
                writer.writerow([created.isoformat(), gone, "web", f"t{number}", 2, 4096, 20])
    return file


def test_what_is_fitted_is_a_document_that_forecasts_what_was(long_history: Path) -> None:
    fitted = forecast_fit.fit(long_history, trend=False)
    (row,) = forecast_fit.rows(fitted)
    assert row["batches_per_day"] == pytest.approx(6, rel=0.12)
    assert row["machines_per_batch"] == 2.0
    assert row["mean_life_hours"] == pytest.approx(200, rel=0.12)
    assert row["gap"] < 0.1
    head = "format: tierwise-forecast/1\nstart: 2026-05-05\nmonths: 1\n"
    pools = "pools:\n  a: {hosts: [{count: 1, vcpu: 100, memory_mib: 9000, disk_gib: 900}], arrivals: {web: 1}}\n"
    text = forecast_fit.as_yaml(fitted)
    assert "nothing is known beyond" in text
    model = read_forecast(head + text + pools, "f.yaml").problem.models.classes["web"]
    assert model.arrivals
    assert model.arrivals.batches_per_day == pytest.approx(row["batches_per_day"], abs=1e-3)
    assert model.lifetimes.mean_hours() == pytest.approx(row["mean_life_hours"], rel=1e-3)


def test_the_command_writes_the_sections_and_shows_how_good_they_are(
    long_history: Path, tmp_path: Path
) -> None:
    app = typer.Typer()
    register(app)
    result = tmp_path / "demand.yaml"
    done = CliRunner().invoke(app, ["fit-demand", str(long_history), "--result", str(result)])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert result.read_text().startswith("# fitted to machines made from 2026-01-05")
    refused = CliRunner().invoke(app, ["fit-demand", str(long_history), "--until", "soon"])
    assert isinstance(refused.exception, InvalidInput)


def without(history: Path, folder: Path, first: int, last: int) -> Path:
    """The history without the machines that were made from one day to another, the last not included."""
    lines = history.read_text().splitlines(keepends=True)
    days = [(datetime.fromisoformat(line.split(",")[0]) - datetime(2026, 1, 5)).days for line in lines[1:]]  # noqa: DTZ001 - the history has no zone
    kept = [line for line, day in zip(lines[1:], days, strict=True) if not first <= day < last]
    return write(folder, "".join([lines[0], *kept]))


@pytest.mark.parametrize(("first", "last"), [(40, 80), (60, 67)])
def test_a_missing_stretch_is_told_and_is_no_time(
    long_history: Path, tmp_path: Path, first: int, last: int
) -> None:
    part = without(long_history, tmp_path, first, last)
    batches = len(forecast_fit.fit(part).history.arrived.hours)
    (row,) = forecast_fit.rows(forecast_fit.fit(part, trend=False))
    assert row["batches_per_day"] == pytest.approx(batches / (120 - last + first), rel=0.01)
    app = typer.Typer()
    register(app)
    result = tmp_path / "demand.yaml"
    said = f"from {date(2026, 1, 5) + timedelta(days=first)} to {date(2026, 1, 4) + timedelta(days=last)}"
    done = CliRunner().invoke(app, ["fit-demand", str(part), "--result", str(result)])
    for text in (" ".join(done.stderr.split()), result.read_text()):
        assert f"{said} ({last - first} days)" in text
        assert "left out" in text
    quiet = CliRunner().invoke(app, ["fit-demand", str(part), "--no-gaps", "--no-trend", "-o", "json"])
    assert json.loads(quiet.stdout)[0]["batches_per_day"] == pytest.approx(batches / 120, rel=0.01)
    assert "counted as time in which nothing came" in " ".join(quiet.stderr.split())


def test_silence_at_the_end_counts_and_is_told(long_history: Path, tmp_path: Path) -> None:
    # Machines that were made until the 100th day are removed until the 120th, so the history goes on until then.
    part = without(long_history, tmp_path, 100, 120)
    fitted = forecast_fit.fit(part, until=datetime(2026, 5, 5), trend=False)  # noqa: DTZ001 - the history has no zone
    (told,) = forecast_fit.notes(fitted)
    assert told.startswith("no machine came from 2026-04-15 to 2026-05-04 (20 days), to the end")
    assert "say --until 2026-04-15" in told
    (row,) = forecast_fit.rows(fitted)
    batches = len(fitted.history.arrived.hours)
    assert row["batches_per_day"] == pytest.approx(batches / 120, rel=0.01)
    # What it says to do: no removal is known after that day.
    cut = [line.split(",") for line in part.read_text().splitlines()]
    kept = [
        [made, "" if gone > "2026-04-15" and n else gone, *rest]
        for n, (made, gone, *rest) in enumerate(cut)
    ]
    known = forecast_fit.fit(
        write(tmp_path, "".join(",".join(line) + "\n" for line in kept)),
        until=datetime(2026, 4, 15),  # noqa: DTZ001 - as above
        trend=False,
    )
    assert forecast_fit.notes(known) == []
    assert forecast_fit.rows(known)[0]["batches_per_day"] == pytest.approx(batches / 100, rel=0.01)
    assert forecast_fit.notes(forecast_fit.fit(long_history)) == []


def test_machines_that_come_on_one_day_a_month_have_no_gaps_left_out(tmp_path: Path) -> None:
    lines = [f"2026-{month:02}-01T{hour:02}:00:00,,web\n" for month in range(1, 13) for hour in range(24)]
    fitted = forecast_fit.fit(write(tmp_path, "".join(["created_at,deleted_at,class\n", *lines])))
    assert not fitted.history.without_gaps
    assert all("counted as time" in one for one in forecast_fit.notes(fitted))
    assert forecast_fit.rows(fitted)[0]["batches_per_day"] < 2
