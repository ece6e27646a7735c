"""The use case and the command of forecasts, on the example and on hostile requests."""

import csv
import io
import json
from math import log
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from placement.forecast.simulate import simulate
from tierwise.cli.forecast import register
from tierwise.errors import InvalidInput
from tierwise.usecases import forecast as use

EXAMPLE = Path(__file__).parents[3] / "examples" / "forecast" / "when-full.yaml"


def command(*arguments: object) -> tuple[int, str, str]:
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    done = CliRunner().invoke(app, ["forecast", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_the_forecast_is_the_same_on_one_process_and_on_two() -> None:
    question = use.load(EXAMPLE)
    assert use.run(question, runs=110, processes=2) == use.run(question, runs=110)


def test_the_use_case_gives_what_the_engine_gives() -> None:
    question = use.load(EXAMPLE)
    problem = question.problem
    direct = simulate(
        problem.pools,
        problem.machines,
        problem.models,
        start=problem.start,
        months=problem.months,
        runs=60,
        seed=5,
    )
    assert use.run(question, runs=60, seed=5) == direct


def test_progress_tells_all_runs() -> None:
    told: list[tuple[int, int]] = []
    use.run(use.load(EXAMPLE), runs=60, tell=lambda done, of: told.append((done, of)))
    assert told == [(50, 60), (60, 60)]


def test_json_has_the_answer_and_what_was_assumed() -> None:
    code, out, _ = command(EXAMPLE, "--runs", 40, "-o", "json")
    found = json.loads(out)
    assert code == 0
    assert (found["runs"], found["seed"], found["start"]) == (40, 1, "2026-12-01")
    assert len(found["pools"][0]["n_plus_1"]) == len(found["days"])
    assert "classes.db.arrivals.level_error" in [one["path"] for one in found["assumed"]]


def test_a_table_says_what_it_assumed_and_is_at_most_100_wide() -> None:
    code, out, err = command(EXAMPLE, "--runs", 40)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    assert [line.split()[0] for line in out.splitlines()] == ["pool", "fra-prod", "fra-test"]
    assert "assumed, as the document does not say:" in err
    assert "step_days: 7" in err


def test_bands_as_csv_are_one_row_a_pool_resource_and_time() -> None:
    _, out, _ = command(EXAMPLE, "--runs", 40, "--bands", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    days = len(use.load(EXAMPLE).problem.grid_days())
    assert len(rows) == 2 * 3 * days
    for row in rows:
        assert int(row["p10"]) <= int(row["p50"]) <= int(row["p90"])
    assert rows[0]["day"] == "2026-12-01"


def test_a_chart_of_one_forecast_is_always_the_same_bytes(tmp_path: Path) -> None:
    both = use.run(use.load(EXAMPLE), runs=10)
    found = both.model_copy(update={"pools": both.pools[:1]})
    for name in ("a.svg", "b.svg", "c.PNG"):
        use.write_chart(found, tmp_path / name)
    drawn = (tmp_path / "a.svg").read_bytes()
    assert drawn == (tmp_path / "b.svg").read_bytes()
    assert b"fra-prod: memory, TiB" in drawn
    assert (tmp_path / "c.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_chart_in_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"can be written as \.png, \.svg"):
        use.write_chart(use.run(use.load(EXAMPLE), runs=2), tmp_path / "chart.docx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batches_per_day: 1.2", "batches_per_day: 1000000"), "ask for fewer months, or about a part"),
        (("count: 260", "count: 260000000"), "must be at most 1000000"),
        (("runs: 400", "runs: 1000000"), "ask for fewer runs, or a larger step_days"),
        (("months: 24", "months: 240"), ""),
    ],
)
def test_what_is_too_large_is_refused_before_it_begins(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(EXAMPLE.read_text().replace(*change))
    if not message:
        assert use.run(use.load(file), runs=2).pools[0].full.not_full == 0.0
        return
    with pytest.raises(InvalidInput) as refused:
        use.run(use.load(file))
    assert message in "\n".join([str(refused.value), *refused.value.details])


def test_a_file_that_is_not_there_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        use.load(tmp_path / "nothing.yaml")
    with pytest.raises(InvalidInput, match="is a folder; name the forecast document in it"):
        use.load(tmp_path)


def test_an_estate_is_forecast_by_its_growth_and_written_as_a_document(tmp_path: Path) -> None:
    pytest.importorskip("tierwise.estates", reason="this version reads no estates")
    estate = {
        "format": "tierwise-estate/1",
        "name": "e",
        "source": "by hand",
        "machines": [
            {"id": f"{i}", "name": f"m{i}", "vcpus": 1, "memory_mib": 1000, "host": "h1"} for i in range(60)
        ],
        "hosts": [{"name": f"h{i}", "pool": "a", "cores": 25, "memory_mib": 70_000} for i in (1, 2)],
    }
    file, text = tmp_path / "estate.json", tmp_path / "estate.yaml"
    file.write_text(json.dumps(estate))
    wanted = [file, "--start", "2026-12-01", "--growth", 2, "--runs", 2, "-o", "json"]
    _, out, err = command(*wanted, "--to-document", text)
    assert json.loads(out)["pools"][0]["full"]["p50_months"] == pytest.approx(log(70 / 60) / log(1.02))
    assert "assumed: 4 vCPU to a core" in err
    assert json.loads(command(text, "--runs", 2, "-o", "json")[1])["pools"] == json.loads(out)["pools"]
    with pytest.raises(InvalidInput, match="give the day from which to forecast: --start"):
        command(file)


def test_a_day_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(InvalidInput, match="--start must be a day such as 2026-12-01: 'soon'"):
        command(tmp_path / "e.json", "--start", "soon")


def test_the_summary_of_the_command_is_short_and_a_sentence() -> None:
    _, out, _ = command("--help")
    assert "Tell by simulation when pools are full, of what, and until when a host may fail." in " ".join(
        out.split()
    )
