"""Xen Orchestra's JavaScript client, which shares no line with ours, uses the simulator in both encodings."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from connectors.simulators.xen import USER, XenSimulator

pytestmark = pytest.mark.counterpart("xen-api-js")

GIB = 1 << 30
LIMIT_S = 300


@pytest.fixture(scope="module")
def library(request: pytest.FixtureRequest) -> Path:
    found = request.config.rootpath / ".build/npm/xen-api-js/node_modules/xen-api/index.mjs"
    if not shutil.which("node") or not found.is_file():
        pytest.skip(
            "node or the npm package xen-api is not installed; run 'make test', or install node and npm"
        )
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed; apt-get install qemu-utils")
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A VHD of a gibibyte by qemu-img, and the digest of what a guest would read."""
    raw = tmp_path_factory.mktemp("image") / "raw"
    with raw.open("wb") as file:
        file.write(b"xen" * 100_000)
        file.seek(GIB // 2)
        file.write(b"api" * 100_000)
        file.truncate(GIB)
    made = raw.with_name("vhd")
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", str(raw), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    with raw.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    raw.unlink()
    return made, digest


@pytest.mark.parametrize("transport", ["json-rpc", "xml-rpc", "auto"])
def test_it_makes_moves_and_ends_a_machine_and_carries_a_disk(
    transport: str, library: Path, image: tuple[Path, str], simulator: XenSimulator
) -> None:
    vhd, digest = image
    settings: dict[str, Any] = {
        "module": library.as_uri(),
        "url": f"http://{simulator.address}",
        "user": USER,
        "password": simulator.password.get_secret_value(),
        "transport": transport,
        "image": str(vhd),
        "size": GIB,
    }
    ran = subprocess.run(
        ["node", str(Path(__file__).with_name("npm") / "client.mjs")],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(settings),
        timeout=LIMIT_S,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout.splitlines()[-1])
    refused = seen.pop("refused")
    assert 0 < seen.pop("vhd") < GIB // 16
    assert seen == {
        "made": "by xen-api",
        "started": "Running",
        "moved": True,
        "stopped": "Halted",
        "raw": [digest, GIB],
        "unknown": 404,
        "left": 0,
    }
    assert (refused[0], refused[2:]) == ("VM_BAD_POWER_STATE", ["running", "halted"])
