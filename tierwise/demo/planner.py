"""The planner's demo: an estate from a workbook, five questions about it, and the files that answer them.

Every step is a command that a person would type; it is printed before it runs.
"""

import shlex
import shutil
import time
from pathlib import Path

import typer

from tierwise.cli.output import note
from tierwise.demo.story import Teller
from tierwise.errors import InvalidInput
from tierwise.usecases.init import examples_root

MACHINES, SEED = 1000, 7
"""The documents of examples/planner name the pools of this estate."""
_WINDOWS = tuple(
    f"2027-0{month}-{day:02}T18:00Z/2027-0{month}-{day + 2:02}T06:00Z"
    for month in (1, 2, 3, 4, 5)
    for day in (1, 8, 15, 22)
)


def tell(output: Path, *, jobs: int) -> None:
    """Run the demo into a folder. Raises InvalidInput where the folder cannot be written or is in use."""
    folder = _prepared(output)
    teller, began = Teller(), time.monotonic()
    run = _Typist(teller, folder)
    teller.step(
        "An estate", "a thousand machines as RVTools writes them into a workbook, read like your own export"
    )
    run("estate", "generate", "--machines", str(MACHINES), "--seed", str(SEED), "estate.xlsx")
    run("estate", "import", "estate.xlsx")
    teller.step(
        "Retire vSphere? Which 200 machines first? Does the loss of a site hold?",
        "what-if.yaml asks; what things cost stands in economics.yaml: every figure there is an assumption to replace",
        "what tiers charge stands in rates.yaml",
    )
    run("whatif", "run", "what-if.yaml", "--save", "result.json", "--keep", "answers", "--jobs", str(jobs))
    run("whatif", "report", "result.json", "--to", "report.html")
    run("whatif", "report", "result.json", "--to", "report.xlsx")
    teller.step(
        "In which order?", "moves that are feasible at every step, in waves, with a way back from each"
    )
    run("whatif", "moves", "what-if.yaml", "--scenario", "retire-vsphere", "--to", "moves.json")
    windows = [part for window in _WINDOWS for part in ("--windows", window)]
    run("whatif", "waves", "moves.json", "-o", "waves.xlsx", *windows)
    teller.step("When are we full?", "four hundred runs of arrivals, lifetimes, growth and failures")
    run("whatif", "forecast", "forecast.yaml", "--chart", "forecast.png")
    teller.step("What rate recovers the cost?", "what is not recovered is a line of its own")
    run("economics", "rates", "economics.yaml", "--start", "2027-01-01", "--months", "36")
    teller.say(
        "rates.yaml charges these rates; what they recover of each tier, today and once vSphere is retired:"
    )
    run("whatif", "compare", "result.json", "--after", "retire-vsphere")
    teller.step(
        "What to look at",
        f"{folder / 'report.html'}: costs, moves, licences, what becomes impossible and why",
        f"{folder / 'waves.xlsx'}: the moves wave by wave; {folder / 'forecast.png'}: demand and room",
        f"it took {time.monotonic() - began:.0f} s",
        "",
        f"next, in {folder}:",
        "  tierwise whatif sensitivity what-if.yaml --scenario retire-vsphere",
        "  tierwise whatif break-even what-if.yaml --first retire-vsphere --of licence:hypervisor-suite --from -90 --until 50",
        "  tierwise estate import YOUR-EXPORT.xlsx --to estate.json      # then docs/tutorial-planner.md",
    )


class _Typist:
    """Types commands, in the demo's folder."""

    def __init__(self, teller: Teller, folder: Path) -> None:
        self.teller = teller
        self.folder = folder

    def __call__(self, *arguments: str) -> None:
        from tierwise.cli.main import app  # noqa: PLC0415 - the command line imports this module's command

        shown = shlex.join(arguments)
        self.teller.say(f"$ tierwise {shown if len(shown) < 110 else shown[:100] + ' ...'}")
        files = {name for name in arguments if "." in name and "/" not in name} | {"answers"}
        there = [str(self.folder / name) if name in files else name for name in arguments]
        code = app(there, standalone_mode=False)
        if code:
            raise typer.Exit(code)


def _prepared(output: Path) -> Path:
    source = examples_root() / "planner"
    try:
        output.mkdir(parents=True, exist_ok=True)
        files = sorted(source.glob("*.yaml"))
        for file in files:
            there = output / file.name
            if there.exists() and there.read_bytes() != file.read_bytes():
                msg = f"{there} is not as the demo wrote it, and would be lost; name another folder by --output"
                raise InvalidInput(msg)
        for file in files:
            shutil.copyfile(file, output / file.name)
    except OSError as error:
        msg = (
            f"{output} cannot be written: {error.strerror}; choose another folder by --output, or make room"
        )
        raise InvalidInput(msg) from None
    note(f"everything is written to {output}")
    return output
