"""How long `tierwise --help` takes, beside an empty Python and one that imports Typer.

Medians of ten starts each, the three taking turns so that a busy moment meets all of them.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

STARTS = 10

COMMANDS = {
    "help": [str(Path(sys.executable).parent / "tierwise"), "--help"],
    "empty_python": [sys.executable, "-c", "pass"],
    "import_typer": [sys.executable, "-c", "import typer"],
}


def main() -> dict[str, int | float | str]:
    """Median seconds of each command, and how often `tierwise --help` stayed under 0.6 s."""
    for command in COMMANDS.values():
        seconds(command)  # compiles what was never compiled
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(STARTS):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    figures: dict[str, int | float | str] = {
        f"{name}_median_s": round(statistics.median(times), 3) for name, times in taken.items()
    }
    return {**figures, "help_slowest_s": round(max(taken["help"]), 3), "starts": STARTS}


def seconds(command: list[str]) -> float:
    """One start, from outside."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
