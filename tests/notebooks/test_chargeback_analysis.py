"""The notebook of statements: the cents of the command line on an estate with two machines, and both as Jupyter notebooks."""

import importlib.util
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tierwise.app import wire
from tierwise.cli.main import app as command
from tierwise.clock import SteppedClock
from tierwise.jobs.runtime import running
from tierwise.testing.estate import simulated_acme
from tierwise.usecases.order import new_order, submit

pytest.importorskip("marimo", reason="notebooks need marimo, the extra of that name")
ROOT = Path(__file__).parents[2]
BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = (
    datetime.now(BERLIN).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
).replace(day=1)
MONTH = BEGIN.strftime("%Y-%m")


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
    clock = SteppedClock((BEGIN - timedelta(days=2)).astimezone(UTC))
    app = wire(settings, clock)
    with running(app):
        for name, offering, tenant in (
            ("pay-01", "db-medium", "payroll"),
            ("web-01", "web-small", "web-shop"),
        ):
            if name == "web-01":
                clock.set((BEGIN + timedelta(days=10)).astimezone(UTC))
            order = new_order(
                app, order_id=uuid5(NAMESPACE_URL, name), offering=offering, tenant=tenant, machine_name=name,
                parameters={}, tier=None, ordered_by="a test",
            )  # fmt: skip
            submit(app, uuid5(NAMESPACE_URL, f"batch {name}"), [order])
    app.close()
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
