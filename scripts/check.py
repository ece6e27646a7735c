"""Run every static check, two at a time, and show in full what failed.

One line a check; the output of a check is shown only when it fails, with the command to run it alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"

TYPED_SCRIPTS = ["scripts", "tests/conftest.py", "tests/bench/run.py", "tests/architecture"]

# The slowest first, so that the others run beside them.
CHECKS = (
    ("types", ["mypy"]),
    (
        "types of the scripts",
        ["mypy", "--explicit-package-bases", "--cache-dir", ".mypy_cache/scripts", *TYPED_SCRIPTS],
    ),
    ("house rules", ["pytest", "-q", "--no-header", "-p", "no:cacheprovider", "tests/architecture"]),
    ("layers", ["lint-imports"]),
    ("lint", ["ruff", "check", "--output-format", "concise"]),
    ("format", ["ruff", "format", "--check", "--output-format", "concise"]),
    ("spelling", ["codespell"]),
    ("dependencies", ["deptry", "."]),
)


def main() -> int:
    """0 if every check passed."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(run, CHECKS))
    failed = [
        (name, command, output)
        for (name, command), (code, output) in zip(CHECKS, results, strict=True)
        if code
    ]
    for name, command, output in failed:
        print(f"\n== {name} failed: .venv/bin/{' '.join(command)}\n{output.rstrip()}")
    print(
        f"\n{len(CHECKS) - len(failed)} of {len(CHECKS)} checks are clean"
        if failed
        else "all checks are clean"
    )
    return 1 if failed else 0


def run(check: tuple[str, list[str]]) -> tuple[int, str]:
    """The exit code and the whole output of one check."""
    name, (tool, *arguments) = check
    started = time.monotonic()
    done = subprocess.run(
        [str(BIN / tool), *arguments],
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(
        f"{'failed' if done.returncode else 'ok':7}{name} ({time.monotonic() - started:.1f} s)", flush=True
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
