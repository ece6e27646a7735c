"""The planner's demo answers its five questions, and leaves behind what it says."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import yaml
from typer.testing import CliRunner

from catalog.estates.model import PowerState
from tierwise.cli.main import app
from tierwise.demo.planner import MACHINES, SEED
from tierwise.errors import InvalidInput
from tierwise.estates import read
from tierwise.usecases.init import examples_root


def test_five_questions_are_answered_from_a_workbook(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = CliRunner().invoke(app, ["whatif", "demo", "--output", str(folder), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    result = json.loads((folder / "result.json").read_text())
    scenarios = {one["name"]: one for one in result["scenarios"]}
    assert list(scenarios) == ["retire-vsphere", "first-200", "lose-munich"]
    assert scenarios["retire-vsphere"]["machines"] == 1000
    assert len(scenarios["first-200"]["moves"]) <= 200
    assert {move["target"] for move in scenarios["retire-vsphere"]["moves"]} <= {"fra-kvm-01", "muc-kvm-01"}
    payroll = [move for move in scenarios["retire-vsphere"]["moves"] if move["name"].startswith("payroll")]
    assert payroll
    assert {move["target"] for move in payroll} == {"fra-kvm-01"}
    assert all(one["bound_micros"] <= one["cost_micros"] for one in scenarios.values())
    for name, start in (
        ("report.html", b"<!doctype html>"),
        ("report.xlsx", b"PK"),
        ("waves.xlsx", b"PK"),
        ("forecast.png", b"\x89PNG"),
    ):
        assert (folder / name).read_bytes().lower().startswith(start.lower()), name
    told = done.output.split("What rate recovers the cost?")[1]
    for word in ("vcpu-hour", "unrecovered", "today  retire-vsphere  recovered"):
        assert word in told


def test_the_demo_charges_the_rates_that_its_costs_give(tmp_path: Path) -> None:
    """Its card is what is worked out, and today recovers price x hours x what the workbook's machines have."""
    call = CliRunner().invoke
    source = examples_root() / "planner"
    options = ["--start", "2027-01-01", "--months", "36", "--card", "plan-2027"]
    printed = call(app, ["economics", "rates", str(source / "economics.yaml"), *options])
    worked_out, charged = (
        yaml.safe_load(text)["rate_cards"]["plan-2027"]
        for text in (printed.stdout, (source / "rates.yaml").read_text())
    )
    assert worked_out["rates"] == charged["rates"]
    for file in source.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    estate = tmp_path / "estate.xlsx"
    call(app, ["estate", "generate", "--machines", str(MACHINES), "--seed", str(SEED), str(estate)])
    done = call(app, ["whatif", "run", str(tmp_path / "what-if.yaml"), "--scenario", "first-200", "--effort", "0.1",
                      "--save", str(tmp_path / "result.json")])  # fmt: skip
    assert done.exit_code == 0, done.output
    today = json.loads((tmp_path / "result.json").read_text())["today"]
    price = {(rate["tier"], rate["metric"]): Decimal(rate["price"]) for rate in charged["rates"]}
    wanted: Counter[str] = Counter()
    for machine in read(estate).machines:
        tier, on = (
            "tier-1" if "-prod-" in (machine.pool or "") else "tier-2",
            machine.power is PowerState.ON,
        )
        hourly = price[tier, "machine"] + price[tier, "disk_gib"] * -(-machine.provisioned_mib // 1024)
        if on:
            hourly += (
                price[tier, "vcpu"] * machine.vcpus + price[tier, "memory_mib"] * machine.memory_mib / 1024
            )
        wanted[tier] += round(hourly * (365 + 366 + 365) * 24 * 10**6)
    for tier in today["tiers"]:
        assert abs(tier["recovered_micros"] - wanted[tier["tier"]]) <= tier["machines"]


def test_a_document_that_somebody_wrote_is_not_replaced(tmp_path: Path) -> None:
    own = tmp_path / "what-if.yaml"
    own.write_text("format: tierwise-whatif/1\n")
    done = CliRunner().invoke(app, ["whatif", "demo", "--output", str(tmp_path)])
    assert isinstance(done.exception, InvalidInput)
    assert f"{own} is not as the demo wrote it" in str(done.exception)
    assert [(one, one.read_text()) for one in tmp_path.iterdir()] == [(own, "format: tierwise-whatif/1\n")]


def test_ctrl_c_in_one_of_its_commands_ends_the_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tierwise", "whatif", "demo", "--output", str(tmp_path / "demo")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "$ tierwise whatif run" in line:
                demo.send_signal(signal.SIGINT)
                break
        assert "$ tierwise" not in demo.stdout.read()
    assert demo.returncode == 130


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["whatif", "demo", "--output", str(tmp_path / "file" / "demo")])
    assert isinstance(done.exception, InvalidInput)
    assert "cannot be written: Not a directory" in str(done.exception)
