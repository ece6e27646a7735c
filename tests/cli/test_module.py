"""`python -m tierwise` is the command line too."""

import subprocess
import sys


def test_the_package_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tierwise", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("tierwise ")
