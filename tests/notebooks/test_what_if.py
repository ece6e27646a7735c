"""The notebook of scenarios: the millionths of the command line, and as a Jupyter notebook that runs."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tierwise.cli.main import app as command

pytest.importorskip("marimo", reason="notebooks need marimo, the extra of that name")
ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "examples" / "acme" / "whatif" / "leave-vsphere.yaml"
WANTED = ["retire-vsphere", "keep-sap"]


def notebook() -> Any:
    spec = importlib.util.spec_from_file_location("what_if", ROOT / "notebooks" / "what_if.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def test_the_notebook_and_the_command_line_give_the_same_millionths(tmp_path: Path) -> None:
    _, found = notebook().run(defs={"file": QUESTION, "effort": 1.0, "wanted": WANTED})
    saved = tmp_path / "result.json"
    options = [part for name in WANTED for part in ("--scenario", name)]
    done = CliRunner().invoke(
        command, ["whatif", "run", str(QUESTION), "--effort", "1", "--save", str(saved), *options]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(saved.read_text())
    by_name = {one["name"]: one for one in (said["today"], *said["scenarios"])}
    assert found["results"].set_index("scenario")["cost_micros"].to_dict() == {
        name: one["cost_micros"] for name, one in by_name.items()
    }
    for name, one in by_name.items():
        assert {k: v for k, v in found["terms"][name].items() if v} == {
            k: v for k, v in one["terms"].items() if v
        }
        assert int((found["moves"]["scenario"] == name).sum()) == len(one["moves"])
    assert "every vSphere cluster is given up" in found["page"] or "retire-vsphere" in found["page"]


def test_it_runs_as_a_jupyter_notebook(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    to = tmp_path / "what_if.ipynb"
    source = ROOT / "notebooks" / "what_if.py"
    subprocess.run(
        [sys.executable, "-m", "marimo", "export", "ipynb", str(source), "-o", str(to), "--no-sandbox"],
        check=True,
        capture_output=True,
    )
    written = nbformat.read(to, as_version=4)
    nbclient.NotebookClient(written, timeout=240, resources={"metadata": {"path": str(ROOT)}}).execute()
    texts = [str(out) for cell in written.cells for out in cell.get("outputs", ())]
    assert any("retire-vsphere" in text for text in texts)
