"""From an export of 10,000 machines to the first savings report, a changed scenario again, and sweeps of 1,000 machines.

The report is read from an RVTools workbook, prepared, solved and written as HTML. The sweep's scenarios are prices
that change, each a plan of its own: all in one process, and then by two; its overhead is what two processes take
together beyond the solves themselves.

    python tests/bench/bench_planner_whatif.py
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
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
        small = _prepared(_question(Path(folder), SMALL))
        alone, alone_s, alone_cpu_s = _timed(lambda: _swept(small, 1))
        both, both_s, _ = _timed(lambda: _swept(small, 2))
    assert [one.result for one in alone] == [one.result for one in both]
    return {
        "machines": LARGE,
        "groups": len(first[0].groups.ids),
        "export_to_report_s": first_s,
        "export_to_report_cpu_s": first_cpu_s,
        "gap_percent": round(float(first[1].scenarios[0].gap) * 100, 3),
        "changed_scenario_s": again_s,
        "changed_scenario_cpu_s": again_cpu_s,
        "changed_gap_percent": round(float(again.gap) * 100, 3),
        "sweep_scenarios": SCENARIOS,
        "sweep_machines": SMALL,
        "sweep_one_process_s": alone_s,
        "sweep_one_process_cpu_s": alone_cpu_s,
        "sweep_two_processes_s": both_s,
        "sweep_speed_up": round(alone_s / both_s, 2),
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


def _swept(prepared: Any, jobs: int) -> Any:
    from decimal import Decimal

    from placement.plan import Limits
    from tierwise.planner.analysis import price_of
    from tierwise.planner.asking import Variant, Workers, ask

    scenario = prepared.scenario("retire-vsphere")
    variants = [
        Variant(f"power {n}", scenario, price_of("power")(Decimal(n))) for n in range(1, SCENARIOS + 1)
    ]
    return ask(prepared, variants, Limits(), Workers(jobs))


if __name__ == "__main__":
    print(json.dumps(main(), indent=1), file=sys.stdout)
