"""The notebook of forecasts: the figures of the command line, for any document, and as a Jupyter notebook."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tierwise.cli.forecast import register

pytest.importorskip("marimo", reason="notebooks need marimo, the extra of that name")
ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "capacity_forecast.py"
EXAMPLE = ROOT / "examples" / "forecast" / "when-full.yaml"


@pytest.fixture(scope="module")
def defined() -> dict[str, Any]:
    """What the notebook's cells define, with 30 runs of seed 4."""
    spec = importlib.util.spec_from_file_location("capacity_forecast", NOTEBOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _, found = module.app.run(defs={"file": EXAMPLE, "runs": 30, "seed": 4})
    return dict(found)


def said(*more: str) -> Any:
    command = typer.Typer()
    register(command)
    command.callback()(lambda: None)
    arguments = ["forecast", str(EXAMPLE), "--runs", "30", "--seed", "4", "-o", "json", *more]
    return json.loads(CliRunner().invoke(command, arguments).stdout)


def test_the_notebook_and_the_command_line_give_the_same_figures(defined: dict[str, Any]) -> None:
    assert defined["bands"].to_dict("records") == said("--bands")
    answer = said()
    assert defined["found"].model_dump(mode="json") == {
        key: answer[key] for key in answer if key != "assumed"
    }
    assert defined["assumed"].to_dict("records") == answer["assumed"]


def test_its_pools_are_full_when_the_bands_say_so(defined: dict[str, Any]) -> None:
    pools, bands = defined["pools"], defined["bands"]
    for _, pool in pools.iterrows():
        own = bands[(bands["pool"] == pool["pool"]) & (bands["resource"] == pool["binds"])]
        over = own[own["p50"] > own["limit"]]
        # The demand may fall below the limit again, and another resource may be first in some runs.
        assert pool["full_p50"] <= over["day"].iloc[0]
    assert defined["chart"].startswith(b"\x89PNG")


def test_it_is_a_jupyter_notebook_that_runs(tmp_path: Path) -> None:
    """The slower one: a kernel is started, and every cell runs in it."""
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient to execute it")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, which nbclient brings along")
    document = tmp_path / "small.yaml"
    document.write_text(EXAMPLE.read_text().replace("months: 24", "months: 3"))
    file = tmp_path / "forecast.ipynb"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TIERWISE_FORECAST": str(document),
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    export = [sys.executable, "-m", "marimo", "-q", "export", "ipynb", str(NOTEBOOK), "-o", str(file)]
    done = subprocess.run(
        export, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        notebook = nbformat.read(file, as_version=4)
        cells = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()["cells"]
    kinds = [output["output_type"] for cell in cells for output in cell.get("outputs", ())]
    assert "error" not in kinds
    assert any("fra-prod" in str(cell.get("outputs", "")) for cell in cells)
