"""``tierwise vm move`` at the terminal: what is said before, during and after, and what stdout carries."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from connectors.drivers.simulated import control
from connectors.drivers.simulated.faults import Fault
from connectors.registry import connect
from tierwise.documents import load
from tierwise.endpoints import at_home
from tierwise.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def _ordered(tierwise: Any) -> None:
    tierwise("order", "create", "web-small", "--tenant", "web-shop", "--name", "shop-01")


def where(settings: Settings) -> dict[str, str]:
    """Endpoint -> power state of each copy of the machine, at the hypervisors themselves."""
    found: dict[str, str] = {}
    for name, endpoint in at_home(load(settings.catalog_dir).catalog.endpoints, settings.data_dir).items():
        with connect(endpoint) as connector:
            for vm in connector.list_vms():
                if vm.name == "shop-01":
                    found[name] = str(vm.power.value)
    return found


def test_a_plan_lists_what_changes_and_moves_nothing(tierwise: Any, settings: Settings) -> None:
    before = where(settings)
    ended = tierwise("vm", "move", "shop-01", "--to", "fra-test-1", "--plan", "-o", "json")
    lines = {row["subject"]: row for row in json.loads(ended.out)}
    assert lines["tier"]["kind"] == "changes"
    assert lines["tier"]["text"].startswith("from tier-3 to tier-2: ")
    assert lines["downtime"]["kind"] == "changes"
    assert where(settings) == before
    assert tierwise("vm", "moves", "-o", "json").out.strip() == "[]"


def test_a_move_nobody_can_be_asked_about_needs_yes(tierwise: Any, settings: Settings) -> None:
    before = where(settings)
    ended = tierwise("vm", "move", "shop-01", "--to", "fra-test-1", code=2)
    assert "say --yes" in ended.err
    assert where(settings) == before


def test_there_and_back_and_there_for_good(tierwise: Any, settings: Settings) -> None:
    ended = tierwise("vm", "move", "shop-01", "--to", "fra-test-1", "--yes")
    assert "shop-01 is in pool fra-test-1 now; its copy in hosted-nl is kept" in ended.err
    assert where(settings) == {"hosted-xen": "off", "fra-hyperv": "on"}
    (row,) = json.loads(tierwise("vm", "moves", "-o", "json").out)
    assert (row["machine"], row["source"], row["target"], row["state"]) == (
        "shop-01", "hosted-nl", "fra-test-1", "moved",
    )  # fmt: skip
    listed = json.loads(tierwise("vm", "list", "-o", "json").out)
    assert {row["endpoint"]: row["drift"] for row in listed} == {
        "fra-hyperv": "",
        "hosted-xen": "copy of a moved machine, kept until the move is confirmed",
    }
    said = tierwise("vm", "delete", "shop-01", "--yes", code=3).err
    assert "--confirm` removes the copy, --undo goes back to it" in said
    ended = tierwise("vm", "move", "shop-01", "--undo", "--yes")
    assert ended.err == "shop-01 is in pool hosted-nl again, as it was when the move began\n"
    assert where(settings) == {"hosted-xen": "on"}
    tierwise("vm", "move", "shop-01", "--to", "fra-test-1", "--yes")
    ended = tierwise("vm", "move", "shop-01", "--confirm", "--yes")
    assert ended.err == "shop-01 is in pool fra-test-1; its copy in hosted-nl is removed\n"
    assert where(settings) == {"fra-hyperv": "on"}
    states = [row["state"] for row in json.loads(tierwise("vm", "moves", "--all", "-o", "json").out)]
    assert states == ["confirmed", "undone"]
    assert list((settings.data_dir / "moves").glob("*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "say one of --to POOL, --confirm or --undo"),
        (["--to", "fra-kvm-b", "--undo"], 2, "say one of"),
        (["--to", "nowhere"], 3, "there is no pool 'nowhere'; known are fra-prod-1"),
        (["--undo", "--yes"], 3, "has no move that waits for an answer"),
    ],
)
def test_wrong_words_are_told_with_what_would_be_right(
    tierwise: Any, arguments: list[str], code: int, said: str
) -> None:
    assert said in " ".join(tierwise("vm", "move", "shop-01", *arguments, code=code).err.split())


def test_what_blocks_a_move_is_listed_and_ends_it(
    tierwise: Any, settings: Settings, tmp_path: Path
) -> None:
    tierwise("vm", "power", "shop-01", "suspend")
    ended = tierwise("vm", "move", "shop-01", "--to", "hosted-nl", "--yes", "-o", "json", code=6)
    assert "blocks" in {row["kind"] for row in json.loads(ended.out)}
    assert "shop-01 cannot move to hosted-nl" in ended.err
    assert "it is suspended" in ended.err
    tierwise("vm", "power", "shop-01", "on")


def test_a_move_whose_command_is_killed_is_ended_and_told_by_resume(
    real: Any, tierwise: Any, settings: Settings
) -> None:
    tierwise(
        "order", "create", "web-small", "--tenant", "web-shop", "--name", "shop-02", "--tier", "tier-3"
    )
    address = str(settings.data_dir / "hosted-xen.sqlite")
    before = len(control.calls(address))
    control.script_faults(address, [Fault(operation="export_disk", kind="delay", delay_ms=600_000)])
    command = [real.command, "vm", "move", "shop-02", "--to", "fra-test-1", "--yes"]
    with subprocess.Popen(
        command, env=real.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            if any(call.operation == "export_disk" for call in control.calls(address)[before:]):
                process.kill()
    assert process.returncode == -signal.SIGKILL
    ended = tierwise("order", "resume")
    assert ended.err == "the move of shop-02 from hosted-nl to fra-test-1 is moved\n"
    tierwise("vm", "move", "shop-02", "--undo", "--yes")
    assert tierwise("order", "resume").err == "no order was left open\n"
