"""The disk fills up while machines are ordered: a clear error, an exit code, and nothing half-done."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors.registry import connect
from tierwise.errors import TierwiseError
from tierwise.usecases import order as order_usecase
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.order import drain


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Take all space of the disk but `leave` bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass
        size = file.seek(0, os.SEEK_END)
        file.truncate(max(0, size - leave))
    return ballast


# The disk fills up while the batch is accepted, planned, and while its machines are made; at the last
# two the engine itself falls silent.
@pytest.mark.parametrize("leave", [0, 120_000, 500_000, 604_000, 760_000, 930_000, 1_005_000, 1_125_000])
def test_a_disk_that_fills_up_stops_orders_with_words_and_leaves_nothing_half_done(
    estate: Any, small_disk: Path, tmp_path: Path, leave: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = estate(small_disk)
    doors = hypervisors_elsewhere(acme, tmp_path)
    orders = [acme.order(f"shop-{n}") for n in range(4)]
    ballast = fill(small_disk, leave)
    with monkeypatch.context() as patience:
        patience.setattr(order_usecase, "_IDLE_LIMIT_S", 0.5)
        order_or_say_why(acme, orders, small_disk)
    ballast.unlink()
    acme.app.close()
    with acme.running():
        drain(acme.app, poll_s=0.02)
        states = dict(acme.rows("SELECT machine_name, status FROM order_"))
        assert set(states.values()) <= {"delivered", "failed"}
        delivered = sorted(name for name, state in states.items() if state == "delivered")
        assert sorted(standing(doors)) == delivered
        count = len(delivered)
        assert acme.held() == ({"hosted-nl": (2 * count, 4096 * count, 40 * count)} if count else {})
        missing = [order for order in orders if order.machine_name not in delivered]
        again = [order.model_copy(update={"id": uuid4()}) for order in missing]
        assert not again or {row.status for row in acme.submit(*again)} == {"delivered"}
    assert sorted(standing(doors)) == [order.machine_name for order in orders]


def order_or_say_why(acme: Any, orders: list[Any], disk: Path) -> None:
    """Whatever could not be ordered, the words say which disk is full."""
    said: list[str] = []
    try:
        with acme.running():
            rows = acme.submit(*orders)
            said = [str(acme.why(row)) for row in rows if row.status != "delivered"]
    except TierwiseError as error:
        said = [" ".join([str(error), *error.details])]
    assert [words for words in said if str(disk) not in words or "free" not in words] == []


def hypervisors_elsewhere(acme: Any, folder: Path) -> list[Any]:
    """Give the hypervisors disks of their own, which stay empty enough."""
    endpoints = acme.app.endpoints
    for name in endpoints.names:
        moved = {"address": str(folder / f"{name}.sqlite")}
        endpoints._endpoints[name] = endpoints.get(name).model_copy(update=moved)
    return [endpoints.get(name) for name in endpoints.names]


def standing(doors: list[Any]) -> list[str]:
    found = []
    for endpoint in doors:
        with connect(endpoint) as connector:
            found += [vm.name for vm in connector.list_vms()]
    return found


def test_metering_on_a_full_disk_charges_nothing_and_works_again_later(
    estate: Any, small_disk: Path
) -> None:
    acme = estate(small_disk)
    with acme.running():
        acme.deliver("shop-01")
    acme.clock.set(acme.clock.now().replace(year=2027))
    ballast = fill(small_disk)
    with pytest.raises(TierwiseError, match=r"usage could not be written|free space"):
        meter(acme.app)
    assert interval_store(acme.app).files() == []
    ballast.unlink()
    assert meter(replace(acme.app)) == 4


def test_what_is_written_to_a_full_disk_says_so_in_a_line_and_leaves_nothing(small_disk: Path) -> None:
    ballast = fill(small_disk)
    for command, said in (
        (("estate", "generate", "--machines", "500", "estate.xlsx"), "estate.xlsx was not written: {}; check its folder,"),
        (("--data-dir", "new", "init"), "new cannot be written: {}; check its rights and free space"),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tierwise", *command],
            cwd=small_disk,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"error: {said.format('No space left on device')}")
        assert [one for one in small_disk.rglob("*") if one.is_file()] == [ballast]
