"""A real process is killed in the middle of a batch, at moments of chance; the batch is finished later."""

import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, suppress
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from connectors.contract import PowerState
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.order import drain, submit

NAMES = [f"shop-{n:02}" for n in range(10)]

ORDER = """
import sys
from pathlib import Path
from uuid import UUID
from tierwise.app import wire
from tierwise.jobs.runtime import running
from tierwise.testing.estate import quick_settings
from tierwise.usecases.order import new_order, submit
app = wire(quick_settings(Path(sys.argv[1])))
orders = [
    new_order(app, order_id=UUID(int=n + 1), offering="web-small", tenant="web-shop", machine_name=name,
              parameters={}, tier=None, ordered_by="a test")
    for n, name in enumerate(sys.argv[2:])
]
with running(app):
    print("go", flush=True)
    submit(app, UUID(int=99), orders)
    print("done", flush=True)
"""


def order_in_a_process(acme: Any, stop: Any, at_call: int) -> bool:
    """Start the batch in a process of its own and stop it once so many calls reached the hypervisor."""
    folder = str(acme.settings.data_dir.parent)
    command = [sys.executable, "-c", ORDER, folder, *NAMES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        goal = calls(acme) + at_call
        while process.poll() is None and calls(acme) < goal:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        process.send_signal(stop)
        finished = process.stdout.read() == "done\n"
    return not finished


def calls(acme: Any) -> int:
    """How many machines were made and switched on, as far as the hypervisor was asked."""
    query = "SELECT count(*) FROM call WHERE operation IN ('create_vm', 'power')"
    with closing(sqlite3.connect(acme.address("hosted-xen"))) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'call'").fetchone():
            return 0
        return int(connection.execute(query).fetchone()[0])


def check_the_batch(acme: Any) -> None:
    """Nothing is lost, nothing is double: at the hypervisors, in the books, in the events, on the bill."""
    machines = acme.machines()
    assert {name: len(found) for name, found in machines.items()} == dict.fromkeys(NAMES, 1)
    assert all(vm.power is PowerState.ON for ((_, vm),) in machines.values())
    assert acme.rows("SELECT status, count(*) FROM order_ GROUP BY status") == [("delivered", len(NAMES))]
    assert acme.held() == {"hosted-nl": (20, 40960, 400)}
    kinds = Counter(
        (machine, kind) for machine, kind in acme.rows("SELECT machine, kind FROM machine_event")
    )
    assert set(kinds.values()) == {1}
    assert len(kinds) == 2 * len(NAMES)
    acme.clock.set(acme.clock.now().replace(year=2100))
    meter(acme.app)
    meter(acme.app)
    rows = sorted(
        (row["machine"], row["metric"], row["t_from"], row["t_to"])
        for row in interval_store(acme.app).read().to_pylist()
    )
    for before, after in pairwise(rows):
        assert before[:2] != after[:2] or before[3] <= after[2], "a second is charged twice"


def submit_again(acme: Any) -> list[str]:
    orders = [acme.order(name, order_id=UUID(int=n + 1)) for n, name in enumerate(NAMES)]
    return [row.status for row in submit(acme.app, UUID(int=99), orders)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_batch_that_is_killed_again_and_again_is_finished_and_nothing_is_lost_or_double(
    estate: Any, seed: int
) -> None:
    chance = random.Random(seed)
    acme = estate(latency_ms=20)
    killed = [order_in_a_process(acme, signal.SIGKILL, chance.randint(0, 9)) for _ in range(2)]
    assert any(killed), "no process was killed, so this proves nothing"
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert submit_again(acme) == ["delivered"] * len(NAMES)
    check_the_batch(acme)


def test_what_was_begun_is_finished_by_draining_alone(estate: Any) -> None:
    acme = estate(latency_ms=20)
    assert order_in_a_process(acme, signal.SIGKILL, 5)
    with acme.running():
        rows = drain(acme.app, poll_s=0.02)
        assert {row.status for row in rows} == {"delivered"}
    check_the_batch(acme)


def test_a_batch_that_a_person_interrupts_goes_on_with_the_next_process(estate: Any) -> None:
    acme = estate(latency_ms=20)
    assert order_in_a_process(acme, signal.SIGINT, 5)
    with acme.running():
        assert submit_again(acme) == ["delivered"] * len(NAMES)
    check_the_batch(acme)
