"""docs/how-to/add-a-driver.md followed to its end: a package with one file, and tierwise works with it.

The package is put on the path as pip would leave it. Its machines are read back from its own file.
"""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from catalog.pools import Endpoint
from tierwise.testing.estate import simulated_acme

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toybox" / "tierwise_toybox.py"
PROOF = """
import pytest

from catalog.pools import Endpoint
from tierwise.testing.conformance import ConnectorConformance


class TestToybox(ConnectorConformance):
    @pytest.fixture
    def endpoint(self, tmp_path):
        return Endpoint(name="toys", driver="toybox", address=str(tmp_path), timeout_s=10)

    @pytest.fixture
    def dead_endpoint(self, endpoint, tmp_path):
        return endpoint.model_copy(update={"address": str(tmp_path / "nowhere")})
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the package in it."""
    folder = tmp_path / "site"
    about = folder / "tierwise_toybox-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tierwise-toybox\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tierwise.drivers]\ntoybox = tierwise_toybox:Toybox\n")
    (folder / TOY.name).write_bytes(TOY.read_bytes())
    return folder


def run(site: Path, *command: str) -> SimpleNamespace:
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        cwd=site.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


def test_the_conformance_suite_proves_it(site: Path) -> None:
    (site.parent / "test_toybox.py").write_text(PROOF)
    report = site.parent / "report.xml"
    done = run(
        site,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        "test_toybox.py",
    )
    assert done.code == 0, done.out
    cases = list(ET.parse(report).iter("testcase"))
    assert sum(case.find("skipped") is None for case in cases) > 50
    reasons = {str(element.get("message")) for case in cases for element in case.findall("skipped")}
    ours = (
        "not reached by host and port",
        "this counterpart",
        "other tests prove it",
        "a toy does no more",
        "no reply can be lost on purpose here",
        "behind tierwise's back here",
    )
    assert [reason for reason in reasons if not any(words in reason for words in ours)] == []


def test_its_column_stands_in_the_table_of_capabilities(site: Path) -> None:
    done = run(
        site, sys.executable, "-c", "from tierwise.docs.capabilities import installed; print(installed())"
    )
    assert done.code == 0, done.err
    assert "toybox" in done.out
    assert "a toy does no more than start and stop" in done.out


def test_a_machine_is_ordered_resized_and_removed_there(site: Path, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    toys = Endpoint(name="hosted-xen", driver="toybox", address=str(box))
    settings = simulated_acme(tmp_path, {"hosted-xen": toys})
    pools = settings.catalog_dir / "pools.yaml"
    tree = yaml.safe_load(pools.read_text("utf-8"))
    tree["pools"]["hosted-nl"] |= {"provider": "box", "reserved": {}}
    pools.write_text(yaml.safe_dump(tree), "utf-8")

    def tierwise(*arguments: str) -> None:
        done = run(
            site,
            str(Path(sys.executable).parent / "tierwise"),
            "--data-dir",
            str(settings.data_dir),
            *arguments,
        )
        assert done.code == 0, done.err

    def on_the_shelf() -> dict[str, tuple[str, int]]:
        entries = json.loads((box / "machines.json").read_text("utf-8")).values()
        return {entry["name"]: (entry["power"], entry["size"]["vcpu"]) for entry in entries}

    tierwise("order", "create", "web-small", "--tenant", "web-shop", "--name", "toy-01", "--tier", "tier-3")
    assert on_the_shelf() == {"toy-01": ("on", 2)}
    tierwise("vm", "power", "toy-01", "off")
    tierwise("vm", "resize", "toy-01", "--vcpu", "4")
    assert on_the_shelf() == {"toy-01": ("off", 4)}
    tierwise("vm", "delete", "toy-01", "--yes")
    assert on_the_shelf() == {}
