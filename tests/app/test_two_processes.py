"""One process at a time works on a data directory; others may read meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tierwise.app import wire
from tierwise.errors import ExitCode, StoreBusy
from tierwise.usecases.inventory import inventory
from tierwise.usecases.order import list_orders

HOLD = """
import sys
from pathlib import Path
from tierwise.app import wire
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
with running(wire(Settings(data_dir=Path(sys.argv[1])))):
    print("working", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process(acme: Any) -> Iterator[subprocess.Popen[str]]:
    """A real second process with its engine running."""
    command = [sys.executable, "-c", HOLD, str(acme.settings.data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "working\n"
        try:
            yield other
        finally:
            other.kill()


def test_a_second_process_is_told_that_another_one_works_here(estate: Any) -> None:
    acme = estate()
    with another_process(acme) as other:
        with pytest.raises(StoreBusy) as caught, acme.running():
            pytest.fail("two processes work on one data directory")
        message = str(caught.value)
        assert f"another tierwise process works on {acme.settings.data_dir}" in message
        assert "wait until it ends, or use another --data-dir" in message
        assert caught.value.exit_code is ExitCode.BUSY
        assert other.poll() is None
    with acme.running():
        assert acme.deliver("shop-01").status == "delivered", "the lock of a killed process does not stay"


def test_a_second_process_may_read_while_another_works(estate: Any) -> None:
    acme = estate()
    with another_process(acme):
        reader = wire(acme.settings, acme.clock)
        assert list_orders(reader) == []
        assert inventory(reader).machines == ()
        reader.close()


def test_the_command_line_ends_with_the_code_for_busy(estate: Any) -> None:
    acme = estate()
    with another_process(acme):
        script = "from tierwise.cli.main import run; run()"
        command = [
            sys.executable,
            "-c",
            script,
            "--data-dir",
            str(acme.settings.data_dir),
            "order",
            "resume",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == ExitCode.BUSY
    assert "another tierwise process works on" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
