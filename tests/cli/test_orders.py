"""Ordering at the terminal: what was promised is delivered once, whatever happens to the command."""

import json
import re
import signal
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from connectors.contract import VmView
from connectors.drivers.simulated import control
from connectors.drivers.simulated.faults import Fault
from connectors.registry import connect
from tierwise.documents import load
from tierwise.endpoints import at_home
from tierwise.settings import Settings


def machines(settings: Settings, name: str) -> list[VmView]:
    """The machines of that name at the hypervisors themselves."""
    found: list[VmView] = []
    for endpoint in at_home(load(settings.catalog_dir).catalog.endpoints, settings.data_dir).values():
        with connect(endpoint) as connector:
            found += [vm for vm in connector.list_vms() if vm.name == name]
    return found


def test_the_quoted_formula_gives_the_quoted_price_by_hand(tierwise: Any) -> None:
    text = tierwise(
        "quote", "db-medium", "--tenant", "payroll", "--set", "vcpu=6", "--set", "disk_gib=730"
    ).out
    assert text.startswith("db-medium: 6 vCPU, 64 GiB memory, 730 GiB disk, data: confidential")
    (price,) = re.findall(r"tier-1 +fra-prod-1 +EUR ([\d.,]+) +recommended", text)
    (formula, hours) = re.search(r"^  \((.*)\) x (\d+) h$", text, re.MULTILINE).groups()  # type: ignore[union-attr] # fails loudly
    cents = Decimal("0.01")
    products = [
        (Decimal(quantity) * Decimal(rate) * int(hours)).quantize(cents, ROUND_HALF_UP)
        for quantity, rate in re.findall(r"([\d.]+) \w+ x ([\d.]+)/h", formula)
    ]
    assert len(products) == 4
    assert sum(products) == Decimal(price)
    assert (
        "tierwise order create db-medium --tenant payroll --name NAME --set vcpu=6 --set disk_gib=730"
        in text
    )


def test_the_command_that_a_quote_proposes_delivers_at_the_quoted_price(tierwise: Any) -> None:
    quoted = tierwise("quote", "app-medium", "--tenant", "payroll", "--set", "backup=false").out
    (price,) = re.findall(r"EUR ([\d.,]+) +recommended", quoted)
    (line,) = re.findall(r"^  tierwise (order create .*)$", quoted, re.MULTILINE)
    ended = tierwise(*line.replace("NAME", "app-01", 1).split())
    assert f"EUR {price}" in ended.out
    assert ended.err == "app-01 runs; `tierwise vm show app-01` shows what can be done with it\n"


def test_a_batch_with_five_mistakes_reports_five_with_their_lines_and_orders_nothing(
    tierwise: Any, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "batch.yaml"
    file.write_text(
        "orders:\n"
        "  - {offering: web-small, tenant: web-shop, name: good-01}\n"
        "  - {offering: web-smal, tenant: web-shop, name: bad-01}\n"
        "  - {offering: web-small, tenant: nobody, name: bad-02}\n"
        "  - {offering: web-small, tenant: web-shop, name: Bad_03}\n"
        "  - {offering: web-small, tenant: web-shop, name: bad-04, set: {disk_gib: 15}}\n"
        "  - {offering: web-small, tenant: web-shop, name: bad-05, size: huge}\n"
    )
    ended = tierwise("order", "batch", file, code=3)
    first, *details = ended.err.splitlines()
    assert first == f"error: {file}: 5 problems; nothing was ordered"
    assert [int(line) for line in re.findall(r"batch\.yaml:(\d+):\d+", ended.err)] == [3, 4, 5, 6, 7]
    for words, detail in zip(("web-smal", "nobody", "Bad_03", "disk_gib", "size"), details, strict=True):
        assert words in detail
    assert "good-01" not in tierwise("order", "list").out
    assert machines(settings, "good-01") == []


def test_a_batch_is_a_file_and_of_a_folder_it_says_so(tierwise: Any, tmp_path: Path) -> None:
    for files in ((), ("a.yaml",), ("a.yaml", "b.yaml")):
        for name in files:
            (tmp_path / name).write_text("orders: []\n")
        ended = tierwise("order", "batch", tmp_path, code=3)
        assert f"{tmp_path} is a folder; name one file of orders" in ended.err


def test_a_batch_is_ordered_once_however_often_its_file_is_given(
    tierwise: Any, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "batch.yaml"
    file.write_text(
        "orders:\n"
        "  - {offering: web-small, tenant: web-shop, name: shop-01}\n"
        "  - {offering: sandbox-small, tenant: dev-platform, name: try-01}\n"
    )
    rows = json.loads(tierwise("order", "batch", file, "-o", "json").out)
    assert [(row["machine"], row["status"]) for row in rows] == [
        ("shop-01", "delivered"),
        ("try-01", "delivered"),
    ]
    tierwise("order", "batch", file, code=3)
    assert len(machines(settings, "shop-01")) == 1


def wait_for_the_create(settings: Settings, process: subprocess.Popen[str], before: int) -> None:
    """Until the creation has reached the hypervisor, which is slow to begin it."""
    while process.poll() is None:
        calls = control.calls(str(settings.data_dir / "hosted-xen.sqlite"))
        if any(call.operation == "create_vm" for call in calls[before:]):
            return
    raise AssertionError(process.communicate())


def start_a_slow_order(real: Any, settings: Settings, name: str) -> subprocess.Popen[str]:
    address = str(settings.data_dir / "hosted-xen.sqlite")
    before = len(control.calls(address))
    control.script_faults(address, [Fault(operation="create_vm", kind="delay", delay_ms=600_000)])
    process = subprocess.Popen(
        [real.command, "order", "create", "web-small", "--tenant", "web-shop", "--name", name, "--tier", "tier-3"],
        env=real.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_the_create(settings, process, before)
    return process


def test_an_order_whose_command_is_killed_is_delivered_once_by_resume(
    real: Any, tierwise: Any, settings: Settings
) -> None:
    with start_a_slow_order(real, settings, "killed-01") as process:
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert machines(settings, "killed-01") == []
    rows = json.loads(tierwise("order", "resume", "-o", "json").out)
    assert [(row["machine"], row["status"]) for row in rows] == [("killed-01", "delivered")]
    (vm,) = machines(settings, "killed-01")
    assert vm.power == "on"
    assert tierwise("order", "resume").err == "no order was left open\n"
    assert json.loads(tierwise("order", "resume", "-o", "json").out) == []
    assert len(machines(settings, "killed-01")) == 1


def test_ctrl_c_ends_at_once_says_how_to_go_on_and_loses_nothing(
    real: Any, tierwise: Any, settings: Settings
) -> None:
    with start_a_slow_order(real, settings, "stopped-01") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == "stopped; what was accepted is finished by the next `tierwise order resume`\n"
    tierwise("order", "resume")
    assert len(machines(settings, "stopped-01")) == 1


def test_a_refused_order_names_rules_and_remedies_and_can_be_retried(tierwise: Any) -> None:
    command = ("order", "create", "domain-controller", "--tenant", "directory-services", "--name", "dc-01")
    refused = tierwise(*command, "--tier", "tier-2", code=5)
    assert "dc-01: refused" in refused.err
    assert "restricted data runs on tier-1 only (rule restricted-at-tier-1)" in " ".join(
        refused.err.split()
    )
    assert max(map(len, refused.err.splitlines())) <= 100
    tierwise("order", "retry", "dc-01", code=5)
    assert tierwise("order", "list", "--status", "refused").out.count("dc-01") == 2
