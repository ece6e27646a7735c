"""The notebook of statements: the cents of the command line on an estate with two machines, and both as Jupyter notebooks."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.last_month import MONTH, live_one_long_and_one_from_the_eleventh
from tierwise.cli.main import app as command
from tierwise.testing.estate import simulated_acme

pytest.importorskip("marimo", reason="notebooks need marimo, the extra of that name")
ROOT = Path(__file__).parents[2]


def notebook(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "notebooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One machine through the whole of last month, and one from its 11th on."""
    settings = simulated_acme(tmp_path_factory.mktemp("acme"))
    live_one_long_and_one_from_the_eleventh(settings)
    return settings.data_dir


def test_the_notebook_and_the_command_line_give_the_same_cents(
    estate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_DATA_DIR", str(estate))
    _, found = notebook("chargeback_analysis").run(defs={"month": MONTH})
    said = json.loads(CliRunner().invoke(command, ["charge", "statement", MONTH, "-o", "json"]).stdout)
    assert len(said) == len(found["charges"]) > 4
    assert [int(n) for n in found["charges"]["amount_minor"]] == [int(row["amount_minor"]) for row in said]
    by_tenant = {tenant: int(n) for tenant, n in found["tenants"].sum(axis=1).items()}
    assert by_tenant == {
        tenant: sum(int(row["amount_minor"]) for row in said if row["tenant"] == tenant)
        for tenant in {row["tenant"] for row in said}
    }
    assert found["total_minor"] == sum(by_tenant.values())


def test_without_an_estate_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_DATA_DIR", str(tmp_path / "none"))
    outputs, found = notebook("chargeback_analysis").run(defs={"month": MONTH})
    assert "total_minor" not in found
    assert any("tierwise demo" in getattr(output, "text", "") for output in outputs)


@pytest.mark.parametrize("name", ["rate_design", "chargeback_analysis"])
def test_it_runs_as_a_jupyter_notebook_too(
    name: str, estate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient to execute it")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, which nbclient brings along")
    file = tmp_path / f"{name}.ipynb"
    made = [
        sys.executable,
        "-m",
        "marimo",
        "export",
        "ipynb",
        str(ROOT / "notebooks" / f"{name}.py"),
        "-o",
        str(file),
    ]
    subprocess.run(made, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    for key, value in (("TIERWISE_DATA_DIR", estate), ("TIERWISE_MONTH", MONTH), ("PYTHONPATH", ROOT)):
        monkeypatch.setenv(key, str(value))
    cells = nbclient.NotebookClient(nbformat.read(file, as_version=4), timeout=120).execute()["cells"]
    errors = [
        output for cell in cells for output in cell.get("outputs", ()) if output["output_type"] == "error"
    ]
    assert errors == []
    assert any(
        "text/html" in output.get("data", {}) for cell in cells for output in cell.get("outputs", ())
    )
