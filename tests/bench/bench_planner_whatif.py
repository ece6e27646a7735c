"""From an export of 10,000 machines to the first savings report, a changed scenario again, and sweeps of 1,000 machines.

The report is read from an RVTools workbook, prepared, solved and written as HTML. `command_again` is `tierwise whatif run`
once more, with another price of power than at `command_first`. The sweep's scenarios are prices that change, each a plan
of its own: all in one process, and then by two. Its overhead is what all processes take in CPU seconds, from their start
to the last answer, beyond the solves themselves (planning, and packing onto hosts). With cores to themselves two
processes take half as long as one where they take as many CPU seconds.

    python tests/bench/bench_planner_whatif.py              all of it, with 40 scenarios
    python tests/bench/bench_planner_whatif.py sweep 200 5  only the sweep, with so many, and so much effort for each
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

LARGE, SMALL, SCENARIOS = 10_000, 1_000, 40
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "planner"


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    with tempfile.TemporaryDirectory() as folder:
        large = _question(Path(folder), LARGE)
        first, first_s, first_cpu_s = _timed(lambda: _reported(large))
        again, again_s, again_cpu_s = _timed(lambda: _again(first[0], first[1]))
        commands = _by_command(large)
    return {
        "machines": LARGE,
        "groups": len(first[0].groups.ids),
        "export_to_report_s": first_s,
        "export_to_report_cpu_s": first_cpu_s,
        "gap_percent": round(float(first[1].scenarios[0].gap) * 100, 3),
        "changed_scenario_s": again_s,
        "changed_scenario_cpu_s": again_cpu_s,
        "changed_gap_percent": round(float(again.gap) * 100, 3),
        **commands,
        **swept(SCENARIOS),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, round(time.perf_counter() - start, 2), round(time.process_time() - cpu, 2)


def _question(folder: Path, machines: int) -> Path:
    """A document about a generated estate of so many machines, in a workbook; the demo's costs."""
    from catalog.estates.generator import generate
    from tierwise.estates import write

    made = generate(machines, 7, taken_at=datetime(2026, 12, 1, tzinfo=UTC))
    write(made, folder / f"estate-{machines}.xlsx")
    sites = sorted({host.site for host in made.hosts})
    pools = [f"  {name}: {{tier: tier-{2 if 'lab' in name else 1}}}" for name in made.pool_names()]
    for site in sites:
        pools += [
            f"  {site}-kvm:",
            (
                f"    {{new: true, tier: tier-1, hypervisor: libvirt, site: {site}, disk_gib: {machines * 300}, hosts: "
                f"{{two-sockets: {{most: {machines // 20}, sockets: 2, cores: 64, memory_mib: 1048576}}}}}}"
            ),
        ]
    text = f"""\
format: tierwise-whatif/1
name: leave-vsphere
estate: estate-{machines}.xlsx
start: 2027-01-01
months: 36
economics: {EXAMPLES / "economics.yaml"}
pools:
{chr(10).join(pools)}
scenarios:
  retire-vsphere: {{changes: [{{kind: hypervisor_retired, hypervisor: vsphere}}]}}
"""
    file = folder / f"what-if-{machines}.yaml"
    file.write_text(text)
    return file


def _prepared(file: Path) -> Any:
    from tierwise.planner.sources import prepared

    return prepared(file)


def _reported(file: Path) -> Any:
    """Workbook -> report."""
    from placement.plan import Limits
    from tierwise.planner.asking import Workers, answered
    from tierwise.planner.report import report
    from tierwise.reports import render

    prepared = _prepared(file)
    found = answered(prepared, None, Limits(), Workers())
    (file.parent / "report.html").write_bytes(render(report(found), ".html"))
    return prepared, found


def _again(prepared: Any, found: Any) -> Any:
    """The scenario with another price of power, the estate prepared already."""
    from decimal import Decimal

    from placement.plan import Limits
    from tierwise.planner.analysis import price_of
    from tierwise.planner.document import Scenario
    from tierwise.planner.run import solve_scenario

    scenario = prepared.scenario("retire-vsphere")
    changed = Scenario(name="changed", changes=(*scenario.changes, *price_of("power")(Decimal(30))))
    return solve_scenario(prepared, changed, Limits(), found.today)


def _by_command(file: Path) -> dict[str, float]:
    """Seconds of `tierwise whatif run`, and of it again with another price of power, when the estate is kept."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(file.parent / "cache")}
    environment.pop("TIERWISE_KEPT_ESTATES_MIB", None)
    command = [sys.executable, "-m", "tierwise", "whatif", "run", str(file)]
    found = {}
    for name in ("command_first", "command_again"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        found[f"{name}_s"] = round(time.perf_counter() - begin, 2)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found[f"{name}_cpu_s"] = round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2
        )
        economics = file.parent / "economics.yaml"
        economics.write_text(
            (EXAMPLES / "economics.yaml")
            .read_text()
            .replace("price_per_kwh: {value: 0.24", "price_per_kwh: {value: 0.3")
        )
        file.write_text(file.read_text().replace(str(EXAMPLES / "economics.yaml"), economics.name))
    return found


def swept(scenarios: int, effort: float | None = None) -> dict[str, int | float | str]:
    """Figures of a sweep by one process and by two: the same answers, and what they take beside the solves."""
    with tempfile.TemporaryDirectory() as folder:
        small = _prepared(_question(Path(folder), SMALL))
    alone, both = (_Sweep.of(small, scenarios, jobs, effort) for jobs in (1, 2))
    assert alone.answers == both.answers
    return {
        "sweep_scenarios": scenarios,
        "sweep_machines": SMALL,
        "sweep_one_process_s": alone.seconds,
        "sweep_one_process_cpu_s": alone.cpu_s,
        "sweep_one_process_overhead_percent": alone.overhead_percent,
        "sweep_two_processes_s": both.seconds,
        "sweep_two_processes_cpu_s": both.cpu_s,
        "sweep_two_processes_overhead_percent": both.overhead_percent,
        "sweep_cpu_of_two_to_one": round(both.cpu_s / alone.cpu_s, 3),
        "sweep_speed_up": round(alone.seconds / both.seconds, 2),
    }


@dataclass(frozen=True)
class _Sweep:
    """A sweep's answers, and what it took."""

    answers: list[Any]
    seconds: float
    cpu_s: float
    solves_cpu_s: float

    @property
    def overhead_percent(self) -> float:
        """CPU seconds beyond the solves, in percent of these."""
        return round(100 * (self.cpu_s / self.solves_cpu_s - 1), 2)

    @classmethod
    def of(cls, prepared: Any, scenarios: int, jobs: int, effort: float | None) -> "_Sweep":
        from decimal import Decimal

        from tierwise.planner.analysis import price_of
        from tierwise.planner.asking import Variant
        from tierwise.planner.sweeps import Task, sweep

        scenario = prepared.scenario("retire-vsphere")
        variants = [
            Variant(f"power {n}", scenario, price_of("power")(Decimal(n))) for n in range(1, scenarios + 1)
        ]
        tasks = [Task(one.name, one.name, one) for one in variants]
        done, seconds, here_s = _timed(lambda: sweep(tasks, partial(_clocked, prepared, effort), jobs=jobs))
        found = [one.result for one in done]
        # A worker's clock began with its process, so that what it loads and unpacks counts as well.
        workers = {one["pid"]: 0.0 for one in found if one["pid"] != os.getpid()}
        for one in found:
            if one["pid"] in workers:
                workers[one["pid"]] = max(workers[one["pid"]], one["process_cpu_s"])
        whole = round(here_s + sum(workers.values()), 2)
        return cls(
            [one["answer"] for one in found], seconds, whole, sum(one["solves_cpu_s"] for one in found)
        )


def _clocked(prepared: Any, effort: float | None, variant: Any) -> dict[str, Any]:
    """What a sweep's worker does for a variant, and the CPU seconds of its solves."""
    from placement.plan import Limits
    from tierwise.planner import asking, run

    spent = [0.0]
    limits = Limits() if effort is None else Limits(deterministic_time=effort)

    def clocked(work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any) -> Any:
            begin = time.process_time()
            try:
                return work(*given)
            finally:
                spent[0] += time.process_time() - begin

        return done

    plain = run.solve, run.packed
    run.solve, run.packed = map(clocked, plain)
    try:
        answer = asking._solved(prepared, limits, variant)
    finally:
        run.solve, run.packed = plain
    return {
        "answer": answer,
        "solves_cpu_s": spent[0],
        "process_cpu_s": time.process_time(),
        "pid": os.getpid(),
    }


if __name__ == "__main__":
    asked = sys.argv[1:]
    found = swept(int(asked[1]), *map(float, asked[2:3])) if asked[:1] == ["sweep"] else main()
    print(json.dumps(found, indent=1), file=sys.stdout)
