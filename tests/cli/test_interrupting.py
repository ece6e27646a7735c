"""Ctrl-C ends a command with one word, also before it has begun to work and when it is done."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SLOW = "import time\nprint('here', flush=True)\nwhile True:\n    time.sleep(0.05)\n"
"""In short steps: a signal that comes right before a long sleep begins does not end it."""
AT_THE_END = f"""
import atexit, sys
atexit.register(exec, {SLOW!r}, {{}})
sys.argv = ["tierwise", "--version"]
from tierwise.entry import run
run()
"""


def interrupted(
    command: list[str], said: str, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The exit code and what stands on stderr of a command that gets Ctrl-C once it has said something."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(said in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    return process.returncode, err


def test_while_the_commands_are_imported(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(SLOW, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    ended = interrupted(["-m", "tierwise", "--version"], "here", {"PYTHONPATH": paths})
    assert ended == (130, "stopped\n")


def test_when_the_command_is_done() -> None:
    assert interrupted(["-c", AT_THE_END], "here") == (130, "stopped\n")


def test_between_the_import_and_the_command() -> None:
    """As where Typer builds its commands."""
    code = f"""
import sys, tierwise.entry, tierwise.cli.main as main
sys.argv = ["tierwise", "--version"]
main.app = lambda **_: exec({SLOW!r}, {{}})
tierwise.entry.run()
"""
    assert interrupted(["-c", code], "here") == (130, "stopped\n")


def test_who_started_it_may_want_it_ignored() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import tierwise.entry, signal as s; print(repr(s.getsignal(s.SIGINT)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "SIG_IGN" in done.stdout
