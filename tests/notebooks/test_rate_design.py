"""The notebook of rates: the cents of the command line, for every document, and as a Jupyter notebook."""

import importlib.util
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tierwise.cli.economics import app as command

pytest.importorskip("marimo", reason="notebooks need marimo, the extra of that name")
ROOT = Path(__file__).parents[2]
ACME = ROOT / "examples" / "acme" / "economics.yaml"


def notebook(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "notebooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@pytest.mark.parametrize("months", [1, 12])
def test_the_notebook_and_the_command_line_give_the_same_cents(months: int) -> None:
    start = date(2026, 12, 1)
    wanted = {"file": ACME, "start": start, "months": months, "decimals": 5}
    _, found = notebook("rate_design").run(defs=wanted)
    arguments = [
        "rates",
        str(ACME),
        "--start",
        f"{start}",
        "--months",
        f"{months}",
        "--decimals",
        "5",
        "-o",
        "json",
    ]
    said = json.loads(CliRunner().invoke(command, arguments).stdout)
    assert found["rates"].to_dict("records") == said
    assert found["unrecovered"].to_dict() == {
        row["tier"]: row["recovered_minor"] for row in said if row["resource"] == "unrecovered"
    }


def test_without_a_document_it_shows_acmes_and_its_sensitivity_meets_the_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TIERWISE_ECONOMICS", raising=False)
    _, found = notebook("rate_design").run()
    for proposal in found["proposals"]:
        (vcpu,) = (rate for rate in proposal.rates if rate.resource == "vcpu")
        assert found["sensitivity"][vcpu.tier][70] == vcpu.exact, "70 percent is what acme means"
        assert found["sensitivity"][vcpu.tier][100] < vcpu.exact
    assert found["lines"]["micros"].sum() > 0
