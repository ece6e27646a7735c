"""Run the benchmarks and write their figures into docs/benchmarks.md.

A benchmark is a file `tests/bench/bench_NAME.py` whose docstring begins with a sentence for the table
and whose `main() -> dict[str, int | float | str]` measures and returns figures; a figure's name ends in its unit
(`rated_rows_per_s`). Each runs in a process of its own, so that none measures what another left behind.

    python tests/bench/run.py           # all
    python tests/bench/run.py rating    # those with "rating" in their names; the others' figures stay
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"

Figures = dict[str, int | float | str]

SECTION = re.compile(r"<!-- bench:(?P<name>\w+) -->\n.*?<!-- /bench:(?P=name) -->\n", re.DOTALL)
END = "<!-- benchmarks end here -->\n"


def main() -> int:
    """0 when all that was asked for ran."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "words", nargs="*", help="run only benchmarks with one of these words in their names"
    )
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    chosen = [
        path for path in benchmarks() if not arguments.words or any(w in path.stem for w in arguments.words)
    ]
    if not chosen:
        there = ", ".join(path.stem.removeprefix("bench_") for path in benchmarks()) or "none yet"
        print(f"no benchmark fits '{' '.join(arguments.words)}'; there are: {there}", file=sys.stderr)
        return 2
    failed = [path.stem for path in chosen if not run(path)]
    if failed:
        print(f"failed, so their old figures stay: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def benchmarks() -> list[Path]:
    """All benchmark files, in alphabetical order."""
    return sorted(Path(__file__).parent.glob("bench_*.py"))


def measure(path: Path) -> dict[str, object]:
    """What one benchmark is, and its figures; it runs in this process."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return {"what": (module.__doc__ or "").strip().split("\n\n")[0], "figures": module.main()}


def run(path: Path) -> bool:
    """Run one benchmark in a process of its own and write its section; whether that went well."""
    print(f"{path.stem} ...", flush=True)
    started = time.monotonic()
    command = [sys.executable, __file__, "--measure", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return False
    result = json.loads(done.stdout.splitlines()[-1])
    figures: Figures = result["figures"]
    page = PAGE.read_text()
    if (
        set(figures) != {"note"} or f"<!-- bench:{path.stem} -->" not in page
    ):  # a note says why nothing was measured
        PAGE.write_text(with_section(page, path.stem, section(path.stem, result["what"], figures)))
    for name, value in figures.items():
        print(f"  {name:40} {shown(value)}")
    print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    return True


def section(name: str, what: str, figures: Figures) -> str:
    """A benchmark's part of the page: sentence, command, machine, table."""
    rows = "".join(f"| `{figure}` | {shown(value)} |\n" for figure, value in figures.items())
    return (
        f"<!-- bench:{name} -->\n## {name.removeprefix('bench_')}\n\n{' '.join(what.split())}\n\n"
        f"`make bench ARGS={name.removeprefix('bench_')}` on {machine()}, {time.strftime('%Y-%m-%d')}:\n\n"
        f"| figure | value |\n| --- | ---: |\n{rows}<!-- /bench:{name} -->\n"
    )


def with_section(page: str, name: str, text: str) -> str:
    """The page with one benchmark's section replaced, or added at the end; sections stay in alphabetical order, and prose as it is."""
    sections = {found["name"]: found[0] for found in SECTION.finditer(page)} | {name: text}
    head, _, tail = page.partition(END)
    first = SECTION.search(head)
    prose = (head[: first.start()] if first else head).rstrip("\n")
    return f"{prose}\n\n" + "\n".join(sections[key] for key in sorted(sections)) + f"\n{END}{tail}"


def shown(value: float | str) -> str:
    """Numbers as people read them: thousands apart, no more digits than were measured."""
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}"
    return f"{value:.4g}" if isinstance(value, float) else value


def machine() -> str:
    """What was measured on, in a few words."""
    cpuinfo = Path("/proc/cpuinfo")
    model = (
        re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    )
    cores = os.cpu_count() or 1
    return (
        f"{cores} cores ({model[1] if model else platform.machine()}), Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
